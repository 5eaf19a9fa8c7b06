//! Real servers: clients by a private prefix and plainly, and users with narrow rights.

use std::process::{Child, Stdio};

use serde_json::Value;

use crate::support::certificates::{Certificates, Leaf, NAME};
use crate::support::namespace::Namespace;
use crate::support::redis::Redis;

const CANARY: &str = "canary-Wn3-hunter2";

/// Ends a client with the test.
struct Client(Child);

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn json(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn clients_of_real_server_are_separated() {
    let (private, public) = ("fd40:1481:21:dbe0:7021:300:a03:1a06", "20.50.7.7");
    let mut namespace = Namespace::new(&["fd00::5/128", &format!("{private}/128"), &format!("{public}/32")]);
    let server = ["--port", "6380", "--bind", "fd00::5", private, public, "--save", "", "--protected-mode", "no"];
    namespace.hosts("fd00::5 cache.example\n");
    namespace.start("redis-server", &server, "[fd00::5]:6380".parse().expect("an address"));
    let client = |address: &str| {
        let mut command = namespace.command("redis-cli");
        command.args(["-h", address, "-p", "6380", "SUBSCRIBE", "a"]).stdin(Stdio::null()).stdout(Stdio::null());
        Client(command.spawn().expect("redis-cli is missing: apt-get install redis-tools"))
    };
    let clients = || {
        let mut command = namespace.command(env!("CARGO_BIN_EXE_redpath"));
        command.args(["clients", "cache.example:6380", "--plaintext", "--views", "libc", "--output", "json"]);
        let output = command.output().expect("redpath runs");
        (output.status.code(), json(&output))
    };
    // The server lists a client when it has accepted its connection.
    let until = |expected: [u64; 2]| loop {
        let (status, document) = clients();
        let totals = &document["totals"];
        let found = [totals["private_link"].as_u64(), totals["public"].as_u64()];
        if found == expected.map(Some) {
            break (status, document);
        }
    };
    let _private = [client(private), client(private)];
    let (status, document) = until([2, 0]);
    assert_eq!((status, &document["totals"]["own"]), (Some(0), &1.into()), "{document:#}");
    let plainly = client(public);
    let (status, document) = until([2, 1]);
    assert_eq!((status, &document["findings"][0]["code"]), (Some(1), &"public_clients_present".into()));
    drop(plainly);
    assert_eq!(until([2, 0]).0, Some(0));
}

#[test]
fn clients_need_one_right_alone() {
    let certificates = Certificates::new();
    let password = format!(">{CANARY}");
    let users = ["--user", "lister", "on", &password, "+ping", "+client|list"];
    let users = [users.as_slice(), &["--user", "narrow", "on", &password, "+ping"]].concat();
    let redis = Redis::tls(&certificates, &certificates.leaf(Leaf::Good), &users);
    let clients = |user: &str, output: &str, cluster: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_redpath"));
        command.args(["clients", &format!("{NAME}:{}", redis.port), "--views", "libc", "--connect", "127.0.0.1"]);
        command.args(["--private-range", "127.0.0.0/8", "--username", user, "--output", output, "--cluster", cluster]);
        command.arg("--ca-file").arg(certificates.ca_file()).env("REDPATH_PASSWORD", CANARY);
        command.output().expect("redpath runs")
    };
    let allowed = clients("lister", "json", "off");
    let document = json(&allowed);
    assert_eq!((allowed.status.code(), &document["totals"]["own"]), (Some(0), &1.into()), "{document:#}");
    let nodes_unknown = clients("lister", "text", "auto");
    let text = String::from_utf8_lossy(&nodes_unknown.stdout);
    assert!(nodes_unknown.status.code() == Some(3) && text.contains("whether there are further nodes"), "{text}");
    let refused = clients("narrow", "text", "off");
    let text = String::from_utf8_lossy(&refused.stdout);
    assert_eq!(refused.status.code(), Some(3), "{text}");
    assert!(text.contains("the user narrow may not CLIENT LIST (NOPERM"), "{text}");
    assert!(text.contains("az redis access-policy create --name cache1") && !text.contains(CANARY), "{text}");
}
