//! Sums a `CLIENT LIST` as its bytes arrive: memory is bounded by the number of networks and names, never by the list.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use ipnet::IpNet;

use super::super::redact::Redactor;
use super::line::ClientLine;
use crate::address::AddressClass;
use crate::clock::Seconds;
use crate::expectation::Expectation;
use crate::observation::client_info::{ServerSees, Via};
use crate::observation::clients::{ClientList, ClientNetwork, ClientPath, FurtherClients, NamedClients, network_of};
use crate::plan::ClientNames;
use crate::printable::excerpt;

/// The most clients of one node that are read.
pub(in crate::probe) const MAX_CLIENTS: usize = 100_000;

/// The longest line that is read; of a longer one the beginning.
const MAX_LINE: usize = 16 * 1024;

/// The most networks in the result; the clients of the others are summed.
const MAX_NETWORKS: usize = 256;

/// The most networks that are kept while a list is read.
const MAX_GROUPS: usize = 4096;

/// The most combinations of name, user and library in the result.
const MAX_NAMES: usize = 1000;

/// The most characters of a name that are kept.
const MAX_NAME: usize = 128;

/// What clients are summed by.
type Group = (ClientPath, Option<AddressClass>, Option<IpNet>);

/// Path, name, user and library.
type Name = (ClientPath, String, String, String);

/// Counts clients line by line.
pub(in crate::probe) struct ClientCounter<'a> {
    expectation: &'a Expectation,
    names: ClientNames,
    redactor: &'a Redactor,
    /// redpath's own `CLIENT ID`, where the server gave it.
    own_id: Option<u64>,
    line: Vec<u8>,
    clients: usize,
    replication: usize,
    own_found: bool,
    groups: HashMap<Group, usize>,
    /// The clients of networks for which there is no more room, by path and class.
    beyond: HashMap<(ClientPath, Option<AddressClass>), usize>,
    /// Lines that may be redpath's own connection, where it has no id.
    own_candidates: Vec<(Group, Option<Name>)>,
    named: HashMap<Name, Ages>,
    names_omitted: usize,
}

#[derive(Default)]
struct Ages {
    clients: usize,
    oldest: Option<u64>,
    youngest: Option<u64>,
}

impl<'a> ClientCounter<'a> {
    /// A counter without clients.
    pub(in crate::probe) fn new(
        expectation: &'a Expectation,
        names: ClientNames,
        redactor: &'a Redactor,
        own_id: Option<u64>,
    ) -> Self {
        Self {
            expectation,
            names,
            redactor,
            own_id,
            line: Vec::new(),
            clients: 0,
            replication: 0,
            own_found: false,
            groups: HashMap::new(),
            beyond: HashMap::new(),
            own_candidates: Vec::new(),
            named: HashMap::new(),
            names_omitted: 0,
        }
    }

    /// Takes the next bytes of the list; `Break` where more clients follow than are read.
    pub(in crate::probe) fn push(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        for (index, piece) in bytes.split(|byte| *byte == b'\n').enumerate() {
            if index > 0 {
                self.end_of_line();
            }
            if self.clients >= MAX_CLIENTS && !piece.is_empty() {
                return ControlFlow::Break(());
            }
            let room = MAX_LINE.saturating_sub(self.line.len());
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
        }
        ControlFlow::Continue(())
    }

    fn end_of_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        self.count(&line);
        self.line = line;
        self.line.clear();
    }

    fn count(&mut self, line: &[u8]) {
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        self.clients += 1;
        let line = ClientLine::parse(line).unwrap_or_default();
        if line.is_replication() {
            self.replication += 1;
            return;
        }
        if self.own_id.is_some() && line.id == self.own_id {
            self.own_found = true;
            return;
        }
        let group = group(line.address, self.expectation);
        if self.groups.len() < MAX_GROUPS || self.groups.contains_key(&group) {
            *self.groups.entry(group).or_default() += 1;
        } else {
            *self.beyond.entry((group.0, group.1)).or_default() += 1;
        }
        let name = match self.names {
            ClientNames::Omit => None,
            ClientNames::List => self.count_name(group.0, &line),
        };
        if self.own_id.is_none() && line.may_be_own() && self.own_candidates.len() < 2 {
            self.own_candidates.push((group, name));
        }
    }

    fn count_name(&mut self, path: ClientPath, line: &ClientLine<'_>) -> Option<Name> {
        let library = match line.library_version {
            "" => line.library.to_owned(),
            version => format!("{} {version}", line.library),
        };
        let kept = |text: &str| {
            if self.redactor.repeats_secret(text) { "(withheld)".to_owned() } else { excerpt(text, MAX_NAME) }
        };
        let name = (path, kept(line.name), kept(line.user), kept(&library));
        if self.named.len() >= MAX_NAMES && !self.named.contains_key(&name) {
            self.names_omitted += 1;
            return None;
        }
        let ages = self.named.entry(name.clone()).or_default();
        ages.clients += 1;
        ages.oldest = ages.oldest.max(line.age_seconds);
        ages.youngest = [ages.youngest, line.age_seconds].into_iter().flatten().min();
        Some(name)
    }

    /// The sums. `whole`: a last line without an end is a client, too.
    pub(in crate::probe) fn finish(mut self, whole: bool) -> ClientList {
        if whole {
            self.end_of_line();
        }
        self.leave_out_own();
        let mut groups: Vec<(Group, usize)> = self.groups.into_iter().filter(|(_, clients)| *clients > 0).collect();
        groups.sort_by(|(one, ones), (other, others)| others.cmp(ones).then(one.cmp(other)));
        let rest = groups.split_off(groups.len().min(MAX_NETWORKS));
        let mut further: Vec<FurtherClients> = Vec::new();
        let beyond = self.beyond.into_iter().filter(|(_, clients)| *clients > 0);
        for ((path, class), clients) in
            rest.into_iter().map(|((path, class, _), clients)| ((path, class), clients)).chain(beyond)
        {
            match further.iter_mut().find(|known| known.path == path && known.class == class) {
                Some(known) => known.clients += clients,
                None => further.push(FurtherClients { path, class, clients }),
            }
        }
        let networks = groups
            .into_iter()
            .map(|((path, class, network), clients)| ClientNetwork { path, network, class, clients })
            .collect();
        let seconds = |seconds: Option<u64>| seconds.map(|seconds| Seconds(Duration::from_secs(seconds)));
        let mut named: Vec<(Name, Ages)> = self.named.into_iter().filter(|(_, ages)| ages.clients > 0).collect();
        named.sort_by(|(one, ones), (other, others)| {
            one.0.cmp(&other.0).then(others.clients.cmp(&ones.clients)).then(one.cmp(other))
        });
        let names = named.into_iter().map(|((path, name, user, library), ages)| NamedClients {
            path,
            name,
            user,
            library,
            clients: ages.clients,
            oldest_seconds: seconds(ages.oldest),
            youngest_seconds: seconds(ages.youngest),
        });
        ClientList {
            networks,
            further,
            own_found: self.own_found,
            replication: self.replication,
            names: names.collect(),
            names_omitted: self.names_omitted,
        }
    }

    /// Without an id, the only client that runs `CLIENT LIST` at this moment is redpath.
    fn leave_out_own(&mut self) {
        if let [(group, name)] = &self.own_candidates[..] {
            let counted = self.groups.get_mut(group).or_else(|| self.beyond.get_mut(&(group.0, group.1)));
            if let Some(clients) = counted {
                *clients -= 1;
            }
            if let Some(ages) = name.as_ref().and_then(|name| self.named.get_mut(name)) {
                ages.clients -= 1;
            }
            self.own_found = true;
        }
    }
}

fn group(address: Option<IpAddr>, expectation: &Expectation) -> Group {
    let Some(address) = address else { return (ClientPath::Unknown, None, None) };
    let sees = ServerSees::at(address);
    let network = network_of(sees.client_address.map_or(address, IpAddr::V4));
    match sees.via {
        Via::PrivateLink => (ClientPath::PrivateLink, None, network),
        Via::Address => (ClientPath::Address, Some(expectation.class(address)), network),
        Via::Unknown => (ClientPath::Unknown, None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The counter after a list of clients that have a network and a name each of their own.
    fn counted<'a>(clients: u32, expectation: &'a Expectation, redactor: &'a Redactor) -> ClientCounter<'a> {
        let mut counter = ClientCounter::new(expectation, ClientNames::List, redactor, Some(1));
        for number in 0..clients {
            let [_, b, c, d] = number.to_be_bytes();
            let line = format!("id={} addr=[fd40::{b:02x}{c:02x}:{d:02x}01]:4000 name=n{number} user=u\n", number + 2);
            assert!(counter.push(line.as_bytes()).is_continue());
        }
        counter
    }

    #[test]
    fn client_list_memory_is_bounded() {
        let (expectation, redactor) = (Expectation::default(), Redactor::default());
        for clients in [10_000_u32, 100_000] {
            let counter = counted(clients, &expectation, &redactor);
            assert_eq!((counter.groups.len(), counter.named.len()), (MAX_GROUPS, MAX_NAMES), "{clients}");
            assert!(counter.beyond.len() <= 2 && counter.own_candidates.len() <= 2, "{clients}");
            assert!(counter.line.capacity() <= 2 * MAX_LINE, "{clients}");
            let list = counter.finish(true);
            assert_eq!((list.networks.len(), list.names.len()), (MAX_NETWORKS, MAX_NAMES));
            assert_eq!((list.count(ClientPath::PrivateLink), list.further.len()), (clients as usize, 1));
        }
    }
}
