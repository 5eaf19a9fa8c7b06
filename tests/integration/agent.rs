//! The agent as a process: its signals, its word with systemd, its log and its exit status.

use futures_util::future::join_all;
use serde_json::Value;
use tokio::net::{TcpListener, UnixDatagram};
use tokio::time::{Duration, Instant, timeout};

use crate::support::agent::{Agent, Directory, PATIENCE, agent, agent_logging};

const ONE_TARGET: &str = "
defaults: {interval: 1s, timeout: 500ms, views: [libc]}
web: {listen: '127.0.0.1:0'}
targets:
  - {name: sessions, host: localhost}
";

#[tokio::test]
async fn agent_notifies_systemd() {
    let directory = Directory::new("systemd");
    let socket = UnixDatagram::bind(directory.0.join("notify")).expect("a socket is bound");
    let config = directory.file("agent.yaml", ONE_TARGET);
    let mut command = agent(&config);
    command.env("NOTIFY_SOCKET", directory.0.join("notify")).env("WATCHDOG_USEC", "400000");
    let mut agent = Agent::start(command).await;

    let ready = next(&socket, "READY=1").await;
    assert!(ready.contains("STATUS=probing 1 target\n"), "{ready}");
    for _ in 0..3 {
        next(&socket, "WATCHDOG=1").await;
    }
    agent.signal("HUP").await;
    let reloading = next(&socket, "RELOADING=1").await;
    let since = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).expect("it says since when");
    assert!(since.parse::<u64>().is_ok_and(|micros| micros > 0), "{reloading}");
    next(&socket, "READY=1").await;
    agent.signal("TERM").await;
    next(&socket, "STOPPING=1").await;
    assert_eq!(agent.ended().await.code(), Some(0));
}

#[tokio::test]
async fn agent_log_is_one_json_line_per_change() {
    let directory = Directory::new("log");
    let mut agent = Agent::start(agent(&directory.file("agent.yaml", ONE_TARGET))).await;
    agent.page_with("/-/ready", "HTTP/1.1 200").await;
    agent.has_probed("sessions", 3).await;
    agent.signal("INT").await;
    agent.next_line("agent stopped").await;
    assert_eq!(agent.ended().await.code(), Some(0));
    let changes: Vec<_> = agent.lines.iter().filter(|line| line["message"] == "verdict changed").collect();
    assert_eq!(changes.len(), 1, "{:?}", agent.lines);
    assert_eq!(changes[0]["target"], "sessions");
}

#[tokio::test]
async fn agent_reload_bad_file_keeps_old_config() {
    let directory = Directory::new("reload");
    let config = directory.file("agent.yaml", ONE_TARGET);
    let mut agent = Agent::start(agent(&config)).await;
    std::fs::write(&config, "targets: [{name: sessions, hots: localhost}]").expect("the file is spoilt");
    let reply = agent.request("POST", "/-/reload").await;
    assert!(!reply.starts_with("HTTP/1.1 2") && reply.contains("hots"), "{reply}");
    assert_eq!(agent.next_line("reload failed; the old configuration stays in force").await["level"], "ERROR");
    agent.page_with("/metrics", "redpath_config_last_reload_successful 0\n").await;
    agent.has_probed("sessions", 2).await;

    std::fs::write(&config, format!("{ONE_TARGET}  - {{name: carts, host: localhost}}\n")).expect("the file is mended");
    let reply = agent.request("POST", "/-/reload").await;
    assert!(reply.starts_with("HTTP/1.1 2"), "{reply}");
    let line = agent.next_line("reloaded configuration").await;
    assert_eq!((&line["trigger"], &line["targets"], &line["added"]), (&"request".into(), &2.into(), &1.into()));
    agent.page_with("/metrics", "redpath_config_last_reload_successful 1\n").await;
    agent.has_probed("carts", 1).await;

    // And by itself, where nobody asks.
    std::fs::write(&config, ONE_TARGET).expect("the file is changed");
    let line = agent.next_line("reloaded configuration").await;
    assert_eq!((&line["trigger"], &line["targets"], &line["removed"]), (&"file_changed".into(), &1.into(), &1.into()));
    assert!(!agent.request("GET", "/metrics").await.contains("target=\"carts\""));
}

#[tokio::test]
async fn agent_probe_requests_are_queued() {
    // Nobody answers there, so that each takes as long as it may, and three times as many as have a place are asked for.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = silent.local_addr().expect("an address").port();
    let directory = Directory::new("turns");
    let text = ONE_TARGET.replace("host: localhost}", &format!("host: localhost, port: {port}}}"));
    let agent = Agent::start(agent(&directory.file("agent.yaml", &text))).await;
    let replies = join_all((0..24).map(|_| agent.request("GET", "/probe?target=sessions"))).await;
    for reply in replies {
        assert!(reply.starts_with("HTTP/1.1 200") && reply.contains("\nprobe_success 0\n"), "{reply}");
    }
}

#[tokio::test]
async fn agent_probes_on_time_during_request_flood() {
    let directory = Directory::new("flood");
    let config = ONE_TARGET.replace("host: localhost", "host: localhost, interval: 500ms");
    let agent = Agent::start(agent(&directory.file("agent.yaml", &config))).await;
    agent.has_probed("sessions", 1).await;
    let end = Instant::now() + Duration::from_secs(3);
    let client = || async {
        let mut answered = 0;
        while Instant::now() < end {
            agent.request("GET", "/metrics").await;
            answered += 1;
        }
        answered
    };
    let answered: usize = join_all((0..64).map(|_| client())).await.into_iter().sum();
    let page = agent.request("GET", "/metrics").await;
    let value = |series: &str| page.lines().find_map(|line| line.strip_prefix(series)?.trim().parse::<f64>().ok());
    let lag = value("redpath_schedule_lag_seconds").expect("a lag");
    let probes = value("redpath_probes_total{target=\"sessions\"}").expect("a count");
    assert!(answered > 64 && lag < 1.0 && probes >= 4.0, "{answered} answers, lag {lag} s, {probes} probes");
}

#[tokio::test]
async fn agent_second_signal_exits_at_once() {
    let directory = Directory::new("second");
    let mut agent = Agent::start(agent(&directory.file("agent.yaml", ONE_TARGET))).await;
    // Both arrive while it stands still, so that it sees the second before it has wound down.
    for signal in ["STOP", "TERM", "INT", "CONT"] {
        agent.signal(signal).await;
    }
    assert_eq!(agent.ended().await.code(), Some(3));
}

#[tokio::test]
async fn agent_survives_closed_log() {
    let directory = Directory::new("closed");
    let mut agent = Agent::start(agent(&directory.file("agent.yaml", ONE_TARGET))).await;
    agent.stderr = None;
    assert!(agent.request("POST", "/-/reload").await.starts_with("HTTP/1.1 2"), "which logs a line");
    agent.has_probed("sessions", 2).await;
    agent.signal("TERM").await;
    assert_eq!(agent.ended().await.code(), Some(0));
}

#[tokio::test]
async fn agent_start_error_is_one_sentence() {
    let directory = Directory::new("start");
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port is taken");
    let address = taken.local_addr().expect("it has an address").to_string();
    let in_use = ONE_TARGET.replace("127.0.0.1:0", &address);
    for (config, says) in [
        (directory.0.join("missing.yaml"), "missing.yaml"),
        (directory.file("unknown.yaml", "targets: [{host: cache1.example.org}]\ntragets: []\n"), "tragets"),
        (directory.file("in-use.yaml", &in_use), address.as_str()),
    ] {
        let output = agent_logging("text", &config).output().await.expect("it runs");
        let error = String::from_utf8(output.stderr).expect("it is UTF-8");
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(says) && error.lines().count() == 1, "{error}");
        let output = agent(&config).output().await.expect("it runs");
        let line: Value = serde_json::from_slice(&output.stderr).expect("it is one JSON object");
        assert!(line["error"].as_str().is_some_and(|error| error.contains(says)), "{line}");
    }
}

/// The next message to systemd that has this line; a missing one would never come.
async fn next(socket: &UnixDatagram, line: &str) -> String {
    let mut buffer = [0; 4096];
    loop {
        let length = timeout(PATIENCE, socket.recv(&mut buffer)).await.unwrap_or_else(|_| panic!("no {line}"));
        let message = String::from_utf8_lossy(&buffer[..length.expect("it can be read")]).into_owned();
        if message.lines().any(|found| found == line) {
            return message;
        }
        // Between the steps it says nothing but that it is alive.
        assert_eq!(message, "WATCHDOG=1\n", "while waiting for {line}");
    }
}
