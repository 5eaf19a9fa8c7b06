//! What two sets of durations say of a difference between them, without assuming a distribution.
//!
//! Medians have 95 % intervals by order statistics (Conover, Practical Nonparametric Statistics, 3.2); the shift is
//! that of Hodges and Lehmann, with the interval of the rank-sum test by the normal approximation (ibid., 5.4).

pub mod before_after;

use schemars::JsonSchema;
use serde::Serialize;

/// The fewest samples of a side that a comparison needs.
pub const MIN_SAMPLES: usize = 30;

/// The standard normal's 97.5 % quantile.
const Z: f64 = 1.959_963_984_540_054;

/// From what correlation of neighbours on samples are thinned: at a half, n of them say no more than n/3.
const MAX_CORRELATION: f64 = 0.5;

/// A number with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Estimate {
    /// The best single number.
    pub value: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
}

/// One set of samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Summary {
    /// How many were taken.
    pub samples: usize,
    /// Only each of so many was used, since neighbours were alike; 1 where all were.
    pub thinned_by: usize,
    /// The median.
    pub median: Estimate,
    /// 95 % are at most this.
    pub p95: f64,
    /// The largest.
    pub worst: f64,
}

/// Two sets, before and after a moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Comparison {
    /// Before.
    pub before: Summary,
    /// After.
    pub after: Summary,
    /// By how much those after are longer; absent where a side has too few samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shift: Option<Estimate>,
}

impl Comparison {
    /// Compares samples in the order in which they were taken; `None` where a side has none.
    pub fn of(before: &[f64], after: &[f64]) -> Option<Self> {
        let (before_used, before_step) = thin(before);
        let (after_used, after_step) = thin(after);
        let shift = (before_used.len() >= MIN_SAMPLES && after_used.len() >= MIN_SAMPLES)
            .then(|| shift(&before_used, &after_used));
        Some(Self {
            before: summary(before, &before_used, before_step)?,
            after: summary(after, &after_used, after_step)?,
            shift,
        })
    }
}

impl Estimate {
    /// Whether zero is inside the interval: no difference was seen.
    pub fn has_zero(self) -> bool {
        self.low <= 0.0 && self.high >= 0.0
    }
}

/// The samples that are used, sorted, and each of how many they are: neighbours that are alike say less than they are.
fn thin(samples: &[f64]) -> (Vec<f64>, usize) {
    let mut step = 1;
    loop {
        let used: Vec<f64> = samples.iter().copied().step_by(step).collect();
        if used.len() < 2 * MIN_SAMPLES || correlation(&used) <= MAX_CORRELATION {
            let mut used = used;
            used.sort_by(f64::total_cmp);
            return (used, step);
        }
        step *= 2;
    }
}

/// The correlation of neighbours' ranks, so that one outlier does not decide it.
fn correlation(samples: &[f64]) -> f64 {
    let ranks = ranks(samples);
    let mean = ranks.iter().sum::<f64>() / ranks.len() as f64;
    let variance: f64 = ranks.iter().map(|rank| (rank - mean) * (rank - mean)).sum();
    let covariance: f64 = ranks.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
    if variance > 0.0 { covariance / variance } else { 0.0 }
}

fn ranks(samples: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..samples.len()).collect();
    order.sort_by(|a, b| samples[*a].total_cmp(&samples[*b]));
    let mut ranks = vec![0.0; samples.len()];
    for (rank, index) in order.into_iter().enumerate() {
        ranks[index] = rank as f64;
    }
    ranks
}

fn summary(all: &[f64], used: &[f64], thinned_by: usize) -> Option<Summary> {
    let mut sorted = all.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (value, interval) = (median(&sorted)?, median_interval(used)?);
    Some(Summary {
        samples: all.len(),
        thinned_by,
        // The interval is that of the samples used, and the median of all may lie beside it.
        median: Estimate { value, low: interval.low.min(value), high: interval.high.max(value) },
        p95: quantile(&sorted, 0.95)?,
        worst: *sorted.last()?,
    })
}

fn median(sorted: &[f64]) -> Option<f64> {
    let (low, high) = (sorted.get(sorted.len().saturating_sub(1) / 2)?, sorted.get(sorted.len() / 2)?);
    Some((low + high) / 2.0)
}

/// The smallest value that at least this part of them does not exceed.
fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let wanted = part * sorted.len() as f64;
    (1..).zip(sorted).find(|(rank, _)| f64::from(*rank) >= wanted).map(|(_, value)| *value)
}

/// The interval of the median: the order statistics between which it lies with at least 95 % by the binomial
/// distribution; the extremes where the samples are too few for that.
fn median_interval(sorted: &[f64]) -> Option<Estimate> {
    let below = binomial_below(sorted.len());
    let (low, high) = (sorted.get(below)?, sorted.get(sorted.len() - 1 - below)?);
    Some(Estimate { value: median(sorted)?, low: *low, high: *high })
}

/// The largest k with P(X < k) ≤ 2.5 % for a binomial X of n tosses of a fair coin.
fn binomial_below(n: usize) -> usize {
    let mut log_probability = -(n as f64) * std::f64::consts::LN_2;
    let mut sum = 0.0;
    for k in 0..n / 2 {
        sum += log_probability.exp();
        if sum > 0.025 {
            return k;
        }
        log_probability += ((n - k) as f64).ln() - ((k + 1) as f64).ln();
    }
    0
}

/// The median of all differences between one after and one before, with the interval of the rank-sum test.
fn shift(before: &[f64], after: &[f64]) -> Estimate {
    let (m, n) = (before.len() as f64, after.len() as f64);
    let pairs = m * n;
    let margin = Z * (pairs * (m + n + 1.0) / 12.0).sqrt();
    let low = (pairs / 2.0 - margin).max(1.0);
    Estimate {
        value: nth_difference(before, after, pairs / 2.0),
        low: nth_difference(before, after, low),
        high: nth_difference(before, after, pairs - low + 1.0),
    }
}

/// The smallest difference that at least `wanted` of all do not exceed, to one part in 2^60 of their range. Both are
/// sorted, so that the differences need not be written down.
fn nth_difference(before: &[f64], after: &[f64], wanted: f64) -> f64 {
    let ends = |samples: &[f64]| (samples[0], samples[samples.len() - 1]);
    let ((least, most), (first, last)) = (ends(before), ends(after));
    let (mut low, mut high) = (first - most, last - least);
    for _ in 0..60 {
        let middle = low + (high - low) / 2.0;
        if (count_up_to(before, after, middle) as f64) < wanted {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// How many differences are at most `limit`.
fn count_up_to(before: &[f64], after: &[f64], limit: f64) -> usize {
    let mut reached = 0;
    let mut count = 0;
    for value in before {
        while reached < after.len() && after[reached] - value <= limit {
            reached += 1;
        }
        count += reached;
    }
    count
}
