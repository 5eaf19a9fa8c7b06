//! The clients of the cache against the path that is expected. Only a public address at the server decides: a plain
//! private one may be a proxy of the service or another kind of front.

use super::{Code, Context, Finding, Severity};
use crate::expectation::ExpectedPath;
use crate::observation::clients::ClientPath;

/// The finding, where clients have a public address at the server.
pub(super) fn diagnose(case: &Context<'_>) -> Option<Finding> {
    let facts = case.observation.clients.as_ref()?;
    let public = facts.public();
    let severity = match case.expectation.path {
        ExpectedPath::Private => Severity::Error,
        ExpectedPath::Any => Severity::Info,
        ExpectedPath::Public => return None,
    };
    if public == 0 {
        return None;
    }
    let private = facts.count(ClientPath::PrivateLink);
    let summary = match public {
        1 => "1 client has a public address at the server, not one of a private link".to_owned(),
        _ => format!("{public} clients have a public address at the server, not one of a private link"),
    };
    let complete = if facts.is_complete() { "" } else { " Not every node gave its whole list: there may be more." };
    let detail = format!(
        "Behind a private endpoint the server sees a client as fd40:, with its IPv4 address at the end; {private} are seen so. A client keeps its connection when DNS changes: these were opened by the public address, or are clients whose DNS still gives it.{complete}"
    );
    let (host, port) = (&case.target.host, case.target.port);
    let tls = if case.target.tls { " --tls" } else { "" };
    let finding = Finding::new(Code::PublicClientsPresent, severity, summary, detail)
        .hint("find these clients by name (in CLIENT LIST, those whose addr= does not begin with fd40:), and restart them before public access is disabled")
        .commands([
            format!("redpath clients {host}:{port} --names --password-file <file>"),
            format!("redis-cli{tls} -h {host} -p {port} --user <user> --askpass client list"),
        ]);
    Some(finding)
}
