//! How far the durations that the programs report are from those that a capture on their side of the wire shows.

use std::fmt::Write as _;
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::capture::{Capture, OnWire};
use super::line::Line;
use super::process::{Client, Process};
use super::programs::{Programs, blackbox_path, redis_exporter_path, redpath_path};
use super::table::{Table, median_and_p95};
use super::world::{self, PORT};

/// Added to every round trip.
const DELAYS: [Duration; 3] = [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(20)];
/// With each delay: of redpath, of each of the others, and of `redpath check`, each a process of its own.
const PROBES: usize = 200;
const OF_OTHERS: usize = 100;
const CHECKS: usize = 60;
const WARM_UP: usize = 10;
/// Between probes: who probes a target on a schedule does not do it from a warm cache.
const PAUSE: Duration = Duration::from_millis(25);

/// What is aimed at: half of the errors, and 95 in 100, in microseconds.
const GOAL: (f64, f64) = (60.0, 150.0);

/// A duration that a program reports, and the same as the wire has it; both in seconds.
struct Measure {
    what: &'static str,
    said: fn(&str) -> Option<f64>,
    on_wire: fn(&OnWire) -> Option<f64>,
}

const PHASES: [Measure; 5] = [
    Measure { what: "resolve", said: |page| phase(page, "resolve"), on_wire: OnWire::asked_by_libc },
    Measure { what: "connect", said: |page| phase(page, "connect"), on_wire: |wire| wire.connect },
    Measure { what: "tls", said: |page| phase(page, "tls"), on_wire: |wire| wire.tls },
    Measure { what: "auth", said: |page| phase(page, "auth"), on_wire: |wire| wire.auth },
    Measure { what: "ping", said: |page| phase(page, "ping"), on_wire: |wire| wire.ping },
];
const BLACKBOX: [Measure; 1] = [Measure {
    what: "resolve",
    said: |page| value(page, "probe_dns_lookup_time_seconds"),
    on_wire: |wire| wire.asked,
}];
const REDIS_EXPORTER: [Measure; 2] = [
    Measure {
        what: "all until AUTH",
        said: |page| value(page, "redis_exporter_last_scrape_connect_time_seconds"),
        on_wire: |wire| wire.until_authenticated,
    },
    Measure {
        what: "ping",
        said: |page| value(page, "redis_exporter_last_scrape_ping_time_seconds"),
        on_wire: |wire| wire.ping,
    },
];

/// Median and 95th percentile of the absolute errors of each measure, in microseconds.
type Errors = Vec<(f64, f64)>;

pub(crate) fn measure(programs: &Programs<'_>, table: &mut Table) {
    let goal = format!("at most {:.0} and {:.0} µs, with any delay", GOAL.0, GOAL.1);
    if !world::is_root() {
        return table.row("phase accuracy", "not measured: tcpdump works for root alone", "", &goal, None);
    }
    let line = Line::new();
    let found = DELAYS.map(|delay| {
        line.delay(delay);
        line.at_client(|| at_client(programs))
    });
    let of = |program: fn(&AtClient) -> &Errors, place: usize| found.each_ref().map(|at| program(at)[place]);
    for (place, measure) in PHASES.iter().enumerate() {
        let ours = of(|at| &at.redpath, place);
        let mut others = format!("check {}", shown(ours_of_check(&found, place)));
        match measure.what {
            "resolve" => write!(others, "; blackbox {}", shown(of(|at| &at.blackbox, 0))),
            "tls" => write!(
                others,
                "; redis_exporter, {}: {}",
                REDIS_EXPORTER[0].what,
                shown(of(|at| &at.redis_exporter, 0))
            ),
            "ping" => write!(others, "; redis_exporter {}", shown(of(|at| &at.redis_exporter, 1))),
            _ => Ok(()),
        }
        .unwrap_or_default();
        let met = ours.iter().all(|(median, p95)| *median <= GOAL.0 && *p95 <= GOAL.1);
        let what = format!("{} against the wire, 0, 1, 20 ms", measure.what);
        table.row(&what, &shown(ours), &others, &goal, Some(met));
    }
}

struct AtClient {
    redpath: Errors,
    check: Errors,
    blackbox: Errors,
    redis_exporter: Errors,
}

fn ours_of_check(found: &[AtClient; 3], place: usize) -> [(f64, f64); 3] {
    found.each_ref().map(|at| at.check[place])
}

fn shown(errors: [(f64, f64); 3]) -> String {
    let [a, b, c] = errors.map(|(median, p95)| format!("{median:.0}/{p95:.0}"));
    format!("{a}, {b}, {c} µs")
}

/// All programs, one after the other, with the delay that is set.
fn at_client(programs: &Programs<'_>) -> AtClient {
    let mut redis_exporter = programs.redis_exporter(9163);
    redis_exporter.arg("-ping-on-connect");
    AtClient {
        redpath: asked(programs, programs.redpath_agent(9161, 1, "1day", 0), 9161, PROBES, &redpath_path(0), &PHASES),
        check: checked(programs),
        blackbox: asked(programs, programs.blackbox(9162), 9162, OF_OTHERS, &blackbox_path(0), &BLACKBOX),
        redis_exporter: asked(programs, redis_exporter, 9163, OF_OTHERS, &redis_exporter_path(0), &REDIS_EXPORTER),
    }
}

/// A program that probes when it is asked over HTTP.
fn asked(
    programs: &Programs<'_>,
    command: Command,
    http: u16,
    count: usize,
    path: &str,
    measures: &[Measure],
) -> Errors {
    let process = Process::start(command, http);
    let mut client = Client::new(process.http);
    captured(programs, count, measures, || {
        let page = client.get(path);
        let succeeded = page.contains("\nprobe_success 1") || page.contains("\nredis_up 1");
        assert!(succeeded, "a probe failed:\n{page}");
        page
    })
}

/// `redpath check`.
fn checked(programs: &Programs<'_>) -> Errors {
    let (ca, password) = (programs.world.file("ca.pem"), programs.world.file("password"));
    let mut check = Command::new(&programs.redpath);
    check.args(["check", &format!("{}:{PORT}", world::name(0)), "--require-auth", "off", "--cluster", "off"]);
    check.args(["--output", "json", "--ca-file"]).arg(&ca).arg("--password-file").arg(&password);
    captured(programs, CHECKS, &PHASES, || {
        let output = check.output().expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stdout).into_owned()
    })
}

/// Probes `count` times, and compares what `probe` says with what the wire saw.
fn captured(programs: &Programs<'_>, count: usize, measures: &[Measure], mut probe: impl FnMut() -> String) -> Errors {
    for _ in 0..WARM_UP {
        probe();
    }
    let capture = Capture::start(programs.world.file("capture.pcap"));
    let pages: Vec<String> = (0..count)
        .map(|_| {
            thread::sleep(PAUSE);
            probe()
        })
        .collect();
    let wire = capture.finish();
    assert_eq!(wire.len(), count, "connections to Redis in the capture");
    let compared = measures.iter().map(|measure| {
        let mut errors: Vec<f64> = pages
            .iter()
            .zip(&wire)
            .map(|(page, wire)| {
                let said = (measure.said)(page).unwrap_or_else(|| panic!("no {} in\n{page}", measure.what));
                let on_wire = (measure.on_wire)(wire).unwrap_or_else(|| panic!("no {} in {wire:?}", measure.what));
                (said - on_wire).abs() * 1e6
            })
            .collect();
        median_and_p95(&mut errors)
    });
    compared.collect()
}

/// A phase's duration on the page of `/probe`, or in a report of `check`.
fn phase(said: &str, name: &str) -> Option<f64> {
    if let Ok(report) = serde_json::from_str::<serde_json::Value>(said) {
        return report.pointer(&format!("/records/0/phases/{name}/took_seconds"))?.as_f64();
    }
    value(said, &format!("probe_phase_duration_seconds{{phase=\"{name}\"}}"))
}

fn value(page: &str, series: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}
