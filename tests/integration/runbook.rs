//! The outputs of the runbook: each is that of a saved record, made by the command above it and shortened at each `…`.

use std::path::Path;
use std::process::Command;

use redpath::record::Record;

const RUNBOOK: &str = include_str!("../../docs/cutover.md");

/// The records, in the order of the page.
const RECORDS: [&str; 7] = ["before", "precheck", "linked", "stale", "closed-too-early", "closed", "rolled-back"];

#[test]
fn runbook_outputs_match_saved_records() {
    let blocks: Vec<&str> = RUNBOOK
        .split("```\n$ redpath check ")
        .skip(1)
        .map(|rest| rest.split("\n```").next().expect("the block ends"))
        .collect();
    assert_eq!(blocks.len(), RECORDS.len(), "a record for each output of the page");
    for (name, block) in RECORDS.iter().zip(blocks) {
        let (command, shown) = block.split_once('\n').expect("a command and its output");
        let path = format!("tests/fixtures/runbook/{name}.record.json");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(&path);
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{path}: {error}"));
        let record: Record = serde_json::from_str(&text).expect("a record");
        assert_command(name, command, &record);
        assert_shown(name, shown, &explained(&path, command.contains(" --verbose")));
    }
}

/// The command has the flags with which the record was made.
fn assert_command(name: &str, command: &str, record: &Record) {
    let arguments = serde_json::to_value(&record.observation.check_arguments).expect("words");
    let words = arguments.as_array().expect("words").iter().skip(1).map(|word| word.as_str().expect("a word"));
    let mut made: Vec<&str> = words.collect();
    let mut given: Vec<&str> = command.split(' ').skip(1).filter(|word| *word != "--verbose").collect();
    made.sort_unstable();
    given.sort_unstable();
    assert_eq!(given, made, "{name}");
}

fn explained(path: &str, verbose: bool) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redpath"));
    command.args(["explain", path]).current_dir(env!("CARGO_MANIFEST_DIR")).env("LC_ALL", "C.UTF-8");
    let output = command.args(verbose.then_some("--verbose")).output().expect("redpath runs");
    assert!(output.status.code().is_some_and(|code| code < 2), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What is shown is the output, with lines left out at each `…` alone.
fn assert_shown(name: &str, shown: &str, output: &str) {
    let lines: Vec<&str> = output.lines().collect();
    let mut at = 0;
    let mut may_skip = false;
    for line in shown.lines() {
        if line == "…" {
            may_skip = true;
            continue;
        }
        let found = lines[at..].iter().position(|other| *other == line).filter(|skipped| may_skip || *skipped == 0);
        let skipped = found.unwrap_or_else(|| panic!("{name}: {line:?} is not next in\n{output}"));
        at += skipped + 1;
        may_skip = false;
    }
    assert!(may_skip || at == lines.len(), "{name}: more follows in\n{output}");
}
