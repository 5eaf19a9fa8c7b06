//! The probes of a watch: each target's at an interval, a bounded number at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::pipeline;
use crate::plan::{MAX_CONCURRENT_PROBES, Plan};
use crate::probe::Prober;
use crate::probe::budget::Interrupt;
use crate::record::Record;
use crate::vantage::Vantage;

/// How many records wait to be shown; the probes wait beyond.
const QUEUE: usize = 64;

/// The probes of all targets.
pub(super) struct Probes {
    records: Receiver<Arc<Record>>,
    running: JoinSet<()>,
    probe_now: Arc<Notify>,
}

struct Shared {
    prober: Prober,
    vantage: Vantage,
    interval: Duration,
    interrupt: Interrupt,
    at_a_time: Semaphore,
    probe_now: Arc<Notify>,
}

impl Probes {
    /// Probes each target now and then at the interval, until the interrupt.
    pub(super) fn start(plans: Vec<Plan>, vantage: Vantage, interval: Duration, interrupt: Interrupt) -> Self {
        let (sender, records) = channel(QUEUE);
        let probe_now = Arc::new(Notify::new());
        let shared = Arc::new(Shared {
            prober: Prober::for_schedule(),
            vantage,
            interval,
            interrupt,
            at_a_time: Semaphore::new(MAX_CONCURRENT_PROBES),
            probe_now: Arc::clone(&probe_now),
        });
        let mut running = JoinSet::new();
        for plan in plans {
            running.spawn(repeat(Arc::clone(&shared), plan, sender.clone()));
        }
        Self { records, running, probe_now }
    }

    /// Probes all targets now that wait for their interval.
    pub(super) fn now(&self) {
        self.probe_now.notify_waiters();
    }

    /// The next record; `None` once a probe panicked, or the interrupt ended all.
    pub(super) async fn next(&mut self) -> Option<Arc<Record>> {
        tokio::select! {
            record = self.records.recv() => record,
            _ = self.running.join_next() => None,
        }
    }
}

async fn repeat(shared: Arc<Shared>, plan: Plan, records: Sender<Arc<Record>>) {
    let mut due = tokio::time::interval(shared.interval);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = due.tick() => {}
            () = shared.probe_now.notified() => due.reset(),
            () = shared.interrupt.raised() => return,
        }
        let Ok(_permit) = shared.at_a_time.acquire().await else { return };
        let record = pipeline::run(&shared.prober, &plan, &shared.vantage, &shared.interrupt).await;
        // A probe that was cut short says nothing about the target.
        if shared.interrupt.is_raised() || records.send(Arc::new(record)).await.is_err() {
            return;
        }
    }
}
