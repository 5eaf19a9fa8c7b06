//! What a change of the path changed: durations, failures and the time without service, before and after.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::Comparison;
use crate::clock::Seconds;

/// What was seen before a moment, and after it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct BeforeAfter {
    /// The times of TCP connections, in seconds; absent where a side has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect: Option<Comparison>,
    /// The times of `PING`, in seconds; absent where a side has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ping: Option<Comparison>,
    /// The probes before.
    pub before: Service,
    /// The probes after.
    pub after: Service,
}

/// Whether the cache could be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Service {
    /// How many probes there were. Counted ones that lie on both sides are divided by time.
    pub probes: u64,
    /// How many of them found the cache unusable.
    pub failures: u64,
    /// For how long it was unusable: a probe stands for the time up to the next one.
    pub seconds_without_service: Seconds,
}

/// The same of one target at all vantages that have probes on both sides.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Overall {
    /// The target's name.
    pub target: String,
    /// How many vantages.
    pub vantages: usize,
    /// Their samples and probes together.
    pub before_after: BeforeAfter,
}

impl Service {
    /// Adds those of another vantage.
    pub fn add(&mut self, other: Self) {
        self.probes = self.probes.saturating_add(other.probes);
        self.failures = self.failures.saturating_add(other.failures);
        let seconds: Duration = self.seconds_without_service.0.saturating_add(other.seconds_without_service.0);
        self.seconds_without_service = seconds.into();
    }
}
