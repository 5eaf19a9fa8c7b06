//! The view in use gave no word at all: its servers are silent, out of reach or at fault.

use super::known_server::KnownServer;
use super::views::{AnswerClass, Views, describe_answer, view_label};
use super::{failure_code, transport};
use crate::azure::AZURE_DNS;
use crate::diagnosis::pod::Pod;
use crate::diagnosis::remediation;
use crate::diagnosis::text::capitalized;
use crate::diagnosis::{Code, Context, Finding, Severity};
use crate::observation::View;
use crate::observation::dns::ViewKind;

/// There was no view to ask.
pub(super) fn no_view(case: &Context<'_>) -> Option<Finding> {
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
pub(super) fn failed(case: &Context<'_>, views: &Views<'_>) -> Finding {
    if let (Some(error), true) = (&case.observation.resolution.resolv_conf_error, views.system.is_empty())
        && views.in_use.kind == ViewKind::Libc
    {
        return no_server(error);
    }
    let view = views
        .system
        .iter()
        .copied()
        .find(|view| views.classify(view) == AnswerClass::Failed)
        .filter(|_| views.in_use.kind == ViewKind::Libc)
        .unwrap_or(views.in_use);
    let answered: Vec<String> = views
        .dns()
        .filter(|other| other.view != view.view && other.outcome.is_final())
        .map(|other| format!(" {} answers {}.", capitalized(&view_label(other)), describe_answer(other)))
        .collect();
    if view.kind == ViewKind::Libc {
        return libc_failure(case, view, &answered.concat());
    }
    view_failure(case, view, Severity::Error, &answered.concat())
}

/// The C library failed, and no name server that was asked directly did.
fn libc_failure(case: &Context<'_>, view: &View, answered: &str) -> Finding {
    let host = &case.target.host;
    let code = failure_code(view.outcome).unwrap_or(Code::DnsServerFailure);
    let reason = view.reason.as_deref().unwrap_or("no reason given");
    let detail = if answered.is_empty() {
        "Unknown: which name server is at fault, since none was asked directly.".to_owned()
    } else {
        format!(
            "No name server that was asked directly failed.{answered} So it is the library's own way there (nsswitch.conf, nscd, sssd, a local firewall), or a server that fails now and then."
        )
    };
    Finding::new(code, Severity::Error, format!("programs here get no answer for {host}: {reason}"), detail)
        .hint("repeat the lookup a few times, then look at the hosts line of nsswitch.conf and at the servers of resolv.conf")
        .commands([format!("getent ahosts {host}"), "grep ^hosts: /etc/nsswitch.conf".to_owned(), "cat /etc/resolv.conf".to_owned()])
}

/// What a failed view means by itself.
pub(super) fn view_failure(case: &Context<'_>, view: &View, severity: Severity, more: &str) -> Finding {
    let host = case.target.host.as_str();
    if let Some(finding) = transport::tcp_blocked(case, view, severity, more) {
        return finding;
    }
    let code = failure_code(view.outcome).unwrap_or(Code::DnsServerFailure);
    let who = view_label(view);
    let reason = view.reason.as_deref().or(view.rcode.as_deref()).unwrap_or("no reason given");
    let in_pod = view.kind != ViewKind::Resolver && Pod::of(case).is_some();
    let otherwise = match view.kind {
        ViewKind::Libc | ViewKind::System if view.is_azure_dns() => "or see what blocks Azure's own resolver",
        ViewKind::Libc | ViewKind::System => "or take it out of resolv.conf",
        ViewKind::Resolver if view.is_azure_dns() => "or leave it out where there is no Azure virtual network",
        ViewKind::Resolver => "or leave it out",
    };
    let (summary, detail, hint) = match code {
        Code::DnsTimeout => (
            format!("{who} does not answer"),
            format!("Asked for {host}, it gave nothing back in time ({reason}).{}", policy(in_pod, DROPPING_POLICY)),
            format!(
                "let UDP and TCP port 53 through to it{}, {otherwise}",
                if in_pod { " (a network policy too)" } else { "" }
            ),
        ),
        Code::DnsUnreachable => (
            format!("{who} cannot be reached: {reason}"),
            format!("The question for {host} did not get through."),
            format!("start the DNS service there, set its address or the route right, {otherwise}"),
        ),
        Code::DnsRefused => (
            format!("{who} refuses the question for {host}"),
            format!(
                "REFUSED: the server does not serve this client, or does not recurse for it.{}",
                policy(in_pod, REFUSING_POLICY)
            ),
            if in_pod {
                "allow the name in the DNS rules of the pod's network policy; then allow this subnet at the server"
                    .to_owned()
            } else {
                format!("allow this subnet at the server, {otherwise}")
            },
        ),
        Code::DnsBadAnswer => (
            format!("{who} gives an invalid DNS response: {reason}"),
            "An answer is taken only with the right id, question and format, and a chain that ends.".to_owned(),
            "look at the answer; a middlebox or a broken zone may be in the way".to_owned(),
        ),
        _ => {
            let (detail, hint) = server_failure(case, view);
            (format!("{who} fails: {reason}"), detail, hint)
        }
    };
    let finding = Finding::new(code, severity, summary, format!("{detail}{more}"))
        .hint(hint)
        .commands([remediation::ask(view, host)]);
    match KnownServer::of(case, view).filter(|_| view.kind == ViewKind::System) {
        Some(server) => finding.commands(server.commands(host)),
        None => finding,
    }
}

/// What SERVFAIL and the like mean of this server: one that passes questions on has its fault behind it.
fn server_failure(case: &Context<'_>, view: &View) -> (String, String) {
    let host = case.target.host.as_str();
    let gave = format!("It gave no usable answer for {host}");
    match KnownServer::of(case, view) {
        Some(KnownServer::AzureDns) => (
            format!(
                "{gave}. {AZURE_DNS} is Azure's own resolver, and has no log of yours. By likelihood: a DNS forwarding ruleset that is linked to this network sends the name to a server that does not answer, or that sends it back here (a loop); a DNS security policy answers so; Azure's resolver fails for a while."
            ),
            "look at the DNS forwarding rulesets that are linked to this network, and at the servers they name; then at its DNS security policies".to_owned(),
        ),
        Some(server) => (
            format!(
                "{gave}: SERVFAIL or the like. {} passes questions on, so the fault is likely at a server behind it. {}.",
                capitalized(server.name().unwrap_or("it")),
                capitalized(&server.behind())
            ),
            "find the server that it asks, and ask that one directly".to_owned(),
        ),
        None if case.observation.resolution.is_azure_dns_silent() => (
            format!(
                "{gave}: SERVFAIL or the like, often because the server it forwards to does not answer. {AZURE_DNS} is silent here, as outside Azure: a server there has to forward to one inside a virtual network that is linked to the zone."
            ),
            "look into the server's log, and check that it reaches the server in Azure that it forwards to: the inbound endpoint of a DNS Private Resolver, or a DNS server in a linked network".to_owned(),
        ),
        None => (
            format!(
                "{gave}: SERVFAIL or the like, often because the server it forwards to does not answer, or because DNSSEC does not validate a private zone."
            ),
            format!("look into the server's log, and check that it reaches {AZURE_DNS} or whatever it forwards to"),
        ),
    }
}

/// The network policy of a pod, as a further cause.
fn policy(in_pod: bool, what: &str) -> String {
    if in_pod { format!(" In a pod: {what}.") } else { String::new() }
}

const REFUSING_POLICY: &str =
    "the DNS proxy of a network policy refuses names that no rule of it allows (Cilium: toFQDNs, rules.dns)";

const DROPPING_POLICY: &str =
    "a network policy drops DNS, or does not allow the node-local cache (LocalDNS: 169.254.10.0/24)";
