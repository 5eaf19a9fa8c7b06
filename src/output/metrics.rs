//! The metrics: the state behind them, fed by records, and the page of it.
//!
//! Every metric is declared in `family`, once. Label values come from the configuration and from
//! closed lists, never from error text; the one exception is `redpath_resolution_info`.

pub mod family;
pub(crate) mod gauges;
mod histogram;
mod negotiation;
mod page;
mod process;
mod schedule_lag;
mod series;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use self::histogram::Bounds;
use self::schedule_lag::Lag;
use self::series::TargetSeries;
use crate::clock::Timestamp;
use crate::config::MetricsSettings;
use crate::plan::Plan;
use crate::record::{Record, Tool};
use crate::vantage::Vantage;

pub use self::negotiation::ExpositionFormat;
pub(crate) use self::page::Page;

/// The upper bounds of `redpath_probe_duration_seconds`: coarse, since the phases tell the rest.
const PROBE_BUCKETS: [f64; 5] = [0.01, 0.05, 0.25, 1.0, 5.0];

/// The metrics of a process. All of it may be called from many tasks at once; a page shows each
/// target as some probe left it, never half of one and half of another.
pub struct Metrics {
    resolution_info: bool,
    probe_bounds: Bounds,
    phase_bounds: Bounds,
    vantage: Vec<(String, String)>,
    targets: Mutex<BTreeMap<String, TargetSeries>>,
    agent: Mutex<Agent>,
}

/// What the agent says of itself.
struct Agent {
    lag: Lag,
    reload_successful: Option<bool>,
    reloaded_at: Option<Timestamp>,
}

impl Metrics {
    /// Metrics without a target yet. The settings hold for as long as the metrics live.
    pub fn new(settings: &MetricsSettings, vantage: &Vantage) -> Self {
        Self {
            resolution_info: settings.resolution_info,
            probe_bounds: Bounds::new(&PROBE_BUCKETS),
            phase_bounds: Bounds::new(&settings.phase_buckets),
            vantage: vantage_labels(vantage),
            targets: Mutex::new(BTreeMap::new()),
            agent: Mutex::new(Agent { lag: Lag::new(Instant::now()), reload_successful: None, reloaded_at: None }),
        }
    }

    /// Sets the targets: an unchanged plan keeps its series, a changed one begins anew, and those
    /// of a target that is gone go with it.
    pub fn set_targets(&self, plans: &[Plan]) {
        let mut targets = locked(&self.targets);
        let names: BTreeSet<&str> = plans.iter().map(|plan| plan.target.name.as_str()).collect();
        targets.retain(|name, _| names.contains(name.as_str()));
        for plan in plans {
            let name = &plan.target.name;
            if !targets.get(name).is_some_and(|series| series.are_of(plan)) {
                let series = TargetSeries::new(plan, &self.probe_bounds, &self.phase_bounds, self.resolution_info);
                targets.insert(name.clone(), series);
            }
        }
    }

    /// Takes a probe into account; one of a target that is gone by now is dropped.
    pub fn observe(&self, record: &Arc<Record>) {
        if let Some(series) = locked(&self.targets).get_mut(&record.target.name) {
            series.observe(record);
        }
    }

    /// Notes how long after its due time a probe began.
    pub fn schedule_lag(&self, lag: Duration) {
        locked(&self.agent).lag.observe(lag, Instant::now());
    }

    /// Notes that the configuration was read at `at`, at the start as well as later.
    pub fn reload(&self, successful: bool, at: Timestamp) {
        let mut agent = locked(&self.agent);
        agent.reload_successful = Some(successful);
        if successful {
            agent.reloaded_at = Some(at);
        }
    }

    /// The whole page, in UTF-8.
    pub fn encode(&self, format: ExpositionFormat) -> Vec<u8> {
        let mut page = Vec::new();
        let _ = self.write_to(&mut page, format); // to memory: it cannot fail
        page
    }

    /// Writes the whole page, in UTF-8, in pieces: a page of hundreds of targets has megabytes.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write_to(&self, to: &mut dyn io::Write, format: ExpositionFormat) -> io::Result<()> {
        let targets = locked(&self.targets);
        let mut page = self.page_of(&targets, format);
        self.add_agent_to(&mut page);
        process::add_to(&mut page);
        page.write_to(to)
    }

    /// Writes the page for node_exporter's textfile collector: without `process_*`, which node_exporter has of
    /// itself and answers with an error where it finds them twice.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write_for_textfile(&self, to: &mut dyn io::Write) -> io::Result<()> {
        let targets = locked(&self.targets);
        let mut page = self.page_of(&targets, ExpositionFormat::Text);
        self.add_agent_to(&mut page);
        page.write_to(to)
    }

    /// The part that `check` has too, in the text format: the targets, the build and the vantage.
    pub(crate) fn text_of_targets(&self) -> String {
        self.page_of(&locked(&self.targets), ExpositionFormat::Text).write()
    }

    fn page_of<'t>(&self, targets: &'t BTreeMap<String, TargetSeries>, format: ExpositionFormat) -> Page<'t> {
        let mut page = Page::new(format);
        for series in targets.values() {
            series.add_to(&mut page);
        }
        page.add_later(&family::PHASE_DURATION, targets.values().flat_map(TargetSeries::phase_durations));
        let (version, os, arch) = (Tool::this().version, std::env::consts::OS, std::env::consts::ARCH);
        page.add(&family::BUILD_INFO, [("version", version.as_str()), ("os", os), ("arch", arch)], 1.0);
        let labels = self.vantage.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        page.add(&family::VANTAGE_INFO, labels, 1.0);
        page
    }

    fn add_agent_to(&self, page: &mut Page<'_>) {
        let mut agent = locked(&self.agent);
        page.add(&family::SCHEDULE_LAG, [], agent.lag.worst(Instant::now()).as_secs_f64());
        if let Some(successful) = agent.reload_successful {
            page.add(&family::RELOAD_SUCCESSFUL, [], f64::from(u8::from(successful)));
        }
        if let Some(at) = agent.reloaded_at {
            page.add(&family::RELOAD_TIME, [], at.unix_seconds());
        }
    }
}

/// The labels of `redpath_vantage_info`. The operator's own come last and outrank the others; the
/// empty ones, which Prometheus takes for absent, are left out.
fn vantage_labels(vantage: &Vantage) -> Vec<(String, String)> {
    let known = [
        ("hostname", Some(&vantage.hostname)),
        ("namespace", vantage.namespace.as_ref()),
        ("node", vantage.node.as_ref()),
        ("pod", vantage.pod.as_ref()),
        ("subnet", vantage.subnet.as_ref()),
    ];
    let known = known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.clone())));
    let own = vantage.labels.iter().map(|(name, value)| (label_name(name), value.clone()));
    let labels: BTreeMap<String, String> = known.chain(own).filter(|(_, value)| !value.is_empty()).collect();
    labels.into_iter().collect()
}

/// The nearest name that a label may have: letters, digits and `_`, no digit in front, and not the
/// `__` that Prometheus keeps to itself.
fn label_name(text: &str) -> String {
    let name: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let name = name.trim_start_matches('_');
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("label_{name}")
    } else {
        name.to_owned()
    }
}

/// The state behind a lock, also after a panic of another holder: numbers are never half-written.
fn locked<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vantage_labels_are_valid_for_prometheus() {
        let own = [("subnet", "app-b"), ("cost-centre", "7"), ("1st", "x"), ("__name__", "y"), ("empty", "")];
        let vantage = Vantage {
            hostname: "vm-1".into(),
            subnet: Some("app-a".into()),
            labels: own.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            ..Vantage::default()
        };
        let labels = vantage_labels(&vantage);
        let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected =
            [("cost_centre", "7"), ("hostname", "vm-1"), ("label_1st", "x"), ("name__", "y"), ("subnet", "app-b")];
        assert_eq!(labels, expected);
    }
}
