//! The configuration of the agent.

/// How metrics are shaped.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricsSettings {
    /// The upper bounds of the phase histogram, in seconds.
    pub phase_buckets: Vec<f64>,
    /// Whether `redpath_resolution_info` is kept.
    pub resolution_info: bool,
}
