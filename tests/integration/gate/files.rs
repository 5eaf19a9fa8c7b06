//! The gate over journals and records.

use std::path::{Path, PathBuf};
use std::time::Duration;

use redpath::clock::Timestamp;
use redpath::journal::SCHEMA;
use redpath::journal::collect::Collector;
use redpath::journal::digest::Digest;
use redpath::journal::line::{Entry, FileStart, Line};
use redpath::record::Record;

use super::{gate, judgement, reasons};
use crate::output::records;
use crate::support::agent::Directory;

pub(crate) fn at(seconds: u64) -> Timestamp {
    let start = Timestamp::from_unix(1_780_000_000).expect("a time");
    start.after(Duration::from_secs(seconds)).expect("a time")
}

pub(crate) fn of_subnet(mut record: Record, subnet: &str) -> Record {
    record.vantage.labels = [("subnet".to_owned(), subnet.to_owned())].into();
    record.vantage.subnet = Some(subnet.to_owned());
    record.vantage.hostname = format!("vm-{subnet}");
    record.usable = record.observation.usable();
    record
}

pub(crate) fn private() -> Record {
    records::healthy()
}

pub(crate) fn public() -> Record {
    records::unlinked_zone()
}

/// The journal of a vantage that probes every 15 s at these moments, each with its record.
pub(crate) fn journal(directory: &Path, subnet: &str, probes: impl IntoIterator<Item = (u64, Record)>) -> PathBuf {
    let vantage = of_subnet(private(), subnet).vantage;
    let mut entries = vec![Entry::File(FileStart { schema: SCHEMA.to_owned(), vantage })];
    let mut collector = Collector::default();
    for (seconds, record) in probes {
        let record = Record { started_at: at(seconds), ..of_subnet(record, subnet) };
        entries.extend(collector.add(&record));
    }
    entries.extend(collector.finish());
    let (mut bytes, mut previous) = (Vec::new(), Digest::NONE);
    for (number, entry) in (1..).zip(entries) {
        let line = serde_json::to_vec(&Line { number, previous, at: at(number), entry }).expect("JSON");
        previous = Digest::of(&line);
        bytes.extend(line);
        bytes.push(b'\n');
    }
    let path = directory.join(format!("{subnet}.ndjson"));
    std::fs::write(&path, bytes).expect("a file");
    path
}

/// Ends a journal in order, as a program does that is not killed.
pub(crate) fn end(path: &Path) {
    let mut bytes = std::fs::read(path).expect("a file");
    let last = bytes.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty()).expect("a line");
    let number = serde_json::from_slice::<Line>(last).expect("a line").number + 1;
    let line = Line { number, previous: Digest::of(last), at: at(number), entry: Entry::Stopped {} };
    bytes.extend(serde_json::to_vec(&line).expect("JSON"));
    bytes.push(b'\n');
    std::fs::write(path, bytes).expect("a file");
}

pub(crate) fn every_15_s(from: u64, to: u64, record: fn() -> Record) -> impl Iterator<Item = (u64, Record)> {
    (from..=to).step_by(15).map(move |seconds| (seconds, record()))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

const HOUR: &str = "2026-05-28T21:26:40Z"; // 3600 s after the beginning

#[test]
fn gate_ready_after_whole_window() {
    let directory = Directory::new("gate-ready");
    let file = journal(&directory.0, "app-a", every_15_s(0, 3600, private));
    let expected = directory.0.join("expected.yaml");
    std::fs::write(&expected, "vantages: [{subnet: app-a}]").expect("a file");
    let (document, status) = judgement(&[text(&file), "--at", HOUR, "--for", "50m", "--expected", text(&expected)]);
    assert_eq!((document["answer"].as_str(), status), (Some("ready"), 0), "{document:#}");
    assert_eq!(document["reasons"].as_array().map(Vec::len), Some(0));
    let (_, status) = judgement(&[text(&file), "--at", HOUR, "--for", "61m", "--expected", text(&expected)]);
    assert_eq!(status, 1, "it has been heard for an hour alone");
}

/// A running agent writes unchanged results once a minute: what is not written yet is neither a gap nor silence.
#[test]
fn gate_waits_for_unwritten_minute() {
    let directory = Directory::new("gate-open");
    let file = journal(&directory.0, "app-a", every_15_s(0, 3540, private));
    let judged = || judgement(&[text(&file), "--at", HOUR, "--for", "50m"]);
    let (document, status) = judged();
    assert_eq!(status, 0, "{document:#}");
    let notes = document["notes"].to_string();
    assert!(notes.contains("1 vantages and targets do not end in order"), "{notes}");
    end(&file);
    let (document, status) = judged();
    assert_eq!(status, 1, "the agent stopped a minute ago: {document:#}");
    let file = journal(&directory.0, "app-b", every_15_s(0, 3480, private));
    let (_, status) = judgement(&[text(&file), "--at", HOUR, "--for", "50m"]);
    assert_eq!(status, 1, "two minutes are more than it may take");
}

#[test]
fn gate_markdown_compares_before_and_after() {
    let directory = Directory::new("gate-compared");
    let path = &directory.0;
    let flipped = |name| journal(path, name, every_15_s(0, 2400, public).chain(every_15_s(2415, 3600, private)));
    let files = [flipped("app-a"), flipped("app-b"), journal(path, "app-c", every_15_s(2700, 3600, private))];
    let mut arguments: Vec<&str> = files.iter().map(|file| text(file)).collect();
    arguments.extend(["--at", HOUR]);
    let (document, _) = judgement(&arguments);
    assert_eq!(document["cutover"], "2026-05-28T21:06:55Z");
    assert_eq!(document["overall"][0]["vantages"], 2, "app-c has seen nothing before it: {document:#}");
    assert_eq!(document["overall"][0]["before_after"]["before"]["probes"], 322);
    let cells = document["cells"].as_array().expect("cells");
    let compared = cells.iter().filter(|cell| cell["before_after"]["ping"]["before"]["samples"].as_u64() > Some(30));
    assert_eq!(compared.count(), 2, "{document:#}");
    let output = gate(&[arguments.as_slice(), &["--output", "markdown"]].concat());
    let markdown = String::from_utf8(output.stdout).expect("text");
    for part in [
        "### Before and after 2026-05-28T21:06:55Z (the first change to a private path)\n",
        "| all 2 with probes on both sides | cache1.redis.cache.windows.net | PING | ",
        "| app-a (vm-app-a) | cache1.redis.cache.windows.net | 161, 80 | 0, 0 | 0, 0 |\n",
    ] {
        assert!(markdown.contains(part), "{part}: {markdown}");
    }
}

#[test]
fn gate_names_public_silent_and_unexpected() {
    let directory = Directory::new("gate-named");
    let path = &directory.0;
    let files = [
        journal(path, "app-a", every_15_s(0, 3600, private)),
        journal(path, "app-b", every_15_s(0, 3600, public)),
        journal(path, "app-c", every_15_s(0, 1800, private)),
        journal(path, "other", every_15_s(0, 3600, private)),
        journal(path, "flipped", every_15_s(0, 2400, public).chain(every_15_s(2415, 3600, private))),
        journal(path, "gap", every_15_s(0, 1800, private).chain(every_15_s(2400, 3600, private))),
    ];
    let expected = path.join("expected.yaml");
    let list = ["app-a", "app-b", "app-c", "app-d", "flipped", "gap"].map(|subnet| format!("  - subnet: {subnet}\n"));
    std::fs::write(&expected, format!("vantages:\n{}", list.concat())).expect("a file");
    let mut arguments: Vec<&str> = files.iter().map(|file| text(file)).collect();
    arguments.extend(["--at", HOUR, "--for", "50m", "--expected", text(&expected)]);
    let (document, status) = judgement(&arguments);
    assert_eq!((document["answer"].as_str(), status), (Some("not_ready"), 1), "{document:#}");
    let reasons = reasons(&document);
    let has = |begin: &str, part: &str| {
        assert!(
            reasons.iter().any(|reason| reason.starts_with(begin) && reason.contains(part)),
            "{begin}: {reasons:#?}"
        );
    };
    has("heard app-c", "too old: it began at 2026-05-28T20:56:40");
    has("heard app-d", "nothing was heard of it");
    has("path app-b cache1", "public 20.50.1.10, fail (private_zone_not_seen)");
    has("path flipped cache1", "it was public 20.50.1.10");
    has("gaps gap cache1", "a gap of 10m");
    assert!(!reasons.iter().any(|reason| reason.contains("app-a") || reason.contains("other")), "{reasons:#?}");
    assert_eq!(document["silent"][0]["subnet"], "app-d");
    assert_eq!(document["unexpected"][0]["subnet"], "other");
    let waits: Vec<&str> = document["reasons"]
        .as_array()
        .expect("a list")
        .iter()
        .map_while(|reason| reason["wait"].as_bool().filter(|wait| *wait).and(reason["vantage"]["subnet"].as_str()))
        .collect();
    assert!(waits.contains(&"flipped") && waits.contains(&"gap"), "what is only to be waited for comes first");

    let waived = ["--waive", "path", "--waive", "address", "--waive", "views", "--waive", "heard", "--waive", "gaps"];
    let (document, status) = judgement(&[arguments.as_slice(), &waived].concat());
    assert_eq!(status, 0, "{document:#}");
    assert_eq!(document["waived"].as_array().map(Vec::len), Some(5));
}

#[test]
fn gate_of_damaged_journal_cannot_tell() {
    let directory = Directory::new("gate-damaged");
    let file = journal(&directory.0, "app-a", every_15_s(0, 3600, private));
    let bytes = std::fs::read(&file).expect("a file");
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    std::fs::write(&file, [&lines[..5], &lines[6..]].concat().concat()).expect("a file");
    let arguments = [text(&file), "--at", HOUR, "--for", "10m"];
    let (document, status) = judgement(&arguments);
    assert_eq!((document["answer"].as_str(), status), (Some("cannot_tell"), 3), "{document:#}");
    assert!(reasons(&document)[0].contains("app-a.ndjson:6: entry 6 is missing before it"), "{document:#}");
    let (_, status) = judgement(&[&arguments[..], &["--waive", "chain"]].concat());
    assert_eq!(status, 0);
}

#[test]
fn gate_of_records_judges_the_last() {
    let directory = Directory::new("gate-records");
    let now = Timestamp::now();
    let write = |name: &str, record: Record| {
        let path = directory.0.join(name);
        let record = Record { started_at: now, ..of_subnet(record, name) };
        std::fs::write(&path, serde_json::to_vec(&record).expect("JSON")).expect("a file");
        path
    };
    let (good, bad) = (write("app-a", private()), write("app-b", public()));
    let (document, status) = judgement(&[text(&good)]);
    assert_eq!(status, 0, "{document:#}");
    assert!(document["notes"][0].as_str().is_some_and(|note| note.contains("--expected")), "{document:#}");
    let output = gate(&[text(&good), text(&bad), "--output", "junit"]);
    let junit = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{junit}");
    assert!(
        junit.contains("tests=\"2\" failures=\"1\" errors=\"0\"") && junit.contains("<failure message=\""),
        "{junit}"
    );
    let output = gate(&[text(&good), text(&bad)]);
    let shown = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(shown.starts_with("NOT READY at "), "{shown}");
    assert!(shown.contains("app-b (vm-app-b)"), "{shown}");
    let statement: serde_json::Value =
        serde_json::from_slice(&gate(&[text(&good), "--output", "in-toto"]).stdout).expect("JSON");
    assert_eq!(statement["predicate"]["result"], "PASSED");
    assert_eq!(statement["subject"][0]["digest"]["sha256"].as_str().map(str::len), Some(64));
}

#[test]
fn gate_writes_summary_of_the_job() {
    let directory = Directory::new("gate-summary");
    let record = directory.0.join("a.json");
    let record_of_now = Record { started_at: Timestamp::now(), ..of_subnet(private(), "app-a") };
    std::fs::write(&record, serde_json::to_vec(&record_of_now).expect("JSON")).expect("a file");
    let summary = directory.0.join("summary.md");
    std::fs::write(&summary, "before\n").expect("a file");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_redpath"))
        .args(["gate", text(&record)])
        .env("GITHUB_STEP_SUMMARY", &summary)
        .output()
        .expect("the binary starts");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let written = std::fs::read_to_string(&summary).expect("a file");
    assert!(written.starts_with("before\n## READY\n"), "{written}");
}

#[test]
fn gate_refuses_wrong_arguments() {
    for (arguments, part) in [
        (&["--for", "33d", "x"][..], "0s to 32d"),
        (&["--at", "yesterday", "x"], "RFC 3339"),
        (&[], "nothing to judge"),
        (&["/nonexistent"], "/nonexistent: it cannot be read"),
        (&["--prometheus", "http://user:hunter2@127.0.0.1:9"], "--username"),
        (&["--prometheus", "ftp://127.0.0.1"], "an http:// or https:// URL is expected"),
        (&["--prometheus", "http://127.0.0.1:9", "--header", "Authorization=hunter2"], "--bearer-token-file"),
        (&["--username", "a", "x"], "--prometheus"),
    ] {
        let output = gate(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(part) && !said.contains("hunter2"), "{arguments:?}: {said}");
    }
}
