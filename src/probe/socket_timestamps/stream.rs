//! A TCP stream that notes when its bytes came.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::{LastReceived, receive, stamp};

/// A stream whose arrivals are noted.
pub(in crate::probe) struct TimestampedStream {
    tcp: TcpStream,
    arrival: LastReceived,
}

impl TimestampedStream {
    /// From here on; where the kernel stamps nothing, nothing is noted.
    pub(in crate::probe) fn new(tcp: TcpStream) -> Self {
        let _ = stamp(&tcp);
        Self { tcp, arrival: LastReceived::default() }
    }

    /// Where the arrivals are noted.
    pub(in crate::probe) fn arrival(&self) -> LastReceived {
        self.arrival.clone()
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
                let (length, stamped) = receive(&this.tcp, room)?;
                received = Some((length, stamped));
                // Less than there was room for is all there was: the runtime is told so, and asks the kernel no more
                // before it hears of more.
                if length > 0 && length < room.len() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
            });
            match (received, tried) {
                (Some((length, stamped)), _) => {
                    if let Some(stamped) = stamped {
                        this.arrival.note(stamped);
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
