//! A world for tests, in which a test says how long each probe takes and reads what happened.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::*;
use crate::expectation::Expectation;
use crate::observation::Observation;
use crate::plan::Plan;
use crate::target::{HostName, Target};
use crate::vantage::Vantage;

/// What a probe does.
#[derive(Clone, Copy)]
pub(crate) enum Does {
    /// It takes this long.
    Take(Duration),
    Panic,
    Hang,
}

/// What the probe of a target does, counted from 0.
type Script = dyn Fn(&str, usize) -> Does + Send + Sync;

/// The world, and what has happened in it.
pub(crate) struct FakeWorld {
    does: Box<Script>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    begun: BTreeMap<String, Vec<Instant>>,
    kept: BTreeMap<String, usize>,
    lost: Vec<(String, FailureKind)>,
    lags: Vec<Duration>,
    under_way: BTreeMap<String, usize>,
    most_at_a_time: usize,
    most_of_one_target: usize,
}

impl FakeWorld {
    /// A world in which probes do this.
    pub(crate) fn new(does: impl Fn(&str, usize) -> Does + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { does: Box::new(does), seen: Mutex::default() })
    }

    /// When the probes of a target began.
    pub(crate) fn begun(&self, target: &str) -> Vec<Instant> {
        self.seen.lock().unwrap().begun.get(target).cloned().unwrap_or_default()
    }

    /// How many probes of all targets have begun.
    pub(crate) fn all_begun(&self) -> usize {
        self.seen.lock().unwrap().begun.values().map(Vec::len).sum()
    }

    /// How many records of a target were kept.
    pub(crate) fn kept(&self, target: &str) -> usize {
        self.seen.lock().unwrap().kept.get(target).copied().unwrap_or_default()
    }

    pub(super) fn lost(&self) -> Vec<(String, FailureKind)> {
        self.seen.lock().unwrap().lost.clone()
    }

    pub(super) fn longest_lag(&self) -> Duration {
        self.seen.lock().unwrap().lags.iter().max().copied().unwrap_or_default()
    }

    /// How many probes of a target are under way.
    pub(crate) fn under_way(&self, target: &str) -> usize {
        self.seen.lock().unwrap().under_way.get(target).copied().unwrap_or_default()
    }

    /// The most probes at a time since the last call.
    pub(super) fn most_at_a_time(&self) -> usize {
        std::mem::take(&mut self.seen.lock().unwrap().most_at_a_time)
    }

    pub(super) fn most_of_one_target(&self) -> usize {
        self.seen.lock().unwrap().most_of_one_target
    }
}

impl Executor for Arc<FakeWorld> {
    async fn probe(&self, target: Arc<TargetConfig>) -> Record {
        let name = target.plan.target.name.clone();
        let under_way = UnderWay::begin(self, &name);
        match (self.does)(&name, self.begun(&name).len() - 1) {
            Does::Take(time) => tokio::time::sleep(time).await,
            Does::Panic => panic!("as the test wants it"),
            Does::Hang => std::future::pending().await,
        }
        drop(under_way);
        let vantage = Vantage::default();
        let target = target.plan.target.clone();
        Record::new(Timestamp::now(), Duration::ZERO, target, vantage, Expectation::default(), Observation::default())
    }

    fn keep(&self, record: Record) {
        *self.seen.lock().unwrap().kept.entry(record.target.name).or_default() += 1;
    }

    fn lose(&self, loss: FailedRun) {
        self.seen.lock().unwrap().lost.push((loss.target.plan.target.name.clone(), loss.kind));
        assert_ne!(loss.target.plan.target.name, "cursed", "even this panics");
    }

    fn lag(&self, lag: Duration) {
        self.seen.lock().unwrap().lags.push(lag);
    }
}

/// Counts a probe from its beginning until it ends or is dropped.
struct UnderWay(Arc<FakeWorld>, String);

impl UnderWay {
    fn begin(world: &Arc<FakeWorld>, name: &str) -> Self {
        let mut seen = world.seen.lock().unwrap();
        seen.begun.entry(name.to_owned()).or_default().push(Instant::now());
        *seen.under_way.entry(name.to_owned()).or_default() += 1;
        seen.most_at_a_time = seen.most_at_a_time.max(seen.under_way.values().sum());
        seen.most_of_one_target = seen.most_of_one_target.max(seen.under_way[name]);
        Self(Arc::clone(world), name.to_owned())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(count) = self.0.seen.lock().unwrap().under_way.get_mut(&self.1) {
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
