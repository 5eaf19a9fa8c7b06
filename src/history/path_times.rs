//! What was measured since the last change of a target's path, and before it: for the status page.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Seconds, Timestamp};
use crate::observation::{Phase, Usability};
use crate::record::Record;
use crate::record::standing::{PathKind, Standing};
use crate::statistics::Comparison;
use crate::statistics::before_after::{BeforeAfter, Service};

/// The most durations of a phase that are kept of each side, the last ones: half an hour of probes each 15 s.
const MAX_SAMPLES: usize = 120;

/// A longer time between two probes than so many usual ones is a gap, of which nothing is known.
const MAX_GAP_INTERVALS: u32 = 3;

/// Both sides of the last change of the path.
#[derive(Clone, Debug, Default)]
pub(super) struct PathTimes {
    /// The last path that was known: probes without an address tell none.
    path: Option<PathKind>,
    /// The path before it, with what was measured there.
    before: Option<(PathKind, Arc<Side>)>,
    /// When the path changed.
    changed_at: Option<Timestamp>,
    now: Arc<Side>,
}

/// The last change of a target's path.
#[derive(Clone, Debug, PartialEq)]
pub struct PathChange {
    /// When the first probe began that found the present path.
    pub at: Timestamp,
    /// The path before.
    pub from: PathKind,
    /// The present path.
    pub to: PathKind,
    /// What it changed.
    pub compared: BeforeAfter,
}

#[derive(Clone, Debug, Default)]
struct Side {
    connect: VecDeque<f32>,
    ping: VecDeque<f32>,
    service: Service,
    last: Option<(Timestamp, Usability)>,
    /// The time between the last two probes.
    interval: Option<Duration>,
}

impl PathTimes {
    pub(super) fn add(&mut self, record: &Record) {
        let standing = Standing::of(record);
        let path = match standing.path {
            PathKind::NoAddress | PathKind::Unknown => self.path,
            known => Some(known),
        };
        if let Some((from, to)) = self.path.zip(path).filter(|(from, to)| from != to) {
            Arc::make_mut(&mut self.now).end(record.started_at);
            self.before = Some((from, std::mem::take(&mut self.now)));
            self.changed_at = Some(record.started_at);
            self.path = Some(to);
        } else {
            self.path = path;
        }
        Arc::make_mut(&mut self.now).add(record, standing.usable);
    }

    /// The last change; `None` where there was none since the start.
    pub(super) fn change(&self) -> Option<PathChange> {
        let (from, before) = self.before.as_ref()?;
        let values = |samples: &VecDeque<f32>| samples.iter().copied().map(f64::from).collect::<Vec<f64>>();
        let comparison = |of: fn(&Side) -> &VecDeque<f32>| Comparison::of(&values(of(before)), &values(of(&self.now)));
        Some(PathChange {
            at: self.changed_at?,
            from: *from,
            to: self.path?,
            compared: BeforeAfter {
                connect: comparison(|side| &side.connect),
                ping: comparison(|side| &side.ping),
                before: before.service,
                after: self.now.service,
            },
        })
    }
}

impl Side {
    fn add(&mut self, record: &Record, usable: Usability) {
        self.end(record.started_at);
        self.last = Some((record.started_at, usable));
        let failures = u64::from(usable == Usability::No);
        self.service.add(Service { probes: 1, failures, ..Service::default() });
        let phases = &record.observation.phases.connection;
        push(&mut self.connect, &phases.connect);
        push(&mut self.ping, &phases.ping);
    }

    /// The last probe stands for the time up to this moment, where that is no gap.
    fn end(&mut self, at: Timestamp) {
        let Some((last, usable)) = self.last else { return };
        let Some(passed) = last.until(at) else { return };
        let usual = self.interval.unwrap_or(passed);
        self.interval = Some(passed);
        if usable == Usability::No && passed <= usual.saturating_mul(MAX_GAP_INTERVALS) {
            self.service.add(Service { seconds_without_service: passed.into(), ..Service::default() });
        }
    }
}

fn push<F>(samples: &mut VecDeque<f32>, phase: &Phase<F>) {
    let Phase::Done { took_seconds: Seconds(took) } = phase else { return };
    if samples.len() >= MAX_SAMPLES {
        samples.pop_front();
    }
    samples.push_back(took.as_secs_f32());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expectation::Expectation;
    use crate::observation::Observation;
    use crate::target::{HostName, Target};
    use crate::vantage::Vantage;

    fn record(at: i64) -> Record {
        let target = Target::new(HostName::parse("cache1.redis.cache.windows.net").expect("a name"), None, true);
        let at = Timestamp::from_unix(at).expect("a time");
        let (vantage, observation) = (Vantage::default(), Observation::default());
        Record::new(at, Duration::from_millis(1), target, vantage, Expectation::default(), observation)
    }

    fn seconds_without_service(probes: &[(i64, Usability)]) -> f64 {
        let mut side = Side::default();
        probes.iter().for_each(|(at, usable)| side.add(&record(*at), *usable));
        side.service.seconds_without_service.as_f64()
    }

    #[test]
    fn time_without_service_leaves_out_gaps() {
        use Usability::{No, Yes};
        assert_eq!(seconds_without_service(&[(0, Yes), (15, No), (30, No), (45, Yes), (60, Yes)]), 30.0);
        assert_eq!(seconds_without_service(&[(0, Yes), (15, No), (60, Yes)]), 45.0, "three intervals");
        assert_eq!(seconds_without_service(&[(0, Yes), (15, No), (61, Yes)]), 0.0, "nothing is known of a gap");
    }
}
