//! Metrics of single probes: for `check --output prometheus`, and for the agent's page `/probe`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::metrics::{self, Metrics};
use crate::metrics_settings::MetricsSettings;
use crate::plan::{Plan, ViewSelection};
use crate::record::Record;
use crate::vantage::Vantage;

/// The agent's metrics after these records alone, in the text format: with the same names, types and labels,
/// so that a file of it does not clash with an agent's. Without those of the process.
pub fn exposition_of(records: &[Record]) -> String {
    let mut records = records.to_vec();
    make_names_unique(&mut records);
    let vantage = records.first().map_or_else(Vantage::default, |record| record.vantage.clone());
    let metrics = Metrics::new(&MetricsSettings::default(), &vantage);
    metrics.set_targets(&records.iter().map(plan_of).collect::<Vec<Plan>>());
    for record in records {
        metrics.observe(&Arc::new(record));
    }
    metrics.text_of_targets()
}

/// One probe under the names of the blackbox exporter, and the gauges of the last probe without the label
/// `target`; in the text format.
pub fn blackbox_exposition(record: &Record) -> String {
    metrics::text_of_probe(&plan_of(record), &Arc::new(record.clone()))
}

/// The parts of the plan that the series need: the target, the expectation and the queried views.
fn plan_of(record: &Record) -> Plan {
    let views = record.observation.resolution.views.iter().map(|view| view.view.clone()).collect();
    let expectation = record.expectation.clone();
    Plan { expectation, views: ViewSelection::Only(views), ..Plan::new(record.target.clone()) }
}

/// Renames targets with equal names to `NAME:PORT`: those of a command line have no names of their own.
fn make_names_unique(records: &mut [Record]) {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for record in records.iter() {
        *count.entry(record.target.name.clone()).or_default() += 1;
    }
    for target in records.iter_mut().map(|record| &mut record.target) {
        if count.get(&target.name).is_some_and(|count| *count > 1) {
            target.name = format!("{}:{}", target.name, target.port);
        }
    }
}
