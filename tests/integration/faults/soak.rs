//! Two hundred targets a second, while their servers come and go: nothing grows.

use std::time::{Duration, Instant};

use tokio::time::interval;

use super::{HERE, HOST, config, targets};
use crate::support::agent::{Agent, Directory, agent};
use crate::support::certificates::{Certificates, Leaf};
use crate::support::dns::DnsServer;
use crate::support::process::{descriptors, resident_bytes, threads};
use crate::support::redis::Redis;
use crate::support::{release, zone::Zone};

/// What may differ between two moments: dozens of probes under way, each of some 30 KiB, and pages of the allocator.
const MORE_MEMORY: u64 = 2 << 20;
const MORE_DESCRIPTORS: usize = 100;
/// Threads that read files: a burst wakes some, and they end after ten seconds without work.
const MORE_THREADS: u64 = 16;

/// Two minutes, or as long as `REDPATH_TEST_SOAK_MINUTES` says; the first minute is for what is allocated once.
#[tokio::test]
async fn soak_resources_stay_constant() {
    let minutes: f64 = std::env::var("REDPATH_TEST_SOAK_MINUTES").map_or(2.0, |text| text.parse().expect("minutes"));
    let certificates = Certificates::new();
    let leaf = certificates.leaf(Leaf::Good);
    let mut servers: Vec<Redis> = (0..4).map(|_| Redis::tls(&certificates, &leaf, &[])).collect();
    let ports: Vec<u16> = servers.iter().map(|server| server.port).collect();
    let mut dns = Some(DnsServer::start(Zone::healthy(HOST, HERE).script()));
    let address = dns.as_ref().expect("it runs").address();
    let directory = Directory::new("soak");
    let file = directory.file("redpath.yaml", &config(&certificates, address, "1s", &targets(200, &ports)));
    let mut command = agent(&file);
    let mut shipped = tokio::process::Command::new(release::binary());
    shipped.args(command.as_std().get_args()).stdin(std::process::Stdio::null()).kill_on_drop(true);
    shipped.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
    std::mem::swap(&mut command, &mut shipped);
    let mut agent = Agent::start(command).await;
    // Verdicts change all the time here: the log is read, and not kept.
    let mut log = agent.stderr.take().expect("a log");
    let reading = tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
    let pid = agent.child.id().expect("it runs");

    let began = Instant::now();
    let end = Duration::from_secs_f64(minutes * 60.0);
    let warm = Duration::from_secs(60).min(end / 2);
    let mut first = None;
    let mut turn = interval(Duration::from_secs(5));
    let mut round = 0_usize;
    while began.elapsed() < end {
        turn.tick().await;
        let place = round % 8;
        if place < 4 {
            servers[place].kill();
        } else {
            servers[place - 4].start_again();
        }
        match round % 6 {
            3 => drop(dns.take()),
            4 => dns = Some(DnsServer::start_at(address, true, Zone::healthy(HOST, HERE).script())),
            _ => {}
        }
        round += 1;
        // The same place in the cycle each time, so that the same servers are up.
        if began.elapsed() >= warm && round.is_multiple_of(24) | first.is_none() {
            let look = Look::at(&agent, pid).await;
            println!("{:4.0} s: {look:?}", began.elapsed().as_secs_f64());
            first.get_or_insert(look);
        }
    }
    if dns.is_none() {
        dns = Some(DnsServer::start_at(address, true, Zone::healthy(HOST, HERE).script()));
    }
    for server in &mut servers {
        server.start_again();
    }
    let (first, last) = (first.expect("it ran for that long"), Look::at(&agent, pid).await);
    println!("at first {first:?}, at last {last:?}");
    assert!(last.resident <= first.resident + MORE_MEMORY, "memory grew: {first:?} {last:?}");
    assert!(last.descriptors <= first.descriptors + MORE_DESCRIPTORS, "descriptors leak: {first:?} {last:?}");
    assert!(last.threads <= first.threads + MORE_THREADS, "threads leak: {first:?} {last:?}");
    assert!(last.series <= first.series + first.series / 10, "series grow: {first:?} {last:?}");
    assert!(last.probes > first.probes, "it goes on: {first:?} {last:?}");
    drop(dns);
    reading.abort();
}

/// The agent at one moment. What fails at it decides on some series: every twentieth comes and goes.
#[derive(Debug)]
struct Look {
    resident: u64,
    descriptors: usize,
    threads: u64,
    series: usize,
    probes: u64,
}

impl Look {
    async fn at(agent: &Agent, pid: u32) -> Self {
        let page = agent.request("GET", "/metrics").await;
        let series = page.lines().filter(|line| line.starts_with("redpath_")).count();
        let probes = page.lines().filter(|line| line.starts_with("redpath_probes_total{"));
        let probes = probes.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum();
        let (resident, descriptors, threads) = (resident_bytes(pid), descriptors(pid), threads(pid));
        Self { resident, descriptors, threads, series, probes }
    }
}
