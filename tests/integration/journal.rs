//! The journal: what is written is read back and verified, and each damage within it is found.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use proptest::prelude::*;
use redpath::clock::Timestamp;
use redpath::evidence::Digests;
use redpath::journal::SCHEMA;
use redpath::journal::collect::{Collector, MAX_INTERVAL};
use redpath::journal::digest::Digest;
use redpath::journal::line::{Entry, FileStart, Line, Mark};
use redpath::journal::read::Lines;
use redpath::journal::verify::{FaultKind, Verified};
use redpath::journal::write::{Appender, Limits, OpenError, files};
use redpath::record::Record;
use redpath::vantage::Vantage;

use crate::output::records;
use crate::schema::assert_valid;
use crate::support::agent::{Agent, Directory, agent};

const LIMITS: Limits = Limits { max_bytes: 1024 * 1024, max_age: Duration::from_secs(86_400) };

fn moment(seconds: u64) -> Timestamp {
    let start = Timestamp::from_unix(1_780_000_000).expect("a time");
    start.after(Duration::from_secs(seconds)).expect("a time")
}

fn at(record: &Record, seconds: u64) -> Record {
    Record { started_at: moment(seconds), ..record.clone() }
}

/// A journal of fixed bytes: its file, changes of the verdict, and unchanged probes between them.
pub(crate) fn chain_of(changes: usize) -> Vec<u8> {
    let start = FileStart { schema: SCHEMA.to_owned(), vantage: Vantage::default() };
    let mut entries = vec![Entry::File(start)];
    let mut collector = Collector::default();
    for change in 0..changes {
        let record = if change % 2 == 0 { records::healthy() } else { records::no_view() };
        for probe in 0..3 {
            entries.extend(collector.add(&at(&record, (change as u64 * 3 + probe) * 15)));
        }
    }
    entries.extend(collector.finish());
    chained(entries)
}

/// What `watch --record` writes of two probes, with a mark between them.
pub(crate) fn recording_of_two() -> Vec<u8> {
    let start = FileStart { schema: SCHEMA.to_owned(), vantage: Vantage::default() };
    let record = |record: Record, seconds| Entry::Record(Box::new(at(&record, seconds)));
    chained(vec![
        Entry::File(start),
        record(records::unlinked_zone(), 0),
        Entry::Mark(Mark { at: moment(1), word: "zone linked".into() }),
        record(records::healthy(), 2),
        Entry::Stopped {},
    ])
}

fn chained(entries: Vec<Entry>) -> Vec<u8> {
    let (mut bytes, mut previous) = (Vec::new(), Digest::NONE);
    for (number, entry) in (1..).zip(entries) {
        let line = Line { number, previous, at: moment(number), entry };
        let line = serde_json::to_vec(&line).expect("a line has a JSON form");
        previous = Digest::of(&line);
        bytes.extend(line);
        bytes.push(b'\n');
    }
    bytes
}

fn verify(bytes: &[u8]) -> Verified {
    let mut verified = Verified::default();
    verified.file(0, bytes);
    verified
}

fn verify_directory(directory: &Path) -> Verified {
    let mut verified = Verified::default();
    for (index, file) in files(directory).expect("a directory").iter().enumerate() {
        verified.file(index, fs::read(file).expect("a file").as_slice());
    }
    verified
}

fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

#[test]
fn journal_lines_match_schema() {
    let bytes = chain_of(3);
    let verified = verify(&bytes);
    assert!(verified.is_whole(), "{:?}", verified.faults);
    for line in Lines::new(bytes.as_slice()) {
        let line = line.expect("a line");
        assert_valid("journal.v1.json", &serde_json::from_slice(&line.bytes).expect("JSON"));
        line.parse().expect("a line of a journal");
    }
}

#[test]
fn collector_counts_what_did_not_change() {
    let mut collector = Collector::default();
    let healthy = records::healthy();
    let entries: Vec<Entry> = (0..10).flat_map(|probe| collector.add(&at(&healthy, probe * 15))).collect();
    let [Entry::Record(record), Entry::Unchanged(first), Entry::Unchanged(second)] = entries.as_slice() else {
        panic!("{entries:?}");
    };
    assert_eq!(record.started_at, moment(0));
    assert_eq!((first.from, first.to, first.count), (moment(15), moment(60), 4));
    assert_eq!((second.from, second.to, second.count), (moment(75), moment(120), 4));
    assert_eq!(first.connect.0.values().sum::<u64>(), 4);

    let after_step = collector.add(&at(&healthy, 30));
    let [Entry::Unchanged(third)] = after_step.as_slice() else { panic!("{after_step:?}") };
    assert_eq!((third.from, third.to, third.count), (moment(135), moment(135), 1), "the clock went back");

    let changed = collector.add(&at(&records::no_view(), 45));
    assert!(matches!(changed.as_slice(), [Entry::Unchanged(_), Entry::Record(_)]), "{changed:?}");
    assert!(collector.finish().is_empty());
    assert!(MAX_INTERVAL <= Duration::from_secs(60), "docs/journal.md says so");
}

#[test]
fn collector_closes_interval_of_removed_target() {
    let mut collector = Collector::default();
    let removed = records::healthy();
    let mut other = records::healthy();
    other.target.name = "other".to_owned();
    for probe in 0..2 {
        collector.add(&at(&removed, probe * 15));
    }
    assert_eq!(collector.add(&at(&other, 30)).len(), 1, "the interval may go on");
    let entries = collector.add(&at(&other, 90));
    let [Entry::Unchanged(closed)] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!((closed.target.as_str(), closed.count), (removed.target.name.as_str(), 1));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// One byte of any line but the last is another one.
    #[test]
    fn changed_byte_is_found(place in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut bytes = chain_of(3);
        let last = lines(&bytes).last().expect("a line").len();
        let at = place.index(bytes.len() - last);
        bytes[at] ^= 1 << bit;
        prop_assert!(!verify(&bytes).is_whole());
    }

    /// A line is cut (not one of the ends), doubled, moved, or inserted anew.
    #[test]
    fn cut_or_moved_line_is_found(from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), how in 0..4) {
        let mut lines = lines(&chain_of(4));
        let inner = lines.len() - 2;
        let from = 1 + from.index(inner);
        match how {
            0 => drop(lines.remove(from)),
            1 => lines.insert(from, lines[from].clone()),
            2 => {
                let line = lines.remove(from);
                let to = 1 + to.index(inner);
                lines.insert(if to == from { 0 } else { to }, line);
            }
            _ => lines.insert(from, lines[1 + to.index(inner)].clone()),
        }
        prop_assert!(!verify(&lines.concat()).is_whole());
    }
}

#[test]
fn cut_end_changes_the_head() {
    let lines = lines(&chain_of(3));
    let (whole, cut) = (verify(&lines.concat()), verify(&lines[..lines.len() - 1].concat()));
    assert!(whole.is_whole() && cut.is_whole(), "the chain alone cannot tell");
    assert_ne!(whole.head, cut.head);
    let torn = verify(&lines.concat()[..lines.concat().len() - 1]);
    assert_eq!(torn.faults.first().map(|fault| &fault.kind), Some(&FaultKind::Incomplete));
}

#[test]
fn missing_lines_are_named() {
    let lines = lines(&chain_of(3));
    let cut = verify(&[&lines[..2], &lines[4..]].concat().concat());
    assert_eq!(
        cut.faults.first().map(|fault| (fault.at, &fault.kind)),
        Some((3, &FaultKind::Missing { from: 3, to: 4 }))
    );
}

#[test]
fn journal_directory_is_locked() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = Appender::open(folder.path(), LIMITS, Vantage::default()).expect("it opens");
    let second = Appender::open(folder.path(), LIMITS, Vantage::default());
    assert!(matches!(second, Err(OpenError::InUse)), "{second:?}");
    drop(first);
    Appender::open(folder.path(), LIMITS, Vantage::default()).expect("it is free again");
}

#[test]
fn torn_line_is_removed_and_noted() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || Appender::open(folder.path(), LIMITS, Vantage::default()).expect("it opens");
    let mut appender = open();
    appender.append(Entry::Stopped {}).expect("it writes");
    drop(appender);
    let file = files(folder.path()).expect("files").remove(0);
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o137, 0, "at most 0640");
    let before = verify_directory(folder.path()).head.expect("a head");
    OpenOptions::new().append(true).open(&file).expect("a file").write_all(b"{\"number\":3").expect("it writes");
    assert!(!verify_directory(folder.path()).is_whole());

    let appender = open();
    assert_eq!(appender.head().number, before.number + 1);
    let verified = verify_directory(folder.path());
    assert!(verified.is_whole(), "{:?}", verified.faults);
    assert_eq!(verified.head, Some(appender.head()));
    let text = fs::read_to_string(file).expect("a file");
    assert!(text.contains("\"entry\":{\"removed\":{\"bytes\":11}}"), "{text}");
}

#[test]
fn rotation_keeps_chain_and_size() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = Limits { max_bytes: 64 * 1024, ..LIMITS };
    let mut appender = Appender::open(folder.path(), limits, Vantage::default()).expect("it opens");
    for turn in 0..100 {
        appender.append(Entry::Record(Box::new(records::healthy()))).expect("it writes");
        if turn % 30 == 0 {
            drop(appender);
            appender = Appender::open(folder.path(), limits, Vantage::default()).expect("it opens");
        }
    }
    let files = files(folder.path()).expect("files");
    let bytes: u64 = files.iter().map(|file| fs::metadata(file).expect("a file").len()).sum();
    assert!(files.len() > 3 && bytes < limits.max_bytes + limits.max_bytes / 4, "{} files, {bytes} bytes", files.len());
    let verified = verify_directory(folder.path());
    assert!(verified.is_whole(), "{:?}", verified.faults);
    assert!(verified.first > Some(1), "the oldest file was removed");
    assert_eq!(verified.head, Some(appender.head()));
}

#[test]
fn append_error_keeps_chain() {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().join("journal");
    let limits = Limits { max_bytes: 8, ..LIMITS }; // every line begins a file
    let mut appender = Appender::open(&directory, limits, Vantage::default()).expect("it opens");
    appender.append(Entry::Stopped {}).expect("it writes");
    let head = appender.head();
    fs::remove_dir_all(&directory).expect("it can be removed");
    appender.append(Entry::Stopped {}).expect_err("there is no directory");
    assert_eq!(appender.head(), head);
    fs::create_dir(&directory).expect("it is there again");
    appender.append(Entry::Stopped {}).expect("it writes");
    assert_eq!(appender.head().number, head.number + 2, "the line that begins the file, and the entry");
    assert!(verify_directory(&directory).is_whole());
}

const ONE_TARGET: &str = "
defaults: {interval: 100ms, timeout: 100ms, views: [libc]}
targets: [{name: sessions, host: localhost, port: 1, tls: {plaintext: true}}]
web: {listen: '127.0.0.1:0'}
";

/// Killed eight times at no particular moment of its writing, and stopped once.
#[tokio::test]
async fn agent_journal_survives_kills() {
    let directory = Directory::new("journal");
    let config = directory.file("redpath.yaml", ONE_TARGET);
    let journal = directory.0.join("journal");
    let command = || {
        let mut command = agent(&config);
        command.arg("--journal").arg(&journal);
        command
    };
    for probes in 0..8 {
        let mut running = Agent::start(command()).await;
        running.has_probed("sessions", probes % 3).await;
        running.child.start_kill().expect("it can be killed");
        running.ended().await;
    }
    // The verdict is as old as in the first run, whatever came between.
    const SINCE: &str = "redpath_verdict_since_timestamp_seconds{target=\"sessions\"} ";
    let since = |page: String| page.lines().find_map(|line| line.strip_prefix(SINCE).map(str::to_owned));
    let mut running = Agent::start(command()).await;
    running.has_probed("sessions", 1).await;
    let before = since(running.request("GET", "/metrics").await);
    assert!(before.is_some());
    running.child.start_kill().expect("it can be killed");
    running.ended().await;
    let mut running = Agent::start(command()).await;
    running.has_probed("sessions", 3).await;
    assert_eq!(since(running.request("GET", "/metrics").await), before);
    running
        .page_where("/metrics", |page| {
            page.matches("\nredpath_journal_head{part=").count() == 3
                && page.contains("\nredpath_journal_write_failures_total 0\n")
        })
        .await;
    // The history goes on: the first verdict was that of the first run.
    running.page_where("/", |page| page.matches("first verdict").count() == 1).await;
    let second = command().output().await.expect("it runs");
    let error = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(2), "{error}");
    assert!(error.contains("another redpath writes its journal there"), "{error}");
    running.signal("TERM").await;
    assert_eq!(running.ended().await.code(), Some(0));

    let verified = verify_directory(&journal);
    assert!(verified.is_whole() && verified.first == Some(1), "{:?}", verified.faults);
    let mut probes = 0;
    let mut last = None;
    for file in files(&journal).expect("files") {
        for line in Lines::new(fs::read(file).expect("a file").as_slice()) {
            let entry = line.expect("a line").parse().expect("a line of a journal").entry;
            match &entry {
                Entry::Started(started) => {
                    assert!(started.binary_sha256.is_some() && started.user_id.is_some());
                    let file = Digest::of(ONE_TARGET.as_bytes());
                    assert_eq!(started.configuration_sha256, Some(file), "the file itself, line end included");
                    probes = 0;
                }
                Entry::Record(record) => {
                    assert_eq!(record.target.name, "sessions");
                    probes += 1;
                }
                Entry::Unchanged(unchanged) => probes += unchanged.count,
                _ => {}
            }
            last = Some(entry);
        }
    }
    assert_eq!(last, Some(Entry::Stopped {}));
    assert!(probes >= 3, "{probes} since the last start");
}

/// The key in place of the flag, and a configuration that is read again.
#[tokio::test]
async fn agent_journal_of_configuration_notes_reload() {
    let directory = Directory::new("journal-key");
    let journal = directory.0.join("journal");
    let text = format!("journal: {{directory: {}, max_bytes: 1MiB, max_age: 1h}}\n{ONE_TARGET}", journal.display());
    let config = directory.file("redpath.yaml", &text);
    let mut running = Agent::start(agent(&config)).await;
    running.has_probed("sessions", 1).await;
    fs::write(&config, text.replace("sessions", "carts")).expect("a file");
    running.signal("HUP").await;
    // The file's start, the program's, the clock, two records and the configuration.
    let written = |page: &str| {
        let lines = page.lines().find_map(|line| line.strip_prefix("redpath_journal_records_total "));
        lines.is_some_and(|lines| lines.parse::<u64>().expect("a number") >= 6)
    };
    running.page_where("/metrics", written).await;
    running.signal("TERM").await;
    assert_eq!(running.ended().await.code(), Some(0));
    let mut read = Vec::new();
    for file in files(&journal).expect("files") {
        for line in Lines::new(fs::read(file).expect("a file").as_slice()) {
            if let Entry::Configuration(configuration) =
                line.expect("a line").parse().expect("a line of a journal").entry
            {
                read.push(configuration);
            }
        }
    }
    let [configuration] = read.as_slice() else { panic!("{read:?}") };
    assert!(configuration.in_force);
    assert_eq!(configuration.sha256, Digest::of(&fs::read(&config).expect("a file")));
}

#[test]
fn two_days_of_4_targets_are_under_10_mb() {
    let mut collector = Collector::default();
    let healthy = records::healthy();
    let mut bytes = 0;
    for target in 0..4 {
        let mut record = healthy.clone();
        record.target.name = format!("target-{target}");
        for probe in 0..48 * 60 * 4 {
            for entry in collector.add(&at(&record, probe * 15)) {
                let line = Line { number: 10_000, previous: Digest::NONE, at: moment(0), entry };
                bytes += serde_json::to_vec(&line).expect("JSON").len() + 1;
            }
        }
    }
    assert!(bytes < 10_000_000, "{bytes} bytes");
}

#[test]
fn journal_verify_names_file_and_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("journal-00000000000000000001.ndjson");
    let run = |argument: &Path| {
        let output = Command::new(env!("CARGO_BIN_EXE_redpath")).args(["journal", "verify"]).arg(argument).output();
        let output = output.expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    fs::write(&file, chain_of(2)).expect("it writes");
    for argument in [folder.path(), &file] {
        let (code, out, _) = run(argument);
        assert_eq!(code, Some(0), "{out}");
        assert!(out.starts_with("whole: 5 lines, entries 1 to 5\nhead: entry 5 "), "{out}");
    }
    let mut damaged = lines(&chain_of(2));
    damaged.remove(2);
    fs::write(&file, damaged.concat()).expect("it writes");
    let (code, out, _) = run(&file);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains(".ndjson:3: entry 3 is missing before it\ndamaged: "), "{out}");
    let (code, _, error) = run(&folder.path().join("none"));
    assert_eq!(code, Some(2), "{error}");
}

/// A call appends its records to the journal of the directory, by the rules of the agent's.
#[test]
fn check_appends_to_journal() {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().join("journal");
    let check = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_redpath"));
        command.args(["check", "localhost:1", "--plaintext", "--expect", "any", "--label", "subnet=app-a"]);
        let output = command.arg("--journal").arg(&directory).args(more).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for _ in 0..2 {
        let (code, error) = check(&["--output", "ndjson"]);
        assert_eq!(code, Some(1), "port 1 is refused: {error}");
    }
    let verified = verify_directory(&directory);
    assert!(verified.is_whole(), "{verified:?}");
    assert_eq!(verified.head.map(|head| head.number), Some(9), "file, and twice started, clock, record, stopped");
    let mut evidence =
        redpath::evidence::read_files(std::slice::from_ref(&directory), Digests::Drop).expect("evidence");
    let (labels, targets) = evidence.timelines.iter().next().expect("a vantage");
    assert_eq!((labels.get("subnet").map(String::as_str), targets.len()), (Some("app-a"), 1));
    let journal = evidence.journals.pop().expect("a journal");
    assert_eq!((journal.starts.len(), journal.is_open), (2, false));

    // Nothing is probed where it cannot be written.
    let appender = Appender::open(&directory, Limits::default(), records::healthy().vantage).expect("it opens");
    let (code, error) = check(&[]);
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("another redpath writes its journal there"), "{error}");
    drop(appender);
    fs::remove_dir_all(&directory).expect("it is removed");
    fs::write(&directory, "no directory").expect("it writes");
    let (code, error) = check(&[]);
    assert_eq!((code, error.contains("--journal ")), (Some(2), true), "{error}");
}
