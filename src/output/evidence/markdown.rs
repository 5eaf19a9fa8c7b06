//! The report as Markdown, for a change record.

use std::fmt::Write;

use super::{coverage, files, headline, on_path, path_name, vantage};
use crate::evidence::document::{EvidenceCell, EvidenceReport, JournalEvidence};
use crate::output::compared::{self, duration};
use crate::output::gate::entry;
use crate::output::markdown_text::in_table;
use crate::record::standing::PathKind;

/// The most rows of a table of changes.
const MAX_CHANGES: usize = 20;

/// The report: the result, who was heard, the matrix, then what it rests on.
pub fn markdown(report: &EvidenceReport) -> String {
    let mut out = format!("# Redis path evidence\n\n{}.\n\n{}.\n", headline(report), coverage(report));
    for (title, entries) in [("Silent", &report.silent), ("Unexpected", &report.unexpected)] {
        if !entries.is_empty() {
            let list: Vec<String> = entries.iter().map(|labels| in_table(&entry(labels))).collect();
            let _ = write!(out, "\n{title}: {}.\n", list.join("; "));
        }
    }
    matrix(&mut out, report);
    latency(&mut out, report);
    changes(&mut out, report);
    sources(&mut out, report);
    out.push_str("\n## What this does not prove\n\n");
    for limit in &report.not_proven {
        let _ = writeln!(out, "- {limit}");
    }
    out.push_str("\n## Signature\n");
    for (who, line) in super::SIGNING {
        let _ = write!(out, "\n{who}:\n\n```sh\n{line}\n```\n");
    }
    let tool = &report.tool;
    let _ = writeln!(out, "\nMade at {} by {} {}.", report.generated_at, in_table(&tool.name), in_table(&tool.version));
    out
}

fn matrix(out: &mut String, report: &EvidenceReport) {
    out.push_str("\n## Vantages and targets\n\n| Vantage | Target | Found last | Since | Private | Public | Other | Silent | Gaps | Unusable | Changes | Probes |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    for cell in &report.cells {
        let other: std::time::Duration = cell
            .seconds_on_path
            .iter()
            .filter(|(path, _)| !matches!(path, PathKind::Private | PathKind::Public))
            .map(|(_, time)| time.0)
            .sum();
        let _ = writeln!(
            out,
            "| {} | {} | {}, {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            in_table(&vantage(cell)),
            in_table(&cell.target),
            in_table(&cell.found),
            in_table(&cell.verdict),
            cell.since,
            on_path(cell, PathKind::Private),
            on_path(cell, PathKind::Public),
            duration(other.into()),
            duration(cell.silent_seconds),
            cell.gaps.len(),
            duration(cell.unusable_seconds),
            cell.changes_total,
            cell.probes
        );
    }
    out.push_str("\nExpected: ");
    let mut expected: Vec<String> = report
        .cells
        .iter()
        .map(|cell| {
            format!("{} ({}): {}", in_table(&cell.target), in_table(&cell.endpoint), in_table(&cell.expectation))
        })
        .collect();
    expected.sort();
    expected.dedup();
    let _ = writeln!(out, "{}.", expected.join("; "));
}

fn latency(out: &mut String, report: &EvidenceReport) {
    let Some(cutover) = report.cutover else { return };
    out.push_str("\n## ");
    out.push_str(&compared::heading(cutover, report.cutover_given));
    compared::markdown(out, &super::compared(report));
}

fn changes(out: &mut String, report: &EvidenceReport) {
    let mut changes: Vec<_> =
        report.cells.iter().flat_map(|cell| cell.changes.iter().map(move |change| (change.at, cell, change))).collect();
    changes.sort_by_key(|(at, ..)| *at);
    let marks = report.journals.iter().flat_map(|journal| journal.marks.iter().map(move |mark| (journal, mark)));
    for (journal, mark) in marks {
        let _ =
            write!(out, "\nMark at {}, {}: {}\n", mark.at, in_table(&entry(&journal.vantage)), in_table(&mark.word));
    }
    if changes.is_empty() {
        return;
    }
    out.push_str("\n## Changes\n\n| At | Vantage | Target | Found since |\n|---|---|---|---|\n");
    for (at, cell, change) in changes.iter().take(MAX_CHANGES) {
        let (vantage, target) = (in_table(&vantage(cell)), in_table(&cell.target));
        let _ = writeln!(out, "| {at} | {vantage} | {target} | {} |", in_table(&change.found));
    }
    if changes.len() > MAX_CHANGES {
        let _ = writeln!(out, "\n{} more are in the JSON document.", changes.len() - MAX_CHANGES);
    }
}

fn sources(out: &mut String, report: &EvidenceReport) {
    out.push_str("\n## What it rests on\n\n");
    for journal in &report.journals {
        let _ = writeln!(out, "- {}", in_table(&source(journal)));
        for fault in &journal.faults {
            let _ = writeln!(out, "  - {}", in_table(fault));
        }
    }
    if report.records > 0 {
        let _ = writeln!(out, "- {} records in files that are no journal", report.records);
    }
    for file in &report.az {
        let _ =
            writeln!(out, "- {} (SHA-256 {}): {}", in_table(&file.file), file.sha256, in_table(&file.says.join("; ")));
    }
}

/// A journal in one sentence.
pub(super) fn source(journal: &JournalEvidence) -> String {
    let state = if journal.is_whole { "whole" } else { "damaged" };
    let mut line = format!(
        "{}: {state}, entries {} to {}, head {}",
        files(journal),
        journal.first,
        journal.head,
        journal.head_sha256
    );
    if let Some(last) = journal.starts.last() {
        let _ = write!(line, "; {} starts, the last at {} of {}", journal.starts.len(), last.at, last.program);
        for (what, digest) in [("binary", &last.binary_sha256), ("configuration", &last.configuration_sha256)] {
            if let Some(digest) = digest {
                let _ = write!(line, ", {what} {digest}");
            }
        }
    }
    if journal.lost_probes > 0 {
        let _ = write!(line, "; {} probes could not be written", journal.lost_probes);
    }
    if let Some(service) = journal.clock_synchronised_by {
        let _ = write!(line, "; clock synchronised according to {service}");
    }
    if journal.clock_steps > 0 {
        let _ = write!(line, "; the clock was set {} times", journal.clock_steps);
    }
    if let Some(witness) = &journal.witness {
        let _ = write!(line, "; {witness}");
    }
    line
}

/// `private 47h 59m, public 1m 0s`.
pub(super) fn times(cell: &EvidenceCell) -> String {
    let paths = cell.seconds_on_path.iter().map(|(path, time)| format!("{} {}", path_name(*path), duration(*time)));
    paths.collect::<Vec<_>>().join(", ")
}
