//! A machine that has no descriptors, memory, processor time or disk left, stands still, or steps its clock.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::time::interval;

use super::{HERE, HOST, config, more_probes, targets, until_cause, value};
use crate::support::agent::{Agent, Directory, agent};
use crate::support::certificates::{Certificates, Leaf};
use crate::support::dns::DnsServer;
use crate::support::memory_cap::MemoryCap;
use crate::support::process::{descriptors, resident_bytes, threads};
use crate::support::redis::{Redis, free_port};
use crate::support::zone::Zone;

/// A healthy world with so many targets, and its agent not yet started.
struct World {
    _redis: Redis,
    _dns: DnsServer,
    _certificates: Certificates,
    directory: Directory,
    text: String,
    count: usize,
}

impl World {
    fn new(name: &str, count: usize) -> Self {
        Self::with(name, count, &[])
    }

    /// The same, with more said to redis-server.
    fn with(name: &str, count: usize, arguments: &[&str]) -> Self {
        let certificates = Certificates::new();
        let redis = Redis::tls(&certificates, &certificates.leaf(Leaf::Good), arguments);
        let dns = DnsServer::start(Zone::healthy(HOST, HERE).script());
        let text = config(&certificates, dns.address(), "1s", &targets(count, &[redis.port]));
        Self { _redis: redis, _dns: dns, _certificates: certificates, directory: Directory::new(name), text, count }
    }

    fn command(&self) -> tokio::process::Command {
        agent(&self.directory.file("redpath.yaml", &self.text))
    }

    async fn is_healthy(&self, agent: &Agent) {
        for target in 0..self.count {
            until_cause(agent, &format!("t{target}"), "healthy").await;
        }
    }
}

fn pid(agent: &Agent) -> u32 {
    agent.child.id().expect("it runs")
}

/// Waits for real time to pass, which is what is tried here.
async fn let_pass(time: Duration) {
    let began = Instant::now();
    let mut ticks = interval(Duration::from_millis(50));
    while began.elapsed() < time {
        ticks.tick().await;
    }
}

/// The sum of all series of a family.
fn sum(page: &str, family: &str) -> f64 {
    let values = page.lines().filter(|line| line.starts_with(&format!("{family}{{")));
    values.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

#[tokio::test]
async fn fault_descriptors_exhausted() {
    let world = World::new("descriptors", 12);
    let agent = Agent::start(world.command()).await;
    world.is_healthy(&agent).await;
    let (before, open) = (agent.request("GET", "/metrics").await, descriptors(pid(&agent)));
    let limit = |soft: &str| {
        let mut command = Command::new("prlimit");
        command.args(["--pid", &pid(&agent).to_string(), &format!("--nofile={soft}:")]);
        assert!(command.status().expect("prlimit, of util-linux").success());
    };
    // Fewer than it has: no probe gets a socket, and no request an answer.
    limit(&(open / 2).to_string());
    let_pass(Duration::from_secs(4)).await;
    limit("1024");
    world.is_healthy(&agent).await;
    let page = agent.request("GET", "/metrics").await;
    let failed = sum(&page, "redpath_probe_failures_total") - sum(&before, "redpath_probe_failures_total");
    assert!(failed >= 12.0, "probes without a socket do not pass: {failed}");
    // It is this machine that cannot look, and no server's fault.
    for blamed in ["dns_unreachable", "dns_timeout", "connect_refused", "connect_failed", "name_not_found"] {
        assert!(!page.contains(&format!("cause=\"{blamed}\"")), "{blamed} is blamed:\n{page}");
    }
    more_probes(&agent, "t0", 2).await;
    assert!(descriptors(pid(&agent)) <= open + 24, "{} were open, {} are", open, descriptors(pid(&agent)));
}

/// As on a mount that hangs: whoever opens the file waits until it is let go (fcntl(2), `F_SETLEASE`).
struct Held(#[expect(dead_code, reason = "while it runs, it holds the file")] Ended);

impl Held {
    fn hold(file: &std::path::Path) -> Self {
        const SCRIPT: &str = "$SIG{IO} = 'IGNORE'; $| = 1; open(my $file, '+<', $ARGV[0]) or die $!; \
                              fcntl($file, 1024, 1) or die \"no lease: $!\"; print \"held\\n\"; <STDIN>;";
        let mut command = Command::new("perl");
        command.args(["-e", SCRIPT]).arg(file).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("perl, which every Debian has");
        let mut said = String::new();
        let _ = BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut said);
        let child = Ended(child);
        assert_eq!(said, "held\n", "perl says why on stderr");
        Self(child)
    }
}

/// A process that ends with its owner.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn fault_hung_secret_mount_holds_two_threads() {
    let mut world = World::with("hung", 12, &["--requirepass", "hunter2"]);
    let secret = world.directory.file("password", "hunter2");
    let auth = format!("auth: {{method: password, password_file: {}}}, posture:", secret.display());
    world.text = world.text.replace("posture:", &auth);
    let agent = Agent::start(world.command()).await;
    world.is_healthy(&agent).await;
    let held = Held::hold(&secret);
    until_cause(&agent, "t0", "credential_unavailable").await;
    let some = threads(pid(&agent));
    more_probes(&agent, "t0", 5).await;
    let more = threads(pid(&agent));
    assert!(more <= some + 4, "{some} threads, then {more}: each probe leaves one behind");
    until_cause(&agent, "t11", "credential_unavailable").await;
    drop(held);
    world.is_healthy(&agent).await;
}

#[tokio::test]
async fn fault_memory_limited_to_32_mib() {
    let world = World::new("memory", 20);
    let cap = MemoryCap::of(32 << 20);
    let agent = Agent::start(world.command()).await;
    cap.hold(pid(&agent));
    world.is_healthy(&agent).await;
    more_probes(&agent, "t19", 4).await;
    world.is_healthy(&agent).await;
}

#[tokio::test]
async fn fault_cpu_is_contended() {
    let world = World::new("starved", 4);
    let mut command = tokio::process::Command::new("taskset");
    command.args(["-c", "0", "nice", "-n", "10", env!("CARGO_BIN_EXE_redpath"), "agent", "--log-format", "json"]);
    command.arg("--config").arg(world.directory.file("redpath.yaml", &world.text));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let _spinning: Vec<Spinning> = (0..4).map(|_| Spinning::start()).collect();
    let agent = Agent::start(command).await;
    world.is_healthy(&agent).await;
    more_probes(&agent, "t3", 4).await;
    world.is_healthy(&agent).await;
}

/// A process that wants all of the first processor.
struct Spinning(#[expect(dead_code, reason = "while it runs, it spins")] Ended);

impl Spinning {
    fn start() -> Self {
        let spin = ["-c", "0", "sh", "-c", "while :; do :; done"];
        Self(Ended(Command::new("taskset").args(spin).spawn().expect("taskset, of util-linux")))
    }
}

#[tokio::test]
async fn fault_process_stopped_and_continued() {
    // A minute, where somebody has the time: the shorter one is longer than every limit in the agent, too.
    let stood: f64 = std::env::var("REDPATH_TEST_STOPPED_SECONDS").map_or(7.0, |text| text.parse().expect("seconds"));
    let world = World::new("stopped", 8);
    let agent = Agent::start(world.command()).await;
    world.is_healthy(&agent).await;
    let (open, all_threads) = (descriptors(pid(&agent)), threads(pid(&agent)));
    let before = sum(&agent.request("GET", "/metrics").await, "redpath_probes_total");
    agent.signal("STOP").await;
    let_pass(Duration::from_secs_f64(stood)).await;
    agent.signal("CONT").await;
    more_probes(&agent, "t0", 2).await;
    world.is_healthy(&agent).await;
    let page = agent.request("GET", "/metrics").await;
    // What was missed is left out: no burst of what was due meanwhile.
    let probes = sum(&page, "redpath_probes_total") - before;
    assert!(probes < 8.0 * stood, "{probes} probes after {stood} s of standstill");
    let lag = value(&page, "redpath_schedule_lag_seconds").expect("it is always there");
    assert!(lag > stood - 3.0, "it says that it was late: {lag}");
    assert!(descriptors(pid(&agent)) <= open + 16 && threads(pid(&agent)) <= all_threads + 2);
}

#[tokio::test]
async fn fault_clock_steps() {
    let world = World::new("clock", 2);
    let offset = world.directory.file("offset", "+0");
    let library = format!("/usr/lib/{}-linux-gnu/faketime/libfaketime.so.1", std::env::consts::ARCH);
    assert!(std::path::Path::new(&library).exists(), "{library} is missing: apt-get install libfaketime");
    let mut command = world.command();
    command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", &offset);
    command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let agent = Agent::start(command).await;
    world.is_healthy(&agent).await;
    let last = "redpath_last_probe_timestamp_seconds{target=\"t0\"}";
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs_f64();
    for step in [400.0_f64, -400.0] {
        let before = sum(&agent.request("GET", "/metrics").await, "redpath_probes_total");
        let began = Instant::now();
        std::fs::write(&offset, format!("{step:+}d")).expect("the file is changed");
        let there = now() + step * 86_400.0;
        agent.page_where("/metrics", |page| value(page, last).is_some_and(|at| (at - there).abs() < 3_600.0)).await;
        more_probes(&agent, "t0", 3).await;
        world.is_healthy(&agent).await;
        let page = agent.request("GET", "/metrics").await;
        let probes = sum(&page, "redpath_probes_total") - before;
        let most = 2.0 * (began.elapsed().as_secs_f64() + 2.0);
        assert!(probes <= most, "{probes} probes, and at most {most} were due");
        // Durations are of the clock that does not step.
        let spent = sum(&page, "redpath_probe_duration_seconds_sum");
        assert!((0.0..60.0).contains(&spent), "{spent}");
    }
}

#[tokio::test]
async fn fault_log_disk_is_full() {
    let world = World::new("full", 2);
    let port = free_port();
    let text = world.text.replace("127.0.0.1:0}", &format!("127.0.0.1:{port}}}"));
    let mut command = agent(&world.directory.file("redpath.yaml", &text));
    let full = OpenOptions::new().write(true).open("/dev/full").expect("/dev/full, full(4)");
    command.stderr(full);
    let child = command.spawn().expect("it starts");
    let agent = Agent { child, stderr: None, lines: Vec::new(), listen: format!("127.0.0.1:{port}") };
    let mut tries = interval(Duration::from_millis(50));
    while tokio::net::TcpStream::connect(&agent.listen).await.is_err() {
        tries.tick().await;
    }
    world.is_healthy(&agent).await;
    assert!(agent.request("POST", "/-/reload").await.starts_with("HTTP/1.1 2"), "which logs a line");
    more_probes(&agent, "t1", 2).await;
    assert!(resident_bytes(pid(&agent)) < 64 << 20);
}

#[tokio::test]
async fn fault_log_is_not_read() {
    let world = World::new("unread", 2);
    // The pipe of its log is only read as far as the line that says that it has started.
    let mut agent = Agent::start(agent(&world.directory.file("redpath.yaml", &world.text))).await;
    // Each is a line of 150 bytes or more, and a pipe holds 64 KiB.
    for number in 0..1_000 {
        let reply = agent.request("POST", "/-/reload").await;
        assert!(reply.starts_with("HTTP/1.1 2"), "reload {number}: {reply}");
    }
    more_probes(&agent, "t1", 2).await;
    // The reader is back: there is room again, and the next line comes after one that tells.
    for _ in 0..100 {
        agent.next_line("reloaded configuration").await;
    }
    assert!(agent.request("POST", "/-/reload").await.starts_with("HTTP/1.1 2"));
    let told = agent.next_line("log lines were lost: the reader did not take them").await;
    assert!(told["level"] == "WARN" && told["lost"].as_u64().is_some_and(|lost| lost > 100), "{told}");
    agent.next_line("reloaded configuration").await;
    agent.signal("TERM").await;
    assert!(agent.ended().await.success(), "it ends in order");
}
