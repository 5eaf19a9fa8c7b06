//! What the applications' own connections say. An address that no view ever gave is never held against anyone.

use super::{Code, Context, Finding, Severity};
use crate::expectation::ExpectedPath;
use crate::observation::application::{ApplicationFacts, ApplicationPath, ApplicationPeer};
use crate::phase::PhaseName;

/// The most addresses that a sentence names.
const MAX_NAMED: usize = 5;

/// The flags of a check that `redpath connections` has, too.
const CONNECTIONS_FLAGS: [&str; 5] = ["--expect", "--endpoint", "--private-range", "--resolver", "--views"];

/// Where the list does not reach.
const REACH: &str = "The list has the connections of this network namespace alone. From a DaemonSet or another pod it does not reach the application's; a sidecar or an ephemeral container shares the namespace of its pod. A local proxy (a service mesh, Dapr) in another namespace hides the path.";

/// The findings of the phase.
pub(super) fn diagnose(case: &Context<'_>) -> Vec<Finding> {
    let failed = case.observation.phases.application.as_ref().and_then(|phase| phase.failure());
    let unreadable = failed.map(|failure| {
        let summary = "unknown: which path the applications' connections take".to_owned();
        Finding::new(Code::NotChecked, Severity::Warning, summary, failure.to_string())
            .phase(PhaseName::Application)
            .hint("allow AF_NETLINK or the reading of /proc/self/net/tcp and /proc/self/fd, or set application to auto")
    });
    let Some(facts) = &case.observation.application else { return unreadable.into_iter().collect() };
    let found = [public_path(case, facts), old_endpoint(case, facts), cannot_connect(facts), storm(facts)];
    let not_seen = (!facts.is_seen()).then(|| not_seen(case));
    found.into_iter().chain([unreadable, not_seen]).flatten().collect()
}

fn public_path(case: &Context<'_>, facts: &ApplicationFacts) -> Option<Finding> {
    let peers = established(facts, ApplicationPath::Public);
    if peers.is_empty() || case.expectation.path != ExpectedPath::Private {
        return None;
    }
    let (count, addresses) = (total(&peers), addresses(&peers));
    let summary =
        format!("{} of applications here {} to the public address {addresses}", connections(count), leads(count));
    let detail = format!(
        "{} A change of DNS ends no open connection: each stays until its client closes it, at a restart or when its pool replaces it.{}",
        given(&peers),
        at_least(facts)
    );
    Some(with_commands(
        Finding::new(Code::ApplicationOnPublicPath, Severity::Error, summary, detail)
            .hint("restart the clients that hold these connections; keep public access open until none is left"),
        &peers,
    ))
}

fn old_endpoint(case: &Context<'_>, facts: &ApplicationFacts) -> Option<Finding> {
    // Those of the old name of a migration have a code of their own.
    let mut peers = established(facts, ApplicationPath::Old);
    peers.retain(|peer| !peer.of_old_name);
    let first = peers.first()?;
    let (count, addresses) = (total(&peers), addresses(&peers));
    let summary = format!(
        "{} of applications here {} to {addresses}, which is not the address of {} now",
        connections(count),
        leads(count),
        case.target.host
    );
    let detail = format!(
        "{} Whether {} still serves is not known from this list. The connections stay until their clients close them.{}",
        given(&peers),
        first.address,
        at_least(facts)
    );
    Some(with_commands(
        Finding::new(Code::ApplicationOnOldEndpoint, Severity::Warning, summary, detail)
            .hint("restart the clients that hold these connections before the old endpoint is removed"),
        &peers,
    ))
}

fn cannot_connect(facts: &ApplicationFacts) -> Option<Finding> {
    // An address that no view gave may be another service's.
    let is_target = |path| matches!(path, ApplicationPath::Public | ApplicationPath::Old | ApplicationPath::Expected);
    let peers: Vec<&ApplicationPeer> =
        facts.peers.iter().filter(|peer| peer.unanswered > 0 && is_target(peer.path)).collect();
    if peers.is_empty() {
        return None;
    }
    let count = peers.iter().fold(0_u32, |sum, peer| sum.saturating_add(peer.unanswered));
    // Where other connections to the same address are open, a SYN or two may just have been lost.
    let severity = if peers.iter().all(|peer| peer.established > 0) { Severity::Warning } else { Severity::Error };
    let summary = format!("no answer to {} of applications here to {}", connections(count), addresses(&peers));
    let detail = "The SYN was sent again at least once: for a second or more no answer came. A firewall that drops packets, a missing route or a closed endpoint does that; an overloaded server may.";
    let command = peers.iter().take(1).map(|peer| format!("ss -tnpo state syn-sent dst {}", filter(peer)));
    Some(
        Finding::new(Code::ApplicationCannotConnect, severity, summary, detail)
            .hint("find the process, and see which address it is configured with; then compare with the path of this probe")
            .commands(command),
    )
}

fn storm(facts: &ApplicationFacts) -> Option<Finding> {
    let opened = facts.opened_last_minute.filter(crate::observation::application::OpenedLastMinute::is_storm)?;
    let limit = opened.max_per_minute?;
    let summary = format!(
        "applications here opened {} in {}; at most {limit} a minute are allowed (max_opened_per_minute)",
        connections(opened.count),
        opened.over_seconds
    );
    let detail = "Connections that were opened and forgotten by the kernel between two probes are not counted. Each costs a TLS handshake and an AUTH at the server; Azure limits how many it takes a second.";
    let peers: Vec<&ApplicationPeer> = facts.peers.iter().collect();
    Some(with_commands(
        Finding::new(Code::ConnectionStorm, Severity::Warning, summary, detail)
            .hint("find the client that opens a connection for each request, or whose connections are closed at once, and have it keep one open"),
        &peers,
    ))
}

fn not_seen(case: &Context<'_>) -> Finding {
    let connections = case.arguments().command("connections", Some(&CONNECTIONS_FLAGS));
    Finding::new(
        Code::ApplicationNotSeen,
        Severity::Info,
        "no connection of an application to the target is found here",
        REACH,
    )
    .hint("run redpath in the application's own pod, as a sidecar or by kubectl debug")
    .commands([format!(
        "kubectl --namespace <namespace> debug <pod> -it --image <redpath-image> --target <container> -- {connections}"
    )])
}

fn established(facts: &ApplicationFacts, path: ApplicationPath) -> Vec<&ApplicationPeer> {
    facts.by_path(path).filter(|peer| peer.established > 0).collect()
}

fn total(peers: &[&ApplicationPeer]) -> u32 {
    peers.iter().fold(0, |sum, peer| sum.saturating_add(peer.established))
}

fn connections(count: u32) -> String {
    if count == 1 { "1 connection".to_owned() } else { format!("{count} connections") }
}

fn leads(count: u32) -> &'static str {
    if count == 1 { "leads" } else { "lead" }
}

fn addresses(peers: &[&ApplicationPeer]) -> String {
    let named: Vec<String> = peers.iter().take(MAX_NAMED).map(|peer| peer.address.to_string()).collect();
    let more = peers.len().saturating_sub(MAX_NAMED);
    if more > 0 { format!("{} and {more} more", named.join(", ")) } else { named.join(", ") }
}

/// Which view gave the address, and when.
fn given(peers: &[&ApplicationPeer]) -> String {
    let sentence = |peer: &&ApplicationPeer| match (&peer.view, peer.given_at) {
        (Some(view), Some(at)) => Some(format!("The view {view} last gave {} at {at}.", peer.address)),
        _ => None,
    };
    peers.iter().take(MAX_NAMED).filter_map(sentence).collect::<Vec<_>>().join(" ")
}

fn at_least(facts: &ApplicationFacts) -> &'static str {
    if facts.truncated { " More sockets are open than are read: the counts are lower bounds." } else { "" }
}

fn with_commands(finding: Finding, peers: &[&ApplicationPeer]) -> Finding {
    let find = peers.iter().take(1).map(|peer| format!("ss -tnp dst {}", filter(peer)));
    finding.commands(find).commands([
        "kubectl --namespace <namespace> rollout restart deployment <application>".to_owned(),
        "systemctl restart <application>".to_owned(),
    ])
}

/// The address as ss(8) takes it, in quotes where a shell would expand it.
fn filter(peer: &ApplicationPeer) -> String {
    if peer.address.is_ipv6() { format!("'[{}]'", peer.address) } else { peer.address.to_string() }
}
