//! The clients of the cache against the path that is expected. A public address at the server decides, and so does a
//! plain private one where the same node shows other clients by a private link. Otherwise a private address may be a
//! proxy of the service or another kind of front.

use super::{Code, Context, Finding, Severity};
use crate::expectation::ExpectedPath;
use crate::observation::clients::ClientPath;

/// The flags of a check that `redpath clients` has, too.
const FLAGS: [&str; 10] = [
    "--expect",
    "--endpoint",
    "--private-range",
    "--resolver",
    "--views",
    "--connect",
    "--ca-file",
    "--server-name",
    "--plaintext",
    "--timeout",
];

/// The finding, where clients do not come by a private link.
pub(super) fn diagnose(case: &Context<'_>) -> Option<Finding> {
    let facts = case.observation.clients.as_ref()?;
    let severity = match case.expectation.path {
        ExpectedPath::Private => Severity::Error,
        ExpectedPath::Any => Severity::Info,
        ExpectedPath::Public => return None,
    };
    let public = facts.public();
    let plain = facts.not_by_private_link().saturating_sub(public);
    let of_public = (public > 0).then(|| format!("{} a public address at the server", have(public)));
    let of_plain = (plain > 0)
        .then(|| format!("{} a plain private address at a node that shows others by a private link", have(plain)));
    let parts: Vec<String> = of_public.into_iter().chain(of_plain).collect();
    if parts.is_empty() {
        return None;
    }
    let private = facts.count(ClientPath::PrivateLink);
    let summary = format!("{}: not a private link", parts.join(", and "));
    let complete = if facts.is_complete() { "" } else { " Not every node gave its whole list: there may be more." };
    let detail = format!(
        "Behind a private endpoint the server sees a client as fd40:, with its IPv4 address at the end; {private} are seen so. A client keeps its connection when DNS changes: these were opened by another path, or are clients whose DNS still gives it.{complete}"
    );
    let (host, port) = (&case.target.host, case.target.port);
    let tls = if case.target.tls { " --tls" } else { "" };
    let finding = Finding::new(Code::PublicClientsPresent, severity, summary, detail)
        .hint("find these clients by name (in CLIENT LIST, those whose addr= does not begin with fd40:), and restart them before public access is disabled")
        .commands([
            format!("{} --names --password-file <file>", case.arguments().command("clients", Some(&FLAGS))),
            format!("redis-cli{tls} -h {host} -p {port} --user <user> --askpass client list"),
        ]);
    Some(finding)
}

/// `1 client has`, `2 clients have`.
fn have(clients: usize) -> String {
    if clients == 1 { "1 client has".to_owned() } else { format!("{clients} clients have") }
}
