//! The state of a live view: a pure function of records and marks, in the order in which they came.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::agent::Agent;
use super::event::{AnswerKind, Change, Counts, Destination, Event};
use super::lane::{self, Lane, Letters};
use crate::address::AddressClass;
use crate::clock::{Seconds, Timestamp};
use crate::diagnosis::Status;
use crate::evidence::expected::Expected;
use crate::observation::held::HeldEnd;
use crate::observation::{PhaseName, PhaseOutcome, Usability, ViewOutcome};
use crate::output::describe;
use crate::record::Record;
use crate::record::held::{HeldStanding, other_path};

/// The most events that are kept.
pub const MAX_EVENTS: usize = 1000;

/// The most targets of a journal that is replayed; records of further ones are left out.
pub const MAX_TARGETS: usize = 256;

/// The most views of one target.
const MAX_LANES: usize = 64;

/// How many of the last times of a phase its median is of.
const MEDIAN_OF: usize = 1000;

/// The longest pause after a probe for which its result counts; what is beyond was not observed.
const MAX_PAUSE: Duration = Duration::from_secs(120);

/// Everything that is shown.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The targets, by their names.
    pub targets: BTreeMap<String, TargetState>,
    /// The last events, the oldest first.
    pub events: VecDeque<Event>,
    /// The marks, the oldest first; at most [`MAX_EVENTS`].
    pub marks: Vec<Event>,
    /// The agents that are asked for their records; none where redpath probes itself.
    pub agents: BTreeMap<String, Agent>,
    /// The vantages that are expected to answer, where there is a list.
    pub expected: Option<Expected>,
    /// How many records were left out, since there were too many targets.
    pub left_out: u64,
}

/// One target.
#[derive(Clone, Debug)]
pub struct TargetState {
    /// The last record.
    pub latest: Arc<Record>,
    /// When the first probe began.
    pub begun: Timestamp,
    /// When the probe began with which the present verdict began.
    pub since: Timestamp,
    /// How many probes have finished.
    pub probes: u64,
    /// The views, in the order in which they came.
    pub lanes: Vec<Lane>,
    /// The connection of each probe: the kind of its address where the cache worked.
    pub connections: Letters,
    /// The times of each phase.
    pub phases: BTreeMap<PhaseName, PhaseTimes>,
    /// How often the connection changed between an expected address and another.
    pub flips: u32,
    /// The first connection as expected.
    pub first_expected: Option<Timestamp>,
    /// The time for which the cache could not be used.
    pub outages: Outages,
    /// The last public address that a view gave or that was connected to.
    pub public_address: Option<IpAddr>,
    was_expected: Option<bool>,
}

/// How long a cache could not be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outages {
    /// How many outages there were.
    pub count: u32,
    /// How long they lasted together, from the first probe without service to the next with it.
    pub total: Duration,
    /// The longest.
    pub longest: Duration,
    /// How long it was unknown, or not observed.
    pub unknown: Duration,
    /// The length of the present outage.
    present: Duration,
}

/// The times of one phase, where it was done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PhaseTimes {
    /// That of the last probe; `None` where the phase was not done in it.
    pub now: Option<Seconds>,
    /// The longest, and when its probe began.
    pub worst: Option<(Seconds, Timestamp)>,
    recent: VecDeque<Seconds>,
}

impl State {
    /// Takes a record in, and returns what changed.
    pub fn add(&mut self, record: Arc<Record>) -> Vec<Event> {
        self.add_as(describe::target(&record.target), record)
    }

    /// Takes a record in under this name.
    pub(super) fn add_as(&mut self, name: String, record: Arc<Record>) -> Vec<Event> {
        let is_full = self.targets.len() >= MAX_TARGETS;
        let changes = match self.targets.get_mut(&name) {
            Some(target) => target.add(&record),
            None if is_full => {
                self.left_out = self.left_out.saturating_add(1);
                return Vec::new();
            }
            None => {
                let (target, changes) = TargetState::first(&record);
                self.targets.insert(name.clone(), target);
                changes
            }
        };
        let event = |change| Event::new(record.started_at, Some(name.clone()), change);
        let events: Vec<Event> = changes.into_iter().map(event).collect();
        self.keep(&events);
        events
    }

    /// Takes a mark in.
    pub fn mark(&mut self, at: Timestamp, word: String) -> Event {
        let event = Event::new(at, None, Change::Mark { word });
        if self.marks.len() < MAX_EVENTS {
            self.marks.push(event.clone());
        }
        self.keep(std::slice::from_ref(&event));
        event
    }

    pub(super) fn keep(&mut self, events: &[Event]) {
        self.events.extend(events.iter().cloned());
        let surplus = self.events.len().saturating_sub(MAX_EVENTS);
        self.events.drain(..surplus);
    }

    /// The last verdicts.
    pub fn statuses(&self) -> impl Iterator<Item = Status> + '_ {
        self.targets.values().map(|target| target.latest.verdict.status)
    }

    /// Forgets letters and events; what the summary says stays.
    pub fn clear(&mut self) {
        self.events.clear();
        for target in self.targets.values_mut() {
            target.connections.clear();
            target.lanes.iter_mut().for_each(|lane| lane.letters.clear());
        }
    }
}

impl TargetState {
    fn first(record: &Arc<Record>) -> (Self, Vec<Change>) {
        let mut target = Self {
            latest: Arc::clone(record),
            begun: record.started_at,
            since: record.started_at,
            probes: 0,
            lanes: Vec::new(),
            connections: Letters::default(),
            phases: BTreeMap::new(),
            flips: 0,
            first_expected: None,
            outages: Outages::default(),
            public_address: None,
            was_expected: None,
        };
        let mut changes = vec![Change::Start { verdict: record.verdict.clone(), connection: destination(record) }];
        changes.extend(target.add_views(record));
        changes.extend(target.application_change(None, record));
        changes.extend(held_change(None, record));
        target.count(record);
        (target, changes)
    }

    fn add(&mut self, record: &Arc<Record>) -> Vec<Change> {
        let before = std::mem::replace(&mut self.latest, Arc::clone(record));
        self.outages.add(&before, Some(record.started_at));
        if record.usable.value == Usability::No && before.usable.value != Usability::No {
            self.outages.begin();
        }
        let mut changes = self.add_views(record);
        let (from, to) = (destination(&before), destination(record));
        if before.usable.value != record.usable.value {
            changes.push(Change::Usability { from: before.usable.value, to: record.usable.value });
        }
        if before.verdict != record.verdict {
            self.since = record.started_at;
            let (from, to) = (before.verdict.clone(), record.verdict.clone());
            changes.push(Change::Verdict { from, to, connection: destination(record) });
        } else if from.address != to.address {
            changes.push(Change::Address { from, to });
        }
        changes.extend(self.application_change(Some(&before), record));
        changes.extend(held_change(Some(&before), record));
        self.count(record);
        changes
    }

    /// What does not depend on the record before.
    fn count(&mut self, record: &Record) {
        if self.probes == 0 && record.usable.value == Usability::No {
            self.outages.begin();
        }
        self.probes = self.probes.saturating_add(1);
        self.connections.push(connection_kind(record));
        if let Some(connection) = &record.observation.connection {
            let ip = connection.address.ip();
            let expected = record.expectation.allows(ip);
            self.flips += u32::from(self.was_expected.is_some_and(|was| was != expected));
            self.was_expected = Some(expected);
            if expected {
                self.first_expected.get_or_insert(record.started_at);
            }
            if connection.class == AddressClass::Public {
                self.public_address = Some(ip);
            }
        }
        self.phases.values_mut().for_each(|times| times.now = None);
        for phase in record.observation.phases.names() {
            let summary = record.observation.phases.get(phase);
            let took = summary.took.filter(|_| summary.outcome == PhaseOutcome::Done);
            self.phases.entry(phase).or_default().add(took, record.started_at);
        }
    }

    fn add_views(&mut self, record: &Record) -> Vec<Change> {
        let mut changes = Vec::new();
        let views = &record.observation.resolution.views;
        for lane in &mut self.lanes {
            if !views.iter().any(|view| view.view == lane.view) {
                lane.skip();
            }
        }
        for view in views.iter().filter(|view| view.outcome != ViewOutcome::Interrupted) {
            let public = view.addresses.iter().find(|address| address.class == AddressClass::Public);
            self.public_address = public.map(|address| address.ip).or(self.public_address);
            let is_full = self.lanes.len() >= MAX_LANES;
            let (from, lane) = match self.lanes.iter_mut().find(|lane| lane.view == view.view) {
                Some(lane) => match lane.add(record, view) {
                    Some(before) => (Some(before), lane),
                    None => continue,
                },
                None if is_full => continue,
                None => {
                    self.lanes.push(Lane::new(record, view));
                    let Some(lane) = self.lanes.last_mut() else { continue };
                    (None, lane)
                }
            };
            changes.push(Change::View { view: lane.name.clone(), from, to: lane.answer.clone() });
        }
        changes
    }

    fn application_change(&self, before: Option<&Record>, record: &Record) -> Option<Change> {
        let from = before.and_then(counts);
        let to = counts(record);
        let left = |counts: Option<Counts>| counts.map_or(0, Counts::left);
        (left(from) != left(to)).then_some(Change::Application { from, to })
    }

    /// The applications' connections of the last record; `None` where none are listed.
    pub fn application(&self) -> Option<Counts> {
        counts(&self.latest)
    }

    /// The time without service up to the end of the last probe.
    pub fn outages(&self) -> Outages {
        let mut outages = self.outages;
        outages.add(&self.latest, None);
        outages
    }

    /// Whether the last connection and every answer that is compared is as expected.
    pub fn is_as_expected(&self) -> bool {
        let record = &self.latest;
        let connection = record.observation.connection.as_ref();
        let mut asked = self.lanes.iter().filter(|lane| lane.is_asked);
        let answers = asked.all(|lane| lane.is_right() || lane.is_public_resolver() || lane.automatic);
        answers && connection.is_some_and(|connection| record.expectation.allows(connection.address.ip()))
    }

    /// When the last probe ended.
    pub fn ended(&self) -> Timestamp {
        let Record { started_at, took_seconds, .. } = &*self.latest;
        started_at.after(took_seconds.0).unwrap_or(*started_at)
    }
}

impl Outages {
    fn begin(&mut self) {
        self.count = self.count.saturating_add(1);
        self.present = Duration::ZERO;
    }

    /// Counts the time from the beginning of `record` to that of the next one, or to its own end.
    fn add(&mut self, record: &Record, next: Option<Timestamp>) {
        let took = record.took_seconds.0;
        // None where the wall clock was set back.
        let time = next.map_or(Some(took), |next| record.started_at.until(next)).unwrap_or_default();
        let counted = time.min(took.saturating_add(MAX_PAUSE));
        let is_observed = |value| record.usable.value == value;
        self.unknown = self.unknown.saturating_add(time - counted);
        if is_observed(Usability::No) {
            self.present = self.present.saturating_add(counted);
            self.total = self.total.saturating_add(counted);
            self.longest = self.longest.max(self.present);
        } else if is_observed(Usability::Unknown) {
            self.unknown = self.unknown.saturating_add(counted);
        }
    }
}

impl PhaseTimes {
    fn add(&mut self, took: Option<Seconds>, at: Timestamp) {
        self.now = took;
        let Some(took) = took else { return };
        if self.worst.is_none_or(|(worst, _)| took > worst) {
            self.worst = Some((took, at));
        }
        if self.recent.len() >= MEDIAN_OF {
            self.recent.pop_front();
        }
        self.recent.push_back(took);
    }

    /// The median of the last times.
    pub fn median(&self) -> Option<Seconds> {
        let mut sorted: Vec<Seconds> = self.recent.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len().checked_sub(1)? / 2).copied()
    }
}

fn held_change(before: Option<&Record>, record: &Record) -> Option<Change> {
    if before.and_then(HeldStanding::of) == HeldStanding::of(record) {
        return None;
    }
    let facts = record.observation.held_connection.as_ref()?;
    let ended = |record: &Record| record.observation.held_connection.as_ref().and_then(|facts| facts.ended.clone());
    let at = |end: Option<HeldEnd>| end.map(|end| end.at);
    let lost = facts.ended.clone().filter(|end| at(before.and_then(ended)) != Some(end.at));
    let address = facts.open().map(|held| held.address);
    let is_news = lost.is_some() || address.is_some() || before.is_some_and(HeldStanding::is_open);
    let dns_address = other_path(record).map(|(_, given)| given);
    is_news.then_some(Change::Held { address, lost, dns_address })
}

fn counts(record: &Record) -> Option<Counts> {
    record.observation.application.as_ref().map(Counts::of)
}

pub(super) fn destination(record: &Record) -> Destination {
    let address = record.observation.connection.as_ref().map(|connection| connection.address.ip());
    Destination { address, text: describe::destination(record) }
}

fn connection_kind(record: &Record) -> AnswerKind {
    match (&record.observation.connection, record.usable.value) {
        (Some(connection), Usability::Yes) => lane::of_class(connection.class),
        (_, Usability::No) => AnswerKind::Failed,
        (Some(_), Usability::Unknown) => AnswerKind::NoAnswer,
        (None, Usability::Unknown | Usability::Yes) => AnswerKind::NotReached,
    }
}
