//! A histogram's state. It has no lock of its own: the state of a target changes and is read as one.

use std::sync::Arc;

/// The upper bounds of a histogram's buckets, in order; one list for all histograms of a kind.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bounds(Arc<[f64]>);

impl Bounds {
    /// Bounds that are no numbers are left out, the others put in order.
    pub(crate) fn new(bounds: &[f64]) -> Self {
        let mut bounds: Vec<f64> = bounds.iter().copied().filter(|bound| bound.is_finite()).collect();
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        Self(bounds.into())
    }
}

/// How often a value fell under each bound, and the sum of all.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Distribution {
    bounds: Bounds,
    /// One per bound, not cumulative, and one for what lies above the last.
    counts: Vec<u64>,
    sum: f64,
}

impl Distribution {
    /// An empty one.
    pub(crate) fn new(bounds: &Bounds) -> Self {
        Self { counts: vec![0; bounds.0.len() + 1], bounds: bounds.clone(), sum: 0.0 }
    }

    pub(crate) fn observe(&mut self, value: f64) {
        let bucket = self.bounds.0.partition_point(|bound| *bound < value);
        self.counts[bucket] += 1;
        self.sum += value;
    }

    /// Each bound, and how many values are not above it.
    pub(crate) fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        self.bounds.0.iter().zip(&self.counts).scan(0, |sum, (bound, count)| {
            *sum += count;
            Some((*bound, *sum))
        })
    }

    /// How many values there were.
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The sum of the values.
    pub(crate) fn sum(&self) -> f64 {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histogram_bound_includes_equal_value() {
        let mut distribution = Distribution::new(&Bounds::new(&[1.0, 0.5, f64::INFINITY, 1.0]));
        for value in [0.5, 0.6, 1.0, 7.0] {
            distribution.observe(value);
        }
        assert_eq!(distribution.cumulative().collect::<Vec<_>>(), [(0.5, 1), (1.0, 3)]);
        assert_eq!((distribution.count(), distribution.sum()), (4, 9.1));
    }
}
