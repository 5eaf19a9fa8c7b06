//! `redpath explain`: the pages of codes, and saved records that are diagnosed again.

mod mutations;

use std::fs::File;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use redpath::diagnosis::Code;
use redpath::output::json;
use redpath::record::saved::{self, SavedVerdict};
use redpath::record::{Record, Report};
use serde_json::{Value, json};

use crate::output::records;
use crate::schema::assert_valid;

/// Records as a probe would make them: by the rules, not by hand.
fn diagnosed() -> Vec<Record> {
    [
        records::healthy(),
        records::unlinked_zone(),
        records::silent_endpoint(),
        records::overridden(),
        records::slow(),
        records::interrupted(),
        records::hostile(),
        with_facts(records::unlinked_zone()),
    ]
    .into_iter()
    .map(|record| {
        let Record { started_at, took_seconds, target, vantage, expectation, observation, .. } = record;
        Record::new(started_at, took_seconds, target, vantage, expectation, observation)
    })
    .collect()
}

/// The same, with what files of `az` say about it.
fn with_facts(mut record: Record) -> Record {
    let files = crate::az::read(&["redis-show.cli", "private-endpoint-list.arm", "link-vnet-list-fallback.arm"]);
    files.expect(&mut record.target, true, &mut record.expectation);
    record
}

/// A file in a folder of its own, gone with it.
struct Saved(tempfile::TempDir);

impl Saved {
    fn new(content: &[u8]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("saved.json"), content).expect("a file");
        Self(folder)
    }

    fn path(&self) -> String {
        self.0.path().join("saved.json").to_string_lossy().into_owned()
    }
}

fn explain(arguments: &[&str]) -> Output {
    explain_of(arguments, b"")
}

fn explain_of(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_redpath"))
        .arg("explain")
        .args(arguments)
        .env_remove("CLICOLOR_FORCE")
        .env_remove("NO_COLOR")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let _ = child.stdin.take().expect("its input").write_all(input); // it may not want it
    child.wait_with_output().expect("it ends")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("output is UTF-8")
}

fn refused(arguments: &[&str]) -> String {
    let output = explain(arguments);
    let stderr = text(&output.stderr).to_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
    assert!(output.stdout.is_empty() && stderr.lines().count() == 1, "{arguments:?}: {stderr}");
    stderr
}

#[test]
fn explain_knows_every_code() {
    let list = explain(&[]);
    assert_eq!((list.status.code(), text(&list.stderr)), (Some(0), ""));
    for code in Code::ALL {
        assert!(text(&list.stdout).lines().any(|line| line == line_of(*code)), "{code} is in no line of the list");
    }
    for code in [Code::ALL[0], Code::ConnectTimeout, Code::PublicNetworkAccessEnabled] {
        let page = explain(&[code.as_str()]);
        assert_eq!((page.status.code(), text(&page.stderr)), (Some(0), ""));
        let page = text(&page.stdout);
        assert!(page.starts_with(&format!("{code}: {}\n\nWhat it means\n", code.title())), "{page}");
        assert!(!page.contains(['`', '\x1b']) && !page.contains("##"), "{page}");
        let coloured = explain(&[code.as_str(), "--color", "always"]);
        assert!(text(&coloured.stdout).contains("\x1b[1mWhat it means\x1b[0m"));
        let raw = explain(&[code.as_str(), "--output", "markdown"]);
        assert_eq!(text(&raw.stdout), redpath::codes::page::markdown(code));
    }
    for cause in ["healthy", "unknown"] {
        assert_eq!(explain(&[cause]).status.code(), Some(0), "{cause}");
    }
}

fn line_of(code: Code) -> String {
    let width = Code::ALL.iter().map(|code| code.as_str().len()).max().unwrap_or(0);
    format!("  {:<width$}  {}", code.as_str(), code.title())
}

#[test]
fn explain_bad_argument_is_named() {
    assert!(refused(&["private_zone_not_sen"]).contains("did you mean private_zone_not_seen?"));
    assert!(refused(&["sunspots"]).contains("neither a code nor a file"));
    assert!(refused(&["./nowhere.json"]).starts_with("redpath: ./nowhere.json: there is no such file"));
    assert!(refused(&[env!("CARGO_MANIFEST_DIR")]).contains("directory"));
    assert!(refused(&["dns_timeout", "--output", "json"]).contains("text or markdown"));
    assert!(refused(&["-"]).contains("standard input: it is empty"));

    let file = Saved::new(b"");
    File::options().write(true).open(file.path()).and_then(|file| file.set_len(65 << 20)).expect("a sparse file");
    assert!(refused(&[&file.path()]).contains("longer than 64 MiB"));
}

#[test]
fn explain_error_names_place_and_expected() {
    let good = serde_json::to_value(&diagnosed()[1]).expect("a record serializes");
    let with = |pointer: &str, value: Value| {
        let mut record = good.clone();
        *record.pointer_mut(pointer).expect(pointer) = value;
        record.to_string()
    };
    let without = |key: &str| {
        let mut record = good.clone();
        record.as_object_mut().expect("an object").shift_remove(key);
        record.to_string()
    };
    for (document, says) in [
        (with("/schema", json!("redpath.record/v2")), "\"redpath.record/v2\": this redpath reads up to v1; upgrade"),
        (with("/schema", json!("redpath.record/v99999999999999999999")), "reads up to v1; upgrade"),
        (with("/schema", json!("redpath.record/v0")), "\"redpath.record/v0\", which was never released: v1 is read"),
        (with("/schema", json!("redpath.record/vx")), "redpath.record/v1"),
        (with("/schema", json!("blackbox/v1")), "\"blackbox/v1\": a record (redpath.record/v1)"),
        (without("schema"), "has no key schema: a record (redpath.record/v1)"),
        (without("target"), "missing field `target`"),
        (without("phases"), "missing field `phases`"),
        (with("/target/port", json!(70_000)), "(target.port): invalid value: integer `70000`, expected u16"),
        (with("/resolution/views/1/outcome", json!("great")), "(resolution.views[1].outcome): unknown variant `great`"),
        (with("/resolution/views/1/outcome", json!("g\u{feff}\u{1b}[2J")), "unknown variant `g\\u{feff}\\u{1b}[2J`"),
        (with("/started_at", json!("yesterday")), "(started_at): \"yesterday\" is not an RFC 3339 time"),
        (with("/took_seconds", json!(-1)), "(took_seconds): -1 is not a duration in seconds"),
        (with("/vantage", json!([1, 2])), "(vantage"),
        (r#"{"schema":"redpath.report/v1"}"#.into(), "missing field `vantage`"),
        (r#"{"records":[]}"#.into(), "it holds no record"),
        (r#"{"records":[{"schema":"redpath.record/v7"}]}"#.into(), "records[0] at line 1 says schema"),
        ("[1]".into(), "is no JSON object: a record"),
        ("PASS cache1".into(), "line 1, column 1: it is not JSON"),
        ("{\"schema\":".into(), "line 1, column 10: the JSON breaks off"),
        (format!("{good}\n\n{}", &good.to_string()[..200]), "line 3, column 200: the JSON breaks off"),
    ] {
        let error = saved::read(document.as_bytes()).expect_err(says).to_string();
        assert!(error.contains(says), "{says}\n{error}");
        assert!(error.len() < 600, "{error}");
    }
    let error = saved::read(b"{\"schema\":\"\xff\"}").expect_err("no UTF-8").to_string();
    assert_eq!(error, "byte 12 is not UTF-8 text");
    let report = json::report(&records::report(diagnosed())).expect("a report").replacen("\"answered\"", "7", 1);
    let line = report.lines().position(|line| line.contains("outcome\": 7")).expect("the change") + 1;
    let error = saved::read(report.as_bytes()).expect_err("no outcome").to_string();
    assert!(error.starts_with(&format!("line {line}, column ")), "{line}: {error}");
    assert!(error.contains("(records[0].resolution.views[0].outcome"), "{error}");
}

#[test]
fn explain_saved_record_is_rediagnosed() {
    let records = diagnosed();
    let then = records::report(records.clone());
    let document = json::report(&then).expect("a report");
    let lines: String = records.iter().map(|record| json::line(record).expect("a line")).collect();
    let api = json!({ "records": records }).to_string();
    for content in [&document, &lines, &api, &format!("\u{feff}{document}")] {
        let saved = saved::read(content.as_bytes()).expect("it is read");
        assert_eq!(saved.report.records, records);
        let verdicts: Vec<_> = records.iter().map(|record| Some(SavedVerdict::of(&record.verdict))).collect();
        assert_eq!(saved.verdicts, verdicts);
    }
    let report = saved::read(document.as_bytes()).expect("it is read").report;
    assert_eq!((&report.vantage, report.generated_at), (&then.vantage, then.generated_at));
}

#[test]
fn explain_prints_like_check() {
    let records = diagnosed();
    let file = Saved::new(json::report(&records::report(records.clone())).expect("a report").as_bytes());
    let output = explain(&[&file.path(), "--output", "json"]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(1), ""));
    let document: Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_valid("report.v1.json", &document);
    let report: Report = serde_json::from_value(document).expect("a report");
    assert_eq!(report.records, records);

    for (at, record) in records.iter().enumerate() {
        let line = json::line(record).expect("a line");
        let output = explain_of(&["-", "--output", "ndjson"], line.as_bytes());
        assert_eq!(text(&output.stdout), line);
        let expected = match record.verdict.status.as_str() {
            "pass" | "warn" => 0,
            "fail" => 1,
            _ => 3,
        };
        assert_eq!(output.status.code(), Some(expected), "{at}");
    }
    let plain = explain(&[&file.path()]);
    assert!(text(&plain.stdout).contains("error   resolver_disagreement: "), "{}", text(&plain.stdout));
    assert!(text(&explain(&[&file.path(), "-o", "markdown"]).stdout).starts_with("## redpath, "));
    assert!(text(&explain(&[&file.path(), "-o", "prometheus"]).stdout).contains("redpath_verdict{"));
}

#[test]
fn explain_unknown_code_and_new_verdict() {
    let mut record = serde_json::to_value(&diagnosed()[1]).expect("a record");
    record["findings"][0]["code"] = json!("sunspots");
    record["verdict"] = json!({"status": "fail", "cause": "sunspots"});
    record["phases"]["telepathy"] = json!({"outcome": "done"});
    record["new_key"] = json!({"deep": [1, 2, 3]});
    let file = Saved::new(record.to_string().as_bytes());
    let output = explain(&[&file.path()]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("the saved verdict is fail (sunspots); current rules give fail ("), "{stderr}");
    record.as_object_mut().expect("an object").shift_remove("verdict");
    let saved = saved::read(record.to_string().as_bytes()).expect("a record without a verdict");
    assert_eq!(saved.verdicts, [None]);
}
