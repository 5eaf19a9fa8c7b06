//! The types of a line of `redpath.journal/v1`.

use std::collections::BTreeMap;
use std::fs::File;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::clock_state::ClockState;
use super::digest::Digest;
use crate::clock::{Seconds, Timestamp};
use crate::observation::Phase;
use crate::record::{Record, Tool};
use crate::vantage::Vantage;

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// The line's number in the journal, from 1; it goes on in the next file.
    pub number: u64,
    /// The SHA-256 of the line before, its line end left out; zeros in line 1.
    pub previous: Digest,
    /// When the line was written.
    pub at: Timestamp,
    /// What it says.
    pub entry: Entry,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// A file of the journal begins.
    File(FileStart),
    /// A program began to write.
    Started(Started),
    /// The configuration was read again.
    Configuration(ConfigurationRead),
    /// The program ended in order; after a kill, this line is missing.
    Stopped {},
    /// The first record of a target, or one of another standing than the one before; every record where
    /// `watch --record` wrote the journal.
    Record(Box<Record>),
    /// Probes of the same standing as the target's last record.
    Unchanged(Unchanged),
    /// The end of the file was no whole line when it was opened, and was removed.
    Removed {
        /// How many bytes.
        bytes: u64,
    },
    /// Entries that could not be written, such as with a full disk.
    Lost {
        /// How many probes they were of.
        probes: u64,
    },
    /// A word that an operator set at this moment, such as the name of a step of a cutover.
    Mark(Mark),
    /// What is known of the synchronisation of the wall clock: after `started`, and where it changes.
    Clock(ClockState),
    /// The wall clock was set: it and the monotonic clock advanced differently.
    ClockStep {
        /// How far the wall clock went beyond the monotonic one; negative where it went back.
        seconds: f64,
    },
}

/// The first line of each file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileStart {
    /// `redpath.journal/v1`.
    #[schemars(extend("const" = super::SCHEMA))]
    pub schema: String,
    /// Where from.
    pub vantage: Vantage,
}

/// What began to write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Started {
    /// The program and its version.
    pub tool: Tool,
    /// The SHA-256 of the program's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binary_sha256: Option<Digest>,
    /// The SHA-256 of the configuration file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration_sha256: Option<Digest>,
    /// The user that it runs as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<u32>,
}

impl Started {
    /// This program, as it runs now.
    pub fn this_program(configuration_sha256: Option<Digest>) -> Self {
        Self {
            tool: Tool::this(),
            binary_sha256: File::open("/proc/self/exe").and_then(Digest::of_reader).ok(),
            configuration_sha256,
            user_id: Some(rustix::process::getuid().as_raw()),
        }
    }
}

/// A configuration was read while the program ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigurationRead {
    /// The SHA-256 of the file.
    pub sha256: Digest,
    /// Whether it was good, and is in force since.
    pub in_force: bool,
}

/// A word of an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mark {
    /// When it was set.
    pub at: Timestamp,
    /// The word.
    pub word: String,
}

/// Probes in a row whose result did not change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Unchanged {
    /// The name of the target.
    pub target: String,
    /// When the first of them began.
    pub from: Timestamp,
    /// When the last of them began.
    pub to: Timestamp,
    /// How many there were.
    pub count: u64,
    /// The longest time from the beginning of one of them to that of the next; 0 for a single one.
    #[serde(default)]
    pub longest_gap_seconds: Seconds,
    /// The times of the first.
    pub first: Times,
    /// The times of the last.
    pub last: Times,
    /// The times of TCP connections.
    #[serde(default, skip_serializing_if = "Histogram::is_empty")]
    pub connect: Histogram,
    /// The times of `PING`.
    #[serde(default, skip_serializing_if = "Histogram::is_empty")]
    pub ping: Histogram,
}

/// The times of one probe; a phase that was not done has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Times {
    /// The TCP connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_seconds: Option<Seconds>,
    /// The TLS handshake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_seconds: Option<Seconds>,
    /// `PING`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ping_seconds: Option<Seconds>,
}

impl Times {
    /// Of a record.
    pub fn of(record: &Record) -> Self {
        let phases = &record.observation.phases.connection;
        Self {
            connect_seconds: done(&phases.connect),
            tls_seconds: done(&phases.tls),
            ping_seconds: done(&phases.ping),
        }
    }
}

/// How long the phase took, where it was done, in whole microseconds.
fn done<F>(phase: &Phase<F>) -> Option<Seconds> {
    let Phase::Done { took_seconds } = phase else { return None };
    let micros = u64::try_from(took_seconds.0.as_micros()).unwrap_or(u64::MAX);
    Some(Seconds(Duration::from_micros(micros)))
}

/// Counts of durations by their size. Bucket `b` has those from 2^(b/8) µs up to 2^((b+1)/8) µs, a width of 9 %.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Histogram(pub BTreeMap<u16, u64>);

/// The last bucket, which has all that is longer than 2 minutes too.
const LAST_BUCKET: u16 = 215;

impl Histogram {
    /// Whether it counts nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Counts a duration.
    pub fn add(&mut self, duration: Seconds) {
        let micros = duration.0.as_secs_f64() * 1e6;
        // The bucket that begins at or below it: at most 216 comparisons, and no cast of a float.
        let bucket = (0..=LAST_BUCKET).rev().find(|bucket| lower_bound_micros(*bucket) <= micros).unwrap_or(0);
        let count = self.0.entry(bucket).or_default();
        *count = count.saturating_add(1);
    }

    /// Adds the counts of another one; those of buckets that there are none of are left out.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, more) in other.0.range(..=LAST_BUCKET) {
            let count = self.0.entry(*bucket).or_default();
            *count = count.saturating_add(*more);
        }
    }

    /// The middle of the bucket that has the median; `None` where nothing is counted.
    pub fn median(&self) -> Option<Seconds> {
        let all: u128 = self.middles().map(|(_, count)| u128::from(count)).sum();
        let mut passed: u128 = 0;
        self.middles()
            .find(|(_, count)| {
                passed += u128::from(*count);
                2 * passed >= all
            })
            .map(|(middle, _)| middle)
    }

    /// The middle of the last bucket that is not empty.
    pub fn longest(&self) -> Option<Seconds> {
        self.middles().last().map(|(middle, _)| middle)
    }

    /// Each bucket's middle (the geometric mean of its bounds) with its count, from the shortest.
    pub fn middles(&self) -> impl Iterator<Item = (Seconds, u64)> {
        self.0.iter().filter(|(bucket, _)| **bucket <= LAST_BUCKET).map(|(bucket, count)| {
            let micros = power_of_two(2 * *bucket + 1);
            (Seconds(Duration::from_secs_f64(micros / 1e6)), *count)
        })
    }
}

fn lower_bound_micros(bucket: u16) -> f64 {
    power_of_two(2 * bucket)
}

/// 2^(`sixteenths`/16), for less than 32 × 16. `f64::exp2` would need libm.so.6, which nothing else does.
fn power_of_two(sixteenths: u16) -> f64 {
    ROOTS[usize::from(sixteenths % 16)] * f64::from(1_u32 << (sixteenths / 16))
}

/// 2^(k/16), to the last bit.
const ROOTS: [f64; 16] = [
    1.0,
    1.0442737824274138,
    1.0905077326652577,
    1.1387886347566916,
    1.189207115002721,
    1.241857812073484,
    1.2968395546510096,
    1.3542555469368927,
    std::f64::consts::SQRT_2,
    1.4768261459394993,
    1.5422108254079407,
    1.6104903319492543,
    1.681792830507429,
    1.7562521603732995,
    1.8340080864093424,
    1.9152065613971474,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histogram_middle_is_within_5_percent() {
        for micros in [1_u64, 2, 87, 1_234, 40_120, 2_500_000, 90_000_000] {
            let mut histogram = Histogram::default();
            histogram.add(Seconds(Duration::from_micros(micros)));
            let (middle, count) = histogram.middles().next().expect("one bucket");
            let ratio = middle.as_f64() * 1e6 / micros as f64;
            assert!((0.95..1.05).contains(&ratio) && count == 1, "{micros}: {ratio}");
        }
    }

    #[test]
    fn histogram_bounds_any_duration() {
        let mut histogram = Histogram::default();
        for duration in [Duration::ZERO, Duration::MAX] {
            histogram.add(Seconds(duration));
        }
        assert_eq!(histogram.0, BTreeMap::from([(0, 1), (LAST_BUCKET, 1)]));
        let full: Histogram =
            serde_json::from_str("{\"1\":18446744073709551615,\"2\":18446744073709551615}").expect("JSON");
        assert!(full.median().is_some(), "counts from outside do not overflow");
        let foreign: Histogram = serde_json::from_str("{\"65535\":3}").expect("JSON");
        assert_eq!(foreign.middles().count(), 0);
    }
}
