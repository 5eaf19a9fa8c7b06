//! Runs each target's probe when it is due: one task per target, with a limit on concurrent probes.
//!
//! It knows nothing of Redis, metrics or logs: [`Executor`] probes and stores the results. A missed run is
//! skipped, never made up for, so that an overloaded or suspended machine does not resume with a burst.

mod places;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

use crate::clock::Timestamp;
use crate::config::TargetConfig;
use crate::lock::lock;
use crate::record::Record;
use places::Places;

/// Probes targets for the schedule, and stores the results.
pub trait Executor: Send + Sync + 'static {
    /// Probes `target` once.
    fn probe(&self, target: Arc<TargetConfig>) -> impl Future<Output = Record> + Send;

    /// Stores the record of a run.
    fn on_result(&self, record: Record);

    /// Handles a run without a record.
    fn on_failure(&self, failure: FailedRun);

    /// A run started this long after it was due.
    fn on_lag(&self, lag: Duration);
}

/// A run without a record: a bug or overload in redpath, not a fault of the target.
pub struct FailedRun {
    /// The target of the run.
    pub target: Arc<TargetConfig>,
    /// When it started.
    pub started: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What happened.
    pub kind: FailureKind,
}

/// Why a run has no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// It panicked.
    Panicked,
    /// It ran far beyond its time limit, and was cancelled.
    Stuck,
}

/// The targets, each with a task that probes it when it is due.
pub struct Schedule<E> {
    executor: Arc<E>,
    vantage: String,
    places: Arc<Mutex<Places>>,
    stopping: watch::Sender<bool>,
    targets: BTreeMap<String, ScheduledTarget>,
}

struct ScheduledTarget {
    target: Arc<TargetConfig>,
    task: JoinHandle<()>,
}

/// Removing a target from the schedule aborts its task, and with it a probe in progress.
impl Drop for ScheduledTarget {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<E: Executor> Schedule<E> {
    /// A schedule without targets. `vantage` is this host's name, so that different hosts probe the same target
    /// at different moments; `concurrent` is the maximum number of concurrent probes.
    pub fn new(executor: Arc<E>, vantage: &str, concurrent: usize) -> Self {
        Self {
            executor,
            vantage: vantage.to_owned(),
            places: Arc::new(Mutex::new(Places::new(concurrent))),
            stopping: watch::Sender::new(false),
            targets: BTreeMap::new(),
        }
    }

    /// Removes all targets that are not in `targets`, or changed there, and returns how many were removed.
    /// When it returns, none of them probes or stores a record any more.
    pub async fn retain(&mut self, targets: &[TargetConfig]) -> usize {
        let (kept, removed): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut self.targets)
            .into_iter()
            .partition(|(_, scheduled)| !scheduled.task.is_finished() && targets.contains(&scheduled.target));
        self.targets = kept;
        let count = removed.len();
        for mut scheduled in removed.into_values() {
            scheduled.task.abort();
            // The only errors are that it was aborted or had panicked: it has ended either way.
            let _ = (&mut scheduled.task).await;
        }
        count
    }

    /// Starts those of `targets` that are not scheduled yet, and returns how many were started.
    pub fn extend(&mut self, targets: &[TargetConfig]) -> usize {
        let mut count = 0;
        for target in targets {
            let name = &target.plan.target.name;
            if self.targets.contains_key(name) {
                continue;
            }
            let target = Arc::new(target.clone());
            let mut timing = Timing::new(Instant::now(), target.interval, &self.vantage, name);
            let others = u32::try_from(targets.len() - 1).unwrap_or(u32::MAX);
            timing.first_spread = MAX_FIRST_SPREAD.min(FIRST_SPREAD_PER_TARGET.saturating_mul(others));
            let task = TargetTask {
                executor: Arc::clone(&self.executor),
                target: Arc::clone(&target),
                timing,
                places: Arc::clone(&self.places),
                stopping: self.stopping.subscribe(),
            };
            self.targets.insert(name.clone(), ScheduledTarget { target, task: tokio::spawn(task.run()) });
            count += 1;
        }
        count
    }

    /// Changes the maximum number of concurrent probes. Running probes are not cancelled by a lower number.
    pub fn set_concurrent(&mut self, concurrent: usize) {
        lock(&self.places).resize(concurrent);
    }

    /// How many targets there are.
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// Whether every target's task is alive: none of them ends by itself.
    pub fn is_alive(&self) -> bool {
        self.targets.values().all(|scheduled| !scheduled.task.is_finished())
    }

    /// Starts no further run, and waits for the running ones. Cancel safe.
    pub async fn drain(&mut self) {
        self.stopping.send_replace(true);
        while let Some(mut first) = self.targets.first_entry() {
            let _ = (&mut first.get_mut().task).await;
            first.remove();
        }
    }
}

/// When a target is due: at `start + offset + n * period`.
#[derive(Clone, Copy, Debug)]
struct Timing {
    start: Instant,
    offset: Duration,
    period: Duration,
    first_spread: Duration,
}

/// The first runs of all targets are spread over at most this time, so that no verdict waits a whole period.
const MAX_FIRST_SPREAD: Duration = Duration::from_secs(1);

/// The spread that each further target adds: a single target is probed immediately.
const FIRST_SPREAD_PER_TARGET: Duration = Duration::from_millis(5);

impl Timing {
    fn new(start: Instant, period: Duration, vantage: &str, target: &str) -> Self {
        let period = period.max(Duration::from_millis(1));
        let hash = Sha256::new().chain_update(vantage).chain_update([0]).chain_update(target).finalize();
        let hash = hash.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        Self { start, offset: remainder(Duration::from_nanos(hash), period), period, first_spread: MAX_FIRST_SPREAD }
    }

    /// The first run, within the first spread.
    fn first(&self) -> Instant {
        if self.first_spread.is_zero() { self.start } else { self.start + remainder(self.offset, self.first_spread) }
    }

    /// The next run after that at `last`. A first run shortly before a regular one replaces it.
    fn next(&self, last: Instant, now: Instant) -> Instant {
        let next = self.after(now);
        if next - last < self.period.min(MAX_FIRST_SPREAD) / 2 { next + self.period } else { next }
    }

    /// The next due time after `now`, computed from the start alone, so that it does not drift.
    fn after(&self, now: Instant) -> Instant {
        let regular = self.start + self.offset;
        match now.checked_duration_since(regular) {
            None => regular,
            Some(since) => now + (self.period - remainder(since, self.period)),
        }
    }
}

fn remainder(duration: Duration, by: Duration) -> Duration {
    let nanos = duration.as_nanos() % by.as_nanos();
    // Saturates at 584 years.
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Runs one target's probes, one after another.
struct TargetTask<E> {
    executor: Arc<E>,
    target: Arc<TargetConfig>,
    timing: Timing,
    places: Arc<Mutex<Places>>,
    stopping: watch::Receiver<bool>,
}

/// A probe enforces its own time limit. If it is still running this long after it, it is cancelled, so that
/// a bug in it does not stop the target's schedule.
const STUCK_AFTER: Duration = Duration::from_secs(10);

impl<E: Executor> TargetTask<E> {
    async fn run(mut self) {
        let mut due = self.timing.first();
        let mut is_slow = false;
        loop {
            tokio::select! {
                biased;
                _ = self.stopping.wait_for(|stopping| *stopping) => return,
                () = sleep_until(due) => {}
            }
            // A period or more late: the process was suspended. The run is skipped, so that the targets
            // do not all resume at the same moment.
            if due.elapsed() >= self.timing.period {
                self.executor.on_lag(due.elapsed());
            } else {
                let place = lock(&self.places).take(is_slow);
                let place = tokio::select! {
                    biased;
                    _ = self.stopping.wait_for(|stopping| *stopping) => return,
                    place = place => place,
                };
                self.executor.on_lag(due.elapsed());
                let started = Instant::now();
                self.run_once().await;
                // The phases of a silent target end a little before its timeout.
                is_slow = started.elapsed() >= self.target.plan.timeout / 2;
                drop(place);
            }
            due = self.timing.next(due, due.max(Instant::now()));
        }
    }

    /// Probes once, in a task of its own, so that a panic ends only this run.
    async fn run_once(&self) {
        let (started, clock) = (Timestamp::now(), Instant::now());
        let mut probe = JoinSet::new();
        let (executor, target) = (Arc::clone(&self.executor), Arc::clone(&self.target));
        probe.spawn(async move {
            let record = executor.probe(target).await;
            executor.on_result(record);
        });
        let kind = match timeout(self.target.plan.timeout + STUCK_AFTER, probe.join_next()).await {
            Ok(None | Some(Ok(()))) => return,
            Ok(Some(Err(_))) => FailureKind::Panicked,
            Err(_) => FailureKind::Stuck,
        };
        let failure = FailedRun { target: Arc::clone(&self.target), started, took: clock.elapsed(), kind };
        // The same bug may panic here again.
        let _ = catch_unwind(AssertUnwindSafe(|| self.executor.on_failure(failure)));
    }
}

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
