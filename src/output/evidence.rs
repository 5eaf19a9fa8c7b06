//! The evidence of many vantages as JSON, Markdown and HTML.

mod html;
mod markdown;
mod svg;

use std::collections::BTreeMap;
use std::time::Duration;

use super::{gate, json};
use crate::clock::{Seconds, Timestamp};
use crate::evidence::document::{EvidenceCell, EvidenceReport, JournalEvidence};
use crate::record::standing::PathKind;
use crate::statistics::{Comparison, Estimate};

pub use html::html;
pub use markdown::markdown;

/// The document, indented.
///
/// # Errors
/// Where a value has no JSON form; no value of a report is such.
pub fn json(report: &EvidenceReport) -> serde_json::Result<String> {
    json::document(report)
}

/// The first sentence: since when every vantage is on the private path, or how many are not.
fn headline(report: &EvidenceReport) -> String {
    let all = report.cells.len();
    let always = report.cells.iter().filter(|cell| is_private_throughout(cell)).count();
    let since: Vec<Timestamp> = report.cells.iter().filter_map(private_since).collect();
    let begin = match (since.len(), since.iter().max()) {
        (_, _) if always == all => format!("all {all} vantages and targets were on the private path with every probe"),
        (private, Some(last)) if private == all => {
            format!("all {all} vantages and targets are on the private path since {last}")
        }
        (private, _) => {
            format!("{} of {all} vantages and targets are not on the private path at the end", all - private)
        }
    };
    format!("{begin}; {always} of {all} were with every probe from {} to {}", report.from, report.to)
}

fn is_private_throughout(cell: &EvidenceCell) -> bool {
    cell.seconds_on_path.keys().all(|path| *path == PathKind::Private) && cell.probes > 0
}

/// When the last stretch began in which every probe found the private path; `None` where the last probe did not.
fn private_since(cell: &EvidenceCell) -> Option<Timestamp> {
    let last = cell.bands.iter().rev().take_while(|band| band.path == PathKind::Private);
    last.last().map(|band| band.from)
}

/// How many vantages were heard.
fn coverage(report: &EvidenceReport) -> String {
    let mut vantages: Vec<&BTreeMap<String, String>> = report.cells.iter().map(|cell| &cell.vantage).collect();
    vantages.dedup();
    match report.expected {
        Some(expected) => format!(
            "{expected} vantages were expected: {} silent, {} unexpected; {} heard in all",
            report.silent.len(),
            report.unexpected.len(),
            vantages.len()
        ),
        None => format!("{} vantages were heard; no list of expected ones was given", vantages.len()),
    }
}

/// `47h 59m`, to the minute from an hour on.
fn duration(seconds: Seconds) -> String {
    let whole = seconds.0.as_secs();
    match whole {
        0 if seconds.0.is_zero() => "0".to_owned(),
        0..60 => format!("{whole}s"),
        60..3600 => format!("{}m {}s", whole / 60, whole % 60),
        _ => format!("{}h {}m", whole / 3600, whole / 60 % 60),
    }
}

fn on_path(cell: &EvidenceCell, path: PathKind) -> String {
    cell.seconds_on_path.get(&path).map_or_else(|| "0".to_owned(), |time| duration(*time))
}

/// `private`, `public` and so on, without an underline.
fn path_name(path: PathKind) -> String {
    path.to_string().replace('_', " ")
}

/// A time in seconds for people.
fn time(seconds: f64) -> String {
    Duration::try_from_secs_f64(seconds.abs()).map_or_else(|_| "unknown".to_owned(), |time| Seconds(time).to_string())
}

fn interval(estimate: Estimate) -> String {
    format!("{} ({} to {})", time(estimate.value), time(estimate.low), time(estimate.high))
}

/// What a comparison says, in one sentence.
fn comparison(compared: &Comparison) -> String {
    let Some(shift) = compared.shift else {
        return format!(
            "cannot tell: {} samples before and {} after; 30 independent ones are needed on each side",
            compared.before.samples / compared.before.thinned_by,
            compared.after.samples / compared.after.thinned_by
        );
    };
    let thinned = match compared.before.thinned_by.max(compared.after.thinned_by) {
        1 => String::new(),
        step => format!("; each {step}th sample at most was used, since neighbours were alike"),
    };
    let said = if shift.has_zero() {
        format!("no difference larger than {} seen", time(shift.low.abs().max(shift.high.abs())))
    } else {
        let word = if shift.value > 0.0 { "longer" } else { "shorter" };
        let (least, most) = (shift.low.abs().min(shift.high.abs()), shift.low.abs().max(shift.high.abs()));
        format!("{} {word} after ({} to {})", time(shift.value), time(least), time(most))
    };
    format!("{said}{thinned}")
}

fn vantage(cell: &EvidenceCell) -> String {
    gate::vantage(&cell.vantage)
}

fn files(journal: &JournalEvidence) -> String {
    match journal.files.as_slice() {
        [only] => only.clone(),
        [first, .., last] => format!("{first} to {last}"),
        [] => String::new(),
    }
}

/// The lines by which a person signs the report, and another one verifies it.
const SIGNING: [(&str, &str); 2] = [
    ("the person who closes the change signs it", "ssh-keygen -Y sign -f ~/.ssh/id_ed25519 -n redpath.report REPORT"),
    (
        "anybody verifies it, with a line `NAME PUBLIC-KEY` in allowed_signers",
        "ssh-keygen -Y verify -f allowed_signers -I NAME -n redpath.report -s REPORT.sig < REPORT",
    ),
];
