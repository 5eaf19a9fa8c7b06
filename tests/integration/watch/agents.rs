//! `redpath watch --agent`: the rows of many agents, and the command against running ones.

use std::process::{Command, Output};
use std::time::Duration;

use redpath::clock::Timestamp;
use redpath::evidence::expected::Expected;
use redpath::record::Record;
use redpath::watch::event::Change;
use redpath::watch::screen::{Screen, rows};
use redpath::watch::state::State;
use redpath::watch::summary;

use super::screen::{STYLE, frame};
use super::{Flip, NARROW, at, cutover, fixture, without_hub};
use crate::output::records::with_connections;
use crate::output::{assert_fixture, records};
use crate::support::agent::{Agent, agent};

fn from(subnet: &str, record: Record, second: u64) -> Record {
    let mut record = (*at(record, second)).clone();
    record.vantage.subnet = Some(subnet.to_owned());
    record.vantage.hostname = format!("vm-{subnet}");
    record.target.name = "sessions".to_owned();
    record
}

fn now() -> Timestamp {
    cutover()[6].started_at
}

/// Six subnets: one is not linked, one has a connection left, one never answers, and one no longer does.
fn fleet() -> State {
    let mut state = State::default();
    for subnet in ["app-a", "app-b", "app-c", "app-d", "app-e", "app-f"] {
        state.expect_agent(&format!("{subnet}:9736"));
    }
    let healthy = || without_hub(records::healthy());
    state.answered("app-a:9736", now(), vec![from("app-a", healthy(), 0)]);
    state.answered("app-b:9736", now(), vec![from("app-b", healthy(), 1)]);
    state.answered("app-c:9736", now(), vec![from("app-c", without_hub(records::unlinked_zone()), 2)]);
    state.answered("app-d:9736", now(), vec![from("app-d", with_connections(healthy(), 1, 3), 3)]);
    state.silent("app-e:9736", now(), "app-e:9736: its name has no address".to_owned());
    state.answered("app-f:9736", now(), vec![from("app-f", healthy(), 4)]);
    state.silent("app-f:9736", now(), "app-f:9736: no answer within 5s".to_owned());
    state
}

#[test]
fn agents_table_has_a_row_for_each() {
    let state = fleet();
    for size in [(40, 12), (80, 24), (200, 24)] {
        let text = rows(&frame(&Screen::new(STYLE), &state, size));
        assert_fixture(&fixture(&format!("agents-{}x{}.txt", size.0, size.1)), &text);
    }
    assert_fixture(&fixture("agents-summary.txt"), &summary::text(&state, &NARROW));
}

/// The fleet, of which a list expects one subnet more and one target more, and does not have one subnet.
fn fleet_with_list(unexpected: &str) -> State {
    let entries: String =
        ["app-a", "app-b", "app-c", "app-d", "app-f", "app-g"].map(|subnet| format!("{{subnet: {subnet}}}, ")).concat();
    let list = format!("vantages: [{entries}]\ntargets: [sessions]\nunexpected: {unexpected}\n");
    let mut state = fleet();
    state.answered("app-h:9736", now(), vec![from("app-h", without_hub(records::healthy()), 5)]);
    state.expected = Some(Expected::read(&list).expect("a list"));
    state
}

#[test]
fn expected_vantages_have_rows() {
    let state = fleet_with_list("tell");
    assert_eq!(state.missing(), ["subnet=app-g"], "app-f is silent, and has its row");
    assert_eq!(state.unexpected().into_iter().collect::<Vec<_>>(), ["app-h/vm-app-h"]);
    assert!(!state.is_unexpected_a_failure() && fleet_with_list("fail").is_unexpected_a_failure());
    let text = rows(&frame(&Screen::new(STYLE), &state, (80, 24)));
    assert_fixture(&fixture("agents-expected-80x24.txt"), &text);
    let summary = summary::text(&state, &NARROW);
    for part in ["expected vantage subnet=app-g is missing", "app-h/vm-app-h is not on the list"] {
        assert!(summary.replace('\n', " ").contains(part), "{part}: {summary}");
    }
}

#[test]
fn expected_target_of_a_vantage_is_missed() {
    let mut state = State::default();
    state.answered("a:9736", now(), vec![from("app-a", records::healthy(), 0)]);
    let list = "vantages: [{subnet: app-a}]\ntargets: [sessions, carts]";
    state.expected = Some(Expected::read(list).expect("a list"));
    assert_eq!(state.missing(), ["subnet=app-a: carts"]);
    assert!(state.unexpected().is_empty());
}

#[test]
fn agent_record_counts_once() {
    let mut state = State::default();
    for _ in 0..3 {
        state.answered("a:9736", now(), vec![from("app-a", records::healthy(), 0)]);
    }
    assert_eq!(state.targets.values().map(|target| target.probes).collect::<Vec<_>>(), [1]);
}

#[test]
fn agent_row_that_is_gone_stays() {
    let mut state = State::default();
    state.answered("a:9736", now(), vec![from("app-a", records::healthy(), 0)]);
    assert!(state.is_every_agent_heard());
    state.answered("a:9736", now(), Vec::new());
    assert!(!state.is_every_agent_heard());
    let text = rows(&frame(&Screen::new(STYLE), &state, (80, 24)));
    assert!(text.contains("SILENT 10.60.4.5") && text.contains("UNKNOWN: 0 ready"), "{text}");
    assert!(summary::text(&state, &NARROW).contains("agent a:9736 no longer has app-a/vm-app-a sessions"));
    state.answered("a:9736", now(), vec![from("app-a", records::healthy(), 1)]);
    assert!(state.is_every_agent_heard());
}

#[test]
fn agent_record_of_old_is_no_present() {
    let mut state = State::default();
    let later = now().after(Duration::from_secs(400)).expect("a time");
    state.answered("a:9736", later, vec![from("app-a", records::healthy(), 0)]);
    assert!(!state.is_every_agent_heard() && !state.is_current("app-a/vm-app-a sessions"));
    state.answered("a:9736", later, vec![from("app-a", records::healthy(), 390)]);
    assert!(state.is_every_agent_heard() && state.is_current("app-a/vm-app-a sessions"));
}

#[test]
fn agents_of_one_name_have_rows_of_their_own() {
    let mut state = State::default();
    for agent in ["a:9736", "b:9736"] {
        state.answered(agent, now(), vec![from("app-a", records::healthy(), 0)]);
        state.answered(agent, now(), vec![from("app-a", records::healthy(), 1)]);
    }
    assert_eq!(state.targets.len(), 2, "{:?}", state.targets.keys());
}

#[test]
fn agent_silence_is_one_event() {
    let mut state = State::default();
    assert!(state.silent("a:9736", now(), "refused".into()).is_some());
    assert!(state.silent("a:9736", now(), "timed out".into()).is_none());
    let events = state.answered("a:9736", now(), vec![from("app-a", records::healthy(), 0)]);
    let heard = events.iter().flat_map(|(_, events)| events).filter(|event| event.change == Change::Heard {});
    assert_eq!(heard.count(), 1);
}

fn watch(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_redpath");
    Command::new("timeout").args(["60", program, "watch", "--agent"]).args(arguments).output().expect("it runs")
}

#[tokio::test]
async fn agent_records_are_watched() {
    let flip = Flip::start("watch-agent");
    let config = flip.folder().join("agent.yaml");
    std::fs::write(&config, flip.configuration()).expect("a file");
    let agent = Agent::start(agent(&config)).await;
    let url = format!("http://{}", agent.listen);
    agent.page_with("/api/v1/records", "private_zone_not_seen").await;

    let output = watch(&[&url, "--interval", "200ms", "--until", "1s", "--output", "ndjson"]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("\"event\":\"start\"") && text.contains("private_zone_not_seen"), "{text}");
    for line in text.lines() {
        crate::schema::assert_valid("event.v1.json", &serde_json::from_str(line).expect("JSON"));
    }

    flip.link_zone();
    let output = watch(&[&url, "--interval", "200ms", "--until", "pass", "--until", "50s"]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.code() == Some(0) && text.contains("app-a/"), "{text}");

    let list = flip.folder().join("vantages.yaml");
    for (text, status, says) in [
        ("vantages: [{subnet: app-a}]", 0, "app-a/"),
        ("vantages: [{subnet: app-a}, {subnet: app-b}]", 3, "expected vantage subnet=app-b is missing"),
        ("vantages: [{subnet: app-b}]\nunexpected: fail", 1, "is not on the list"),
    ] {
        std::fs::write(&list, text).expect("a file");
        let path = list.to_str().expect("UTF-8");
        let output = watch(&[&url, "--interval", "200ms", "--until", "pass", "--until", "2s", "--expected", path]);
        let shown = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(output.status.code() == Some(status) && shown.replace('\n', " ").contains(says), "{text}: {shown}");
    }

    let silent = format!("http://{}", crate::support::dns::closed_port([127, 0, 0, 1].into()));
    let output = watch(&[&url, &silent, "--interval", "200ms", "--until", "2s"]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("  silent  ") && text.contains("silent since"), "{text}");
}

#[test]
fn agent_bad_input_is_one_sentence() {
    for (arguments, says) in [
        (&["10.60.4.5:9736"][..], "http:// or https://"),
        (&["http://u:canary-7f3@host:9736"], "a credential in the URL"),
        (&["http://host:9736/?x=canary-7f3"], "more than a host and a path"),
        (&["http://host:9736", "http://host:9736/"], "host:9736 is given twice"),
        (&["http://host:9736", "--endpoint", "10.60.4.5"], "--endpoint"),
        (&["http://host:9736", "--expected", "Cargo.toml"], "no list of expected vantages"),
        (&["http://host:9736", "--username", "probe"], "both --username and --password-file"),
        (&["http://host:9736", "--username", "probe", "--password-file", "Cargo.toml"], "over https alone"),
    ] {
        let output = watch(arguments);
        let error = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(says) && error.trim_end().lines().count() == 1, "{arguments:?}: {error}");
        assert!(!error.contains("canary-7f3"), "{error}");
    }
}
