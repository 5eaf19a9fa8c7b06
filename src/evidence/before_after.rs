//! Compares what vantages saw before and after the change of the path.

use std::collections::BTreeMap;
use std::time::Duration;

use super::timeline::{Labels, Point, Segment, Timeline};
use super::times::{Period, Times, is_unusable};
use crate::clock::Timestamp;
use crate::statistics::Comparison;
use crate::statistics::before_after::{BeforeAfter, Overall, Service};

/// The samples of both sides, and the probes.
#[derive(Default)]
struct Sides {
    before: Side,
    after: Side,
}

#[derive(Default)]
struct Side {
    connect: Vec<f64>,
    ping: Vec<f64>,
    service: Service,
}

/// What one vantage saw of one target; `None` without a moment, or where a side has no probe.
pub fn of(timeline: &Timeline, period: Period) -> Option<BeforeAfter> {
    Sides::of(timeline, period).map(|sides| sides.compared())
}

/// What all vantages saw of each target, where at least two have probes on both sides.
pub fn overall<'t>(
    timelines: impl Iterator<Item = (&'t Labels, &'t BTreeMap<String, Timeline>)>,
    period: Period,
) -> Vec<Overall> {
    let mut by_target: BTreeMap<&str, (usize, Sides)> = BTreeMap::new();
    for (target, timeline) in timelines.flat_map(|(_, targets)| targets) {
        if let Some(sides) = Sides::of(timeline, period) {
            let (vantages, all) = by_target.entry(target.as_str()).or_default();
            *vantages += 1;
            all.before.add(sides.before);
            all.after.add(sides.after);
        }
    }
    let several = by_target.into_iter().filter(|(_, (vantages, _))| *vantages > 1);
    several
        .map(|(target, (vantages, sides))| Overall {
            target: target.to_owned(),
            vantages,
            before_after: sides.compared(),
        })
        .collect()
}

impl Sides {
    fn of(timeline: &Timeline, period: Period) -> Option<Self> {
        let cutover = period.cutover.filter(|cutover| period.from < *cutover && *cutover < period.to)?;
        let segments: Vec<&Segment> =
            timeline.segments.iter().filter(|segment| segment.overlaps(period.from, period.to)).collect();
        let mut sides = Self::default();
        let times = |from, to| Times::of(&segments, timeline, Period { from, to, cutover: None });
        sides.before.service.seconds_without_service = times(period.from, cutover).unusable.into();
        sides.after.service.seconds_without_service = times(cutover, period.to).unusable.into();
        for segment in &segments {
            let before = probes_before(segment, cutover);
            let after = segment.probes - before;
            for (side, probes) in [(&mut sides.before, before), (&mut sides.after, after)] {
                let failures = if is_unusable(segment) { probes } else { 0 };
                side.service.add(Service { probes, failures, ..Service::default() });
            }
        }
        for point in timeline.points.iter().filter(|point| point.at >= period.from && point.at <= period.to) {
            if point.at < cutover { sides.before.sample(point) } else { sides.after.sample(point) }
        }
        (sides.before.service.probes > 0 && sides.after.service.probes > 0).then_some(sides)
    }

    fn compared(&self) -> BeforeAfter {
        BeforeAfter {
            connect: Comparison::of(&self.before.connect, &self.after.connect),
            ping: Comparison::of(&self.before.ping, &self.after.ping),
            before: self.before.service,
            after: self.after.service,
        }
    }
}

impl Side {
    fn sample(&mut self, point: &Point) {
        self.connect.extend(point.connect);
        self.ping.extend(point.ping);
    }

    /// Adds those of another vantage behind these: neighbours remain those of one vantage.
    fn add(&mut self, other: Self) {
        self.connect.extend(other.connect);
        self.ping.extend(other.ping);
        self.service.add(other.service);
    }
}

/// How many probes of the segment began before the moment: by time where it lies within the segment.
fn probes_before(segment: &Segment, moment: Timestamp) -> u64 {
    if segment.to < moment {
        return segment.probes;
    }
    let Some(before) = segment.from.until(moment).filter(|before| !before.is_zero()) else { return 0 };
    let all = segment.from.until(segment.to).unwrap_or_default().max(Duration::from_millis(1));
    let (before, all) = (before.as_millis(), all.as_millis());
    let part = u128::from(segment.probes).saturating_mul(before).checked_div(all).unwrap_or_default();
    u64::try_from(part).unwrap_or(u64::MAX).clamp(1, segment.probes.max(1)).min(segment.probes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::{Cause, Status, Verdict};
    use crate::expectation::ExpectedPath;
    use crate::journal::line::Histogram;
    use crate::observation::Usability;
    use crate::record::standing::{PathKind, Standing};

    fn at(seconds: u64) -> Timestamp {
        let start = Timestamp::from_unix(1_780_000_000).expect("a time");
        start.after(Duration::from_secs(seconds)).expect("a time")
    }

    fn segment(usable: Usability, from: u64, to: u64, probes: u64) -> Segment {
        let standing = Standing {
            path: PathKind::Private,
            address: None,
            address_expected: true,
            usable,
            views_agree: None,
            application_public: None,
            expects: ExpectedPath::Private,
            verdict: Verdict { status: Status::Pass, cause: Cause::Healthy },
        };
        let (from, to) = (at(from), at(to));
        let (connect, ping) = (Histogram::default(), Histogram::default());
        Segment { standing, from, to, probes, longest_gap: Duration::from_secs(15), connect, ping }
    }

    #[test]
    fn failures_are_counted_on_their_side() {
        let timeline = Timeline {
            segments: vec![
                segment(Usability::Yes, 0, 285, 20),
                segment(Usability::No, 300, 585, 20),
                segment(Usability::Yes, 600, 885, 20),
            ],
            interval: Some(Duration::from_secs(15)),
            points: (0..60).map(|n| Point { at: at(n * 15), connect: Some(0.001), ping: None }).collect(),
            ..Timeline::default()
        };
        let compared = |moment| of(&timeline, Period { from: at(0), to: at(900), cutover: Some(at(moment)) });
        let found = compared(450).expect("both sides");
        let service = |probes, failures, seconds| Service {
            probes,
            failures,
            seconds_without_service: Duration::from_secs(seconds).into(),
        };
        assert_eq!((found.before, found.after), (service(30, 10, 150), service(30, 10, 150)));
        assert_eq!((found.connect.map(|of| of.before.samples), found.ping), (Some(30), None));
        let found = compared(600).expect("both sides");
        assert_eq!((found.before, found.after), (service(40, 20, 300), service(20, 0, 0)));
        assert_eq!(compared(0), None, "nothing is before it");
        assert_eq!(of(&timeline, Period { from: at(0), to: at(900), cutover: None }), None);
    }

    #[test]
    fn overall_needs_two_vantages_with_both_sides() {
        let timeline = |from, to| Timeline {
            segments: vec![segment(Usability::Yes, from, to, (to - from) / 15 + 1)],
            interval: Some(Duration::from_secs(15)),
            ..Timeline::default()
        };
        let targets = |from, to| BTreeMap::from([("a".to_owned(), timeline(from, to))]);
        let labels = |name: &str| Labels::new(BTreeMap::from([("subnet".to_owned(), name.to_owned())]));
        let (one, other, late) = (labels("1"), labels("2"), labels("3"));
        let (all, after) = (targets(0, 600), targets(330, 600));
        let period = Period { from: at(0), to: at(600), cutover: Some(at(300)) };
        assert_eq!(overall([(&one, &all), (&late, &after)].into_iter(), period), []);
        let found = overall([(&one, &all), (&other, &all), (&late, &after)].into_iter(), period);
        assert_eq!((found.len(), found[0].vantages, found[0].before_after.before.probes), (1, 2, 40));
    }
}
