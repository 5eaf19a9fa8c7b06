//! What one view answered over time: a letter for each probe, the last answer, how long it may be cached.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use super::event::{Answer, AnswerKind};
use crate::address::AddressClass;
use crate::clock::Timestamp;
use crate::observation::dns::{View, ViewKind, ViewOutcome};
use crate::output::describe::{self, AnswerMark};
use crate::record::Record;

/// The most letters of a lane: what the widest terminal shows.
pub const MAX_LETTERS: usize = 512;

/// The most addresses kept of one answer.
const MAX_ADDRESSES: usize = 64;

/// How long a TTL must stay the same before its server is known to answer without a cache.
const STEADY_TTL: Duration = Duration::from_secs(3);

/// The letters of the last probes, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Letters(VecDeque<AnswerKind>);

impl Letters {
    /// Appends the one of a probe.
    pub fn push(&mut self, kind: AnswerKind) {
        if self.0.len() >= MAX_LETTERS {
            self.0.pop_front();
        }
        self.0.push_back(kind);
    }

    /// The last `count`, the oldest first.
    pub fn last(&self, count: usize) -> impl Iterator<Item = AnswerKind> + '_ {
        self.0.iter().skip(self.0.len().saturating_sub(count)).copied()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// One view of a target.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    /// Its name.
    pub view: String,
    /// Its name with its server.
    pub name: String,
    /// Whether it was asked without being configured.
    pub automatic: bool,
    /// Whether it is Azure's own resolver.
    pub is_azure_dns: bool,
    /// Which kind of view it is.
    pub kind: ViewKind,
    /// The letters of the probes.
    pub letters: Letters,
    /// The last answer.
    pub answer: Answer,
    /// How the last answer compares with the expectation.
    pub(crate) mark: AnswerMark,
    /// The TTL of the last answer, where one has addresses and a TTL.
    pub ttl: Option<Ttl>,
    /// When the first answer came.
    pub begun: Timestamp,
    /// When the probe began whose answer was the first as expected.
    pub first_expected: Option<Timestamp>,
    /// How often its answers changed between expected and not expected.
    pub flips: u32,
    /// Whether it was asked in the last probe: a name server that resolv.conf no longer has is not.
    pub is_asked: bool,
    /// Whether the last answer with addresses was as expected.
    was_expected: Option<bool>,
}

/// How long a cache may keep an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl {
    /// The smallest TTL of the answer's chain and addresses, in seconds.
    pub seconds: u32,
    /// When it was given.
    pub at: Timestamp,
    /// Whether the server answers without a cache, so that the TTL bounds nothing: it does not count down.
    pub is_steady: bool,
    /// Since when it has had this value.
    since: Timestamp,
}

impl Ttl {
    /// The moment from which a cache has to ask anew; `None` where the server answers without a cache.
    pub fn over_at(self) -> Option<Timestamp> {
        if self.is_steady { None } else { self.at.after(Duration::from_secs(self.seconds.into())) }
    }
}

impl Lane {
    /// The lane of a view that is there for the first time.
    pub(super) fn new(record: &Record, view: &View) -> Self {
        let mut lane = Self {
            view: view.view.clone(),
            name: describe::view_name(view),
            automatic: view.automatic,
            is_azure_dns: view.is_azure_dns(),
            kind: view.kind,
            letters: Letters::default(),
            answer: answer(view),
            mark: AnswerMark::NoAddress,
            ttl: None,
            begun: record.started_at,
            first_expected: None,
            flips: 0,
            is_asked: true,
            was_expected: None,
        };
        lane.add(record, view);
        lane
    }

    /// Takes the next answer in. The answer before, where it differs.
    pub(super) fn add(&mut self, record: &Record, view: &View) -> Option<Answer> {
        let answer = answer(view);
        self.is_asked = true;
        self.letters.push(answer.kind);
        self.mark = describe::answer_mark(record, view);
        let expected = match self.mark {
            AnswerMark::Right => Some(true),
            AnswerMark::Wrong => Some(false),
            AnswerMark::PublicResolver | AnswerMark::NoAddress => None,
        };
        if let Some(expected) = expected {
            self.flips += u32::from(self.was_expected.is_some_and(|was| was != expected));
            self.was_expected = Some(expected);
            if expected {
                self.first_expected.get_or_insert(record.started_at);
            }
        }
        self.ttl = smallest_ttl(view).map(|seconds| {
            let at = record.started_at;
            // The same answer with the same TTL: since when.
            let before = self.ttl.filter(|before| before.seconds == seconds && self.answer.is_same(&answer));
            let since = before.map_or(at, |before| before.since);
            let steady = since.until(at).is_some_and(|time| time >= STEADY_TTL);
            let was_steady = before.is_some_and(|before| before.is_steady);
            Ttl { seconds, at, is_steady: seconds > 0 && (steady || was_steady), since }
        });
        let before = std::mem::replace(&mut self.answer, answer);
        (!before.is_same(&self.answer)).then_some(before)
    }

    /// The view was not asked.
    pub(super) fn skip(&mut self) {
        self.is_asked = false;
        self.letters.push(AnswerKind::NotReached);
    }

    /// Whether its last answer leads elsewhere than expected.
    pub fn is_wrong(&self) -> bool {
        self.mark == AnswerMark::Wrong
    }

    /// Whether its answer counts for nothing: a resolver in the internet rightly gives the public address.
    pub fn is_public_resolver(&self) -> bool {
        self.mark == AnswerMark::PublicResolver
    }

    /// Whether its last answer is as expected.
    pub fn is_right(&self) -> bool {
        self.mark == AnswerMark::Right
    }
}

fn answer(view: &View) -> Answer {
    let tries = view.tries.iter().flat_map(|tries| &tries.addresses);
    let classes: BTreeSet<AddressClass> = view.addresses.iter().chain(tries).map(|address| address.class).collect();
    let kind = match view.outcome {
        ViewOutcome::Answered if !classes.is_empty() => of_classes(&classes),
        ViewOutcome::Answered
        | ViewOutcome::NoData
        | ViewOutcome::NameNotFound
        | ViewOutcome::NoAddress
        | ViewOutcome::ServerFailure
        | ViewOutcome::Refused
        | ViewOutcome::OtherRcode
        | ViewOutcome::BadAnswer => AnswerKind::Failed,
        ViewOutcome::TryAgain | ViewOutcome::Timeout | ViewOutcome::Unreachable | ViewOutcome::Failed => {
            AnswerKind::NoAnswer
        }
        ViewOutcome::NotReached | ViewOutcome::Interrupted => AnswerKind::NotReached,
    };
    let addresses: BTreeSet<IpAddr> = view.ips().take(MAX_ADDRESSES).collect();
    Answer { kind, addresses: addresses.into_iter().collect(), text: describe::view_answer(view) }
}

fn of_classes(classes: &BTreeSet<AddressClass>) -> AnswerKind {
    if classes.contains(&AddressClass::Public) {
        AnswerKind::Public
    } else if classes.iter().all(|class| *class == AddressClass::Private) {
        AnswerKind::Private
    } else {
        AnswerKind::Other
    }
}

/// The kind of one address.
pub(super) fn of_class(class: AddressClass) -> AnswerKind {
    of_classes(&BTreeSet::from([class]))
}

/// The whole answer is in a cache for as long as its shortest record.
fn smallest_ttl(view: &View) -> Option<u32> {
    let addresses = view.addresses.iter().map(|address| address.ttl);
    if view.addresses.is_empty() {
        return None;
    }
    addresses.chain(view.chain.iter().map(|record| Some(record.ttl))).flatten().min()
}
