//! The running agent and how a new configuration is taken up: what is unchanged keeps running.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::secret_files::SecretFiles;
use crate::clock::Timestamp;
use crate::config::{Config, MetricsSettings};
use crate::history::History;
use crate::output::metrics::Metrics;
use crate::plan::Plan;
use crate::schedule::{Executor, Schedule};
use crate::server::AgentState;
use crate::vantage::Vantage;

/// What is looked up while the agent runs.
pub(super) struct RunningConfig {
    /// Where the probes look from.
    pub(super) vantage: Vantage,
    /// The configuration in force.
    pub(super) config: Config,
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
    current: watch::Sender<Arc<RunningConfig>>,
    metrics: Arc<Metrics>,
    history: Arc<History>,
    state: watch::Sender<AgentState>,
    secret_files: SecretFiles,
}

impl<W: Executor> Agent<W> {
    /// Starts the schedule; the first probes begin within a second.
    pub(super) fn start(
        world: W,
        config: Config,
        current: watch::Sender<Arc<RunningConfig>>,
        metrics: Arc<Metrics>,
        history: Arc<History>,
    ) -> Self {
        let vantage = current.borrow().vantage.hostname.clone();
        let mut schedule = Schedule::new(Arc::new(world), &vantage, config.max_concurrent_probes);
        announce(&config, &metrics, &history);
        let now = Timestamp::now();
        metrics.reload(true, now);
        schedule.extend(&config.targets);
        let state = AgentState {
            started: now,
            loaded: now,
            reload_error: None,
            intervals: intervals(&config),
            allowed_hosts: config.web.allowed_hosts.clone(),
        };
        let mut secret_files = SecretFiles::default();
        secret_files.look(&config);
        Self { config, schedule, current, metrics, history, state: watch::Sender::new(state), secret_files }
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
                let now = Timestamp::now();
                self.metrics.reload(false, now);
                self.state.send_modify(|state| state.reload_error = Some((now, error.clone())));
                tracing::error!(trigger, error, "reload failed; the old configuration stays");
                return Err(error);
            }
        };
        self.warn_of_what_takes_a_restart(&config);
        self.secret_files.look(&config);
        let ended = self.schedule.retain(&config.targets).await;
        announce(&config, &self.metrics, &self.history);
        self.schedule.set_concurrent(config.max_concurrent_probes);
        self.current.send_replace(Arc::new(RunningConfig { vantage: vantage(&config), config: config.clone() }));
        let started = self.schedule.extend(&config.targets);
        self.config = config;
        let now = Timestamp::now();
        self.metrics.reload(true, now);
        self.state.send_modify(|state| {
            (state.loaded, state.reload_error, state.intervals) = (now, None, intervals(&self.config));
            state.allowed_hosts.clone_from(&self.config.web.allowed_hosts);
        });
        tracing::info!(trigger, targets = self.targets(), ended, started, "configuration reloaded");
        Ok(())
    }

    /// What it says of itself, from now on.
    pub(super) fn state(&self) -> watch::Receiver<AgentState> {
        self.state.subscribe()
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
        let (old, labels) = (&self.config, &new.labels);
        if old.labels != *labels || old.subnet_by_node_pool != new.subnet_by_node_pool {
            tracing::warn!(
                "the labels of the vantage have changed: new records carry them, redpath_vantage_info and the status page after a restart"
            );
        }
    }
}

fn intervals(config: &Config) -> BTreeMap<String, Duration> {
    config.targets.iter().map(|target| (target.plan.target.name.clone(), target.interval)).collect()
}

/// The vantage that `config` describes, seen from here.
pub(super) fn vantage(config: &Config) -> Vantage {
    Vantage::here(config.labels.clone(), &config.subnet_by_node_pool)
}

/// Says which targets there are from here on.
fn announce(config: &Config, metrics: &Metrics, history: &History) {
    let plans: Vec<Plan> = config.targets.iter().map(|target| target.plan.clone()).collect();
    let names: Vec<String> = plans.iter().map(|plan| plan.target.name.clone()).collect();
    metrics.set_targets(&plans);
    history.set_targets(&names);
}

#[cfg(test)]
pub(super) mod tests {
    use tokio::time::sleep;

    use super::*;
    use crate::config;
    use crate::diagnosis::Status;
    use crate::output::log::tests::{Captured, record};
    use crate::output::log::{LogFormat, LogLevel};
    use crate::output::metrics::ExpositionFormat;
    use crate::schedule::fake::{Does, FakeWorld};

    /// Longer than any test: a target is probed again only because it was started again.
    const SELDOM: &str = "1h";

    /// A configuration of these targets with their intervals.
    pub(in super::super) fn config(targets: &[(&str, &str)]) -> Config {
        let targets: String = targets
            .iter()
            .map(|(name, interval)| format!("  - {{name: {name}, host: localhost, interval: {interval}}}\n"))
            .collect();
        config::parse(&format!("targets:\n{targets}")).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(in super::super) fn started(world: &Arc<FakeWorld>, config: Config) -> Agent<Arc<FakeWorld>> {
        let vantage = Vantage { hostname: "vm1".to_owned(), ..Vantage::default() };
        let metrics = Arc::new(Metrics::new(&config.metrics, &vantage));
        let current = watch::Sender::new(Arc::new(RunningConfig { vantage, config: config.clone() }));
        Agent::start(Arc::clone(world), config, current, metrics, Arc::new(History::new()))
    }

    fn page(agent: &Agent<Arc<FakeWorld>>) -> String {
        String::from_utf8(agent.metrics.encode(ExpositionFormat::Text)).expect("the page is UTF-8")
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_unchanged_keeps_its_task_its_history_and_its_series() {
        let world = FakeWorld::new(|_, _| Does::Take(Duration::from_millis(3)));
        let mut agent = started(&world, config(&[("same", SELDOM), ("changed", SELDOM), ("removed", SELDOM)]));
        sleep(Duration::from_secs(1)).await;
        for name in ["same", "removed"] {
            let mut record = record(Status::Pass);
            record.target.name = name.to_owned();
            agent.history.observe(Arc::new(record));
        }
        let next = config(&[("same", SELDOM), ("changed", "2h"), ("added", SELDOM)]);
        agent.reload(Trigger::Signal, Ok(next)).await.expect("it is taken up");
        sleep(Duration::from_secs(1)).await;
        let begun = ["same", "changed", "removed", "added"].map(|name| world.begun(name).len());
        assert_eq!(begun, [1, 2, 1, 1]);
        assert!(agent.history.get("same").is_some_and(|history| history.latest.is_some()));
        assert!(agent.history.get("removed").is_none());
        assert!(agent.history.get("added").is_some());
        let page = page(&agent);
        assert!(page.contains("target=\"same\"") && page.contains("target=\"added\""), "{page}");
        assert!(!page.contains("target=\"removed\""), "{page}");
        assert_eq!(agent.current.borrow().config.targets.len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_file_changes_nothing_and_says_so() {
        let log = Captured::start(LogFormat::Text, LogLevel::Info);
        let world = FakeWorld::new(|_, _| Does::Take(Duration::from_millis(3)));
        let mut agent = started(&world, config(&[("same", "10s")]));
        assert!(page(&agent).contains("redpath_config_last_reload_successful 1\n"));
        let refused = agent.reload(Trigger::FileChanged, Err("agent.yaml: no\ngood".to_owned())).await;
        assert_eq!(refused, Err("agent.yaml: no\ngood".to_owned()));
        assert!(page(&agent).contains("redpath_config_last_reload_successful 0\n"));
        let told = agent.state().borrow().clone();
        assert!(told.reload_error.is_some_and(|(_, error)| error == "agent.yaml: no\ngood"));
        sleep(Duration::from_secs(60)).await;
        assert!(world.kept("same") >= 6);
        let lines = log.lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("ERROR") && lines[0].contains(r"no\ngood"), "{lines:?}");

        agent.reload(Trigger::Request, Ok(config(&[("same", "20s")]))).await.expect("it is taken up");
        assert!(page(&agent).contains("redpath_config_last_reload_successful 1\n"));
        let told = agent.state().borrow().clone();
        assert_eq!((told.reload_error, told.intervals["same"]), (None, Duration::from_secs(20)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_a_restart_is_said() {
        let log = Captured::start(LogFormat::Text, LogLevel::Warn);
        let world = FakeWorld::new(|_, _| Does::Take(Duration::ZERO));
        let mut agent = started(&world, config(&[("same", SELDOM)]));
        let mut other = config(&[("same", SELDOM)]);
        other.web.listen.set_port(1234);
        agent.reload(Trigger::Signal, Ok(other)).await.expect("it is taken up");
        let lines = log.lines();
        assert!(lines.len() == 1 && lines[0].contains("web.listen") && lines[0].contains(":1234"), "{lines:?}");
    }
}
