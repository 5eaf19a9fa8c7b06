//! The renderings for people against `tests/fixtures/output/`, which are there to be read.
//!
//! `REWRITE_FIXTURES=1 cargo test` writes them anew; the change is then reviewed like any other.

pub(crate) mod records;

use std::path::{Path, PathBuf};

use redpath::diagnosis::{Severity, Status};
use redpath::observation::LocalLimit;
use redpath::output::text::{self, Style};
use redpath::output::{check, json, markdown};
use redpath::record::{Record, Report};

/// Holds `rendered` to the committed file, or writes it where that is asked for.
pub(crate) fn assert_fixture(path: &Path, rendered: &str) {
    if std::env::var_os("REWRITE_FIXTURES").is_some() {
        std::fs::write(path, rendered).expect("the fixture can be written");
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == rendered,
        "{} differs from what is rendered now (REWRITE_FIXTURES=1 writes it anew):\n{rendered}",
        path.display()
    );
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/output").join(name)
}

const WIDE: Style = Style { color: false, width: 100, unicode: true, verbose: false };
const NARROW: Style = Style { color: false, width: 80, unicode: false, verbose: false };

fn stories() -> Vec<(&'static str, Record)> {
    vec![
        ("healthy", records::healthy()),
        ("unlinked_zone", records::unlinked_zone()),
        ("silent_endpoint", records::silent_endpoint()),
        ("overridden", records::overridden()),
        ("slow", records::slow()),
        ("interrupted", records::interrupted()),
        ("no_view", records::no_view()),
        ("hostile", records::hostile()),
        ("cluster", records::cluster()),
        ("application", records::application()),
        ("held_connection", records::held_connection()),
    ]
}

fn several() -> Report {
    let mut other = records::healthy();
    other.target.name = "sessions".into();
    records::report(vec![
        records::healthy(),
        other,
        records::slow(),
        records::unlinked_zone(),
        records::healthy(),
        records::interrupted(),
    ])
}

#[test]
fn text_output_is_reviewed() {
    for (name, record) in stories() {
        let report = records::report(vec![record]);
        assert_fixture(&fixture(&format!("{name}.txt")), &text::render(&report, &WIDE));
    }
    assert_fixture(&fixture("several.txt"), &text::render(&several(), &WIDE));
    let unlinked = records::report(vec![records::unlinked_zone()]);
    assert_fixture(&fixture("unlinked_zone.ascii.txt"), &text::render(&unlinked, &NARROW));
    assert_fixture(&fixture("unlinked_zone.color.txt"), &text::render(&unlinked, &Style { color: true, ..WIDE }));
}

#[test]
fn markdown_output_is_reviewed() {
    for (name, record) in stories() {
        assert_fixture(&fixture(&format!("{name}.md")), &markdown::render(&records::report(vec![record])));
    }
    assert_fixture(&fixture("several.md"), &markdown::render(&several()));
}

#[test]
fn text_colour_carries_no_information() {
    for (name, record) in stories() {
        let report = records::report(vec![record]);
        let colored = text::render(&report, &Style { color: true, ..WIDE });
        assert!(colored.contains("\x1b["), "{name}");
        assert_eq!(without_colour(&colored), text::render(&report, &WIDE), "{name}");
    }
}

#[test]
fn text_escapes_untrusted_text() {
    let report = records::report(vec![records::hostile()]);
    for style in [WIDE, NARROW, Style { color: true, ..NARROW }] {
        let text = without_colour(&text::render(&report, &style));
        assert_harmless(&text);
        assert!(text.lines().count() < 120, "a hostile chain is cut short");
        assert!(style.unicode || text.is_ascii());
    }
    let markdown = markdown::render(&report);
    assert_harmless(&markdown);
    assert_harmless(&json::report(&report).expect("a report serializes"));
    let prose = without_code(&markdown);
    assert!(prose.contains("&lt;script&gt;"), "the test sees the prose: {prose}");
    assert!(
        !prose.contains("<script") && !prose.contains("@team") && !prose.replace("\\]", "").contains("]("),
        "{prose}"
    );
}

#[test]
fn text_wraps_prose_not_commands() {
    let report = records::report(vec![records::unlinked_zone()]);
    let text = text::render(&report, &NARROW);
    let commands: Vec<_> =
        report.records[0].findings[0].commands.iter().map(|command| command.command.as_str()).collect();
    for line in text.lines() {
        let is_command = commands.iter().any(|command| line.ends_with(command));
        assert!(is_command || line.chars().count() <= 80, "{line}");
    }
    assert!(commands.iter().all(|command| text.contains(command)));
}

#[test]
fn text_skipped_phase_has_no_number() {
    let text = text::render(&records::report(vec![records::silent_endpoint()]), &WIDE);
    let line = text.lines().find(|line| line.contains("stopped by connect")).expect("a line for what was not reached");
    assert!(line.contains("tls, auth, ping") && !line.contains(|c: char| c.is_ascii_digit()), "{line}");
}

#[test]
fn text_fail_fits_24_lines_at_80_columns() {
    let text = text::render(&records::report(vec![records::unlinked_zone()]), &NARROW);
    assert!(text.lines().count() <= 24, "{} lines:\n{text}", text.lines().count());
    assert!(text.starts_with("FAIL  cache1.redis.cache.windows.net:6380"), "{text}");
    let pass = text::render(&records::report(vec![records::healthy()]), &NARROW);
    assert_eq!(pass.lines().count(), 3, "{pass}");
    let verbose = Style { verbose: true, ..NARROW };
    assert!(text::render(&records::report(vec![records::healthy()]), &verbose).contains("views "));
}

/// The record of the README's failing check, diagnosed anew.
fn readme_failure() -> Report {
    let text = include_str!("../stories/saved-zone-not-linked.record.json");
    let saved: Record = serde_json::from_str(text).expect("a record");
    let Record { started_at, took_seconds, target, vantage, expectation, observation, .. } = saved;
    records::report(vec![Record::new(started_at, took_seconds, target, vantage, expectation, observation)])
}

#[test]
fn text_readme_fail_fits_24_lines() {
    for width in [80, 100] {
        let text = text::render(&readme_failure(), &Style { width, ..WIDE });
        assert!(text.lines().count() <= 24, "{} lines:\n{text}", text.lines().count());
        for label in [
            "  error ",
            "  hint ",
            "  look ",
            "  fix ",
            "  why ",
            "  path ",
            "  views ",
            "  lag ",
            "  to ",
            "  phases ",
        ] {
            assert!(text.contains(label), "{label}:\n{text}");
        }
        assert!(text.contains("(all of it with -v)"), "{text}");
        let whole = text::render_whole(&readme_failure(), &Style { width, ..WIDE });
        assert!(!whole.contains("all of it with -v") && whole.contains("(a ruleset outranks a zone)"), "{whole}");
    }
}

#[test]
fn text_breaks_no_word_at_60_columns() {
    let reports = stories().into_iter().filter(|(name, _)| *name != "hostile");
    let reports = reports.map(|(_, record)| records::report(vec![record])).chain([readme_failure()]);
    for report in reports {
        let text = text::render_whole(&report, &Style { width: 60, ..WIDE });
        let shown: std::collections::HashSet<&str> = text.split_whitespace().collect();
        for finding in report.records[0].findings.iter().filter(|finding| finding.severity != Severity::Info) {
            let prose = [&finding.summary, &finding.hint, &finding.detail];
            for word in prose.into_iter().flat_map(|text| text.split_whitespace()) {
                assert!(shown.contains(word), "{word:?} is broken in\n{text}");
            }
        }
    }
}

#[test]
fn output_local_limit_is_told_with_its_fix() {
    for limit in [LocalLimit::Lookups, LocalLimit::Descriptors, LocalLimit::Overloaded] {
        let mut record = records::interrupted();
        record.observation.local_limit = Some(limit);
        let report = records::report(vec![record]);
        let wide = Style { width: 1000, ..WIDE };
        for output in [text::render(&report, &wide), markdown::render(&report)] {
            let words = output.replace(['\\', '`'], "");
            for part in [limit.sentence(), limit.hint()] {
                assert!(words.contains(&part.replace('`', "")), "{part} is not in\n{output}");
            }
        }
    }
}

#[test]
fn text_prose_fits_60_columns() {
    let style = Style { width: 60, ..NARROW };
    let report = records::report(vec![records::unlinked_zone()]);
    let text = text::render(&report, &style);
    for line in text.lines().filter(|line| line.chars().count() > 60) {
        let is_command = report.records[0].findings[0].commands.iter().any(|command| line.ends_with(&command.command));
        let is_name = line.contains("CNAME ");
        assert!(is_command || is_name, "{line}");
    }
}

fn assert_harmless(text: &str) {
    let bad = text.chars().find(|c| (c.is_control() && *c != '\n') || matches!(c, '\u{202a}'..='\u{202e}'));
    assert_eq!(bad, None, "{text:?}");
}

/// What is left of Markdown without its fenced blocks and code spans, as CommonMark finds them.
fn without_code(markdown: &str) -> String {
    let mut prose = String::new();
    let mut fence: Option<&str> = None;
    for line in markdown.lines() {
        let ticks = &line[..line.len() - line.trim_start_matches('`').len()];
        match fence {
            Some(open) if line == open => fence = None,
            Some(_) => {}
            None if ticks.len() >= 3 => fence = Some(ticks),
            None => prose.push_str(&without_spans(line)),
        }
    }
    assert_eq!(fence, None, "every block is closed");
    prose
}

fn without_spans(line: &str) -> String {
    let mut prose = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('`') {
        prose.push_str(&rest[..at]);
        if rest[..at].ends_with('\\') {
            prose.push('`');
            rest = &rest[at + 1..];
            continue;
        }
        let run = rest[at..].len() - rest[at..].trim_start_matches('`').len();
        let inside = &rest[at + run..];
        let end = inside
            .match_indices(&"`".repeat(run))
            .map(|(end, _)| end)
            .find(|&end| !inside[..end].ends_with('`') && !inside[end + run..].starts_with('`'));
        let end = end.expect("every code span is closed");
        rest = &inside[end + run..];
    }
    prose + rest + "\n"
}

fn without_colour(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        out.push_str(before);
        rest = after.split_once('m').map(|(_, rest)| rest).expect("a colour ends in m");
    }
    out + rest
}

#[test]
fn junit_has_a_test_for_each_target() {
    let mut warning = records::healthy();
    warning.verdict.status = Status::Warn;
    let mut report = records::report(vec![records::healthy(), records::unlinked_zone(), records::no_view(), warning]);
    report.records.iter_mut().for_each(|record| record.usable = record.observation.usable());
    assert_fixture(&fixture("junit.xml"), &check::junit(&report, false));
    let counts = |is_strict| check::junit(&report, is_strict).lines().nth(1).expect("a line").to_owned();
    assert!(counts(false).contains("tests=\"4\" failures=\"1\" errors=\"1\""), "{}", counts(false));
    assert!(counts(true).contains("tests=\"4\" failures=\"2\" errors=\"1\""), "{}", counts(true));
}

/// An XML parser reads it, hostile text included.
#[cfg(feature = "system-tests")]
#[test]
fn junit_is_read_by_an_xml_parser() {
    let all: Vec<Record> = stories().into_iter().map(|(_, record)| record).collect();
    let tests = all.len();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("junit.xml");
    std::fs::write(&file, check::junit(&records::report(all), true)).expect("a file");
    let script = "import sys, xml.etree.ElementTree as tree\n\
                  suites = tree.parse(sys.argv[1]).getroot()\n\
                  cases = suites.findall('testsuite/testcase')\n\
                  print(suites.tag, suites.get('tests'), len(cases), all(case.get('name') for case in cases))";
    let output = std::process::Command::new("python3").args(["-c", script]).arg(&file).output().expect("python3 runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("testsuites {tests} {tests} True\n"), "{output:?}");
}
