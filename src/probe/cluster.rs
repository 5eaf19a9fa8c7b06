//! The cluster phase: every node that the server announces is connected to, with the target's own server
//! name and rules for credentials.
//!
//! An announcement is a stranger's word. It leads only to addresses that meet the expectation, or to the
//! one in use, so that it can neither turn the probe into a port scanner nor draw credentials; a name in
//! it is never resolved; and nothing of it is kept for the next probe.

pub(super) mod topology;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::Semaphore;

use self::topology::{Announced, Announcement, Host, Slots};
use super::budget::Budget;
use super::connection::Connector;
use super::redis::{ClusterQuery, ClusterReply};
use crate::observation::cluster::{ClusterCommand, ClusterNode, NodeState, NotTried, SLOTS};
use crate::observation::redis::PingReply;
use crate::observation::{
    ClusterFacts, ClusterFailure, Connection, ConnectionPhases, Phase, RedisFailure, SkipReason, StoppedBy,
};
use crate::phase::{PhaseName, PhaseOutcome};
use crate::plan::{Addresses, ClusterMode, Plan};

/// The most nodes that one probe connects to; the others are counted.
const MAX_CONNECTED: usize = 64;

/// How many nodes are connected to at a time.
const AT_A_TIME: usize = 16;

/// A node has at least this long, however many there are, or is not tried: a shorter silence would say
/// nothing. An eighth of the timeout where that is less.
const LEAST_TIME: Duration = Duration::from_millis(250);

/// The most ranges of slots of one node that are kept.
const MAX_RANGES: usize = 64;

/// Connects to the nodes of the answer, and says what became of the phase.
pub(super) async fn walk(
    connector: &Connector,
    plan: &Plan,
    phases: &ConnectionPhases,
    connection: &Connection,
    asked: Option<ClusterQuery>,
    budget: &Budget,
) -> (Phase<ClusterFailure>, Option<ClusterFacts>) {
    let Some(ClusterQuery { took, answer }) = asked else { return (not_asked(phases, connection), None) };
    let refused = |words| Some(ClusterFacts { refusal: Some(words), ..ClusterFacts::default() });
    match answer {
        ClusterReply::Announced(command, announcement) => {
            let left = budget.phase_limit().min(budget.whole_phase().saturating_sub(took));
            let begun = Instant::now();
            let walk = NodeChecks { connector, plan, connection, budget: &budget.part(left) };
            let facts = walk.nodes(command, announcement).await;
            (outcome(&facts, took + begun.elapsed()), Some(facts))
        }
        ClusterReply::NoCluster(words) => (Phase::Skipped { reason: SkipReason::NotApplicable }, refused(words)),
        ClusterReply::NotPermitted(words) => (Phase::Skipped { reason: SkipReason::NoPermission }, refused(words)),
        ClusterReply::Failed(failure) => (Phase::failed(took, ClusterFailure::Command { failure }), None),
        ClusterReply::Interrupted => (Phase::NotReached { stopped_by: StoppedBy::Interrupt }, None),
    }
}

/// Why the server was not asked.
fn not_asked(phases: &ConnectionPhases, connection: &Connection) -> Phase<ClusterFailure> {
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

fn outcome(facts: &ClusterFacts, took: Duration) -> Phase<ClusterFailure> {
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
    async fn nodes(&self, command: ClusterCommand, announcement: Announcement) -> ClusterFacts {
        let mut covered = Slots::default();
        announcement.nodes.iter().for_each(|node| covered.add(&node.slots));
        let mut nodes: Vec<ClusterNode> = announcement.nodes.iter().map(|node| self.node(node)).collect();
        let mut tried: Vec<(SocketAddr, &mut ClusterNode)> = nodes
            .iter_mut()
            .filter(|node| node.state == NodeState::NotTried && node.not_tried.is_none())
            .filter_map(|node| Some((node.address?, node)))
            .collect();
        for (_, node) in tried.iter_mut().skip(MAX_CONNECTED) {
            node.not_tried = Some(NotTried::TooMany);
        }
        tried.truncate(MAX_CONNECTED);
        // Each wave of nodes has its share, so that silent ones do not take the others' turn.
        let waves = u32::try_from(tried.len().div_ceil(AT_A_TIME)).unwrap_or(u32::MAX).max(1);
        let share = (self.budget.phase_limit() / waves).max(self.least_time());
        let turns = Semaphore::new(AT_A_TIME);
        let turns = &turns;
        let visits = tried.into_iter().map(|(address, node)| async move {
            let _turn = turns.acquire().await;
            self.visit(address, node, share).await;
        });
        join_all(visits).await;
        ClusterFacts {
            command: Some(command),
            refusal: None,
            nodes,
            nodes_left_out: announcement.left_out,
            slots_uncovered: (announcement.left_out == 0).then(|| SLOTS - covered.count()),
        }
    }

    /// A node before it is tried, and whether it may be.
    fn node(&self, announced: &Announced) -> ClusterNode {
        let port = announced.port;
        let (text, address) = match &announced.host {
            Host::Same => (format!(":{port}"), Some(self.connection.address.ip())),
            Host::Ip(ip) => (SocketAddr::new(*ip, port).to_string(), Some(*ip)),
            // The target's own name has been resolved by the phase that may.
            Host::Name(name) if name.trim_end_matches('.').eq_ignore_ascii_case(self.plan.target.host.as_str()) => {
                (format!("{name}:{port}"), Some(self.connection.address.ip()))
            }
            Host::Name(name) => (format!("{name}:{port}"), None),
            Host::Unknown => (format!("?:{port}"), None),
        };
        let (state, not_tried) = match address {
            Some(ip) if self.may_go_to(ip) => (NodeState::NotTried, None),
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

    /// Whether an announcement may lead there. Where any address will do, one of another class than the
    /// one in use will not: such an expectation is no leave to look into other networks.
    fn may_go_to(&self, ip: std::net::IpAddr) -> bool {
        let expectation = &self.plan.expectation;
        let in_use = self.connection.address.ip().to_canonical();
        ip.to_canonical() == in_use
            || (expectation.allows(ip)
                && (!expectation.endpoints.is_empty() || expectation.class(ip) == self.connection.class))
    }

    fn least_time(&self) -> Duration {
        LEAST_TIME.min(self.plan.timeout / 8)
    }

    async fn visit(&self, address: SocketAddr, node: &mut ClusterNode, share: Duration) {
        if self.budget.phase_limit() < self.least_time() {
            node.not_tried = Some(NotTried::NoTime);
            return;
        }
        let budget = self.budget.part(share);
        let mut plan = self.plan.clone();
        plan.target.port = address.port();
        plan.addresses = Addresses::First;
        plan.samples = 1;
        plan.cluster = ClusterMode::Off;
        let (phases, connection) = self.connector.connect(&plan, &[address.ip()], &budget).await;
        let certificate = connection.tls.and_then(|tls| tls.certificate);
        if node.announced_by_ip {
            node.certificate_covers_ip = certificate.as_ref().map(|certificate| certificate.covers_ip(address.ip()));
        }
        node.certificate_sha256 = certificate.map(|certificate| certificate.sha256);
        (node.state, node.not_tried) = match state(&phases) {
            Some(state) => (state, None),
            None => (NodeState::NotTried, Some(NotTried::Interrupted)),
        };
        node.phases = Some(phases);
    }
}

/// Whether a Redis answered: an error reply is an answer. `None` where it was interrupted before that.
fn state(phases: &ConnectionPhases) -> Option<NodeState> {
    let interrupted = [PhaseName::Connect, PhaseName::Tls, PhaseName::Auth, PhaseName::Ping].into_iter().any(|phase| {
        let summary = phases.get(phase);
        summary.outcome == PhaseOutcome::NotReached && summary.reason == Some(StoppedBy::Interrupt.as_str())
    });
    if interrupted {
        return None;
    }
    let is_answer = |failure: Option<&RedisFailure>| matches!(failure, Some(RedisFailure::ErrorReply { .. }));
    if phases.ping.is_done() || is_answer(phases.auth.failure()) || is_answer(phases.ping.failure()) {
        return Some(NodeState::Reachable);
    }
    Some(NodeState::Unreachable)
}
