//! The clients of a cache as text, JSON, Prometheus text and Markdown.

use std::fmt::Write;

use super::json;
use super::text::Style;
use crate::azure::Service;
use crate::diagnosis::{Finding, Status};
use crate::observation::clients::{ClientListFailure, ClientNetwork, ClientPath, NamedClients, NodeClients};
use crate::record::clients::ClientsReport;

/// The most networks of a node in the text; JSON has more.
const MAX_NETWORKS: usize = 20;

/// The most names of a node in the text.
const MAX_NAMES: usize = 50;

/// Text for a terminal: the sums, each node's networks and names, then what to do.
pub fn text(report: &ClientsReport, style: &Style) -> String {
    let mut out = String::new();
    let name = style.clean(&format!("{}:{}", report.target.host, report.target.port));
    let _ = writeln!(out, "{}  {name}  {}", status_word(report.status), sums(report));
    for reason in &report.reasons {
        let _ = writeln!(out, "  {}", style.clean(reason));
    }
    for node in &report.clients.nodes {
        node_text(&mut out, node, style);
    }
    for finding in &report.findings {
        finding_text(&mut out, finding, style);
    }
    if let Some(NodeClients { failure: Some(ClientListFailure::NotPermitted { username, .. }), .. }) =
        report.clients.nodes.iter().find(|node| is_not_permitted(node))
    {
        grant(&mut out, report, &style.clean(username));
    }
    out
}

/// The document, indented.
///
/// # Errors
/// Where a value has no JSON form; no value of a report is such.
pub fn json(report: &ClientsReport) -> serde_json::Result<String> {
    json::document(report)
}

/// The document on a line of its own.
///
/// # Errors
/// As for `json`.
pub fn line(report: &ClientsReport) -> serde_json::Result<String> {
    json::compact(report)
}

/// Markdown: a table of networks, and one of names where there are any.
pub fn markdown(report: &ClientsReport) -> String {
    let mut out = format!(
        "**{}** `{}:{}`: {}\n\n| node | path | network | class | clients |\n|---|---|---|---|---|\n",
        status_word(report.status),
        report.target.host,
        report.target.port,
        sums(report)
    );
    for node in &report.clients.nodes {
        for network in node.list.iter().flat_map(|list| &list.networks) {
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} |",
                code(&node.node),
                network.path.as_str(),
                network.network.map_or_else(String::new, |network| format!("`{network}`")),
                network.class.map_or_else(String::new, |class| class.to_string()),
                network.clients
            );
        }
        if let Some(failure) = &node.failure {
            let _ = writeln!(out, "| {} | | | | {} |", code(&node.node), code(&failure.to_string()));
        }
    }
    let mut named = report.clients.lists().flat_map(|list| &list.names).peekable();
    if named.peek().is_some() {
        out.push_str("\n| path | name | user | library | clients |\n|---|---|---|---|---|\n");
    }
    for NamedClients { path, name, user, library, clients, .. } in named {
        let _ =
            writeln!(out, "| {} | {} | {} | {} | {clients} |", path.as_str(), code(name), code(user), code(library));
    }
    out
}

/// The Prometheus text format: `redpath_clients` and `redpath_clients_complete`.
pub fn prometheus(report: &ClientsReport) -> String {
    let mut out = String::from(
        "# HELP redpath_clients Clients of the cache as its nodes list them, by path.\n# TYPE redpath_clients gauge\n",
    );
    let escaped = |name: &str| name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let target = escaped(&report.target.name);
    for path in ClientPath::all().filter(|path| *path != ClientPath::Own) {
        let clients = report.totals.of_path(path);
        let _ = writeln!(out, "redpath_clients{{target=\"{target}\",path=\"{}\"}} {clients}", path.as_str());
    }
    out.push_str("# HELP redpath_clients_complete Whether every node gave its whole list.\n# TYPE redpath_clients_complete gauge\n");
    let complete = u8::from(report.clients.is_complete());
    let _ = writeln!(out, "redpath_clients_complete{{target=\"{target}\"}} {complete}");
    out
}

/// `2 by a private link, 1 by a public address`.
pub fn sums(report: &ClientsReport) -> String {
    let totals = &report.totals;
    let plain = totals.address.saturating_sub(totals.public);
    let parts: Vec<String> = [
        (totals.public, "by a public address"),
        (plain, "by a plain address"),
        (totals.unknown, "without an address"),
        (totals.private_link, "by a private link"),
    ]
    .into_iter()
    .filter(|(clients, _)| *clients > 0)
    .map(|(clients, words)| format!("{clients} {words}"))
    .collect();
    match (parts.is_empty(), report.clients.lists().next().is_some()) {
        (false, _) => format!("clients: {}", parts.join(", ")),
        (true, true) => "no client beside redpath".to_owned(),
        (true, false) => "no list of clients was read".to_owned(),
    }
}

fn node_text(out: &mut String, node: &NodeClients, style: &Style) {
    let Some(list) = &node.list else { return };
    let own = if list.own_found { "" } else { ", redpath's own connection among them" };
    let replication = match list.replication {
        0 => String::new(),
        links => format!(", {links} connections of replication left out"),
    };
    let _ = writeln!(out, "\n  node {}{own}{replication}", style.clean(&node.node));
    for ClientNetwork { path, network, class, clients } in list.networks.iter().take(MAX_NETWORKS) {
        let network = network.map_or_else(|| "unknown".to_owned(), |network| network.to_string());
        let class = class.map_or_else(String::new, |class| class.to_string());
        let line = format!("    {clients:>7}  {:<12}  {network:<22}  {class}", path.as_str());
        let _ = writeln!(out, "{}", line.trim_end());
    }
    let rest = list.networks.iter().skip(MAX_NETWORKS).map(|network| network.clients);
    let rest: usize = rest.chain(list.further.iter().map(|further| further.clients)).sum();
    if rest > 0 {
        let _ = writeln!(out, "    {rest:>7}  of further networks");
    }
    for named in list.names.iter().take(MAX_NAMES) {
        let ages = match (named.youngest_seconds, named.oldest_seconds) {
            (Some(youngest), Some(oldest)) if youngest == oldest => format!("  age {oldest}"),
            (Some(youngest), Some(oldest)) => format!("  age {youngest} to {oldest}"),
            _ => String::new(),
        };
        let word = |text: &str| if text.is_empty() { "-".to_owned() } else { style.clean(text).clone() };
        let _ = writeln!(
            out,
            "    {:>7}  {:<12}  name {}  user {}  library {}{ages}",
            named.clients,
            named.path.as_str(),
            word(&named.name),
            word(&named.user),
            word(&named.library)
        );
    }
    let more = list.names.len().saturating_sub(MAX_NAMES);
    if more + list.names_omitted > 0 {
        out.push_str("    more names are not printed\n");
    }
}

fn finding_text(out: &mut String, finding: &Finding, style: &Style) {
    let _ = writeln!(
        out,
        "\n  {} {}: {}\n  {}\n  -> {}",
        finding.severity.as_str(),
        finding.code,
        style.clean(&finding.summary),
        style.clean(&finding.detail),
        style.clean(&finding.hint)
    );
    for command in &finding.commands {
        let _ = writeln!(out, "  $ {}", style.clean(&command.command));
    }
}

fn is_not_permitted(node: &NodeClients) -> bool {
    matches!(node.failure, Some(ClientListFailure::NotPermitted { .. }))
}

/// How to allow `CLIENT LIST` and nothing else.
fn grant(out: &mut String, report: &ClientsReport, username: &str) {
    let target = &report.target;
    match target.service {
        Service::AzureCacheForRedis => {
            let name = target.host.as_str().split('.').next().unwrap_or_default();
            let _ = writeln!(
                out,
                "\n  -> an access policy with +client|list alone lets this user list the clients\n  $ az redis access-policy create --name {name} --resource-group <resource-group> --access-policy-name client-list --permissions '+client|list'"
            );
        }
        Service::AzureCacheForRedisEnterprise | Service::AzureManagedRedis => out.push_str(
            "\n  -> the ACL rule +client|list lets a user list the clients; whether the access policies of this service can have it is not known\n",
        ),
        Service::Other => {
            let tls = if target.tls { " --tls" } else { "" };
            let plain = username.chars().all(|c| c.is_ascii_alphanumeric() || "-_.@".contains(c));
            let username = if plain && !username.is_empty() { username } else { "<user>" };
            let _ = writeln!(
                out,
                "\n  -> the ACL rule +client|list alone lets this user list the clients\n  $ redis-cli{tls} -h {} -p {} --user <administrator> --askpass ACL SETUSER {username} '+client|list'",
                target.host, target.port
            );
        }
    }
}

/// Text from outside in a cell of a Markdown table.
fn code(text: &str) -> String {
    let text = crate::printable::printable(text).replace('`', "'").replace('|', "/");
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}

fn status_word(status: Status) -> &'static str {
    match status {
        Status::Pass => "PASS",
        Status::Warn => "WARN",
        Status::Unknown => "UNKNOWN",
        Status::Fail => "FAIL",
    }
}
