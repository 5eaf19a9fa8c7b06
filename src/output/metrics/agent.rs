//! What the agent reports of itself: its schedule, its configuration, its vantage and its process.

use std::sync::Arc;
use std::time::Duration;

use super::process::Process;
use super::sample::Sample;
use crate::clock::Timestamp;
use crate::journal::recorder::Status;
use crate::record::Tool;

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
