//! The connection in use, and how TCP failed.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client_info::ServerSees;
use super::redis::{AuthFacts, PingFacts};
use super::server_info::ServerInfo;
use super::tls::TlsFacts;
use crate::address::AddressClass;
use crate::clock::Seconds;
use crate::expectation::Expectation;

/// A connection: its addresses, and the facts of each phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Connection {
    /// The address and port connected to, or the first one tried where none answered.
    pub address: SocketAddr,
    /// The class of the address, by the operator's private ranges too.
    pub class: AddressClass,
    /// The local address; absent where TCP failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// Whether the address was given (`--connect`) in place of what was resolved.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub address_given: bool,
    /// The other addresses of the name that were tried, in order: before this one, or after it where
    /// none answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier_attempts: Vec<FailedAttempt>,
    /// What TLS showed; absent where it was not reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsFacts>,
    /// How the probe authenticated; absent where it was not reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthFacts>,
    /// What `PING` showed; absent where it got no reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ping: Option<PingFacts>,
    /// The address under which the server sees this connection; absent where it was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_sees: Option<ServerSees>,
    /// What the server says of itself (`INFO server`); absent where it was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_info: Option<ServerInfo>,
}

impl Connection {
    /// A connection of which only the address is known.
    pub fn new(address: SocketAddr, class: AddressClass) -> Self {
        Self {
            address,
            class,
            source: None,
            address_given: false,
            earlier_attempts: Vec::new(),
            tls: None,
            auth: None,
            ping: None,
            server_sees: None,
            server_info: None,
        }
    }

    /// With the address that the server sees compared with the path.
    #[must_use]
    pub fn with_client_info_compared(mut self, expectation: &Expectation) -> Self {
        let path = self.class;
        self.server_sees = self.server_sees.map(|seen| seen.compare(path, |address| expectation.class(address)));
        self
    }
}

/// An address that was tried and did not answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FailedAttempt {
    /// The address and port.
    pub address: SocketAddr,
    /// Its class.
    pub class: AddressClass,
    /// How it failed.
    pub failure: ConnectFailure,
    /// How long that took.
    pub took_seconds: Seconds,
}

/// How a TCP connection failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ConnectFailure {
    /// No answer within the limit of the phase.
    Timeout,
    /// A RST in answer to the SYN: nothing listens, or a firewall rejects.
    Refused,
    /// A RST later than that.
    Reset,
    /// No route to the host: ICMP, or no answer to ARP.
    HostUnreachable,
    /// No route to the network, or no address of that family here.
    NetworkUnreachable,
    /// Another error of the operating system.
    Other {
        /// Its text.
        error: String,
    },
}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("no answer to the SYN in time"),
            Self::Refused => f.write_str("connection refused"),
            Self::Reset => f.write_str("connection reset"),
            Self::HostUnreachable => f.write_str("no route to the host"),
            Self::NetworkUnreachable => f.write_str("network unreachable"),
            Self::Other { error } => f.write_str(error),
        }
    }
}
