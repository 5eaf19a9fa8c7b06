//! Sockets by the address and path of their peer: what each address is known as, and the counts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{PortRange, Socket, SocketList, State};
use crate::address::AddressClass;
use crate::clock::Timestamp;
use crate::expectation::Expectation;
use crate::observation::application::{ApplicationFacts, ApplicationPath, ApplicationPeer};

/// The most peers that a record holds.
pub const MAX_PEERS: usize = 64;

/// What is known of addresses besides the expectation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownAddresses {
    /// Those that a view gave for the name, now or earlier.
    pub given: BTreeMap<IpAddr, GivenAddress>,
    /// The public address of the service, where the operator named it or a reference resolver gave it.
    pub public: BTreeSet<IpAddr>,
    /// Those of the old name of a migration.
    pub old: BTreeSet<IpAddr>,
    /// The ports that only the old name's product uses.
    pub old_ports: Vec<PortRange>,
    /// What the operator calls an address.
    pub labels: BTreeMap<IpAddr, String>,
}

/// When a view gave an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenAddress {
    /// The view.
    pub view: String,
    /// When it last did.
    pub at: Timestamp,
    /// Whether a view gives it now.
    pub is_current: bool,
}

impl KnownAddresses {
    /// What the peer of a connection is known as.
    pub fn path_of(&self, peer: SocketAddr, expectation: &Expectation) -> ApplicationPath {
        if self.is_old_name(peer, expectation) { ApplicationPath::Old } else { self.path(peer.ip(), expectation) }
    }

    /// Whether only the old name of a migration leads there: by the address, and by the port where the new name has the
    /// same address.
    pub fn is_old_name(&self, peer: SocketAddr, expectation: &Expectation) -> bool {
        let ip = peer.ip();
        let is_named = !expectation.endpoints.is_empty() && expectation.allows(ip);
        let is_shared = is_named || self.given.get(&ip).is_some_and(|given| given.is_current);
        self.old.contains(&ip) && (!is_shared || self.old_ports.iter().any(|range| range.contains(peer.port())))
    }

    /// What an address is known as. An address that nobody gave is never accused.
    pub fn path(&self, ip: IpAddr, expectation: &Expectation) -> ApplicationPath {
        let given = self.given.get(&ip);
        let is_named = !expectation.endpoints.is_empty() && expectation.allows(ip);
        if is_named {
            return ApplicationPath::Expected;
        }
        if given.is_none() && !self.public.contains(&ip) {
            return if ip.is_loopback() { ApplicationPath::LocalProxy } else { ApplicationPath::Unknown };
        }
        match expectation.class(ip) {
            _ if expectation.allows(ip) => match given {
                Some(given) if !given.is_current => ApplicationPath::Old,
                _ => ApplicationPath::Expected,
            },
            AddressClass::Public => ApplicationPath::Public,
            AddressClass::Loopback => ApplicationPath::LocalProxy,
            _ => ApplicationPath::Old,
        }
    }
}

/// The facts of one look, without what was opened.
pub fn facts(list: SocketList, known: &KnownAddresses, expectation: &Expectation) -> ApplicationFacts {
    let (peers, omitted_peers) = summarize(&list.sockets, known, expectation);
    ApplicationFacts {
        source: list.source,
        netlink_error: list.netlink_error,
        truncated: !list.complete,
        peers,
        omitted_peers,
        opened: None,
        opened_last_minute: None,
    }
}

/// The peers of the sockets, the worst path first and then the most connections; and how many further ones there are.
fn summarize(sockets: &[Socket], known: &KnownAddresses, expectation: &Expectation) -> (Vec<ApplicationPeer>, usize) {
    let mut by_address: BTreeMap<(IpAddr, bool), Vec<&Socket>> = BTreeMap::new();
    for socket in sockets {
        let is_old = known.is_old_name(socket.peer, expectation);
        by_address.entry((socket.peer.ip(), is_old)).or_default().push(socket);
    }
    let mut peers: Vec<ApplicationPeer> = by_address
        .iter()
        .map(|((ip, is_old), sockets)| {
            let peer = peer(*ip, sockets, known, expectation);
            if *is_old { ApplicationPeer { path: ApplicationPath::Old, of_old_name: true, ..peer } } else { peer }
        })
        .collect();
    peers.sort_by_key(|peer| (peer.path, std::cmp::Reverse(peer.established + peer.connecting + peer.closing)));
    let omitted = peers.len().saturating_sub(MAX_PEERS);
    peers.truncate(MAX_PEERS);
    (peers, omitted)
}

fn peer(ip: IpAddr, sockets: &[&Socket], known: &KnownAddresses, expectation: &Expectation) -> ApplicationPeer {
    let count =
        |state: State| u32::try_from(sockets.iter().filter(|socket| socket.state == state).count()).unwrap_or(u32::MAX);
    let established = || sockets.iter().filter(|socket| socket.state == State::Established);
    let mut round_trips: Vec<Duration> =
        established().filter_map(|socket| socket.info.map(|info| info.round_trip)).collect();
    round_trips.sort_unstable();
    let given = known.given.get(&ip);
    ApplicationPeer {
        path: known.path(ip, expectation),
        address: ip,
        class: expectation.class(ip),
        view: given.map(|given| given.view.clone()),
        given_at: given.map(|given| given.at),
        of_old_name: false,
        label: known.labels.get(&ip).cloned(),
        established: count(State::Established),
        connecting: count(State::Connecting),
        unanswered: u32::try_from(sockets.iter().filter(|socket| socket.is_unanswered()).count()).unwrap_or(u32::MAX),
        closing: count(State::Closing),
        longest_idle_seconds: established()
            .filter_map(|socket| socket.info.map(|info| info.idle))
            .max()
            .map(Into::into),
        median_round_trip_seconds: round_trips.get(round_trips.len() / 2).copied().map(Into::into),
        worst_round_trip_seconds: round_trips.last().copied().map(Into::into),
    }
}

/// How many sockets are there that were not there before.
pub fn count_opened(before: &BTreeSet<(SocketAddr, SocketAddr)>, now: &BTreeSet<(SocketAddr, SocketAddr)>) -> u32 {
    u32::try_from(now.difference(before).count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::SocketInfo;
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn socket(peer: &str, state: State, millis: Option<(u64, u64)>) -> Socket {
        Socket {
            local: "10.0.1.4:40000".parse().expect("an address"),
            peer: SocketAddr::new(ip(peer), 6380),
            state,
            retransmits: 0,
            inode: 0,
            info: millis.map(|(idle, round_trip)| SocketInfo {
                idle: Duration::from_millis(idle),
                round_trip: Duration::from_millis(round_trip),
            }),
        }
    }

    fn given(is_current: bool) -> GivenAddress {
        GivenAddress { view: "libc".to_owned(), at: Timestamp::now(), is_current }
    }

    #[test]
    fn path_follows_views_and_expectation() {
        let known = KnownAddresses {
            given: BTreeMap::from([
                (ip("10.60.4.5"), given(true)),
                (ip("10.60.4.9"), given(false)),
                (ip("20.50.1.10"), given(false)),
            ]),
            public: BTreeSet::from([ip("20.50.1.11")]),
            old: BTreeSet::from([ip("10.60.9.9")]),
            ..KnownAddresses::default()
        };
        let path = |text: &str| known.path_of(SocketAddr::new(ip(text), 6380), &Expectation::default());
        assert_eq!(path("10.60.4.5"), ApplicationPath::Expected);
        assert_eq!(path("10.60.4.9"), ApplicationPath::Old, "private, and no view gives it any more");
        assert_eq!(path("20.50.1.10"), ApplicationPath::Public);
        assert_eq!(path("20.50.1.11"), ApplicationPath::Public);
        assert_eq!(path("10.60.9.9"), ApplicationPath::Old);
        assert_eq!(path("20.50.1.99"), ApplicationPath::Unknown, "no view ever gave it");
        assert_eq!(path("10.60.4.77"), ApplicationPath::Unknown);
        assert_eq!(path("127.0.0.1"), ApplicationPath::LocalProxy);
    }

    #[test]
    fn path_named_endpoint_needs_no_view() {
        let expectation = Expectation {
            endpoints: vec![crate::address::parse_range("10.60.4.5").expect("a range")],
            ..Expectation::default()
        };
        let known =
            KnownAddresses { given: BTreeMap::from([(ip("10.60.4.6"), given(true))]), ..KnownAddresses::default() };
        assert_eq!(known.path(ip("10.60.4.5"), &expectation), ApplicationPath::Expected);
        assert_eq!(known.path(ip("10.60.4.6"), &expectation), ApplicationPath::Old);
    }

    #[test]
    fn summarize_counts_by_peer_worst_path_first() {
        let known = KnownAddresses {
            given: BTreeMap::from([(ip("10.60.4.5"), given(true)), (ip("20.50.1.10"), given(false))]),
            ..KnownAddresses::default()
        };
        let sockets = [
            socket("10.60.4.5", State::Established, Some((10, 1))),
            socket("10.60.4.5", State::Established, Some((5_000, 3))),
            socket("10.60.4.5", State::Established, Some((20, 2))),
            socket("10.60.4.5", State::Closing, None),
            socket("20.50.1.10", State::Established, None),
            socket("20.50.1.10", State::Connecting, None),
        ];
        let (peers, omitted) = summarize(&sockets, &known, &Expectation::default());
        let [public, private] = peers.as_slice() else { panic!("{peers:?}") };
        assert_eq!((public.path, public.established, public.connecting), (ApplicationPath::Public, 1, 1));
        assert_eq!((private.path, private.established, private.closing), (ApplicationPath::Expected, 3, 1));
        assert_eq!(private.longest_idle_seconds, Some(Duration::from_secs(5).into()));
        assert_eq!(private.median_round_trip_seconds, Some(Duration::from_millis(2).into()));
        assert_eq!(private.worst_round_trip_seconds, Some(Duration::from_millis(3).into()));
        assert_eq!((public.longest_idle_seconds, omitted), (None, 0));
    }

    #[test]
    fn summarize_many_peers_is_bounded() {
        let sockets: Vec<Socket> =
            (0..200).map(|number| socket(&format!("10.1.0.{number}"), State::Established, None)).collect();
        let (peers, omitted) = summarize(&sockets, &KnownAddresses::default(), &Expectation::default());
        assert_eq!((peers.len(), omitted), (MAX_PEERS, 200 - MAX_PEERS));
    }
}
