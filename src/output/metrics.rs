//! The agent's metrics.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::config::MetricsSettings;
use crate::plan::Plan;
use crate::record::Record;
use crate::vantage::Vantage;

/// The agent's metrics.
pub struct Metrics {}

impl Metrics {
    /// Metrics without targets.
    pub fn new(_settings: &MetricsSettings, _vantage: &Vantage) -> Self {
        Self {}
    }

    /// Keeps the series of these targets and no others.
    pub fn set_targets(&self, _plans: &[Plan]) {}

    /// Counts a record.
    pub fn observe(&self, _record: &Record) {}

    /// How late a probe began.
    pub fn schedule_lag(&self, _lag: Duration) {}

    /// How a reload ended.
    pub fn reload(&self, _successful: bool, _at: Timestamp) {}

    /// The page.
    pub fn encode(&self, format: ExpositionFormat) -> Vec<u8> {
        let end = match format {
            ExpositionFormat::Text => "",
            ExpositionFormat::OpenMetrics => "# EOF\n",
        };
        format!("# TYPE redpath_build_info gauge\nredpath_build_info 1\n{end}").into_bytes()
    }
}

/// The formats of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpositionFormat {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl ExpositionFormat {
    /// The format that an `Accept` header asks for.
    pub fn negotiate(accept: Option<&str>) -> Self {
        if accept.is_some_and(|accept| accept.contains("application/openmetrics-text")) {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }

    /// The value of `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}
