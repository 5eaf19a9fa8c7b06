//! The connect phase: TCP to addresses alone, never to a name.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::net::{TcpSocket, TcpStream};

use super::application::own_sockets;
use super::budget::{Budget, StopReason};
use super::socket_timestamps;
use crate::observation::LocalLimit;
use crate::observation::tcp::{ConnectFailure, FailedAttempt};
use crate::plan::Plan;

/// Each address gets at least this long within the phase, however many there are: with less, a distant endpoint that
/// is slow to answer would count as unreachable.
const MIN_SHARE: Duration = Duration::from_millis(250);

/// An open connection.
pub(super) struct TcpConnected {
    /// The stream.
    pub(super) stream: TcpStream,
    /// The peer.
    pub(super) address: SocketAddr,
    /// The local address.
    pub(super) source: Option<IpAddr>,
    /// How long this attempt took, without those before it.
    pub(super) took: Duration,
    /// The attempts before it, in order.
    pub(super) earlier: Vec<FailedAttempt>,
}

/// Why there is no connection.
pub(super) enum ConnectError {
    /// Every attempt failed: the first one, which is the phase's failure, and the others.
    Failed(FailedAttempt, Vec<FailedAttempt>),
    /// The probe was interrupted; the attempts that had failed by then.
    Interrupted(Vec<FailedAttempt>),
    /// A limit of this machine left no socket; the attempts that had failed by then.
    LocalLimit(Vec<FailedAttempt>),
}

/// Connects to the first of `addresses` that answers.
///
/// Each attempt has an equal share of what is left of the phase, so that a silent first address leaves time for the
/// second: with two addresses and 2.5 s, 1.25 s.
pub(super) async fn open(plan: &Plan, addresses: &[IpAddr], budget: &Budget) -> Result<TcpConnected, ConnectError> {
    let limit = budget.phase_limit();
    let begun = Instant::now();
    let mut earlier: Vec<FailedAttempt> = Vec::new();
    for (index, &ip) in addresses.iter().enumerate() {
        let left = limit.saturating_sub(begun.elapsed());
        if left.is_zero() && index > 0 {
            break;
        }
        let remaining = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let share = (left / remaining).max(MIN_SHARE).min(left);
        let address = SocketAddr::new(ip, plan.target.port);
        let mut started = Instant::now();
        let opening = async {
            let socket = if ip.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            started = Instant::now(); // without the time to open a socket
            socket.connect(address).await
        };
        let failure = match budget.within(share, opening).await {
            Ok(Ok(stream)) => {
                let took = started.elapsed();
                let took = socket_timestamps::handshake_time(&stream).filter(|kernel| *kernel <= took).unwrap_or(took);
                // Nagle's algorithm would delay commands, and be measured as Redis' time.
                let _ = stream.set_nodelay(true);
                let local = stream.local_addr().ok();
                if let Some(local) = local {
                    own_sockets::note(local);
                }
                let source = local.map(|local| local.ip().to_canonical());
                return Ok(TcpConnected { stream, address, source, took, earlier });
            }
            Ok(Err(error)) if LocalLimit::of(&error).is_some() => return Err(ConnectError::LocalLimit(earlier)),
            Ok(Err(error)) => connect_failure(&error),
            Err(StopReason::Timeout) => ConnectFailure::Timeout,
            Err(StopReason::Interrupt) => return Err(ConnectError::Interrupted(earlier)),
        };
        let class = plan.expectation.class(ip);
        earlier.push(FailedAttempt { address, class, failure, took_seconds: started.elapsed().into() });
    }
    if earlier.is_empty() {
        return Err(ConnectError::Interrupted(earlier));
    }
    let first = earlier.remove(0);
    Err(ConnectError::Failed(first, earlier))
}

/// The operating system's error as a failure of the phase.
fn connect_failure(error: &io::Error) -> ConnectFailure {
    /// No IPv6 in this kernel; the standard library has no kind for it.
    const EAFNOSUPPORT: i32 = if cfg!(target_os = "linux") { 97 } else { 47 };
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ConnectFailure::Refused,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => ConnectFailure::Reset,
        io::ErrorKind::HostUnreachable => ConnectFailure::HostUnreachable,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown | io::ErrorKind::AddrNotAvailable => {
            ConnectFailure::NetworkUnreachable
        }
        io::ErrorKind::TimedOut => ConnectFailure::Timeout,
        _ if error.raw_os_error() == Some(EAFNOSUPPORT) => ConnectFailure::NetworkUnreachable,
        _ => ConnectFailure::Other { error: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::super::budget::Interrupt;
    use super::*;
    use crate::target::{HostName, Target};

    fn plan(port: u16) -> Plan {
        Plan::new(Target::new(HostName::parse("cache1.example.org").expect("a host name"), Some(port), true))
    }

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().expect("an address")).collect()
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn tcp_os_errors_are_classified() {
        for (number, expected) in [
            (111, ConnectFailure::Refused),            // ECONNREFUSED
            (104, ConnectFailure::Reset),              // ECONNRESET
            (103, ConnectFailure::Reset),              // ECONNABORTED
            (113, ConnectFailure::HostUnreachable),    // EHOSTUNREACH
            (101, ConnectFailure::NetworkUnreachable), // ENETUNREACH
            (100, ConnectFailure::NetworkUnreachable), // ENETDOWN
            (99, ConnectFailure::NetworkUnreachable),  // EADDRNOTAVAIL
            (97, ConnectFailure::NetworkUnreachable),  // EAFNOSUPPORT
            (110, ConnectFailure::Timeout),            // ETIMEDOUT
        ] {
            assert_eq!(connect_failure(&io::Error::from_raw_os_error(number)), expected, "{number}");
        }
        assert!(matches!(connect_failure(&io::Error::from_raw_os_error(1)), ConnectFailure::Other { .. }), "EPERM");
    }

    #[tokio::test]
    async fn tcp_second_address_is_tried() {
        let listener = tokio::net::TcpListener::bind("127.0.0.2:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (_handle, interrupt) = Interrupt::new();
        let budget = Budget::new(Duration::from_secs(5), interrupt);
        let opened = open(&plan(port), &addresses(&["127.0.0.3", "127.0.0.2"]), &budget).await;
        let opened = opened.unwrap_or_else(|_| panic!("127.0.0.2 listens"));
        assert_eq!(opened.address.to_string(), format!("127.0.0.2:{port}"));
        assert_eq!(opened.earlier.len(), 1);
        assert_eq!(opened.earlier[0].failure, ConnectFailure::Refused);
        assert_eq!(opened.earlier[0].address.ip().to_string(), "127.0.0.3");
        assert!(opened.source.is_some_and(|source| source.is_loopback()));
        assert!(opened.stream.nodelay().expect("an option"));
    }

    #[tokio::test]
    async fn tcp_first_failure_is_the_reason() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let (handle, interrupt) = Interrupt::new();
        let budget = Budget::new(Duration::from_secs(5), interrupt);
        let failed = open(&plan(port), &addresses(&["127.0.0.1", "127.0.0.4", "127.0.0.5"]), &budget).await;
        let Err(ConnectError::Failed(first, further)) = failed else { panic!("nothing listens") };
        assert_eq!((first.address.ip().to_string(), first.failure), ("127.0.0.1".to_owned(), ConnectFailure::Refused));
        assert_eq!(further.len(), 2);
        drop(handle);
    }
}
