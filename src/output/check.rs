//! The targets of a report as tests, for build servers that read JUnit XML.

use super::junit::{Case, CaseResult, Suite, document};
use super::text::{self, Style};
use super::{clients, describe, json};
use crate::diagnosis::{Severity, Status};
use crate::observation::application::ApplicationPath;
use crate::record::clients::ClientsReport;
use crate::record::connections::{ConnectionsReport, TargetConnections};
use crate::record::{Record, Report};
use crate::vantage::Vantage;

/// JUnit XML: a test for each target. A failure is one, an unknown verdict an error; a warning passes, unless strict.
pub fn junit(report: &Report, is_strict: bool) -> String {
    let case = |record: &Record| Case {
        name: describe::target(&record.target),
        class: class(&record.vantage),
        result: result(report, record, is_strict),
    };
    document(&Suite { name: "redpath check".to_owned(), cases: report.records.iter().map(case).collect() })
}

/// The same of the applications' connections.
pub fn junit_of_connections(report: &ConnectionsReport) -> String {
    let case = |target: &TargetConnections| Case {
        name: describe::target(&target.target),
        class: class(&report.vantage),
        result: result_of_connections(target),
    };
    document(&Suite { name: "redpath connections".to_owned(), cases: report.targets.iter().map(case).collect() })
}

/// The same of the clients that the server lists.
pub fn junit_of_clients(report: &ClientsReport) -> String {
    let style = Style { color: false, width: 100, unicode: true, verbose: false };
    let detail = || clients::text(report, &style);
    let result = match report.status {
        Status::Pass | Status::Warn => CaseResult::Passed,
        Status::Fail => {
            let message = format!("{} clients with a public address", report.totals.public);
            CaseResult::Failed { message, detail: detail() }
        }
        Status::Unknown => CaseResult::Error { message: report.reasons.join("; "), detail: detail() },
    };
    let (name, class) = (describe::target(&report.target), class(&report.vantage));
    document(&Suite { name: "redpath clients".to_owned(), cases: vec![Case { name, class, result }] })
}

/// `redpath.SUBNET.HOST`; build servers group by what stands before a dot.
fn class(vantage: &Vantage) -> String {
    let place = vantage.pod.as_deref().unwrap_or(&vantage.hostname).replace('.', "_");
    match &vantage.subnet {
        Some(subnet) => format!("redpath.{}.{place}", subnet.replace('.', "_")),
        None => format!("redpath.{place}"),
    }
}

fn result(report: &Report, record: &Record, is_strict: bool) -> CaseResult {
    let finding = record.findings.iter().find(|finding| finding.severity != Severity::Info);
    let message = match finding {
        Some(finding) => format!("{}: {}", finding.code, finding.summary),
        None => format!("{}: {}", record.verdict.status, record.verdict.cause),
    };
    let detail = || {
        let style = Style { color: false, width: 100, unicode: true, verbose: false };
        let alone: Vec<Record> = vec![record.clone()];
        text::render_whole(&Report::new(report.vantage.clone(), report.generated_at, alone), &style)
    };
    match record.verdict.status {
        Status::Warn if is_strict => CaseResult::Failed { message, detail: detail() },
        Status::Pass | Status::Warn => CaseResult::Passed,
        Status::Fail => CaseResult::Failed { message, detail: detail() },
        Status::Unknown => CaseResult::Error { message, detail: detail() },
    }
}

fn result_of_connections(target: &TargetConnections) -> CaseResult {
    let detail = json::compact(target).unwrap_or_default();
    let public = target.application.as_ref().map_or(0, |facts| facts.established(ApplicationPath::Public));
    match target.status {
        Status::Pass | Status::Warn => CaseResult::Passed,
        Status::Fail => CaseResult::Failed { message: format!("{public} connections on the public path"), detail },
        Status::Unknown => {
            let message = target.error.clone().unwrap_or_else(|| "the connections are unknown".to_owned());
            CaseResult::Error { message, detail }
        }
    }
}
