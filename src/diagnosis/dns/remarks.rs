//! What is worth knowing beside the cause: servers that failed or differ without harm now.

use super::servers;
use super::views::{Reading, Views, called, said};
use crate::azure::AZURE_DNS;
use crate::diagnosis::advice;
use crate::diagnosis::{Case, Code, Finding, Severity};
use crate::observation::View;

pub(super) fn all(case: &Case<'_>, views: &Views<'_>, cause: Option<&Finding>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    let mut add = |finding: Finding| {
        // One finding per code; the cause has the first word.
        let told = cause.is_some_and(|cause| cause.code == finding.code)
            || findings.iter().any(|known| known.code == finding.code);
        if !told {
            findings.push(finding);
        }
    };
    for view in views.system.iter().copied().filter(|view| is_failed(views, view)) {
        add(servers::of_view(case, view, Severity::Warning, " Programs wait for it before they ask the next one."));
    }
    for view in views.references().into_iter().filter(|view| is_failed(views, view)) {
        // Outside Azure nobody answers at that address, and nothing in use depends on it.
        let severity = if view.is_azure_dns() { Severity::Info } else { Severity::Warning };
        let more = if view.is_azure_dns() {
            format!(" Outside an Azure virtual network nobody answers at {AZURE_DNS}; inside one it is blocked.")
        } else {
            " No program here asks it; it was asked for comparison.".to_owned()
        };
        add(servers::of_view(case, view, severity, &more));
    }
    if cause.is_none()
        && let Some(finding) = reference_differs(case, views)
    {
        add(finding);
    }
    if cause.is_none()
        && let Some(finding) = pinned(case, views)
    {
        add(finding);
    }
    findings
}

fn is_failed(views: &Views<'_>, view: &View) -> bool {
    view.view != views.in_use.view && views.reading(view) == Reading::Failed
}

/// A configured resolver says something else while the path in use is right.
fn reference_differs(case: &Case<'_>, views: &Views<'_>) -> Option<Finding> {
    let other = views.references().into_iter().find(|view| {
        let reading = views.reading(view);
        (reading.is_wrong() || reading == Reading::Absent) && !views.is_public_resolver(view)
    })?;
    let (severity, detail) = if other.is_azure_dns() {
        (
            Severity::Info,
            format!(
                "The path in use is right. This network by itself is not linked to the zone, and its programs ask a resolver that is: usual where DNS is kept in a hub. A program that asks {AZURE_DNS} directly would go wrong."
            ),
        )
    } else {
        (
            Severity::Warning,
            "The path in use is right, and no program here asks that resolver; those who do go wrong.".to_owned(),
        )
    };
    Some(
        Finding::new(
            Code::ResolverDisagreement,
            severity,
            format!("{} answers {}, unlike {}", called(other), said(other), called(views.in_use)),
            detail,
        )
        .hint("nothing to do here, unless clients ask that resolver")
        .commands([advice::ask(other, case.target.host.as_str())]),
    )
}

/// The hosts file pins what DNS says today; it will not follow DNS tomorrow.
fn pinned(case: &Case<'_>, views: &Views<'_>) -> Option<Finding> {
    if !views.hosts_file_decides() {
        return None;
    }
    let host = &case.target.host;
    let lines = super::path::lines(views);
    Some(
        Finding::new(
            Code::OverriddenLocally,
            Severity::Info,
            format!("{lines} pins {host}; programs here do not ask DNS for it"),
            "It says what is expected, so nothing is wrong now; it will not follow the endpoint when its address changes.".to_owned(),
        )
        .hint("remove the line once DNS answers rightly")
        .commands([format!("grep -n -i {host} /etc/hosts")]),
    )
}
