//! The phases of a probe and what can become of one: names that every layer shares.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, IntoStaticStr};

/// A phase of a probe, a closed list.
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
    Display,
    EnumIter,
    IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
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
    /// The applications' own connections to the target are listed.
    Application,
}

impl PhaseName {
    /// The phases of every probe; the others are there where they apply.
    pub const ALWAYS: [Self; 5] = [Self::Resolve, Self::Connect, Self::Tls, Self::Auth, Self::Ping];

    /// The name used in records, keys and label values.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What became of a phase, without the facts.
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
    Display,
    EnumIter,
    IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
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
    /// The name used in records and label values.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
