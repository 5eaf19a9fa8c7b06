//! The probes of a watch: each target's at an interval, a bounded number at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::sync::mpsc::{Receiver, Sender, channel};
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
}

struct Shared {
    prober: Prober,
    vantage: Vantage,
    interval: Duration,
    interrupt: Interrupt,
    at_a_time: Semaphore,
}

impl Probes {
    /// Probes each target now and then at the interval, until the interrupt.
    pub(super) fn start(plans: Vec<Plan>, vantage: Vantage, interval: Duration, interrupt: Interrupt) -> Self {
        let (sender, records) = channel(QUEUE);
        let shared = Arc::new(Shared {
            prober: Prober::for_schedule(),
            vantage,
            interval,
            interrupt,
            at_a_time: Semaphore::new(MAX_CONCURRENT_PROBES),
        });
        let mut running = JoinSet::new();
        for plan in plans {
            running.spawn(repeat(Arc::clone(&shared), plan, sender.clone()));
        }
        Self { records, running }
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
