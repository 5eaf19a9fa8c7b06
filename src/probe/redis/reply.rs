//! Reads one Redis reply from a stream: the `redis` crate parses the bytes, and this module bounds them.

use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use combine::parser::combinator::AnySendSyncPartialState;
use combine::stream::{Decoder, PointerOffset};
use futures_util::FutureExt;
use redis::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::probe::socket_timestamps::LastReceived;

/// The most bytes of one reply, unless [`RespConnection::set_limit`] changes it. Most replies are one line.
pub(super) const MAX_BYTES: usize = 64 * 1024;

/// How many bytes of a reply's beginning are kept for an error.
const HEAD_BYTES: usize = 256;

/// How many bytes of a streamed text are read at a time.
const STREAMED_BYTES: usize = 16 * 1024;

/// A connection on which each command is answered before the next is sent.
pub(in crate::probe) struct RespConnection<S> {
    stream: S,
    last_received: LastReceived,
    decoder: Decoder<AnySendSyncPartialState, PointerOffset<[u8]>>,
    bounds: Bounds,
    limit: usize,
}

/// The reply to a command.
#[derive(Debug, PartialEq)]
pub(super) enum Reply {
    /// A reply to the command.
    Answer(Value),
    /// A reply that came before the command was sent.
    Unsolicited(Value),
}

/// What came of a text that was given away piece by piece.
pub(super) enum Streamed {
    /// All of it was read.
    Text,
    /// It is longer than the limit; the rest was not read.
    TooLong,
    /// The reader had enough.
    Stopped,
    /// The reply is no text.
    Other(Reply),
}

/// Why there is no reply.
#[derive(Debug)]
pub(super) enum ReadError {
    /// What came is not the protocol; this is how it begins.
    NotRedis(Vec<u8>),
    /// The reply has more bytes than this limit.
    TooLong(usize),
    /// The stream ended.
    Closed,
    /// The stream failed.
    Failed(io::Error),
}

/// What has been read of the current reply.
#[derive(Default)]
struct Bounds {
    bytes: usize,
    head: Vec<u8>,
    end: Option<ReadError>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> RespConnection<S> {
    /// Over a stream that records there when bytes are received.
    pub(in crate::probe) fn new(stream: S, last_received: LastReceived) -> Self {
        Self { stream, last_received, decoder: Decoder::new(), bounds: Bounds::default(), limit: MAX_BYTES }
    }

    /// Bounds the replies from here on to `limit` bytes.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Sends one packed command and reads its reply to the end.
    ///
    /// An unsolicited error counts as the reply: a server sends one before it closes, such as
    /// `-ERR max number of clients reached`.
    pub(super) async fn call(&mut self, command: &[u8]) -> Result<Reply, ReadError> {
        self.bounds = Bounds::default();
        if let Some(early) = self.read_available().await {
            return Ok(match early? {
                error @ Value::ServerError(_) => Reply::Answer(error),
                other => Reply::Unsolicited(other),
            });
        }
        let sent = async {
            self.stream.write_all(command).await?;
            self.stream.flush().await // TLS buffers
        };
        let sent = sent.await;
        match (self.read().await, sent) {
            (Ok(value), _) => Ok(Reply::Answer(value)),
            // A peer that has closed may have sent the reason before, so that is read first.
            (Err(ReadError::Closed), Err(error)) => Err(ReadError::Failed(error)),
            (Err(error), _) => Err(error),
        }
    }

    /// Sends one packed command and gives the text of its reply to `take` as it arrives, at most `limit` bytes of it.
    /// Nothing else may be sent after a text that was not read to its end.
    pub(super) async fn call_streamed(
        &mut self,
        command: &[u8],
        limit: u64,
        mut take: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<Streamed, ReadError> {
        self.bounds = Bounds::default();
        if let Some(early) = self.read_available().await {
            return Ok(Streamed::Other(Reply::Unsolicited(early?)));
        }
        self.stream.write_all(command).await.map_err(ReadError::Failed)?;
        self.stream.flush().await.map_err(ReadError::Failed)?;
        let mut buffer = vec![0; STREAMED_BYTES];
        let mut head = self.decoder.buffer().to_vec();
        let end = loop {
            if let Some(end) = head.iter().position(|byte| *byte == b'\n') {
                break end;
            }
            if head.len() > MAX_BYTES {
                return Err(ReadError::TooLong(MAX_BYTES));
            }
            match self.stream.read(&mut buffer).await {
                Ok(0) => {
                    return Err(if head.is_empty() || begins_a_reply(&head) {
                        ReadError::Closed
                    } else {
                        ReadError::NotRedis(head)
                    });
                }
                Ok(length) => head.extend_from_slice(&buffer[..length]),
                Err(error) => return Err(failed(error)),
            }
        };
        let Some(length) = text_length(&head[..end]) else {
            return match redis::parse_redis_value(&head[..=end]) {
                Ok(value) => Ok(Streamed::Other(Reply::Answer(value))),
                Err(_) => Err(ReadError::NotRedis(head)),
            };
        };
        let mut left = length.min(limit);
        let mut received: &[u8] = &head[end + 1..];
        loop {
            let part = &received[..usize::try_from(left).unwrap_or(usize::MAX).min(received.len())];
            if take(part).is_break() {
                return Ok(Streamed::Stopped);
            }
            left -= part.len() as u64;
            if left == 0 {
                break;
            }
            let read = self.stream.read(&mut buffer).await.map_err(failed)?;
            if read == 0 {
                return Err(ReadError::Closed);
            }
            received = &buffer[..read];
        }
        Ok(if length > limit { Streamed::TooLong } else { Streamed::Text })
    }

    /// Waits for what the peer sends without a command, or for the end of the stream. A dropped wait loses nothing.
    pub(super) async fn unsolicited(&mut self) -> Result<Value, ReadError> {
        self.bounds = Bounds::default();
        self.read().await
    }

    /// A reply that has been received before a command was sent.
    async fn read_available(&mut self) -> Option<Result<Value, ReadError>> {
        // A dropped read loses nothing: the decoder keeps the beginning of the reply.
        self.read().now_or_never()
    }

    async fn read(&mut self) -> Result<Value, ReadError> {
        if self.bounds.head.is_empty() {
            let buffered = self.decoder.buffer();
            self.bounds.head.extend_from_slice(&buffered[..buffered.len().min(HEAD_BYTES)]);
        }
        loop {
            let mut reader = Bounded { stream: &mut self.stream, bounds: &mut self.bounds, limit: self.limit };
            match redis::parse_redis_value_async(&mut self.decoder, &mut reader).await {
                Ok(Value::Push { .. }) => {} // RESP3: out of band, and within the bound of this reply
                Ok(Value::Attribute { data, .. }) => return Ok(*data),
                Ok(value) => return Ok(value),
                Err(_) => {
                    let head = std::mem::take(&mut self.bounds.head);
                    return Err(match self.bounds.end.take() {
                        Some(ReadError::Closed) if !head.is_empty() && !begins_a_reply(&head) => {
                            ReadError::NotRedis(head)
                        }
                        Some(end) => end,
                        None => ReadError::NotRedis(head),
                    });
                }
            }
        }
    }

    /// When the last bytes of the stream were received.
    pub(super) fn last_received(&self) -> &LastReceived {
        &self.last_received
    }

    pub(super) fn stream(&mut self) -> &mut S {
        &mut self.stream
    }
}

/// The length of a text of which this is the first line, `$LENGTH`.
fn text_length(line: &[u8]) -> Option<u64> {
    let digits = line.strip_suffix(b"\r").unwrap_or(line).strip_prefix(b"$")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn failed(error: io::Error) -> ReadError {
    if error.kind() == io::ErrorKind::UnexpectedEof { ReadError::Closed } else { ReadError::Failed(error) }
}

/// Whether `bytes` begin with one of the types of RESP2 and RESP3.
fn begins_a_reply(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| b"+-:$*%|~_,#!=(>".contains(first))
}

/// Reads no more than the limit, and records why it ended: the parser's own errors say less, and differ from version
/// to version.
struct Bounded<'a, S> {
    stream: &'a mut S,
    bounds: &'a mut Bounds,
    limit: usize,
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<'_, S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let room = this.limit.saturating_sub(this.bounds.bytes);
        if room == 0 {
            this.bounds.end = Some(ReadError::TooLong(this.limit));
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let mut part = [0; 4096];
        let length = room.min(buffer.remaining()).min(part.len());
        let mut part = ReadBuf::new(&mut part[..length]);
        if let Err(error) = ready!(Pin::new(&mut *this.stream).poll_read(cx, &mut part)) {
            let closed = error.kind() == io::ErrorKind::UnexpectedEof;
            this.bounds.end = Some(if closed { ReadError::Closed } else { ReadError::Failed(error) });
            return Poll::Ready(Err(io::ErrorKind::Other.into()));
        }
        let bytes = part.filled();
        if bytes.is_empty() {
            this.bounds.end = Some(ReadError::Closed);
        }
        this.bounds.bytes += bytes.len();
        let room = HEAD_BYTES.saturating_sub(this.bounds.head.len());
        this.bounds.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        buffer.put_slice(bytes);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sends `bytes`, cut there, to a connection that sends commands until it fails.
    fn run_connection(bytes: &[u8], cuts: &[usize]) -> (Vec<Reply>, ReadError) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (ours, theirs) = tokio::io::duplex(1 << 20);
            let (mut requests, mut replies) = tokio::io::split(theirs);
            let server = async {
                let mut first = [0; 1];
                let _ = requests.read(&mut first).await;
                let mut rest = bytes;
                for cut in cuts {
                    let (piece, after) = rest.split_at((*cut).min(rest.len()));
                    let _ = replies.write_all(piece).await;
                    tokio::task::yield_now().await;
                    rest = after;
                }
                let _ = replies.write_all(rest).await;
                let _ = replies.shutdown().await;
            };
            let client = async {
                let mut connection = RespConnection::new(ours, LastReceived::default());
                let mut replies = Vec::new();
                loop {
                    match connection.call(b"PING\r\n").await {
                        Ok(reply) => replies.push(reply),
                        Err(error) => break (replies, error),
                    }
                }
            };
            tokio::join!(server, client).1
        })
    }

    fn first(bytes: &[u8]) -> Result<Value, ReadError> {
        let (mut replies, error) = run_connection(bytes, &[]);
        if replies.is_empty() {
            return Err(error);
        }
        match replies.swap_remove(0) {
            Reply::Answer(value) | Reply::Unsolicited(value) => Ok(value),
        }
    }

    #[test]
    fn resp_replies_parse() {
        assert_eq!(first(b"+PONG\r\n").expect("a reply"), Value::SimpleString("PONG".into()));
        assert_eq!(
            first(b">2\r\n+pubsub\r\n+x\r\n+PONG\r\n").expect("after a push"),
            Value::SimpleString("PONG".into())
        );
        assert!(matches!(first(b"-NOAUTH Authentication required.\r\n"), Ok(Value::ServerError(_))));
    }

    #[test]
    fn resp_invalid_replies_are_classified() {
        assert!(
            matches!(first(b"HTTP/1.1 400 Bad Request\r\n"), Err(ReadError::NotRedis(head)) if head.starts_with(b"HTTP"))
        );
        assert!(matches!(first(b""), Err(ReadError::Closed)));
        assert!(matches!(first(b"+PON"), Err(ReadError::Closed)));
        assert!(matches!(first(b"*2000000000\r\n"), Err(ReadError::Closed)));
        assert!(matches!(first(b"$9223372036854775807\r\nx"), Err(ReadError::Closed)));
        assert!(matches!(first(&b"*1\r\n".repeat(1_000)), Err(ReadError::NotRedis(_))), "nested too deep");
        assert!(matches!(
            first(&[b"+".as_slice(), &[b'x'; MAX_BYTES + 10]].concat()),
            Err(ReadError::TooLong(MAX_BYTES))
        ));
        assert!(
            matches!(first(&b">1\r\n+x\r\n".repeat(MAX_BYTES)), Err(ReadError::TooLong(MAX_BYTES))),
            "pushes without end"
        );
    }

    #[test]
    fn resp_unsolicited_reply_is_rejected() {
        let (replies, _) = run_connection(b"+PONG\r\n+PONG\r\n-ERR bye\r\n", &[]);
        assert!(matches!(replies[0], Reply::Answer(Value::SimpleString(_))));
        assert!(matches!(replies[1], Reply::Unsolicited(Value::SimpleString(_))));
        assert!(matches!(replies[2], Reply::Answer(Value::ServerError(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn resp_any_bytes_do_not_panic(
            bytes in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..400),
                "([+:$*%|~_,#!=(>-]-?[0-9]{0,20}(\r\n)?[a-z]{0,5}(\r\n)?){0,40}".prop_map(String::into_bytes),
            ],
            cuts in proptest::collection::vec(1_usize..50, 0..20),
        ) {
            let (replies, _) = run_connection(&bytes, &cuts);
            prop_assert!(replies.len() <= bytes.len());
        }

        #[test]
        fn resp_chunking_does_not_matter(text in "[a-zA-Z0-9 ]{0,60}", cuts in proptest::collection::vec(1_usize..9, 0..30)) {
            let bytes = format!("${}\r\n{text}\r\n", text.len());
            let (replies, error) = run_connection(bytes.as_bytes(), &cuts);
            prop_assert_eq!(replies, vec![Reply::Answer(Value::BulkString(text.into_bytes()))]);
            prop_assert!(matches!(error, ReadError::Closed));
        }
    }
}
