//! Metrics of single probes: for `check --output prometheus`, and for the agent's page `/probe`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::metrics::{self, Metrics};
use crate::config::MetricsSettings;
use crate::plan::{Plan, ViewSelection};
use crate::record::Record;
use crate::vantage::Vantage;

/// The agent's metrics after these records alone, in the text format: names, types and labels are
/// the same, so that a file of it can stand beside an agent. What describes a process is left out.
pub fn exposition_of(records: &[Record]) -> String {
    let mut records = records.to_vec();
    name_apart(&mut records);
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

/// As much of the plan as the series need: the target, and which views were asked.
fn plan_of(record: &Record) -> Plan {
    let views = record.observation.resolution.views.iter().map(|view| view.view.clone()).collect();
    Plan { views: ViewSelection::Only(views), ..Plan::new(record.target.clone()) }
}

/// Gives targets of one name the names `NAME:PORT`: on a command line nobody gave them names.
fn name_apart(records: &mut [Record]) {
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
