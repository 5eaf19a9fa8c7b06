//! The metrics.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::config::MetricsSettings;
use crate::plan::Plan;
use crate::record::Record;
use crate::vantage::Vantage;

/// Every metric.
pub struct Metrics(Mutex<State>);

#[derive(Default)]
struct State {
    probes: BTreeMap<String, u64>,
    reloaded: bool,
}

/// How they are written.
pub enum ExpositionFormat {
    /// Prometheus' text format.
    Text,
    /// OpenMetrics.
    OpenMetrics,
}

impl Metrics {
    /// No target yet.
    pub fn new(_: &MetricsSettings, _: &Vantage) -> Self {
        Self(Mutex::default())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps these targets' series and no other.
    pub fn set_targets(&self, plans: &[Plan]) {
        let mut state = self.state();
        state.probes.retain(|name, _| plans.iter().any(|plan| plan.target.name == *name));
        for plan in plans {
            state.probes.entry(plan.target.name.clone()).or_default();
        }
    }

    /// Counts a record.
    pub fn observe(&self, record: &Record) {
        if let Some(probes) = self.state().probes.get_mut(&record.target.name) {
            *probes += 1;
        }
    }

    /// How late a probe began.
    pub fn schedule_lag(&self, _: Duration) {}

    /// What became of a reload.
    pub fn reload(&self, successful: bool, _: Timestamp) {
        self.state().reloaded = successful;
    }

    /// The page.
    pub fn encode(&self, _: ExpositionFormat) -> Vec<u8> {
        let state = self.state();
        let mut page = format!("redpath_config_last_reload_successful {}\n", u8::from(state.reloaded));
        for (name, probes) in &state.probes {
            let _ = writeln!(page, "redpath_probes_total{{target=\"{name}\"}} {probes}");
        }
        page.into_bytes()
    }
}
