//! Times of a connection from the kernel: when the last bytes were received (`SO_TIMESTAMPNS`), how long the TCP
//! handshake took (`TCP_INFO`).
//!
//! A probe that reads a clock after it was woken also measures its own wake-up: tens of microseconds on an idle
//! machine, and as long as the pod is throttled. So the kernel's times are used where they are consistent with the
//! program's clocks, which are used otherwise.

mod stream;

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::observation::tls::TcpCounters;

use uapi::{MsghdrMut, OwnedFd, c};

pub(super) use self::stream::TimestampedStream;

/// When the last bytes of a connection were received; shared between the stream and the session that measures.
#[derive(Clone, Debug, Default)]
pub(super) struct LastReceived(Arc<AtomicU64>);

impl LastReceived {
    fn set(&self, at: SystemTime) {
        let nanos = at.duration_since(UNIX_EPOCH).ok().and_then(|since| u64::try_from(since.as_nanos()).ok());
        self.0.store(nanos.unwrap_or_default(), Ordering::Relaxed);
    }

    /// `None` without a timestamp of the kernel.
    fn get(&self) -> Option<SystemTime> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            nanos => UNIX_EPOCH.checked_add(Duration::from_nanos(nanos)),
        }
    }
}

/// A time by both clocks: the monotonic one, and the wall clock, which the kernel uses for timestamps.
#[derive(Clone, Copy, Debug)]
pub(super) struct DualClock {
    monotonic: Instant,
    wall: SystemTime,
}

impl DualClock {
    /// Now.
    pub(super) fn now() -> Self {
        Self { monotonic: Instant::now(), wall: SystemTime::now() }
    }

    /// How long ago.
    pub(super) fn elapsed(self) -> Duration {
        self.monotonic.elapsed()
    }

    /// How long until the last bytes were received; until now without a timestamp of the kernel.
    pub(super) fn until(self, last_received: &LastReceived) -> Duration {
        self.between(Self::now(), last_received.get())
    }

    /// Until the timestamp, or until `read`, when the bytes were read, if the timestamp is not between the two, or the
    /// wall clock was set meanwhile.
    fn between(self, read: Self, timestamp: Option<SystemTime>) -> Duration {
        /// How far the clocks may differ: the fastest slew (adjtimex(2)) is a thousandth, and they are read in turn.
        const MAX_SLEW: u32 = 1_000;
        const MAX_READ_GAP: Duration = Duration::from_micros(20);
        let monotonic = read.monotonic.saturating_duration_since(self.monotonic);
        let kernel = || {
            let wall = read.wall.duration_since(self.wall).ok()?;
            let received = timestamp?.duration_since(self.wall).ok()?;
            let consistent = wall.abs_diff(monotonic) <= MAX_READ_GAP + monotonic / MAX_SLEW;
            (consistent && received <= monotonic).then_some(received)
        };
        kernel().unwrap_or(monotonic)
    }
}

/// Keeps timestamps of packets on. The kernel switches them on with the first socket that asks for them, and off with
/// the last; doing so for each probe would cost more than the probe.
pub(super) struct TimestampGuard(#[expect(dead_code, reason = "only kept open")] Option<OwnedFd>);

impl TimestampGuard {
    /// Costs one descriptor; without it, the program's own clocks are used.
    pub(super) fn new() -> Self {
        let socket = uapi::socket(c::AF_INET, c::SOCK_DGRAM | c::SOCK_CLOEXEC, 0).ok();
        Self(socket.filter(|socket| enable_timestamps(socket).is_ok()))
    }
}

/// Asks for a timestamp with everything that `socket` receives (socket(7), `SO_TIMESTAMPNS`).
fn enable_timestamps(socket: &impl AsRawFd) -> io::Result<()> {
    Ok(uapi::setsockopt(socket.as_raw_fd(), c::SOL_SOCKET, c::SO_TIMESTAMPNS, &1_i32)?)
}

/// Receives the available bytes, and the timestamp of the last ones.
fn receive(socket: &impl AsRawFd, buffer: &mut [u8]) -> io::Result<(usize, Option<SystemTime>)> {
    let mut control = [0_u8; 64];
    let mut parts = [buffer];
    let mut message =
        MsghdrMut { iov: &mut parts[..], control: Some(&mut control[..]), name: uapi::sockaddr_none_mut(), flags: 0 };
    let (received, _, mut control) = uapi::recvmsg(socket.as_raw_fd(), &mut message, 0)?;
    let length = received.iter().map(<[u8]>::len).sum();
    let mut timestamp = None;
    while let Ok((_, header, data)) = uapi::cmsg_read(&mut control) {
        if (header.cmsg_level, header.cmsg_type) == (c::SOL_SOCKET, c::SCM_TIMESTAMPNS) {
            timestamp = parse_timespec(data);
        }
    }
    Ok((length, timestamp))
}

/// A `struct timespec` of two 64-bit words; `None` for another.
fn parse_timespec(timespec: &[u8]) -> Option<SystemTime> {
    let (seconds, nanos) = timespec.split_at_checked(8)?;
    let seconds = u64::try_from(i64::from_ne_bytes(seconds.try_into().ok()?)).ok()?;
    let nanos =
        u32::try_from(i64::from_ne_bytes(nanos.try_into().ok()?)).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))
}

/// How long the SYN and its answer took, where neither was lost: the only round trip of a connection that has just been
/// opened (tcp(7), `TCP_INFO`).
pub(super) fn handshake_time(socket: &impl AsRawFd) -> Option<Duration> {
    /// The places of `tcpi_rtt`, in microseconds, and `tcpi_total_retrans` in `struct tcp_info` (linux/tcp.h), as
    /// 32-bit words. The structure only grows at its end.
    const RTT: usize = 68 / 4;
    const TOTAL_RETRANS: usize = 100 / 4;
    let mut words = [0_u32; TOTAL_RETRANS + 1];
    let known = uapi::getsockopt(socket.as_raw_fd(), c::IPPROTO_TCP, c::TCP_INFO, &mut words).ok()?;
    (known == size_of_val(&words) && words[TOTAL_RETRANS] == 0 && words[RTT] > 0)
        .then(|| Duration::from_micros(words[RTT].into()))
}

/// What the kernel counted on a connection (linux/tcp.h, `struct tcp_info`); `None` on a kernel before 5.4.
pub(super) fn counters(socket: &impl AsRawFd) -> Option<TcpCounters> {
    /// The places of `tcpi_bytes_acked` (64 bits), which counts the SYN as one, and of `tcpi_rcv_ooopack`.
    const BYTES_ACKED: usize = 120 / 4;
    const OUT_OF_ORDER: usize = 224 / 4;
    let mut words = [0_u32; OUT_OF_ORDER + 1];
    let known = uapi::getsockopt(socket.as_raw_fd(), c::IPPROTO_TCP, c::TCP_INFO, &mut words).ok()?;
    (known == size_of_val(&words)).then(|| {
        let (first, second) = (words[BYTES_ACKED].to_ne_bytes(), words[BYTES_ACKED + 1].to_ne_bytes());
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&first);
        bytes[4..].copy_from_slice(&second);
        TcpCounters {
            bytes_acknowledged: u64::from_ne_bytes(bytes).saturating_sub(1),
            segments_out_of_order: words[OUT_OF_ORDER],
        }
    })
}

/// What was sent on a connection and is not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(unreachable_pub, reason = "the fuzz targets have streams of their own")]
pub struct Unacknowledged {
    /// How many segments.
    pub segments: u32,
    /// How often the first of them was sent again.
    pub retransmits: u8,
}

/// What is not acknowledged on a connection (linux/tcp.h, `struct tcp_info`).
pub(super) fn unacknowledged(socket: &impl AsRawFd) -> Option<Unacknowledged> {
    /// The place of `tcpi_unacked`; `tcpi_retransmits` is the third byte.
    const UNACKED: usize = 24 / 4;
    let mut words = [0_u32; UNACKED + 1];
    let known = uapi::getsockopt(socket.as_raw_fd(), c::IPPROTO_TCP, c::TCP_INFO, &mut words).ok()?;
    let [_state, _congestion, retransmits, _probes] = words[0].to_ne_bytes();
    (known == size_of_val(&words)).then_some(Unacknowledged { segments: words[UNACKED], retransmits })
}

/// A stream whose counters can be asked for.
#[allow(unreachable_pub, reason = "the fuzz targets have streams of their own")]
pub trait CountersOfStream {
    /// What the kernel counted; `None` for what is no TCP connection.
    fn counters(&self) -> Option<TcpCounters> {
        None
    }

    /// What is not acknowledged; `None` for what is no TCP connection.
    fn unacknowledged(&self) -> Option<Unacknowledged> {
        None
    }
}

impl CountersOfStream for tokio::net::TcpStream {
    fn counters(&self) -> Option<TcpCounters> {
        counters(self)
    }
}

/// A stream that a session of Redis runs over, whatever is between: one type, so that the session is compiled once.
#[allow(unreachable_pub, reason = "the fuzz targets have streams of their own")]
pub trait SessionStream: AsyncRead + AsyncWrite + CountersOfStream + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + CountersOfStream + Unpin + Send> SessionStream for S {}

#[cfg(any(test, feature = "fuzzing"))]
impl CountersOfStream for tokio::io::DuplexStream {}

#[cfg(any(test, feature = "fuzzing"))]
impl<S: CountersOfStream> CountersOfStream for &mut S {}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    /// Any time.
    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn at(millis: i64) -> SystemTime {
        let by = Duration::from_millis(millis.unsigned_abs());
        UNIX_EPOCH + if millis < 0 { NOW - by } else { NOW + by }
    }

    /// Bytes sent when both clocks were 0, and read at these times, in milliseconds: how long that counts as.
    fn between(monotonic: u64, wall: i64, timestamp: Option<i64>) -> u128 {
        let sent = DualClock { monotonic: Instant::now(), wall: at(0) };
        let read = DualClock { monotonic: sent.monotonic + Duration::from_millis(monotonic), wall: at(wall) };
        sent.between(read, timestamp.map(at)).as_millis()
    }

    #[test]
    fn timestamp_outside_clock_range_is_ignored() {
        assert_eq!(between(30, 30, Some(20)), 20, "it is between");
        assert_eq!(between(30, 30, None), 30, "there is none");
        assert_eq!(between(30, 30, Some(-5)), 30, "of earlier bytes");
        assert_eq!(between(30, 30, Some(31)), 30, "in the future");
        assert_eq!(between(30, 10_030, Some(20)), 30, "the clock was set forward");
        assert_eq!(between(30, 10, Some(5)), 30, "the clock was set back a little");
        assert_eq!(between(30, -10_000, Some(20)), 30, "the clock was set back");
        assert_eq!(between(4_000, 4_002, Some(3_000)), 3_000, "the clock is being slewed");
    }

    #[test]
    fn timespec_parses_and_rejects_invalid() {
        let bytes = |seconds: i64, nanos: i64| [seconds.to_ne_bytes(), nanos.to_ne_bytes()].concat();
        assert_eq!(parse_timespec(&bytes(1_800_000_000, 5)), Some(at(0) + Duration::from_nanos(5)));
        for invalid in [bytes(-1, 0), bytes(0, -1), bytes(0, 1_000_000_000), bytes(0, 0)[..15].to_vec(), Vec::new()] {
            assert_eq!(parse_timespec(&invalid), None, "{invalid:?}");
        }
    }

    async fn connected() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
        (client.expect("a connection"), server.expect("a client").0)
    }

    #[tokio::test]
    async fn handshake_time_is_at_most_connect_time() {
        let begun = Instant::now();
        let (client, _server) = connected().await;
        let took = begun.elapsed();
        let handshake = handshake_time(&client).expect("TCP_INFO");
        assert!(handshake > Duration::ZERO && handshake <= took, "{handshake:?} of {took:?}");
    }

    #[tokio::test]
    async fn timestamped_read_uses_arrival_time() {
        let _guard = TimestampGuard::new();
        let (client, mut server) = connected().await;
        let mut client = TimestampedStream::new(client);
        let last_received = client.last_received();
        let mut buffer = [0; 64];
        let begun = Instant::now();
        // The kernel begins a moment after it was asked to.
        let (waited, until) = loop {
            let sent = DualClock::now();
            server.write_all(b"+PONG\r\n").await.expect("an open connection");
            std::thread::sleep(Duration::from_millis(60));
            let length = client.read(&mut buffer).await.expect("an open connection");
            assert_eq!(&buffer[..length], b"+PONG\r\n");
            let (until, waited) = (sent.until(&last_received), sent.elapsed());
            if until < waited / 2 || begun.elapsed() > Duration::from_secs(20) {
                break (waited, until);
            }
        };
        assert!(until < Duration::from_millis(30) && waited >= Duration::from_millis(60), "{until:?} of {waited:?}");
    }

    #[tokio::test]
    async fn timestamped_stream_reads_to_eof() {
        let (client, mut server) = connected().await;
        let mut client = TimestampedStream::new(client);
        let sent: Vec<u8> = (0..200_000_u32).map(|at| at.to_le_bytes()[0]).collect();
        let write = async {
            server.write_all(&sent).await.expect("an open connection");
            drop(server);
        };
        let mut received = Vec::new();
        let (read, ()) = tokio::join!(client.read_to_end(&mut received), write);
        assert_eq!(read.expect("an orderly end"), sent.len());
        assert!(received == sent);
    }
}
