//! Peers that mean harm, or are broken as badly: name servers, TLS servers and Redis servers that loop, flood,
//! stall and dribble. One agent probes all of them at once, again and again; each has to get its own code within
//! its own deadline, and all of them together may cost the agent a bounded amount of memory.
#![allow(clippy::print_stdout, reason = "the figures of a run are shown by --nocapture")]

mod dns;
mod peer;
mod redis;
mod tls;

use std::fmt::Write;
use std::time::Duration;

use redpath::record::Record;

use self::peer::Peer;
use crate::support::agent::{Agent, Directory, agent};
use crate::support::certificates::{Certificates, NAME};
use crate::support::dns::DnsServer;
use crate::support::process::peak_resident_bytes;
use crate::support::zone::Zone;

/// The limit of each probe; a phase may have half of it.
const TIMEOUT: Duration = Duration::from_secs(3);

/// What a deadline may be overrun by on a machine that does other things as well.
const SLACK: Duration = Duration::from_millis(900);

/// How often every peer is probed at least: what grows would have grown.
const PROBES: u32 = 3;

/// The most that all of the hostile peers together may cost beyond as many honest ones, at any moment.
/// A reply of Redis has a bound of 64 KiB, a cluster's announcement of 1 MiB and a DNS message of 64 KiB. What is
/// read of an announcement can be twenty times its bytes for a moment (a quarter of a million empty arrays), and
/// is let go before the next is due.
const MOST_MEMORY: u64 = 40 << 20;

#[tokio::test]
async fn hostile_dns_servers_are_bounded() {
    let certificates = Certificates::new();
    each_gets_its_code_in_time_and_in_bounds(&dns::peers(), &certificates).await;
}

#[tokio::test]
async fn hostile_tls_servers_are_bounded() {
    let certificates = Certificates::new();
    each_gets_its_code_in_time_and_in_bounds(&tls::peers(&certificates), &certificates).await;
}

#[tokio::test]
async fn hostile_redis_servers_are_bounded() {
    let certificates = Certificates::new();
    each_gets_its_code_in_time_and_in_bounds(&redis::peers(&certificates), &certificates).await;
}

/// The floods of one test would be the others' want of processor time.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn each_gets_its_code_in_time_and_in_bounds(peers: &[Peer], certificates: &Certificates) {
    let _turn = ONE_AT_A_TIME.lock().await;
    let honest = probed(&peers.iter().map(|_| redis::honest(certificates)).collect::<Vec<_>>(), certificates).await;
    for record in &honest.records {
        assert_eq!(record.verdict.cause.as_str(), "healthy", "{record:?}");
    }
    let hostile = probed(peers, certificates).await;
    let mut wrong = Vec::new();
    for (peer, record) in peers.iter().zip(&hostile.records) {
        let (cause, took) = (record.verdict.cause.as_str(), record.took_seconds.0);
        println!("{:34} {cause:24} {took:?}", peer.name);
        if !peer.causes.contains(&cause) {
            let detail = record.findings.first().map(|finding| finding.summary.as_str()).unwrap_or_default();
            wrong.push(format!("{}: {cause}, and not {:?}: {detail}", peer.name, peer.causes));
        }
        if took > TIMEOUT + SLACK {
            wrong.push(format!("{} took {took:?} of {TIMEOUT:?}", peer.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let (honest, hostile) = (honest.peak_bytes >> 10, hostile.peak_bytes >> 10);
    println!("peak: {honest} KiB with {} honest peers, {hostile} KiB with as many hostile ones", peers.len());
    let more = hostile.saturating_sub(honest);
    assert!(more <= MOST_MEMORY >> 10, "the hostile peers cost {more} KiB more than honest ones");
}

/// What came of it.
struct Probed {
    /// Of each peer, in their order.
    records: Vec<Record>,
    /// The most memory that was resident at any moment.
    peak_bytes: u64,
}

/// Has an agent probe all these peers at once, each several times.
async fn probed(peers: &[Peer], certificates: &Certificates) -> Probed {
    let good = DnsServer::start(Zone::healthy(NAME, [127, 0, 0, 1]).script());
    let directory = Directory::new("hostile");
    let mut resolvers = format!("resolvers:\n- {{name: good, address: \"{}\"}}\n", good.address());
    let mut targets = "targets:\n".to_owned();
    for (number, peer) in peers.iter().enumerate() {
        let view = match peer.resolver {
            Some(address) => {
                writeln!(resolvers, "- {{name: r{number}, address: \"{address}\"}}").unwrap();
                format!("r{number}")
            }
            None => "good".to_owned(),
        };
        writeln!(targets, "- {{name: {}-{number}, host: {NAME}, port: {}, views: [{view}]}}", peer.name, peer.port)
            .unwrap();
    }
    let config = directory.file(
        "redpath.yaml",
        &format!(
            "{resolvers}private_ranges: [127.0.0.0/8]\nweb: {{listen: 127.0.0.1:0}}\n\
             defaults: {{interval: 3s, timeout: {}s, posture: {{require_auth: false}}, tls: {{ca_file: {}}}}}\n{targets}",
            TIMEOUT.as_secs(),
            certificates.ca_file().display()
        ),
    );
    let mut agent = Agent::start(agent(&config)).await;
    for (number, peer) in peers.iter().enumerate() {
        agent.has_probed(&format!("{}-{number}", peer.name), PROBES).await;
    }
    let peak_bytes = peak_resident_bytes(agent.child.id().expect("it runs"));
    let page = agent.request("GET", "/api/v1/records").await;
    let body = page.split_once("\r\n\r\n").expect("a body").1;
    let report: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let mut records: Vec<Record> = serde_json::from_value(report["records"].clone()).expect("records");
    let place = |record: &Record| {
        let name = record.target.name.clone();
        name.rsplit_once('-').expect("a number").1.parse::<usize>().expect("a number")
    };
    records.sort_by_key(place);
    assert_eq!(records.len(), peers.len());
    agent.signal("TERM").await;
    assert!(agent.ended().await.success(), "it ends in order");
    Probed { records, peak_bytes }
}
