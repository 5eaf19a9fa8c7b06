//! The statistics against numbers of scipy, and against samples whose difference is known.

use redpath::statistics::{Comparison, Estimate};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    before: Vec<f64>,
    after: Vec<f64>,
    median: [f64; 3],
    p95: f64,
    shift: [f64; 3],
}

fn assert_near(name: &str, found: Estimate, [value, low, high]: [f64; 3]) {
    for (found, wanted) in [(found.value, value), (found.low, low), (found.high, high)] {
        assert!((found - wanted).abs() < 2e-6, "{name}: {found} and not {wanted}");
    }
}

#[test]
fn statistics_match_scipy() {
    let text = std::fs::read_to_string("tests/fixtures/statistics.json").expect("the numbers");
    let reference: Reference = serde_json::from_str(&text).expect("JSON");
    assert_eq!(reference.cases.len(), 3);
    for case in reference.cases {
        let found = Comparison::of(&case.before, &case.after).expect("samples");
        assert_near(&case.name, found.before.median, case.median);
        assert!((found.before.p95 - case.p95).abs() < 1e-9, "{}: {}", case.name, found.before.p95);
        assert_near(&case.name, found.shift.expect("enough samples"), case.shift);
        assert_eq!(found.before.thinned_by, 1);
    }
}

/// Uniform numbers from 0 to 1 (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Durations around 5 ms with a long tail, as connections have.
    fn durations(&mut self, count: usize, more: f64) -> Vec<f64> {
        (0..count).map(|_| 0.004 + more - 0.0008 * (1.0 - self.next()).ln()).collect()
    }
}

#[test]
fn statistics_find_shift_of_1_ms() {
    let mut random = Random(1);
    let (mut equal, mut found) = (0, 0);
    for _ in 0..100 {
        let before = random.durations(120, 0.0);
        let same = Comparison::of(&before, &random.durations(120, 0.0)).expect("samples");
        equal += usize::from(same.shift.expect("enough").has_zero());
        let longer = Comparison::of(&before, &random.durations(120, 0.001)).expect("samples");
        let shift = longer.shift.expect("enough");
        found += usize::from(!shift.has_zero() && shift.low < 0.001 && shift.high > 0.0007);
    }
    assert!(equal >= 93, "{equal} of 100 were called equal");
    assert_eq!(found, 100);
}

#[test]
fn statistics_need_30_samples_a_side() {
    let mut random = Random(2);
    let few = Comparison::of(&random.durations(29, 0.0), &random.durations(500, 0.0)).expect("samples");
    assert_eq!(few.shift, None);
    assert_eq!((few.before.samples, few.after.samples), (29, 500));
    assert!(Comparison::of(&[], &[1.0]).is_none());
}

#[test]
fn statistics_thin_neighbours_that_are_alike() {
    let mut random = Random(3);
    let steps = random.durations(64, 0.0);
    let slow: Vec<f64> = steps.iter().flat_map(|value| [*value; 16]).collect();
    let found = Comparison::of(&slow, &random.durations(100, 0.0)).expect("samples");
    assert!(found.before.thinned_by >= 8, "{found:?}");
    assert_eq!((found.before.samples, found.after.thinned_by), (1024, 1));
}
