//! The TCP connections that applications of this network namespace have towards a target: counts by path, no process.

use std::fmt;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::Display;

use crate::address::AddressClass;
use crate::clock::{Seconds, Timestamp};

/// The connections of the applications in this network namespace, those of the probe itself left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApplicationFacts {
    /// Where the list comes from.
    pub source: SocketSource,
    /// Why the kernel's own interface could not be used, where the list comes from `/proc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netlink_error: Option<String>,
    /// Whether more sockets were open than one list holds, so that the counts are lower bounds.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// The peers, by path and then by number of connections; at most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<ApplicationPeer>,
    /// How many further peers there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub omitted_peers: usize,
    /// The connections opened since the list before; absent in the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened: Option<OpenedConnections>,
    /// Those of about the last minute; absent in the first list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_last_minute: Option<OpenedLastMinute>,
}

/// Why the applications' connections could not be listed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ApplicationFailure {
    /// Neither netlink nor `/proc` gave the list.
    Unreadable {
        /// The errors of the operating system.
        error: String,
    },
    /// The time of the probe was over before the list was there.
    Timeout,
}

impl fmt::Display for ApplicationFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { error } => write!(f, "the sockets cannot be listed: {error}"),
            Self::Timeout => f.write_str("the time of the probe was over before the sockets were listed"),
        }
    }
}

/// Connections opened in about the last minute.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OpenedLastMinute {
    /// How many.
    pub count: u32,
    /// The time over which they were counted: less than a minute after the start, and at least one interval.
    pub over_seconds: Seconds,
    /// The most a minute that the operator allows; absent where there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_minute: Option<u32>,
}

impl OpenedLastMinute {
    /// Whether more were opened than allowed. A count over less than a minute is not extrapolated: a pool that fills
    /// once is no storm.
    pub fn is_storm(&self) -> bool {
        let minutes = (self.over_seconds.as_f64() / 60.0).max(1.0);
        self.max_per_minute.is_some_and(|limit| f64::from(self.count) > f64::from(limit) * minutes)
    }
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl ApplicationFacts {
    /// The established connections by one path.
    pub fn established(&self, path: ApplicationPath) -> u32 {
        self.by_path(path).map(|peer| peer.established).sum()
    }

    /// The peers of one path.
    pub fn by_path(&self, path: ApplicationPath) -> impl Iterator<Item = &ApplicationPeer> {
        self.peers.iter().filter(move |peer| peer.path == path)
    }

    /// Whether any connection is established or being opened.
    pub fn is_seen(&self) -> bool {
        self.peers.iter().any(|peer| peer.established > 0 || peer.connecting > 0)
    }
}

/// One address that connections lead to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApplicationPeer {
    /// What the address is known as.
    pub path: ApplicationPath,
    /// The address.
    pub address: IpAddr,
    /// Its class here.
    pub class: AddressClass,
    /// The view that gave the address, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<String>,
    /// When a view last gave it; absent where none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_at: Option<Timestamp>,
    /// Whether only the old name of a migration leads there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_old_name: bool,
    /// The label that the operator gave the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Established connections.
    pub established: u32,
    /// Connections whose SYN is not answered yet.
    pub connecting: u32,
    /// Those among them whose SYN was sent again, so that an answer is overdue by a second or more.
    pub unanswered: u32,
    /// Connections that were closed on this side and that the kernel still remembers (`TIME_WAIT` and the like).
    pub closing: u32,
    /// The longest time without a byte sent or received; absent where the kernel does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_idle_seconds: Option<Seconds>,
    /// The median of the smoothed round-trip times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median_round_trip_seconds: Option<Seconds>,
    /// The longest of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst_round_trip_seconds: Option<Seconds>,
}

/// Connections opened between two lists of the sockets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OpenedConnections {
    /// How many are there now that were not there before; those opened and forgotten in between are not counted.
    pub count: u32,
    /// The time between the lists.
    pub over_seconds: Seconds,
}

impl OpenedConnections {
    /// The rate a minute.
    pub fn per_minute(&self) -> f64 {
        let seconds = self.over_seconds.as_f64();
        if seconds > 0.0 { f64::from(self.count) * 60.0 / seconds } else { 0.0 }
    }
}

/// What the address of a peer is known as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ApplicationPath {
    /// A public address that a view gave for the name, where another path is expected.
    Public,
    /// An address that the name no longer leads to, or that of the old name of a migration.
    Old,
    /// An address that no view ever gave: which path it is, is unknown.
    Unknown,
    /// A loopback address: a local proxy (a service mesh, Dapr) hides the path.
    LocalProxy,
    /// An address that meets the expectation.
    Expected,
}

impl ApplicationPath {
    /// Every path, the worst first.
    pub const ALL: [Self; 5] = [Self::Public, Self::Old, Self::Unknown, Self::LocalProxy, Self::Expected];
}

/// Where the list of sockets comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum SocketSource {
    /// `NETLINK_SOCK_DIAG`.
    Netlink,
    /// `/proc/self/net/tcp` and `tcp6`.
    Proc,
}
