//! For how long a vantage found each path in a period.

use std::collections::BTreeMap;
use std::time::Duration;

use super::document::{Band, Span};
use super::timeline::{Segment, Timeline, max_gap};
use crate::clock::Timestamp;
use crate::observation::Usability;
use crate::record::standing::PathKind;

/// The most gaps that are listed of one vantage and target.
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

/// The times of one vantage and target.
#[derive(Default)]
pub(super) struct Times {
    pub(super) on_path: BTreeMap<PathKind, Duration>,
    pub(super) unusable: Duration,
    pub(super) gaps: Vec<Span>,
    pub(super) bands: Vec<Band>,
}

impl Times {
    /// A segment lasts until the next one begins, where that is no gap: a probe stands for the time up to the next.
    pub(super) fn of(segments: &[&Segment], timeline: &Timeline, period: Period) -> Self {
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

    pub(super) fn known(&self) -> Duration {
        self.on_path.values().sum()
    }
}

/// Whether its probes found the cache unusable.
pub(super) fn is_unusable(segment: &Segment) -> bool {
    segment.standing.usable == Usability::No
}
