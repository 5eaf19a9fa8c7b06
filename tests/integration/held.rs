//! The held connection of the agent and of a watch: how it ends, and what a reload does to it.

#[cfg(feature = "system-tests")]
mod paths;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::schema::assert_valid;
use crate::support::agent::{Agent, Directory, PATIENCE, agent};
use crate::support::certificates::{Certificates, Leaf, NAME};
use crate::support::fake_redis::{Answer, Event, FakeRedis};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Replies to `PING` with `NOAUTH`, or with `LOADING` while `is_loading`.
fn script(is_loading: Arc<AtomicBool>) -> impl Fn(Event<'_>) -> Answer + Send + Sync + 'static {
    move |event| {
        let Event::Command { words, .. } = event else { return Answer::Send(Vec::new()) };
        match words[0].to_ascii_uppercase().as_str() {
            "QUIT" => Answer::SendAndClose(b"+OK\r\n".to_vec()),
            _ if is_loading.load(Ordering::SeqCst) => Answer::line("-LOADING Redis is loading the dataset in memory"),
            _ => Answer::line("-NOAUTH Authentication required."),
        }
    }
}

fn server(is_loading: &Arc<AtomicBool>) -> FakeRedis {
    FakeRedis::start(SocketAddr::new(HERE, 0), None, script(Arc::clone(is_loading))).expect("a free port")
}

/// A file of these targets without TLS at loopback, which counts as private.
fn config(targets: &[(&str, u16)]) -> String {
    let targets: String = targets
        .iter()
        .map(|(name, port)| format!("  - {{name: {name}, host: localhost, connect: 127.0.0.1, port: {port}}}\n"))
        .collect();
    format!(
        "private_ranges: [127.0.0.0/8]\n\
         defaults: {{interval: 200ms, views: [libc], cluster: off, held_connection: true, tls: {{plaintext: true}}}}\n\
         web: {{listen: 127.0.0.1:0}}\ntargets:\n{targets}"
    )
}

async fn held(agent: &Agent, target: &str) -> Value {
    let reply = agent.request("GET", &format!("/api/v1/records?target={target}")).await;
    let (_, body) = reply.split_once("\r\n\r\n").expect("a body");
    let answer: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
    let records = answer.get("records").unwrap_or(&answer);
    records[0].get("held_connection").cloned().unwrap_or_default()
}

/// The target's held connection as soon as `holds`.
async fn until(agent: &Agent, target: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let wait = async {
        loop {
            let held = held(agent, target).await;
            if holds(&held) {
                return held;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("the held connection comes to that")
}

/// The connections to the server that were sent nothing but `PING`s, twice at least: the held ones.
fn held_at(server: &FakeRedis) -> Vec<bool> {
    let connections = server.connections().into_iter();
    let pings = |commands: &[Vec<String>]| commands.iter().filter(|command| command[0] == "PING").count();
    connections.filter(|each| pings(&each.commands) >= 2).map(|each| each.closed_cleanly).collect()
}

#[tokio::test]
async fn held_reload_keeps_and_closes() {
    let never = Arc::new(AtomicBool::new(false));
    let (kept, removed) = (server(&never), server(&never));
    let (kept_port, removed_port) = (kept.address().port(), removed.address().port());
    let directory = Directory::new("held-reload");
    let file = directory.file("redpath.yaml", &config(&[("kept", kept_port), ("removed", removed_port)]));
    let mut agent = Agent::start(agent(&file)).await;
    let before = until(&agent, "kept", |held| held["state"] == "open").await;
    until(&agent, "removed", |held| held["state"] == "open").await;
    agent.page_where("/metrics", |page| page.contains("redpath_held_connection_age_seconds{target=\"removed\"}")).await;
    std::fs::write(&file, config(&[("kept", kept_port)])).expect("the file is changed");
    let reply = agent.request("POST", "/-/reload").await;
    assert!(reply.starts_with("HTTP/1.1 2"), "{reply}");
    let wait = async {
        while held_at(&removed) != [true] {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("the connection of the other is closed");
    let probed = agent.request("GET", "/metrics").await.matches("target=\"removed\"").count();
    assert_eq!(probed, 0, "its series are gone");
    let age = before["age_seconds"].as_f64().expect("an age");
    let after = until(&agent, "kept", |held| held["age_seconds"].as_f64() > Some(age + 0.5)).await;
    assert_eq!((&after["opened_at"], &after["losses"]), (&before["opened_at"], &0.into()), "{after:#}");
    assert_eq!(held_at(&kept), [false], "one connection, which is open");
    agent.signal("TERM").await;
    assert!(agent.ended().await.success());
    let commands = kept.connections().into_iter().map(|connection| connection.commands);
    let held = commands.filter(|commands| commands.iter().filter(|command| command[0] == "PING").count() >= 2);
    let last: Vec<String> = held.filter_map(|commands| commands.last().map(|command| command[0].clone())).collect();
    assert_eq!(last, ["QUIT"], "it is closed in order when the agent ends");
}

#[tokio::test]
async fn held_error_reply_is_lost_and_opened_again() {
    let is_loading = Arc::new(AtomicBool::new(false));
    let server = server(&is_loading);
    let directory = Directory::new("held-loading");
    let journal = directory.0.join("journal");
    let file = directory.file("redpath.yaml", &config(&[("sessions", server.address().port())]));
    let mut command = agent(&file);
    command.arg("--journal").arg(&journal);
    let mut agent = Agent::start(command).await;
    until(&agent, "sessions", |held| held["state"] == "open").await;
    is_loading.store(true, Ordering::SeqCst);
    let closed = until(&agent, "sessions", |held| held["state"] == "closed").await;
    assert_eq!((&closed["ended"]["how"], &closed["losses"]), (&"error_reply".into(), &1.into()), "{closed:#}");
    is_loading.store(false, Ordering::SeqCst);
    let open = until(&agent, "sessions", |held| held["state"] == "open").await;
    assert_eq!(open["losses"], 1, "{open:#}");
    let page = agent.request("GET", "/metrics").await;
    assert!(page.contains("redpath_held_connection_losses_total{target=\"sessions\"} 1\n"), "{page}");
    assert!(
        page.contains(
            "redpath_finding_active{target=\"sessions\",code=\"held_connection_lost\",severity=\"warning\"} 1"
        )
    );
    let status = agent.request("GET", "/").await;
    assert!(status.contains("Held connection") && status.contains("LOADING Redis is loading"), "{status}");
    agent.signal("TERM").await;
    assert!(agent.ended().await.success());
    let files = std::fs::read_dir(&journal).expect("a journal");
    let text: String = files.filter_map(|file| std::fs::read_to_string(file.ok()?.path()).ok()).collect();
    assert!(text.contains("\"how\":\"error_reply\""), "the journal has the loss");
}

/// The same over TLS with a password: the connection is authenticated as a probe is, and only once.
#[tokio::test]
async fn held_connection_authenticates_over_tls() {
    let certificates = Certificates::new();
    let tls = certificates.leaf(Leaf::Good).server_config();
    let script = crate::support::fake_redis::requiring("canary-Wn3-hunter2");
    let server = FakeRedis::start(SocketAddr::new(HERE, 0), Some(tls), script).expect("a free port");
    let directory = Directory::new("held-tls");
    let password = directory.file("password", "canary-Wn3-hunter2\n");
    let text = format!(
        "private_ranges: [127.0.0.0/8]\n\
         defaults: {{interval: 200ms, views: [libc], cluster: off, held_connection: true}}\n\
         web: {{listen: 127.0.0.1:0}}\n\
         targets: [{{name: sessions, host: localhost, connect: 127.0.0.1, port: {}, \
         tls: {{ca_file: {}, server_name: {NAME}}}, auth: {{method: password, password_file: {}}}}}]\n",
        server.address().port(),
        certificates.ca_file().display(),
        password.display()
    );
    let agent = Agent::start(agent(&directory.file("redpath.yaml", &text))).await;
    let held = until(&agent, "sessions", |held| held["age_seconds"].as_f64() > Some(0.5)).await;
    assert_eq!((&held["state"], &held["path"]), (&"open".into(), &"expected".into()), "{held:#}");
    let connections = server.connections();
    let name = |command: &Vec<String>| command[0].clone();
    let held = connections.iter().find(|each| each.commands.iter().filter(|command| command[0] == "PING").count() >= 2);
    let commands: Vec<String> = held.expect("a held connection").commands.iter().map(name).collect();
    assert_eq!((commands[0].as_str(), commands[1].as_str()), ("AUTH", "PING"), "{commands:?}");
    assert_eq!(commands.iter().filter(|command| *command == "AUTH").count(), 1);
}

/// A watch holds a connection without being asked to, and says how it ended.
#[tokio::test]
async fn watch_holds_a_connection() {
    let is_loading = Arc::new(AtomicBool::new(false));
    let server = server(&is_loading);
    let target = format!("localhost:{}", server.address().port());
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_redpath"));
    command.args(["watch", &target, "--plaintext", "--views", "libc", "--connect", "127.0.0.1", "--cluster", "off"]);
    command.args(["--private-range", "127.0.0.0/8", "--interval", "200ms", "--output", "ndjson"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut held: Vec<Value> = Vec::new();
    while !held.iter().any(|event| event["lost"]["how"] == "error_reply") {
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("a line comes");
        let line = line.expect("it can be read").expect("the watch goes on");
        let event: Value = serde_json::from_str(&line).expect("an event");
        assert_valid("event.v1.json", &event);
        if event["event"] == "held" {
            held.push(event);
            is_loading.store(true, Ordering::SeqCst);
        }
    }
    let text = held[0]["text"].as_str().expect("words");
    assert!(text.starts_with("open to 127.0.0.1:"), "{held:?}");
    let pid = child.id().expect("it runs").to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().expect("kill runs").success());
    while lines.next_line().await.expect("it can be read").is_some() {}
    let output = child.wait_with_output().await.expect("it ends");
    let summary = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(summary.contains("held ") && summary.contains("LOADING"), "{summary}");
}
