//! `redpath report`: what is in it, that a stranger can verify it, and that what was written anew is convicted.

#[cfg(feature = "system-tests")]
mod signatures;
mod witness;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::gate::files::{end, every_15_s, journal, private, public};
use crate::schema::assert_valid;
use crate::support::agent::Directory;

fn report(arguments: &[&str]) -> Output {
    let command = Command::new(env!("CARGO_BIN_EXE_redpath")).arg("report").args(arguments).output();
    command.expect("the binary starts")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn shown(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Two hours of two vantages: one is private throughout, one flips after an hour and has a gap.
fn two_vantages(directory: &Path) -> [PathBuf; 2] {
    let flipped =
        every_15_s(0, 3600, public).chain(every_15_s(3615, 5400, private)).chain(every_15_s(6000, 7200, private));
    [journal(directory, "app-a", every_15_s(0, 7200, private)), journal(directory, "app-b", flipped)]
}

#[test]
fn report_json_has_times_on_each_path() {
    let directory = Directory::new("report-json");
    let files = two_vantages(&directory.0);
    let expected = directory.0.join("expected.yaml");
    std::fs::write(&expected, "vantages: [{subnet: app-a}, {subnet: app-b}, {subnet: app-c}]").expect("a file");
    let output = report(&[text(&files[0]), text(&files[1]), "--expected", text(&expected), "--output", "json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_valid("evidence.v1.json", &document);
    assert_eq!(document["silent"][0]["subnet"], "app-c");
    assert_eq!(document["cutover"], "2026-05-28T21:26:55Z", "the first change to a private path");
    let cell = &document["cells"][1];
    assert_eq!(cell["vantage"]["subnet"], "app-b");
    assert_eq!(cell["seconds_on_path"]["public"], 3615.0, "a probe stands for the time up to the next one");
    assert_eq!(cell["seconds_on_path"]["private"], 2985.0);
    assert_eq!(cell["silent_seconds"], 600.0);
    assert_eq!(cell["gaps"].as_array().map(Vec::len), Some(1));
    assert_eq!((cell["probes"].as_u64(), cell["changes_total"].as_u64()), (Some(442), Some(1)));
    assert_eq!(cell["found"], "private 10.60.4.5");
    assert_eq!(document["journals"][0]["is_whole"], true);
    assert!(cell["before_after"]["ping"]["before"]["samples"].as_u64().is_some_and(|samples| samples > 30), "{cell:#}");
    let of_period = report(&[
        text(&files[1]),
        "--from",
        "2026-05-28T20:26:40Z",
        "--to",
        "2026-05-28T20:36:40Z",
        "--output",
        "json",
    ]);
    let document: Value = serde_json::from_slice(&of_period.stdout).expect("JSON");
    assert_eq!(document["cells"][0]["seconds_on_path"].as_object().map(serde_json::Map::len), Some(1), "{document:#}");
}

#[test]
fn report_markdown_and_html_say_the_result_first() {
    let directory = Directory::new("report-text");
    let files = two_vantages(&directory.0);
    let az = directory.0.join("cache.json");
    let cache = r#"{"hostName":"cache1.redis.cache.windows.net","sslPort":6380,"publicNetworkAccess":"Disabled","id":"/subscriptions/1/resourceGroups/rg/providers/Microsoft.Cache/Redis/cache1","type":"Microsoft.Cache/Redis","name":"cache1"}"#;
    std::fs::write(&az, cache).expect("a file");
    let arguments = [text(&files[0]), text(&files[1]), "--az", text(&az)];
    let markdown = shown(&report(&arguments));
    let first = "# Redis path evidence\n\nall 2 vantages and targets are on the private path since 2026-05-28T21:26:55Z; 1 of 2 were with every probe from ";
    assert!(markdown.starts_with(first), "{markdown}");
    for part in [
        "## What this does not prove",
        "ssh-keygen -Y sign -f ~/.ssh/id_ed25519 -n redpath.report REPORT",
        "public network access is disabled",
        ": whole, entries 1 to ",
    ] {
        assert!(markdown.contains(part), "{part}: {markdown}");
    }
    let html = shown(&report(&[&arguments[..], &["--output", "html"]].concat()));
    assert!(html.starts_with("<!DOCTYPE html>") && !html.contains("<script") && !html.contains("http://"), "{html}");
    assert_eq!(html.matches("<svg role=\"img\"").count(), 2, "two pictures");
}

/// The last minute of a running agent is not in its journal yet: the coverage does not call it silent.
#[test]
fn report_unwritten_minute_is_not_silent() {
    let directory = Directory::new("report-open");
    let files = [
        journal(&directory.0, "app-a", every_15_s(0, 3600, private)),
        journal(&directory.0, "app-b", every_15_s(0, 3540, private)),
    ];
    let cell = || {
        let output = report(&[text(&files[0]), text(&files[1]), "--output", "json"]);
        let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_valid("evidence.v1.json", &document);
        let cell = &document["cells"][1];
        let is_told = document["not_proven"].to_string().contains("that minute is not counted as silent");
        (cell["silent_seconds"].as_f64(), cell["not_written_seconds"].as_f64(), is_told)
    };
    assert_eq!(cell(), (Some(0.0), Some(60.0), true));
    files.iter().for_each(|file| end(file));
    assert_eq!(cell(), (Some(60.0), Some(0.0), false), "the agent stopped in order");
}

#[test]
fn report_verify_fails_for_damage() {
    let directory = Directory::new("report-verify");
    let [file, _] = two_vantages(&directory.0);
    assert_eq!(report(&[text(&file), "--verify"]).status.code(), Some(0));
    let content = std::fs::read_to_string(&file).expect("a file");
    std::fs::write(&file, content.replacen("\"count\":4", "\"count\":3", 1)).expect("a file");
    let output = report(&[text(&file), "--verify"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(shown(&output).contains("its digest is not that of the line before"), "{output:?}");
    assert_eq!(report(&[text(&file)]).status.code(), Some(0), "without --verify it is told alone");
}

#[test]
fn report_hostile_words_are_escaped() {
    let directory = Directory::new("report-hostile");
    let mut record = private();
    record.target.name = "<script>|\u{1b}[2J".to_owned();
    let file = journal(&directory.0, "app-<b>", (0..40).map(|n| (n * 15, record.clone())));
    for format in ["markdown", "html", "json"] {
        let out = shown(&report(&[text(&file), "--output", format]));
        assert!(!out.contains('\u{1b}'), "{format}: {out}");
        assert!(format == "json" || (!out.contains("<script>") && !out.contains("app-<b>")), "{format}: {out}");
    }
}

#[test]
fn report_refuses_wrong_arguments() {
    let directory = Directory::new("report-wrong");
    let [file, _] = two_vantages(&directory.0);
    for (arguments, part) in [
        (&["/nonexistent"][..], "/nonexistent: it cannot be read"),
        (&[text(&file), "--from", "2027-01-01T00:00:00Z"], "no probe of these files lies in the period"),
        (&[text(&file), "--timestamp", "http://127.0.0.1:9"], "--write"),
        (&[text(&file), "--timestamp", "http://u:hunter2@127.0.0.1:9", "--write", "/dev/null"], "without a credential"),
        (&[text(&file), "--az", text(&file)], "--az "),
    ] {
        let output = report(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(part) && !said.contains("hunter2"), "{arguments:?}: {said}");
    }
}
