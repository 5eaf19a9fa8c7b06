//! Reloads in the middle of probing, by the hundred.

use std::collections::BTreeMap;

use super::{HERE, HOST, config, until_cause, value};
use crate::support::agent::{Agent, Directory, agent};
use crate::support::certificates::Certificates;
use crate::support::dns::DnsServer;
use crate::support::fake_redis::{Answer, Event, FakeRedis};
use crate::support::zone::Zone;

const RELOADS: usize = 500;
const STABLE: usize = 10;

#[tokio::test]
async fn reload_500_times_keeps_targets() {
    let certificates = Certificates::new();
    let dns = DnsServer::start(Zone::healthy(HOST, HERE).script());
    // A server for each target, without TLS, so that each connection is one probe of one target.
    let servers: Vec<FakeRedis> = (0..=STABLE)
        .map(|_| {
            let script = |event: Event<'_>| match event {
                Event::Connected => Answer::Send(Vec::new()),
                Event::Command { words, .. } if words[0] == "QUIT" => Answer::SendAndClose(b"+OK\r\n".to_vec()),
                Event::Command { .. } => Answer::line("+PONG"),
            };
            FakeRedis::start("127.0.0.1:0".parse().expect("an address"), None, script).expect("a free port")
        })
        .collect();
    let all: Vec<(String, u16)> =
        servers.iter().enumerate().map(|(number, server)| (format!("t{number}"), server.address().port())).collect();
    let text = |targets: &[(String, u16)]| {
        config(&certificates, dns.address(), "400ms", targets)
            .replace(&format!("ca_file: {}", certificates.ca_file().display()), "plaintext: true")
    };
    let directory = Directory::new("reloads");
    let file = directory.file("redpath.yaml", &text(&all));
    let agent = Agent::start(agent(&file)).await;
    until_cause(&agent, "t0", "healthy").await;

    let mut counts: BTreeMap<String, f64> = BTreeMap::new();
    for round in 0..RELOADS {
        let is_bad = round % 10 == 9;
        let content = match (is_bad, round % 2) {
            (true, _) => text(&all).replace("targets:", "tragets:"),
            (false, 0) => text(&all[..STABLE]),
            (false, _) => text(&all),
        };
        std::fs::write(&file, content).expect("the file is changed");
        let reply = agent.request("POST", "/-/reload").await;
        assert_eq!(reply.starts_with("HTTP/1.1 2"), !is_bad, "reload {round}: {reply}");
        if round % 25 != 4 && round % 50 != 49 {
            continue;
        }
        let page = agent.request("GET", "/metrics").await;
        for (name, _) in &all[..STABLE] {
            let count = value(&page, &format!("redpath_probes_total{{target=\"{name}\"}}"));
            let count = count.unwrap_or_else(|| panic!("the series of {name} are lost at reload {round}"));
            let before = counts.insert(name.clone(), count).unwrap_or_default();
            assert!(count >= before, "{name} went from {before} to {count} at reload {round}");
        }
        let successful = value(&page, "redpath_config_last_reload_successful");
        assert_eq!(successful, Some(if is_bad { 0.0 } else { 1.0 }), "reload {round}");
    }
    let mut agent = agent;
    let page = agent.request("GET", "/metrics").await;
    agent.signal("TERM").await;
    assert!(agent.ended().await.success());
    for (server, (name, _)) in servers.iter().zip(&all).take(STABLE) {
        let counted = value(&page, &format!("redpath_probes_total{{target=\"{name}\"}}")).expect("it was there");
        let connections = u32::try_from(server.connections().len()).expect("some hundred");
        // Between the page and the end, one probe may have begun, and one been under way.
        let extra = f64::from(connections) - counted;
        assert!((0.0..=2.0).contains(&extra), "{name}: {counted} probes counted, {connections} connections made");
        assert!(counted >= 5.0, "{name} was probed meanwhile: {counted}");
    }
}
