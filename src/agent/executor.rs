//! Runs the schedule's probes, and passes each record to the metrics, the history and the log.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::reload::RunningConfig;
use crate::clock::Timestamp;
use crate::config::TargetConfig;
use crate::diagnosis::{Cause, Status, Verdict};
use crate::history::History;
use crate::journal::recorder::Recorder;
use crate::observation::{Observation, ViewOutcome};
use crate::output::log;
use crate::output::metrics::Metrics;
use crate::pipeline;
use crate::probe::Prober;
use crate::probe::budget::Interrupt;
use crate::record::Record;
use crate::schedule::{Executor, FailedRun, FailureKind};
use crate::vantage::Vantage;

/// Probes over the network.
pub(super) struct ProbeExecutor {
    pub(super) prober: Arc<Prober>,
    pub(super) current: watch::Receiver<Arc<RunningConfig>>,
    pub(super) interrupt: Interrupt,
    pub(super) metrics: Arc<Metrics>,
    pub(super) history: Arc<History>,
    pub(super) journal: Option<Arc<Recorder>>,
    /// Whether opening a file failed with EMFILE or ENFILE at the last attempt.
    pub(super) out_of_descriptors: AtomicBool,
    /// Notified of every stored record.
    pub(super) new_record: Arc<Notify>,
}

impl Executor for ProbeExecutor {
    async fn probe(&self, target: Arc<TargetConfig>) -> Record {
        let current = Arc::clone(&self.current.borrow());
        let (started, clock) = (Timestamp::now(), Instant::now());
        if !self.out_of_descriptors.load(Ordering::Relaxed) || !self.is_out_of_descriptors() {
            let record = pipeline::run(&self.prober, &target.plan, &current.vantage, &self.interrupt).await;
            // Failures without free descriptors say nothing about the target.
            if all_succeeded(&record) || !self.is_out_of_descriptors() {
                return record;
            }
        }
        unknown_record(&target, started, clock.elapsed(), current.vantage.clone())
    }

    fn on_result(&self, record: Record) {
        // Interrupted by the agent's shutdown: says nothing about the target.
        if self.interrupt.is_raised() {
            return;
        }
        let record = Arc::new(record);
        self.metrics.observe(&record);
        if let Some(journal) = &self.journal {
            journal.record(Arc::clone(&record));
        }
        // Another address alone is for the status page, not for the log.
        if let Some(change) = self.history.observe(Arc::clone(&record)).filter(|change| !change.is_of_address_alone()) {
            log::change(&record, &change);
        }
        self.new_record.notify_one();
    }

    fn on_failure(&self, failure: FailedRun) {
        let target = failure.target.plan.target.name.as_str();
        match failure.kind {
            FailureKind::Panicked => {
                tracing::error!(target, "a probe panicked; the target is probed again when it is due")
            }
            FailureKind::Stuck => tracing::error!(target, "a probe exceeded its time limit and was cancelled"),
        }
        let vantage = self.current.borrow().vantage.clone();
        self.on_result(unknown_record(&failure.target, failure.started, failure.took, vantage));
    }

    fn on_lag(&self, lag: Duration) {
        self.metrics.schedule_lag(lag);
    }
}

impl ProbeExecutor {
    /// Whether this process or the machine has no free file descriptor; logs a change.
    fn is_out_of_descriptors(&self) -> bool {
        // EMFILE and ENFILE, open(2); the root directory always exists.
        let error = File::open("/").err().filter(|error| matches!(error.raw_os_error(), Some(23 | 24)));
        if self.out_of_descriptors.swap(error.is_some(), Ordering::Relaxed) != error.is_some() {
            match &error {
                Some(error) => tracing::error!(
                    error = error.to_string(),
                    "no free file descriptor: nothing can be probed until the limit of open files is raised"
                ),
                None => tracing::info!("file descriptors are free again"),
            }
        }
        error.is_some()
    }
}

/// Whether the target passes, and every view answered.
fn all_succeeded(record: &Record) -> bool {
    let views = &record.observation.resolution.views;
    record.verdict.status == Status::Pass && views.iter().all(|view| view.outcome == ViewOutcome::Answered)
}

/// The record of a run without an observation: the verdict is unknown.
fn unknown_record(target: &TargetConfig, started: Timestamp, took: Duration, vantage: Vantage) -> Record {
    let plan = &target.plan;
    let (target, expectation) = (plan.target.clone(), plan.expectation.clone());
    let mut record = Record::new(started, took, target, vantage, expectation, Observation::default());
    record.findings.clear();
    record.verdict = Verdict { status: Status::Unknown, cause: Cause::Unknown };
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::metrics_settings::MetricsSettings;
    use crate::output::log::tests::{Captured, record};
    use crate::output::log::{LogFormat, LogLevel};
    use crate::probe::budget::InterruptHandle;
    use crate::schedule::fake::target;

    fn executor() -> (ProbeExecutor, InterruptHandle) {
        let vantage = Vantage::default();
        let (handle, interrupt) = Interrupt::new();
        let metrics = Arc::new(Metrics::new(&MetricsSettings::default(), &vantage));
        let history = Arc::new(History::new());
        history.set_targets(&["localhost".to_owned()]);
        let config = config::parse("targets: [{host: localhost}]").unwrap_or_else(|error| panic!("{error}"));
        let current = RunningConfig { vantage, config };
        let current = watch::Sender::new(Arc::new(current)).subscribe();
        let new_record = Arc::new(Notify::new());
        (
            ProbeExecutor {
                prober: Arc::new(Prober::for_schedule()),
                current,
                interrupt,
                metrics,
                history,
                journal: None,
                out_of_descriptors: AtomicBool::default(),
                new_record,
            },
            handle,
        )
    }

    #[test]
    fn log_one_line_per_change_none_at_shutdown() {
        let log = Captured::start(LogFormat::Text, LogLevel::Debug);
        let (executor, interrupt) = executor();
        let changes = [Status::Pass, Status::Pass, Status::Pass, Status::Fail, Status::Fail, Status::Pass];
        for status in changes {
            executor.on_result(record(status));
        }
        assert_eq!(log.lines().len(), 3, "{:?}", log.lines());
        interrupt.raise();
        executor.on_result(record(Status::Unknown));
        assert_eq!(log.lines().len(), 3, "{:?}", log.lines());
        let latest = executor.history.get("localhost").and_then(|history| history.latest).expect("it has a record");
        assert_eq!(latest.verdict.status, Status::Pass);
    }

    #[test]
    fn failed_run_is_logged_and_verdict_unknown() {
        let log = Captured::start(LogFormat::Text, LogLevel::Info);
        let (executor, _interrupt) = executor();
        for kind in [FailureKind::Panicked, FailureKind::Stuck] {
            let target = Arc::new(target("localhost", Duration::from_secs(1)));
            executor.on_failure(FailedRun { target, started: Timestamp::now(), took: Duration::ZERO, kind });
        }
        let latest = executor.history.get("localhost").and_then(|history| history.latest).expect("it has a record");
        assert_eq!(latest.verdict.status, Status::Unknown);
        let errors = log.lines().iter().filter(|line| line.contains("ERROR") && line.contains("localhost")).count();
        assert_eq!((errors, log.lines().len()), (2, 3), "two errors and one change: {:?}", log.lines());
    }
}
