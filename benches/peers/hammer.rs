//! `/probe`, asked again as soon as it has answered, by one client and by sixteen.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::process::{Client, Process};
use super::programs::{Programs, blackbox_path, redpath_path};
use super::table::{Table, ms};

const TIME: Duration = Duration::from_secs(3);
const TARGETS: usize = 16;
const SUCCESS: &str = "\nprobe_success 1";

#[derive(Clone, Copy)]
struct Round {
    rate: f64,
    cpu: Duration,
    refused: usize,
}

pub(crate) fn measure(programs: &Programs<'_>, table: &mut Table) {
    // A day, so that nothing but the questions makes it probe.
    let redpath = Arc::new(Process::start(programs.redpath_agent(9121, TARGETS, "1day", 0), 9121));
    let blackbox = Arc::new(Process::start(programs.blackbox(9122), 9122));
    assert!(redpath.get(&redpath_path(0)).contains(SUCCESS), "redpath: {}", redpath.get(&redpath_path(0)));
    assert!(blackbox.get(&blackbox_path(0)).contains(SUCCESS), "the blackbox exporter's probe failed");
    for clients in [1, 16] {
        let mut rounds = Vec::new();
        for _ in 0..3 {
            rounds.push((hammered(&redpath, clients, redpath_path), hammered(&blackbox, clients, blackbox_path)));
        }
        // The round in the middle by the ratio of their speeds.
        rounds.sort_by(|a, b| (a.0.rate / a.1.rate).total_cmp(&(b.0.rate / b.1.rate)));
        let (ours, theirs) = rounds[1];
        let speed = ours.rate / theirs.rate;
        let cost = ours.cpu.as_secs_f64() / theirs.cpu.as_secs_f64();
        table.row(
            &format!("/probe, {clients} at once"),
            &format!(
                "{:.0}/s, {} each ({speed:.2} ×, CPU {cost:.2} ×), {} refused",
                ours.rate,
                ms(ours.cpu),
                ours.refused
            ),
            &format!("blackbox {:.0}/s, {} each, {} failed", theirs.rate, ms(theirs.cpu), theirs.refused),
            "at least 2 ×, CPU at most 0.5 ×",
            Some(speed >= 2.0 && cost <= 0.5 && ours.refused == 0),
        );
    }
}

/// Probes a second, CPU time each, and how many answers were none: only an answer that says the probe
/// succeeded is a probe, or a program that refuses quickly would look like a fast one.
fn hammered(process: &Arc<Process>, clients: usize, path: fn(usize) -> String) -> Round {
    let (count, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (cpu, took) = process.watched(|| {
        let begun = Instant::now();
        thread::scope(|scope| {
            for client in 0..clients {
                let (count, refused) = (&count, &refused);
                scope.spawn(move || {
                    let mut http = Client::new(process.http);
                    while begun.elapsed() < TIME {
                        let succeeded = http.get(&path(client % TARGETS)).contains(SUCCESS);
                        if succeeded { count } else { refused }.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        begun.elapsed()
    });
    let count = count.into_inner() as f64;
    Round { rate: count / took.as_secs_f64(), cpu: cpu.div_f64(count), refused: refused.into_inner() }
}
