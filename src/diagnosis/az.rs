//! What files of `az` add: a cause that the client cannot see takes the place of what follows from it,
//! and where the files and the observation differ it is said.
//!
//! A file is a snapshot of unknown age. So every sentence names its file, and where all works a fact
//! that should have broken it is a remark on the file, not on the target.

mod causes;
mod context;
mod mismatch;
mod names;

use super::suppression::suppress_consequences;
use super::{Code, Context, Finding, Severity};
use crate::azure::facts::{AzFacts, Switch, name_in_id};
use crate::expectation::ExpectedPath;

/// Sharpens the findings by what the files say.
pub(super) fn apply_az_facts(case: &Context<'_>, findings: &mut Vec<Finding>) {
    let Some(facts) = case.expectation.az.as_deref() else { return };
    context::add(case, facts, findings);
    for rule in causes::ALL {
        if let Some(cause) = rule(case, facts, findings) {
            findings.push(cause);
            suppress_consequences(case, findings);
        }
    }
    findings.extend(public_network_access(case, facts));
    findings.extend(mismatch::diagnose(case, facts, findings));
    names::fill_in(facts, findings);
}

fn is_error(finding: &Finding) -> bool {
    finding.severity == Severity::Error
}

fn has_error(findings: &[Finding], codes: &[Code]) -> bool {
    findings.iter().any(|finding| is_error(finding) && codes.contains(&finding.code))
}

fn public_network_access(case: &Context<'_>, facts: &AzFacts) -> Option<Finding> {
    let cache = facts.cache.as_ref()?;
    if case.expectation.path != ExpectedPath::Private || cache.public_network_access != Some(Switch::Enabled) {
        return None;
    }
    let resource = super::remediation::Resource::of(case);
    Some(
        Finding::new(
            Code::PublicNetworkAccessEnabled,
            Severity::Warning,
            format!("public network access of {} is enabled, by {}", cache.host, cache.file),
            format!(
                "A program that gets the public address works all the same, unnoticed, and so does everybody with a key. {}",
                age(&cache.file)
            ),
        )
        .hint("disable public network access once every client is seen on the private path, and not before: those that are not lose the cache")
        .commands(resource.map(|resource| resource.disable_public_access())),
    )
}

/// How much a file is worth.
fn age(file: &str) -> String {
    format!("{file} is a snapshot of unknown age.")
}

/// The name of the private endpoint with this ID.
fn endpoint_name(id: Option<&str>) -> &str {
    id.map_or("the private endpoint", name_in_id)
}

/// An ID that is safe to paste into a shell, or what to put there.
fn pasteable<'a>(id: Option<&'a str>, instead: &'a str) -> &'a str {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    id.filter(|id| !id.is_empty() && id.starts_with('/') && id.chars().all(is_plain)).unwrap_or(instead)
}
