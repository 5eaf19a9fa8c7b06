//! What probing costs that goes on and on: CPU time a probe, memory, and what a scrape of all results costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::process::{Client, Memory, Process};
use super::programs::{Programs, blackbox_path, redis_exporter_path};
use super::table::{Middle, Table, mib, ms};

/// What came of watching a program probe.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steady {
    /// CPU time a probe.
    pub(crate) cpu: Duration,
    /// Memory at the end.
    pub(crate) memory: Memory,
    /// Probes a second.
    pub(crate) rate: f64,
    /// Threads at the end, and open files and sockets.
    pub(crate) threads: usize,
    pub(crate) descriptors: usize,
    /// The longest that a probe of redpath began after it was due, lately.
    pub(crate) lag: Duration,
}

/// How long is watched in a round with one target, and with many.
const ONE: Duration = Duration::from_secs(10);
const MANY: Duration = Duration::from_secs(8);
/// How long before.
const WARM_UP: Duration = Duration::from_secs(4);
/// How often. The machine is another one from minute to minute, so that each round has a ratio of its own.
const ROUNDS: usize = 5;

const TARGETS: usize = 200;

/// One after the other: whoever probes right after another finds the machine awake, and its caches warm.
struct Round {
    plain: Steady,
    /// Of all results, with the plain one.
    scrape: Duration,
    blackbox: Steady,
    /// With two more resolvers.
    more: Steady,
}

impl Round {
    fn watch(programs: &Programs<'_>, targets: usize, time: Duration) -> Self {
        let mut scrape = Duration::ZERO;
        let plain = watched(programs, 9101, targets, 0, time, |process| scrape = scrape_cost(process));
        let blackbox = driven(programs.blackbox(9103), 9103, targets, time, blackbox_path);
        let more = redpath(programs, 9102, targets, 2, time);
        Self { plain, scrape, blackbox, more }
    }
}

pub(crate) fn measure(programs: &Programs<'_>, table: &mut Table) {
    for (targets, time) in [(1, ONE), (TARGETS, MANY)] {
        let rounds: Vec<Round> = (0..ROUNDS).map(|_| Round::watch(programs, targets, time)).collect();
        let redis_exporter = driven(programs.redis_exporter(9104), 9104, targets, time, redis_exporter_path);
        rows(table, targets, &rounds, redis_exporter);
        if targets == TARGETS {
            let scrape = Middle::of(rounds.iter().map(|round| round.scrape.as_secs_f64() * 1e3));
            let probes = rounds[ROUNDS / 2].blackbox.cpu * u32::try_from(TARGETS).unwrap_or_default();
            table.row(
                "scrape of 200 targets, gzip, CPU",
                &format!("{:.2} ms ({:.2} to {:.2})", scrape.median, scrape.least, scrape.most),
                &format!("blackbox, which probes then: {}", ms(probes)),
                "at most 15 ms",
                Some(scrape.median <= 15.0),
            );
        }
    }
}

/// For profiles and quick looks: figures that depend on nobody else, with 0 and with 2 resolvers more.
pub(crate) fn alone(programs: &Programs<'_>) {
    let number = |name: &str, usual: usize| std::env::var(name).map_or(usual, |text| text.parse().expect("a number"));
    let (targets, seconds) = (number("BENCH_TARGETS", 10), number("BENCH_SECONDS", 10));
    // Beside another build, both at the same time, so that they share whatever else the machine is doing.
    let other =
        std::env::var_os("BENCH_OTHER").map(|redpath| Programs { redpath: redpath.into(), world: programs.world });
    for (http, resolvers) in [(9151, 0), (9152, 2)] {
        let time = Duration::from_secs(seconds as u64);
        let (this, other) = thread::scope(|scope| {
            let other = scope.spawn(|| other.as_ref().map(|other| redpath(other, http + 10, targets, resolvers, time)));
            (redpath(programs, http, targets, resolvers, time), other.join().expect("no panic"))
        });
        for (name, steady) in [("this", Some(this)), ("other", other)] {
            let Some(Steady { cpu, memory, .. }) = steady else { continue };
            println!("{name}: {targets} targets, {resolvers} resolvers more: {} a probe, {memory:?}", ms(cpu));
        }
    }
}

fn rows(table: &mut Table, targets: usize, rounds: &[Round], redis_exporter: Steady) {
    let cpu = |of: fn(&Round) -> Steady| Middle::of(rounds.iter().map(|round| of(round).cpu.as_secs_f64() * 1e3));
    let others =
        format!("blackbox {:.2} ms, redis_exporter {}", cpu(|round| round.blackbox).median, ms(redis_exporter.cpu));
    let plain: fn(&Round) -> Steady = |round| round.plain;
    let more: fn(&Round) -> Steady = |round| round.more;
    for (what, of, most) in [("", plain, 0.4), (", 2 more resolvers", more, 0.5)] {
        let ratio =
            Middle::of(rounds.iter().map(|round| of(round).cpu.as_secs_f64() / round.blackbox.cpu.as_secs_f64()));
        let figure =
            format!("{:.2} ms ({:.2} ×, {:.2} to {:.2})", cpu(of).median, ratio.median, ratio.least, ratio.most);
        let what = format!("CPU a probe, {targets} at 1/s{what}");
        table.row(&what, &figure, &others, &format!("at most {most} × blackbox"), Some(ratio.median <= most));
    }
    let most = if targets == 1 { 8 } else { 12 };
    let highest = |of: fn(&Round) -> Steady| {
        let memories = rounds.iter().map(|round| of(round).memory);
        memories.max_by_key(|memory| memory.resident).unwrap_or_default()
    };
    let (memory, blackbox) = (highest(plain), highest(|round| round.blackbox));
    table.row(
        &format!("resident memory, {targets} at 1/s, highest"),
        &format!("{} ({} own)", mib(memory.resident), mib(memory.anonymous)),
        &format!("blackbox {}, redis_exporter {}", mib(blackbox.resident), mib(redis_exporter.memory.resident)),
        &format!("at most {most} MiB"),
        Some(memory.resident <= most * 1024 * 1024),
    );
    if targets > 1 {
        let all = rounds.iter().flat_map(|round| [round.plain, round.blackbox, round.more]).chain([redis_exporter]);
        for steady in all {
            assert!(steady.rate > 0.8 * targets as f64, "a program kept to {:.0} probes a second only", steady.rate);
        }
    }
}

/// redpath, which probes by its own schedule; its page is scraped every 15 s, as Prometheus does.
pub(crate) fn redpath(programs: &Programs<'_>, http: u16, targets: usize, resolvers: usize, time: Duration) -> Steady {
    watched(programs, http, targets, resolvers, time, |_| {})
}

fn watched(
    programs: &Programs<'_>,
    http: u16,
    targets: usize,
    resolvers: usize,
    time: Duration,
    then: impl FnOnce(&Arc<Process>),
) -> Steady {
    let process = Arc::new(Process::start(programs.redpath_agent(http, targets, "1s", resolvers), http));
    thread::sleep(WARM_UP);
    let before = probes(&process);
    let (cpu, begun) = process.watched(|| {
        let begun = Instant::now();
        let mut prometheus = Client::with_gzip(process.http);
        while begun.elapsed() < time {
            prometheus.bytes("/metrics");
            thread::sleep(Duration::from_secs(15).min(time.saturating_sub(begun.elapsed())));
        }
        begun
    });
    let took = begun.elapsed();
    let after = probes(&process);
    assert_eq!(after.1, 0.0, "probes of redpath failed");
    let count = after.0 - before.0;
    let (memory, threads, descriptors) = (process.memory(), process.count("task"), process.count("fd"));
    let lag = Duration::from_secs_f64(sum(&process.get("/metrics"), "redpath_schedule_lag_seconds "));
    then(&process);
    Steady { cpu: cpu.div_f64(count), memory, rate: count / took.as_secs_f64(), threads, descriptors, lag }
}

/// How many probes there were, and how many of them failed.
fn probes(process: &Process) -> (f64, f64) {
    let page = process.get("/metrics");
    (sum(&page, "redpath_probes_total{"), sum(&page, "redpath_probe_failures_total{"))
}

/// The sum of the series that begin with `name`.
fn sum(page: &str, name: &str) -> f64 {
    let lines = page.lines().filter(|line| line.starts_with(name));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// A program that probes when it is asked: each target once a second, the questions evenly spread.
fn driven(
    command: std::process::Command,
    http: u16,
    targets: usize,
    time: Duration,
    path: impl Fn(usize) -> String + Sync,
) -> Steady {
    const CLIENTS: usize = 16;
    let process = Arc::new(Process::start(command, http));
    let answer = process.get(&path(0));
    assert!(answer.contains("probe_success 1") || answer.contains("redis_up 1"), "the first probe failed:\n{answer}");
    let (asked, path) = (AtomicUsize::new(0), &path);
    let drive = |time: Duration| {
        let begun = Instant::now();
        asked.store(0, Ordering::Relaxed);
        thread::scope(|scope| {
            for client in 0..CLIENTS.min(targets) {
                let (process, asked) = (&process, &asked);
                scope.spawn(move || {
                    let mut http = Client::new(process.http);
                    for turn in (client..).step_by(CLIENTS.min(targets)) {
                        let due = Duration::from_secs_f64(turn as f64 / targets as f64);
                        if due >= time {
                            break;
                        }
                        thread::sleep(due.saturating_sub(begun.elapsed()));
                        let answer = http.get(&path(turn % targets));
                        let succeeded = answer.contains("\nprobe_success 1") || answer.contains("redis_up 1");
                        assert!(succeeded, "a probe failed:\n{answer}");
                        asked.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        thread::sleep(time.saturating_sub(begun.elapsed()));
        begun.elapsed()
    };
    drive(WARM_UP);
    let (cpu, took) = process.watched(|| drive(time));
    let count = asked.load(Ordering::Relaxed) as f64;
    Steady {
        cpu: cpu.div_f64(count),
        memory: process.memory(),
        rate: count / took.as_secs_f64(),
        threads: process.count("task"),
        descriptors: process.count("fd"),
        lag: Duration::ZERO,
    }
}

/// The CPU time of one scrape: that of a second with scrapes less that of one without, several times.
fn scrape_cost(process: &Arc<Process>) -> Duration {
    const SCRAPES: u32 = 10;
    let mut costs: Vec<f64> = (0..3)
        .map(|_| {
            let mut prometheus = Client::with_gzip(process.http);
            let (with, _) = process.watched(|| {
                let begun = Instant::now();
                for _ in 0..SCRAPES {
                    assert!(!prometheus.bytes("/metrics").is_empty(), "no page");
                }
                thread::sleep(Duration::from_secs(2).saturating_sub(begun.elapsed()));
            });
            let (without, ()) = process.watched(|| thread::sleep(Duration::from_secs(2)));
            with.saturating_sub(without).as_secs_f64() / f64::from(SCRAPES)
        })
        .collect();
    Duration::from_secs_f64(super::table::median_and_p95(&mut costs).0)
}
