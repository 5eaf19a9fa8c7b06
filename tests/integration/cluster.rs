//! The walk over a cluster's nodes: against a real cluster of six, and against announcements that no honest one makes.

mod announced;

use std::process::Output;

use serde_json::Value;

use crate::support::certificates::{ENDPOINT, Leaf, NAME};
use crate::support::cluster::{Cluster, FIRST_PORT, KEY, SLOTS};

/// Checks the first node from within the cluster's namespace, as `user`; the key is nowhere in what it prints.
fn check(cluster: &Cluster, user: Option<&str>, flags: &[&str]) -> (Output, Value) {
    let mut command = cluster.namespace.command(env!("CARGO_BIN_EXE_redpath"));
    command
        .args(["check", &format!("{NAME}:{FIRST_PORT}"), "--output", "json", "--views", "libc", "--endpoint", ENDPOINT])
        .args(["--ca-file", cluster.certificates.ca_file().to_str().unwrap()])
        .args(flags)
        .env("REDPATH_PASSWORD", KEY);
    if let Some(user) = user {
        command.env("REDPATH_USERNAME", user);
    }
    let output = command.output().expect("redpath runs in the namespace");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!text.contains(KEY), "the key is in the output");
    let report: Value = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)));
    (output, report["records"][0].clone())
}

/// Checks, and holds exit status, verdict and cause to what is expected.
#[track_caller]
fn expect(cluster: &Cluster, flags: &[&str], exit: i32, status: &str, cause: &str) -> Value {
    let (output, record) = check(cluster, None, flags);
    assert_eq!(record["verdict"]["status"], status, "{record:#}");
    assert_eq!(record["verdict"]["cause"], cause, "{record:#}");
    assert_eq!(output.status.code(), Some(exit));
    record
}

fn states(record: &Value) -> Vec<&str> {
    let nodes = record["observation"]["cluster"]["nodes"].as_array().or(record["cluster"]["nodes"].as_array());
    nodes
        .unwrap_or_else(|| panic!("no nodes in {record:#}"))
        .iter()
        .map(|node| node["state"].as_str().unwrap())
        .collect()
}

fn finding<'r>(record: &'r Value, code: &str) -> &'r Value {
    let findings = record["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["code"] == code).unwrap_or_else(|| panic!("no {code} in {record:#}"))
}

#[cfg(feature = "system-tests")]
#[test]
fn cluster_of_six_healthy_and_broken() {
    let mut cluster = Cluster::start(Leaf::WithEndpoint);

    let record = expect(&cluster, &[], 0, "pass", "healthy");
    assert_eq!(states(&record), ["reachable"; 6]);
    assert_eq!(record["phases"]["cluster"]["outcome"], "done", "{record:#}");
    let facts = &record["cluster"];
    assert_eq!((&facts["command"], &facts["slots_uncovered"]), (&"cluster_shards".into(), &0.into()));
    let masters = facts["nodes"].as_array().unwrap().iter().filter(|node| node["role"] == "master");
    assert_eq!(masters.map(|node| node["slots"][0].as_str().unwrap()).collect::<Vec<_>>().len(), 3);
    assert!(facts["nodes"].as_array().unwrap().iter().all(|node| {
        node["certificate_covers_ip"] == true
            && node["phases"]["auth"]["outcome"] == "done"
            && node["phases"]["ping"]["outcome"] == "done"
    }));
    let commands = cluster.cli(0, &["INFO", "commandstats"]);
    assert!(commands.contains("cmdstat_cluster|shards") && !commands.contains("cmdstat_get"), "{commands}");

    // Nobody asks where it is switched off.
    let record = expect(&cluster, &["--cluster", "off"], 0, "pass", "healthy");
    assert_eq!((record["cluster"].as_object(), record["phases"]["cluster"].as_object()), (None, None));

    // A firewall that lets the first port through and not the third node's.
    cluster.firewall("table ip t { chain c { type filter hook input priority 0; tcp dport 15002 drop; }; }");
    let record = expect(&cluster, &["--timeout", "3s"], 1, "fail", "cluster_node_unreachable");
    assert_eq!(record["phases"]["ping"]["outcome"], "done");
    assert_eq!(record["phases"]["cluster"]["outcome"], "failed");
    let blocked = finding(&record, "cluster_node_unreachable");
    let summary = blocked["summary"].as_str().unwrap();
    assert!(
        summary.contains("10.60.4.5:15002") && summary.contains(SLOTS[2]) && !summary.contains("15001"),
        "{summary}"
    );
    let commands = blocked["commands"].to_string();
    assert!(commands.contains("az network nsg rule create") && commands.contains("15000-15999"), "{commands}");
    assert_eq!(states(&record).iter().filter(|state| **state == "reachable").count(), 5);
    cluster.firewall("");

    // A user who may ping and not ask.
    cluster.cli(0, &["ACL", "SETUSER", "narrow", "on", &format!(">{KEY}"), "+ping"]);
    let (output, record) = check(&cluster, Some("narrow"), &[]);
    assert_eq!((output.status.code(), &record["verdict"]["status"]), (Some(0), &"pass".into()), "{record:#}");
    let denied = finding(&record, "permission_denied");
    assert_eq!((&denied["severity"], &denied["phase"]), (&"info".into(), &"cluster".into()));
    assert_eq!(record["phases"]["cluster"]["reason"], "no_permission");

    // Slots that nobody serves.
    cluster.cli(0, &["CLUSTER", "DELSLOTSRANGE", "0", "99"]);
    let record = expect(&cluster, &[], 1, "fail", "redis_cluster_down");
    assert_eq!(record["cluster"]["slots_uncovered"], 100);
    assert_eq!(finding(&record, "redis_cluster_down")["phase"], "cluster");
    cluster.cli(0, &["CLUSTER", "ADDSLOTSRANGE", "0", "99"]);
    expect(&cluster, &[], 0, "pass", "healthy");

    // A replica that announces itself elsewhere. Packets to its port there are counted, and there are none.
    cluster.firewall(
        "table ip t { chain c { type filter hook output priority 0; ip daddr 10.99.0.1 tcp dport 15005 counter; }; }",
    );
    // The node sends its address to all others after half of its timeout; half a minute otherwise.
    cluster.cli(5, &["CONFIG", "SET", "cluster-node-timeout", "4000"]);
    cluster.cli(5, &["CONFIG", "SET", "cluster-announce-ip", "10.99.0.1"]);
    cluster.until(0, &["CLUSTER", "SLOTS"], "10.99.0.1");
    let record = expect(&cluster, &[], 1, "fail", "cluster_node_unexpected_address");
    let foreign = finding(&record, "cluster_node_unexpected_address");
    assert!(foreign["summary"].as_str().unwrap().contains("10.99.0.1:15005"), "{foreign:#}");
    let counter = cluster.namespace.command("nft").args(["list", "ruleset"]).output().unwrap();
    let counter = String::from_utf8_lossy(&counter.stdout).into_owned();
    assert!(counter.contains("counter packets 0 bytes 0"), "something was sent there: {counter}");
    cluster.cli(5, &["CONFIG", "SET", "cluster-announce-ip", ENDPOINT]);
    cluster.until(0, &["CLUSTER", "NODES"], &format!("{ENDPOINT}:15005"));

    // A node that is gone.
    cluster.namespace.stop(1);
    let record = expect(&cluster, &[], 1, "fail", "cluster_node_unreachable");
    let gone = finding(&record, "cluster_node_unreachable");
    let summary = gone["summary"].as_str().unwrap();
    assert!(
        summary.contains("10.60.4.5:15001") && summary.contains(SLOTS[1]) && !summary.contains("15002"),
        "{summary}"
    );
    assert!(gone["detail"].as_str().unwrap().contains("refused"), "{gone:#}");
}

#[cfg(feature = "system-tests")]
#[test]
fn cluster_certificate_without_ip_warns() {
    let cluster = Cluster::start(Leaf::Good);
    let record = expect(&cluster, &[], 0, "warn", "cluster_certificate_lacks_ip");
    assert_eq!(states(&record), ["reachable"; 6]);
    let lacks = finding(&record, "cluster_certificate_lacks_ip");
    assert!(lacks["summary"].as_str().unwrap().contains("(10.60.4.5)"), "{lacks:#}");
    assert!(lacks["hint"].as_str().unwrap().contains(NAME), "{lacks:#}");
}
