//! The nodes that a cluster announced, and whether they can be reached.

use strum::IntoEnumIterator;

use super::phase_list;
use crate::observation::cluster::{ClusterFacts, ClusterNode, NodeRole, NodeState};

/// `3 nodes, 3 reachable, all slots covered`, then the nodes that are not reachable, a line each, the first
/// ones; nothing where no cluster was announced.
pub(super) fn cluster(facts: &ClusterFacts) -> Vec<String> {
    if facts.command.is_none() {
        return Vec::new();
    }
    std::iter::once(summary(facts)).chain(nodes(facts)).collect()
}

fn summary(facts: &ClusterFacts) -> String {
    let all = facts.nodes.len() + facts.nodes_omitted as usize;
    let mut parts = vec![if all == 1 { "1 node".to_owned() } else { format!("{all} nodes") }];
    for state in NodeState::iter() {
        let count = facts.in_state(state).count();
        let words = match state {
            NodeState::Reachable => "reachable",
            NodeState::Unreachable => "unreachable",
            NodeState::UnexpectedAddress => "at an unexpected address",
            NodeState::NotTried => "not tried",
        };
        if count > 0 || state == NodeState::Reachable {
            parts.push(format!("{count} {words}"));
        }
    }
    parts.extend(match facts.slots_uncovered {
        Some(0) => Some("all slots covered".to_owned()),
        Some(missing) => Some(format!("{missing} slots uncovered")),
        None => Some("slots unknown".to_owned()),
    });
    parts.join(", ")
}

fn nodes(facts: &ClusterFacts) -> Vec<String> {
    const SHOWN: usize = 8;
    let others: Vec<_> = facts.nodes.iter().filter(|node| node.state != NodeState::Reachable).collect();
    let mut lines: Vec<String> = others.iter().take(SHOWN).map(|node| self::node(node)).collect();
    if others.len() > SHOWN {
        lines.push(format!("and {} more", others.len() - SHOWN));
    }
    lines
}

fn node(node: &ClusterNode) -> String {
    const RANGES: usize = 4;
    let role = match node.role {
        NodeRole::Master => "master",
        NodeRole::Replica => "replica",
        NodeRole::Unknown => "node",
    };
    let mut ranges: Vec<String> = node.slots.iter().take(RANGES).map(ToString::to_string).collect();
    if node.slots.len() > RANGES {
        ranges.push("...".to_owned());
    }
    let slots = if ranges.is_empty() { "no slots".to_owned() } else { format!("slots {}", ranges.join(" ")) };
    let address = node.address.map_or_else(|| node.announced.clone(), |address| address.to_string());
    let outcome = match (node.state, &node.phases, node.not_tried) {
        (NodeState::Reachable, ..) => "reachable".to_owned(),
        (NodeState::Unreachable, Some(phases), _) => phase_list(phases),
        (NodeState::Unreachable, None, _) => "unreachable".to_owned(),
        (NodeState::UnexpectedAddress, ..) => "not the expected address, nothing was sent".to_owned(),
        (NodeState::NotTried, _, Some(reason)) => format!("not tried: {reason}"),
        (NodeState::NotTried, _, None) => "not tried".to_owned(),
    };
    format!("{address} {role}, {slots}: {outcome}")
}
