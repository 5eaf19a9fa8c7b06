//! `redpath connections`: connections that this process opens are counted by the path of their peer.

#[cfg(feature = "system-tests")]
mod agent;

use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};

use serde_json::Value;

use crate::schema::assert_valid;

/// Connections to a listener of this process, and the target that leads there (by the hosts file).
struct Peer {
    target: String,
    _streams: Vec<(TcpStream, TcpStream)>,
}

fn peer(connections: usize) -> Peer {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
    let address = listener.local_addr().expect("an address");
    let streams = (0..connections)
        .map(|_| (TcpStream::connect(address).expect("a connection"), listener.accept().expect("a client").0))
        .collect();
    Peer { target: format!("localhost:{}", address.port()), _streams: streams }
}

fn redpath(arguments: &[&str]) -> Output {
    let command = Command::new(env!("CARGO_BIN_EXE_redpath")).arg("connections").args(arguments).output();
    command.expect("the binary starts")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn connections_reserved_private_range_warns() {
    let peer = peer(1);
    let output = redpath(&[&peer.target, "--private-range", "240.0.0.0/4", "--private-range", "127.0.0.0/8"]);
    let warnings = String::from_utf8_lossy(&output.stderr);
    assert!(warnings.contains("warning: --private-range: 240.0.0.0/4 has addresses of 240.0.0.0/4"), "{warnings}");
    assert_eq!(warnings.lines().count(), 1, "{warnings}");
}

#[test]
fn connections_expected_path_is_counted() {
    let peer = peer(3);
    let arguments =
        [&peer.target, "--views", "libc", "--endpoint", "127.0.0.1", "--address", "127.0.0.1=endpoint-a", "--output"];
    let output = redpath(&[&arguments[..], &["json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let document = json(&output);
    assert_valid("connections.v1.json", &document);
    let peer_facts = &document["targets"][0]["application"]["peers"][0];
    assert_eq!((peer_facts["path"].as_str(), peer_facts["established"].as_u64()), (Some("expected"), Some(3)));
    assert_eq!(peer_facts["label"].as_str(), Some("endpoint-a"));
    let page = redpath(&[&arguments[..], &["prometheus"]].concat());
    let page = String::from_utf8(page.stdout).expect("UTF-8");
    assert!(page.contains("redpath_application_connections{target=\"localhost\",path=\"expected\"} 3\n"), "{page}");
    let table = redpath(&[&arguments[..], &["markdown"]].concat());
    assert!(String::from_utf8(table.stdout).expect("UTF-8").contains("| expected | `127.0.0.1` | 3 | 0 | 0 |"));
}

#[test]
fn connections_loopback_peer_is_a_local_proxy() {
    let peer = peer(1);
    let output = redpath(&[&peer.target, "--views", "libc"]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("1 to a local proxy") && text.contains("hides the path"), "{text}");
}

#[test]
fn connections_none_seen_says_where_to_look() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
    let target = format!("localhost:{}", listener.local_addr().expect("an address").port());
    let output = redpath(&[&target, "--views", "libc"]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("no connection of an application is seen") && text.contains("kubectl debug"), "{text}");
}

#[test]
fn connections_watch_counts_opened() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
    let address = listener.local_addr().expect("an address");
    let target = format!("localhost:{}", address.port());
    let child = Command::new(env!("CARGO_BIN_EXE_redpath"))
        .args(["connections", &target, "--views", "libc", "--for", "2s", "--output", "json"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut streams = Vec::new();
    let begun = std::time::Instant::now();
    while begun.elapsed() < std::time::Duration::from_secs(2) {
        streams.push(TcpStream::connect(address).expect("a connection"));
        streams.push(listener.accept().expect("a client").0);
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let document = json(&child.wait_with_output().expect("it ends"));
    let opened = document["targets"][0]["application"]["opened"]["count"].as_u64();
    assert!(opened.is_some_and(|count| count >= 3), "{document:#}");
}

#[test]
fn connections_bad_input_is_one_sentence() {
    for (arguments, says) in [
        (&["localhost", "--address", "10.60.4.5"][..], "label"),
        (&["localhost", "--for", "0s"], "1s to 24h"),
        (&["localhost", "--views", "hub"], "--views"),
    ] {
        let output = redpath(arguments);
        let error = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(says) && error.trim_end().lines().count() == 1, "{error}");
    }
}

/// `record.application` of one check, and its phase.
fn check(peer: &Peer, mode: &str) -> (Value, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_redpath"))
        .args(["check", &peer.target, "--views", "libc", "--endpoint", "127.0.0.1", "--plaintext", "--output", "json"])
        .args(["--application", mode])
        .output()
        .expect("the binary starts");
    let mut document = json(&output);
    assert_valid("report.v1.json", &document);
    let record = &mut document["records"][0];
    (record["application"].take(), record["phases"]["application"].take())
}

#[test]
fn check_lists_connections_of_applications() {
    let peer = peer(3);
    for mode in ["on", "auto"] {
        let (application, phase) = check(&peer, mode);
        assert_eq!(phase["outcome"].as_str(), Some("done"), "{phase}");
        let facts = &application["peers"][0];
        assert_eq!((facts["path"].as_str(), facts["established"].as_u64()), (Some("expected"), Some(3)), "{facts}");
    }
    assert_eq!(check(&peer, "off"), (Value::Null, Value::Null));
}

#[test]
fn check_without_connections_says_so_if_asked() {
    let peer = peer(0);
    let (application, phase) = check(&peer, "on");
    assert_eq!((phase["outcome"].as_str(), application["peers"].as_array()), (Some("done"), None));
    assert_eq!(check(&peer, "auto"), (Value::Null, Value::Null));
}
