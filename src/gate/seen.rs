//! What a source of evidence gives a gate: for each vantage and target, each condition over the window.

use std::collections::BTreeMap;
use std::time::Duration;

use super::condition::Condition;
use crate::clock::Timestamp;
use crate::evidence::timeline::Labels;
use crate::statistics::before_after::{BeforeAfter, Overall};

/// The time that is judged. Both ends are the same where only the last probe counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end, the moment of the judgement.
    pub to: Timestamp,
}

impl Window {
    /// The `hold` before `to`.
    pub fn ending(to: Timestamp, hold: Duration) -> Self {
        Self { from: to.before(hold).unwrap_or(to), to }
    }

    /// How long it is.
    pub fn length(self) -> Duration {
        self.from.until(self.to).unwrap_or_default()
    }

    /// Whether only the last probe counts.
    pub fn is_moment(self) -> bool {
        self.from == self.to
    }
}

/// Everything that was seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// The vantages.
    pub vantages: Vec<SeenVantage>,
    /// The first change to a private path that the files have, and what it changed.
    pub cutover: Option<Cutover>,
    /// Where it was read: files, or queries.
    pub sources: Vec<String>,
    /// What a reader must know of the sources.
    pub notes: Vec<String>,
    /// What is wrong with a source, so that nothing read of it decides: a damaged journal, a query that failed.
    pub faults: Vec<Fault>,
}

/// A change to a private path.
#[derive(Clone, Debug, PartialEq)]
pub struct Cutover {
    /// When the first probe began that found it.
    pub at: Timestamp,
    /// What it changed for each target, at all vantages that have probes on both sides; for at least two.
    pub overall: Vec<Overall>,
}

/// A source that cannot be relied on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The condition that it breaks, where one can be waived.
    pub condition: Option<Condition>,
    /// A sentence that names the source.
    pub sentence: String,
}

/// One vantage.
#[derive(Debug)]
pub struct SeenVantage {
    /// The labels that it is known by.
    pub labels: Labels,
    /// What it saw of each target.
    pub targets: BTreeMap<String, SeenTarget>,
}

/// What a vantage saw of a target.
#[derive(Clone, Debug, Default)]
pub struct SeenTarget {
    /// When the last probe began.
    pub last: Option<Timestamp>,
    /// The time between two probes, where it is known.
    pub interval: Option<Duration>,
    /// How long a result may take until it can be read.
    pub delay: Duration,
    /// The parts of the window that its probes cover without a gap, in order; none where only the last probe counts.
    pub covered: Vec<(Timestamp, Timestamp)>,
    /// Why it is not known which parts are covered.
    pub coverage_unknown: Option<String>,
    /// The path conditions over the window.
    pub conditions: BTreeMap<Condition, Held>,
    /// What the last probe found: `private 10.60.4.5`.
    pub now: String,
    /// The verdict of the last probe and its cause: `fail (private_zone_not_seen)`.
    pub verdict: Option<String>,
    /// What the change to a private path changed.
    pub before_after: Option<BeforeAfter>,
}

/// Whether a condition held over the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// With every probe.
    Throughout,
    /// Not with every probe.
    Broken {
        /// Whether the last probe met it.
        met_now: bool,
        /// When the last probe began that did not meet it, where that is known.
        last: Option<Timestamp>,
        /// What was seen instead: `public 20.50.1.10`.
        seen: String,
    },
    /// No probe could tell.
    Unknown,
    /// It is an extra check that was not asked for.
    NotLookedAt,
}
