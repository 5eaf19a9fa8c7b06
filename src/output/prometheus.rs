//! Metrics of single probes: for `check --output prometheus`, and for the agent's page `/probe`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::metrics::{ExpositionFormat, Metrics, Page, family, gauges};
use crate::config::MetricsSettings;
use crate::observation::Connection;
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

/// One probe under the names of the blackbox exporter, and what `redpath_*` says of the last probe
/// without the label `target`, which the scrape configuration gives; in the text format.
pub fn blackbox_exposition(record: &Record) -> String {
    let mut page = Page::new(ExpositionFormat::Text);
    let phases = &record.observation.phases;
    for sample in gauges::of(record, gauges::phases_of(record), false) {
        page.add(sample.family, sample.labels(), sample.value);
    }
    page.add(&family::BLACKBOX_SUCCESS, [], f64::from(u8::from(gauges::is_success(record))));
    page.add(&family::BLACKBOX_DURATION, [], record.took_seconds.as_f64());
    if let Some(took) = phases.resolve.summary().took {
        page.add(&family::BLACKBOX_DNS, [], took.as_f64());
    }
    for phase in phases.names() {
        if let Some(took) = phases.get(phase).took {
            page.add(&family::BLACKBOX_PHASES, [("phase", phase.as_str())], took.as_f64());
        }
    }
    if let Some(connection) = &record.observation.connection {
        add_connection(&mut page, connection);
    }
    page.write()
}

fn add_connection(page: &mut Page<'_>, connection: &Connection) {
    let protocol = if connection.address.is_ipv4() { 4.0 } else { 6.0 };
    page.add(&family::BLACKBOX_IP_PROTOCOL, [], protocol);
    let Some(tls) = &connection.tls else { return };
    if let Some(not_after) = tls.certificate.as_ref().and_then(|certificate| certificate.not_after) {
        page.add(&family::BLACKBOX_CERTIFICATE, [], not_after.unix_seconds());
    }
    if let Some(version) = &tls.version {
        // "TLS 1.3", as Go names what rustls calls TLSv1.3.
        page.add(&family::BLACKBOX_TLS_VERSION, [("version", version.replace("TLSv", "TLS ").as_str())], 1.0);
    }
    if let Some(cipher) = &tls.cipher {
        page.add(&family::BLACKBOX_TLS_CIPHER, [("cipher", cipher.as_str())], 1.0);
    }
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
