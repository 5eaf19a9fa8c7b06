//! What a cluster announced, and the connections to its nodes.

use std::fmt;
use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{EnumIter, IntoStaticStr};

use super::{ConnectionPhases, RedisFailure};

/// The number of slots of a cluster.
pub const SLOTS: u16 = 16_384;

/// The reply of the server, and the connections to the nodes.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ClusterFacts {
    /// The command whose reply announced the nodes; absent where none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<ClusterCommand>,
    /// The error reply that came in place of nodes, escaped and bounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// The nodes announced, masters and replicas, each address and port once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<ClusterNode>,
    /// How many more entries were announced that could not be read, or are beyond the bound.
    #[serde(skip_serializing_if = "is_none")]
    pub nodes_omitted: u32,
    /// How many of the 16384 slots no announced node serves; absent where not all of them were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slots_uncovered: Option<u16>,
}

impl ClusterFacts {
    /// The nodes in one state.
    pub fn in_state(&self, state: NodeState) -> impl Iterator<Item = &ClusterNode> {
        self.nodes.iter().filter(move |node| node.state == state)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_none(count: &u32) -> bool {
    *count == 0
}

/// A command that announces nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClusterCommand {
    /// `CLUSTER SHARDS`, since Redis 7.
    ClusterShards,
    /// `CLUSTER SLOTS`.
    ClusterSlots,
}

/// A node, as announced and as connected to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClusterNode {
    /// Host and port as announced, escaped; `:15000` without a host, which means the host that replied.
    pub announced: String,
    /// The address and port of it; absent for a name, which is never resolved here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
    /// Whether it was announced by an IP address, so that clients connect to that, and verify that instead of a name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub announced_by_ip: bool,
    /// Its role.
    pub role: NodeRole,
    /// The slots of its shard, such as `0-5460`; the first ranges of many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<SlotRange>,
    /// How many slots those are, including the ones not listed.
    #[serde(default)]
    pub slot_count: u16,
    /// Its health according to the cluster; absent where it is not announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<NodeHealth>,
    /// The result of connecting to it.
    pub state: NodeState,
    /// Why it was not tried, where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_tried: Option<NotTried>,
    /// Whether the certificate shown there covers the announced IP address; absent where there is no
    /// address or no certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_covers_ip: Option<bool>,
    /// SHA-256 of the certificate shown there, in lower-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_sha256: Option<String>,
    /// The outcomes of the phases of its connection; absent where it was not tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phases: Option<ConnectionPhases>,
}

/// The role of a node in its shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeRole {
    /// It serves the slots.
    Master,
    /// It has a copy.
    Replica,
    /// Not announced.
    Unknown,
}

/// The health of a node according to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeHealth {
    /// `online`.
    Online,
    /// `fail`.
    Failed,
    /// `loading`.
    Loading,
    /// Another value.
    Other,
}

/// The result of connecting to a node.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
    EnumIter,
    IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum NodeState {
    /// A Redis replied there, over verified TLS where there is TLS.
    Reachable,
    /// It was connected to, and no Redis replied.
    Unreachable,
    /// It is announced at an address that does not meet the expectation, and nothing was sent there.
    UnexpectedAddress,
    /// It was not connected to, for another reason.
    NotTried,
}

impl NodeState {
    /// The name used in records and label values.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Why a node was not connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotTried {
    /// It is announced by a name other than the target's, and only the resolve phase resolves names.
    Name,
    /// The cluster does not know its host (`?`).
    UnknownHost,
    /// Its port is below 1024, where no node of a cluster listens.
    PrivilegedPort,
    /// It is outside the /24 (IPv6: /64) of the address in use, and no endpoint is named as expected.
    OtherNetwork,
    /// It is beyond the number of nodes that one probe connects to.
    TooMany,
    /// The probe's time was over.
    NoTime,
    /// A limit of this machine kept it from being connected to.
    LocalLimit,
    /// The probe was interrupted.
    Interrupted,
}

impl fmt::Display for NotTried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "announced by a name, which is not resolved here",
            Self::UnknownHost => "announced without a known host",
            Self::PrivilegedPort => "announced with a port below 1024",
            Self::OtherNetwork => "outside the /24 (IPv6: /64) of the address in use, and no endpoint is named",
            Self::TooMany => "beyond the number that one probe connects to",
            Self::NoTime => "no time left",
            Self::LocalLimit => "not connected to for a limit of this machine",
            Self::Interrupted => "interrupted",
        })
    }
}

/// Slots from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct SlotRange {
    /// The first slot.
    pub first: u16,
    /// The last slot.
    pub last: u16,
}

impl fmt::Display for SlotRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { self.first.fmt(f) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

impl From<SlotRange> for String {
    fn from(range: SlotRange) -> Self {
        range.to_string()
    }
}

impl TryFrom<String> for SlotRange {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let (first, last) = text.split_once('-').unwrap_or((&text, &text));
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) if first <= last && last < SLOTS => Ok(Self { first, last }),
            _ => Err(format!("{text:?} is no range of slots: FIRST-LAST within 0-16383 is expected")),
        }
    }
}

/// How the cluster phase failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ClusterFailure {
    /// The query for the nodes failed.
    Command {
        /// How that failed.
        failure: RedisFailure,
    },
    /// Not every node replied, or is where it is expected.
    Nodes {
        /// How many did not reply.
        unreachable: u32,
        /// How many are announced at an address that does not meet the expectation.
        unexpected_address: u32,
    },
}

impl fmt::Display for ClusterFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command { failure } => failure.fmt(f),
            Self::Nodes { unreachable, unexpected_address: 0 } => write!(f, "unreachable nodes: {unreachable}"),
            Self::Nodes { unreachable: 0, unexpected_address } => {
                write!(f, "nodes at an unexpected address: {unexpected_address}")
            }
            Self::Nodes { unreachable, unexpected_address } => {
                write!(f, "unreachable nodes: {unreachable}, at an unexpected address: {unexpected_address}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slot_ranges_display_like_redis() {
        for text in ["0-5460", "7", "0-16383"] {
            let range = SlotRange::try_from(text.to_owned()).expect("a range");
            assert_eq!(range.to_string(), text);
        }
        for text in ["", "-", "5-", "9-3", "0-16384", "x"] {
            assert!(SlotRange::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
