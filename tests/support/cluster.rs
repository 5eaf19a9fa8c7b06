//! A real cluster of six redis-servers with TLS, three masters and a replica of each, in a network namespace.
#![allow(clippy::panic, reason = "a test's helper fails by it")]

use std::path::Path;
use std::time::{Duration, Instant};

use super::certificates::{Certificates, ENDPOINT, Leaf, NAME};
use super::namespace::Namespace;

/// The port of the first node; the others follow it.
pub(crate) const FIRST_PORT: u16 = 15_000;

/// How many nodes there are; those from the fourth on are replicas.
const NODES: u16 = 6;

/// The slots of the three shards.
pub(crate) const SLOTS: [&str; 3] = ["0-5460", "5461-10922", "10923-16383"];

/// The password of the default user.
pub(crate) const KEY: &str = "a-key-of-the-cluster-91c4";

/// How long the cluster may take to agree, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The cluster; it ends with its namespace.
pub(crate) struct Cluster {
    pub(crate) namespace: Namespace,
    pub(crate) certificates: Certificates,
}

impl Cluster {
    /// A cluster at [`ENDPOINT`], on ports from [`FIRST_PORT`] on, whose nodes agree that all is well. Its
    /// configuration is written ahead, so that it needs no joining; nobody is declared dead within a minute.
    pub(crate) fn start(leaf: Leaf) -> Self {
        let mut namespace = Namespace::new(&[&format!("{ENDPOINT}/32"), "10.99.0.1/32"]);
        namespace.hosts(&format!("{ENDPOINT} {NAME}\n"));
        let certificates = Certificates::new();
        let files = certificates.leaf(leaf);
        for node in 0..NODES {
            let folder = namespace.folder().join(node.to_string());
            std::fs::create_dir_all(&folder).expect("a folder of the node");
            std::fs::write(folder.join("nodes.conf"), nodes_conf(node)).expect("nodes.conf");
            let path = |path: &Path| path.to_str().expect("a UTF-8 path").to_owned();
            let config = format!(
                "port 0\ntls-port {port}\nbind {ENDPOINT}\ndir {dir}\nsave \"\"\nrequirepass {KEY}\nmasterauth {KEY}\n\
                 tls-cert-file {certificate}\ntls-key-file {key}\ntls-ca-cert-file {ca}\ntls-auth-clients no\n\
                 tls-cluster yes\ntls-replication yes\ncluster-enabled yes\ncluster-config-file nodes.conf\n\
                 cluster-announce-ip {ENDPOINT}\ncluster-node-timeout 60000\n",
                port = FIRST_PORT + node,
                dir = path(&folder),
                certificate = path(&files.certificate),
                key = path(&files.key),
                ca = path(&certificates.ca_file()),
            );
            let file = folder.join("redis.conf");
            std::fs::write(&file, config).expect("redis.conf");
            let address = format!("{ENDPOINT}:{}", FIRST_PORT + node).parse().expect("an address");
            namespace.start("redis-server", &[&path(&file)], address);
        }
        let cluster = Self { namespace, certificates };
        for node in 0..NODES {
            cluster.until(node, &["CLUSTER", "INFO"], "cluster_state:ok");
        }
        cluster
    }

    /// What `redis-cli` prints for a command to a node.
    pub(crate) fn cli(&self, node: u16, arguments: &[&str]) -> String {
        let output = self
            .namespace
            .command("redis-cli")
            .args(["--tls", "--sni", NAME, "--cacert", self.certificates.ca_file().to_str().expect("a UTF-8 path")])
            .args(["-h", ENDPOINT, "-p", &(FIRST_PORT + node).to_string(), "-a", KEY, "--no-auth-warning"])
            .args(arguments)
            .output()
            .expect("redis-cli is missing: apt-get install redis-tools");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until a node's reply to a command has a text in it.
    pub(crate) fn until(&self, node: u16, arguments: &[&str], text: &str) {
        let began = Instant::now();
        loop {
            let reply = self.cli(node, arguments);
            if reply.contains(text) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "node {node} never says {text} to {arguments:?}: {reply}");
            std::thread::yield_now();
        }
    }

    /// Loads rules into the firewall of the namespace, in place of those before.
    pub(crate) fn firewall(&self, rules: &str) {
        let file = self.namespace.folder().join("rules");
        std::fs::write(&file, format!("flush ruleset\n{rules}")).expect("a file of rules");
        let done = self.namespace.command("nft").arg("-f").arg(&file).status();
        assert!(done.expect("nft is missing: apt-get install nftables").success(), "nft refuses {rules}");
    }
}

/// The file in which a node keeps what it knows of the cluster, as this one would have written it.
fn nodes_conf(own: u16) -> String {
    let id = |node: u16| format!("{:040x}", node + 1);
    let mut lines = String::new();
    for node in 0..NODES {
        let port = FIRST_PORT + node;
        let myself = if node == own { "myself," } else { "" };
        let shard = node % 3;
        let part = if node < 3 {
            format!("{myself}master - 0 0 {} connected {}", node + 1, SLOTS[usize::from(shard)])
        } else {
            format!("{myself}slave {} 0 0 {} connected", id(shard), shard + 1)
        };
        lines += &format!("{} {ENDPOINT}:{port}@{} {part}\n", id(node), port + 10_000);
    }
    lines + "vars currentEpoch 6 lastVoteEpoch 0\n"
}
