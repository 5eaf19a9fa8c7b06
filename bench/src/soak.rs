//! A long run under change: 500 targets, half of them at a server that comes and goes, a configuration that is
//! replaced a hundred times, and 64 clients of `/metrics`. It prints what the agent used, and fails if one verdict
//! was false.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::environment::{Environment, PORT, host, second_host};
use super::http_client::HttpClient;
use super::process::Process;
use super::programs;

const TARGETS: usize = 500;
const CLIENTS: usize = 64;
const REPLACEMENTS: u32 = 100;
/// How long the second server is there, and how long it is not.
const SERVER_SPAN: Duration = Duration::from_secs(25);
const SAMPLE_INTERVAL: Duration = Duration::from_secs(2);

/// What a target at the second server may be found to have, besides passing.
const CAUSES_OF_ABSENCE: &[&str] = &["connect_refused", "connect_reset", "tls_closed", "tls_reset", "redis_closed"];

/// The greatest of what was seen, and what must not be seen.
#[derive(Default)]
struct Seen {
    anonymous: u64,
    resident: u64,
    files: usize,
    threads: usize,
    lag: f64,
    /// Samples of targets whose verdict is unknown.
    unknown: usize,
    samples: usize,
    /// False verdicts, by target and code: how often each was seen.
    wrong: BTreeMap<String, usize>,
}

pub(crate) fn run(environment: &Environment, build: &Path, minutes: u64) {
    let length = Duration::from_secs(minutes * 60);
    let mut second = Some(environment.second_redis());
    let command = programs::agent(environment, build, &configuration(environment, 0));
    let process = Process::start(command, programs::REDPATH_PORT);
    let (done, pages, empty) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let (started, mut seen, mut replaced) = (Instant::now(), Seen::default(), 0);
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (done, pages, empty, http) = (&done, &pages, &empty, process.http);
            scope.spawn(move || {
                let mut client_of_agent = HttpClient::with_gzip(http);
                thread::sleep(Duration::from_millis(15 * u64::try_from(client).unwrap_or_default()));
                while !done.load(Ordering::Relaxed) {
                    let counter = if client_of_agent.get_bytes("/metrics").is_empty() { empty } else { pages };
                    counter.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(Duration::from_secs(1));
                }
            });
        }
        let mut server_changes = SERVER_SPAN;
        while started.elapsed() < length {
            thread::sleep(SAMPLE_INTERVAL);
            sample(&process, &mut seen);
            if started.elapsed() > server_changes {
                second = toggle(environment, second.take());
                server_changes += SERVER_SPAN;
            }
            if started.elapsed() > length * (replaced + 1) / (REPLACEMENTS + 1) {
                replaced += 1;
                let next = environment.write("next.yaml", &configuration(environment, replaced));
                std::fs::rename(next, environment.path("redpath.yaml")).expect("a new configuration");
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    if let Some(mut server) = second {
        let _ = server.kill();
        let _ = server.wait();
    }
    let probes = super::probing::metric(&process, "redpath_probes_total{");
    let reloaded = super::probing::metric(&process, "redpath_config_last_reload_successful");
    println!("{minutes} minutes, {TARGETS} targets every 15 s, {probes:.0} probes of the targets that are left");
    println!(
        "configuration replaced {replaced} times, the last one {}",
        if reloaded > 0.0 { "in use" } else { "refused" }
    );
    println!("pages served {}, empty {}", pages.into_inner(), empty.into_inner());
    println!("anonymous memory {} KiB, resident {} KiB at most", seen.anonymous / 1024, seen.resident / 1024);
    println!("{} files and {} threads at most; schedule lag {:.3} s at most", seen.files, seen.threads, seen.lag);
    println!("{} verdicts sampled, {} of them unknown", seen.samples, seen.unknown);
    println!("false verdicts: {:?}", seen.wrong);
    assert!(seen.wrong.is_empty(), "false verdicts were seen");
    assert!(seen.samples > 0 && reloaded > 0.0, "nothing was seen, or the last configuration was refused");
}

/// Ends the second server, or starts it anew.
fn toggle(environment: &Environment, server: Option<Child>) -> Option<Child> {
    match server {
        Some(mut server) => {
            let _ = server.kill();
            let _ = server.wait();
            None
        }
        None => Some(environment.second_redis()),
    }
}

/// Each replacement has 40 targets of its own, and another timeout for a tenth of the others.
fn configuration(environment: &Environment, number: u32) -> String {
    let mut text = programs::defaults(environment, "15s");
    let changing = usize::try_from(number).unwrap_or_default() * 40;
    for target in 0..TARGETS - 40 {
        let host = if target % 2 == 0 { host(target) } else { second_host(target) };
        let _ =
            writeln!(text, "  - {{name: target{target}, host: {host}, port: {PORT}, timeout: {}s}}", 4 + number % 2);
    }
    for target in changing..changing + 40 {
        let _ = writeln!(text, "  - {{name: changing{target}, host: {}, port: {PORT}}}", host(target));
    }
    text
}

fn sample(process: &Process, seen: &mut Seen) {
    let memory = process.memory();
    let (files, threads) = process.files_and_threads();
    seen.anonymous = seen.anonymous.max(memory.anonymous);
    seen.resident = seen.resident.max(memory.resident);
    seen.files = seen.files.max(files);
    seen.threads = seen.threads.max(threads);
    for line in HttpClient::new(process.http).get("/metrics").lines() {
        if let Some(value) = line.strip_prefix("redpath_schedule_lag_seconds ") {
            seen.lag = seen.lag.max(value.parse().unwrap_or(f64::NAN));
        }
        if line.starts_with("redpath_verdict{") && line.ends_with(" 1") {
            seen.samples += 1;
            seen.unknown += usize::from(line.contains("status=\"unknown\""));
        }
        // An error is told by a line such as redpath_finding_active{target="...",code="...",severity="error"} 1.
        if line.starts_with("redpath_finding_active{") && line.contains("severity=\"error\"") {
            let (target, code) = (label(line, "target"), label(line, "code"));
            let may_be_absent =
                target.strip_prefix("target").is_some_and(|number| !number.ends_with(['0', '2', '4', '6', '8']));
            if !(may_be_absent && CAUSES_OF_ABSENCE.contains(&code)) {
                *seen.wrong.entry(format!("{target} {code}")).or_default() += 1;
            }
        }
    }
}

/// The value of a label.
fn label<'a>(line: &'a str, name: &str) -> &'a str {
    let rest = line.split_once(&format!("{name}=\"")).map_or("", |(_, rest)| rest);
    rest.split_once('"').map_or("", |(value, _)| value)
}
