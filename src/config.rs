//! The configuration of the agent.

/// What the metrics page holds.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricsSettings {
    /// The upper bounds of `redpath_phase_duration_seconds`, in seconds, in ascending order.
    pub phase_buckets: Vec<f64>,
    /// Whether `redpath_resolution_info`, the one metric with addresses in its labels, is there.
    pub resolution_info: bool,
}

impl Default for MetricsSettings {
    /// From 250 µs doubling to 8 s.
    fn default() -> Self {
        Self { phase_buckets: (0..16).map(|step| 0.000_25 * f64::from(1 << step)).collect(), resolution_info: true }
    }
}
