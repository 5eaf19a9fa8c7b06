//! Requests while 200 targets are probed: how many pages a second 32 clients get, and how long `/-/healthy` takes.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::environment::Environment;
use super::http_client::HttpClient;
use super::process::Process;
use super::table::{Table, milliseconds_of};
use super::{probing, programs};

const TARGETS: usize = 200;
const CLIENTS: usize = 32;
const WARM_UP: Duration = Duration::from_secs(4);
const MEASURED: Duration = Duration::from_secs(10);

/// What the clients of one program saw.
#[derive(Clone, Copy)]
struct Served {
    /// Pages of metrics a second.
    rate: f64,
    /// The slowest answer to `/-/healthy`.
    slowest_health: Duration,
}

pub(crate) fn measure(environment: &Environment, builds: &[PathBuf], table: &mut Table) {
    let redpath: Vec<Served> = builds
        .iter()
        .map(|build| {
            let process = Process::start(programs::redpath(environment, build, TARGETS), programs::REDPATH_PORT);
            thread::sleep(WARM_UP);
            let served = request(&process);
            assert_eq!(probing::metric(&process, "redpath_probe_failures_total{"), 0.0, "probes of redpath failed");
            served
        })
        .collect();
    let process = Process::start(programs::blackbox(environment), programs::BLACKBOX_PORT);
    let blackbox = thread::scope(|scope| {
        scope.spawn(|| probing::scrape_blackbox(&process, TARGETS, WARM_UP + MEASURED));
        thread::sleep(WARM_UP);
        request(&process)
    });
    let rate = |served: &Served| format!("{:.0} /s", served.rate);
    table.add(
        &format!("pages of metrics to {CLIENTS} clients, {TARGETS} targets"),
        &redpath.iter().map(rate).collect::<Vec<_>>(),
        &format!("blackbox_exporter, its own page: {}", rate(&blackbox)),
        "",
        true,
    );
    let slowest = |served: &Served| milliseconds_of(served.slowest_health);
    table.add(
        "slowest `/-/healthy` meanwhile",
        &redpath.iter().map(slowest).collect::<Vec<_>>(),
        &format!("blackbox_exporter {}", slowest(&blackbox)),
        "at most 1000 ms",
        redpath[0].slowest_health <= Duration::from_secs(1),
    );
}

fn request(process: &Process) -> Served {
    let (pages, done, slowest) = (AtomicUsize::new(0), AtomicBool::new(false), Mutex::new(Duration::ZERO));
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = HttpClient::with_gzip(process.http);
                while !done.load(Ordering::Relaxed) {
                    if !client.get_bytes("/metrics").is_empty() {
                        pages.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let started = Instant::now();
                HttpClient::new(process.http).get_bytes("/-/healthy");
                let mut slowest = slowest.lock().expect("no panic");
                *slowest = slowest.max(started.elapsed());
                drop(slowest);
                thread::sleep(Duration::from_millis(100));
            }
        });
        thread::sleep(MEASURED);
        done.store(true, Ordering::Relaxed);
    });
    #[expect(clippy::cast_precision_loss, reason = "a count of pages")]
    let rate = pages.into_inner() as f64 / MEASURED.as_secs_f64();
    Served { rate, slowest_health: slowest.into_inner().expect("no panic") }
}
