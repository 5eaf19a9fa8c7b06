//! Continuous probing, each target once a second: CPU time per probe, memory, and the CPU time of a scrape.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::environment::Environment;
use super::http_client::HttpClient;
use super::process::{Memory, Process};
use super::programs;
use super::table::{Summary, Table, mib, milliseconds};

/// The speed of a machine changes from minute to minute: ratios are taken within a round.
const ROUNDS: usize = 5;
const WARM_UP: Duration = Duration::from_secs(4);
const MEASURED: Duration = Duration::from_secs(10);
/// The interval of Prometheus.
const SCRAPE_INTERVAL: Duration = Duration::from_secs(15);

/// What one program used in one round.
#[derive(Clone, Copy, Debug)]
struct Usage {
    /// CPU seconds per probe.
    cpu: f64,
    /// At the end of the round.
    memory: Memory,
    /// CPU seconds per scrape; 0 for programs that probe during the scrape.
    scrape: f64,
}

/// All programs in turn.
struct Round {
    builds: Vec<Usage>,
    blackbox: Usage,
}

pub(crate) fn measure(environment: &Environment, builds: &[PathBuf], targets: usize, table: &mut Table) {
    let rounds: Vec<Round> = (0..ROUNDS)
        .map(|_| Round {
            builds: builds.iter().map(|build| measure_redpath(environment, build, targets)).collect(),
            blackbox: measure_blackbox(environment, targets),
        })
        .collect();
    let of_build = |build: usize| rounds.iter().map(move |round| round.builds[build]);
    let each_build = |text: &dyn Fn(usize) -> String| (0..builds.len()).map(text).collect::<Vec<_>>();

    let ratio = |build: usize| Summary::of(rounds.iter().map(|round| round.builds[build].cpu / round.blackbox.cpu));
    table.add(
        &format!("CPU per probe, {}", count(targets)),
        &each_build(&|build| {
            let Summary { median, least, greatest } = ratio(build);
            let cpu = milliseconds(Summary::of(of_build(build).map(|usage| usage.cpu)));
            format!("{cpu}; {median:.2} × ({least:.2} to {greatest:.2})")
        }),
        &format!("blackbox_exporter {}", milliseconds(Summary::of(rounds.iter().map(|round| round.blackbox.cpu)))),
        "at most 0.5 × blackbox_exporter",
        ratio(0).median <= 0.5,
    );

    let (anonymous_bound, resident_bound) = if targets == 1 { (2, 11) } else { (9, 16) };
    for (kind, bound, bytes) in [
        ("anonymous", anonymous_bound, (|memory| memory.anonymous) as fn(Memory) -> u64),
        ("resident", resident_bound, |memory| memory.resident),
    ] {
        let greatest = |usages: &mut dyn Iterator<Item = Usage>| usages.map(|usage| bytes(usage.memory)).max();
        let of_build = |build: usize| greatest(&mut of_build(build)).unwrap_or_default();
        let blackbox = greatest(&mut rounds.iter().map(|round| round.blackbox)).unwrap_or_default();
        table.add(
            &format!("{kind} memory, {}, greatest of the rounds", count(targets)),
            &each_build(&|build| mib(of_build(build))),
            &format!("blackbox_exporter {}", mib(blackbox)),
            &format!("at most {bound} MiB"),
            of_build(0) <= bound * 1024 * 1024,
        );
    }

    if targets > 1 {
        let scrape = |build: usize| Summary::of(of_build(build).map(|usage| usage.scrape));
        table.add(
            &format!("CPU of a scrape, {}, gzip", count(targets)),
            &each_build(&|build| milliseconds(scrape(build))),
            "",
            "at most 40 ms",
            scrape(0).median <= 0.040,
        );
    }
}

fn count(targets: usize) -> String {
    if targets == 1 { "1 target".to_owned() } else { format!("{targets} targets") }
}

/// redpath probes on its own schedule; its page is scraped as Prometheus does.
#[expect(clippy::cast_precision_loss, reason = "a count of targets")]
fn measure_redpath(environment: &Environment, build: &Path, targets: usize) -> Usage {
    let process = Process::start(programs::redpath(environment, build, targets), programs::REDPATH_PORT);
    thread::sleep(WARM_UP);
    let before = metric(&process, "redpath_probes_total{");
    let ((), cpu) = process.cpu_during(|| {
        let mut prometheus = HttpClient::with_gzip(process.http);
        let started = Instant::now();
        while started.elapsed() < MEASURED {
            prometheus.get_bytes("/metrics");
            thread::sleep(SCRAPE_INTERVAL.min(MEASURED.saturating_sub(started.elapsed())));
        }
    });
    let probes = metric(&process, "redpath_probes_total{") - before;
    assert_eq!(metric(&process, "redpath_probe_failures_total{"), 0.0, "probes of redpath failed");
    assert!(probes > 0.8 * targets as f64 * MEASURED.as_secs_f64(), "redpath made only {probes} probes");
    let memory = process.memory();
    let scrape = if targets > 1 { cpu_of_a_scrape(&process) } else { 0.0 };
    Usage { cpu: cpu.as_secs_f64() / probes, memory, scrape }
}

/// The sum of the series whose lines start with `prefix`.
pub(crate) fn metric(process: &Process, prefix: &str) -> f64 {
    let page = HttpClient::new(process.http).get("/metrics");
    let lines = page.lines().filter(|line| line.starts_with(prefix));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// CPU seconds of a scrape: those of two seconds with ten scrapes less those of two seconds without.
fn cpu_of_a_scrape(process: &Process) -> f64 {
    const SCRAPES: u32 = 10;
    const SPAN: Duration = Duration::from_secs(2);
    let ((), with) = process.cpu_during(|| {
        let mut prometheus = HttpClient::with_gzip(process.http);
        let started = Instant::now();
        for _ in 0..SCRAPES {
            assert!(!prometheus.get_bytes("/metrics").is_empty(), "an empty page");
        }
        thread::sleep(SPAN.saturating_sub(started.elapsed()));
    });
    let ((), without) = process.cpu_during(|| thread::sleep(SPAN));
    with.saturating_sub(without).as_secs_f64() / f64::from(SCRAPES)
}

/// blackbox_exporter probes when it is scraped: each target once a second, evenly spread.
#[expect(clippy::cast_precision_loss, reason = "counts of probes")]
fn measure_blackbox(environment: &Environment, targets: usize) -> Usage {
    let process = Process::start(programs::blackbox(environment), programs::BLACKBOX_PORT);
    scrape_blackbox(&process, targets, WARM_UP);
    let (probes, cpu) = process.cpu_during(|| scrape_blackbox(&process, targets, MEASURED));
    assert!(probes as f64 > 0.8 * targets as f64 * MEASURED.as_secs_f64(), "blackbox made only {probes} probes");
    Usage { cpu: cpu.as_secs_f64() / probes as f64, memory: process.memory(), scrape: 0.0 }
}

/// Returns the number of probes.
#[expect(clippy::cast_precision_loss, reason = "counts of probes")]
pub(crate) fn scrape_blackbox(process: &Process, targets: usize, span: Duration) -> usize {
    let clients = targets.min(16);
    let (started, probes) = (Instant::now(), AtomicUsize::new(0));
    thread::scope(|scope| {
        for client in 0..clients {
            let probes = &probes;
            scope.spawn(move || {
                let mut http = HttpClient::new(process.http);
                for number in (client..).step_by(clients) {
                    let due = Duration::from_secs_f64(number as f64 / targets as f64);
                    if due >= span {
                        break;
                    }
                    thread::sleep(due.saturating_sub(started.elapsed()));
                    let answer = http.get(&programs::blackbox_path(number % targets));
                    assert!(answer.contains("\nprobe_success 1"), "a probe failed:\n{answer}");
                    probes.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    thread::sleep(span.saturating_sub(started.elapsed()));
    probes.into_inner()
}
