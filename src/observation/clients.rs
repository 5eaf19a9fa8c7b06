//! The clients of a cache as its nodes list them (`CLIENT LIST`): counts by path and network, names only on request.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{EnumIter, IntoEnumIterator, IntoStaticStr};

use super::redis::RedisFailure;
use crate::address::AddressClass;
use crate::clock::{Seconds, Timestamp};

/// The clients of every node that is expected.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ClientsFacts {
    /// The nodes, in the order in which the server announced them.
    pub nodes: Vec<NodeClients>,
    /// How many further nodes were announced and not queried.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub nodes_omitted: u32,
}

/// The clients of one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeClients {
    /// The node, as it was announced or connected to.
    pub node: String,
    /// Its address; absent where the announced name is not resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
    /// Its list; absent where it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<ClientList>,
    /// Why there is no list, or why it ends early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<ClientListFailure>,
}

impl NodeClients {
    /// A node without a list.
    pub fn failed(node: String, address: Option<SocketAddr>, failure: ClientListFailure) -> Self {
        Self { node, address, list: None, failure: Some(failure) }
    }
}

/// Why a node's list is absent or ends early.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ClientListFailure {
    /// The user may not `CLIENT LIST`.
    NotPermitted {
        /// The user's name where redpath knows it; `default` where none is given.
        username: String,
        /// The error reply.
        reply: String,
    },
    /// The server demands authentication, and no credentials were given or they were withheld.
    NoCredentials,
    /// No list was received.
    Redis {
        /// What came instead.
        failure: RedisFailure,
    },
    /// The connection to the node failed before the query.
    NotConnected {
        /// What failed, in words.
        error: String,
    },
    /// The cluster's topology leads to this node, and redpath does not connect to such an address.
    NotExpected,
    /// The list has more bytes than are read; the counts are lower bounds.
    TooManyBytes {
        /// The most bytes that are read.
        limit: u64,
    },
    /// The list has more clients than are read; the counts are lower bounds.
    TooManyClients {
        /// The most clients that are read.
        limit: u64,
    },
    /// The list is of Azure's connection log: it is late, and an old connection has no line.
    Log {
        /// How many rows were read.
        rows: usize,
        /// When the newest row was written; absent where no row has a time that can be read.
        newest: Option<Timestamp>,
    },
    /// The command was interrupted.
    Interrupted,
}

impl fmt::Display for ClientListFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPermitted { username, reply } => {
                write!(f, "the user {username} may not CLIENT LIST ({reply})")
            }
            Self::NoCredentials => f.write_str("the server demands authentication, and no credentials were sent"),
            Self::Redis { failure } => write!(f, "no list was received: {failure}"),
            Self::NotConnected { error } => write!(f, "no connection: {error}"),
            Self::NotExpected => f.write_str("it is not connected to: its address is not an expected one"),
            Self::TooManyBytes { limit } => {
                write!(f, "the list has more than {limit} bytes: the counts are lower bounds")
            }
            Self::TooManyClients { limit } => {
                write!(f, "the list has more than {limit} clients: the counts are lower bounds")
            }
            Self::Log { rows, newest } => {
                write!(f, "{rows} rows of the log, ")?;
                match newest {
                    Some(newest) => write!(f, "the newest of {newest}")?,
                    None => f.write_str("without a time")?,
                }
                f.write_str(": it is up to 90 minutes late, and an old connection has no row, so it cannot show that no client is left")
            }
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

/// The clients of one node, summed.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ClientList {
    /// The clients by path and network, by number of clients; at most 256.
    pub networks: Vec<ClientNetwork>,
    /// How many clients are of further networks, by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<FurtherClients>,
    /// Whether redpath's own connection was identified; where not, it is one of those counted.
    pub own_found: bool,
    /// Connections of replication, which are not counted as clients.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub replication: usize,
    /// The clients by name, user and library; absent unless asked for (`--names`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<NamedClients>,
    /// How many further combinations of name, user and library there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub names_omitted: usize,
}

/// The clients of one network that come by one path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClientNetwork {
    /// Their path.
    pub path: ClientPath,
    /// Their /24, or /64 for IPv6; of a private link that of the client's own IPv4 address. Absent where unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub network: Option<IpNet>,
    /// The class of their address at the server; absent where unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<AddressClass>,
    /// How many they are.
    pub clients: usize,
}

/// Clients of networks that are not listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FurtherClients {
    /// Their path.
    pub path: ClientPath,
    /// The class of their address at the server; absent where unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<AddressClass>,
    /// How many they are.
    pub clients: usize,
}

/// Clients with the same name, user, library and path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NamedClients {
    /// Their path.
    pub path: ClientPath,
    /// The name that they gave themselves; may be empty.
    pub name: String,
    /// The user; may be empty.
    pub user: String,
    /// The library and its version; may be empty.
    pub library: String,
    /// How many they are.
    pub clients: usize,
    /// The age of the oldest; absent where unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_seconds: Option<Seconds>,
    /// The age of the youngest; absent where unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub youngest_seconds: Option<Seconds>,
}

/// By which path a client comes, as its address at the server shows it.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    IntoStaticStr,
    EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ClientPath {
    /// Not by a private link: any other address.
    Address,
    /// The line has no address.
    Unknown,
    /// A private link: `fd40:…`.
    PrivateLink,
    /// redpath's own connection.
    Own,
}

impl ClientPath {
    /// The name used in records and metrics.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Every path.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }
}

impl ClientList {
    /// The path, class and number of every group, those of further networks included.
    pub fn groups(&self) -> impl Iterator<Item = (ClientPath, Option<AddressClass>, usize)> {
        let networks = self.networks.iter().map(|network| (network.path, network.class, network.clients));
        networks.chain(self.further.iter().map(|further| (further.path, further.class, further.clients)))
    }

    /// How many clients come by this path.
    pub fn count(&self, path: ClientPath) -> usize {
        if path == ClientPath::Own {
            return usize::from(self.own_found);
        }
        self.groups().filter(|group| group.0 == path).map(|group| group.2).sum()
    }

    /// How many clients have a public address at the server.
    pub fn public(&self) -> usize {
        let is_public = |group: &(ClientPath, Option<AddressClass>, usize)| {
            group.0 == ClientPath::Address && group.1 == Some(AddressClass::Public)
        };
        self.groups().filter(is_public).map(|group| group.2).sum()
    }

    /// How many clients have a plain private IPv4 address at a server that shows others by a private link: such a
    /// server shows a private link as `fd40:`, so that these do not come by one. Whether IPv6 addresses of another
    /// prefix are private links, too, is unknown, and loopback addresses are the service's own.
    pub fn plain_beside_private_link(&self) -> usize {
        if self.count(ClientPath::PrivateLink) == 0 {
            return 0;
        }
        let is_plain = |network: &&ClientNetwork| {
            network.path == ClientPath::Address
                && matches!(network.class, Some(AddressClass::Private | AddressClass::Shared))
                && matches!(network.network, Some(IpNet::V4(_)))
        };
        self.networks.iter().filter(is_plain).map(|network| network.clients).sum()
    }
}

impl ClientsFacts {
    /// How many clients come by this path, over all nodes.
    pub fn count(&self, path: ClientPath) -> usize {
        self.lists().map(|list| list.count(path)).sum()
    }

    /// How many clients have a public address at the server, for certain: where redpath could not identify its own
    /// connection, one is left out for each node.
    pub fn public(&self) -> usize {
        self.lists().map(|list| list.public().saturating_sub(usize::from(!list.own_found))).sum()
    }

    /// How many clients do not come by a private link, for certain: those with a public address, and those with a
    /// plain private one beside clients of a private link. One is left out as in [`ClientsFacts::public`].
    pub fn not_by_private_link(&self) -> usize {
        let of_list = |list: &ClientList| list.public() + list.plain_beside_private_link();
        self.lists().map(|list| of_list(list).saturating_sub(usize::from(!list.own_found))).sum()
    }

    /// Whether every client of every node comes by a private link.
    pub fn is_private_for_certain(&self) -> bool {
        self.is_complete()
            && self.lists().all(|list| {
                let others = list.count(ClientPath::Address) + list.count(ClientPath::Unknown);
                others == 0
            })
    }

    /// Whether every node gave its whole list.
    pub fn is_complete(&self) -> bool {
        self.nodes_omitted == 0
            && !self.nodes.is_empty()
            && self.nodes.iter().all(|node| node.failure.is_none() && node.list.is_some())
    }

    /// The lists of the nodes that gave one.
    pub fn lists(&self) -> impl Iterator<Item = &ClientList> {
        self.nodes.iter().filter_map(|node| node.list.as_ref())
    }
}

/// The /24 of an IPv4 address, the /64 of an IPv6 one; none of 0.0.0.0.
pub fn network_of(address: IpAddr) -> Option<IpNet> {
    let prefix = match address {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => return None, // a private link without an embedded address
        IpAddr::V4(_) => 24,
        IpAddr::V6(_) => 64,
    };
    IpNet::new(address, prefix).ok().map(|network| network.trunc())
}

fn is_zero<N: PartialEq + Default>(count: &N) -> bool {
    *count == N::default()
}
