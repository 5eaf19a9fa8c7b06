//! The running agent and its reload: unchanged targets keep running.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use strum::IntoStaticStr;
use tokio::sync::watch;

use super::reserved_ranges::ReservedRanges;
use super::secret_files::SecretFiles;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::history::History;
use crate::output::metrics::Metrics;
use crate::plan::Plan;
use crate::schedule::{Executor, Schedule};
use crate::server::AgentState;
use crate::vantage::Vantage;

/// The configuration that probes use.
pub(super) struct RunningConfig {
    /// Where the agent runs.
    pub(super) vantage: Vantage,
    /// The configuration in force.
    pub(super) config: Config,
}

/// What caused a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
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
        self.into()
    }
}

/// The schedule, its configuration, and the stores that keep data for each target.
pub(super) struct Agent<E> {
    config: Config,
    schedule: Schedule<E>,
    current: watch::Sender<Arc<RunningConfig>>,
    metrics: Arc<Metrics>,
    history: Arc<History>,
    state: watch::Sender<AgentState>,
    secret_files: SecretFiles,
    reserved_ranges: ReservedRanges,
}

impl<E: Executor> Agent<E> {
    /// Starts the schedule; the first probes start within a second.
    pub(super) fn start(
        executor: E,
        config: Config,
        current: watch::Sender<Arc<RunningConfig>>,
        metrics: Arc<Metrics>,
        history: Arc<History>,
    ) -> Self {
        let vantage = current.borrow().vantage.hostname.clone();
        let mut schedule = Schedule::new(Arc::new(executor), &vantage, config.max_concurrent_probes);
        set_targets(&config, &metrics, &history);
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
        secret_files.check(&config);
        let mut reserved_ranges = ReservedRanges::default();
        reserved_ranges.check(&config);
        let state = watch::Sender::new(state);
        Self { config, schedule, current, metrics, history, state, secret_files, reserved_ranges }
    }

    /// Applies `loaded`; keeps the present configuration if it is an error.
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
                tracing::error!(trigger, error, "reload failed; the old configuration stays in force");
                return Err(error);
            }
        };
        self.warn_about_restart(&config);
        self.secret_files.check(&config);
        self.reserved_ranges.check(&config);
        let removed = self.schedule.retain(&config.targets).await;
        set_targets(&config, &self.metrics, &self.history);
        self.schedule.set_concurrent(config.max_concurrent_probes);
        self.current.send_replace(Arc::new(RunningConfig { vantage: vantage(&config), config: config.clone() }));
        let added = self.schedule.extend(&config.targets);
        self.config = config;
        let now = Timestamp::now();
        self.metrics.reload(true, now);
        self.state.send_modify(|state| {
            (state.loaded, state.reload_error, state.intervals) = (now, None, intervals(&self.config));
            state.allowed_hosts.clone_from(&self.config.web.allowed_hosts);
        });
        tracing::info!(trigger, targets = self.target_count(), removed, added, "reloaded configuration");
        Ok(())
    }

    /// The state for the status page.
    pub(super) fn state(&self) -> watch::Receiver<AgentState> {
        self.state.subscribe()
    }

    /// How many targets there are.
    pub(super) fn target_count(&self) -> usize {
        self.schedule.len()
    }

    /// One line for the service manager.
    pub(super) fn status(&self) -> String {
        match self.target_count() {
            1 => "probing 1 target".to_owned(),
            targets => format!("probing {targets} targets"),
        }
    }

    /// Whether every target is still being probed.
    pub(super) fn is_alive(&self) -> bool {
        self.schedule.is_alive()
    }

    /// Starts no further probe, and waits for the running ones.
    pub(super) async fn drain(&mut self) {
        self.schedule.drain().await;
    }

    fn warn_about_restart(&self, new: &Config) {
        if self.config.journal != new.journal {
            tracing::warn!("journal has changed: it takes effect after a restart");
        }
        let (from, to) = (self.config.web.listen, new.web.listen);
        if from != to {
            let (from, to) = (from.to_string(), to.to_string());
            tracing::warn!(from, to, "web.listen has changed: it takes effect after a restart");
        }
        if self.config.metrics != new.metrics {
            tracing::warn!("the settings of the metrics have changed: they take effect after a restart");
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

/// The vantage of this host with the labels of `config`.
pub(super) fn vantage(config: &Config) -> Vantage {
    Vantage::here(config.labels.clone(), &config.subnet_by_node_pool)
}

/// Removes the data of other targets, and prepares for new ones.
fn set_targets(config: &Config, metrics: &Metrics, history: &History) {
    let plans: Vec<Plan> = config.targets.iter().map(|target| target.plan.clone()).collect();
    let names: Vec<String> = plans.iter().map(|plan| plan.target.name.clone()).collect();
    metrics.set_targets(&plans);
    metrics.set_intervals(&intervals(config));
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
    use crate::schedule::fake::{Behavior, FakeExecutor};

    /// Longer than any test: a second probe shows that the target was restarted.
    const LONG_INTERVAL: &str = "1h";

    /// A configuration of these targets with their intervals.
    pub(in super::super) fn config(targets: &[(&str, &str)]) -> Config {
        let targets: String = targets
            .iter()
            .map(|(name, interval)| format!("  - {{name: {name}, host: localhost, interval: {interval}}}\n"))
            .collect();
        config::parse(&format!("targets:\n{targets}")).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(in super::super) fn started(executor: &Arc<FakeExecutor>, config: Config) -> Agent<Arc<FakeExecutor>> {
        let vantage = Vantage { hostname: "vm1".to_owned(), ..Vantage::default() };
        let metrics = Arc::new(Metrics::new(&config.metrics, &vantage));
        let current = watch::Sender::new(Arc::new(RunningConfig { vantage, config: config.clone() }));
        Agent::start(Arc::clone(executor), config, current, metrics, Arc::new(History::new()))
    }

    fn page(agent: &Agent<Arc<FakeExecutor>>) -> String {
        String::from_utf8(agent.metrics.encode(ExpositionFormat::Text)).expect("the page is UTF-8")
    }

    #[tokio::test(start_paused = true)]
    async fn reload_unchanged_target_keeps_state() {
        let executor = FakeExecutor::new(|_, _| Behavior::Finish(Duration::from_millis(3)));
        let mut agent = started(
            &executor,
            config(&[("same", LONG_INTERVAL), ("changed", LONG_INTERVAL), ("removed", LONG_INTERVAL)]),
        );
        sleep(Duration::from_secs(1)).await;
        for name in ["same", "removed"] {
            let mut record = record(Status::Pass);
            record.target.name = name.to_owned();
            agent.history.observe(Arc::new(record));
        }
        let next = config(&[("same", LONG_INTERVAL), ("changed", "2h"), ("added", LONG_INTERVAL)]);
        agent.reload(Trigger::Signal, Ok(next)).await.expect("it is valid");
        sleep(Duration::from_secs(1)).await;
        let starts = ["same", "changed", "removed", "added"].map(|name| executor.starts(name).len());
        assert_eq!(starts, [1, 2, 1, 1]);
        assert!(agent.history.get("same").is_some_and(|history| history.latest.is_some()));
        assert!(agent.history.get("removed").is_none());
        assert!(agent.history.get("added").is_some());
        let page = page(&agent);
        assert!(page.contains("target=\"same\"") && page.contains("target=\"added\""), "{page}");
        assert!(!page.contains("target=\"removed\""), "{page}");
        assert_eq!(agent.current.borrow().config.targets.len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn reload_bad_file_keeps_old_config() {
        let log = Captured::start(LogFormat::Text, LogLevel::Info);
        let executor = FakeExecutor::new(|_, _| Behavior::Finish(Duration::from_millis(3)));
        let mut agent = started(&executor, config(&[("same", "10s")]));
        assert!(page(&agent).contains("redpath_config_last_reload_successful 1\n"));
        let refused = agent.reload(Trigger::FileChanged, Err("agent.yaml: no\ngood".to_owned())).await;
        assert_eq!(refused, Err("agent.yaml: no\ngood".to_owned()));
        assert!(page(&agent).contains("redpath_config_last_reload_successful 0\n"));
        let state = agent.state().borrow().clone();
        assert!(state.reload_error.is_some_and(|(_, error)| error == "agent.yaml: no\ngood"));
        sleep(Duration::from_secs(60)).await;
        assert!(executor.results("same") >= 6);
        let lines = log.lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("ERROR") && lines[0].contains(r"no\ngood"), "{lines:?}");

        agent.reload(Trigger::Request, Ok(config(&[("same", "20s")]))).await.expect("it is valid");
        assert!(page(&agent).contains("redpath_config_last_reload_successful 1\n"));
        let state = agent.state().borrow().clone();
        assert_eq!((state.reload_error, state.intervals["same"]), (None, Duration::from_secs(20)));
    }

    #[tokio::test(start_paused = true)]
    async fn reload_of_restart_setting_warns() {
        let log = Captured::start(LogFormat::Text, LogLevel::Warn);
        let executor = FakeExecutor::new(|_, _| Behavior::Finish(Duration::ZERO));
        let mut agent = started(&executor, config(&[("same", LONG_INTERVAL)]));
        let mut other = config(&[("same", LONG_INTERVAL)]);
        other.web.listen.set_port(1234);
        agent.reload(Trigger::Signal, Ok(other)).await.expect("it is valid");
        let lines = log.lines();
        assert!(lines.len() == 1 && lines[0].contains("web.listen") && lines[0].contains(":1234"), "{lines:?}");
    }
}
