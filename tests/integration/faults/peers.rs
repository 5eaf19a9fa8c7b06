//! Servers that die, return and move, and a resolv.conf that changes under the agent.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{HERE, HOST, config, more_probes, until_cause, value};
use crate::support::agent::{Agent, Directory, agent};
use crate::support::certificates::{Certificates, Leaf};
use crate::support::dns::{Action, DnsServer};
use crate::support::namespace::{Namespace, write_bind};
use crate::support::redis::Redis;
use crate::support::zone::Zone;

#[tokio::test]
async fn fault_dns_server_restarts() {
    let certificates = Certificates::new();
    let redis = Redis::tls(&certificates, &certificates.leaf(Leaf::Good), &[]);
    let dns = DnsServer::start(Zone::healthy(HOST, HERE).script());
    let address = dns.address();
    let directory = Directory::new("dns-dies");
    let file = directory.file("redpath.yaml", &config(&certificates, address, "1s", &[("a".to_owned(), redis.port)]));
    let agent = Agent::start(agent(&file)).await;
    until_cause(&agent, "a", "healthy").await;
    drop(dns);
    until_cause(&agent, "a", "dns_unreachable").await;
    let page = agent.request("GET", "/metrics").await;
    assert_eq!(value(&page, "redpath_probe_success{target=\"a\"}"), Some(0.0));
    // A path that was not seen is not private, and no phase after it has an outcome of its own.
    assert_eq!(value(&page, "redpath_path_private{target=\"a\"}"), Some(0.0), "{page}");
    assert_eq!(value(&page, "redpath_phase_outcome{target=\"a\",phase=\"ping\",outcome=\"not_reached\"}"), Some(1.0));
    let _dns = DnsServer::start_at(address, true, Zone::healthy(HOST, HERE).script());
    until_cause(&agent, "a", "healthy").await;
    let page = agent.request("GET", "/metrics").await;
    assert_eq!(value(&page, "redpath_resolution_changes_total{target=\"a\",view=\"lab\"}"), Some(0.0), "{page}");
}

#[tokio::test]
async fn fault_endpoint_moves_and_server_restarts() {
    let certificates = Certificates::new();
    let mut redis = Redis::tls(&certificates, &certificates.leaf(Leaf::Good), &["--bind", "127.0.0.1", "127.0.0.2"]);
    let moved = Arc::new(AtomicBool::new(false));
    let moves = moved.clone();
    let elsewhere = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let dns = DnsServer::start(move |asked| {
        let at = if moves.load(Ordering::Relaxed) { elsewhere } else { HERE.into() };
        Action::Reply(Zone::healthy(HOST, at).answer(asked))
    });
    let directory = Directory::new("endpoint-moves");
    let file =
        directory.file("redpath.yaml", &config(&certificates, dns.address(), "1s", &[("a".to_owned(), redis.port)]));
    let agent = Agent::start(agent(&file)).await;
    until_cause(&agent, "a", "healthy").await;
    let changes = "redpath_resolution_changes_total{target=\"a\",view=\"lab\"}";
    for (is_moved, cause, count) in [(true, "unexpected_address", 1.0), (false, "healthy", 2.0)] {
        moved.store(is_moved, Ordering::Relaxed);
        until_cause(&agent, "a", cause).await;
        more_probes(&agent, "a", 1).await;
        assert_eq!(value(&agent.request("GET", "/metrics").await, changes), Some(count), "one change for one move");
    }
    redis.kill();
    until_cause(&agent, "a", "connect_refused").await;
    redis.start_again();
    until_cause(&agent, "a", "healthy").await;
}

/// As DHCP and an upgrade of the node do.
#[tokio::test]
async fn fault_resolv_conf_changes() {
    const LINKED: &str = "10.10.0.52";
    const UNLINKED: &str = "10.10.0.53";
    let mut namespace = Namespace::new(&["10.10.0.52/32", "10.10.0.53/32"]);
    let (private, public) = (IpAddr::V4(Ipv4Addr::new(10, 60, 4, 5)), IpAddr::V4(Ipv4Addr::new(20, 50, 1, 10)));
    let folder = namespace.folder().to_owned();
    write_bind(&folder, &[LINKED], &[UNLINKED], private, public);
    // Debian's AppArmor profile keeps /usr/sbin/named out of every folder but its own; it goes by the path.
    let (named, conf) = (folder.join("named"), folder.join("named.conf"));
    std::fs::copy("/usr/sbin/named", &named).expect("named is missing: apt-get install bind9");
    let [named, conf] = [&named, &conf].map(|path| path.to_str().expect("a UTF-8 path"));
    namespace.start(named, &["-g", "-n", "1", "-c", conf], format!("{LINKED}:53").parse().expect("an address"));
    namespace.resolv_conf(&format!("nameserver {UNLINKED}\n"));
    let directory = Directory::new("resolv-conf");
    let file = directory.file(
        "redpath.yaml",
        &format!(
            "defaults: {{interval: 1s, timeout: 1s}}\nweb: {{listen: 127.0.0.1:0}}\n\
             targets: [{{name: a, host: {HOST}}}]\n"
        ),
    );
    let mut command = namespace.command(env!("CARGO_BIN_EXE_redpath"));
    command.args(["agent", "--log-format", "json", "--config"]).arg(&file).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true);
    let mut agent = Agent::start(command).await;
    let verdict = agent.next_line("verdict changed").await;
    assert!(verdict.to_string().contains("20.50.1.10"), "{verdict}");
    // Nothing is at the endpoint: that the name leads there is what is looked for.
    for (server, leads_to) in [(LINKED, "connect_refused"), (UNLINKED, "private_zone_not_seen"), (LINKED, "connect_")] {
        namespace.resolv_conf(&format!("nameserver {server}\n"));
        loop {
            let verdict = agent.next_line("verdict changed").await;
            let cause = verdict["cause"].as_str().expect("a cause").to_owned();
            if cause.starts_with(leads_to) || (leads_to.starts_with("connect") && cause.contains("unreachable")) {
                break;
            }
        }
    }
}
