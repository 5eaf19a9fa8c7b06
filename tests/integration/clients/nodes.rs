//! `redpath clients` on a cluster of several nodes: scripted ones that note who is asked when, and real ones.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::process::Command;

use super::{HERE, OWN, PRIVATE, bulk};
use crate::schema::assert_valid;
use crate::support::fake_redis::{Answer, Event, FakeRedis};

/// What happened at which node, in order.
type Log = Arc<Mutex<Vec<(usize, &'static str)>>>;

/// The shards that every node announces; known when all of them listen.
type Shards = Arc<Mutex<String>>;

/// A node that replies so to `CLIENT LIST`.
fn node(number: usize, list: &[u8], log: &Log, shards: &Shards) -> FakeRedis {
    let (list, log, shards) = (list.to_vec(), Arc::clone(log), Arc::clone(shards));
    let script = move |event: Event<'_>| {
        let Event::Command { words, .. } = event else { return Answer::Send(Vec::new()) };
        let words: Vec<String> = words.iter().map(|word| word.to_ascii_uppercase()).collect();
        let note = |what| log.lock().expect("the log").push((number, what));
        match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["QUIT"] => {
                note("QUIT");
                Answer::SendAndClose(b"+OK\r\n".to_vec())
            }
            ["PING"] => Answer::line("+PONG"),
            ["CLUSTER", "SHARDS"] => Answer::Send(shards.lock().expect("the shards").clone().into_bytes()),
            ["CLIENT", "ID"] => Answer::line(":7"),
            ["CLIENT", "LIST"] => {
                note("LIST");
                Answer::Send(list.clone())
            }
            _ => Answer::line("-ERR unknown command"),
        }
    };
    FakeRedis::start(SocketAddr::new(HERE, 0), None, script).expect("a free port")
}

/// The reply of `CLUSTER SHARDS` with a shard of one master for each port.
fn shards(ports: &[u16]) -> String {
    let text = |text: &str| format!("${}\r\n{text}\r\n", text.len());
    let width = 16_384 / ports.len();
    let shards = ports.iter().enumerate().map(|(number, port)| {
        let last = if number + 1 == ports.len() { 16_383 } else { (number + 1) * width - 1 };
        let node = [
            text("id"),
            text(&format!("{number:040}")),
            text("port"),
            format!(":{port}\r\n"),
            text("ip"),
            text("127.0.0.1"),
            text("endpoint"),
            text("127.0.0.1"),
            text("role"),
            text("master"),
            text("replication-offset"),
            ":0\r\n".to_owned(),
            text("health"),
            text("online"),
        ];
        let slots = format!("*2\r\n:{}\r\n:{last}\r\n", number * width);
        format!("*4\r\n{}{slots}{}*1\r\n*14\r\n{}", text("slots"), text("nodes"), node.concat())
    });
    format!("*{}\r\n{}", ports.len(), shards.collect::<String>())
}

async fn clients(port: u16) -> (Option<i32>, Value) {
    let target = format!("localhost:{port}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_redpath"));
    command.args(["clients", &target, "--plaintext", "--views", "libc", "--connect", "127.0.0.1"]);
    command.args(["--private-range", "127.0.0.0/8", "--output", "json"]);
    let output = command.output().await.expect("it starts");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_valid("clients.v1.json", &document);
    (output.status.code(), document)
}

#[tokio::test]
async fn clients_nodes_are_asked_one_at_a_time() {
    let (log, announced) = (Log::default(), Shards::default());
    let list = bulk(&format!("{OWN}{PRIVATE}"));
    let refusal = b"-NOPERM this user has no permissions to run the 'client|list' command\r\n";
    let all: Vec<FakeRedis> = [&list[..], refusal, &list]
        .iter()
        .enumerate()
        .map(|(number, list)| node(number, list, &log, &announced))
        .collect();
    let ports: Vec<u16> = all.iter().map(|node| node.address().port()).collect();
    *announced.lock().expect("the shards") = shards(&ports);
    let (status, document) = clients(ports[0]).await;
    assert_eq!((status, document["status"].as_str()), (Some(3), Some("unknown")), "{document:#}");
    let nodes = document["clients"]["nodes"].as_array().expect("nodes");
    let kinds: Vec<&str> = nodes.iter().map(|node| node["failure"]["kind"].as_str().unwrap_or("list")).collect();
    assert_eq!(kinds, ["list", "not_permitted", "list"], "{document:#}");
    assert_eq!(document["totals"]["private_link"], 4);
    // From the first list on: each node once, and none before the one before it is left.
    let log = log.lock().expect("the log").clone();
    let begin = log.iter().position(|(_, what)| *what == "LIST").expect("a list");
    let order: Vec<(usize, &str)> = log[begin..].to_vec();
    assert_eq!(order, [(0, "LIST"), (0, "QUIT"), (1, "LIST"), (1, "QUIT"), (2, "LIST"), (2, "QUIT")]);
}

#[tokio::test]
async fn clients_public_at_one_node_of_three_fail() {
    let (log, announced) = (Log::default(), Shards::default());
    let public = "id=10 addr=20.50.7.7:40001 name= age=3 idle=1 flags=N cmd=get user=app\n";
    let all: Vec<FakeRedis> = ["", "", public]
        .iter()
        .enumerate()
        .map(|(number, more)| node(number, &bulk(&format!("{OWN}{PRIVATE}{more}")), &log, &announced))
        .collect();
    let ports: Vec<u16> = all.iter().map(|node| node.address().port()).collect();
    *announced.lock().expect("the shards") = shards(&ports);
    let (status, document) = clients(ports[0]).await;
    assert_eq!((status, &document["totals"]["public"]), (Some(1), &1.into()), "{document:#}");
    assert_eq!((&document["totals"]["private_link"], &document["totals"]["own"]), (&6.into(), &3.into()));
}

/// Six real nodes, replicas among them, one of which does not let the user list the clients.
#[cfg(feature = "system-tests")]
#[test]
fn clients_of_real_cluster_name_the_refusing_node() {
    use crate::support::certificates::{Leaf, NAME};
    use crate::support::cluster::{Cluster, FIRST_PORT, KEY};
    let cluster = Cluster::start(Leaf::Good);
    let target = format!("{NAME}:{FIRST_PORT}");
    let clients = || {
        let mut command = cluster.namespace.command(env!("CARGO_BIN_EXE_redpath"));
        command.args(["clients", &target, "--views", "libc", "--endpoint", "10.60.4.5", "--output", "json"]);
        command.arg("--ca-file").arg(cluster.certificates.ca_file()).env("REDPATH_PASSWORD", KEY);
        let output = command.output().expect("redpath runs");
        let document: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        (output.status.code(), document)
    };
    let (status, document) = clients();
    let nodes = document["clients"]["nodes"].as_array().expect("nodes");
    assert_eq!((status, nodes.len(), &document["totals"]["own"]), (Some(0), 6, &6.into()), "{document:#}");
    let replication = |node: &Value| node["list"]["replication"].as_u64().unwrap_or_default();
    assert!(nodes.iter().map(replication).sum::<u64>() >= 3, "three replicas: {document:#}");
    let refused = cluster.cli(4, &["ACL", "SETUSER", "default", "-client|list"]);
    assert!(refused.contains("OK"), "{refused}");
    let (status, document) = clients();
    let nodes = document["clients"]["nodes"].as_array().expect("nodes");
    let refusing: Vec<&str> = nodes
        .iter()
        .filter(|node| node["failure"]["kind"] == "not_permitted")
        .map(|node| node["node"].as_str().expect("a node"))
        .collect();
    assert_eq!((status, refusing), (Some(3), vec!["10.60.4.5:15004"]), "{document:#}");
    assert_eq!(document["totals"]["own"], 5);
}
