//! The list of codes, their pages, `redpath explain`, the schema and the metrics hold together.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Parser;
use redpath::cli::Cli;
use redpath::codes::page::{Block, HEADINGS, blocks, index, markdown};
use redpath::diagnosis::{Cause, Code, Finding, Severity, Status, Verdict};
use redpath::output::{json, prometheus};
use serde_json::Value;

use crate::output::{assert_fixture, records};
use crate::stories::{is_safe_command, told};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/codes")
}

/// The page's file: the program decompresses all pages for each one, and `codes_and_pages_match` compares them.
fn page(code: Code) -> String {
    std::fs::read_to_string(folder().join(format!("{code}.md"))).expect("a page")
}

#[test]
fn codes_and_pages_match() {
    let pages: BTreeSet<String> = std::fs::read_dir(folder())
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    let known: BTreeSet<String> =
        Code::ALL.iter().map(|code| format!("{code}.md")).chain(["README.md".to_owned()]).collect();
    assert_eq!(pages, known);
    for code in Code::ALL {
        assert!(page(*code) == markdown(*code), "{code}: the program has another page than docs/codes");
    }
    let size: usize = Code::ALL.iter().map(|code| page(*code).len()).sum();
    assert!(size < 150_000, "{size} bytes of pages are compiled in");
}

#[test]
fn codes_index_matches_list() {
    assert_fixture(&folder().join("README.md"), &index());
}

#[test]
fn code_pages_have_one_structure() {
    for code in Code::ALL {
        let page = page(*code);
        let lines = page.lines().count();
        assert!((25..=50).contains(&lines), "{code}: {lines} lines");
        assert!(page.ends_with('\n') && !page.contains("\n\n\n") && page.chars().all(|c| c == '\n' || !c.is_control()));
        let blocks = blocks(&page);
        let title = format!("`{code}`: {}", code.title());
        assert_eq!(blocks.first(), Some(&Block::Title(title.as_str())), "{code}");
        let headings: Vec<&str> = blocks
            .iter()
            .filter_map(|block| if let Block::Heading(text) = block { Some(*text) } else { None })
            .collect();
        assert_eq!(headings, HEADINGS, "{code}");
        let sections: Vec<&[Block<'_>]> =
            blocks[1..].split(|block| matches!(block, Block::Heading(_))).skip(1).collect();
        for (heading, section) in HEADINGS.iter().zip(&sections) {
            assert!(!section.is_empty(), "{code}: {heading} is empty");
            for block in *section {
                let fits = match block {
                    Block::Paragraph(text) => {
                        text.matches('`').count() % 2 == 0 && !matches!(*heading, "Likely causes" | "Commands")
                    }
                    Block::Item(_, text) => text.matches('`').count() % 2 == 0 && *heading == "Likely causes",
                    Block::Commands(lines) => *heading == "Commands" && !lines.is_empty(),
                    Block::Title(_) | Block::Heading(_) => false,
                };
                assert!(fits, "{code}: {heading}: {block:?}");
            }
        }
        let numbers: Vec<&str> = blocks
            .iter()
            .filter_map(|block| if let Block::Item(number, _) = block { Some(*number) } else { None })
            .collect();
        let counted: Vec<String> = (1..=numbers.len()).map(|number| number.to_string()).collect();
        assert_eq!(numbers, counted, "{code}");
    }
}

/// What a page offers to run: the lines of its fences, and what prose quotes of redpath itself.
fn commands(code: Code) -> Vec<String> {
    let mut commands = Vec::new();
    let page = page(code);
    for block in blocks(&page) {
        match block {
            Block::Commands(lines) => {
                commands.extend(lines.iter().filter(|line| !line.starts_with('#')).map(|line| (*line).to_owned()));
            }
            Block::Paragraph(text) | Block::Item(_, text) => {
                let spans = text.split('`').skip(1).step_by(2);
                commands.extend(spans.filter(|span| span.starts_with("redpath ")).map(str::to_owned));
            }
            Block::Title(_) | Block::Heading(_) => {}
        }
    }
    commands
}

#[test]
fn code_page_commands_can_be_pasted() {
    let filled = |command: &str| {
        [
            ("<old-host>", "cache2.redis.cache.windows.net"),
            ("<host>", "cache1.redis.cache.windows.net"),
            ("<cache-name>", "cache1.redis.cache.windows.net"),
            ("<address>", "10.60.4.5"),
            ("<range>", "10.60.4.0/28"),
            ("<port>", "6380"),
            ("<file>", "file"),
        ]
        .iter()
        .fold(command.to_owned(), |command, (placeholder, value)| command.replace(placeholder, value))
    };
    let mut own = 0;
    for code in Code::ALL {
        for command in commands(*code) {
            assert!(is_safe_command(&command), "{code}: {command}");
            assert!(!command.contains('\\') && command.trim() == command, "{code}: one line: {command}");
            if command.starts_with("redpath ") {
                let command = filled(&command);
                assert!(!command.contains('<'), "{code}: a placeholder that this test does not fill: {command}");
                if let Err(error) = Cli::try_parse_from(command.split(' ')) {
                    panic!("{code}: {command}: {error}");
                }
                own += 1;
            }
        }
    }
    assert!(own > Code::ALL.len(), "{own} commands of redpath were found");
}

/// What a finding says to run of `az`, its page says too: the same command, whatever its values.
#[test]
fn finding_commands_are_on_code_pages() {
    let kind = |command: &str| command.split(" --").next().unwrap_or_default().to_owned();
    let mut missing = BTreeSet::new();
    let mut compared = 0;
    for finding in told().expect("the stories are told").into_iter().flat_map(|told| told.diagnosis.findings) {
        let of_page: BTreeSet<String> = commands(finding.code).iter().map(|command| kind(command)).collect();
        for command in crate::stories::commands(&finding).into_iter().filter(|command| command.starts_with("az ")) {
            compared += 1;
            if !of_page.contains(&kind(command)) {
                missing.insert(format!("{}: {}", finding.code, kind(command)));
            }
        }
    }
    assert!(compared > 50, "{compared} commands were compared");
    assert!(missing.is_empty(), "{missing:#?}");
}

/// A page that sends to another code names one that there is.
#[test]
fn code_pages_mention_only_known_codes() {
    let prefixes: BTreeSet<&str> =
        Code::ALL.iter().filter_map(|code| code.as_str().split_once('_')).map(|(prefix, _)| prefix).collect();
    for code in Code::ALL {
        for span in page(*code).split('`').skip(1).step_by(2) {
            let is_name = span.contains('_') && span.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            let of_a_code = span.split_once('_').is_some_and(|(prefix, _)| prefixes.contains(prefix));
            assert!(!is_name || !of_a_code || Code::named(span).is_some(), "{code}: `{span}` is no code");
        }
    }
}

#[test]
fn schema_lists_all_codes() {
    let schema = serde_json::to_value(json::record_schema()).expect("a schema serializes");
    let known: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let codes: Vec<&str> = schema["$defs"]["Code"]["oneOf"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|code| code["const"].as_str())
        .collect();
    assert_eq!(codes, known);
    let causes: Vec<&str> =
        schema["$defs"]["Cause"]["enum"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert_eq!(causes, [&["healthy", "unknown"][..], &known].concat());
}

#[test]
fn metrics_list_all_codes() {
    let mut record = records::healthy();
    record.findings = Code::ALL
        .iter()
        .map(|code| Finding {
            code: *code,
            severity: Severity::Error,
            phase: code.phase(),
            summary: code.title().into(),
            detail: String::new(),
            hint: String::new(),
            commands: Vec::new(),
        })
        .collect();
    for code in Code::ALL {
        record.verdict = Verdict { status: Status::Fail, cause: Cause::Code(*code) };
        let metrics = prometheus::exposition_of(std::slice::from_ref(&record));
        assert!(metrics.contains(&format!("cause=\"{code}\"")), "{code}");
        assert!(metrics.contains(&format!("code=\"{code}\"")), "{code}");
    }
    let page = include_str!("../../docs/metrics.md");
    assert!(page.contains("(codes/README.md)"));
}
