//! Makes entries of records: a change with its full record, what stays the same as counted intervals.

use std::collections::BTreeMap;
use std::time::Duration;

use super::line::{Entry, Histogram, Times, Unchanged};
use crate::clock::{Seconds, Timestamp};
use crate::record::Record;
use crate::record::held::HeldStanding;
use crate::record::standing::Standing;

/// The longest time from the first to the last probe of an interval, and so the most that a kill loses.
pub const MAX_INTERVAL: Duration = Duration::from_secs(60);

/// What has not been written yet, by target.
#[derive(Debug, Default)]
pub struct Collector {
    targets: BTreeMap<String, TargetState>,
    /// When intervals of other targets were last closed.
    closed_at: Option<Timestamp>,
}

#[derive(Debug)]
struct TargetState {
    standing: Standing,
    held: Option<HeldStanding>,
    open: Option<Unchanged>,
}

impl Collector {
    /// The entries that this record completes, in their order.
    pub fn add(&mut self, record: &Record) -> Vec<Entry> {
        let mut entries = self.close_old(record.started_at);
        let name = &record.target.name;
        match self.targets.get_mut(name) {
            Some(state) if state.is_of(record) => {
                if let Some(open) = state.open.take_if(|open| !fits(open, record.started_at)) {
                    entries.push(Entry::Unchanged(open));
                }
                extend(&mut state.open, record);
            }
            before => {
                entries.extend(before.and_then(|state| state.open.take()).map(Entry::Unchanged));
                self.targets.insert(name.clone(), TargetState::of(record));
                entries.push(Entry::Record(Box::new(record.clone())));
            }
        }
        entries
    }

    /// The intervals of targets that were not probed for as long as an interval lasts: long ones, and those that a
    /// reload removed.
    fn close_old(&mut self, now: Timestamp) -> Vec<Entry> {
        let age = |at: Timestamp| at.until(now).unwrap_or_default();
        if self.closed_at.is_some_and(|at| age(at) < MAX_INTERVAL && at <= now) {
            return Vec::new();
        }
        self.closed_at = Some(now);
        let is_old = |open: &mut Unchanged| age(open.to) >= MAX_INTERVAL;
        self.targets.values_mut().filter_map(|state| state.open.take_if(is_old)).map(Entry::Unchanged).collect()
    }

    /// Forgets the state of a target, so that its next record is an entry in full.
    pub fn forget(&mut self, target: &str) {
        self.targets.remove(target);
    }

    /// The intervals that are not written yet.
    pub fn finish(&mut self) -> Vec<Entry> {
        self.targets.values_mut().filter_map(|state| state.open.take()).map(Entry::Unchanged).collect()
    }
}

impl TargetState {
    fn of(record: &Record) -> Self {
        Self { standing: Standing::of(record), held: HeldStanding::of(record), open: None }
    }

    fn is_of(&self, record: &Record) -> bool {
        self.standing == Standing::of(record) && self.held == HeldStanding::of(record)
    }
}

/// Whether a probe that began then belongs to the interval: not after the clock went back, and not too late.
fn fits(open: &Unchanged, at: Timestamp) -> bool {
    at >= open.to && open.from.until(at).is_some_and(|length| length < MAX_INTERVAL)
}

fn extend(open: &mut Option<Unchanged>, record: &Record) {
    let times = Times::of(record);
    let open = open.get_or_insert_with(|| Unchanged {
        target: record.target.name.clone(),
        from: record.started_at,
        to: record.started_at,
        count: 0,
        longest_gap_seconds: Seconds::default(),
        first: times,
        last: times,
        connect: Histogram::default(),
        ping: Histogram::default(),
    });
    let gap = open.to.until(record.started_at).unwrap_or_default();
    open.longest_gap_seconds = open.longest_gap_seconds.max(gap.into());
    open.to = record.started_at;
    open.count = open.count.saturating_add(1);
    open.last = times;
    if let Some(connect) = times.connect_seconds {
        open.connect.add(connect);
    }
    if let Some(ping) = times.ping_seconds {
        open.ping.add(ping);
    }
}
