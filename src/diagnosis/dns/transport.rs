//! UDP and TCP: a server that only one of the two reaches.

use super::failure_code;
use super::views::{Views, describe_answer, view_label};
use crate::diagnosis::remediation;
use crate::diagnosis::{Code, Context, Finding, Severity};
use crate::observation::dns::{Transport, View, ViewKind};

/// Programs got nothing, and a name server of theirs answers over TCP only: the C library waits for
/// UDP until it gives up.
pub(super) fn library_waits_for_udp(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    let view = views.system.iter().copied().find(|view| view.udp_silent)?;
    (views.in_use.kind == ViewKind::Libc).then(|| over_tcp_only(case, view, Severity::Error))
}

/// A server that is silent over UDP and answers over TCP.
pub(super) fn over_tcp_only(case: &Context<'_>, view: &View, severity: Severity) -> Finding {
    let host = case.target.host.as_str();
    let who = match view.kind {
        ViewKind::Libc | ViewKind::System => "Programs ask over UDP first, wait, and do not try TCP by themselves.",
        ViewKind::Resolver => "No program here needs to ask it; those who do ask over UDP and wait.",
    };
    Finding::new(
        Code::DnsTimeout,
        severity,
        format!("{} answers over TCP only: UDP port {} brings nothing back", view_label(view), port(view)),
        format!(
            "Asked for {host} three times over UDP, it was silent; over TCP it answers {}. {who} A firewall lets TCP through and not UDP, or the server does not listen there.",
            describe_answer(view)
        ),
    )
    .hint(format!(
        "let UDP port {0} through to it and back; until then, `options use-vc` in resolv.conf has the C library ask over TCP",
        port(view)
    ))
    .commands([format!("{} +notcp", remediation::ask(view, host)), format!("{} +tcp", remediation::ask(view, host))])
}

/// A server that is silent to queries with EDNS or does not understand them, and answers the same without.
pub(super) fn edns_dropped(case: &Context<'_>, view: &View) -> Finding {
    let (host, who, port) = (case.target.host.as_str(), view_label(view), port(view));
    let (brings, asked, others, cause, hint) = match &view.edns_refused {
        None => (
            "those with EDNS bring nothing back".to_owned(),
            "three times with EDNS (RFC 6891), it was silent".to_owned(),
            "wait or fail",
            "A firewall on the way drops such queries or their answers, or the server does.",
            format!("let DNS messages with EDNS and up to 1232 bytes through to port {port} of it and back"),
        ),
        Some(rcode) => (
            format!("to those with EDNS it answers {rcode}"),
            format!("with EDNS (RFC 6891), it answered {rcode}"),
            "ask again without, or fail",
            "The server, or a device that answers in its place, does not understand EDNS.",
            "have that server, or the device in front of it, answer DNS queries with EDNS: an upgrade or a setting"
                .to_owned(),
        ),
    };
    Finding::new(
        Code::EdnsDropped,
        Severity::Warning,
        format!("{who} answers DNS queries without EDNS only: {brings}"),
        format!(
            "Asked for {host} {asked}; without EDNS it answers {}. The C library asks without EDNS by default, so most programs get this answer. Go's own resolver, systemd-resolved and DNS servers that forward ask with EDNS, and {others}. {cause}",
            describe_answer(view)
        ),
    )
    .hint(format!("{hint}; the server itself may stay in use"))
    .commands([format!("{} +edns=0", remediation::ask(view, host)), format!("{} +noedns", remediation::ask(view, host))])
}

/// A failed view whose last word was awaited over TCP.
pub(super) fn tcp_blocked(case: &Context<'_>, view: &View, severity: Severity, more: &str) -> Option<Finding> {
    let code = failure_code(view.outcome).filter(|code| matches!(code, Code::DnsTimeout | Code::DnsUnreachable))?;
    if view.transport != Some(Transport::Tcp) {
        return None;
    }
    let (host, who, port) = (case.target.host.as_str(), view_label(view), port(view));
    let reason = view.reason.as_deref().unwrap_or("no answer");
    let closed = if code == Code::DnsTimeout { "blocked" } else { "blocked or closed" };
    let truncated = view.questions.iter().any(|question| question.truncated);
    let (summary, why) = if truncated {
        (
            format!("TCP {port} is {closed} on the way to {who}, whose answer does not fit into UDP"),
            format!(
                "Over UDP it answers for {host} that the answer is truncated, so every client asks again over TCP (RFC 7766), and gets nothing: {reason}. UDP works, so the server is there."
            ),
        )
    } else {
        (
            format!("TCP {port} is {closed} on the way to {who}"),
            format!(
                "The file resolv.conf has it asked over TCP alone (use-vc), and for {host} nothing came back: {reason}."
            ),
        )
    };
    Some(
        Finding::new(code, severity, summary, format!("{why}{more}"))
            .hint(format!("let TCP port {port} through to it beside UDP, and have the server listen on both"))
            .commands([
                format!("{} +notcp", remediation::ask(view, host)),
                format!("{} +tcp", remediation::ask(view, host)),
            ]),
    )
}

fn port(view: &View) -> u16 {
    view.server.map_or(53, |server| server.port())
}
