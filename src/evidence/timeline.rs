//! The timeline of each vantage and target: stretches of the same standing, with their times.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Seconds, Timestamp};
use crate::diagnosis::{Code, Severity};
use crate::journal::collect::MAX_INTERVAL;
use crate::journal::line::{Histogram, Times, Unchanged};
use crate::record::Record;
use crate::record::standing::Standing;

/// The labels by which a vantage is known, as in `redpath_vantage_info`.
pub type Labels = Arc<BTreeMap<String, String>>;

/// The most segments in all: a path that changes with every probe makes one each time.
pub const MAX_SEGMENTS: usize = 500_000;

/// The most samples of durations in all: 50 vantages with 4 targets have 600,000 in two days.
pub const MAX_SAMPLES: usize = 2_000_000;

/// The most pairs of a vantage and a target.
pub const MAX_TIMELINES: usize = 20_000;

/// The most bytes of names: of vantages, targets and what was expected of them.
pub const MAX_TEXT: usize = 64 << 20;

/// A gap of more intervals than this ends a segment: nothing is known of the time between.
pub const MAX_GAP_INTERVALS: u32 = 3;

/// The timelines, by vantage and then by the target's name.
#[derive(Debug, Default)]
pub struct Timelines {
    by_vantage: BTreeMap<Labels, BTreeMap<String, Timeline>>,
    kept: Kept,
    left_out: LeftOut,
}

/// How much is kept.
#[derive(Debug, Default)]
struct Kept {
    segments: usize,
    samples: usize,
    timelines: usize,
    text: usize,
}

/// What was left out, since there is too much of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Changes beyond [`MAX_SEGMENTS`].
    pub changes: bool,
    /// Durations beyond [`MAX_SAMPLES`].
    pub samples: bool,
    /// Vantages and targets beyond [`MAX_TIMELINES`], or with names beyond [`MAX_TEXT`].
    pub timelines: bool,
}

impl LeftOut {
    /// Whether probes were left out, and not only their durations.
    pub fn is_of_probes(self) -> bool {
        self.changes || self.timelines
    }

    /// A sentence for each.
    pub fn sentences(self) -> Vec<String> {
        let changes = self.changes.then(|| {
            format!("more than {MAX_SEGMENTS} changes were found, and further ones left out: name fewer files")
        });
        let samples = self.samples.then(|| {
            format!(
                "more than {MAX_SAMPLES} samples of durations were found; further ones are not in the times before and after"
            )
        });
        let timelines = self.timelines.then(|| {
            format!(
                "more than {MAX_TIMELINES} vantages and targets were found, or their names have more than {} MiB; further ones were left out",
                MAX_TEXT >> 20
            )
        });
        [changes, samples, timelines].into_iter().flatten().collect()
    }
}

/// What one vantage saw of one target.
#[derive(Debug, Default)]
pub struct Timeline {
    /// The stretches, in the order of their beginnings.
    pub segments: Vec<Segment>,
    /// What the last record says that was written in full.
    pub about: About,
    /// The time between two probes, where several in a row tell it.
    pub interval: Option<Duration>,
    /// The times of connections and of `PING`: one point a record, and one for each counted interval.
    pub points: Vec<Point>,
    /// Whether the program that writes the journal may still run: the results of its last minute are not in it yet.
    pub is_open: bool,
}

/// What a record says of its target, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Its host and port.
    pub endpoint: String,
    /// What was expected of it.
    pub expectation: String,
    /// The codes of the findings that are errors or warnings, each once.
    pub findings: Vec<Code>,
}

impl About {
    fn of(record: &Record) -> Self {
        let severe = record.findings.iter().filter(|finding| finding.severity != Severity::Info);
        let mut findings: Vec<Code> = Vec::new();
        for finding in severe {
            if !findings.contains(&finding.code) {
                findings.push(finding.code);
            }
        }
        Self {
            endpoint: format!("{}:{}", record.target.host, record.target.port),
            expectation: record.expectation.path_and_endpoints(),
            findings,
        }
    }

    fn bytes(&self) -> usize {
        self.endpoint.len() + self.expectation.len()
    }
}

/// The median times of some probes in a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// When the first of them began.
    pub at: Timestamp,
    /// TCP, in seconds.
    pub connect: Option<f64>,
    /// `PING`, in seconds.
    pub ping: Option<f64>,
}

/// Probes in a row of the same standing, without a gap.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// The standing.
    pub standing: Standing,
    /// When the first probe began.
    pub from: Timestamp,
    /// When the last one began.
    pub to: Timestamp,
    /// How many there were.
    pub probes: u64,
    /// The longest time from the beginning of one to that of the next.
    pub longest_gap: Duration,
    /// The times of TCP connections.
    pub connect: Histogram,
    /// The times of `PING`.
    pub ping: Histogram,
}

impl Timelines {
    /// Takes in a record.
    pub fn add_record(&mut self, vantage: &Labels, record: &Record) {
        let times = Times::of(record);
        let (mut connect, mut ping) = (Histogram::default(), Histogram::default());
        times.connect_seconds.into_iter().for_each(|time| connect.add(time));
        times.ping_seconds.into_iter().for_each(|time| ping.add(time));
        let segment = Segment {
            standing: Standing::of(record),
            from: record.started_at,
            to: record.started_at,
            probes: 1,
            longest_gap: Duration::ZERO,
            connect,
            ping,
        };
        let point = Point {
            at: record.started_at,
            connect: times.connect_seconds.map(Seconds::as_f64),
            ping: times.ping_seconds.map(Seconds::as_f64),
        };
        if self.describe(vantage, record) {
            self.add(vantage, &record.target.name, segment, point);
        }
    }

    /// Takes in probes that were counted; without a record before them, nothing is known of them.
    pub fn add_unchanged(&mut self, vantage: &Labels, unchanged: &Unchanged) {
        let Some(before) = self.known(vantage, &unchanged.target).and_then(|timeline| timeline.segments.last()) else {
            return;
        };
        let merged = |histogram: &Histogram| {
            let mut merged = Histogram::default();
            merged.merge(histogram);
            merged
        };
        let segment = Segment {
            standing: before.standing.clone(),
            from: unchanged.from,
            to: unchanged.to,
            probes: unchanged.count,
            longest_gap: unchanged.longest_gap_seconds.0,
            connect: merged(&unchanged.connect),
            ping: merged(&unchanged.ping),
        };
        let point = Point {
            at: unchanged.from,
            connect: unchanged.connect.median().map(Seconds::as_f64),
            ping: unchanged.ping.median().map(Seconds::as_f64),
        };
        self.add(vantage, &unchanged.target, segment, point);
    }

    /// The program that writes the journal of this vantage may still run, and probe the target.
    pub fn open(&mut self, vantage: &Labels, target: &str) {
        if let Some(timeline) = self.known(vantage, target) {
            timeline.is_open = true;
        }
    }

    /// The program that writes the journal of this vantage ended in order: all of its results are there.
    pub fn close(&mut self, vantage: &Labels) {
        for timeline in self.by_vantage.get_mut(vantage).into_iter().flat_map(BTreeMap::values_mut) {
            timeline.is_open = false;
        }
    }

    /// Each vantage with its targets' timelines.
    pub fn iter(&self) -> impl Iterator<Item = (&Labels, &BTreeMap<String, Timeline>)> {
        self.by_vantage.iter()
    }

    /// Whether there is no record of any vantage.
    pub fn is_empty(&self) -> bool {
        self.by_vantage.is_empty()
    }

    /// What was left out.
    pub fn left_out(&self) -> LeftOut {
        self.left_out
    }

    /// Brings the segments of each timeline into the order of time: journals may be read in any order.
    pub fn sort(&mut self) {
        for timeline in self.by_vantage.values_mut().flat_map(BTreeMap::values_mut) {
            timeline.segments.sort_by_key(|segment| (segment.from, segment.to));
            timeline.points.sort_by_key(|point| point.at);
        }
    }

    fn known(&mut self, vantage: &Labels, target: &str) -> Option<&mut Timeline> {
        self.by_vantage.get_mut(vantage)?.get_mut(target)
    }

    /// Keeps what the record says of its target; `false` where there is no room for it.
    fn describe(&mut self, vantage: &Labels, record: &Record) -> bool {
        let (about, target) = (About::of(record), &record.target.name);
        let is_new_vantage = !self.by_vantage.contains_key(vantage);
        let before = self.known(vantage, target).map(|timeline| timeline.about.bytes());
        let names = match (is_new_vantage, before) {
            (true, _) => target.len() + vantage.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>(),
            (false, None) => target.len(),
            (false, Some(_)) => 0,
        };
        let text = (self.kept.text + names + about.bytes()).saturating_sub(before.unwrap_or(0));
        if text > MAX_TEXT || (before.is_none() && self.kept.timelines >= MAX_TIMELINES) {
            self.left_out.timelines = true;
            return false;
        }
        self.kept.text = text;
        self.kept.timelines += usize::from(before.is_none());
        self.by_vantage.entry(Arc::clone(vantage)).or_default().entry(target.clone()).or_default().about = about;
        true
    }

    fn add(&mut self, vantage: &Labels, target: &str, segment: Segment, point: Point) {
        let Some(timeline) = self.by_vantage.get_mut(vantage).and_then(|targets| targets.get_mut(target)) else {
            return;
        };
        if self.kept.samples < MAX_SAMPLES {
            timeline.points.push(point);
            self.kept.samples += 1;
        } else {
            self.left_out.samples = true;
        }
        timeline.interval = segment.interval().or(timeline.interval);
        if timeline.extend(&segment) {
            return;
        }
        if self.kept.segments >= MAX_SEGMENTS {
            self.left_out.changes = true;
            return;
        }
        timeline.segments.push(segment);
        self.kept.segments += 1;
    }
}

impl Timeline {
    /// How long the results of probes may take to be in the journal: an agent writes those that do not change anything
    /// once a minute.
    pub fn delay(&self) -> Duration {
        if self.is_open { MAX_INTERVAL.saturating_add(self.interval.unwrap_or_default()) } else { Duration::ZERO }
    }

    /// Adds the probes of `next` to the last segment, where they follow it without a gap. A clock that went back
    /// begins another one.
    fn extend(&mut self, next: &Segment) -> bool {
        let interval = self.interval;
        let Some(last) = self.segments.last_mut() else { return false };
        let Some(gap) = last.to.until(next.from) else { return false };
        let follows = gap.max(next.longest_gap) <= max_gap(interval.unwrap_or(gap));
        if !follows || last.standing != next.standing {
            return false;
        }
        last.longest_gap = last.longest_gap.max(gap).max(next.longest_gap);
        last.to = next.to;
        last.probes = last.probes.saturating_add(next.probes);
        last.connect.merge(&next.connect);
        last.ping.merge(&next.ping);
        true
    }
}

/// The longest time from one probe to the next that is no gap.
pub fn max_gap(interval: Duration) -> Duration {
    interval.saturating_mul(MAX_GAP_INTERVALS)
}

impl Segment {
    /// The usual time between two probes: the longest one, which may be a gap, aside.
    fn interval(&self) -> Option<Duration> {
        let span = self.from.until(self.to)?;
        let between = u32::try_from(self.probes.checked_sub(1)?).ok()?;
        match between {
            0 => None,
            1 => Some(span),
            _ => Some(span.saturating_sub(self.longest_gap) / (between - 1)),
        }
    }

    /// Whether any part of it lies from `from` to `to`.
    pub fn overlaps(&self, from: Timestamp, to: Timestamp) -> bool {
        self.from <= to && self.to >= from
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::standing::PathKind;
    use crate::{
        diagnosis::Cause, diagnosis::Status, diagnosis::Verdict, expectation::ExpectedPath, observation::Usability,
    };

    fn at(seconds: u64) -> Timestamp {
        let start = Timestamp::from_unix(1_780_000_000).expect("a time");
        start.after(Duration::from_secs(seconds)).expect("a time")
    }

    fn segment(path: PathKind, from: u64, to: u64, probes: u64) -> Segment {
        let standing = Standing {
            path,
            address: None,
            address_expected: false,
            usable: Usability::Yes,
            views_agree: None,
            application_public: None,
            expects: ExpectedPath::Private,
            verdict: Verdict { status: Status::Pass, cause: Cause::Healthy },
        };
        Segment {
            standing,
            from: at(from),
            to: at(to),
            probes,
            longest_gap: Duration::from_secs(if probes > 1 { 15 } else { 0 }),
            connect: Histogram::default(),
            ping: Histogram::default(),
        }
    }

    #[test]
    fn segments_of_a_standing_without_gap_are_one() {
        let (mut timelines, vantage) = (Timelines::default(), Labels::default());
        for next in [
            segment(PathKind::Private, 0, 60, 5),
            segment(PathKind::Private, 75, 135, 5),
            segment(PathKind::Public, 150, 150, 1),
            segment(PathKind::Private, 165, 165, 1),
            segment(PathKind::Private, 211, 271, 5),
        ] {
            timelines.by_vantage.entry(Labels::clone(&vantage)).or_default().entry("a".to_owned()).or_default();
            let point = Point { at: next.from, connect: None, ping: None };
            timelines.add(&vantage, "a", next, point);
        }
        let (_, targets) = timelines.iter().next().expect("a vantage");
        let found: Vec<_> = targets["a"].segments.iter().map(|s| (s.standing.path, s.from, s.to, s.probes)).collect();
        assert_eq!(
            found,
            [
                (PathKind::Private, at(0), at(135), 10),
                (PathKind::Public, at(150), at(150), 1),
                (PathKind::Private, at(165), at(165), 1),
                (PathKind::Private, at(211), at(271), 5),
            ],
            "46 s are more than three intervals of 15 s"
        );
        assert_eq!(targets["a"].interval, Some(Duration::from_secs(15)));
    }

    #[test]
    fn timelines_limits_are_kept_and_named() {
        let (mut timelines, vantage) = (Timelines::default(), Labels::default());
        assert_eq!(timelines.left_out().sentences(), Vec::<String>::new());
        timelines.by_vantage.entry(Labels::clone(&vantage)).or_default().entry("a".to_owned()).or_default();
        let point = Point { at: at(0), connect: None, ping: None };
        timelines.kept.samples = MAX_SAMPLES;
        timelines.add(&vantage, "a", segment(PathKind::Private, 0, 0, 1), point);
        assert!(timelines.by_vantage[&vantage]["a"].points.is_empty());
        assert_eq!(timelines.left_out(), LeftOut { samples: true, ..LeftOut::default() });
        assert!(!timelines.left_out().is_of_probes(), "every probe is still counted");
        timelines.kept.segments = MAX_SEGMENTS;
        timelines.add(&vantage, "a", segment(PathKind::Public, 15, 15, 1), point);
        assert!(timelines.left_out().changes && timelines.by_vantage[&vantage]["a"].segments.len() == 1);
        let sentences = timelines.left_out().sentences();
        assert!(sentences.iter().any(|sentence| sentence.starts_with("more than 500000 changes")), "{sentences:?}");
    }
}
