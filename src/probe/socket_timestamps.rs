//! What the kernel knows of a connection's times, and a program that was asleep learns late: when the last bytes
//! came, how long the handshake of TCP took.
//!
//! A probe that reads a clock after it was woken measures its own wake-up besides: tens of microseconds on an
//! idle machine, and as long as the pod is throttled where it is. So the kernel is asked, and its word is taken
//! only where it fits what the clocks here say; where it does not, or there is none, they stand.

mod stream;

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use uapi::{MsghdrMut, OwnedFd, c};

pub(super) use self::stream::TimestampedStream;

/// When the last bytes of a connection came to this machine; shared between who reads them and who measures.
#[derive(Clone, Debug, Default)]
pub(super) struct LastReceived(Arc<AtomicU64>);

impl LastReceived {
    fn note(&self, at: SystemTime) {
        let nanos = at.duration_since(UNIX_EPOCH).ok().and_then(|since| u64::try_from(since.as_nanos()).ok());
        self.0.store(nanos.unwrap_or_default(), Ordering::Relaxed);
    }

    /// `None` where the kernel has not said.
    fn last(&self) -> Option<SystemTime> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            nanos => UNIX_EPOCH.checked_add(Duration::from_nanos(nanos)),
        }
    }
}

/// A moment by both clocks: the one that never steps, and the one that the kernel stamps packets by.
#[derive(Clone, Copy, Debug)]
pub(super) struct DualClock {
    steady: Instant,
    wall: SystemTime,
}

impl DualClock {
    /// This moment.
    pub(super) fn now() -> Self {
        Self { steady: Instant::now(), wall: SystemTime::now() }
    }

    /// How long ago.
    pub(super) fn elapsed(self) -> Duration {
        self.steady.elapsed()
    }

    /// How long until the last bytes came; until now where the kernel has not said when that was.
    pub(super) fn until(self, arrival: &LastReceived) -> Duration {
        self.between(Self::now(), arrival.last())
    }

    /// Up to `read`, when the bytes were read. A stamp that lies outside of the two, or between which the clock was set, says nothing.
    fn between(self, read: Self, stamped: Option<SystemTime>) -> Duration {
        /// How far the two clocks part in themselves: as fast as one may be slewed (adjtimex(2)), and the time between their readings.
        const SLEWED: u32 = 1_000;
        const APART: Duration = Duration::from_micros(20);
        let steady = read.steady.saturating_duration_since(self.steady);
        let kernel = || {
            let wall = read.wall.duration_since(self.wall).ok()?;
            let stamped = stamped?.duration_since(self.wall).ok()?;
            (wall.abs_diff(steady) <= APART + steady / SLEWED && stamped <= steady).then_some(stamped)
        };
        kernel().unwrap_or(steady)
    }
}

/// Keeps the kernel stamping packets: it begins a moment after the first socket wants that, and
/// stops with the last, which for each probe anew would cost more than the probe.
pub(super) struct TimestampGuard(#[expect(dead_code, reason = "it is open, which is all")] Option<OwnedFd>);

impl TimestampGuard {
    /// Costs one descriptor; without it, the program's own clocks stand.
    pub(super) fn new() -> Self {
        let socket = uapi::socket(c::AF_INET, c::SOCK_DGRAM | c::SOCK_CLOEXEC, 0).ok();
        Self(socket.filter(|socket| stamp(socket).is_ok()))
    }
}

/// Asks for a stamp with everything that `socket` receives (socket(7), `SO_TIMESTAMPNS`).
fn stamp(socket: &impl AsRawFd) -> io::Result<()> {
    Ok(uapi::setsockopt(socket.as_raw_fd(), c::SOL_SOCKET, c::SO_TIMESTAMPNS, &1_i32)?)
}

/// Receives what there is, and when the last of it came.
fn receive(socket: &impl AsRawFd, buffer: &mut [u8]) -> io::Result<(usize, Option<SystemTime>)> {
    let mut control = [0_u8; 64];
    let mut parts = [buffer];
    let mut message =
        MsghdrMut { iov: &mut parts[..], control: Some(&mut control[..]), name: uapi::sockaddr_none_mut(), flags: 0 };
    let (received, _, mut control) = uapi::recvmsg(socket.as_raw_fd(), &mut message, 0)?;
    let length = received.iter().map(<[u8]>::len).sum();
    let mut stamped = None;
    while let Ok((_, header, data)) = uapi::cmsg_read(&mut control) {
        if (header.cmsg_level, header.cmsg_type) == (c::SOL_SOCKET, c::SCM_TIMESTAMPNS) {
            stamped = time_of(data);
        }
    }
    Ok((length, stamped))
}

/// A `struct timespec` of two 64-bit words; of others nothing is read.
fn time_of(timespec: &[u8]) -> Option<SystemTime> {
    let (seconds, nanos) = timespec.split_at_checked(8)?;
    let seconds = u64::try_from(i64::from_ne_bytes(seconds.try_into().ok()?)).ok()?;
    let nanos =
        u32::try_from(i64::from_ne_bytes(nanos.try_into().ok()?)).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))
}

/// How long the SYN and its answer took, where neither was lost: the only round trip that there was on a
/// connection that has just been opened (tcp(7), `TCP_INFO`).
pub(super) fn handshake(socket: &impl AsRawFd) -> Option<Duration> {
    /// Where `tcpi_rtt`, in microseconds, and `tcpi_total_retrans` stand in the words of `struct tcp_info`
    /// (linux/tcp.h), which only ever grows at its end.
    const RTT: usize = 68 / 4;
    const TOTAL_RETRANS: usize = 100 / 4;
    let mut words = [0_u32; TOTAL_RETRANS + 1];
    let known = uapi::getsockopt(socket.as_raw_fd(), c::IPPROTO_TCP, c::TCP_INFO, &mut words).ok()?;
    (known == size_of_val(&words) && words[TOTAL_RETRANS] == 0 && words[RTT] > 0)
        .then(|| Duration::from_micros(words[RTT].into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    /// Whatever time it is.
    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn at(millis: i64) -> SystemTime {
        let by = Duration::from_millis(millis.unsigned_abs());
        UNIX_EPOCH + if millis < 0 { NOW - by } else { NOW + by }
    }

    /// What was sent when both clocks said nought, and read when they said so, in milliseconds: how long that counts as.
    fn between(steady: u64, wall: i64, stamped: Option<i64>) -> u128 {
        let sent = DualClock { steady: Instant::now(), wall: at(0) };
        let read = DualClock { steady: sent.steady + Duration::from_millis(steady), wall: at(wall) };
        sent.between(read, stamped.map(at)).as_millis()
    }

    #[test]
    fn timestamp_outside_clock_range_is_ignored() {
        assert_eq!(between(30, 30, Some(20)), 20, "it lay between");
        assert_eq!(between(30, 30, None), 30, "there is none");
        assert_eq!(between(30, 30, Some(-5)), 30, "of bytes that came before");
        assert_eq!(between(30, 30, Some(31)), 30, "of the future");
        assert_eq!(between(30, 10_030, Some(20)), 30, "the clock was set forward");
        assert_eq!(between(30, 10, Some(5)), 30, "the clock was set back a little");
        assert_eq!(between(30, -10_000, Some(20)), 30, "the clock was set back");
        assert_eq!(between(4_000, 4_002, Some(3_000)), 3_000, "the clock is being slewed");
    }

    #[test]
    fn timespec_parses_and_rejects_invalid() {
        let bytes = |seconds: i64, nanos: i64| [seconds.to_ne_bytes(), nanos.to_ne_bytes()].concat();
        assert_eq!(time_of(&bytes(1_800_000_000, 5)), Some(at(0) + Duration::from_nanos(5)));
        for nonsense in [bytes(-1, 0), bytes(0, -1), bytes(0, 1_000_000_000), bytes(0, 0)[..15].to_vec(), Vec::new()] {
            assert_eq!(time_of(&nonsense), None, "{nonsense:?}");
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
        let handshake = handshake(&client).expect("this kernel tells");
        assert!(handshake > Duration::ZERO && handshake <= took, "{handshake:?} of {took:?}");
    }

    #[tokio::test]
    async fn timestamped_read_uses_arrival_time() {
        let _stamping = TimestampGuard::new();
        let (client, mut server) = connected().await;
        let mut client = TimestampedStream::new(client);
        let arrival = client.arrival();
        let mut buffer = [0; 64];
        let begun = Instant::now();
        // The kernel begins to stamp a moment after it was asked to.
        let (waited, until) = loop {
            let sent = DualClock::now();
            server.write_all(b"+PONG\r\n").await.expect("an open connection");
            std::thread::sleep(Duration::from_millis(60));
            let length = client.read(&mut buffer).await.expect("an open connection");
            assert_eq!(&buffer[..length], b"+PONG\r\n");
            let (until, waited) = (sent.until(&arrival), sent.elapsed());
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
