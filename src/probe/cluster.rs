//! The cluster phase: connects to every node that the server announces, with the target's own server name and rules
//! for credentials.
//!
//! The topology is untrusted input. It leads only to addresses that meet the expectation, or to the one in use, and
//! without named endpoints only to those of the same /24 (IPv6: /64); never to a port below 1024, and to each node by
//! one connection. So the probe is no port scanner, and credentials go nowhere else. A name in it is never resolved,
//! and nothing of it is kept for the next probe.

pub(super) mod topology;

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::Semaphore;

use self::topology::{Announced, Announcement, Host, Slots};
use super::budget::Budget;
use super::connection::{ConnectionOutcome, Connector};
use super::redis::{ClusterQuery, ClusterReply};
use crate::observation::cluster::{ClusterCommand, ClusterNode, NodeState, NotTried, SLOTS};
use crate::observation::redis::PingReply;
use crate::observation::{
    ClusterFacts, ClusterFailure, Connection, ConnectionPhases, Phase, RedisFailure, SkipReason, StoppedBy,
};
use crate::plan::{Addresses, ClusterMode, Plan};

/// The most nodes that one probe connects to; the others are counted.
const MAX_CONNECTED: usize = 64;

/// How many nodes are connected to at a time.
const MAX_CONCURRENT: usize = 16;

/// A node has at least this long, however many there are, or is not tried: a shorter timeout would prove nothing. An
/// eighth of the probe's timeout where that is less.
const MIN_TIME: Duration = Duration::from_millis(250);

/// No node of a cluster listens below it, and other services do.
const MIN_PORT: u16 = 1024;

/// The most ranges of slots of one node that are recorded.
const MAX_RANGES: usize = 64;

/// The cluster phase and its facts.
pub(super) struct ClusterOutcome {
    pub(super) phase: Phase<ClusterFailure>,
    pub(super) facts: Option<ClusterFacts>,
}

impl ClusterOutcome {
    /// The phase was not reached.
    pub(super) fn not_reached(stopped_by: StoppedBy) -> Self {
        Self { phase: Phase::NotReached { stopped_by }, facts: None }
    }

    fn skipped(reason: SkipReason, refusal: &str) -> Self {
        let facts = ClusterFacts { refusal: Some(refusal.to_owned()), ..ClusterFacts::default() };
        Self { phase: Phase::Skipped { reason }, facts: Some(facts) }
    }
}

/// Connects to the nodes that the connection in use has announced.
pub(super) async fn check_nodes(
    connector: &Connector,
    plan: &Plan,
    in_use: &ConnectionOutcome,
    budget: &Budget,
) -> ClusterOutcome {
    let Some(ClusterQuery { took, reply }) = &in_use.cluster else {
        return ClusterOutcome { phase: not_queried(&in_use.phases, &in_use.connection), facts: None };
    };
    match reply {
        ClusterReply::Announced(command, announcement) => {
            let left = budget.phase_limit().min(budget.whole_phase().saturating_sub(*took));
            let begun = Instant::now();
            let checks = NodeChecks { connector, plan, connection: &in_use.connection, budget: &budget.part(left) };
            let facts = checks.run(*command, announcement).await;
            ClusterOutcome { phase: phase(&facts, *took + begun.elapsed()), facts: Some(facts) }
        }
        ClusterReply::NoCluster(message) => ClusterOutcome::skipped(SkipReason::NotApplicable, message),
        ClusterReply::NotPermitted(message) => ClusterOutcome::skipped(SkipReason::NoPermission, message),
        ClusterReply::Failed(failure) => {
            let failure = ClusterFailure::Command { failure: failure.clone() };
            ClusterOutcome { phase: Phase::failed(*took, failure), facts: None }
        }
        ClusterReply::Interrupted => ClusterOutcome::not_reached(StoppedBy::Interrupt),
    }
}

/// The phase where the server was not queried.
fn not_queried(phases: &ConnectionPhases, connection: &Connection) -> Phase<ClusterFailure> {
    match connection.ping.as_ref().map(|ping| ping.reply) {
        Some(PingReply::Noauth) => return Phase::Skipped { reason: SkipReason::NoCredentials },
        Some(PingReply::Noperm) => return Phase::Skipped { reason: SkipReason::NoPermission },
        Some(PingReply::Pong) | None => {}
    }
    let stopped_by = match &phases.ping {
        Phase::NotReached { stopped_by } => *stopped_by,
        Phase::Done { .. } | Phase::Failed { .. } | Phase::Skipped { .. } => StoppedBy::Ping,
    };
    Phase::NotReached { stopped_by }
}

fn phase(facts: &ClusterFacts, took: Duration) -> Phase<ClusterFailure> {
    let count = |state| u32::try_from(facts.in_state(state).count()).unwrap_or(u32::MAX);
    let (unreachable, unexpected_address) = (count(NodeState::Unreachable), count(NodeState::UnexpectedAddress));
    if facts.nodes.iter().any(|node| node.not_tried == Some(NotTried::Interrupted)) {
        return Phase::NotReached { stopped_by: StoppedBy::Interrupt };
    }
    if unreachable > 0 || unexpected_address > 0 {
        return Phase::failed(took, ClusterFailure::Nodes { unreachable, unexpected_address });
    }
    Phase::done(took)
}

struct NodeChecks<'a> {
    connector: &'a Connector,
    plan: &'a Plan,
    connection: &'a Connection,
    budget: &'a Budget,
}

impl NodeChecks<'_> {
    async fn run(&self, command: ClusterCommand, announcement: &Announcement) -> ClusterFacts {
        let mut covered = Slots::default();
        announcement.nodes.iter().for_each(|node| covered.add(&node.slots));
        let nodes: Vec<Checked> = self.select(announcement);
        let repeated: Vec<Option<SocketAddr>> = nodes.iter().map(Checked::repeats).collect();
        let tried = nodes.iter().filter(|node| matches!(node, Checked::Try(..))).count();
        // Each wave of nodes has its share, so that silent ones do not use the time of the others.
        let waves = u32::try_from(tried.div_ceil(MAX_CONCURRENT)).unwrap_or(u32::MAX).max(1);
        let share = (self.budget.phase_limit() / waves).max(self.min_time());
        let permits = Semaphore::new(MAX_CONCURRENT);
        let nodes = nodes.into_iter().map(async |node| match node {
            Checked::Try(address, node) => {
                let _permit = permits.acquire().await;
                self.connect(address, node, share).await
            }
            Checked::Leave(node) | Checked::Repeat(_, node) => node,
        });
        let nodes = join_all(nodes).await;
        let nodes = nodes.iter().zip(repeated).map(|(node, of)| match of {
            Some(address) => repeat(nodes.iter().find(|first| first.address == Some(address)), node),
            None => node.clone(),
        });
        ClusterFacts {
            command: Some(command),
            refusal: None,
            nodes: nodes.collect(),
            nodes_omitted: announcement.omitted,
            slots_uncovered: (announcement.omitted == 0).then(|| SLOTS - covered.count()),
        }
    }

    /// Which nodes are connected to: the first [`MAX_CONNECTED`] of those that may be.
    fn select(&self, announcement: &Announcement) -> Vec<Checked> {
        let mut tried = HashSet::new();
        let select = |announced| {
            let node = self.node(announced);
            match node.address {
                Some(_) if node.state != NodeState::NotTried || node.not_tried.is_some() => Checked::Leave(node),
                Some(address) if tried.contains(&address) => Checked::Repeat(address, node),
                Some(_) if tried.len() == MAX_CONNECTED => {
                    Checked::Leave(ClusterNode { not_tried: Some(NotTried::TooMany), ..node })
                }
                Some(address) => {
                    tried.insert(address);
                    Checked::Try(address, node)
                }
                None => Checked::Leave(node),
            }
        };
        announcement.nodes.iter().map(select).collect()
    }

    /// A node before it is connected to, and whether it may be.
    fn node(&self, announced: &Announced) -> ClusterNode {
        let port = announced.port;
        let (text, address) = match &announced.host {
            Host::Same => (format!(":{port}"), Some(self.connection.address.ip())),
            Host::Ip(ip) => (SocketAddr::new(*ip, port).to_string(), Some(*ip)),
            // The resolve phase has resolved the target's own name.
            Host::Name(name) if name.trim_end_matches('.').eq_ignore_ascii_case(self.plan.target.host.as_str()) => {
                (format!("{name}:{port}"), Some(self.connection.address.ip()))
            }
            Host::Name(name) => (format!("{name}:{port}"), None),
            Host::Unknown => (format!("?:{port}"), None),
        };
        let (state, not_tried) = match address {
            Some(ip) if self.is_expected(ip) => (NodeState::NotTried, self.forbidden(ip, port)),
            Some(_) => (NodeState::UnexpectedAddress, None),
            None if announced.host == Host::Unknown => (NodeState::NotTried, Some(NotTried::UnknownHost)),
            None => (NodeState::NotTried, Some(NotTried::Name)),
        };
        ClusterNode {
            announced: text,
            address: address.map(|ip| SocketAddr::new(ip, port)),
            announced_by_ip: matches!(announced.host, Host::Ip(_)),
            role: announced.role,
            slots: announced.slots.ranges(MAX_RANGES),
            slot_count: announced.slots.count(),
            health: announced.health,
            state,
            not_tried,
            certificate_covers_ip: None,
            certificate_sha256: None,
            phases: None,
        }
    }

    /// Whether a node may have this address. Where any address is expected, it must be of the class of the one in
    /// use: such an expectation does not allow connections into other networks.
    fn is_expected(&self, ip: IpAddr) -> bool {
        let expectation = &self.plan.expectation;
        let class = expectation.class(ip);
        self.is_in_use(ip)
            || (self.plan.reaches(ip)
                && expectation.allows(ip)
                && (!expectation.endpoints.is_empty() || class == self.connection.class))
    }

    /// Why an expected address is not connected to.
    fn forbidden(&self, ip: IpAddr, port: u16) -> Option<NotTried> {
        if port < MIN_PORT && port != self.plan.target.port {
            return Some(NotTried::PrivilegedPort);
        }
        let is_near = self.is_in_use(ip)
            || !self.plan.expectation.endpoints.is_empty()
            || same_network(ip.to_canonical(), self.connection.address.ip().to_canonical());
        (!is_near).then_some(NotTried::OtherNetwork)
    }

    fn is_in_use(&self, ip: IpAddr) -> bool {
        ip.to_canonical() == self.connection.address.ip().to_canonical()
    }

    fn min_time(&self) -> Duration {
        MIN_TIME.min(self.plan.timeout / 8)
    }

    async fn connect(&self, address: SocketAddr, node: ClusterNode, share: Duration) -> ClusterNode {
        if self.budget.phase_limit() < self.min_time() {
            return ClusterNode { not_tried: Some(NotTried::NoTime), ..node };
        }
        let budget = self.budget.part(share);
        let mut plan = self.plan.clone();
        plan.target.port = address.port();
        plan.addresses = Addresses::First;
        plan.samples = 1;
        plan.cluster = ClusterMode::Off;
        let ConnectionOutcome { phases, connection, .. } =
            self.connector.connect_once(&plan, &[address.ip()], &budget).await;
        let certificate = connection.tls.and_then(|tls| tls.certificate);
        let covers_ip = certificate.as_ref().map(|certificate| certificate.covers_ip(address.ip()));
        let (state, not_tried) = match state(&phases) {
            Ok(state) => (state, None),
            Err(not_tried) => (NodeState::NotTried, Some(not_tried)),
        };
        ClusterNode {
            state,
            not_tried,
            certificate_covers_ip: covers_ip.filter(|_| node.announced_by_ip),
            certificate_sha256: certificate.map(|certificate| certificate.sha256),
            phases: Some(phases),
            ..node
        }
    }
}

/// Whether both are in one /24, or for IPv6 in one /64.
fn same_network(one: IpAddr, other: IpAddr) -> bool {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => one.octets()[..3] == other.octets()[..3],
        (IpAddr::V6(one), IpAddr::V6(other)) => one.segments()[..4] == other.segments()[..4],
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

/// A node, and whether it is connected to.
enum Checked {
    Try(SocketAddr, ClusterNode),
    /// An earlier node has this address and port.
    Repeat(SocketAddr, ClusterNode),
    Leave(ClusterNode),
}

impl Checked {
    fn repeats(&self) -> Option<SocketAddr> {
        match self {
            Self::Repeat(address, _) => Some(*address),
            Self::Try(..) | Self::Leave(_) => None,
        }
    }
}

/// `node` with the result of the `first` one at the same address and port.
fn repeat(first: Option<&ClusterNode>, node: &ClusterNode) -> ClusterNode {
    let Some(first) = first else { return node.clone() };
    ClusterNode {
        state: first.state,
        not_tried: first.not_tried,
        certificate_covers_ip: first.certificate_covers_ip.filter(|_| node.announced_by_ip),
        certificate_sha256: first.certificate_sha256.clone(),
        phases: first.phases.clone(),
        ..node.clone()
    }
}

/// Whether a Redis replied: an error is a reply. `Err` where this side ended it before that.
fn state(phases: &ConnectionPhases) -> Result<NodeState, NotTried> {
    if phases.is_stopped_by(StoppedBy::Interrupt) {
        return Err(NotTried::Interrupted);
    }
    if phases.is_stopped_by(StoppedBy::LocalLimit) {
        return Err(NotTried::LocalLimit);
    }
    let is_answer = |failure: Option<&RedisFailure>| matches!(failure, Some(RedisFailure::ErrorReply { .. }));
    if phases.ping.is_done() || is_answer(phases.auth.failure()) || is_answer(phases.ping.failure()) {
        return Ok(NodeState::Reachable);
    }
    Ok(NodeState::Unreachable)
}
