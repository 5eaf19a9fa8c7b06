//! A histogram's state. It has no lock of its own: the state of a target changes and is read as one.

use prometheus::proto::{Bucket, Histogram};

/// How often a value fell under each bound, and the sum of all.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Distribution {
    bounds: Vec<f64>,
    /// One per bound, not cumulative, and one for what lies above the last.
    counts: Vec<u64>,
    sum: f64,
}

impl Distribution {
    /// An empty one; bounds that are no numbers are left out, the others put in order.
    pub(crate) fn new(bounds: &[f64]) -> Self {
        let mut bounds: Vec<f64> = bounds.iter().copied().filter(|bound| bound.is_finite()).collect();
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        Self { counts: vec![0; bounds.len() + 1], bounds, sum: 0.0 }
    }

    pub(crate) fn observe(&mut self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket] += 1;
        self.sum += value;
    }

    pub(crate) fn to_model(&self) -> Histogram {
        let mut model = Histogram::default();
        let mut cumulative = 0;
        let buckets = self.bounds.iter().zip(&self.counts).map(|(bound, count)| {
            cumulative += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(cumulative);
            bucket
        });
        model.set_bucket(buckets.collect());
        model.set_sample_count(self.counts.iter().sum());
        model.set_sample_sum(self.sum);
        model
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_holds_what_equals_it() {
        let mut distribution = Distribution::new(&[1.0, 0.5, f64::INFINITY, 1.0]);
        for value in [0.5, 0.6, 1.0, 7.0] {
            distribution.observe(value);
        }
        let model = distribution.to_model();
        let buckets: Vec<_> = model.get_bucket().iter().map(|b| (b.upper_bound(), b.cumulative_count())).collect();
        assert_eq!(buckets, [(0.5, 1), (1.0, 3)]);
        assert_eq!((model.get_sample_count(), model.get_sample_sum()), (4, 9.1));
    }
}
