//! What the agent reports of itself: its schedule, its configuration, its vantage and its process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::process::Process;
use super::sample::Sample;
use crate::clock::Timestamp;
use crate::journal::recorder::Status;
use crate::record::Tool;
use crate::vantage::Vantage;

/// The connections of the HTTP server.
#[derive(Clone, Copy, Debug)]
pub struct HttpCounts {
    /// How many are open.
    pub connections: usize,
    /// How many connections and responses were refused at a limit.
    pub refused: u64,
}

/// The state of the agent at one moment; what a page does not show is absent.
#[derive(Debug, Default)]
pub(crate) struct Agent {
    pub(crate) vantage: Arc<[(String, String)]>,
    pub(crate) schedule_lag: Option<Duration>,
    pub(crate) reload_successful: Option<bool>,
    pub(crate) reloaded_at: Option<Timestamp>,
    pub(crate) http: Option<HttpCounts>,
    pub(crate) journal: Option<Status>,
    pub(crate) process: Option<Process>,
}

impl Agent {
    pub(crate) fn schedule_lag(&self) -> Vec<Sample<'_>> {
        self.schedule_lag.map(|lag| Sample::new(lag.as_secs_f64())).into_iter().collect()
    }

    pub(crate) fn reload_successful(&self) -> Vec<Sample<'_>> {
        self.reload_successful.map(Sample::flag).into_iter().collect()
    }

    pub(crate) fn reload_time(&self) -> Vec<Sample<'_>> {
        self.reloaded_at.map(|at| Sample::new(at.unix_seconds())).into_iter().collect()
    }

    pub(crate) fn http_connections(&self) -> Vec<Sample<'_>> {
        self.http.map(|http| Sample::new(http.connections as f64)).into_iter().collect()
    }

    pub(crate) fn http_refused(&self) -> Vec<Sample<'_>> {
        self.http.map(|http| Sample::new(http.refused as f64)).into_iter().collect()
    }

    pub(crate) fn journal_records(&self) -> Vec<Sample<'_>> {
        self.journal.map(|journal| Sample::count(journal.head.number)).into_iter().collect()
    }

    pub(crate) fn journal_head(&self) -> Vec<Sample<'_>> {
        let Some(journal) = self.journal else { return Vec::new() };
        let parts = ["1", "2", "3"].into_iter().zip(journal.head.digest.parts());
        parts.map(|(part, bits)| Sample::count(bits).with("part", part)).collect()
    }

    pub(crate) fn journal_write_failures(&self) -> Vec<Sample<'_>> {
        self.journal.map(|journal| Sample::count(journal.write_failures)).into_iter().collect()
    }

    pub(crate) fn build_info(&self) -> Vec<Sample<'_>> {
        let version = Sample::new(1.0).with_display("version", Tool::this().version);
        vec![version.with("os", std::env::consts::OS).with("arch", std::env::consts::ARCH)]
    }

    pub(crate) fn vantage_info(&self) -> Vec<Sample<'_>> {
        vec![self.vantage.iter().fold(Sample::new(1.0), |sample, (name, value)| sample.with(name, value))]
    }
}

/// The labels of `redpath_vantage_info`. The operator's own come last and outrank the others; the
/// empty ones, which Prometheus takes for absent, are left out. A PodMonitor gives every series its own `pod`
/// and `namespace`; under these names, Prometheus would rename ours to `exported_pod`.
pub(crate) fn vantage_labels(vantage: &Vantage) -> Arc<[(String, String)]> {
    let known = [
        ("hostname", Some(&vantage.hostname)),
        ("node", vantage.node.as_ref()),
        ("pod_name", vantage.pod.as_ref()),
        ("pod_namespace", vantage.namespace.as_ref()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vantage_labels_are_valid_and_unique() {
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
