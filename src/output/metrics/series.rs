//! The series of one target: what adds up over its probes, and what its last probe said.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::distribution::Distribution;
use super::facts::{self, Fact};
use super::family;
use super::page::Page;
use crate::clock::Timestamp;
use crate::config::MetricsSettings;
use crate::diagnosis::{Cause, Verdict};
use crate::observation::{Resolution, View, ViewOutcome};
use crate::phase::{PhaseName, PhaseOutcome};
use crate::plan::{Auth, Plan};
use crate::record::Record;

/// The upper bounds of `redpath_probe_duration_seconds`: coarse, since the phases tell the rest.
const PROBE_BUCKETS: [f64; 5] = [0.01, 0.05, 0.25, 1.0, 5.0];

/// The series of one target.
pub(crate) struct TargetSeries {
    plan: Plan,
    settings: MetricsSettings,
    probes: u64,
    failures: u64,
    failures_by_cause: BTreeMap<Cause, u64>,
    probe_duration: Distribution,
    phases: BTreeMap<PhaseName, PhaseSeries>,
    answers: BTreeMap<String, Answers>,
    verdict: Option<(Verdict, Timestamp)>,
    facts: Vec<Fact>,
}

struct PhaseSeries {
    duration: Distribution,
    failures: u64,
}

impl PhaseSeries {
    fn new(settings: &MetricsSettings) -> Self {
        Self { duration: Distribution::new(&settings.phase_buckets), failures: 0 }
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
    /// The series that exist before the first probe.
    pub(crate) fn new(plan: &Plan, settings: &MetricsSettings) -> Self {
        let phase = |name| (name, PhaseSeries::new(settings));
        Self {
            plan: plan.clone(),
            settings: settings.clone(),
            probes: 0,
            failures: 0,
            failures_by_cause: BTreeMap::new(),
            probe_duration: Distribution::new(&PROBE_BUCKETS),
            phases: planned_phases(plan).map(phase).collect(),
            answers: planned_views(plan).map(|view| (view.to_owned(), Answers::default())).collect(),
            verdict: None,
            facts: facts::before_the_first_probe(planned_phases(plan)),
        }
    }

    /// Whether they are of this very plan.
    pub(crate) fn are_of(&self, plan: &Plan) -> bool {
        self.plan == *plan
    }

    /// Takes a probe of the target into account.
    pub(crate) fn observe(&mut self, record: &Record) {
        self.probes += 1;
        self.probe_duration.observe(record.took_seconds.as_f64());
        if !facts::is_success(record) {
            self.failures += 1;
            *self.failures_by_cause.entry(record.verdict.cause).or_default() += 1;
        }
        // The phases that not every target has begin with the first probe in which they run.
        for name in facts::phases_of(record) {
            self.phases.entry(name).or_insert_with(|| PhaseSeries::new(&self.settings));
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
        self.facts = facts::of(record, self.phases.keys().copied(), self.settings.resolution_info);
    }

    /// Adds the series to a page.
    pub(crate) fn add_to(&self, page: &mut Page) {
        let target = ("target", self.plan.target.name.as_str());
        page.add(&family::PROBES, [target], float(self.probes));
        page.add(&family::PROBE_FAILURES, [target], float(self.failures));
        for (cause, failures) in &self.failures_by_cause {
            page.add(&family::PROBE_FAILURES_BY_CAUSE, [target, ("cause", cause.as_str())], float(*failures));
        }
        page.add(&family::PROBE_DURATION, [target], &self.probe_duration);
        for (name, series) in &self.phases {
            let phase = ("phase", name.as_str());
            page.add(&family::PHASE_DURATION, [target, phase], &series.duration);
            page.add(&family::PHASE_FAILURES, [target, phase], float(series.failures));
        }
        for (view, answers) in &self.answers {
            page.add(&family::RESOLUTION_CHANGES, [target, ("view", view.as_str())], float(answers.changes));
        }
        if let Some((_, since)) = &self.verdict {
            page.add(&family::VERDICT_SINCE, [target], since.unix_seconds());
        }
        for fact in &self.facts {
            let labels = fact.labels.iter().map(|(name, value)| (*name, value.as_ref()));
            page.add(fact.family, std::iter::once(target).chain(labels), fact.value);
        }
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
            addresses: facts::addresses_of(view),
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
