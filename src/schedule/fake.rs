//! A fake executor: a test sets how long each probe takes, and reads what happened.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::*;
use crate::expectation::Expectation;
use crate::observation::Observation;
use crate::plan::Plan;
use crate::target::{HostName, Target};
use crate::vantage::Vantage;

/// What a fake probe does.
#[derive(Clone, Copy)]
pub(crate) enum Behavior {
    /// It finishes after this time.
    Finish(Duration),
    Panic,
    Hang,
}

/// The behavior of a target's nth probe, counted from 0.
type Script = dyn Fn(&str, usize) -> Behavior + Send + Sync;

/// An executor without a network, and what it was asked to do.
pub(crate) struct FakeExecutor {
    behavior: Box<Script>,
    calls: Mutex<Calls>,
}

#[derive(Default)]
struct Calls {
    starts: BTreeMap<String, Vec<Instant>>,
    results: BTreeMap<String, usize>,
    failures: Vec<(String, FailureKind)>,
    lags: Vec<Duration>,
    running: BTreeMap<String, usize>,
    max_concurrent: usize,
    max_concurrent_of_one_target: usize,
}

impl FakeExecutor {
    /// An executor whose probes behave like this.
    pub(crate) fn new(behavior: impl Fn(&str, usize) -> Behavior + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { behavior: Box::new(behavior), calls: Mutex::default() })
    }

    /// When the probes of a target started.
    pub(crate) fn starts(&self, target: &str) -> Vec<Instant> {
        self.calls.lock().unwrap().starts.get(target).cloned().unwrap_or_default()
    }

    /// How many probes of all targets have started.
    pub(crate) fn all_starts(&self) -> usize {
        self.calls.lock().unwrap().starts.values().map(Vec::len).sum()
    }

    /// How many records of a target were stored.
    pub(crate) fn results(&self, target: &str) -> usize {
        self.calls.lock().unwrap().results.get(target).copied().unwrap_or_default()
    }

    pub(super) fn failures(&self) -> Vec<(String, FailureKind)> {
        self.calls.lock().unwrap().failures.clone()
    }

    pub(super) fn longest_lag(&self) -> Duration {
        self.calls.lock().unwrap().lags.iter().max().copied().unwrap_or_default()
    }

    /// How many probes of a target are running.
    pub(crate) fn running(&self, target: &str) -> usize {
        self.calls.lock().unwrap().running.get(target).copied().unwrap_or_default()
    }

    /// The maximum of concurrent probes since the last call.
    pub(super) fn max_concurrent(&self) -> usize {
        std::mem::take(&mut self.calls.lock().unwrap().max_concurrent)
    }

    pub(super) fn max_concurrent_of_one_target(&self) -> usize {
        self.calls.lock().unwrap().max_concurrent_of_one_target
    }
}

impl Executor for Arc<FakeExecutor> {
    async fn probe(&self, target: Arc<TargetConfig>) -> Record {
        let name = target.plan.target.name.clone();
        let running = RunningProbe::start(self, &name);
        match (self.behavior)(&name, self.starts(&name).len() - 1) {
            Behavior::Finish(time) => tokio::time::sleep(time).await,
            Behavior::Panic => panic!("as the test wants it"),
            Behavior::Hang => std::future::pending().await,
        }
        drop(running);
        let vantage = Vantage::default();
        let target = target.plan.target.clone();
        Record::new(Timestamp::now(), Duration::ZERO, target, vantage, Expectation::default(), Observation::default())
    }

    fn on_result(&self, record: Record) {
        *self.calls.lock().unwrap().results.entry(record.target.name).or_default() += 1;
    }

    fn on_failure(&self, failure: FailedRun) {
        self.calls.lock().unwrap().failures.push((failure.target.plan.target.name.clone(), failure.kind));
        assert_ne!(failure.target.plan.target.name, "cursed", "even this panics");
    }

    fn on_lag(&self, lag: Duration) {
        self.calls.lock().unwrap().lags.push(lag);
    }
}

/// Counts a probe as running until it is dropped.
struct RunningProbe(Arc<FakeExecutor>, String);

impl RunningProbe {
    fn start(executor: &Arc<FakeExecutor>, name: &str) -> Self {
        let mut calls = executor.calls.lock().unwrap();
        calls.starts.entry(name.to_owned()).or_default().push(Instant::now());
        *calls.running.entry(name.to_owned()).or_default() += 1;
        calls.max_concurrent = calls.max_concurrent.max(calls.running.values().sum());
        calls.max_concurrent_of_one_target = calls.max_concurrent_of_one_target.max(calls.running[name]);
        Self(Arc::clone(executor), name.to_owned())
    }
}

impl Drop for RunningProbe {
    fn drop(&mut self) {
        if let Some(count) = self.0.calls.lock().unwrap().running.get_mut(&self.1) {
            *count -= 1;
        }
    }
}

/// A target with this interval.
pub(crate) fn target(name: &str, interval: Duration) -> TargetConfig {
    let host = HostName::parse("localhost").expect("a host name");
    let plan = Plan::new(Target { name: name.to_owned(), ..Target::new(host, None, true) });
    TargetConfig { plan, interval, expect_from: Vec::new() }
}
