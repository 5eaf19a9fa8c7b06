//! The applications' connections as text, JSON, Prometheus text and Markdown.

use std::fmt::Write;

use super::json;
use super::text::Style;
use crate::diagnosis::Status;
use crate::observation::application::{ApplicationFacts, ApplicationPath, ApplicationPeer, SocketSource};
use crate::record::connections::{ConnectionsReport, TargetConnections};

/// Text for a terminal: a line for each target, then its peers, then what to do.
pub fn text(report: &ConnectionsReport, style: &Style) -> String {
    let mut out = String::new();
    for (index, target) in report.targets.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        target_text(&mut out, target, style);
    }
    out
}

/// The document, indented.
///
/// # Errors
/// Where a value has no JSON form; no value of a report is such.
pub fn json(report: &ConnectionsReport) -> serde_json::Result<String> {
    json::document(report)
}

/// A target on a line of its own.
///
/// # Errors
/// As for `json`.
pub fn line(target: &TargetConnections) -> serde_json::Result<String> {
    json::compact(target)
}

/// Markdown: a table.
pub fn markdown(report: &ConnectionsReport) -> String {
    let mut out = String::from(
        "| target | path | address | established | connecting | closing | longest idle |\n|---|---|---|---|---|---|---|\n",
    );
    for target in &report.targets {
        let name = format!("`{}:{}`", target.target.host, target.target.port);
        let peers = target.application.as_ref().map(|facts| facts.peers.as_slice()).unwrap_or_default();
        if peers.is_empty() {
            let _ =
                writeln!(out, "| {name} | {} | | | | | |", target.error.as_deref().map_or("none seen", |_| "unknown"));
        }
        for peer in peers {
            let idle = peer.longest_idle_seconds.map_or_else(String::new, |idle| idle.to_string());
            let _ = writeln!(
                out,
                "| {name} | {} | `{}` | {} | {} | {} | {idle} |",
                peer.path, peer.address, peer.established, peer.connecting, peer.closing
            );
        }
    }
    out
}

/// The Prometheus text format: `redpath_application_connections` and `redpath_application_connecting`.
pub fn prometheus(report: &ConnectionsReport) -> String {
    let mut out = String::from(
        "# HELP redpath_application_connections Established connections of the applications in this network namespace, by path.\n# TYPE redpath_application_connections gauge\n",
    );
    let facts = || report.targets.iter().filter_map(|target| Some((&target.target.name, target.application.as_ref()?)));
    let escaped = |name: &str| name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    for (name, facts) in facts() {
        for path in ApplicationPath::ALL {
            let _ = writeln!(
                out,
                "redpath_application_connections{{target=\"{}\",path=\"{path}\"}} {}",
                escaped(name),
                facts.established(path)
            );
        }
    }
    out.push_str("# HELP redpath_application_connecting Connections whose SYN is not answered yet.\n# TYPE redpath_application_connecting gauge\n");
    for (name, facts) in facts() {
        let connecting: u32 = facts.peers.iter().map(|peer| peer.connecting).sum();
        let _ = writeln!(out, "redpath_application_connecting{{target=\"{}\"}} {connecting}", escaped(name));
    }
    out
}

fn target_text(out: &mut String, target: &TargetConnections, style: &Style) {
    let name = style.clean(&format!("{}:{}", target.target.host, target.target.port));
    let status = status_word(target.status);
    let Some(facts) = &target.application else {
        let error = target.error.as_deref().unwrap_or("the list could not be read");
        let _ = writeln!(out, "{status}  {name}  {}", style.clean(error));
        return;
    };
    let _ = writeln!(out, "{status}  {name}  {}", counts(facts));
    if !facts.peers.is_empty() {
        let _ = writeln!(
            out,
            "  {:<12} {:<28} {:>11} {:>10} {:>7}  idle, round trip",
            "path", "address", "established", "connecting", "closing"
        );
    }
    for peer in &facts.peers {
        peer_text(out, peer, style);
    }
    if facts.omitted_peers > 0 {
        let _ = writeln!(out, "  and {} more addresses", facts.omitted_peers);
    }
    if facts.truncated {
        out.push_str("  More sockets are open than are read: the counts are lower bounds.\n");
    }
    if facts.source == SocketSource::Proc {
        out.push_str("  Read from /proc/self/net, which has no times: netlink was refused.\n");
    }
    if let Some(opened) = facts.opened {
        let _ =
            writeln!(out, "  {} opened in {}, {:.0} a minute", opened.count, opened.over_seconds, opened.per_minute());
    }
    advice(out, target, facts);
}

fn peer_text(out: &mut String, peer: &ApplicationPeer, style: &Style) {
    let address = match &peer.label {
        Some(label) => format!("{} {} ({})", peer.address, peer.class, style.clean(label)),
        None => format!("{} {}", peer.address, peer.class),
    };
    let times = match (peer.longest_idle_seconds, peer.median_round_trip_seconds) {
        (Some(idle), Some(round_trip)) => {
            format!("{}, {}", style.clean(&idle.to_string()), style.clean(&round_trip.to_string()))
        }
        _ => String::new(),
    };
    let line = format!(
        "  {:<12} {address:<28} {:>11} {:>10} {:>7}  {times}",
        peer.path.to_string(),
        peer.established,
        peer.connecting,
        peer.closing
    );
    let _ = writeln!(out, "{}", line.trim_end());
}

/// What to do; the commands only read.
fn advice(out: &mut String, target: &TargetConnections, facts: &ApplicationFacts) {
    let port = target.target.port;
    let destinations = |path: ApplicationPath| {
        let peers: Vec<String> = facts
            .by_path(path)
            .filter(|peer| peer.established > 0)
            .take(3)
            .map(|peer| format!("dst {}", peer.address))
            .collect();
        peers.join(" or ")
    };
    let mut restart = |path: ApplicationPath, sentence: &str| {
        let _ = writeln!(
            out,
            "\n  {sentence}\n  $ ss -tnp state established '( {} ) and dport = :{port}'",
            destinations(path)
        );
    };
    if target.status == Status::Fail {
        restart(
            ApplicationPath::Public,
            "A client keeps its connection when DNS changes. Restart these clients before public access is disabled:",
        );
    } else if facts.established(ApplicationPath::Old) > 0 {
        restart(
            ApplicationPath::Old,
            "The name no longer has this address. Restart these clients before the old endpoint is removed:",
        );
    }
    if facts.established(ApplicationPath::LocalProxy) > 0 {
        out.push_str("\n  A local proxy (a service mesh, Dapr) hides the path of these connections: its own are listed as well if it runs here.\n");
    }
    if !facts.is_seen() {
        out.push_str("\n  redpath sees the connections of its own network namespace alone. Where the application runs in a pod, look from inside:\n  $ kubectl debug -it <pod> --namespace <namespace> --image <redpath-image> --target <container> -- redpath connections <host>\n");
    }
}

fn counts(facts: &ApplicationFacts) -> String {
    let parts: Vec<String> = ApplicationPath::ALL
        .into_iter()
        .filter_map(|path| {
            let count = facts.established(path);
            (count > 0).then(|| format!("{count} {}", path_words(path)))
        })
        .collect();
    let unanswered: u32 = facts.peers.iter().map(|peer| peer.unanswered).sum();
    match (parts.is_empty(), unanswered) {
        (true, 0) => "no connection of an application is seen".to_owned(),
        (true, _) => format!("{unanswered} not answered"),
        (false, 0) => parts.join(", "),
        (false, _) => format!("{}, {unanswered} not answered", parts.join(", ")),
    }
}

fn path_words(path: ApplicationPath) -> &'static str {
    match path {
        ApplicationPath::Public => "on the public path",
        ApplicationPath::Old => "to an old address",
        ApplicationPath::Unknown => "to an address that no view gave",
        ApplicationPath::LocalProxy => "to a local proxy",
        ApplicationPath::Expected => "on the expected path",
    }
}

fn status_word(status: Status) -> &'static str {
    match status {
        Status::Pass => "PASS",
        Status::Warn => "WARN",
        Status::Unknown => "UNKNOWN",
        Status::Fail => "FAIL",
    }
}
