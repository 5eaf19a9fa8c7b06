//! A connection that redpath holds open to a target, with a `PING` at each probe: what an application with a pool sees.

use std::fmt;
use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::Display;

use super::application::ApplicationPath;
use crate::address::AddressClass;
use crate::clock::{Seconds, Timestamp};

/// The held connection, as it stood at the end of the probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HeldConnectionFacts {
    /// Its state.
    pub state: HeldState,
    /// The connection: the last one, where it is closed. Absent where none was opened yet.
    #[serde(default, flatten, skip_serializing_if = "Option::is_none")]
    pub connection: Option<HeldConnection>,
    /// How many connections were lost since the target is probed.
    #[serde(default)]
    pub losses: u64,
    /// Why the last attempt to open it failed, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_opened: Option<String>,
    /// How the last connection that was lost ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<HeldEnd>,
}

/// The state of a held connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum HeldState {
    /// It is open, and the last `PING` was answered.
    Open,
    /// It is open, and a `PING` waits for its reply.
    Waiting,
    /// It ended, and is not open again.
    Closed,
    /// None was opened yet.
    NotOpened,
}

/// A held connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HeldConnection {
    /// The address and port.
    pub address: SocketAddr,
    /// The class of the address.
    pub class: AddressClass,
    /// The path of the address, by what is expected now.
    pub path: ApplicationPath,
    /// Whether the view in use gives the address now. Absent where it gave no final answer, and where the address is
    /// not taken from DNS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_dns_answer: Option<bool>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// How long it has been open; where it is closed, how long it was.
    pub age_seconds: Seconds,
}

/// How a held connection ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HeldEnd {
    /// The address and port.
    pub address: SocketAddr,
    /// The class of the address.
    pub class: AddressClass,
    /// When it was noticed.
    pub at: Timestamp,
    /// How long ago that was at the end of the probe.
    pub ago_seconds: Seconds,
    /// How old the connection was.
    pub age_seconds: Seconds,
    /// How it ended.
    pub how: HeldEndKind,
    /// The same in words.
    pub reason: String,
}

/// How a held connection can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum HeldEndKind {
    /// The peer closed it in order (`FIN`).
    Fin,
    /// It was reset (`RST`).
    Rst,
    /// The kernel sent the `PING` again, and no acknowledgement came within the limit.
    Silence,
    /// The `PING` was acknowledged, and no reply came within the limit.
    NoReply,
    /// Redis replied with an error.
    ErrorReply,
    /// Another failure.
    Other,
}

impl HeldConnectionFacts {
    /// The connection, where it is open.
    pub fn open(&self) -> Option<&HeldConnection> {
        let is_open = matches!(self.state, HeldState::Open | HeldState::Waiting);
        self.connection.as_ref().filter(|_| is_open)
    }
}

impl fmt::Display for HeldEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, lost after {}: {}", self.address, self.class, self.age_seconds, self.reason)
    }
}
