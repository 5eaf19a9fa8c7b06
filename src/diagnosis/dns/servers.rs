//! The view in use gave no word at all: its servers are silent, out of reach or at fault.

use super::failure_code;
use super::views::{Reading, Views, called, said};
use crate::diagnosis::advice;
use crate::diagnosis::{Case, Code, Finding, Severity};
use crate::observation::View;
use crate::observation::dns::ViewKind;

/// There was no view to ask.
pub(super) fn no_view(case: &Case<'_>) -> Option<Finding> {
    let error = case.observation.resolution.resolv_conf_error.as_deref()?;
    Some(no_server(error))
}

fn no_server(error: &str) -> Finding {
    Finding::new(
        Code::DnsUnreachable,
        Severity::Error,
        format!("there is no name server to ask: {error}"),
        "Nothing can be said about the name from here.".to_owned(),
    )
    .hint("name a server in /etc/resolv.conf, or ask one with --resolver NAME=ADDRESS --views NAME")
}

/// The cause is the first server that failed; the C library keeps to itself which one it was.
pub(super) fn failed(case: &Case<'_>, views: &Views<'_>) -> Finding {
    if let (Some(error), true) = (&case.observation.resolution.resolv_conf_error, views.system.is_empty())
        && views.in_use.kind == ViewKind::Libc
    {
        return no_server(error);
    }
    let view = views
        .system
        .iter()
        .copied()
        .find(|view| views.reading(view) == Reading::Failed)
        .filter(|_| views.in_use.kind == ViewKind::Libc)
        .unwrap_or(views.in_use);
    let answered: Vec<String> = views
        .dns()
        .filter(|other| other.view != view.view && other.outcome.is_final())
        .map(|other| format!(" {} answers {}.", sentence(&called(other)), said(other)))
        .collect();
    let mut finding = of_view(case, view, Severity::Error, &answered.concat());
    if view.kind == ViewKind::Libc && !answered.is_empty() {
        finding.detail.push_str(" Programs that ask the C library wait or fail all the same.");
    }
    finding
}

/// What a failed view means by itself.
pub(super) fn of_view(case: &Case<'_>, view: &View, severity: Severity, more: &str) -> Finding {
    let host = case.target.host.as_str();
    let code = failure_code(view.outcome).unwrap_or(Code::DnsServerFailure);
    let who = called(view);
    let reason = view.reason.as_deref().or(view.rcode.as_deref()).unwrap_or("no reason given");
    let (summary, detail, hint) = match code {
        Code::DnsTimeout => (
            format!("{who} does not answer"),
            format!("Asked for {host}, and nothing came back in time ({reason})."),
            "let UDP and TCP port 53 through to it, or take it out of resolv.conf",
        ),
        Code::DnsUnreachable => (
            format!("{who} cannot be reached: {reason}"),
            format!("The question for {host} did not get through."),
            "start the DNS service there, set its address or the route right, or take it out of resolv.conf",
        ),
        Code::DnsRefused => (
            format!("{who} refuses the question for {host}"),
            "REFUSED: the server does not serve this client, or does not recurse for it.".to_owned(),
            "allow this subnet at the server, or ask another one",
        ),
        Code::DnsBadAnswer => (
            format!("{who} gives an answer that makes no sense: {reason}"),
            "An answer is taken only with the right id, question and format.".to_owned(),
            "look at the answer; a middlebox or a broken zone may be in the way",
        ),
        _ => (
            format!("{who} fails: {reason}"),
            format!(
                "It gave no usable answer for {host}: SERVFAIL or the like, often because the server it forwards to does not answer."
            ),
            "look into the server's log; check that it reaches the server it forwards to",
        ),
    };
    Finding::new(code, severity, summary, format!("{detail}{more}")).hint(hint).commands([advice::ask(view, host)])
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + chars.as_str())
}
