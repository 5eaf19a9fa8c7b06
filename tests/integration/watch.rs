//! `redpath watch`: the state that records fold into, its lines and its summary, and the command against servers on
//! loopback whose answer changes.

mod agents;
mod screen;
#[cfg(feature = "system-tests")]
mod tmux;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redpath::journal::recording::RecordingWriter;
use redpath::output::text::Style;
use redpath::record::Record;
use redpath::watch::event::{Change, Event};
use redpath::watch::lines::{LineFormat, Lines};
use redpath::watch::readiness::{Decision, Readiness};
use redpath::watch::state::{State, TargetState};
use redpath::watch::summary;
use serde_json::Value;

use crate::output::records::with_connections;
use crate::output::{assert_fixture, records};
use crate::schema::assert_valid;
use crate::support::certificates::Directory;
use crate::support::dns::{Action, DnsServer};
use crate::support::lab::{HOST, Lab, PRIVATE_ENDPOINT, PUBLIC_ENDPOINT};
use crate::support::zone::Zone;

const NARROW: Style = Style { color: false, width: 80, unicode: false, verbose: false };
const NAME: &str = "cache1.redis.cache.windows.net:6380";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/watch").join(name)
}

/// The record, begun so many seconds after the first one.
fn at(record: Record, seconds: u64) -> Arc<Record> {
    let started_at = record.started_at.after(Duration::from_secs(seconds)).expect("a time");
    let usable = record.observation.usable();
    Arc::new(Record { started_at, usable, ..record })
}

fn without_hub(mut record: Record) -> Record {
    record.observation.resolution.views.retain(|view| view.view != "hub");
    for view in &mut record.observation.resolution.views {
        if view.view.starts_with("system:") {
            view.view = "system:10.10.0.53".into();
        }
    }
    record
}

/// A cutover: public for 3 s, an outage of 2 s, then private with connections of an application left.
pub(crate) fn cutover() -> Vec<Arc<Record>> {
    let public = || with_connections(without_hub(records::unlinked_zone()), 2, 0);
    let private = || with_connections(without_hub(records::healthy()), 1, 1);
    let silent = || {
        let mut record = without_hub(records::silent_endpoint());
        record.expectation.endpoints.clear();
        record
    };
    let all = [public(), public(), public(), silent(), silent(), private(), private()];
    all.into_iter().enumerate().map(|(second, record)| at(record, second as u64)).collect()
}

fn folded(records: &[Arc<Record>]) -> (State, Vec<Event>) {
    let mut state = State::default();
    let events = records.iter().flat_map(|record| state.add(Arc::clone(record))).collect();
    (state, events)
}

fn target(state: &State) -> &TargetState {
    state.targets.values().next().expect("a target")
}

#[test]
fn watch_lines_and_summary_of_a_cutover() {
    let (mut state, mut lines) = (State::default(), Lines::new(LineFormat::Text, NARROW));
    let mut text = String::new();
    for (place, record) in cutover().into_iter().enumerate() {
        if place == 3 {
            let mark = state.mark(record.started_at, "zone linked".into());
            text.push_str(&lines.line(&mark).expect("a line"));
        }
        let events = state.add(record);
        text.push_str(&lines.of(&state, NAME, &events).expect("a line"));
    }
    assert_fixture(&fixture("lines.txt"), &text);
    assert_fixture(&fixture("summary.txt"), &summary::text(&state, &NARROW));
}

#[test]
fn watch_counts_flips_and_time_without_service() {
    let (state, events) = folded(&cutover());
    let target = target(&state);
    assert_eq!((target.probes, target.flips, target.outages().count), (7, 1, 1));
    assert_eq!(target.outages().total, Duration::from_secs(2));
    let first = target.lanes.iter().find(|lane| lane.view == "libc").and_then(|lane| lane.first_expected);
    assert_eq!(first, Some(cutover()[3].started_at));
    let verdicts = events.iter().filter(|event| matches!(event.change, Change::Verdict { .. })).count();
    assert_eq!(verdicts, 2, "{events:#?}");
}

#[test]
fn watch_event_matches_schema() {
    let (mut state, mut events) = folded(&cutover());
    events.push(state.mark(cutover()[0].started_at, "zone linked".into()));
    for event in &events {
        let json = serde_json::to_value(event).expect("JSON");
        assert_valid("event.v1.json", &json);
        assert_eq!(&serde_json::from_value::<Event>(json).expect("it reads back"), event);
    }
}

#[test]
fn readiness_names_each_hold() {
    let all = cutover();
    let (state, _) = folded(&all[..1]);
    let readiness = Readiness::of(target(&state));
    assert_eq!(readiness.decision, Decision::NoGo);
    let holds = readiness.holds.join("\n");
    for hold in ["private_zone_not_seen", "libc, system:10.10.0.53: 20.50.1.10 public", "2 connections"] {
        assert!(holds.contains(hold), "{hold}: {holds}");
    }
    assert_eq!(readiness.earliest, all[0].started_at.after(Duration::from_secs(60)), "the longest TTL");
    let (state, _) = folded(&[at(without_hub(records::healthy()), 0)]);
    assert_eq!(Readiness::of(target(&state)).decision, Decision::Go);
}

#[test]
fn readiness_silent_view_is_unknown() {
    let mut record = records::healthy();
    let silent = records::unlinked_zone().observation.resolution.views.into_iter().find(|view| view.view == "hub");
    record.observation.resolution.views.extend(silent);
    let (state, _) = folded(&[at(record, 0)]);
    let readiness = Readiness::of(target(&state));
    assert_eq!((readiness.decision, readiness.holds.len()), (Decision::Unknown, 1), "{:?}", readiness.holds);
}

/// A name server that was removed from resolv.conf holds nothing back.
#[test]
fn readiness_view_that_is_gone_counts_not() {
    let mut before = without_hub(records::unlinked_zone());
    for view in &mut before.observation.resolution.views {
        if view.view.starts_with("system:") {
            view.view = "system:10.10.0.99".into();
        }
    }
    let (state, _) = folded(&[at(before, 0), at(without_hub(records::healthy()), 1)]);
    let target = target(&state);
    assert_eq!(Readiness::of(target).decision, Decision::Go, "{:?}", Readiness::of(target).holds);
    assert!(target.is_as_expected());
    assert!(summary::text(&state, &NARROW).contains("system:10.10.0.99: never private: 20.50.1.10 public"));
}

/// A TTL that does not count down is no bound: the server answers without a cache.
#[test]
fn readiness_steady_ttl_is_no_bound() {
    let public = || without_hub(records::unlinked_zone());
    let earliest = |ttls: &[u32]| {
        let with_ttl = |(second, ttl): (usize, &u32)| {
            let mut record = public();
            for view in &mut record.observation.resolution.views {
                view.chain.clear();
                view.addresses.iter_mut().filter(|address| address.ttl.is_some()).for_each(|address| {
                    address.ttl = Some(*ttl);
                });
            }
            at(record, second as u64)
        };
        let records: Vec<_> = ttls.iter().enumerate().map(with_ttl).collect();
        Readiness::of(target(&folded(&records).0)).earliest
    };
    assert_eq!(earliest(&[60, 60, 60, 60, 60]), None);
    assert_eq!(earliest(&[60, 59, 58, 57, 56]), public().started_at.after(Duration::from_secs(60)));
}

#[test]
fn readiness_waits_for_the_longest_ttl() {
    let mut record = without_hub(records::unlinked_zone());
    let mut forwarder = record.observation.resolution.views[1].clone();
    forwarder.view = "system:10.10.0.54".into();
    forwarder.chain.iter_mut().for_each(|link| link.ttl = 300);
    forwarder.addresses.iter_mut().for_each(|address| address.ttl = Some(300));
    record.observation.resolution.views.push(forwarder);
    let (state, _) = folded(&[at(record.clone(), 0)]);
    assert_eq!(Readiness::of(target(&state)).earliest, record.started_at.after(Duration::from_secs(300)));
}

#[test]
fn heartbeat_once_a_minute() {
    let (mut state, mut lines) = (State::default(), Lines::new(LineFormat::Ndjson, NARROW));
    let mut heartbeats = 0;
    for second in 0..=150 {
        let events = state.add(at(records::healthy(), second));
        let text = lines.of(&state, NAME, &events).expect("a line");
        heartbeats += text.matches("\"event\":\"heartbeat\"").count();
    }
    assert_eq!(heartbeats, 2);
}

#[test]
fn state_memory_is_bounded() {
    let mut state = State::default();
    let (public, private) = (without_hub(records::unlinked_zone()), without_hub(records::healthy()));
    for second in 0..2000 {
        state.add(at(if second % 2 == 0 { public.clone() } else { private.clone() }, second));
    }
    assert_eq!(state.events.len(), redpath::watch::state::MAX_EVENTS);
    let target = target(&state);
    assert!(target.lanes.iter().all(|lane| lane.letters.last(usize::MAX).count() <= redpath::watch::lane::MAX_LETTERS));
    assert_eq!(target.flips, 1999);
}

/// Servers on loopback, and a name server whose private zone is linked once `linked` is set.
pub(crate) struct Flip {
    lab: Lab,
    dns: DnsServer,
    linked: Arc<AtomicBool>,
    folder: Directory,
}

impl Flip {
    pub(crate) fn start(name: &str) -> Self {
        let folder = Directory::new(name);
        let lab = Lab::start(folder.path(), "a password").expect("the servers");
        let linked = Arc::new(AtomicBool::new(false));
        let (is_linked, healthy) = (linked.clone(), Zone::healthy(HOST, PRIVATE_ENDPOINT));
        let unlinked = Zone::unlinked(HOST, PUBLIC_ENDPOINT);
        let dns = DnsServer::start(move |asked| {
            let zone = if is_linked.load(Ordering::Relaxed) { &healthy } else { &unlinked };
            Action::Reply(zone.answer(asked))
        });
        Self { lab, dns, linked, folder }
    }

    pub(crate) fn link_zone(&self) {
        self.linked.store(true, Ordering::Relaxed);
    }

    /// The arguments that lead to the servers, with the private endpoint as the expected one.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let target = format!("{HOST}:{}", self.lab.port());
        let resolver = format!("lab={}", self.dns.address());
        let ca_file = self.lab.ca_file.display().to_string();
        let endpoint = PRIVATE_ENDPOINT.to_string();
        ["watch", &target, "--views", "lab", "--resolver", &resolver, "--ca-file", &ca_file, "--endpoint", &endpoint]
            .map(str::to_owned)
            .to_vec()
    }

    /// The configuration of an agent that probes the same, once a second.
    pub(crate) fn configuration(&self) -> String {
        format!(
            "vantage: {{labels: {{subnet: app-a}}}}\nresolvers: [{{name: lab, address: '{}'}}]\n\
             defaults: {{interval: 1s, timeout: 1s, views: [lab]}}\nweb: {{listen: '127.0.0.1:0'}}\n\
             targets: [{{name: sessions, host: {HOST}, port: {}, expect: {{endpoints: [{PRIVATE_ENDPOINT}]}}, \
             tls: {{ca_file: {}}}}}]\n",
            self.dns.address(),
            self.lab.port(),
            self.lab.ca_file.display()
        )
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn watch(&self, further: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_redpath"))
            .args(self.arguments())
            .args(further)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts")
    }
}

#[test]
fn watch_until_pass_ends_after_the_flip() {
    let flip = Flip::start("watch-flip");
    let mut child = flip.watch(&["--interval", "200ms", "--until", "pass", "--until", "60s", "--output", "ndjson"]);
    let mut events = Vec::new();
    for line in BufReader::new(child.stdout.take().expect("its output")).lines() {
        let event: Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
        assert_valid("event.v1.json", &event);
        if event["event"] == "start" {
            assert_eq!(event["verdict"]["status"], "fail", "{event}");
            flip.link_zone();
        }
        events.push(event["event"].as_str().expect("a name").to_owned());
    }
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    events.retain(|event| event != "held");
    assert!(events.contains(&"view".to_owned()) && events.last().is_some_and(|last| last == "verdict"), "{events:?}");
    let summary = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(summary.contains("as expected first at") && summary.contains("1 flip"), "{summary}");
    assert!(summary.contains("GO: nothing that is seen from here"), "{summary}");
}

/// Ends with the summary, and with the status of the last verdict.
#[test]
fn watch_signal_ends_with_summary() {
    for signal in ["INT", "TERM", "HUP"] {
        let flip = Flip::start("watch-signal");
        let mut child = flip.watch(&["--interval", "200ms"]);
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let first = lines.next().expect("a line").expect("UTF-8");
        assert!(first.contains("  start        fail (private_zone_not_seen)"), "{first}");
        let kill = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
        assert!(kill.expect("kill runs").success());
        let rest: Vec<String> = lines.map(|line| line.expect("UTF-8")).collect();
        assert_eq!(child.wait().expect("it ends").code(), Some(1), "{signal}: {rest:#?}");
        assert!(rest.iter().any(|line| line.starts_with("Watched 1 target and ")), "{signal}: {rest:#?}");
    }
}

#[test]
fn watch_ends_when_its_reader_is_gone() {
    let flip = Flip::start("watch-reader");
    let mut child = flip.watch(&["--interval", "200ms", "--until", "60s"]);
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
}

/// Records a flip, and returns the file, the summary and the exit status.
fn recorded(flip: &Flip, name: &str) -> (String, String, Option<i32>) {
    let file = flip.folder().join(name).display().to_string();
    let mut child = flip.watch(&["--interval", "200ms", "--until", "pass", "--until", "60s", "--record", &file]);
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut text = lines.next().expect("a line").expect("UTF-8") + "\n";
    flip.link_zone();
    lines.for_each(|line| text.push_str(&(line.expect("UTF-8") + "\n")));
    (file, text, child.wait().expect("it ends").code())
}

fn replay(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_redpath")).args(["watch", "--replay"]).args(arguments).output().expect("it runs")
}

#[test]
fn replay_prints_the_same_byte_for_byte() {
    let flip = Flip::start("watch-record");
    let (file, text, status) = recorded(&flip, "cutover.ndjson");
    assert!(text.contains("start ") && text.contains("Watched 1 target"), "{text}");
    for speed in [None, Some("1000")] {
        let speed = speed.map(|speed| vec!["--speed", speed]).unwrap_or_default();
        let output = replay(&[&[file.as_str()][..], &speed].concat());
        assert_eq!(String::from_utf8(output.stdout).expect("UTF-8"), text);
        assert_eq!(output.status.code(), status);
    }
    let verify = Command::new(env!("CARGO_BIN_EXE_redpath")).args(["journal", "verify", &file]).output();
    assert_eq!(verify.expect("it runs").status.code(), Some(0));
    // A line that a kill cut off is left out.
    let whole = std::fs::read(&file).expect("the recording");
    std::fs::write(&file, &whole[..whole.len() - 20]).expect("a file");
    assert_eq!(String::from_utf8(replay(&[&file]).stdout).expect("UTF-8"), text);
}

#[test]
fn recording_keeps_marks_in_order() {
    let directory = Directory::new("watch-marks");
    let file = directory.path().join("marks.ndjson");
    let mut writer = RecordingWriter::create(&file, cutover()[0].vantage.clone()).expect("a file");
    let mut state = State::default();
    for (place, record) in cutover().into_iter().enumerate() {
        if place == 3 {
            writer.mark(record.started_at, "zone linked").expect("it writes");
            state.mark(record.started_at, "zone linked".into());
        }
        writer.record(&record).expect("it writes");
        state.add(record);
    }
    writer.finish().expect("it writes");
    let output = replay(&[file.to_str().expect("UTF-8")]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let wide = Style { width: 100, unicode: text.contains('→'), ..NARROW };
    assert!(text.ends_with(&summary::text(&state, &wide)), "{text}");
    assert!(text.contains("mark         zone linked"), "{text}");
}

#[test]
fn recording_takes_no_file_that_is_there() {
    let flip = Flip::start("watch-twice");
    let file = flip.folder().join("ca.pem").display().to_string();
    let before = std::fs::read(&file).expect("a file");
    let output = flip.watch(&["--record", &file]).wait_with_output().expect("it ends");
    let error = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(output.status.code() == Some(2) && error.contains("there is such a file"), "{error}");
    assert_eq!(std::fs::read(&file).expect("a file"), before);
}

#[test]
fn replay_refuses_what_is_no_recording() {
    let directory = Directory::new("watch-replay");
    let write = |name: &str, text: &str| {
        let file = directory.path().join(name);
        std::fs::write(&file, text).expect("a file");
        file.display().to_string()
    };
    let agents = String::from_utf8(crate::journal::chain_of(2)).expect("UTF-8");
    for (file, status, says) in [
        (write("other.txt", "password=hunter2\n"), 2, "it is no line of redpath.journal/v1"),
        (write("agent.ndjson", &agents), 2, "the journal of an agent"),
        (write("empty.ndjson", ""), 3, ""),
        (directory.path().display().to_string(), 2, "it is a directory"),
        (directory.path().join("missing").display().to_string(), 2, "it cannot be read"),
    ] {
        let output = replay(&[&file]);
        let error = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(status), "{file}: {error}");
        assert!(error.contains(says) && !error.contains("hunter2"), "{file}: {error}");
    }
}

#[test]
fn watch_bad_input_is_one_sentence() {
    for (arguments, says) in [
        (&["watch"][..], "<TARGET>"),
        (&["watch", "cache1", "--interval", "0s"], "200ms to 1m"),
        (&["watch", "cache1", "--until", "never"], "pass, private, or a time"),
        (&["watch", "cache1", "cache1"], "cache1:6380 is given twice"),
        (&["watch", "cache1", "--output", "json"], "ndjson"),
        (&["watch", "cache1", "--speed", "2"], "--replay"),
        (&["watch", "--replay", "file", "--speed", "0"], "1 to 100000"),
        (&["watch", "cache1", "--replay", "file"], "--replay"),
        (&["watch", "--replay", "file", "--endpoint", "10.60.4.5"], "--endpoint"),
        (&["watch", "cache1", "--record", "/nonexistent/file"], "cannot be written"),
    ] {
        let mut command = Command::new("timeout");
        let output = command.arg("10").arg(env!("CARGO_BIN_EXE_redpath")).args(arguments).output().expect("it runs");
        let error = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(says) && error.trim_end().lines().count() == 1, "{arguments:?}: {error}");
    }
}
