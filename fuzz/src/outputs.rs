//! What must hold of every output, whatever the record: it ends, it is bounded, nothing in it acts on a
//! terminal, a shell or a page, and what is read back is the same.

use redpath::output::text::{self, Style};
use redpath::output::{json, markdown, prometheus};
use redpath::record::{Record, Report, saved};

use crate::shell::assert_pasteable;
use crate::{assert_harmless, assert_no_secret};

/// The most characters that an output has for each character of the record as JSON, and by itself. A name
/// stands in the record once, and in several findings and their commands.
const TIMES: usize = 16;
const BY_ITSELF: usize = 256 * 1024;

/// Holds every output of a report of these records.
///
/// # Panics
/// Something does not hold.
pub fn hold(report: &Report, secret: Option<&str>) {
    let written = json::report(report).expect("a report has a JSON form");
    let most = written.len() * TIMES + BY_ITSELF;
    let mut outputs =
        vec![("markdown", markdown::render(report)), ("metrics", prometheus::exposition_of(&report.records))];
    // One of the styles, by a choice that the same record makes each time: there are as many records as inputs.
    let plain = |width, unicode| text::render(report, &Style { color: false, width, unicode, verbose: true });
    outputs.push(match written.len() % 4 {
        0 => ("narrow text", plain(80, false)),
        1 => ("text", plain(100, true)),
        2 => ("text of no width", plain(1, true)),
        _ => (
            "colour",
            without_colour(&text::render(report, &Style { color: true, width: 100, unicode: true, verbose: true })),
        ),
    });
    for record in &report.records {
        outputs.push(("line", json::line(record).expect("a record has a JSON form")));
        outputs.push(("probe", prometheus::blackbox_exposition(record)));
        findings(record);
    }
    for (name, output) in &outputs {
        assert_harmless(name, output);
        assert!(output.len() <= most, "{name} has {} bytes, the record {}", output.len(), written.len());
        if matches!(*name, "metrics" | "probe") {
            exposition(output);
        }
        if let Some(secret) = secret {
            assert_no_secret(name, output, secret);
        }
    }
    assert_harmless("json", &written);
    reads_back(&written);
}

/// A record of one target: a report of its own.
///
/// # Panics
/// Something does not hold.
pub fn hold_record(record: Record, secret: Option<&str>) {
    hold(&Report::new(record.vantage.clone(), record.started_at, vec![record]), secret);
}

fn findings(record: &Record) {
    for finding in &record.findings {
        for text in [&finding.summary, &finding.detail, &finding.hint] {
            assert!(!text.contains('\n'), "{} is not one line: {text:?}", finding.code);
            assert_harmless("a finding", text);
        }
        assert!(!finding.summary.is_empty(), "{}", finding.code);
        finding.commands.iter().for_each(|command| assert_pasteable(&command.command));
    }
}

/// What is written is read, and is then written the same: diagnosis finds the same in it again.
fn reads_back(written: &str) {
    let again = match saved::read(written.as_bytes()) {
        Ok(saved) => saved,
        Err(error) => panic!("what was written is not read: {error}\n{written}"),
    };
    for (record, verdict) in again.report.records.iter().zip(&again.verdicts) {
        let same = verdict.as_ref().is_some_and(|verdict| *verdict == record.verdict);
        assert!(same, "it was {verdict:?} and is {:?}: {written}", record.verdict);
    }
    let rewritten = json::report(&again.report).expect("a report has a JSON form");
    assert!(rewritten == written, "it is read back otherwise:\n{written}\n{rewritten}");
}

/// Fails where a line is none of Prometheus' text format 0.0.4.
fn exposition(page: &str) {
    for line in page.lines() {
        let good = line.starts_with("# HELP redpath_")
            || line.starts_with("# TYPE redpath_")
            || line.starts_with("# HELP probe_")
            || line.starts_with("# TYPE probe_")
            || is_sample(line);
        assert!(good, "not a line of the text format: {line:?}");
    }
}

fn is_sample(line: &str) -> bool {
    let end = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(line.len());
    let (name, mut rest) = line.split_at(end);
    if name.is_empty() {
        return false;
    }
    if let Some(labels) = rest.strip_prefix('{') {
        rest = labels;
        loop {
            let Some((key, value)) = rest.split_once("=\"") else { return false };
            if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return false;
            }
            let mut escaped = false;
            let closed = value.find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            let Some(end) = closed else { return false };
            rest = &value[end + 1..];
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            let Some(after) = rest.strip_prefix(',') else { return false };
            rest = after;
        }
    }
    rest.strip_prefix(' ').is_some_and(|number| number.parse::<f64>().is_ok())
}

/// The text without the sequences that colour it; any other is left, and found.
fn without_colour(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        let end = after.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(after.len());
        match after[end..].strip_prefix('m') {
            Some(after) => rest = after,
            None => {
                plain.push('\u{1b}');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}
