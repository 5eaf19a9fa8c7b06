//! What a turn of the schedule does: a check, its metrics, its history, and a line where the verdict changes.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::reload::RunningConfig;
use crate::clock::Timestamp;
use crate::config::TargetConfig;
use crate::diagnosis::{Cause, Status, Verdict};
use crate::history::{Change, History};
use crate::observation::{Observation, ViewOutcome};
use crate::output::log;
use crate::output::metrics::Metrics;
use crate::pipeline;
use crate::probe::Prober;
use crate::probe::budget::Interrupt;
use crate::record::Record;
use crate::schedule::{Executor, FailedRun, FailureKind};
use crate::vantage::Vantage;

/// The network, the metrics and the history.
pub(super) struct ProbeExecutor {
    pub(super) prober: Arc<Prober>,
    pub(super) current: watch::Receiver<Arc<RunningConfig>>,
    pub(super) interrupt: Interrupt,
    pub(super) metrics: Arc<Metrics>,
    pub(super) history: Arc<History>,
    /// Whether there was no descriptor left the last time that one was needed.
    pub(super) exhausted: AtomicBool,
    /// Told of every record that is kept.
    pub(super) news: Arc<Notify>,
}

impl Executor for ProbeExecutor {
    async fn probe(&self, target: Arc<TargetConfig>) -> Record {
        let current = Arc::clone(&self.current.borrow());
        let (began, clock) = (Timestamp::now(), Instant::now());
        if !self.exhausted.load(Ordering::Relaxed) || !self.is_exhausted() {
            let record = pipeline::run(&self.prober, &target.plan, &current.vantage, &self.interrupt).await;
            // What was seen with too few is no word on name servers or Redis; where all went well there were enough.
            if all_went_well(&record) || !self.is_exhausted() {
                return record;
            }
        }
        unknown(&target, began, clock.elapsed(), current.vantage.clone())
    }

    fn keep(&self, record: Record) {
        // A probe that was cut short by the agent's own end says nothing of its target.
        if self.interrupt.is_raised() {
            return;
        }
        let record = Arc::new(record);
        self.metrics.observe(&record);
        // Another address with the same verdict is for the status page; the log tells verdicts.
        if let Some(change) = self.history.observe(Arc::clone(&record)).filter(Change::is_of_verdict) {
            log::verdict_change(&record, &change);
        }
        self.news.notify_one();
    }

    fn lose(&self, loss: FailedRun) {
        let target = loss.target.plan.target.name.as_str();
        match loss.kind {
            FailureKind::Panicked => {
                tracing::error!(target, "a probe panicked; its target is probed again when it is due")
            }
            FailureKind::Stuck => tracing::error!(target, "a probe did not end at its time limit, and was cancelled"),
        }
        let vantage = self.current.borrow().vantage.clone();
        self.keep(unknown(&loss.target, loss.began, loss.took, vantage));
    }

    fn lag(&self, lag: Duration) {
        self.metrics.schedule_lag(lag);
    }
}

impl ProbeExecutor {
    /// Whether this process, or the machine, has no descriptor left; a change of that is logged.
    fn is_exhausted(&self) -> bool {
        // EMFILE and ENFILE, open(2); the root directory is there even where nothing else is.
        let error = File::open("/").err().filter(|error| matches!(error.raw_os_error(), Some(23 | 24)));
        if self.exhausted.swap(error.is_some(), Ordering::Relaxed) != error.is_some() {
            match &error {
                Some(error) => tracing::error!(
                    error = error.to_string(),
                    "no file descriptor is left: nothing can be probed until the limit of open files is raised"
                ),
                None => tracing::info!("file descriptors are to be had again"),
            }
        }
        error.is_some()
    }
}

/// Whether the target passes, and every view has answered.
fn all_went_well(record: &Record) -> bool {
    let views = &record.observation.resolution.views;
    record.verdict.status == Status::Pass && views.iter().all(|view| view.outcome == ViewOutcome::Answered)
}

/// The record of a turn that brought none: nothing was seen, so nothing is known.
fn unknown(target: &TargetConfig, began: Timestamp, took: Duration, vantage: Vantage) -> Record {
    let plan = &target.plan;
    let (target, expectation) = (plan.target.clone(), plan.expectation.clone());
    let mut record = Record::new(began, took, target, vantage, expectation, Observation::default());
    record.findings.clear();
    record.verdict = Verdict { status: Status::Unknown, cause: Cause::Unknown };
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, MetricsSettings};
    use crate::output::log::tests::{Captured, record};
    use crate::output::log::{LogFormat, LogLevel};
    use crate::probe::budget::InterruptHandle;
    use crate::schedule::fake::target;

    fn world() -> (ProbeExecutor, InterruptHandle) {
        let vantage = Vantage::default();
        let (handle, interrupt) = Interrupt::new();
        let metrics = Arc::new(Metrics::new(&MetricsSettings::default(), &vantage));
        let history = Arc::new(History::new());
        history.set_targets(&["localhost".to_owned()]);
        let config = config::parse("targets: [{host: localhost}]").unwrap_or_else(|error| panic!("{error}"));
        let current = RunningConfig { vantage, config };
        let current = watch::Sender::new(Arc::new(current)).subscribe();
        let news = Arc::new(Notify::new());
        (
            ProbeExecutor {
                prober: Arc::new(Prober::new()),
                current,
                interrupt,
                metrics,
                history,
                exhausted: AtomicBool::default(),
                news,
            },
            handle,
        )
    }

    #[test]
    fn one_line_per_change_and_none_for_the_agents_own_end() {
        let log = Captured::start(LogFormat::Text, LogLevel::Debug);
        let (world, interrupt) = world();
        let changes = [Status::Pass, Status::Pass, Status::Pass, Status::Fail, Status::Fail, Status::Pass];
        for status in changes {
            world.keep(record(status));
        }
        assert_eq!(log.lines().len(), 3, "{:?}", log.lines());
        interrupt.raise();
        world.keep(record(Status::Unknown));
        assert_eq!(log.lines().len(), 3, "{:?}", log.lines());
        let latest = world.history.get("localhost").and_then(|history| history.latest).expect("it has a record");
        assert_eq!(latest.verdict.status, Status::Pass);
    }

    #[test]
    fn a_lost_turn_is_an_error_of_redpath_and_makes_the_verdict_unknown() {
        let log = Captured::start(LogFormat::Text, LogLevel::Info);
        let (world, _interrupt) = world();
        for kind in [FailureKind::Panicked, FailureKind::Stuck] {
            let target = Arc::new(target("localhost", Duration::from_secs(1)));
            world.lose(FailedRun { target, began: Timestamp::now(), took: Duration::ZERO, kind });
        }
        let latest = world.history.get("localhost").and_then(|history| history.latest).expect("it has a record");
        assert_eq!(latest.verdict.status, Status::Unknown);
        let errors = log.lines().iter().filter(|line| line.contains("ERROR") && line.contains("localhost")).count();
        assert_eq!((errors, log.lines().len()), (2, 3), "two errors and one change: {:?}", log.lines());
    }
}
