//! The TCP connections that applications of this network namespace have open towards a target, as the kernel lists
//! them. Counts alone leave this module: no process is looked into.

#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod history;
pub(super) mod own_sockets;
pub mod peers;
mod phase;
mod proc_net;
mod sock_diag;

pub(super) use phase::{ApplicationPhase, SeenByProbe};

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::azure::Service;
use crate::observation::application::SocketSource;
use crate::target::Target;

/// The most sockets that one list holds.
pub const MAX_SOCKETS: usize = 65_536;

/// Ports of a peer, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortRange {
    /// The lowest.
    pub first: u16,
    /// The highest.
    pub last: u16,
}

impl PortRange {
    /// The ports that clients of a target use: its own, those of the nodes that it announced, and those that the
    /// Azure service has for its nodes.
    pub fn of_target(target: &Target, announced: &[u16]) -> Vec<Self> {
        let mut ports: Vec<Self> = [target.port].iter().chain(announced).map(|port| Self::one(*port)).collect();
        ports.extend(match target.service {
            // Nodes of the OSS cluster policy.
            Service::AzureCacheForRedisEnterprise | Service::AzureManagedRedis => {
                &[Self { first: 8500, last: 8599 }][..]
            }
            // Shards with TLS, and without.
            Service::AzureCacheForRedis => {
                &[Self { first: 15_000, last: 15_009 }, Self { first: 13_000, last: 13_009 }]
            }
            Service::Other => &[],
        });
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// A single port.
    pub fn one(port: u16) -> Self {
        Self { first: port, last: port }
    }

    /// Whether the port is in it.
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

/// A TCP socket with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Its own address; IPv4-mapped ones as IPv4.
    pub local: SocketAddr,
    /// The peer's address; IPv4-mapped ones as IPv4.
    pub peer: SocketAddr,
    /// Its state.
    pub state: State,
    /// How often an unanswered segment was sent again; above 0 in `SYN_SENT`, the SYN is not answered.
    pub retransmits: u8,
    /// The inode number of the socket; 0 in `TIME_WAIT`, where no process holds it any more.
    pub inode: u64,
    /// What the kernel measured; absent where only `/proc` was read, and in `TIME_WAIT`.
    pub info: Option<SocketInfo>,
}

impl Socket {
    /// Whether its SYN was sent more than once, and no answer came.
    pub fn is_unanswered(&self) -> bool {
        self.state == State::Connecting && self.retransmits > 0
    }
}

/// What the kernel measured of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketInfo {
    /// Time since a byte was last sent or received.
    pub idle: Duration,
    /// The smoothed round-trip time.
    pub round_trip: Duration,
}

/// The TCP state (RFC 9293, 3.3.2), as far as it differs here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// `ESTABLISHED`, and `CLOSE_WAIT`, where the application has not closed its end yet.
    Established,
    /// `SYN_SENT`.
    Connecting,
    /// Closed by this side and still remembered: `TIME_WAIT`, `FIN_WAIT_1`, `FIN_WAIT_2`, `CLOSING`, `LAST_ACK`.
    Closing,
}

impl State {
    /// Bits of the numbers of `net/tcp_states.h`: `ESTABLISHED`, `SYN_SENT`, `CLOSE_WAIT`.
    const OPEN: u32 = 1 << 1 | 1 << 2 | 1 << 8;
    /// And those of [`State::Closing`].
    const CLOSING: u32 = 1 << 4 | 1 << 5 | 1 << 6 | 1 << 9 | 1 << 11;

    fn from_number(number: u8) -> Option<Self> {
        match number {
            1 | 8 => Some(Self::Established),
            2 => Some(Self::Connecting),
            4 | 5 | 6 | 9 | 11 => Some(Self::Closing),
            _ => None,
        }
    }
}

/// Which sockets are listed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Filter {
    /// The ports of the peer.
    pub ports: Vec<PortRange>,
    /// Whether those that were closed and are still remembered are listed, too: there are many of them where
    /// connections are short.
    pub with_closing: bool,
}

impl Filter {
    fn states(&self) -> u32 {
        if self.with_closing { State::OPEN | State::CLOSING } else { State::OPEN }
    }

    fn includes(&self, socket: &Socket) -> bool {
        (self.with_closing || socket.state != State::Closing)
            && self.ports.iter().any(|range| range.contains(socket.peer.port()))
    }
}

/// A list of sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketList {
    /// Where it comes from.
    pub source: SocketSource,
    /// Why netlink was refused, where it was.
    pub netlink_error: Option<String>,
    /// The sockets whose peer has one of the wanted ports.
    pub sockets: Vec<Socket>,
    /// Whether these are all; not where there are more than [`MAX_SOCKETS`].
    pub complete: bool,
}

/// Lists the sockets of this network namespace that `filter` includes. It blocks the thread until `deadline` at most.
///
/// # Errors
/// Both reasons, where netlink is refused and `/proc` cannot be read.
pub fn list_sockets(filter: &Filter, deadline: Instant) -> io::Result<SocketList> {
    sock_diag::list(filter, deadline).or_else(|netlink| {
        let error =
            |proc: io::Error| io::Error::new(proc.kind(), format!("netlink: {netlink}; /proc/self/net/tcp: {proc}"));
        let list = proc_net::list(filter, deadline).map_err(error)?;
        Ok(SocketList { netlink_error: Some(netlink.to_string()), ..list })
    })
}
