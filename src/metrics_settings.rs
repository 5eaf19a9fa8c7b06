//! Settings of the metrics: the buckets of histograms, and which series are exported.

/// Settings of the metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricsSettings {
    /// The upper bounds of the histograms of times, in seconds, strictly rising.
    pub phase_buckets: Vec<f64>,
    /// Whether `redpath_resolution_info` is exported.
    pub resolution_info: bool,
    /// Whether the durations of phases have classic buckets.
    pub classic_histograms: bool,
    /// Whether the durations of phases are native histograms as well.
    pub native_histograms: bool,
}

impl Default for MetricsSettings {
    fn default() -> Self {
        let phase_buckets = (0..16).map(|power| 0.000_25 * f64::from(1_u32 << power)).collect();
        Self { phase_buckets, resolution_info: true, classic_histograms: true, native_histograms: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_double_from_250_microseconds() {
        let buckets = MetricsSettings::default().phase_buckets;
        assert_eq!(buckets.first().zip(buckets.last()), Some((&0.000_25, &8.192)));
        assert!(buckets.windows(2).all(|pair| pair[1] == 2.0 * pair[0]));
    }
}
