//! The report as one HTML file without scripts, which prints well.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{coverage, headline, markdown, svg, vantage};
use crate::evidence::document::{EvidenceCell, EvidenceReport};
use crate::output::compared::{self, Row, duration, interval, time};
use crate::output::gate::entry;
use crate::printable::printable;
use crate::statistics::Comparison;

const STYLE: &str = include_str!("evidence.css");

/// The most changes that the page lists.
const MAX_CHANGES: usize = 200;

/// The page.
pub fn html(report: &EvidenceReport) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Redis path evidence" }
                style { (PreEscaped(STYLE)) }
            }
            body { (body(report)) }
        }
    };
    let lines: Vec<_> = page.0.split('\n').map(printable).collect();
    lines.join("\n") + "\n"
}

fn body(report: &EvidenceReport) -> Markup {
    html! {
        h1 { "Redis path evidence" }
        p.result { (headline(report)) "." }
        p { (coverage(report)) "." }
        @for (title, entries) in [("Silent", &report.silent), ("Unexpected", &report.unexpected)] {
            @if !entries.is_empty() {
                p { (title) ": " (entries.iter().map(entry).collect::<Vec<_>>().join("; ")) }
            }
        }
        h2 { "The path over time" }
        (svg::bands(report))
        (svg::legend())
        h2 { "Vantages and targets" }
        (matrix(report))
        (latency(report))
        (changes(report))
        h2 { "What it rests on" }
        ul {
            @for journal in &report.journals {
                li { code { (markdown::source(journal)) } @for fault in &journal.faults { br; code { (fault) } } }
            }
            @if report.records > 0 { li { (report.records) " records in files that are no journal" } }
            @for file in &report.az { li { code { (file.file) } " SHA-256 " code { (file.sha256) } ": " (file.says.join("; ")) } }
        }
        h2 { "What this does not prove" }
        ul { @for limit in &report.not_proven { li { (limit) } } }
        h2 { "Signature" }
        @for (who, line) in super::SIGNING { p { (who) ":" } pre { (line) } }
        p { "Made at " (report.generated_at) " by " (report.tool.name) " " (report.tool.version) "." }
    }
}

fn matrix(report: &EvidenceReport) -> Markup {
    html! {
        table {
            thead { tr {
                @for title in ["Vantage", "Target", "Expected", "Found last", "Since", "Time on each path", "Silent", "Gaps", "Unusable", "Changes", "Probes", "Longest TCP, PING"] {
                    th { (title) }
                }
            } }
            tbody { @for cell in &report.cells { (row(cell)) } }
        }
    }
}

fn row(cell: &EvidenceCell) -> Markup {
    let longest = |seconds: Option<crate::clock::Seconds>| seconds.map_or_else(|| "none".to_owned(), |s| s.to_string());
    html! {
        tr {
            td { (vantage(cell)) }
            td { (cell.target) br; code { (cell.endpoint) } }
            td { (cell.expectation) }
            td { (cell.found) br; (cell.verdict) }
            td { (cell.since) }
            td { (markdown::times(cell)) }
            td { (duration(cell.silent_seconds)) }
            td { (cell.gaps.len()) }
            td { (duration(cell.unusable_seconds)) }
            td { (cell.changes_total) }
            td { (cell.probes) }
            td { (longest(cell.worst_connect_seconds)) ", " (longest(cell.worst_ping_seconds)) }
        }
    }
}

fn latency(report: &EvidenceReport) -> Markup {
    let Some(cutover) = report.cutover else { return html! {} };
    let rows = super::compared(report);
    html! {
        h2 { "Before and after " (cutover) }
        p { "The moment is " (compared::moment(report.cutover_given)) ". Medians with their 95 % intervals, by the medians of each minute; the picture goes from the interval to the 95th percentile." }
        (svg::latency(report))
        table {
            thead { tr { @for title in ["Vantage", "Target", "Of", "Before", "After", "p95", "Longest", "Difference"] { th { (title) } } } }
            tbody { @for row in &rows { @for (name, compared) in compared::phases(row.compared) { (durations(row, name, compared)) } } }
        }
        table {
            thead { tr { @for title in ["Vantage", "Target", "Probes", "Failures", "Without service"] { th { (title) } } } }
            tbody { @for row in &rows { (service(row)) } }
        }
    }
}

fn durations(row: &Row<'_>, name: &str, compared: &Comparison) -> Markup {
    let (before, after) = (&compared.before, &compared.after);
    html! {
        tr {
            td { (row.vantage) }
            td { (row.target) }
            td { (name) }
            td { (interval(before.median)) }
            td { (interval(after.median)) }
            td { (time(before.p95)) ", " (time(after.p95)) }
            td { (time(before.worst)) ", " (time(after.worst)) }
            td { (compared::sentence(compared, compared::CLASS_OF_JOURNAL)) }
        }
    }
}

fn service(row: &Row<'_>) -> Markup {
    let (before, after) = (row.compared.before, row.compared.after);
    html! {
        tr {
            td { (row.vantage) }
            td { (row.target) }
            td { (before.probes) ", " (after.probes) }
            td { (before.failures) ", " (after.failures) }
            td { (duration(before.seconds_without_service)) ", " (duration(after.seconds_without_service)) }
        }
    }
}

fn changes(report: &EvidenceReport) -> Markup {
    let mut changes: Vec<_> =
        report.cells.iter().flat_map(|cell| cell.changes.iter().map(move |change| (change.at, cell, change))).collect();
    changes.sort_by_key(|(at, ..)| *at);
    let marks: Vec<_> = report.journals.iter().flat_map(|journal| &journal.marks).collect();
    html! {
        @if !changes.is_empty() || !marks.is_empty() { h2 { "Changes" } }
        @for mark in marks { p { "Mark at " (mark.at) ": " (mark.word) } }
        @if !changes.is_empty() {
            table {
                thead { tr { @for title in ["At", "Vantage", "Target", "Found since"] { th { (title) } } } }
                tbody {
                    @for (at, cell, change) in changes.iter().take(MAX_CHANGES) {
                        tr { td { (at) } td { (vantage(cell)) } td { (cell.target) } td { (change.found) } }
                    }
                }
            }
        }
        @if changes.len() > MAX_CHANGES { p { (changes.len() - MAX_CHANGES) " more are in the JSON document." } }
    }
}
