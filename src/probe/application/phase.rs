//! The application phase of a probe: the sockets of this network namespace, without redpath's own, named by path.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::history::AddressHistory;
use super::own_sockets::{self, OwnSockets};
use super::peers::{self, GivenAddress, KnownAddresses};
use super::{Filter, PortRange, Socket, SocketList, list_sockets};
use crate::clock::Timestamp;
use crate::lock::lock;
use crate::observation::application::{
    ApplicationFacts, ApplicationFailure, ApplicationPath, OpenedConnections, OpenedLastMinute,
};
use crate::observation::{ClusterFacts, OldName, Phase, Resolution, StoppedBy};
use crate::plan::{ApplicationMode, Plan, PublicAddress};
use crate::probe::budget::{Budget, StopReason};

/// How long the kernel may take to list the sockets.
const LIST_LIMIT: Duration = Duration::from_secs(1);

/// How long no list is made for a target without connections, where it is left to redpath.
const PAUSE: Duration = Duration::from_secs(10);

/// How long a list is shared.
const SHARED_FOR: Duration = Duration::from_millis(250);

/// The time over which opened connections are summed.
const MINUTE: Duration = Duration::from_secs(60);

/// The most targets with an earlier list; the one with the oldest makes room.
const MAX_TARGETS: usize = 4096;

/// What an earlier phase of the probe found.
pub(in crate::probe) struct SeenByProbe<'a> {
    /// The answers of the views.
    pub(in crate::probe) resolution: &'a Resolution,
    /// The nodes of the cluster.
    pub(in crate::probe) cluster: Option<&'a ClusterFacts>,
    /// The old name of a migration.
    pub(in crate::probe) old: Option<&'a OldName>,
}

/// The phase, and what it found.
type Outcome = (Phase<ApplicationFailure>, Option<ApplicationFacts>);

/// What earlier lists held, and the addresses that earlier probes were given.
#[derive(Default)]
pub(in crate::probe) struct ApplicationPhase {
    earlier: Mutex<Earlier>,
    shared: SharedList,
}

/// The lists of the last moment by their ports: one serves many targets.
#[derive(Default)]
struct SharedList(tokio::sync::Mutex<BTreeMap<Filter, (Instant, Arc<SocketList>)>>);

impl SharedList {
    /// The sockets of applications that `filter` includes, at most [`SHARED_FOR`] old. One thread at a time lists them.
    async fn list(&self, filter: Filter) -> io::Result<Arc<SocketList>> {
        let mut shared = self.0.lock().await;
        shared.retain(|_, (at, _)| at.elapsed() < SHARED_FOR);
        if let Some((_, list)) = shared.get(&filter) {
            return Ok(Arc::clone(list));
        }
        let (of, deadline) = (filter.clone(), Instant::now() + LIST_LIMIT);
        let list = tokio::task::spawn_blocking(move || foreign_sockets(&of, deadline)).await;
        let list = Arc::new(list.map_err(io::Error::other)??);
        shared.insert(filter, (Instant::now(), Arc::clone(&list)));
        Ok(list)
    }
}

#[derive(Default)]
struct Earlier {
    addresses: AddressHistory,
    targets: HashMap<String, EarlierList>,
    /// When a list held no connection to a target.
    without_connection: HashMap<String, Instant>,
}

/// The local and the peer's address of each connection.
type Pairs = BTreeSet<(SocketAddr, SocketAddr)>;

/// The last list of the connections to one target.
struct EarlierList {
    at: Instant,
    pairs: Pairs,
    /// How many were opened between two lists: when the first of the two was made, and the number.
    opened: VecDeque<(Instant, u32)>,
}

impl ApplicationPhase {
    /// Takes up what views gave for a name before a restart.
    pub(in crate::probe) fn restore_addresses(&self, host: &str, resolution: &Resolution, at: Timestamp) {
        let addresses = &mut lock(&self.earlier).addresses;
        for view in &resolution.views {
            for ip in view.ips() {
                addresses.restore(host, ip, GivenAddress { view: view.view.clone(), at, is_current: false });
            }
        }
    }

    /// Lists the applications' connections, unless the plan says otherwise. Nothing, where it is left to redpath and
    /// no connection leads to an address that is known for the target.
    pub(in crate::probe) async fn run(&self, plan: &Plan, seen: &SeenByProbe<'_>, budget: &Budget) -> Option<Outcome> {
        if plan.application == ApplicationMode::Off || self.is_paused(plan) {
            return None;
        }
        let (known, of_others) = self.known_addresses(plan, seen);
        let filter = filter(plan, seen);
        let begun = Instant::now();
        let failure = match budget.within(LIST_LIMIT, self.shared.list(filter)).await {
            Ok(Ok(list)) => {
                // A connection to another target's address is that target's.
                let is_other = |socket: &&Socket| of_others.contains(&socket.peer.ip());
                let sockets = list.sockets.iter().filter(|socket| !is_other(socket)).copied().collect();
                let list = SocketList { sockets, netlink_error: list.netlink_error.clone(), ..*list };
                let facts = self.facts(plan, &known, list);
                let is_shown = plan.application == ApplicationMode::On || leads_to_target(&facts);
                if !is_shown {
                    self.pause(plan);
                }
                return is_shown.then(|| (Phase::done(begun.elapsed()), Some(facts)));
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => ApplicationFailure::Timeout,
            Ok(Err(error)) => ApplicationFailure::Unreadable { error: error.to_string() },
            Err(StopReason::Interrupt) => {
                let phase = Phase::NotReached { stopped_by: StoppedBy::Interrupt };
                return (plan.application == ApplicationMode::On).then_some((phase, None));
            }
            Err(StopReason::Timeout) => ApplicationFailure::Timeout,
        };
        (plan.application == ApplicationMode::On).then(|| (Phase::failed(begun.elapsed(), failure), None))
    }

    /// Whether a list held no connection a short time ago: where it is left to redpath, and no application has
    /// connections, a list is not worth its CPU time at each probe.
    fn is_paused(&self, plan: &Plan) -> bool {
        plan.application == ApplicationMode::Auto
            && lock(&self.earlier).without_connection.get(&plan.target.name).is_some_and(|at| at.elapsed() < PAUSE)
    }

    fn pause(&self, plan: &Plan) {
        let without_connection = &mut lock(&self.earlier).without_connection;
        if without_connection.len() >= MAX_TARGETS {
            without_connection.clear();
        }
        without_connection.insert(plan.target.name.clone(), Instant::now());
    }

    fn known_addresses(&self, plan: &Plan, seen: &SeenByProbe<'_>) -> (KnownAddresses, BTreeSet<IpAddr>) {
        let host = plan.target.host.as_str();
        let mut earlier = lock(&self.earlier);
        let given: BTreeMap<IpAddr, GivenAddress> = earlier.addresses.note(host, seen.resolution, Timestamp::now());
        let old: BTreeMap<IpAddr, GivenAddress> = match seen.old {
            Some(OldName { target, observation, .. }) => {
                earlier.addresses.note(target.host.as_str(), &observation.resolution, Timestamp::now())
            }
            None => BTreeMap::new(),
        };
        let mut of_others = earlier.addresses.of_others(host);
        of_others.retain(|ip| plan.expectation.endpoints.is_empty() || !plan.expectation.allows(*ip));
        of_others.retain(|ip| !old.contains_key(ip));
        let public = match plan.posture.public_address {
            PublicAddress::Given(ip) => BTreeSet::from([ip]),
            PublicAddress::Auto => BTreeSet::new(),
        };
        let old_ports = seen.old.map(|old| ports_of_old_name_alone(plan, old)).unwrap_or_default();
        let known =
            KnownAddresses { given, public, old: old.into_keys().collect(), old_ports, ..KnownAddresses::default() };
        (known, of_others)
    }

    fn facts(&self, plan: &Plan, known: &KnownAddresses, list: SocketList) -> ApplicationFacts {
        let is_of_target = |socket: &&Socket| is_of_target(known.path_of(socket.peer, &plan.expectation));
        let pairs = list.sockets.iter().filter(is_of_target).map(|socket| (socket.local, socket.peer)).collect();
        let (opened, opened_last_minute) = self.opened(plan, pairs).unzip();
        ApplicationFacts { opened, opened_last_minute, ..peers::facts(list, known, &plan.expectation) }
    }

    /// The connections opened since the list before, and in about the last minute. A peer that is unknown, and may be
    /// of another service, is not counted.
    fn opened(&self, plan: &Plan, pairs: Pairs) -> Option<(OpenedConnections, OpenedLastMinute)> {
        let (now, name) = (Instant::now(), &plan.target.name);
        let targets = &mut lock(&self.earlier).targets;
        let Some(earlier) = targets.get_mut(name) else {
            if targets.len() >= MAX_TARGETS {
                let oldest = targets.iter().min_by_key(|(_, list)| list.at).map(|(name, _)| name.clone());
                oldest.and_then(|oldest| targets.remove(&oldest));
            }
            targets.insert(name.clone(), EarlierList { at: now, pairs, opened: VecDeque::new() });
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

/// The ports of the target, of its service, and of the nodes that its cluster announced. Closed sockets show the
/// connections that lasted less than an interval: only a limit of opened ones needs them.
fn filter(plan: &Plan, seen: &SeenByProbe<'_>) -> Filter {
    let mut ports = PortRange::of_target(&plan.target, &announced(seen.cluster));
    if let Some(old) = seen.old {
        ports.extend(ports_of_old_name(old));
        ports.sort_unstable();
        ports.dedup();
    }
    let with_closing = plan.max_opened_per_minute.is_some();
    if with_closing {
        own_sockets::remember_closed();
    }
    Filter { ports, with_closing }
}

/// The ports at which a cluster announced its nodes.
fn announced(cluster: Option<&ClusterFacts>) -> Vec<u16> {
    let nodes = cluster.into_iter().flat_map(|facts| &facts.nodes);
    nodes.filter_map(|node| node.address).map(|address| address.port()).collect()
}

fn ports_of_old_name(old: &OldName) -> Vec<PortRange> {
    PortRange::of_target(&old.target, &announced(old.observation.cluster.as_ref()))
}

/// Those that the new name's product does not use.
fn ports_of_old_name_alone(plan: &Plan, old: &OldName) -> Vec<PortRange> {
    let new = PortRange::of_target(&plan.target, &[]);
    ports_of_old_name(old).into_iter().filter(|range| !new.contains(range)).collect()
}

fn leads_to_target(facts: &ApplicationFacts) -> bool {
    facts.peers.iter().any(|peer| is_of_target(peer.path) && (peer.established > 0 || peer.connecting > 0))
}

fn is_of_target(path: ApplicationPath) -> bool {
    matches!(path, ApplicationPath::Public | ApplicationPath::Old | ApplicationPath::Expected)
}

/// The sockets that are not this process's own. It blocks the thread.
fn foreign_sockets(filter: &Filter, deadline: Instant) -> io::Result<SocketList> {
    let before = OwnSockets::read()?;
    let mut list = list_sockets(filter, deadline)?;
    let after = OwnSockets::read()?; // those that were opened in between
    list.sockets.retain(|socket| !before.contains(socket) && !after.contains(socket));
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{HostName, Target};

    fn plan() -> Plan {
        let host = HostName::parse("cache1.redis.cache.windows.net").expect("a host name");
        Plan { max_opened_per_minute: Some(60), ..Plan::new(Target::new(host, None, true)) }
    }

    fn pairs(ports: std::ops::Range<u16>) -> Pairs {
        ports.map(|port| (([10, 0, 1, 4], port).into(), ([10, 60, 4, 5], 6380).into())).collect()
    }

    #[test]
    fn opened_counts_new_connections_alone() {
        let (phase, plan) = (ApplicationPhase::default(), plan());
        assert!(phase.opened(&plan, pairs(1000..1100)).is_none(), "the first list gives no rate");
        let (opened, minute) = phase.opened(&plan, pairs(1000..1120)).expect("a second list");
        assert_eq!((opened.count, minute.count, minute.is_storm()), (20, 20, false));
        let (opened, minute) = phase.opened(&plan, pairs(1020..1320)).expect("a third list");
        assert_eq!((opened.count, minute.count, minute.is_storm()), (200, 220, true));
    }

    #[test]
    fn auto_pauses_after_empty_list() {
        let (phase, plan) = (ApplicationPhase::default(), plan());
        assert!(!phase.is_paused(&plan));
        phase.pause(&plan);
        assert!(phase.is_paused(&plan));
        assert!(!phase.is_paused(&Plan { application: ApplicationMode::On, ..plan }));
    }

    #[tokio::test]
    async fn list_is_shared_by_targets_of_same_ports() {
        let shared = SharedList::default();
        let filter = |port| Filter { ports: vec![PortRange::one(port)], with_closing: false };
        let first = shared.list(filter(6380)).await.expect("a list");
        let again = shared.list(filter(6380)).await.expect("a list");
        let other = shared.list(filter(10_000)).await.expect("a list");
        assert!(Arc::ptr_eq(&first, &again) && !Arc::ptr_eq(&first, &other));
    }
}
