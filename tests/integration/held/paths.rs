//! The held connection on real paths, in a network namespace: DNS moves, the public side is closed, packets are
//! dropped.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::agent::{Agent, Directory};
use crate::support::namespace::Namespace;

const HOST: &str = "cache1.redis.cache.windows.net";
const PRIVATE: &str = "10.60.4.5";
const PUBLIC: &str = "20.50.1.10";

/// A private and a public address, each with a server, and an agent whose target's name leads to `first`.
struct Case {
    namespace: Namespace,
    agent: Agent,
    _folder: Directory,
}

impl Case {
    async fn start(name: &str, first: &str, times: &str) -> Self {
        let mut namespace = Namespace::new(&["10.60.4.5/32", "20.50.1.10/32"]);
        for address in [PRIVATE, PUBLIC] {
            let arguments = ["--port", "6380", "--bind", address, "--save", "", "--protected-mode", "no"];
            let address: SocketAddr = format!("{address}:6380").parse().expect("an address");
            namespace.start("redis-server", &arguments, address);
        }
        namespace.hosts(&format!("{first} {HOST}\n"));
        let folder = Directory::new(name);
        let text = format!(
            "defaults: {{{times}, views: [libc], cluster: off, application: off, held_connection: true, tls: {{plaintext: true}}, posture: {{require_auth: false}}}}\n\
             targets: [{{name: sessions, host: {HOST}, port: 6380}}]\nweb: {{listen: 127.0.0.1:0}}\n"
        );
        let config = folder.file("redpath.yaml", &text);
        let mut command = tokio::process::Command::from(namespace.command(env!("CARGO_BIN_EXE_redpath")));
        command.args(["agent", "--log-format", "json", "--config"]).arg(&config);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let agent = Agent::start(command).await;
        Self { namespace, agent, _folder: folder }
    }

    /// Loads these rules into the firewall.
    fn firewall(&self, rules: &str) {
        let status = self.namespace.command("nft").arg(rules).status();
        assert!(status.expect("nft is missing: apt-get install nftables").success(), "nft refuses {rules}");
    }

    /// Waits until the agent holds a connection to this address.
    fn until_held(&self, address: &str) {
        let began = Instant::now();
        loop {
            // A probe's connection lasts a moment, the held one for longer.
            let filter = format!("dst {address}:6380");
            let output = self.namespace.command("ss").args(["-Htn", "state", "established", &filter]).output();
            let first =
                String::from_utf8_lossy(&output.expect("ss is missing: apt-get install iproute2").stdout).into_owned();
            std::thread::sleep(Duration::from_millis(300));
            let output = self.namespace.command("ss").args(["-Htn", "state", "established", &filter]).output();
            let second = String::from_utf8_lossy(&output.expect("ss runs").stdout).into_owned();
            if first.lines().any(|line| second.lines().any(|other| other == line)) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "no connection is held: {second}");
        }
    }

    /// The next change whose summary has this in it.
    async fn change(&mut self, text: &str) -> Value {
        loop {
            let stderr = self.agent.stderr.as_mut().expect("the log is read");
            let line = tokio::time::timeout(crate::support::agent::PATIENCE, stderr.next_line()).await;
            let line = line.unwrap_or_else(|_| panic!("no {text:?}")).expect("it can be read").expect("it goes on");
            let line: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
            if line["summary"].as_str().is_some_and(|summary| summary.contains(text)) {
                return line;
            }
        }
    }
}

/// The connection outlives the change of DNS, which is said, and ends when the public side is closed.
async fn closing_public_side(name: &str, close: impl Fn(&mut Case), reason: &str) {
    let mut case = Case::start(name, PUBLIC, "interval: 500ms").await;
    case.until_held(PUBLIC);
    case.namespace.hosts(&format!("{PRIVATE} {HOST}\n"));
    let stays = format!("held connection stays on {PUBLIC}:6380 public, while DNS gives {PRIVATE}");
    let line = case.change(&stays).await;
    assert_eq!(line["to"], "pass", "{line}");
    close(&mut case);
    let line = case.change(reason).await;
    assert_eq!((&line["level"], &line["cause"]), (&"WARN".into(), &"held_connection_lost".into()), "{line}");
    let summary = line["summary"].as_str().expect("a sentence");
    assert!(summary.contains(&format!("held connection to {PUBLIC}:6380 public, lost after ")), "{summary}");
    case.until_held(PRIVATE);
}

#[tokio::test]
async fn held_public_side_closed_by_fin() {
    // The second server; the kernel closes its connections in order.
    closing_public_side("held-fin", |case| case.namespace.stop(1), "the peer closed it (FIN)").await;
}

#[tokio::test]
async fn held_public_side_closed_by_rst() {
    let reject = format!(
        "add table ip closed; add chain ip closed output {{ type filter hook output priority 0; }}; \
         add rule ip closed output ip daddr {PUBLIC} tcp dport 6380 reject with tcp reset"
    );
    closing_public_side("held-rst", |case| case.firewall(&reject), "it was reset (RST)").await;
}

#[tokio::test]
async fn held_dead_peer_is_found_in_3_intervals() {
    const INTERVAL: Duration = Duration::from_secs(2);
    let mut case = Case::start("held-silent", PRIVATE, "interval: 2s, timeout: 2s").await;
    case.until_held(PRIVATE);
    let drop = format!(
        "add table ip dead; add chain ip dead input {{ type filter hook input priority 0; }}; \
         add rule ip dead input ip daddr {PRIVATE} drop"
    );
    case.firewall(&drop);
    let began = Instant::now();
    let line = case.change("no acknowledgement of the PING within 1.0 s; retransmissions by the kernel: ").await;
    assert!(began.elapsed() <= INTERVAL * 3, "{:?}: {line}", began.elapsed());
}
