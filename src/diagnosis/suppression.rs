//! A deeper cause suppresses the findings that follow from it. Which cause suppresses which finding is
//! part of the table of codes ([`Code::suppressed_by`]).

use super::code::Suppressor;
use super::{Code, Context, Finding, Severity};
use crate::phase::PhaseName;

/// Drops the findings that follow from another one. What a code suppresses is kept as its evidence.
pub(super) fn suppress_consequences(case: &Context<'_>, findings: &mut Vec<Finding>) {
    let wrong_address = is_at_wrong_address(case, findings);
    let errors: Vec<Code> = findings.iter().filter(|finding| is_error(finding)).map(|finding| finding.code).collect();
    let mut evidence: Vec<(Code, String)> = Vec::new();
    findings.retain(|finding| {
        if finding.severity == Severity::Info {
            return true;
        }
        let cause = finding.code.suppressed_by().iter().find(|suppressor| match suppressor {
            // The token comes from another service, not from the address in use.
            Suppressor::WrongAddress => wrong_address && finding.phase != PhaseName::Token,
            Suppressor::Code(code) => is_error(finding) && errors.contains(code),
        });
        if let Some(Suppressor::Code(code)) = cause {
            evidence.push((*code, format!(" Seen from here: {}.", finding.summary)));
        }
        cause.is_none()
    });
    for (code, text) in evidence {
        if let Some(cause) = findings.iter_mut().find(|finding| finding.code == code && is_error(finding)) {
            cause.detail.push_str(&text);
        }
    }
}

/// Whether a finding with this code would suppress one of the errors.
pub(super) fn explains_an_error(findings: &[Finding], code: Code) -> bool {
    let suppressed = |finding: &Finding| finding.code.suppressed_by().contains(&Suppressor::Code(code));
    findings.iter().any(|finding| is_error(finding) && suppressed(finding))
}

/// The server at an address that is not the expected one says nothing about the expected one.
fn is_at_wrong_address(case: &Context<'_>, findings: &[Finding]) -> bool {
    let path_error = |finding: &Finding| is_error(finding) && finding.phase == PhaseName::Resolve;
    !case.is_at_expected_address() && findings.iter().any(path_error)
}

fn is_error(finding: &Finding) -> bool {
    finding.severity == Severity::Error
}
