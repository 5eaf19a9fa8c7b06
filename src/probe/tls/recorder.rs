//! A stream that counts the bytes received, and keeps the first of them for the record of the handshake.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::record::HandshakeRecord;
use crate::lock::lock;

/// A stream that counts what it receives.
pub(in crate::probe) struct RecordingStream<S> {
    stream: S,
    record: Arc<Mutex<HandshakeRecord>>,
}

impl<S> RecordingStream<S> {
    pub(super) fn new(stream: S, record: Arc<Mutex<HandshakeRecord>>) -> Self {
        Self { stream, record }
    }

    /// The stream below.
    pub(super) fn inner(&self) -> &S {
        &self.stream
    }

    /// The record so far.
    pub(super) fn record(&self) -> MutexGuard<'_, HandshakeRecord> {
        lock(&self.record)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for RecordingStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        lock(&this.record).received.count(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for RecordingStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    /// Sends a flight of messages in one segment: with one each, a server that rejects the first and closes
    /// resets the others, and its alert is lost.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
