//! The evidence of many vantages as JSON, Markdown and HTML.

mod html;
mod markdown;
mod svg;

use std::collections::BTreeMap;

use super::compared::{Row, duration};
use super::{gate, json};
use crate::clock::Timestamp;
use crate::evidence::document::{EvidenceCell, EvidenceReport, JournalEvidence};
use crate::record::standing::PathKind;

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

fn on_path(cell: &EvidenceCell, path: PathKind) -> String {
    cell.seconds_on_path.get(&path).map_or_else(|| "0".to_owned(), |time| duration(*time))
}

/// `private`, `public` and so on, without an underline.
fn path_name(path: PathKind) -> String {
    path.to_string().replace('_', " ")
}

fn vantage(cell: &EvidenceCell) -> String {
    gate::vantage(&cell.vantage)
}

/// What the cutover changed: of each target at all vantages, then of each vantage.
fn compared(report: &EvidenceReport) -> Vec<Row<'_>> {
    let cells = report.cells.iter().filter_map(|cell| cell.before_after.as_ref().map(|compared| (cell, compared)));
    let cells = cells.map(|(cell, compared)| Row { vantage: vantage(cell), target: &cell.target, compared });
    report.overall.iter().map(Row::overall).chain(cells).collect()
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
