//! When each target is due: one task per target, bounded in how many probe at a time.
//!
//! It knows nothing of Redis, metrics or logs: what a turn does lies behind [`Executor`]. A turn that
//! was missed is left out, never caught up on, so that an overloaded or suspended machine does not
//! come back with a burst.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

use crate::clock::Timestamp;
use crate::config::TargetConfig;
use crate::record::Record;

/// What a turn does in the world outside the schedule.
pub trait Executor: Send + Sync + 'static {
    /// Probes `target` once.
    fn probe(&self, target: Arc<TargetConfig>) -> impl Future<Output = Record> + Send;

    /// Takes over what a turn found.
    fn keep(&self, record: Record);

    /// A turn brought no record.
    fn lose(&self, loss: FailedRun);

    /// A turn began this long after it was due.
    fn lag(&self, lag: Duration);
}

/// A turn that brought no record. It is the fault of redpath, not of the target.
pub struct FailedRun {
    /// Whose turn it was.
    pub target: Arc<TargetConfig>,
    /// When it began.
    pub began: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What happened.
    pub kind: FailureKind,
}

/// Why a turn brought no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// It panicked.
    Panicked,
    /// It went on long after its time limit, and was cancelled.
    Stuck,
}

/// The targets, each with a task that probes it when it is due.
pub struct Schedule<W> {
    world: Arc<W>,
    vantage: String,
    permits: Arc<Semaphore>,
    permitted: usize,
    stopping: watch::Sender<bool>,
    targets: BTreeMap<String, Running>,
}

struct Running {
    target: Arc<TargetConfig>,
    task: JoinHandle<()>,
}

/// A target's task ends with its place in the schedule, and its probe with the task.
impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<W: Executor> Schedule<W> {
    /// A schedule without targets. `vantage` is this host's name, so that the same target is due at
    /// another moment on every host; `concurrent` is the most probes at a time.
    pub fn new(world: Arc<W>, vantage: &str, concurrent: usize) -> Self {
        let concurrent = concurrent.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            world,
            vantage: vantage.to_owned(),
            permits: Arc::new(Semaphore::new(concurrent)),
            permitted: concurrent,
            stopping: watch::Sender::new(false),
            targets: BTreeMap::new(),
        }
    }

    /// Ends the tasks of all targets but those that are in `targets`, unchanged, and returns how
    /// many that were. When it returns, none of them probes or keeps a record any more.
    pub async fn retain(&mut self, targets: &[TargetConfig]) -> usize {
        let (kept, ended): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut self.targets)
            .into_iter()
            .partition(|(_, running)| !running.task.is_finished() && targets.contains(&running.target));
        self.targets = kept;
        let count = ended.len();
        for mut running in ended.into_values() {
            running.task.abort();
            // The one error is that it was aborted, or had panicked: it has ended either way.
            let _ = (&mut running.task).await;
        }
        count
    }

    /// Starts those of `targets` that do not run yet, and returns how many that were.
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
            timing.first_round = FIRST_ROUND.min(FIRST_GAP.saturating_mul(others));
            let turns = Turns {
                world: Arc::clone(&self.world),
                target: Arc::clone(&target),
                timing,
                permits: Arc::clone(&self.permits),
                stopping: self.stopping.subscribe(),
            };
            self.targets.insert(name.clone(), Running { target, task: tokio::spawn(turns.take()) });
            count += 1;
        }
        count
    }

    /// Changes the most probes at a time. Probes under way are not cut short by a lower number.
    pub fn set_concurrent(&mut self, concurrent: usize) {
        let concurrent = concurrent.clamp(1, Semaphore::MAX_PERMITS);
        if concurrent > self.permitted {
            self.permits.add_permits(concurrent - self.permitted);
        } else {
            let surplus = self.permitted - concurrent;
            let in_use = surplus - self.permits.forget_permits(surplus);
            let permits = Arc::clone(&self.permits);
            tokio::spawn(async move {
                for _ in 0..in_use {
                    if let Ok(permit) = permits.acquire().await {
                        permit.forget();
                    }
                }
            });
        }
        self.permitted = concurrent;
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
        self.targets.values().all(|running| !running.task.is_finished())
    }

    /// Begins no further turn, and waits until those under way are over. It may be dropped and
    /// called again.
    pub async fn drain(&mut self) {
        self.stopping.send_replace(true);
        while let Some(mut first) = self.targets.first_entry() {
            let _ = (&mut first.get_mut().task).await;
            first.remove();
        }
    }
}

/// The moments when a target is due: a multiple of its period after a phase of its own.
#[derive(Clone, Copy, Debug)]
struct Timing {
    start: Instant,
    phase: Duration,
    period: Duration,
    first_round: Duration,
}

/// The first verdict need not wait a whole period, and yet not all come at the same moment.
const FIRST_ROUND: Duration = Duration::from_secs(1);

/// What each target but one adds to the first round where they are few: with one, the first verdict comes at once.
const FIRST_GAP: Duration = Duration::from_millis(5);

impl Timing {
    fn new(start: Instant, period: Duration, vantage: &str, target: &str) -> Self {
        let period = period.max(Duration::from_millis(1));
        let hash = Sha256::new().chain_update(vantage).chain_update([0]).chain_update(target).finalize();
        let hash = hash.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        Self { start, phase: remainder(Duration::from_nanos(hash), period), period, first_round: FIRST_ROUND }
    }

    /// The first turn, within the first round.
    fn first(&self) -> Instant {
        if self.first_round.is_zero() { self.start } else { self.start + remainder(self.phase, self.first_round) }
    }

    /// The next turn after that at `last`. A first turn that comes right before a regular one stands for it.
    fn next(&self, last: Instant, now: Instant) -> Instant {
        let next = self.after(now);
        if next - last < self.period.min(FIRST_ROUND) / 2 { next + self.period } else { next }
    }

    /// The next moment after `now`. It follows from the start alone, so that nothing adds up.
    fn after(&self, now: Instant) -> Instant {
        let regular = self.start + self.phase;
        match now.checked_duration_since(regular) {
            None => regular,
            Some(since) => now + (self.period - remainder(since, self.period)),
        }
    }
}

fn remainder(duration: Duration, by: Duration) -> Duration {
    let nanos = duration.as_nanos() % by.as_nanos();
    // Beyond 584 years, which no clock here reaches.
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// All turns of one target, one after another.
struct Turns<W> {
    world: Arc<W>,
    target: Arc<TargetConfig>,
    timing: Timing,
    permits: Arc<Semaphore>,
    stopping: watch::Receiver<bool>,
}

/// How long after its own time limit a probe is taken for stuck: its limit is its own to keep, and
/// this only keeps a mistake in it from ending the target's schedule for good.
const STUCK_AFTER: Duration = Duration::from_secs(10);

impl<W: Executor> Turns<W> {
    async fn take(mut self) {
        let mut due = self.timing.first();
        loop {
            tokio::select! {
                biased;
                _ = self.stopping.wait_for(|stopping| *stopping) => return,
                () = sleep_until(due) => {}
            }
            // A period or more late: the process was stopped. The turn has passed; every target
            // goes on at its own next one, so that they do not all come back at once.
            if due.elapsed() >= self.timing.period {
                self.world.lag(due.elapsed());
            } else {
                let permit = tokio::select! {
                    biased;
                    _ = self.stopping.wait_for(|stopping| *stopping) => return,
                    permit = self.permits.acquire() => permit,
                };
                self.world.lag(due.elapsed());
                self.take_one().await;
                drop(permit);
            }
            due = self.timing.next(due, due.max(Instant::now()));
        }
    }

    /// One turn. It runs as a task of its own, so that a panic ends nothing but the turn.
    async fn take_one(&self) {
        let (began, clock) = (Timestamp::now(), Instant::now());
        let mut turn = JoinSet::new();
        let (world, target) = (Arc::clone(&self.world), Arc::clone(&self.target));
        turn.spawn(async move {
            let record = world.probe(target).await;
            world.keep(record);
        });
        let kind = match timeout(self.target.plan.timeout + STUCK_AFTER, turn.join_next()).await {
            Ok(None | Some(Ok(()))) => return,
            Ok(Some(Err(_))) => FailureKind::Panicked,
            Err(_) => FailureKind::Stuck,
        };
        let loss = FailedRun { target: Arc::clone(&self.target), began, took: clock.elapsed(), kind };
        // What panicked above may well panic here again.
        let _ = catch_unwind(AssertUnwindSafe(|| self.world.lose(loss)));
    }
}

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
