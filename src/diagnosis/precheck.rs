//! The pre-check: an address was given, so the question is whether the endpoint there works, and
//! what DNS says is only worth a warning.

use std::net::IpAddr;

use super::{Code, Context, Finding, Severity};
use crate::expectation::Expectation;
use crate::observation::{View, ViewOutcome};

/// What of the address given is not as expected, and what of DNS does not lead there yet; the
/// findings of the resolution are turned into warnings. Returns the code of the finding that says
/// that DNS has not moved.
pub(super) fn diagnose(case: &Context<'_>, given: IpAddr, findings: &mut Vec<Finding>) -> Option<Code> {
    let moved = dns_leads_to(case, given);
    let mut not_moved = None;
    for finding in findings.iter_mut().filter(|finding| finding.severity == Severity::Error) {
        // The name is what the clients are configured with, whatever DNS does.
        if finding.code == Code::PrivatelinkNameConfigured {
            continue;
        }
        finding.severity = Severity::Warning;
        if !moved {
            not_moved.get_or_insert(finding.code);
            let cause = std::mem::take(&mut finding.summary);
            finding.summary = summary(case, given);
            finding.detail = format!("As DNS stands, {cause}. {} {WHAT_IT_MEANS}", finding.detail);
        }
    }
    if !moved && not_moved.is_none() && answered(case).is_some() {
        not_moved = Some(Code::UnexpectedAddress);
        findings.push(elsewhere(case, given));
    }
    if !case.expectation.allows(given) {
        // One finding per code: of two reasons for it, the address that was given goes deeper.
        findings.retain(|finding| finding.code != Code::UnexpectedAddress);
        findings.push(not_expected(case.expectation, given));
    }
    not_moved.filter(|code| findings.iter().any(|finding| finding.code == *code))
}

const WHAT_IT_MEANS: &str =
    "This was a pre-check by address, so it fails nothing here; programs that use the name go where DNS leads.";

/// The view in use, where it gave addresses.
fn answered<'a>(case: &Context<'a>) -> Option<&'a View> {
    case.observation.resolution.in_use().filter(|view| view.outcome == ViewOutcome::Answered)
}

/// Whether programs that use the name go to the address given: one of several expected ones is enough.
fn dns_leads_to(case: &Context<'_>, given: IpAddr) -> bool {
    answered(case).is_some_and(|view| {
        let is_given = |ip: IpAddr| ip.to_canonical() == given.to_canonical();
        view.ips().any(is_given) && view.ips().all(|ip| is_given(ip) || case.expectation.allows(ip))
    })
}

fn summary(case: &Context<'_>, given: IpAddr) -> String {
    let host = &case.target.host;
    match answered(case) {
        Some(view) => {
            let alone = if view.ips().any(|ip| ip == given) { " alone" } else { "" };
            format!("DNS has not moved: {host} still leads to {}, not to {given}{alone}", leads_to(view))
        }
        None => format!("DNS has not moved: {host} leads to no address from here, and not to {given}"),
    }
}

fn leads_to(view: &View) -> String {
    let ips: Vec<String> =
        view.addresses.iter().take(4).map(|address| format!("{} ({})", address.ip, address.class)).collect();
    ips.join(", ")
}

/// The kind of path is right, and the address is another one.
fn elsewhere(case: &Context<'_>, given: IpAddr) -> Finding {
    Finding::new(
        Code::UnexpectedAddress,
        Severity::Warning,
        summary(case, given),
        format!("The name leads to another address of the expected kind. {WHAT_IT_MEANS}"),
    )
    .hint("compare the zone's record with the private endpoint's address")
    .commands([format!("dig {}", case.target.host)])
}

fn not_expected(expectation: &Expectation, given: IpAddr) -> Finding {
    let wanted = expectation.wanted_addresses();
    let class = expectation.class(given);
    Finding::new(
        Code::UnexpectedAddress,
        Severity::Error,
        format!("the address given, {given} ({class}), is not the expected one: {wanted} is expected"),
        "A pre-check proves the expected endpoint. The finding below names what answered at this address, and credentials were withheld from it.",
    )
    .hint("give --connect the address of the private endpoint, or change --expect and --endpoint")
}
