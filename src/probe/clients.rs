//! The clients of every node that is expected: one node at a time, each by one connection, the list asked for once.

use std::collections::HashSet;
use std::net::SocketAddr;

use super::Prober;
use super::budget::{Budget, Interrupt};
use super::connection::ConnectionOutcome;
use crate::observation::clients::{ClientListFailure, ClientsFacts, NodeClients};
use crate::observation::cluster::{ClusterNode, NodeState};
use crate::observation::redis::PingReply;
use crate::observation::{Connection, ConnectionPhases, Observation, Phase, SkipReason, StoppedBy};
use crate::phase::PhaseName;
use crate::plan::{Addresses, ClientNames, ClusterMode, Plan};

impl Prober {
    /// Asks each node that a probe of `plan` has reached for its clients.
    pub async fn list_clients(
        &self,
        plan: &Plan,
        observation: &Observation,
        (names, interrupt): (ClientNames, &Interrupt),
    ) -> ClientsFacts {
        let announced = observation.cluster.as_ref().filter(|facts| !facts.nodes.is_empty());
        let nodes_omitted = announced.map_or(0, |facts| facts.nodes_omitted);
        let mut nodes = Vec::new();
        let mut asked = HashSet::new();
        let candidates = match announced {
            Some(facts) => facts.nodes.iter().map(candidate).collect(),
            None => vec![in_use(plan, observation)],
        };
        for candidate in candidates {
            match candidate {
                Candidate::Ask(_, address) if !asked.insert(address) => {} // announced twice
                Candidate::Ask(node, address) => {
                    let budget = Budget::new(plan.timeout, interrupt.clone());
                    let mut plan = plan.clone();
                    plan.target.port = address.port();
                    plan.addresses = Addresses::First;
                    plan.samples = 1;
                    plan.cluster = ClusterMode::Off;
                    let outcome = self.connector.connect_and_list_clients(&plan, address.ip(), (names, &budget)).await;
                    nodes.push(node_clients(node, address, outcome));
                }
                Candidate::Leave(node) => nodes.push(*node),
            }
        }
        nodes.extend(unknown_nodes(plan, observation));
        ClientsFacts { nodes, nodes_omitted }
    }
}

/// A node, and whether it is asked.
enum Candidate {
    Ask(String, SocketAddr),
    Leave(Box<NodeClients>),
}

impl Candidate {
    fn leave(node: &str, address: Option<SocketAddr>, failure: ClientListFailure) -> Self {
        Self::Leave(Box::new(NodeClients::failed(node.to_owned(), address, failure)))
    }
}

fn candidate(node: &ClusterNode) -> Candidate {
    match (node.state, node.address) {
        (NodeState::Reachable, Some(address)) => Candidate::Ask(node.announced.clone(), address),
        (NodeState::UnexpectedAddress, address) => {
            Candidate::leave(&node.announced, address, ClientListFailure::NotExpected)
        }
        (NodeState::Reachable | NodeState::Unreachable | NodeState::NotTried, address) => {
            let error = match (&node.phases, node.not_tried) {
                (Some(phases), _) => failure(phases),
                (None, Some(reason)) => format!("not tried, {reason}"),
                (None, None) => "not tried".to_owned(),
            };
            Candidate::leave(&node.announced, address, ClientListFailure::NotConnected { error })
        }
    }
}

/// The server in use, where it announced no nodes.
fn in_use(plan: &Plan, observation: &Observation) -> Candidate {
    let phases = &observation.phases.connection;
    match &observation.connection {
        Some(Connection { address, ping: Some(ping), .. }) if ping.reply == PingReply::Noauth => {
            Candidate::leave(&address.to_string(), Some(*address), ClientListFailure::NoCredentials)
        }
        Some(Connection { address, .. }) if phases.ping.is_done() => Candidate::Ask(address.to_string(), *address),
        connection => {
            let address = connection.as_ref().map(|connection| connection.address);
            let node = address.map_or_else(|| plan.target.host.to_string(), |address| address.to_string());
            let failure = if phases.is_stopped_by(StoppedBy::Interrupt) {
                ClientListFailure::Interrupted
            } else {
                ClientListFailure::NotConnected { error: failure(phases) }
            };
            Candidate::leave(&node, address, failure)
        }
    }
}

/// What says that a cluster may have nodes that are not known, unless the plan leaves a cluster out.
fn unknown_nodes(plan: &Plan, observation: &Observation) -> Option<NodeClients> {
    let is_known = match observation.phases.cluster.as_ref()? {
        Phase::Done { .. } | Phase::Skipped { reason: SkipReason::NotApplicable } => true,
        // The nodes failed, and are named each.
        Phase::Failed { .. } => observation.cluster.is_some(),
        Phase::Skipped { .. } | Phase::NotReached { .. } => false,
    };
    let is_redis = observation.connection.as_ref().and_then(|connection| connection.ping.as_ref()).is_some();
    if is_known || !is_redis || plan.cluster == ClusterMode::Off {
        return None;
    }
    let error = "the user may not run CLUSTER SHARDS, or it failed: whether there are further nodes is unknown (--cluster off: there are none)";
    let failure = ClientListFailure::NotConnected { error: error.to_owned() };
    Some(NodeClients::failed("further nodes".to_owned(), None, failure))
}

fn node_clients(node: String, address: SocketAddr, outcome: ConnectionOutcome) -> NodeClients {
    let ConnectionOutcome { phases, connection, clients, .. } = outcome;
    match clients {
        Some(reply) => NodeClients { node, address: Some(address), list: reply.list, failure: reply.failure },
        None if connection.ping.is_some_and(|ping| ping.reply == PingReply::Noauth) => {
            NodeClients::failed(node, Some(address), ClientListFailure::NoCredentials)
        }
        None if phases.is_stopped_by(StoppedBy::Interrupt) => {
            NodeClients::failed(node, Some(address), ClientListFailure::Interrupted)
        }
        None => {
            let failure = ClientListFailure::NotConnected { error: failure(&phases) };
            NodeClients::failed(node, Some(address), failure)
        }
    }
}

/// The first phase that failed, and how.
fn failure(phases: &ConnectionPhases) -> String {
    let all = [
        (PhaseName::Connect, phases.connect.summary()),
        (PhaseName::Tls, phases.tls.summary()),
        (PhaseName::Auth, phases.auth.summary()),
        (PhaseName::Ping, phases.ping.summary()),
    ];
    let failed = all.iter().find(|(_, summary)| summary.outcome == crate::phase::PhaseOutcome::Failed);
    match failed.or_else(|| all.iter().find(|(_, summary)| summary.outcome == crate::phase::PhaseOutcome::NotReached)) {
        Some((name, summary)) => format!("{name} failed: {}", summary.reason.unwrap_or("no reason is known")),
        None => "no reply to PING".to_owned(),
    }
}
