//! A TCP stream that records when its bytes were received.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::{CountersOfStream, LastReceived, Unacknowledged, counters, enable_timestamps, receive, unacknowledged};
use crate::observation::tls::TcpCounters;

/// A stream with the time of the last bytes received.
pub(in crate::probe) struct TimestampedStream {
    tcp: TcpStream,
    last_received: LastReceived,
}

impl TimestampedStream {
    /// Asks the kernel for timestamps; without them there is no time.
    pub(in crate::probe) fn new(tcp: TcpStream) -> Self {
        let _ = enable_timestamps(&tcp);
        Self { tcp, last_received: LastReceived::default() }
    }

    /// When the last bytes were received, from here on.
    pub(in crate::probe) fn last_received(&self) -> LastReceived {
        self.last_received.clone()
    }
}

impl CountersOfStream for TimestampedStream {
    fn counters(&self) -> Option<TcpCounters> {
        counters(&self.tcp)
    }

    fn unacknowledged(&self) -> Option<Unacknowledged> {
        unacknowledged(&self.tcp)
    }
}

impl AsyncRead for TimestampedStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            ready!(this.tcp.poll_read_ready(cx))?;
            let room = buffer.initialize_unfilled();
            let mut received = None;
            let tried = this.tcp.try_io(Interest::READABLE, || {
                let (length, timestamp) = receive(&this.tcp, room)?;
                received = Some((length, timestamp));
                // Less than there was room for: nothing more is available, and the runtime waits for more.
                if length > 0 && length < room.len() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
            });
            match (received, tried) {
                (Some((length, timestamp)), _) => {
                    if let Some(timestamp) = timestamp {
                        this.last_received.set(timestamp);
                    }
                    buffer.advance(length);
                    return Poll::Ready(Ok(()));
                }
                (None, Err(error)) if error.kind() != io::ErrorKind::WouldBlock => return Poll::Ready(Err(error)),
                (None, _) => {}
            }
        }
    }
}

impl AsyncWrite for TimestampedStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tcp).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tcp).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(cx)
    }
}
