//! What the walk over a cluster's nodes means. A `PING` on the usual port says nothing of them.

use std::collections::BTreeSet;

use super::remediation::{self, Resource};
use super::{Code, Context, Finding, Severity, redis};
use crate::azure::Service;
use crate::observation::cluster::{
    ClusterFacts, ClusterFailure, ClusterNode, NodeHealth, NodeRole, NodeState, NotTried, SLOTS,
};
use crate::observation::redis::PingReply;
use crate::observation::{ConnectFailure, Phase, RedisFailure, SkipReason};
use crate::phase::PhaseName;

/// The most nodes that a finding names.
const MAX_SHOWN_NODES: usize = 16;

/// The most ranges of slots that are named of one node.
const MAX_SHOWN_RANGES: usize = 4;

pub(super) fn diagnose(case: &Context<'_>) -> Vec<Finding> {
    let Some(phase) = &case.observation.phases.cluster else { return Vec::new() };
    let mut findings = Vec::new();
    if let Some(ClusterFailure::Command { failure }) = phase.failure() {
        findings.push(topology_unknown(case, failure));
    }
    let unknown = nodes_unknown(case, phase);
    let Some(facts) = &case.observation.cluster else {
        let not_asked_for = if unknown.is_none() { nodes_not_asked_for(case) } else { None };
        findings.extend(unknown.or(not_asked_for));
        return findings;
    };
    findings.extend(unknown);
    if let (Some(reply), Phase::Skipped { reason: SkipReason::NoPermission }) = (&facts.refusal, phase) {
        findings.push(not_permitted(reply));
    }
    findings.extend(unreachable(case, facts));
    findings.extend(unexpected_address(case, facts));
    findings.extend(uncovered(case, facts));
    findings.extend(certificate_lacks_ip(case, facts));
    findings.extend(answers_with_an_error(case, facts));
    findings.extend(not_tried(facts));
    findings.extend(redirects(facts));
    findings
}

/// The nodes were to be looked at (`--cluster on`), and were not, or not all of them.
fn nodes_unknown(case: &Context<'_>, phase: &Phase<ClusterFailure>) -> Option<Finding> {
    let is_pinged = case.observation.phases.connection.ping.is_done();
    let not_tried = case
        .observation
        .cluster
        .as_ref()
        .is_some_and(|facts| facts.in_state(NodeState::NotTried).next().is_some() || facts.nodes_omitted > 0);
    let why = match phase {
        Phase::Skipped { reason: SkipReason::NoCredentials } => {
            "Redis tells its nodes to authenticated clients only, and the probe has no credentials."
        }
        Phase::Skipped { reason: SkipReason::NoPermission } => "The user may not ask for them.",
        Phase::Skipped { reason: SkipReason::NotApplicable } if is_known_to_be_none(case) => return None,
        Phase::Skipped { reason: SkipReason::NotApplicable } => {
            "The server, or a proxy in front of it, does not know the command."
        }
        Phase::Skipped { .. } => {
            "The credentials were not sent, and Redis tells its nodes to authenticated clients only."
        }
        Phase::Failed { failure: ClusterFailure::Command { .. }, .. } => "The server gave no list of them.",
        Phase::NotReached { .. } if is_pinged => "The probe did not get that far.",
        Phase::Done { .. } | Phase::Failed { .. } if not_tried => "Not all of those announced were connected to.",
        Phase::Done { .. } | Phase::Failed { .. } | Phase::NotReached { .. } => return None,
    };
    (case.expectation.cluster_nodes && is_pinged).then(|| {
        Finding::new(
            Code::NotChecked,
            Severity::Warning,
            "unknown: whether the nodes of the cluster can be reached from here",
            format!("The check was asked for (--cluster on). {why} Cluster clients connect to every node, on ports beside {}.", case.target.port),
        )
        .phase(PhaseName::Cluster)
        .hint("give the probe a credential that may send +cluster|shards (--password-file, --auth entra) and enough time (--timeout), or set --cluster auto where no client uses nodes")
    })
}

/// Whether the error reply says that there are no nodes. Under the Enterprise policy the command is blocked.
fn is_known_to_be_none(case: &Context<'_>) -> bool {
    let refusal = case.observation.cluster.as_ref().and_then(|facts| facts.refusal.as_deref());
    let is_standalone = refusal.is_some_and(|refusal| refusal.contains("cluster support disabled"));
    let service = case.target.service;
    is_standalone || matches!(service, Service::AzureCacheForRedisEnterprise | Service::AzureManagedRedis)
}

/// A probe without credentials cannot ask for the nodes, and these services usually have some.
fn nodes_not_asked_for(case: &Context<'_>) -> Option<Finding> {
    let resource = Resource::of(case)?;
    let ports = resource.node_ports(case.target.tls)?;
    let usual = matches!(resource.service, Service::AzureCacheForRedisEnterprise | Service::AzureManagedRedis);
    let keyless = case.observation.connection.as_ref()?.ping.as_ref()?.reply == PingReply::Noauth;
    (usual && keyless).then(|| {
        Finding::new(
            Code::ClusterNodeUnreachable,
            Severity::Info,
            "the nodes of the cluster were not looked at: Redis tells them to authenticated clients only",
            format!("Under the OSS cluster policy, the default of {}, clients connect to nodes on ports {ports} beside port {}. Whether they can be reached from here is unknown.", resource.service.title(), case.target.port),
        )
        .phase(PhaseName::Cluster)
        .hint("give the probe a credential that may send +cluster|shards (--password-file, --auth entra), or --cluster off where no client uses nodes")
    })
}

/// Every node can be reached, and only a client of the cluster makes use of it.
fn redirects(facts: &ClusterFacts) -> Option<Finding> {
    let masters =
        facts.nodes.iter().filter(|node| node.role == NodeRole::Master && node.slot_count > 0).collect::<Vec<_>>();
    let all_reachable = facts.nodes.iter().all(|node| node.state == NodeState::Reachable);
    (masters.len() > 1 && all_reachable).then(|| {
        Finding::new(
            Code::RedisMoved,
            Severity::Info,
            format!("the cluster has {} nodes with slots: clients without cluster support get MOVED", masters.len()),
            "Each node serves its own slots and redirects the commands on other keys. Clients with cluster support follow; others report the error MOVED.",
        )
        .phase(PhaseName::Cluster)
    })
}

/// The server answered `PING` and not this, so its nodes are not known.
fn topology_unknown(case: &Context<'_>, failure: &RedisFailure) -> Finding {
    let mut finding = redis::failure_finding(case, failure, PhaseName::Cluster);
    match failure {
        RedisFailure::Closed | RedisFailure::Reset => {
            finding.severity = Severity::Info;
            finding.detail =
                "A proxy that does not know CLUSTER (twemproxy) closes the connection at this command.".to_owned();
            finding.hint = "switch the query off (--cluster off) where a proxy stands in front".to_owned();
        }
        RedisFailure::Timeout | RedisFailure::Other { .. } => finding.severity = Severity::Warning,
        RedisFailure::ErrorReply { .. }
        | RedisFailure::UnexpectedReply { .. }
        | RedisFailure::NotRedis { .. }
        | RedisFailure::TooLong { .. } => {}
    }
    finding
        .detail
        .push_str(" PING was answered before. Whether there is a cluster, and where its nodes are, is not known.");
    finding
}

fn not_permitted(reply: &str) -> Finding {
    Finding::new(
        Code::PermissionDenied,
        Severity::Info,
        format!("Redis does not let this user ask for the cluster's nodes: {reply}"),
        "Whether there is a cluster, and whether its nodes can be reached, is not known. All else was looked at.",
    )
    .phase(PhaseName::Cluster)
    .hint("allow the probe's user +cluster|shards and +cluster|slots, which change nothing, or switch the phase off (--cluster off)")
}

fn unreachable(case: &Context<'_>, facts: &ClusterFacts) -> Option<Finding> {
    let nodes: Vec<&ClusterNode> = facts.in_state(NodeState::Unreachable).collect();
    let first = nodes.first()?;
    let lost: u32 =
        nodes.iter().filter(|node| node.role != NodeRole::Replica).map(|node| u32::from(node.slot_count)).sum();
    let effect = match lost {
        0 => "They are replicas: clients that read from replicas fail or wait on them, and a failover to one of them fails for clients here.".to_owned(),
        lost if lost >= u32::from(SLOTS) => format!("PING on port {} works. Clients of the cluster fail or wait on every key; clients without cluster support get MOVED to these nodes.", case.target.port),
        _ => format!("PING on port {} works, and so do the keys of the other slots. Clients of the cluster fail or wait on the keys of these {lost} of {SLOTS} slots; clients without cluster support get MOVED for them.", case.target.port),
    };
    let resource = Resource::of(case);
    let range = resource.as_ref().and_then(|resource| resource.node_ports(case.target.tls));
    let wanted = range.map_or_else(|| ports(&nodes), str::to_owned);
    let mut finding = Finding::new(
        Code::ClusterNodeUnreachable,
        Severity::Error,
        format!(
            "{} of the cluster's {} nodes cannot be reached: {}",
            nodes.len(),
            facts.nodes.len(),
            list_nodes(&nodes, |node| format!("{} ({})", node_address(node), slots_text(node)))
        ),
        format!(
            "{}. {effect} {}",
            list_nodes(&nodes, |node| format!("{}: {}", node_address(node), failure(node))),
            likely(case, &nodes, range)
        ),
    );
    if nodes.iter().any(|node| fails_to_connect(node)) {
        let addresses = addresses(&nodes);
        finding = finding
            .hint(format!(
                "allow TCP {} to {} from this subnet, beside port {}, in the network security groups and in every firewall on the way",
                wanted.replace(' ', ", "), addresses.replace(' ', ", "), case.target.port
            ))
            .commands([remediation::effective_nsg(), remediation::allow_ports(&addresses, &wanted)]);
    } else {
        finding = finding
            .hint(format!("look at what answers at {}: the network lets the connection through", node_address(first)));
    }
    Some(finding.commands(resource.iter().map(Resource::show)))
}

/// The causes that the failures leave open, the likeliest first.
fn likely(case: &Context<'_>, nodes: &[&ClusterNode], range: Option<&str>) -> String {
    let mut causes = Vec::new();
    let failed: Vec<&ClusterNode> =
        nodes.iter().filter(|node| node.health == Some(NodeHealth::Failed)).copied().collect();
    if !failed.is_empty() {
        causes.push(format!("the node is down, as the cluster itself says of {}", list_nodes(&failed, node_address)));
    }
    if nodes.iter().any(|node| fails_to_connect(node)) {
        let title = case.target.service.title();
        let nodes_on = range.map_or_else(
            || "the nodes' own ports".to_owned(),
            |range| format!("the range {range}, on which {title} has its nodes"),
        );
        causes.push(format!(
            "a network security group or firewall lets port {} through and not {nodes_on}",
            case.target.port
        ));
        if failed.is_empty() {
            causes.push("the node is down or has moved to another port, which it may at any time".to_owned());
        }
    }
    if nodes.iter().any(|node| !fails_to_connect(node)) {
        causes.push("where TCP connects and the rest fails, something other than the cache's node answers there, or the node has no room or hangs".to_owned());
    }
    format!("By likelihood: {}. From the client these look alike.", causes.join("; "))
}

fn unexpected_address(case: &Context<'_>, facts: &ClusterFacts) -> Option<Finding> {
    let nodes: Vec<&ClusterNode> = facts.in_state(NodeState::UnexpectedAddress).collect();
    if nodes.is_empty() {
        return None;
    }
    let meets = |node: &&ClusterNode| node.address.is_some_and(|to| case.expectation.allows(to.ip()));
    let severity = if nodes.iter().all(meets) { Severity::Warning } else { Severity::Error };
    let resource = Resource::of(case);
    Some(
        Finding::new(
            Code::ClusterNodeUnexpectedAddress,
            severity,
            format!(
                "{} of the cluster's {} nodes are announced at an address that is not the expected one: {}",
                nodes.len(),
                facts.nodes.len(),
                list_nodes(&nodes, |node| format!("{} ({})", node_address(node), slots_text(node)))
            ),
            format!(
                "Nothing was sent there: an announcement leads this probe only to addresses that meet the expectation ({}). Clients of the cluster do follow it for the keys of these slots; they leave the private path or fail. A client without cluster support gets MOVED for these keys on port {}. By likelihood: the cache announces its public or internal address and not the private endpoint's; a second private endpoint is in use; the expectation is too narrow.",
                case.expectation.path_and_endpoints(),
                case.target.port
            ),
        )
        .hint("if the addresses are right, name them as endpoints (--endpoint, expect.endpoints); otherwise map them to the endpoint in the client, or, on Enterprise and Managed Redis, use a database with the Enterprise cluster policy, which announces no nodes (the policy of an existing OSS database cannot be changed: it has to be deleted and created anew; from NoCluster it can)")
        .commands(resource.iter().map(Resource::show)),
    )
}

fn uncovered(case: &Context<'_>, facts: &ClusterFacts) -> Option<Finding> {
    let missing = facts.slots_uncovered.filter(|missing| *missing > 0)?;
    // An empty list may be a proxy's way to say that there is no cluster.
    let (severity, summary) = if facts.nodes.is_empty() {
        (Severity::Warning, "the cluster announces no nodes at all".to_owned())
    } else {
        (Severity::Error, format!("{missing} of the cluster's {SLOTS} slots are served by no node"))
    };
    Some(
        Finding::new(
            Code::RedisClusterDown,
            severity,
            summary,
            "Unless cluster-require-full-coverage is off, the cluster then refuses the commands on every key (CLUSTERDOWN); with it off, those on the keys of these slots.",
        )
        .phase(PhaseName::Cluster)
        .hint("look at the cluster's nodes and failover events, and at a scaling that was not finished")
        .commands([format!(
            "redis-cli{} --cluster check {}:{}",
            if case.target.tls { " --tls" } else { "" },
            case.target.host,
            case.target.port
        )]),
    )
}

/// A warning and no more: it depends on the client whether it matters.
fn certificate_lacks_ip(case: &Context<'_>, facts: &ClusterFacts) -> Option<Finding> {
    let nodes: Vec<&ClusterNode> =
        facts.nodes.iter().filter(|node| node.certificate_covers_ip == Some(false)).collect();
    let first = nodes.first()?;
    let name = &case.target.server_name;
    Some(
        Finding::new(
            Code::ClusterCertificateLacksIp,
            Severity::Warning,
            format!(
                "the cluster announces {} of its {} nodes by IP address ({}), and their certificate covers names alone",
                nodes.len(),
                facts.nodes.len(),
                addresses(&nodes).replace(' ', ", ")
            ),
            format!(
                "This probe verified them by the name {name}, and it cannot see which client the application uses. Clients that verify each node by the address announced fail with a name mismatch as soon as they follow the announcement, although PING works. Reported so with Azure: node-redis (issue 2903), ioredis (1149), go-redis (1698), Redisson (1296), Lettuce (\"No subject alternative names matching IP address\"). Not affected: those that verify by the configured name, as StackExchange.Redis does where all configured endpoints have one name (its pull request 218)."
            ),
        )
        .hint(format!(
            "give the client the name to verify by: servername in ioredis (tls) and node-redis (socket), TLSConfig.ServerName in go-redis, sslHost in StackExchange.Redis; or map the announced addresses back to {name}: nodeAddressMap in node-redis, natMap in ioredis, MappingSocketAddressResolver in Lettuce; or, on Enterprise and Managed Redis, use a database with the Enterprise cluster policy, which announces no nodes (the policy of an existing OSS database cannot be changed: it has to be deleted and created anew). Do not switch verification off"
        ))
        .commands(first.address.map(|address| {
            let (socket, ip) = (remediation::socket(address), address.ip());
            format!("openssl s_client -connect {socket} -servername {name} -verify_ip {ip} -verify_return_error </dev/null")
        })),
    )
}

/// Nodes that answered, so that the path to them is proven, and with an error.
fn answers_with_an_error(case: &Context<'_>, facts: &ClusterFacts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for node in facts.in_state(NodeState::Reachable) {
        let Some(phases) = &node.phases else { continue };
        let Some(failure) = phases.auth.failure().or(phases.ping.failure()) else { continue };
        let mut finding = redis::failure_finding(case, failure, PhaseName::Cluster);
        if findings.iter().any(|known| known.code == finding.code) {
            continue; // the same finding for every node is shown once
        }
        finding.severity = finding.severity.max(Severity::Warning);
        finding.summary =
            format!("{} (at the cluster's node {}, {})", finding.summary, node_address(node), slots_text(node));
        findings.push(finding);
    }
    findings
}

/// What was announced and not looked at, so that nobody takes it for reachable.
fn not_tried(facts: &ClusterFacts) -> Option<Finding> {
    let mut reasons: Vec<NotTried> = facts.in_state(NodeState::NotTried).filter_map(|node| node.not_tried).collect();
    reasons.retain(|reason| *reason != NotTried::Interrupted);
    let omitted = facts.nodes_omitted as usize;
    if reasons.is_empty() && omitted == 0 {
        return None;
    }
    let no_time = reasons.contains(&NotTried::NoTime);
    let count = |reason: &NotTried| reasons.iter().filter(|other| *other == reason).count();
    let each: BTreeSet<NotTried> = reasons.iter().copied().collect();
    let mut parts: Vec<String> = each.iter().map(|reason| format!("{} {reason}", count(reason))).collect();
    if omitted > 0 {
        parts.push(format!("{omitted} beyond what is read, or unreadable"));
    }
    let finding = Finding::new(
        Code::ClusterNodeUnreachable,
        if no_time { Severity::Warning } else { Severity::Info },
        format!(
            "{} of the {} nodes that the cluster announces were not connected to: {}",
            reasons.len() + omitted,
            facts.nodes.len() + omitted,
            parts.join(", ")
        ),
        "Whether they can be reached is not known.",
    );
    Some(if no_time { finding.hint("give the probe more time (--timeout)") } else { finding })
}

fn node_address(node: &ClusterNode) -> String {
    node.address.map_or_else(|| node.announced.clone(), |address| address.to_string())
}

/// What a node is for: `slots 0-5460`, `replica of slots 0-5460`.
fn slots_text(node: &ClusterNode) -> String {
    let mut ranges: Vec<String> = node.slots.iter().take(MAX_SHOWN_RANGES).map(ToString::to_string).collect();
    if node.slots.len() > MAX_SHOWN_RANGES {
        ranges.push("and more".to_owned());
    }
    let slots = if ranges.is_empty() { "no slots".to_owned() } else { format!("slots {}", ranges.join(", ")) };
    match node.role {
        NodeRole::Replica => format!("replica, {slots}"),
        NodeRole::Master | NodeRole::Unknown => slots,
    }
}

/// Where a node's connection ended, in words.
fn failure(node: &ClusterNode) -> String {
    let Some(phases) = &node.phases else { return "not tried".to_owned() };
    if let Some(failure) = phases.connect.failure() {
        return failure.to_string();
    }
    if let Some(failure) = phases.tls.failure() {
        return format!("TLS: {failure}");
    }
    if let Some(failure) = phases.auth.failure() {
        return format!("AUTH: {failure}");
    }
    phases.ping.failure().map_or_else(|| "no answer".to_owned(), |failure| format!("PING: {failure}"))
}

/// Whether TCP to it failed in a way that the network may be the cause of.
fn fails_to_connect(node: &ClusterNode) -> bool {
    match node.phases.as_ref().and_then(|phases| phases.connect.failure()) {
        Some(
            ConnectFailure::Timeout
            | ConnectFailure::Refused
            | ConnectFailure::Reset
            | ConnectFailure::HostUnreachable
            | ConnectFailure::NetworkUnreachable,
        ) => true,
        Some(ConnectFailure::Other { .. }) | None => false,
    }
}

fn list_nodes(nodes: &[&ClusterNode], words: impl Fn(&ClusterNode) -> String) -> String {
    let mut parts: Vec<String> = nodes.iter().take(MAX_SHOWN_NODES).map(|node| words(node)).collect();
    if nodes.len() > MAX_SHOWN_NODES {
        parts.push(format!("and {} more", nodes.len() - MAX_SHOWN_NODES));
    }
    parts.join("; ")
}

/// Their ports, each once, as a command line takes them.
fn ports(nodes: &[&ClusterNode]) -> String {
    let ports: BTreeSet<u16> = nodes.iter().filter_map(|node| Some(node.address?.port())).collect();
    ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// Their addresses, each once, the first ones.
fn addresses(nodes: &[&ClusterNode]) -> String {
    let addresses: BTreeSet<_> = nodes.iter().filter_map(|node| Some(node.address?.ip())).collect();
    addresses.iter().take(MAX_SHOWN_NODES).map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
