//! Sums a timeline up over a period.

use std::collections::BTreeMap;
use std::time::Duration;

use super::document::{Band, EvidenceCell, Span, StandingChange};
use super::timeline::{Labels, Segment, Timeline, max_gap};
use crate::clock::{Seconds, Timestamp};
use crate::diagnosis::Severity;
use crate::observation::Usability;
use crate::record::standing::{PathKind, Standing};
use crate::statistics::Comparison;

/// The most gaps and changes that are listed of one vantage and target.
const MAX_LISTED: usize = 100;

/// The most stretches of a picture.
const MAX_BANDS: usize = 500;

/// A period, and the moment that times before and after are compared by.
#[derive(Clone, Copy, Debug)]
pub struct Period {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
    /// The moment.
    pub cutover: Option<Timestamp>,
}

/// What a vantage saw of a target in the period; `None` where no probe lies in it.
pub fn cell(vantage: &Labels, target: &str, timeline: &Timeline, period: Period) -> Option<EvidenceCell> {
    let segments: Vec<&Segment> =
        timeline.segments.iter().filter(|segment| segment.overlaps(period.from, period.to)).collect();
    let (first, last) = (segments.first()?, segments.last()?);
    let record = timeline.record.as_ref()?;
    let times = Times::of(&segments, timeline, period);
    let changes = changes(&segments);
    let points = |of: fn(&super::timeline::Point) -> Option<f64>| compared(timeline, period, of);
    let severe = record.findings.iter().filter(|finding| finding.severity != Severity::Info);
    Some(EvidenceCell {
        vantage: (**vantage).clone(),
        target: target.to_owned(),
        endpoint: format!("{}:{}", record.target.host, record.target.port),
        expectation: record.expectation.path_and_endpoints(),
        found: found(&last.standing),
        verdict: last.standing.verdict.to_string(),
        since: changes.last().map_or(first.from, |change| change.at),
        first: first.from.max(period.from),
        last: last.to.min(period.to),
        probes: total(segments.iter().copied()),
        unusable: total(segments.iter().copied().filter(|segment| is_unusable(segment))),
        unusable_seconds: times.unusable.into(),
        silent_seconds: period.from.until(period.to).unwrap_or_default().saturating_sub(times.known()).into(),
        seconds_on_path: times.on_path.iter().map(|(path, time)| (*path, Seconds(*time))).collect(),
        gaps: times.gaps,
        changes_total: changes.len(),
        changes: changes.into_iter().take(MAX_LISTED).collect(),
        bands: times.bands,
        worst_connect_seconds: segments.iter().filter_map(|segment| segment.connect.longest()).max(),
        worst_ping_seconds: segments.iter().filter_map(|segment| segment.ping.longest()).max(),
        findings: severe.map(|finding| finding.code.as_str().to_owned()).collect(),
        connect: points(|point| point.connect),
        ping: points(|point| point.ping),
    })
}

/// How many probes they have; the counts are from outside.
fn total<'s>(segments: impl Iterator<Item = &'s Segment>) -> u64 {
    segments.fold(0, |sum, segment| segment.probes.saturating_add(sum))
}

/// `private 10.60.4.5`.
pub fn found(standing: &Standing) -> String {
    let path = match standing.path {
        PathKind::NoAddress => "no address".to_owned(),
        path => path.to_string(),
    };
    standing.address.map_or_else(|| path.clone(), |address| format!("{path} {address}"))
}

/// The moment of the first change from another path to a private one, over all timelines.
pub fn first_change<'t>(timelines: impl Iterator<Item = &'t Timeline>) -> Option<Timestamp> {
    let of = |timeline: &Timeline| {
        let mut pairs = timeline.segments.windows(2);
        let became_private =
            pairs.find(|pair| pair[0].standing.path != PathKind::Private && pair[1].standing.path == PathKind::Private);
        became_private.map(|pair| pair[1].from)
    };
    timelines.filter_map(of).min()
}

fn is_unusable(segment: &Segment) -> bool {
    segment.standing.usable == Usability::No
}

/// Where the path, the address, the usability or the verdict differs from the segment before.
fn changes(segments: &[&Segment]) -> Vec<StandingChange> {
    let differ = segments.windows(2).filter(|pair| pair[0].standing != pair[1].standing);
    let change = |segment: &Segment| StandingChange {
        at: segment.from,
        found: format!("{}, {}", found(&segment.standing), segment.standing.verdict),
    };
    differ.map(|pair| change(pair[1])).collect()
}

#[derive(Default)]
struct Times {
    on_path: BTreeMap<PathKind, Duration>,
    unusable: Duration,
    gaps: Vec<Span>,
    bands: Vec<Band>,
}

impl Times {
    /// A segment lasts until the next one begins, where that is no gap: a probe stands for the time up to the next.
    fn of(segments: &[&Segment], timeline: &Timeline, period: Period) -> Self {
        let mut times = Self::default();
        let nexts = segments.iter().skip(1).map(Some).chain([None]);
        for (segment, next) in segments.iter().zip(nexts) {
            let follows = |gap: Duration| timeline.interval.is_some_and(|interval| gap <= max_gap(interval));
            let end = match next.and_then(|next| Some((next.from, segment.to.until(next.from)?))) {
                Some((from, gap)) if follows(gap) => from,
                Some((from, _)) => {
                    if times.gaps.len() < MAX_LISTED {
                        times.gaps.push(Span { from: segment.to, to: from });
                    }
                    segment.to
                }
                None => segment.to,
            };
            times.add(segment, segment.from.max(period.from), end.min(period.to));
        }
        times
    }

    fn add(&mut self, segment: &Segment, from: Timestamp, to: Timestamp) {
        let length = from.until(to).unwrap_or_default();
        *self.on_path.entry(segment.standing.path).or_default() += length;
        if is_unusable(segment) {
            self.unusable += length;
        }
        let band = Band { from, to, path: segment.standing.path, unusable: is_unusable(segment) };
        let is_full = self.bands.len() >= MAX_BANDS;
        match self.bands.last_mut() {
            Some(last) if last.to == from && (last.path, last.unusable) == (band.path, band.unusable) => last.to = to,
            // Too many for a picture: the last one goes on, and says the worse of the two.
            Some(last) if is_full => {
                last.to = to;
                if band.path != PathKind::Private {
                    last.path = band.path;
                }
                last.unusable |= band.unusable;
            }
            _ => self.bands.push(band),
        }
    }

    fn known(&self) -> Duration {
        self.on_path.values().sum()
    }
}

fn compared(timeline: &Timeline, period: Period, of: fn(&super::timeline::Point) -> Option<f64>) -> Option<Comparison> {
    let cutover = period.cutover?;
    let points = timeline.points.iter().filter(|point| point.at >= period.from && point.at <= period.to);
    let (before, after): (Vec<_>, Vec<_>) = points.partition(|point| point.at < cutover);
    let values = |points: Vec<&super::timeline::Point>| points.into_iter().filter_map(of).collect::<Vec<f64>>();
    Comparison::of(&values(before), &values(after))
}
