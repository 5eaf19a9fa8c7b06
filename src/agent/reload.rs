//! The running agent and how a new configuration is taken up: what is unchanged keeps running.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::clock::Timestamp;
use crate::config::{Config, MetricsSettings, TargetConfig};
use crate::history::History;
use crate::output::metrics::Metrics;
use crate::plan::Plan;
use crate::schedule::{Schedule, World};
use crate::vantage::Vantage;

/// What of the configuration is looked up while the agent runs.
pub(super) struct Current {
    /// Where the probes look from.
    pub(super) vantage: Vantage,
    /// The configured targets, by name.
    pub(super) plans: BTreeMap<String, Plan>,
    /// The suffixes of further host names that may be probed on demand.
    pub(super) allowed_suffixes: Vec<String>,
}

impl Current {
    pub(super) fn new(vantage: Vantage, config: &Config) -> Self {
        let plan = |target: &TargetConfig| (target.plan.target.name.clone(), target.plan.clone());
        Self {
            vantage,
            plans: config.targets.iter().map(plan).collect(),
            allowed_suffixes: config.web.probe_allowed_suffixes.clone(),
        }
    }
}

/// What asked for a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trigger {
    /// SIGHUP.
    Signal,
    /// `POST /-/reload`.
    Request,
    /// The file has changed.
    FileChanged,
}

impl Trigger {
    fn as_str(self) -> &'static str {
        match self {
            Self::Signal => "signal",
            Self::Request => "request",
            Self::FileChanged => "file_changed",
        }
    }
}

/// The schedule with its configuration, and those who must know which targets there are.
pub(super) struct Agent<W> {
    config: Config,
    schedule: Schedule<W>,
    current: watch::Sender<Arc<Current>>,
    metrics: Arc<Metrics>,
    history: Arc<History>,
}

impl<W: World> Agent<W> {
    /// Starts the schedule; the first probes begin within a second.
    pub(super) fn start(
        world: W,
        config: Config,
        current: watch::Sender<Arc<Current>>,
        metrics: Arc<Metrics>,
        history: Arc<History>,
    ) -> Self {
        let vantage = current.borrow().vantage.hostname.clone();
        let mut schedule = Schedule::new(Arc::new(world), &vantage, config.max_concurrent_probes);
        announce(&config, &metrics, &history);
        metrics.reload(true, Timestamp::now());
        schedule.extend(&config.targets);
        Self { config, schedule, current, metrics, history }
    }

    /// Takes up `loaded`, or keeps what it has where that is an error.
    ///
    /// # Errors
    /// That error.
    pub(super) async fn reload(&mut self, trigger: Trigger, loaded: Result<Config, String>) -> Result<(), String> {
        let trigger = trigger.as_str();
        let config = match loaded {
            Ok(config) => config,
            Err(error) => {
                self.metrics.reload(false, Timestamp::now());
                tracing::error!(trigger, error, "reload failed; the old configuration stays");
                return Err(error);
            }
        };
        self.warn_of_what_takes_a_restart(&config);
        let ended = self.schedule.retain(&config.targets).await;
        announce(&config, &self.metrics, &self.history);
        self.schedule.set_concurrent(config.max_concurrent_probes);
        self.current.send_replace(Arc::new(Current::new(Vantage::here(config.labels.clone()), &config)));
        let started = self.schedule.extend(&config.targets);
        self.config = config;
        self.metrics.reload(true, Timestamp::now());
        tracing::info!(trigger, targets = self.targets(), ended, started, "configuration reloaded");
        Ok(())
    }

    /// How many targets there are.
    pub(super) fn targets(&self) -> usize {
        self.schedule.len()
    }

    /// One line on what it does.
    pub(super) fn status(&self) -> String {
        match self.targets() {
            1 => "probing 1 target".to_owned(),
            targets => format!("probing {targets} targets"),
        }
    }

    /// Whether every target is probed still.
    pub(super) fn is_alive(&self) -> bool {
        self.schedule.is_alive()
    }

    /// Begins no further probe, and waits for the end of those under way.
    pub(super) async fn drain(&mut self) {
        self.schedule.drain().await;
    }

    fn warn_of_what_takes_a_restart(&self, new: &Config) {
        let (from, to) = (self.config.web.listen, new.web.listen);
        if from != to {
            let (from, to) = (from.to_string(), to.to_string());
            tracing::warn!(from, to, "web.listen has changed: redpath listens there after a restart");
        }
        let MetricsSettings { phase_buckets, resolution_info } = &self.config.metrics;
        if *phase_buckets != new.metrics.phase_buckets || *resolution_info != new.metrics.resolution_info {
            tracing::warn!("the settings of the metrics have changed: they hold after a restart");
        }
        if self.config.labels != new.labels {
            tracing::warn!(
                "vantage.labels have changed: new records carry them, redpath_vantage_info and the status page after a restart"
            );
        }
    }
}

/// Says which targets there are from here on.
fn announce(config: &Config, metrics: &Metrics, history: &History) {
    let plans: Vec<Plan> = config.targets.iter().map(|target| target.plan.clone()).collect();
    let names: Vec<String> = plans.iter().map(|plan| plan.target.name.clone()).collect();
    metrics.set_targets(&plans);
    history.set_targets(&names);
}
