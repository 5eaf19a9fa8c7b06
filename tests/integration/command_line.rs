//! The binary itself: what it refuses, how it ends, what it writes.
//!
//! Every probe asks a name server on loopback alone (`--resolver`, `--views`), so that no name
//! ever reaches the system's resolver.

use std::io::Read as _;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::schema::assert_valid;
use crate::support::certificates::Directory;

const ENVIRONMENT: [&str; 6] =
    ["REDPATH_USERNAME", "REDPATH_PASSWORD", "REDISCLI_AUTH", "CLICOLOR_FORCE", "NO_COLOR", "RUST_BACKTRACE"];

fn redpath(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redpath"));
    ENVIRONMENT.iter().for_each(|name| {
        command.env_remove(name);
    });
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str]) -> Output {
    redpath(arguments).output().expect("the binary starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("output is UTF-8")
}

/// A name server that hears every question and answers none.
fn silent_server() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port on loopback");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
    let resolver = format!("lab={}", socket.local_addr().expect("an address"));
    (socket, resolver)
}

/// The targets of a configuration, once: what `helm test` and jobs before a deployment run.
#[test]
fn cli_check_config_probes_its_targets() {
    let (socket, _) = silent_server();
    let server = socket.local_addr().expect("an address");
    let directory = crate::support::agent::Directory::new("check-config");
    let file = directory.file(
        "redpath.yaml",
        &format!(
            "vantage: {{labels: {{vnet: spoke-1}}}}\nresolvers: [{{name: lab, address: '{server}'}}]\n\
             defaults: {{timeout: 100ms, views: [lab]}}\n\
             targets: [{{name: sessions, host: cache1.redis.cache.windows.net}}, {{name: carts, host: cache2.redis.cache.windows.net}}]\n"
        ),
    );
    let file = file.to_str().expect("UTF-8");
    let names = |arguments: &[&str]| -> Vec<String> {
        let all = [&["check", "--output", "json", "--label", "subnet=app-a", "--config", file], arguments].concat();
        let output = run(&all);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
        assert_eq!(report["vantage"]["labels"], serde_json::json!({"subnet": "app-a", "vnet": "spoke-1"}));
        let records = report["records"].as_array().expect("records");
        records.iter().map(|record| record["target"]["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names(&[]), ["sessions", "carts"]);
    assert_eq!(names(&["carts"]), ["carts"]);
    for (arguments, says) in [
        (&["cartz"][..], "the name of one (sessions, carts)"),
        (&["--expect", "public"], "--expect"),
        (&["--password-file", "x"], "--password-file"),
    ] {
        let output = run(&[&["check", "--config", file], arguments].concat());
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(says), "{arguments:?}: {said}");
    }
}

#[test]
fn cli_bad_input_is_one_sentence() {
    let directory = env!("CARGO_MANIFEST_DIR");
    let not_pem = format!("{directory}/Cargo.toml");
    for (arguments, says) in [
        (&["check"][..], "<TARGET>"),
        (&["check", "ca che"], "\"ca che\" is not a host name"),
        (&["check", "10.60.4.5"], "--connect"),
        (&["check", "cache1:99999"], "1 to 65535"),
        (&["check", "http://cache1"], "rediss://"),
        (&["check", "cache1", "--frobnicate"], "--frobnicate is not a flag"),
        (&["check", "cache1", "--pasword-file", "x"], "did you mean --password-file?"),
        (
            &["check", "cache1", "--output", "yaml"],
            "one of text, json, ndjson, prometheus, markdown, junit is expected",
        ),
        (&["check", "cache1", "--expect", "secret"], "private, public, any"),
        (&["check", "cache1", "--endpoint", "10.60.4.300"], "10.60.4.0/24"),
        (&["check", "cache1", "--private-range", "x"], "CIDR"),
        (&["check", "cache1", "--connect", "cache2"], "IP address"),
        (&["check", "cache1", "--resolver", "hub"], "NAME=ADDRESS"),
        (&["check", "cache1", "--resolver", "libc=10.0.0.1"], "taken"),
        (
            &["check", "cache1", "--resolver", "azure", "--resolver", "azure=10.0.0.1"],
            "the second resolver called azure",
        ),
        (&["check", "cache1", "--views", "hub"], "--views: \"hub\" is not a view"),
        (&["check", "cache1", "--views", "system:hub"], "system:ADDRESS"),
        (&["check", "cache1", "--latency", "ping=5"], "unit"),
        (&["check", "cache1", "--latency", "ping=5ms", "--latency", "ping=6ms"], "ping twice"),
        (&["check", "cache1", "--timeout", "0s"], "100ms to 5m"),
        (&["check", "cache1", "--samples", "0"], "from 1 to 1000"),
        (&["check", "cache1", "--tries", "0"], "from 1 to 20"),
        (&["check", "cache1", "--tries", "21"], "from 1 to 20"),
        (&["check", "cache1", "--samples", "1001"], "from 1 to 1000"),
        (&["check", "cache1", "--server-name", "a..b"], "empty label"),
        (&["check", "cache1", "--ca-file", "/nonexistent/ca.pem"], "/nonexistent/ca.pem: there is no such file"),
        (&["check", "cache1", "--ca-file", &not_pem], "no PEM certificate"),
        (&["check", "cache1", "--password-file", "/nonexistent/key"], "/nonexistent/key: there is no such file"),
        (&["check", "cache1", "--password-file", directory], "directory"),
        (&["check", "cache1", "--password-file", "/dev/null"], "empty"),
        (&["check", "cache1", "--auth", "password"], "REDPATH_PASSWORD or REDISCLI_AUTH"),
        (&["check", "cache1", "--username", "probe"], "--username needs a password"),
        (&["check", "cache1", "--auth", "none", "--password-file", "/dev/null"], "--auth none"),
        (&["check", "rediss://cache1", "--plaintext"], "--plaintext"),
        (&["check", "cache1", "--plaintext", "--ca-file", "x"], "--ca-file"),
        (&["chek", "cache1"], "did you mean check?"),
        (&["man", "chek"], "check, watch, connections, clients, agent"),
        (&["completions", "tcsh"], "bash"),
        (&["agent"], "--config"),
    ] {
        let output = run(arguments);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.starts_with("redpath: ") && stderr.contains(says), "{arguments:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(!stderr.contains("panicked") && !stderr.contains("RUST_BACKTRACE"), "{stderr}");
    }
}

#[test]
fn cli_refused_target_hides_password() {
    for target in [
        "rediss://u:canary-7f3@bad host",
        "u:canary-7f3@cache1",
        "rediss://:canary-7f3/x=@h",
        "rediss://u:canary-7f3@h:x",
        "redis-cli -h cache1 -p 6380 -a canary-7f3 --tls",
        "10.60.4.5:6380,password=canary-7f3,ssl=True,abortConnect=False",
        "cache1:6380,password=canary-7f3,ssl=yes",
    ] {
        let folder = Directory::new("canary-target");
        let config = folder.path().join("agent.yaml");
        std::fs::write(&config, format!("targets: [{{host: \"{target}\"}}]\n")).expect("a file");
        let config = config.to_str().expect("UTF-8");
        for arguments in [
            &["check", target][..],
            &[target],
            &["explain", target],
            &["config", "check", target],
            &["config", "check", config],
            &["config", "print", config],
            &["config", "from-az", target],
            &["agent", "--config", target],
            &["agent", "--config", config],
            &["agent", "--config", config, "--log-format", "json"],
            &["agent", "--config", config, "--web-config-file", target],
            &["check", "cache1", "--from-az", target],
            &["check", "cache1", "--ca-file", target],
            &["check", "cache1", "--password-file", target],
            &["check", "cache1", "--password-file", "canary-7f3"],
            &["check", "cache1", "--username", target],
            &["check", "cache1", "--resolver", target],
            &["check", "cache1", "--views", target],
            &["man", target],
        ] {
            let output = run(arguments);
            assert_eq!(output.status.code(), Some(2), "{arguments:?}");
            let (out, err) = (text(&output.stdout), text(&output.stderr));
            assert!(!out.contains("canary") && !err.contains("canary-7f3"), "{arguments:?}: {err}{out}");
            assert!(!err.is_empty(), "{arguments:?}");
        }
    }
}

#[test]
fn cli_readable_password_file_warns() {
    let folder = Directory::new("readable");
    let (key, config) = (folder.path().join("key"), folder.path().join("agent.yaml"));
    std::fs::write(&key, "canary-7f3a9").expect("a file");
    let target = "{host: cache1.example, auth: {method: password, password_file: KEY}}";
    let file = format!("targets: [{}]\n", target.replace("KEY", &key.display().to_string()));
    std::fs::write(&config, file).expect("a file");
    let (key, config) = (key.to_str().expect("UTF-8"), config.to_str().expect("UTF-8"));
    let (_server, resolver) = silent_server();
    let probe = ["--resolver", &resolver, "--views", "lab", "--timeout", "100ms", "--password-file", key];
    for (mode, is_warned_of) in [(0o644, true), (0o640, false), (0o600, false)] {
        std::fs::set_permissions(key, std::fs::Permissions::from_mode(mode)).expect("its mode");
        for arguments in [&["config", "check", config][..], &[&["check", "cache1.example"][..], &probe].concat()] {
            let output = run(arguments);
            let stderr = text(&output.stderr);
            assert_eq!(stderr.contains(&format!("chmod o-r {key}")), is_warned_of, "{mode:o} {arguments:?}: {stderr}");
            assert_eq!(stderr.contains("(mode 0644)"), is_warned_of, "{stderr}");
        }
    }
}

#[test]
fn cli_password_needs_tls() {
    let (_server, resolver) = silent_server();
    let probe = ["--resolver", &resolver, "--views", "lab", "--timeout", "100ms"];
    for (target, stays) in
        [("redis://:canary-7f3@cache1.example", true), ("rediss://:canary-7f3@cache1.example", false)]
    {
        let output = run(&[&["check", target][..], &probe].concat());
        assert_eq!(text(&output.stderr).contains("credentials go over verified TLS only"), stays, "{target}");
    }
}

#[test]
fn cli_hostile_argument_is_escaped() {
    for argument in ["\x1b]0;owned\x07", "--\x1b[2J", "a\u{202e}b"] {
        let output = run(&["check", argument]);
        assert_eq!(output.status.code(), Some(2));
        let stderr = text(&output.stderr).trim_end();
        assert!(!stderr.contains(|c: char| c.is_control() || c == '\u{202e}'), "{stderr:?}");
    }
}

#[test]
fn cli_help_exits_with_zero() {
    for arguments in [&["--help"][..], &["check", "--help"], &["--version"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(!output.stdout.is_empty() && output.stderr.is_empty(), "{arguments:?}");
    }
    let alone = run(&[]);
    assert_eq!(alone.status.code(), Some(2));
    assert!(alone.stdout.is_empty() && text(&alone.stderr).contains("Usage: redpath <COMMAND>"));
}

#[test]
fn cli_output_is_valid_and_ordered() {
    let (_server, resolver) = silent_server();
    let url = "rediss://probe:canary-7f3@cache1.example";
    let common = ["--resolver", &resolver, "--views", "lab", "--timeout", "200ms"];
    let output = run(&[&["check", "cache2.example", url, "cache2.example", "--output", "json"], &common[..]].concat());
    assert_eq!(output.status.code(), Some(exit_code_of(&output)), "{}", text(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_valid("report.v1.json", &document);
    let hosts: Vec<_> = (0..3).map(|at| document["records"][at]["target"]["host"].clone()).collect();
    assert_eq!(hosts, ["cache2.example", "cache1.example", "cache2.example"]);
    let stderr = text(&output.stderr);
    assert!(stderr.contains("warning: a password in a URL or a connection string can be seen"), "{stderr}");
    assert!(!stderr.contains("canary") && !text(&output.stdout).contains("canary"));

    let output = run(&[&["check", "cache1.example", "cache2.example", "--output", "ndjson"], &common[..]].concat());
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    let lines: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("a record per line")).collect();
    assert_eq!(lines.len(), 2);
    lines.iter().for_each(|line| assert_valid("record.v1.json", line));
}

/// What the exit status has to be, by the verdict in the document.
fn exit_code_of(output: &Output) -> i32 {
    let document: Value = serde_json::from_slice(&output.stdout).expect("one document");
    match document["verdict"]["status"].as_str() {
        Some("pass" | "warn") => 0,
        Some("fail") => 1,
        _ => 3,
    }
}

#[test]
fn cli_interrupt_prints_partial_result() {
    for name in ["INT", "TERM"] {
        let (server, resolver) = silent_server();
        let child = redpath(&[
            "check",
            "cache1.example",
            "--resolver",
            &resolver,
            "--views",
            "lab",
            "--timeout",
            "5m",
            "--output",
            "json",
        ])
        .spawn()
        .expect("the binary starts");
        server.recv(&mut [0; 512]).expect("the probe has begun");
        let sent = Instant::now();
        signal(&child, name);
        let output = child.wait_with_output().expect("it ends");
        assert!(sent.elapsed() < Duration::from_secs(10), "at once, not at the end of its ten minutes");
        assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
        let document: Value = serde_json::from_slice(&output.stdout).expect("one document");
        assert_eq!(document["verdict"]["status"], "unknown");
        assert_valid("report.v1.json", &document);
    }
}

#[test]
fn cli_term_ends_check_with_blocked_output() {
    let targets: Vec<String> = (1..=60).map(|port| format!("localhost:{port}")).collect();
    let mut arguments: Vec<&str> = vec!["check", "--output", "json", "--views", "libc", "--timeout", "2s"];
    arguments.extend(targets.iter().map(String::as_str));
    let mut child = redpath(&arguments).spawn().expect("the binary starts");
    // The report is longer than a pipe, and nobody reads the rest.
    let mut stdout = child.stdout.take().expect("it is piped");
    stdout.read_exact(&mut [0; 1]).expect("the report begins");
    signal(&child, "TERM");
    let sent = Instant::now();
    while child.try_wait().expect("it can be waited for").is_none() {
        assert!(sent.elapsed() < Duration::from_secs(30), "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", child.id())).status();
    assert!(status.expect("sh starts").success());
}

#[test]
fn cli_closed_pipe_does_not_panic() {
    for arguments in [&["completions", "bash"][..], &["man", "check"], &["--help"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = redpath(arguments).stdout(writer).output().expect("the binary starts");
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn cli_full_disk_is_reported() {
    let full = PathBuf::from("/dev/full");
    let full = std::fs::OpenOptions::new().write(true).open(full).expect("Linux has it");
    let output = redpath(&["completions", "bash"]).stdout(full).output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("cannot write the output: No space left"), "{}", text(&output.stderr));
}
