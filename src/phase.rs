//! The phases of a probe and what can become of one: names that every layer shares.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A phase of a probe, a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PhaseName {
    /// The host name is resolved.
    Resolve,
    /// A TCP connection is opened.
    Connect,
    /// The TLS handshake.
    Tls,
    /// A token is fetched, which is the password of `AUTH`.
    Token,
    /// `AUTH`.
    Auth,
    /// `PING`.
    Ping,
    /// The nodes that a cluster announces are connected to.
    Cluster,
    /// What should be closed, is: authentication, the plain port, the public address.
    Posture,
}

impl PhaseName {
    /// Every phase, in order.
    pub const ALL: [Self; 8] =
        [Self::Resolve, Self::Connect, Self::Tls, Self::Token, Self::Auth, Self::Ping, Self::Cluster, Self::Posture];

    /// The phases of every probe; the others are there where they apply.
    pub const ALWAYS: [Self; 5] = [Self::Resolve, Self::Connect, Self::Tls, Self::Auth, Self::Ping];

    /// The name used in records, keys and label values.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Token => "token",
            Self::Auth => "auth",
            Self::Ping => "ping",
            Self::Cluster => "cluster",
            Self::Posture => "posture",
        }
    }
}

impl fmt::Display for PhaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for PhaseName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|phase| phase.as_str() == text)
            .ok_or_else(|| format!("{text:?} is not a phase: {} are", Self::ALL.map(Self::as_str).join(", ")))
    }
}

/// What became of a phase, without the facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PhaseOutcome {
    /// It ran and did what it is for.
    Done,
    /// It ran and failed.
    Failed,
    /// It was not to run.
    Skipped,
    /// Its turn never came.
    NotReached,
}

impl PhaseOutcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Done, Self::Failed, Self::Skipped, Self::NotReached];

    /// The name used in records and label values.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::NotReached => "not_reached",
        }
    }
}
