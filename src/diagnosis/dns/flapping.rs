//! One server that says now this, now that: no single answer shows it, several tries do.

use super::known_server::KnownServer;
use super::views::{AnswerClass, Views, answer_word, view_label};
use super::wrong_address;
use crate::azure::AZURE_DNS;
use crate::diagnosis::remediation::{self, Resource};
use crate::diagnosis::text::capitalized;
use crate::diagnosis::{Code, Context, Finding, Severity};
use crate::expectation::ExpectedPath;
use crate::observation::dns::{Question, RepeatGroup, ViewKind};
use crate::observation::{View, ViewOutcome};
use crate::plan::MAX_TRIES;

/// A server in use gives right and wrong answers in turn. It comes before every comparison of views:
/// what such a server said once is no ground for one.
pub(super) fn diagnose(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    let view = match views.system.iter().copied().find(|view| gives_right_and_wrong(views, view)) {
        Some(view) => view,
        None => {
            let in_use = views.in_use;
            if !gives_right_and_wrong(views, in_use) || servers_differ_steadily(views, in_use) {
                return None;
            }
            // A server that contradicts itself explains it without a cause on this machine.
            if let Some(finding) = contradicts_itself(case, views) {
                return Some(finding);
            }
            in_use
        }
    };
    // The server that explains it.
    let server = forwarder(case, views, view).unwrap_or(view);
    let known = KnownServer::of(case, server);
    let finding = Finding::new(
        Code::FlappingAnswer,
        Severity::Error,
        format!("{} changes its answer: {}", view_label(view), counts_text(&view.tries)),
        format!(
            "Asked the same {} times, one question after the other; programs get now the one answer, now the other.{} {}{}",
            total(&view.tries),
            other_views_text(views, view),
            likely_cause(known, server),
            wrong_address::connection_evidence(case)
        ),
    );
    Some(with_advice(case, server, finding))
}

/// The one server that the C library asks, where it is known to hand questions on to others: its few answers can be
/// alike by chance while those of the library, which asks the same server, are not.
fn forwarder<'v>(case: &Context<'_>, views: &Views<'v>, view: &View) -> Option<&'v View> {
    let [server] = views.system.as_slice() else { return None };
    let is_forwarder = |known: KnownServer| known != KnownServer::AzureDns;
    (view.kind == ViewKind::Libc && KnownServer::of(case, server).is_some_and(is_forwarder)).then_some(server)
}

/// A server in use says of one name both that it exists and that it does not, and programs got something
/// else than the view shows: no cache or override of this machine is needed to explain that.
pub(super) fn contradicts_itself(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    if views.in_use.kind != ViewKind::Libc || views.answered_by_hosts_file() {
        return None;
    }
    let differs = |view: &&View| !view.agrees_with(views.in_use) || gives_right_and_wrong(views, views.in_use);
    let view = views.system.iter().copied().filter(differs).find(|view| contradiction(view).is_some())?;
    let name = contradiction(view)?;
    let tries = &views.in_use.tries;
    let library = if tries.is_empty() {
        format!("The C library {}.", answer_word(views.in_use))
    } else {
        format!("The C library, asked {} times: {}.", total(tries), counts_text(tries))
    };
    let finding = Finding::new(
        Code::FlappingAnswer,
        Severity::Error,
        format!("{} says of {name} both that it exists and that it does not", view_label(view)),
        format!(
            "One of its answers was NXDOMAIN, which holds for all record types of a name (RFC 8020), and another one was not. {library} {}{}",
            likely_cause(KnownServer::of(case, view), view),
            wrong_address::connection_evidence(case)
        ),
    );
    Some(with_advice(case, view, finding))
}

/// The name of which the questions of one try say both.
fn contradiction(view: &View) -> Option<&str> {
    let exists = |question: &Question| matches!(question.outcome, ViewOutcome::Answered | ViewOutcome::NoData);
    view.questions.iter().filter(|question| exists(question)).map(|question| question.name.as_str()).find(|name| {
        view.questions.iter().any(|other| other.name == *name && other.outcome == ViewOutcome::NameNotFound)
    })
}

/// What to do about a server that changes its answer.
fn with_advice(case: &Context<'_>, view: &View, finding: Finding) -> Finding {
    let zone = Resource::of(case).map_or_else(|| "the zone".to_owned(), |resource| resource.zone);
    let known = KnownServer::of(case, view);
    let hint = match (known, view.kind, case.expectation.path) {
        (None, ViewKind::Libc, _) => {
            "look for a cache on this machine (nscd, sssd) and at the sources of nsswitch.conf; then ask again"
                .to_owned()
        }
        (Some(KnownServer::AzureDns), _, _) => {
            "look at the zones and rulesets that are linked to this virtual network: every target server of a rule must see the private zone; then ask again, 20 times".to_owned()
        }
        (Some(server @ (KnownServer::CoreDns | KnownServer::Docker | KnownServer::Loopback)), _, ExpectedPath::Private) => format!(
            "have every server that {} asks {}; then ask again, 20 times",
            server.name().map_or_else(|| self::server(view), str::to_owned),
            remediation::forward(&zone, "", &AZURE_DNS.to_string())
        ),
        (Some(server), _, _) => server.behind(),
        (None, ViewKind::System | ViewKind::Resolver, ExpectedPath::Private) => format!(
            "find every server behind {} and have each {}; then ask again, 20 times",
            server(view),
            remediation::forward(&zone, "", &AZURE_DNS.to_string())
        ),
        (None, ViewKind::System | ViewKind::Resolver, ExpectedPath::Public | ExpectedPath::Any) => {
            format!("find every server behind {} and compare their zones; then ask again, 20 times", server(view))
        }
    };
    let host = case.target.host.as_str();
    finding
        .hint(hint)
        .commands([remediation::ask(view, host), remediation::ask_often(case, view)])
        .commands(known.map(|server| server.commands(host)).into_iter().flatten())
}

/// Answers that change without harm now: at a resolver that nobody here uses, or among addresses
/// that all meet the expectation as far as it goes.
pub(super) fn remark(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    if let Some(view) = views.comparable().find(|view| gives_right_and_wrong(views, view)) {
        return Some(
            Finding::new(
                Code::FlappingAnswer,
                Severity::Warning,
                format!("{} changes its answer: {}", view_label(view), counts_text(&view.tries)),
                format!("No program here asks it; it was asked for comparison, {} times.", total(&view.tries)),
            )
            .hint("compare the servers behind that address, before anybody depends on it")
            .commands([remediation::ask(view, case.target.host.as_str()), remediation::ask_often(case, view)]),
        );
    }
    if case.expectation.path != ExpectedPath::Private || !case.expectation.endpoints.is_empty() {
        return None; // answers in turn, all of them right
    }
    let in_use = views.system.iter().copied().chain([views.in_use]);
    let view = in_use.into_iter().find(|view| {
        let all_met = view.tries.iter().all(|tries| views.classify_group(tries) == AnswerClass::Expected);
        all_met
            && view.tries.iter().skip(1).any(|tries| view.tries.first().is_some_and(|first| !first.agrees_with(tries)))
    })?;
    Some(
        Finding::new(
            Code::FlappingAnswer,
            Severity::Info,
            format!("{} gives different addresses in turn: {}", view_label(view), counts_text(&view.tries)),
            "Every one is private, so all meet the expectation as far as it goes. Unknown: which is the endpoint's.",
        )
        .hint("say which address is expected with --endpoint"),
    )
}

/// At least two different final words, one of them wrong. A failed try is lost, and no answer.
fn gives_right_and_wrong(views: &Views<'_>, view: &View) -> bool {
    // A saved record may hold more than a probe makes.
    let answers: Vec<&RepeatGroup> =
        view.tries.iter().filter(|tries| tries.outcome.is_final()).take(usize::from(MAX_TRIES)).collect();
    answers.iter().any(|one| {
        let reading = views.classify_group(one);
        (reading.is_wrong() || reading == AnswerClass::Absent)
            && answers.iter().any(|other| views.classify_group(other) != reading && !other.agrees_with(one))
    })
}

/// Whether the C library gets different answers because its servers differ: each of its answers is one
/// that a server gave. Then the servers are the finding.
fn servers_differ_steadily(views: &Views<'_>, view: &View) -> bool {
    let given_by_a_server = |group: &RepeatGroup| {
        views.system.iter().any(|server| {
            let answer = RepeatGroup::of(server);
            answer.agrees_with(group) || server.tries.iter().any(|other| other.agrees_with(group))
        })
    };
    view.kind == ViewKind::Libc && view.tries.iter().filter(|group| group.outcome.is_final()).all(given_by_a_server)
}

fn likely_cause(known: Option<KnownServer>, view: &View) -> String {
    if view.kind == ViewKind::Libc {
        return "The name servers, asked directly, are steady, so the change is made on this machine (a cache, or several sources of nsswitch.conf), or by a server that changes its answer only now and then.".to_owned();
    }
    let first = match known {
        Some(KnownServer::CoreDns) => {
            "CoreDNS asks the virtual network's DNS servers in turn, and these do not agree; "
        }
        Some(KnownServer::AzureDns) => {
            return "A zone was linked or unlinked just now, or a DNS forwarding ruleset that is linked to this virtual network has target servers that do not agree.".to_owned();
        }
        Some(_) | None => "",
    };
    format!(
        "By likelihood: {first}several servers stand behind that address and do not agree; it forwards to several servers that do not; it gives up on the right one after a short time and asks another. Which one it is cannot be seen from here."
    )
}

/// What the other views describe_answer, as often as they were asked.
fn other_views_text(views: &Views<'_>, view: &View) -> String {
    std::iter::once(views.in_use)
        .chain(views.dns())
        .filter(|other| other.view != view.view && !other.tries.is_empty())
        .take(4)
        .map(|other| format!(" {}: {}.", capitalized(&view_label(other)), counts_text(&other.tries)))
        .collect()
}

fn server(view: &View) -> String {
    view.server.map_or_else(|| view_label(view), |server| server.ip().to_string())
}

fn total(tries: &[RepeatGroup]) -> u32 {
    tries.iter().fold(0, |total, tries| total.saturating_add(tries.count))
}

/// `3 × 10.60.4.5, 2 × 20.50.1.10`, at most six of them.
fn counts_text(tries: &[RepeatGroup]) -> String {
    const MAX_SHOWN: usize = 6;
    let mut parts: Vec<String> = tries
        .iter()
        .take(MAX_SHOWN)
        .map(|tries| {
            let ips: Vec<String> = tries.addresses.iter().take(4).map(|address| address.ip.to_string()).collect();
            let more = if tries.addresses.len() > 4 { " and more" } else { "" };
            let answer = match (ips.is_empty(), &tries.rcode) {
                (false, _) => ips.join(" + ") + more,
                (true, Some(rcode)) if rcode != "NOERROR" => rcode.clone(),
                (true, _) => tries.outcome.as_str().replace('_', " "),
            };
            format!("{} × {answer}", tries.count)
        })
        .collect();
    if tries.len() > MAX_SHOWN {
        parts.push(format!("{} other answers", tries.len() - MAX_SHOWN));
    }
    parts.join(", ")
}
