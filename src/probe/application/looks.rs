//! The application phase of a probe: the sockets of this network namespace, without redpath's own, named by path.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::history::AddressHistory;
use super::own_sockets::OwnSockets;
use super::peers::{self, GivenAddress, KnownAddresses};
use super::{PortRange, Socket, SocketList, list_sockets};
use crate::clock::Timestamp;
use crate::lock::lock;
use crate::observation::application::{
    ApplicationFacts, ApplicationFailure, ApplicationPath, OpenedConnections, OpenedLastMinute,
};
use crate::observation::{ClusterFacts, Phase, Resolution, StoppedBy};
use crate::plan::{ApplicationMode, Plan, PublicAddress};
use crate::probe::budget::{Budget, StopReason};

/// The limit of one look.
const LOOK_LIMIT: Duration = Duration::from_secs(1);

/// The time over which opened connections are summed.
const MINUTE: Duration = Duration::from_secs(60);

/// The most targets with an earlier look; the one not looked at for longest makes room.
const MAX_TARGETS: usize = 4096;

/// What an earlier phase of the probe found.
pub(in crate::probe) struct SeenByProbe<'a> {
    /// The answers of the views.
    pub(in crate::probe) resolution: &'a Resolution,
    /// The nodes of the cluster.
    pub(in crate::probe) cluster: Option<&'a ClusterFacts>,
}

/// The phase, and what it found.
type Outcome = (Phase<ApplicationFailure>, Option<ApplicationFacts>);

/// What earlier looks found, and the addresses that earlier probes were given.
#[derive(Default)]
pub(in crate::probe) struct Looks(Mutex<Earlier>);

#[derive(Default)]
struct Earlier {
    addresses: AddressHistory,
    targets: HashMap<String, EarlierLook>,
}

/// The last look at the connections to one target.
struct EarlierLook {
    at: Instant,
    pairs: BTreeSet<(SocketAddr, SocketAddr)>,
    /// How many were opened between two looks: when the first of the two was, and the number.
    opened: VecDeque<(Instant, u32)>,
}

impl Looks {
    /// Lists the applications' connections, unless the plan says otherwise. Nothing, where it is left to redpath and
    /// no connection leads to an address that is known for the target.
    pub(in crate::probe) async fn phase(
        &self,
        plan: &Plan,
        seen: &SeenByProbe<'_>,
        budget: &Budget,
    ) -> Option<Outcome> {
        if plan.application == ApplicationMode::Off {
            return None;
        }
        let (known, of_others) = self.known_addresses(plan, seen.resolution);
        let ports = ports(plan, seen.cluster);
        let begun = Instant::now();
        let look = tokio::task::spawn_blocking(move || foreign_sockets(&ports, begun + LOOK_LIMIT));
        let failure = match budget.within(LOOK_LIMIT, look).await {
            Ok(Ok(Ok(mut list))) => {
                // A connection to another target's address is that target's.
                list.sockets.retain(|socket| !of_others.contains(&socket.peer.ip()));
                let facts = self.facts(plan, &known, list);
                let is_shown = plan.application == ApplicationMode::On || leads_to_target(&facts);
                return is_shown.then(|| (Phase::done(begun.elapsed()), Some(facts)));
            }
            Ok(Ok(Err(error))) if error.kind() == io::ErrorKind::TimedOut => ApplicationFailure::Timeout,
            Ok(Ok(Err(error))) => ApplicationFailure::Unreadable { error: error.to_string() },
            Ok(Err(_)) => {
                ApplicationFailure::Unreadable { error: "the thread that lists the sockets ended".to_owned() }
            }
            Err(StopReason::Interrupt) => {
                let phase = Phase::NotReached { stopped_by: StoppedBy::Interrupt };
                return (plan.application == ApplicationMode::On).then_some((phase, None));
            }
            Err(StopReason::Timeout) => ApplicationFailure::Timeout,
        };
        (plan.application == ApplicationMode::On).then(|| (Phase::failed(begun.elapsed(), failure), None))
    }

    fn known_addresses(&self, plan: &Plan, resolution: &Resolution) -> (KnownAddresses, BTreeSet<IpAddr>) {
        let host = plan.target.host.as_str();
        let mut earlier = lock(&self.0);
        let given: BTreeMap<IpAddr, GivenAddress> = earlier.addresses.note(host, resolution, Timestamp::now());
        let mut of_others = earlier.addresses.of_others(host);
        of_others.retain(|ip| plan.expectation.endpoints.is_empty() || !plan.expectation.allows(*ip));
        let public = match plan.posture.public_address {
            PublicAddress::Given(ip) => BTreeSet::from([ip]),
            PublicAddress::Auto => BTreeSet::new(),
        };
        (KnownAddresses { given, public, ..KnownAddresses::default() }, of_others)
    }

    fn facts(&self, plan: &Plan, known: &KnownAddresses, list: SocketList) -> ApplicationFacts {
        let (peers, omitted_peers) = peers::summarize(&list.sockets, known, &plan.expectation);
        let (opened, last_minute) = self.opened(plan, &list.sockets).unzip();
        ApplicationFacts {
            source: list.source,
            netlink_error: list.netlink_error,
            truncated: !list.complete,
            peers,
            omitted_peers,
            opened,
            opened_last_minute: last_minute,
        }
    }

    /// The connections opened since the look before, and in about the last minute.
    fn opened(&self, plan: &Plan, sockets: &[Socket]) -> Option<(OpenedConnections, OpenedLastMinute)> {
        let (now, name) = (Instant::now(), &plan.target.name);
        let pairs: BTreeSet<_> = sockets.iter().map(|socket| (socket.local, socket.peer)).collect();
        let targets = &mut lock(&self.0).targets;
        let Some(earlier) = targets.get_mut(name) else {
            if targets.len() >= MAX_TARGETS {
                let oldest = targets.iter().min_by_key(|(_, look)| look.at).map(|(name, _)| name.clone());
                oldest.and_then(|oldest| targets.remove(&oldest));
            }
            targets.insert(name.clone(), EarlierLook { at: now, pairs, opened: VecDeque::new() });
            return None;
        };
        let count = peers::count_opened(&earlier.pairs, &pairs);
        let opened = OpenedConnections { count, over_seconds: now.duration_since(earlier.at).into() };
        earlier.opened.push_back((earlier.at, count));
        // One that began before the last minute is left out, unless it is the only one.
        while earlier.opened.len() > 1
            && earlier.opened.front().is_some_and(|(begun, _)| now.duration_since(*begun) > MINUTE)
        {
            earlier.opened.pop_front();
        }
        let begun = earlier.opened.front().map_or(now, |(begun, _)| *begun);
        let last_minute = OpenedLastMinute {
            count: earlier.opened.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count)),
            over_seconds: now.duration_since(begun).into(),
            max_per_minute: plan.max_opened_per_minute,
        };
        (earlier.at, earlier.pairs) = (now, pairs);
        Some((opened, last_minute))
    }
}

/// Those of the target, of its service, and of the nodes that its cluster announced.
fn ports(plan: &Plan, cluster: Option<&ClusterFacts>) -> Vec<PortRange> {
    let nodes = cluster.iter().flat_map(|facts| &facts.nodes);
    let announced: Vec<u16> = nodes.filter_map(|node| node.address).map(|address| address.port()).collect();
    PortRange::of_target(&plan.target, &announced)
}

fn leads_to_target(facts: &ApplicationFacts) -> bool {
    let of_target = |path| matches!(path, ApplicationPath::Public | ApplicationPath::Old | ApplicationPath::Expected);
    facts.peers.iter().any(|peer| of_target(peer.path) && (peer.established > 0 || peer.connecting > 0))
}

/// The sockets that are not this process's own. It blocks the thread.
fn foreign_sockets(ports: &[PortRange], deadline: Instant) -> io::Result<SocketList> {
    let before = OwnSockets::read()?;
    let mut list = list_sockets(ports, deadline)?;
    let after = OwnSockets::read()?; // those that were opened in between
    list.sockets.retain(|socket| !before.contains(socket) && !after.contains(socket));
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::application::State;
    use crate::target::{HostName, Target};

    fn plan() -> Plan {
        let host = HostName::parse("cache1.redis.cache.windows.net").expect("a host name");
        Plan { max_opened_per_minute: Some(60), ..Plan::new(Target::new(host, None, true)) }
    }

    fn sockets(ports: std::ops::Range<u16>) -> Vec<Socket> {
        let socket = |port| Socket {
            local: ([10, 0, 1, 4], port).into(),
            peer: ([10, 60, 4, 5], 6380).into(),
            state: State::Established,
            retransmits: 0,
            inode: 0,
            info: None,
        };
        ports.map(socket).collect()
    }

    #[test]
    fn opened_counts_new_connections_alone() {
        let (looks, plan) = (Looks::default(), plan());
        assert!(looks.opened(&plan, &sockets(1000..1100)).is_none(), "the first look knows no rate");
        let (opened, minute) = looks.opened(&plan, &sockets(1000..1120)).expect("a second look");
        assert_eq!((opened.count, minute.count, minute.is_storm()), (20, 20, false));
        let (opened, minute) = looks.opened(&plan, &sockets(1020..1320)).expect("a third look");
        assert_eq!((opened.count, minute.count, minute.is_storm()), (200, 220, true));
    }
}
