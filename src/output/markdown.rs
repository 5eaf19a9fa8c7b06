//! Markdown, fit for pasting into a change record or a pull request.

use super::describe::{self, Agreement, AnswerMark};
use super::text::{Style, chain_lines};
use crate::diagnosis::{CommandKind, Finding, Severity};
use crate::printable::printable;
use crate::record::{Record, Report};

/// The report: where from, then a section per target.
pub fn render(report: &Report) -> String {
    let mut out = format!("## redpath, {}\n\n", describe::counts(&report.records));
    out.push_str(&format!("From {}", code(&report.vantage.hostname)));
    for (key, value) in &report.vantage.labels {
        out.push_str(&format!(", {} {}", escaped(key), code(value)));
    }
    let tool = &report.tool;
    out.push_str(&format!(", at {}, by {} {}.\n", report.generated_at, escaped(&tool.name), escaped(&tool.version)));
    table(&mut out, &report.records);
    for record in &report.records {
        section(&mut out, record);
    }
    out
}

/// A row per target, so that the result is read before the evidence.
fn table(out: &mut String, records: &[Record]) {
    if records.is_empty() {
        return;
    }
    out.push_str("\n| Verdict | Target | Connection | Cause |\n|---|---|---|---|\n");
    for record in records {
        out.push_str(&format!(
            "| {} | {} | {} | {} |\n",
            describe::status(record.verdict.status),
            code_in_table(&describe::target(&record.target)),
            escaped(&describe::destination(record)),
            code(record.verdict.cause.as_str())
        ));
    }
}

fn section(out: &mut String, record: &Record) {
    let verdict = &record.verdict;
    out.push_str(&format!(
        "\n### {} {}: {}\n",
        describe::status(verdict.status),
        code(&describe::target(&record.target)),
        code(verdict.cause.as_str())
    ));
    if let Some(line) = describe::local_limit(record) {
        out.push_str(&format!("\nThe verdict is {}.\n", escaped(&line)));
    }
    if let Some(line) = describe::precheck(record) {
        out.push_str(&format!("\nThis is a {}.\n", escaped(&line)));
    }
    for finding in record.findings.iter().filter(|finding| finding.severity != Severity::Info) {
        describe(out, finding);
    }
    let plain = Style { color: false, width: 100, unicode: true, verbose: false };
    let path = chain_lines(record, &plain);
    if !path.is_empty() {
        out.push('\n');
        fenced(out, "text", &path.join("\n"));
    }
    views(out, record);
    phases(out, record);
    facts(out, record);
    for finding in record.findings.iter().filter(|finding| finding.severity == Severity::Info) {
        out.push_str(&format!("- {}: {}\n", code(finding.code.as_str()), escaped(&finding.summary)));
    }
}

/// The answers of the views, as a table.
fn views(out: &mut String, record: &Record) {
    let resolution = &record.observation.resolution;
    if !resolution.views.is_empty() {
        out.push_str("\n| View | Answer | Took | |\n|---|---|---:|---|\n");
    }
    for view in &resolution.views {
        let took = view.took_seconds.map(|took| took.to_string()).unwrap_or_default();
        let agreement = match describe::agreement(resolution, view) {
            Agreement::InUse => "in use",
            Agreement::Agrees => "agrees",
            Agreement::Differs if describe::answer_mark(record, view) == AnswerMark::PublicResolver => {
                "public resolver"
            }
            Agreement::Differs => "**differs**",
            Agreement::Unknown => "",
        };
        let (name, answer) = (code_in_table(&describe::view_name(view)), escaped(&describe::view_answer(view)));
        out.push_str(&format!("| {name} | {answer} | {took} | {agreement} |\n"));
    }
}

/// The phases with their times, as a table.
fn phases(out: &mut String, record: &Record) {
    let connection = record.observation.connection.as_ref();
    out.push_str("\n| Phase | Took | Outcome |\n|---|---:|---|\n");
    for phase in describe::shown_phases(&record.observation.phases) {
        let state = describe::phase_state(&record.observation.phases, phase);
        let took = state.took().map(|took| took.to_string()).unwrap_or_default();
        let note = describe::phase_note(phase, connection).filter(|_| state.took().is_some());
        let note = note.map(|note| format!(" ({})", escaped(&note))).unwrap_or_default();
        out.push_str(&format!("| {phase} | {took} | {}{note} |\n", escaped(&state.outcome())));
    }
}

/// Expectation, connections, TLS and the sections, as a list.
fn facts(out: &mut String, record: &Record) {
    out.push('\n');
    out.push_str(&format!("- Expected: {}\n", escaped(&record.expectation.path_and_endpoints())));
    if let Some(connection) = &record.observation.connection {
        let given = if connection.address_given { ", the address given" } else { "" };
        let from = connection.source.map(|source| format!(", from {}", code(&source.to_string()))).unwrap_or_default();
        let address = code(&connection.address.to_string());
        out.push_str(&format!("- Connection: {address} {}{given}{from}\n", connection.class));
        for other in &record.observation.other_connections {
            let (address, class) = (code(&other.connection.address.to_string()), other.connection.class);
            let phases = escaped(&describe::phase_list(&other.phases));
            out.push_str(&format!("- Further address: {address} {class}: {phases}\n"));
        }
        if let Some(tls) = connection.tls.as_ref().and_then(|facts| describe::tls(facts, record.started_at)) {
            out.push_str(&format!("- TLS: {}\n", escaped(&tls)));
        }
    }
    for section in describe::sections(record) {
        for line in &section.lines {
            out.push_str(&format!("- {}: {}\n", section.heading, escaped(line)));
        }
    }
    for (step, commands) in describe::steps_left(record) {
        out.push_str(&format!("- Left to do: {}\n", escaped(&step)));
        for command in commands {
            out.push_str(&format!("  - {}\n", code(&command)));
        }
    }
}

fn describe(out: &mut String, finding: &Finding) {
    let (severity, name) = (finding.severity.as_str(), code(finding.code.as_str()));
    out.push_str(&format!("\n**{severity}** {name}: {}\n", escaped(&finding.summary)));
    for paragraph in [&finding.hint, &finding.detail] {
        if !paragraph.is_empty() {
            out.push_str(&format!("\n{}\n", escaped(paragraph)));
        }
    }
    for (kind, label) in
        [(CommandKind::Look, "To look (reads only):"), (CommandKind::Fix, "To fix (changes something):")]
    {
        let commands: Vec<_> = finding.commands.iter().filter(|command| command.kind == kind).collect();
        if !commands.is_empty() {
            out.push_str(&format!("\n{label}\n\n"));
            let lines: Vec<_> = commands.iter().map(|command| printable(&command.command)).collect();
            fenced(out, "sh", &lines.join("\n"));
        }
    }
}

/// Prose on one line, with nothing in it that Markdown or HTML would act on: no markup, no mention,
/// no link.
fn escaped(text: &str) -> String {
    let text = printable(&text.split_whitespace().collect::<Vec<_>>().join(" ")).into_owned();
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '@' => out.push_str("&#64;"),
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '#' | '~' | '!' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out.replace("://", "&#58;//").replace("www.", "www&#46;")
}

/// A code span, whose fence is longer than any in it (CommonMark 6.1).
fn code(text: &str) -> String {
    let text = printable(text);
    if text.trim().is_empty() {
        return "(none)".into();
    }
    let fence = "`".repeat(longest_run(&text) + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// A code span in a table, where `|` ends the cell even so (GFM 4.10).
fn code_in_table(text: &str) -> String {
    code(text).replace('|', "\\|")
}

fn fenced(out: &mut String, language: &str, text: &str) {
    let fence = "`".repeat(longest_run(text).max(2) + 1);
    out.push_str(&format!("{fence}{language}\n{text}\n{fence}\n"));
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_escapes_untrusted_text() {
        assert_eq!(escaped("a|b `c` <img src=x> @team\n# x"), "a\\|b \\`c\\` &lt;img src=x&gt; &#64;team \\# x");
        assert_eq!(escaped("[x](https://evil)"), "\\[x\\](https&#58;//evil)");
        assert_eq!(code("a``b"), "```a``b```");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(code_in_table("a|b"), "`a\\|b`");
        let mut out = String::new();
        fenced(&mut out, "sh", "```\nrm");
        assert!(out.starts_with("````sh\n"));
    }
}
