//! The answer of a gate as text, JSON, Markdown, JUnit and an in-toto statement.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::compared;
use super::json;
use super::junit::{Case, CaseResult, Suite};
use super::markdown_text::in_table;
use super::text::{Paint, Style};

use crate::gate::judgement::{Answer, Cell, Judgement, Reason};

/// The most rows and reasons that text and Markdown show.
const MAX_ROWS: usize = 60;

/// `app-a (vm-1)`: the subnet and what tells its vantages apart; all labels where there is no subnet.
pub fn vantage(labels: &BTreeMap<String, String>) -> String {
    let first = |names: &[&str]| names.iter().find_map(|name| labels.get(*name));
    let one = first(&["pod_name", "node", "hostname", "instance"]);
    match (labels.get("subnet"), one) {
        (Some(subnet), Some(one)) => format!("{subnet} ({one})"),
        (Some(subnet), None) => subnet.clone(),
        (None, Some(one)) if labels.len() <= 3 => one.clone(),
        (None, _) => entry(labels),
    }
}

/// `subnet=app-a, vnet=spoke-1`.
pub fn entry(labels: &BTreeMap<String, String>) -> String {
    labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}

/// One sentence after the answer.
fn headline(judgement: &Judgement) -> String {
    let hold = match judgement.hold_seconds.0 {
        Duration::ZERO => String::new(),
        hold => format!(" for {}", humantime::format_duration(hold)),
    };
    let kind = if judgement.has_list { "expected vantages" } else { "vantages" };
    let mut line = format!("{} of {} {kind} are ready{hold}", judgement.vantages_ready, judgement.vantages);
    if !judgement.silent.is_empty() {
        let _ = write!(line, ", {} silent", judgement.silent.len());
    }
    line
}

/// Whose reason it is: `app-b (vm-2), sessions`.
fn subject(reason: &Reason) -> String {
    let vantage = vantage(&reason.vantage);
    match &reason.target {
        Some(target) if !vantage.is_empty() => format!("{vantage}, {target}"),
        Some(target) => target.clone(),
        None => vantage,
    }
}

fn sentence(reason: &Reason) -> String {
    match subject(reason) {
        subject if subject.is_empty() => reason.sentence.clone(),
        subject => format!("{subject}: {}", reason.sentence),
    }
}

/// The cells, those that are not ready first.
fn sorted(judgement: &Judgement) -> Vec<&Cell> {
    let mut cells: Vec<&Cell> = judgement.cells.iter().collect();
    cells.sort_by_key(|cell| (std::cmp::Reverse(cell.answer), vantage(&cell.vantage), &cell.target));
    cells
}

/// The paragraphs after the matrix: a title, and its lines.
fn sections(judgement: &Judgement) -> Vec<(&'static str, Vec<String>)> {
    let not_looked: Vec<&Cell> = judgement.cells.iter().filter(|cell| !cell.application_looked_at).collect();
    let mut notes = judgement.notes.clone();
    if !not_looked.is_empty() {
        notes.push(format!(
            "the applications' own connections were not looked at by {} of {} vantages and targets",
            not_looked.len(),
            judgement.cells.len()
        ));
    }
    vec![
        ("silent", judgement.silent.iter().map(entry).collect()),
        ("unexpected: not on the list", judgement.unexpected.iter().map(vantage).collect()),
        ("notes", notes),
        ("read from", judgement.sources.clone()),
    ]
}

/// Text for a terminal: the answer first.
pub fn text(judgement: &Judgement, style: &Style) -> String {
    let (paint, word) = match judgement.answer {
        Answer::Ready => (Paint::Good, "READY"),
        Answer::NotReady => (Paint::Bad, "NOT READY"),
        Answer::CannotTell => (Paint::Warning, "CANNOT TELL"),
    };
    let mut out = format!("{} at {}: {}\n\n", style.paint(paint, word), judgement.at, headline(judgement));
    let cells = sorted(judgement);
    let rows: Vec<[String; 4]> = cells.iter().take(MAX_ROWS).map(|cell| row(cell, style)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    for [answer, vantage, target, found] in &rows {
        let [a, v, t] = widths;
        let _ = writeln!(out, "  {answer:<a$}  {vantage:<v$}  {target:<t$}  {found}");
    }
    more(&mut out, cells.len(), "  ");
    if !judgement.reasons.is_empty() {
        out.push_str("\nwhat keeps it back, the cheapest to repair first\n");
    }
    for (number, reason) in (1..).zip(judgement.reasons.iter().take(MAX_ROWS)) {
        let _ = writeln!(out, "  {number}. {}", style.clean(&sentence(reason)));
        let _ = writeln!(out, "     {}", style.clean(&reason.fix));
    }
    more(&mut out, judgement.reasons.len(), "  ");
    for (title, lines) in sections(judgement) {
        if !lines.is_empty() {
            let _ = writeln!(out, "\n{title}");
        }
        for line in lines.iter().take(MAX_ROWS) {
            let _ = writeln!(out, "  {}", style.clean(line));
        }
        more(&mut out, lines.len(), "  ");
    }
    out
}

fn more(out: &mut String, count: usize, indent: &str) {
    if count > MAX_ROWS {
        let _ = writeln!(out, "{indent}and {} more (--output json has all)", count - MAX_ROWS);
    }
}

fn row(cell: &Cell, style: &Style) -> [String; 4] {
    let verdict = cell.verdict.as_ref().map(|verdict| format!(", {verdict}")).unwrap_or_default();
    [
        cell.answer.to_string(),
        style.clean(&vantage(&cell.vantage)),
        style.clean(&cell.target),
        style.clean(&format!("{}{verdict}", cell.found)),
    ]
}

/// The document, indented.
///
/// # Errors
/// Where a value has no JSON form; no value of a judgement is such.
pub fn json(judgement: &Judgement) -> serde_json::Result<String> {
    json::document(judgement)
}

/// Markdown for a change record, a pull request or the summary of a job.
pub fn markdown(judgement: &Judgement) -> String {
    let mut out = format!("## {}\n\n{}, at {}.\n", judgement.answer, headline(judgement), judgement.at);
    let cells = sorted(judgement);
    if !cells.is_empty() {
        out.push_str("\n| Answer | Vantage | Target | Found |\n|---|---|---|---|\n");
    }
    for cell in cells.iter().take(MAX_ROWS) {
        let verdict = cell.verdict.as_ref().map(|verdict| format!(", {verdict}")).unwrap_or_default();
        let found = in_table(&format!("{}{verdict}", cell.found));
        let (vantage, target) = (in_table(&vantage(&cell.vantage)), in_table(&cell.target));
        let _ = writeln!(out, "| {} | {vantage} | {target} | {found} |", cell.answer);
    }
    if cells.len() > MAX_ROWS {
        let _ = writeln!(out, "\n{} more rows are in the JSON document.", cells.len() - MAX_ROWS);
    }
    if !judgement.reasons.is_empty() {
        out.push_str("\n### What keeps it back, the cheapest to repair first\n\n");
    }
    for reason in judgement.reasons.iter().take(MAX_ROWS) {
        let _ = writeln!(out, "1. {}. {}", in_table(&sentence(reason)), in_table(&reason.fix));
    }
    before_after(&mut out, judgement);
    for (title, lines) in sections(judgement) {
        if lines.is_empty() {
            continue;
        }
        let mut characters = title.chars();
        let capital: String = characters.next().into_iter().flat_map(char::to_uppercase).collect();
        let _ = writeln!(out, "\n### {capital}{}\n", characters.as_str());
        for line in lines.iter().take(MAX_ROWS) {
            let _ = writeln!(out, "- {}", in_table(line));
        }
    }
    out
}

/// What the change to a private path changed, where journals tell.
fn before_after(out: &mut String, judgement: &Judgement) {
    let Some(cutover) = judgement.cutover else { return };
    let mut rows: Vec<compared::Row<'_>> = judgement.overall.iter().map(compared::Row::overall).collect();
    let cells = judgement.cells.iter().filter_map(|cell| cell.before_after.as_ref().map(|compared| (cell, compared)));
    rows.extend(cells.map(|(cell, compared)| compared::Row {
        vantage: vantage(&cell.vantage),
        target: &cell.target,
        compared,
    }));
    if rows.is_empty() {
        return;
    }
    out.push_str("\n### ");
    out.push_str(&compared::heading(cutover, false));
    compared::markdown(out, &rows[..rows.len().min(MAX_ROWS)]);
    if rows.len() > MAX_ROWS {
        let _ = writeln!(out, "\n{} more rows are in the JSON document.", rows.len() - MAX_ROWS);
    }
}

/// Each vantage and target as a test.
pub fn suite(judgement: &Judgement) -> Suite {
    let mut cases: Vec<Case> = Vec::with_capacity(judgement.cells.len());
    for cell in &judgement.cells {
        let mine = judgement.reasons.iter().filter(|reason| {
            !reason.vantage.is_empty()
                && reason.vantage.iter().all(|(name, value)| cell.vantage.get(name) == Some(value))
                && reason.target.as_ref().is_none_or(|target| *target == cell.target)
        });
        let sentences: Vec<String> = mine.map(|reason| format!("{}: {}", reason.sentence, reason.fix)).collect();
        let (message, detail) = (sentences.first().cloned().unwrap_or_default(), sentences.join("\n"));
        let result = match cell.answer {
            Answer::Ready => CaseResult::Passed,
            Answer::NotReady => CaseResult::Failed { message, detail },
            Answer::CannotTell => CaseResult::Error { message, detail },
        };
        cases.push(Case { name: cell.target.clone(), class: vantage(&cell.vantage), result });
    }
    let of_no_cell = judgement.reasons.iter().filter(|reason| reason.target.is_none());
    cases.extend(of_no_cell.map(|reason| {
        let (message, detail) = (reason.sentence.clone(), sentence(reason));
        let result = match reason.is_known {
            true => CaseResult::Failed { message, detail },
            false => CaseResult::Error { message, detail },
        };
        let class = if reason.vantage.is_empty() { "sources".to_owned() } else { entry(&reason.vantage) };
        Case { name: "heard".to_owned(), class, result }
    }));
    Suite { name: "redpath gate".to_owned(), cases }
}

/// An in-toto statement with the predicate `test-result`; its subject is the JSON document of this judgement.
/// <https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md>
///
/// # Errors
/// As for `json`.
pub fn in_toto(judgement: &Judgement) -> serde_json::Result<String> {
    let digest = Sha256::digest(json(judgement)?.as_bytes());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let tests = |wanted: Answer| -> Vec<String> {
        let cells = judgement.cells.iter().filter(|cell| cell.answer == wanted);
        cells.map(|cell| format!("{}, {}", entry(&cell.vantage), cell.target)).collect()
    };
    let silent = judgement.silent.iter().map(entry);
    let configuration = json!({
        "at": judgement.at,
        "hold_seconds": judgement.hold_seconds,
        "waived": judgement.waived,
        "sources": judgement.sources,
    });
    let statement: Value = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": judgement.schema, "digest": {"sha256": digest}}],
        "predicateType": "https://in-toto.io/attestation/test-result/v0.1",
        "predicate": {
            "result": if judgement.answer == Answer::Ready { "PASSED" } else { "FAILED" },
            "configuration": [{"name": "conditions", "content": STANDARD.encode(configuration.to_string())}],
            "passedTests": tests(Answer::Ready),
            "warnedTests": tests(Answer::CannotTell),
            "failedTests": tests(Answer::NotReady).into_iter().chain(silent).collect::<Vec<_>>(),
        },
    });
    serde_json::to_string_pretty(&statement).map(|text| text + "\n")
}
