//! A peer that says what the input says.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Says one thing after another: the first before it is asked, each other one after something was written
/// to it, or where its reader will not do without; then the stream ends. What is written is kept.
pub struct Peer {
    says: VecDeque<Vec<u8>>,
    waited: bool,
    /// What was written to it.
    pub heard: Vec<u8>,
}

impl Peer {
    /// A peer that says these things.
    pub fn new<'a>(says: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self { says: says.into_iter().map(<[u8]>::to_vec).collect(), waited: false, heard: Vec::new() }
    }
}

impl AsyncRead for Peer {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some(saying) = self.says.front_mut() else { return Poll::Ready(Ok(())) };
        if saying.is_empty() {
            // Whoever only looks whether something is there goes away; whoever waits comes again.
            if !self.waited {
                self.waited = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.waited = false;
            self.says.pop_front();
            return self.poll_read(cx, buffer);
        }
        let length = saying.len().min(buffer.remaining());
        buffer.put_slice(&saying[..length]);
        saying.drain(..length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Peer {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.heard.extend_from_slice(bytes);
        self.waited = false;
        if self.says.front().is_some_and(Vec::is_empty) {
            self.says.pop_front();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl redpath::probe::fuzzing::CountersOfStream for Peer {}
