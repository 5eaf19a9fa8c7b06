//! The clients of a cache by Azure's connection logs. They are late and have no line of an old connection: a public
//! address in them is evidence, its absence proves nothing.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;

use crate::address::AddressClass;
use crate::az::client_log::{self, ClientRow};
use crate::bounded_read::FileKind;
use crate::expectation::Expectation;
use crate::observation::client_info::{ServerSees, Via};
use crate::observation::clients::{
    ClientList, ClientListFailure, ClientNetwork, ClientPath, ClientsFacts, NodeClients, network_of,
};

/// The most networks of a file that are listed.
const MAX_NETWORKS: usize = 256;

/// The clients of these files, each like a node whose list is not whole.
pub(super) fn facts(files: &[PathBuf], expectation: &Expectation) -> Result<ClientsFacts, String> {
    let mut nodes = Vec::new();
    for file in files {
        let rows = client_log::read(file, FileKind::FileOrPipe).map_err(|error| format!("--from-az {error}"))?;
        let newest = rows.iter().filter_map(|row| row.at).max();
        let node = crate::printable::printable(&file.display().to_string()).into_owned();
        let failure = Some(ClientListFailure::Log { rows: rows.len(), newest });
        nodes.push(NodeClients { node, address: None, list: Some(list(&rows, expectation)), failure });
    }
    Ok(ClientsFacts { nodes, nodes_omitted: 0 })
}

fn list(rows: &[ClientRow], expectation: &Expectation) -> ClientList {
    let mut groups: BTreeMap<(ClientPath, Option<AddressClass>, Option<IpNet>), usize> = BTreeMap::new();
    for row in rows {
        let clients = groups.entry(group(row, expectation)).or_default();
        *clients = clients.saturating_add(usize::try_from(row.connections).unwrap_or(usize::MAX));
    }
    let mut networks: Vec<ClientNetwork> = groups
        .into_iter()
        // An event of a connection that was opened before the first row is one client at least.
        .map(|((path, class, network), clients)| ClientNetwork { path, network, class, clients: clients.max(1) })
        .collect();
    networks.sort_by_key(|network| (network.path, std::cmp::Reverse(network.clients)));
    networks.truncate(MAX_NETWORKS);
    ClientList { networks, own_found: true, ..ClientList::default() }
}

fn group(row: &ClientRow, expectation: &Expectation) -> (ClientPath, Option<AddressClass>, Option<IpNet>) {
    let sees = row.private_link.or(row.address).map(ServerSees::at);
    match (sees, row.address) {
        (Some(ServerSees { via: Via::PrivateLink, client_address, .. }), client) => {
            let client = client_address.map(IpAddr::V4).or(client);
            (ClientPath::PrivateLink, None, client.and_then(network_of))
        }
        (Some(ServerSees { address: Some(address), .. }), client) => {
            let address = client.unwrap_or(address);
            (ClientPath::Address, Some(expectation.class(address)), network_of(address))
        }
        (Some(ServerSees { address: None, .. }) | None, _) => (ClientPath::Unknown, None, None),
    }
}
