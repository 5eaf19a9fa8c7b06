//! What `redpath clients` found: the clients of a cache by path, as its nodes list them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Tool;
use crate::clock::Timestamp;
use crate::diagnosis::{Finding, Status};
use crate::expectation::{Expectation, ExpectedPath};
use crate::observation::clients::{ClientList, ClientPath, ClientsFacts};
use crate::target::Target;
use crate::vantage::Vantage;

/// The schema, as it stands in the document's field `schema`.
pub const CLIENTS_SCHEMA: &str = "redpath.clients/v1";

/// The clients of one cache.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClientsReport {
    /// `redpath.clients/v1`.
    #[schemars(extend("const" = CLIENTS_SCHEMA))]
    pub schema: String,
    /// What made it.
    pub tool: Tool,
    /// Where from.
    pub vantage: Vantage,
    /// When the lists were complete.
    pub generated_at: Timestamp,
    /// The cache.
    pub target: Target,
    /// The path that is expected of its clients.
    pub expected: ExpectedPath,
    /// Fail where private ones are expected and a client has a public address, or a plain private one at a node that
    /// shows others by a private link; pass where every node gave its whole
    /// list and nothing contradicts; else unknown.
    pub status: Status,
    /// The sums over all nodes.
    pub totals: ClientTotals,
    /// The clients of each node.
    pub clients: ClientsFacts,
    /// What it means.
    pub findings: Vec<Finding>,
    /// Why the status is unknown; empty otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

/// Clients by path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClientTotals {
    /// By a private link.
    pub private_link: usize,
    /// By another address.
    pub address: usize,
    /// Of these, with a public address.
    pub public: usize,
    /// Of these, with a private IPv4 address at a node that shows other clients by a private link.
    #[serde(default)]
    pub plain_beside_private_link: usize,
    /// Without an address.
    pub unknown: usize,
    /// redpath's own connections, which are in none of the others.
    pub own: usize,
}

impl ClientTotals {
    /// The sums of these lists.
    pub fn of(facts: &ClientsFacts) -> Self {
        Self {
            private_link: facts.count(ClientPath::PrivateLink),
            address: facts.count(ClientPath::Address),
            public: facts.public(),
            plain_beside_private_link: facts.lists().map(ClientList::plain_beside_private_link).sum(),
            unknown: facts.count(ClientPath::Unknown),
            own: facts.count(ClientPath::Own),
        }
    }

    /// How many clients come by this path.
    pub fn of_path(&self, path: ClientPath) -> usize {
        match path {
            ClientPath::PrivateLink => self.private_link,
            ClientPath::Address => self.address,
            ClientPath::Unknown => self.unknown,
            ClientPath::Own => self.own,
        }
    }
}

impl ClientsReport {
    /// A report of these lists and what they mean.
    pub fn new(
        target: Target,
        vantage: Vantage,
        expectation: &Expectation,
        clients: ClientsFacts,
        findings: Vec<Finding>,
    ) -> Self {
        let (status, reasons) = status(expectation.path, &clients);
        Self {
            schema: CLIENTS_SCHEMA.to_owned(),
            tool: Tool::this(),
            vantage,
            generated_at: Timestamp::now(),
            target,
            expected: expectation.path,
            status,
            totals: ClientTotals::of(&clients),
            clients,
            findings,
            reasons,
        }
    }
}

/// The status, and why it is unknown.
fn status(expected: ExpectedPath, clients: &ClientsFacts) -> (Status, Vec<String>) {
    if expected == ExpectedPath::Private && clients.not_by_private_link() > 0 {
        return (Status::Fail, Vec::new());
    }
    let mut reasons: Vec<String> =
        clients.nodes.iter().filter_map(|node| Some(format!("{}: {}", node.node, node.failure.as_ref()?))).collect();
    if clients.nodes.is_empty() {
        reasons.push("no node was queried".to_owned());
    }
    if clients.nodes_omitted > 0 {
        reasons.push(format!("{} further nodes were not queried", clients.nodes_omitted));
    }
    if expected == ExpectedPath::Private {
        let (address, unknown) = (clients.count(ClientPath::Address), clients.count(ClientPath::Unknown));
        if address > 0 {
            reasons.push(format!(
                "{address} clients have a plain address that is not public, and no client of their node is shown by a private link: it may be a proxy, and which path they take is unknown"
            ));
        }
        if unknown > 0 {
            reasons.push(format!("{unknown} clients have no address in the list"));
        }
    }
    if reasons.is_empty() { (Status::Pass, reasons) } else { (Status::Unknown, reasons) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::AddressClass;
    use crate::observation::clients::{ClientListFailure, ClientNetwork, NodeClients};

    fn list(groups: &[(ClientPath, Option<AddressClass>, usize)], own_found: bool) -> NodeClients {
        let networks = groups
            .iter()
            .map(|(path, class, clients)| ClientNetwork {
                path: *path,
                network: class.map(|_| "10.3.26.0/24".parse().expect("a network")),
                class: *class,
                clients: *clients,
            })
            .collect();
        let list = ClientList { networks, own_found, ..ClientList::default() };
        NodeClients { node: "10.60.4.5:6380".to_owned(), address: None, list: Some(list), failure: None }
    }

    fn of(nodes: Vec<NodeClients>) -> Status {
        status(ExpectedPath::Private, &ClientsFacts { nodes, nodes_omitted: 0 }).0
    }

    #[test]
    fn clients_status_rests_on_what_is_known() {
        let private = (ClientPath::PrivateLink, None, 3);
        let public = (ClientPath::Address, Some(AddressClass::Public), 1);
        let plain = (ClientPath::Address, Some(AddressClass::Private), 1);
        assert_eq!(of(vec![list(&[private], true)]), Status::Pass);
        assert_eq!(of(vec![list(&[private, public], true)]), Status::Fail);
        assert_eq!(of(vec![list(&[private, public], false)]), Status::Unknown, "it may be redpath itself");
        assert_eq!(of(vec![list(&[plain], true)]), Status::Unknown, "it may be a proxy");
        assert_eq!(of(vec![list(&[private, plain], true)]), Status::Fail, "the node shows private links otherwise");
        assert_eq!(of(vec![list(&[private, plain], false)]), Status::Unknown, "it may be redpath itself");
        assert_eq!(of(vec![list(&[private], true), list(&[plain], true)]), Status::Unknown, "another node");
        let loopback = (ClientPath::Address, Some(AddressClass::Loopback), 1);
        assert_eq!(of(vec![list(&[private, loopback], true)]), Status::Unknown, "it may be the service's own");
        assert_eq!(of(vec![list(&[private, (ClientPath::Unknown, None, 1)], true)]), Status::Unknown);
        assert_eq!(of(Vec::new()), Status::Unknown, "nothing was checked");
        let refused = NodeClients::failed("b".to_owned(), None, ClientListFailure::NoCredentials);
        assert_eq!(of(vec![list(&[private], true), refused.clone()]), Status::Unknown);
        assert_eq!(of(vec![list(&[public], true), refused]), Status::Fail);
        let omitted = ClientsFacts { nodes: vec![list(&[private], true)], nodes_omitted: 1 };
        assert_eq!(status(ExpectedPath::Private, &omitted).0, Status::Unknown);
        let any = ClientsFacts { nodes: vec![list(&[public, plain], true)], nodes_omitted: 0 };
        assert_eq!(status(ExpectedPath::Any, &any).0, Status::Pass);
    }
}
