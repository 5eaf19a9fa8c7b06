//! What is worth knowing beside the cause: servers that failed or differ without harm now.

use super::views::{AnswerClass, Views, describe_answer, view_label};
use super::{aaaa, disagree, flapping, local_override, reserved_address, search, servers, transport, wrong_address};
use crate::azure::AZURE_DNS;
use crate::diagnosis::remediation;
use crate::diagnosis::{Code, Context, Finding, Severity};
use crate::observation::{View, ViewOutcome};

pub(super) fn all(case: &Context<'_>, views: &Views<'_>, cause: Option<&Finding>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    let mut add = |finding: Finding| {
        // One finding per code; the cause comes first.
        let is_reported = cause.is_some_and(|cause| cause.code == finding.code)
            || findings.iter().any(|known| known.code == finding.code);
        if !is_reported {
            findings.push(finding);
        }
    };
    for view in views.system.iter().copied().filter(|view| is_failed(views, view)) {
        add(servers::view_failure(
            case,
            view,
            Severity::Warning,
            " Programs wait for it before they ask the next one.",
        ));
    }
    for view in views.reference_resolvers().into_iter().filter(|view| is_failed(views, view)) {
        let silent = matches!(view.outcome, ViewOutcome::Timeout | ViewOutcome::Unreachable);
        let (severity, more) = if view.is_azure_dns() && silent {
            // Outside Azure nobody answers at that address, and nothing in use depends on it.
            (
                Severity::Info,
                " Outside an Azure virtual network nobody answers there; inside one it is blocked. Nothing in use here depends on it.",
            )
        } else if views.is_public_resolver(view) {
            // A network that lets nothing out to a public resolver is usual.
            (Severity::Info, " It was asked for comparison, and as a public resolver it sees no private zone anyway.")
        } else {
            (Severity::Warning, " No program here asks it; it was asked for comparison.")
        };
        add(servers::view_failure(case, view, severity, more));
    }
    for view in views.system.iter().copied().chain(views.reference_resolvers()).filter(|view| view.udp_silent) {
        add(transport::over_tcp_only(case, view, Severity::Warning));
    }
    for view in views.system.iter().copied().chain(views.reference_resolvers()).filter(|view| view.is_without_edns()) {
        add(transport::edns_dropped(case, view));
    }
    if let Some(finding) = flapping::remark(case, views) {
        add(finding);
    }
    // A server that changes its answer does so for AAAA too: then nothing follows from that answer.
    let flaps = cause.is_some_and(|cause| cause.code == Code::FlappingAnswer);
    let aaaa = aaaa::remark(case, views).filter(|_| !flaps);
    for finding in [aaaa, aaaa::search_list_ends_musl(case, views)].into_iter().flatten() {
        add(finding);
    }
    if cause.is_none() {
        if let Some(finding) = reserved_address::declared(case, views) {
            add(finding);
        }
        if let Some(finding) = local_override::differs(case, views) {
            add(finding);
        }
        if let Some(finding) = disagree::servers_differ(case, views) {
            add(finding);
        }
        if let Some(finding) = reference_differs(case, views) {
            add(finding);
        }
        if let Some(finding) = wrong_address::answered_by_search_list(case, views) {
            add(finding);
        }
    }
    if let Some(finding) = local_override::pinned(case, views, cause) {
        add(finding);
    }
    if let Some(finding) = search::waste(case, views) {
        add(finding);
    }
    findings
}

fn is_failed(views: &Views<'_>, view: &View) -> bool {
    view.view != views.in_use.view && views.classify(view) == AnswerClass::Failed
}

/// A configured resolver says something else while the path in use is right.
fn reference_differs(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    let other = views.comparable().find(|view| {
        let reading = views.classify(view);
        reading.is_wrong() || reading == AnswerClass::Absent
    })?;
    let (severity, detail) = if !other.is_azure_dns() {
        (
            Severity::Warning,
            "The path in use is right, and no program here asks that resolver; those who do go wrong.".to_owned(),
        )
    } else if views.classify(other) == AnswerClass::Public {
        (
            Severity::Info,
            format!(
                "The path in use is right. This network by itself is not linked to the zone, and its programs ask a resolver that is: usual where DNS is kept in a hub. A program that asks {AZURE_DNS} directly would go wrong."
            ),
        )
    } else {
        (
            Severity::Warning,
            format!(
                "The path in use is right, and the zone that {AZURE_DNS} sees from here says something else: one of the two is out of date. A program that asks {AZURE_DNS} directly goes wrong."
            ),
        )
    };
    Some(
        Finding::new(
            Code::ResolverDisagreement,
            severity,
            format!("{} answers {}, unlike {}", view_label(other), describe_answer(other), view_label(views.in_use)),
            detail,
        )
        .hint("nothing to do for this machine; look at that resolver's zone if clients ask it")
        .commands([remediation::ask(other, case.target.host.as_str())]),
    )
}
