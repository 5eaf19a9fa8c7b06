//! The series of one target: what adds up over its probes, and what its last probe said.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::family;
use super::gauges;
use super::histogram::{Bounds, Distribution};
use super::page::{Label, Page, Value};
use crate::clock::Timestamp;
use crate::diagnosis::{Cause, Verdict};
use crate::observation::{Resolution, View, ViewOutcome};
use crate::phase::{PhaseName, PhaseOutcome};
use crate::plan::{Auth, Plan};
use crate::record::Record;

/// The series of one target.
pub(crate) struct TargetSeries {
    plan: Plan,
    phase_bounds: Bounds,
    resolution_info: bool,
    probes: u64,
    failures: u64,
    failures_by_cause: BTreeMap<Cause, u64>,
    probe_duration: Distribution,
    phases: BTreeMap<PhaseName, PhaseSeries>,
    answers: BTreeMap<String, Answers>,
    verdict: Option<(Verdict, Timestamp)>,
    /// What the gauges are read of; the history has the same.
    latest: Option<Arc<Record>>,
}

struct PhaseSeries {
    duration: Distribution,
    failures: u64,
}

impl PhaseSeries {
    fn new(bounds: &Bounds) -> Self {
        Self { duration: Distribution::new(bounds), failures: 0 }
    }
}

/// The last final answer of a view, and how often it changed.
#[derive(Default)]
struct Answers {
    changes: u64,
    last: Option<Answer>,
}

/// An answer without what differs each time, the order of the addresses and the times to live.
#[derive(PartialEq)]
struct Answer {
    outcome: ViewOutcome,
    chain: Vec<(String, String)>,
    canonical_name: Option<String>,
    addresses: BTreeSet<IpAddr>,
}

impl TargetSeries {
    /// The series that exist before the first probe, with these bounds of probes' and of phases' durations.
    pub(crate) fn new(plan: &Plan, probe: &Bounds, phase_bounds: &Bounds, resolution_info: bool) -> Self {
        let phase = |name| (name, PhaseSeries::new(phase_bounds));
        Self {
            plan: plan.clone(),
            phase_bounds: phase_bounds.clone(),
            resolution_info,
            probes: 0,
            failures: 0,
            failures_by_cause: BTreeMap::new(),
            probe_duration: Distribution::new(probe),
            phases: planned_phases(plan).map(phase).collect(),
            answers: planned_views(plan).map(|view| (view.to_owned(), Answers::default())).collect(),
            verdict: None,
            latest: None,
        }
    }

    /// Whether they are of this very plan.
    pub(crate) fn are_of(&self, plan: &Plan) -> bool {
        self.plan == *plan
    }

    /// Takes a probe of the target into account.
    pub(crate) fn observe(&mut self, record: &Arc<Record>) {
        self.probes += 1;
        self.probe_duration.observe(record.took_seconds.as_f64());
        if !gauges::is_success(record) {
            self.failures += 1;
            *self.failures_by_cause.entry(record.verdict.cause).or_default() += 1;
        }
        // The phases that not every target has begin with the first probe in which they run.
        for name in gauges::phases_of(record) {
            self.phases.entry(name).or_insert_with(|| PhaseSeries::new(&self.phase_bounds));
        }
        for (name, series) in &mut self.phases {
            let phase = record.observation.phases.get(*name);
            if let Some(took) = phase.took {
                series.duration.observe(took.as_f64());
            }
            series.failures += u64::from(phase.outcome == PhaseOutcome::Failed);
        }
        self.observe_answers(&record.observation.resolution);
        if self.verdict.as_ref().is_none_or(|(verdict, _)| *verdict != record.verdict) {
            self.verdict = Some((record.verdict.clone(), record.started_at));
        }
        self.latest = Some(Arc::clone(record));
    }

    /// Adds the series to a page, but those of [`Self::phase_durations`].
    pub(crate) fn add_to(&self, page: &mut Page<'_>) {
        let target = ("target", self.plan.target.name.as_str());
        page.add(&family::PROBES, [target], float(self.probes));
        page.add(&family::PROBE_FAILURES, [target], float(self.failures));
        for (cause, failures) in &self.failures_by_cause {
            page.add(&family::PROBE_FAILURES_BY_CAUSE, [target, ("cause", cause.as_str())], float(*failures));
        }
        page.add(&family::PROBE_DURATION, [target], &self.probe_duration);
        for (name, series) in &self.phases {
            page.add(&family::PHASE_FAILURES, [target, ("phase", name.as_str())], float(series.failures));
        }
        for (view, answers) in &self.answers {
            page.add(&family::RESOLUTION_CHANGES, [target, ("view", view.as_str())], float(answers.changes));
        }
        if let Some((_, since)) = &self.verdict {
            page.add(&family::VERDICT_SINCE, [target], since.unix_seconds());
        }
        let facts = match &self.latest {
            Some(record) => gauges::of(record, self.phases.keys().copied(), self.resolution_info),
            None => gauges::before_the_first_probe(self.phases.keys().copied()),
        };
        for fact in facts {
            page.add(fact.family, std::iter::once(target).chain(fact.labels()), fact.value);
        }
    }

    /// The series of `redpath_phase_duration_seconds`, which are most of a page.
    pub(crate) fn phase_durations(&self) -> impl Iterator<Item = ([Label<'_>; 2], Value<'_>)> {
        let target = ("target", self.plan.target.name.as_str());
        self.phases
            .iter()
            .map(move |(name, series)| ([target, ("phase", name.as_str())], Value::from(&series.duration)))
    }

    /// A view that gave no final answer (a timeout, SERVFAIL) changed nothing that is known.
    fn observe_answers(&mut self, resolution: &Resolution) {
        if resolution.views.is_empty() {
            return; // interrupted before the resolution
        }
        // The name servers of resolv.conf come and go; a changing file must not add up series.
        let planned: BTreeSet<&str> = planned_views(&self.plan).collect();
        self.answers.retain(|name, _| {
            planned.contains(name.as_str()) || resolution.views.iter().any(|view| view.view == *name)
        });
        let mut seen = BTreeSet::new();
        for view in resolution.views.iter().filter(|view| seen.insert(view.view.as_str())) {
            let answers = self.answers.entry(view.view.clone()).or_default();
            if view.outcome.is_final() {
                let answer = Some(Answer::of(view));
                answers.changes += u64::from(answers.last.is_some() && answers.last != answer);
                answers.last = answer;
            }
        }
    }
}

impl Answer {
    fn of(view: &View) -> Self {
        let cnames = view.chain.iter().filter(|record| record.record_type == "CNAME");
        Self {
            outcome: view.outcome,
            chain: cnames.map(|record| (record.name.clone(), record.data.clone())).collect(),
            canonical_name: view.canonical_name.clone(),
            addresses: gauges::addresses_of(view),
        }
    }
}

/// The phases that have series before the first probe: those of every probe, and the token's where one is needed.
fn planned_phases(plan: &Plan) -> impl Iterator<Item = PhaseName> {
    let needs_token = matches!(plan.auth, Auth::Entra(_));
    PhaseName::ALWAYS.into_iter().chain(needs_token.then_some(PhaseName::Token))
}

/// The views that are known before the first probe; the name servers of resolv.conf are not.
fn planned_views(plan: &Plan) -> impl Iterator<Item = &str> {
    std::iter::once("libc")
        .chain(plan.resolvers.iter().map(|resolver| resolver.name.as_str()))
        .filter(|view| plan.views.includes(view))
}

fn float(count: u64) -> f64 {
    count as f64 // exact up to 2^53
}
