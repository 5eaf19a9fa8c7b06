//! The timeline of each vantage and target: stretches of the same standing, with their times.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Seconds, Timestamp};
use crate::journal::line::{Histogram, Times, Unchanged};
use crate::record::Record;
use crate::record::standing::Standing;

/// The labels by which a vantage is known, as in `redpath_vantage_info`.
pub type Labels = Arc<BTreeMap<String, String>>;

/// The most segments in all: a path that changes with every probe makes one each time.
pub const MAX_SEGMENTS: usize = 500_000;

/// A gap of more intervals than this ends a segment: nothing is known of the time between.
pub const MAX_GAP_INTERVALS: u32 = 3;

/// The timelines, by vantage and then by the target's name.
#[derive(Debug, Default)]
pub struct Timelines {
    by_vantage: BTreeMap<Labels, BTreeMap<String, Timeline>>,
    segments: usize,
    is_full: bool,
}

/// What one vantage saw of one target.
#[derive(Debug, Default)]
pub struct Timeline {
    /// The stretches, in the order of their beginnings.
    pub segments: Vec<Segment>,
    /// The last record that was written in full.
    pub record: Option<Box<Record>>,
    /// The time between two probes, where several in a row tell it.
    pub interval: Option<Duration>,
    /// The times of connections and of `PING`: one point a record, and one for each counted interval.
    pub points: Vec<Point>,
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
        let timeline = self.timeline(vantage, &record.target.name);
        timeline.record = Some(Box::new(record.clone()));
        timeline.points.push(Point {
            at: record.started_at,
            connect: times.connect_seconds.map(Seconds::as_f64),
            ping: times.ping_seconds.map(Seconds::as_f64),
        });
        self.add(vantage, &record.target.name, segment);
    }

    /// Takes in probes that were counted; without a record before them, nothing is known of them.
    pub fn add_unchanged(&mut self, vantage: &Labels, unchanged: &Unchanged) {
        let timeline = self.timeline(vantage, &unchanged.target);
        let Some(before) = timeline.segments.last() else { return };
        let segment = Segment {
            standing: before.standing.clone(),
            from: unchanged.from,
            to: unchanged.to,
            probes: unchanged.count,
            longest_gap: unchanged.longest_gap_seconds.0,
            connect: unchanged.connect.clone(),
            ping: unchanged.ping.clone(),
        };
        timeline.points.push(Point {
            at: unchanged.from,
            connect: unchanged.connect.median().map(Seconds::as_f64),
            ping: unchanged.ping.median().map(Seconds::as_f64),
        });
        self.add(vantage, &unchanged.target, segment);
    }

    /// Each vantage with its targets' timelines.
    pub fn iter(&self) -> impl Iterator<Item = (&Labels, &BTreeMap<String, Timeline>)> {
        self.by_vantage.iter()
    }

    /// Whether there is no record of any vantage.
    pub fn is_empty(&self) -> bool {
        self.by_vantage.is_empty()
    }

    /// Whether segments beyond [`MAX_SEGMENTS`] were left out.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// Brings the segments of each timeline into the order of time: journals may be read in any order.
    pub fn sort(&mut self) {
        for timeline in self.by_vantage.values_mut().flat_map(BTreeMap::values_mut) {
            timeline.segments.sort_by_key(|segment| (segment.from, segment.to));
            timeline.points.sort_by_key(|point| point.at);
        }
    }

    fn timeline(&mut self, vantage: &Labels, target: &str) -> &mut Timeline {
        let targets = self.by_vantage.entry(Arc::clone(vantage)).or_default();
        if !targets.contains_key(target) {
            targets.insert(target.to_owned(), Timeline::default());
        }
        targets.entry(target.to_owned()).or_default()
    }

    fn add(&mut self, vantage: &Labels, target: &str, segment: Segment) {
        let is_full = self.segments >= MAX_SEGMENTS;
        let timeline = self.timeline(vantage, target);
        timeline.interval = segment.interval().or(timeline.interval);
        if timeline.extend(&segment) {
            return;
        }
        if is_full {
            self.is_full = true;
            return;
        }
        timeline.segments.push(segment);
        self.segments += 1;
    }
}

impl Timeline {
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
            timelines.add(&vantage, "a", next);
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
}
