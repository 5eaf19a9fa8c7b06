//! The series of one target: what adds up over its probes, and its last probe.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::histogram::{Histogram, NativeHistogramConfig};
use strum::IntoEnumIterator as _;

use super::gauges;
use super::sample::Sample;
use crate::address::display_range;
use crate::clock::Timestamp;
use crate::diagnosis::{Cause, Status, Verdict};
use crate::metrics_settings::MetricsSettings;
use crate::observation::{Resolution, View, ViewOutcome};
use crate::phase::{PhaseName, PhaseOutcome};
use crate::plan::{ApplicationMode, Auth, Plan};
use crate::record::Record;

/// The upper bounds of `redpath_probe_duration_seconds`: few, since the phases have finer ones.
const PROBE_BUCKETS: [f64; 5] = [0.01, 0.05, 0.25, 1.0, 5.0];

/// The most endpoints in the label `expected`.
const MAX_EXPECTED: usize = 8;

/// The most buckets of a native histogram; beyond them its resolution is halved.
const MAX_NATIVE_BUCKETS: usize = 100;

/// The series of one target. A clone shares the histograms.
#[derive(Clone)]
pub(crate) struct TargetSeries {
    plan: Arc<Plan>,
    settings: Arc<MetricsSettings>,
    interval: Option<Duration>,
    probes: u64,
    failures: u64,
    failures_by_cause: BTreeMap<Cause, u64>,
    probe_duration: Histogram,
    application_opened: u64,
    held_losses: u64,
    phases: BTreeMap<PhaseName, PhaseSeries>,
    answers: BTreeMap<String, Answers>,
    verdict: Option<(Verdict, Timestamp)>,
    /// What the gauges are read from; the history holds the same record.
    latest: Option<Arc<Record>>,
}

#[derive(Clone)]
struct PhaseSeries {
    duration: Histogram,
    failures: u64,
}

impl PhaseSeries {
    fn new(settings: &MetricsSettings) -> Self {
        // Without classic buckets one remains, `+Inf`: it keeps count and sum in the text formats.
        let buckets = if settings.classic_histograms { settings.phase_buckets.as_slice() } else { &[] };
        let buckets = buckets.iter().copied();
        let duration = if settings.native_histograms {
            let config = NativeHistogramConfig::default().max_buckets(MAX_NATIVE_BUCKETS);
            Histogram::new_classic_and_native(buckets, config)
        } else {
            Histogram::new(buckets)
        };
        Self { duration, failures: 0 }
    }
}

/// The last final answer of a view, and how often it changed.
#[derive(Clone, Default)]
struct Answers {
    changes: u64,
    last: Option<Arc<FinalAnswer>>,
}

/// An answer without what differs each time, the order of the addresses and the times to live.
#[derive(PartialEq)]
struct FinalAnswer {
    outcome: ViewOutcome,
    chain: Vec<(String, String)>,
    canonical_name: Option<String>,
    addresses: BTreeSet<IpAddr>,
}

impl TargetSeries {
    /// The series that exist before the first probe.
    pub(crate) fn new(plan: &Plan, settings: &Arc<MetricsSettings>) -> Self {
        Self {
            plan: Arc::new(plan.clone()),
            settings: Arc::clone(settings),
            interval: None,
            probes: 0,
            failures: 0,
            failures_by_cause: BTreeMap::new(),
            probe_duration: Histogram::new(PROBE_BUCKETS),
            application_opened: 0,
            held_losses: 0,
            phases: planned_phases(plan).map(|name| (name, PhaseSeries::new(settings))).collect(),
            answers: planned_views(plan).map(|view| (view.to_owned(), Answers::default())).collect(),
            verdict: None,
            latest: None,
        }
    }

    /// The name of the target.
    pub(crate) fn name(&self) -> &str {
        &self.plan.target.name
    }

    /// The record of the last probe.
    pub(crate) fn latest(&self) -> Option<&Record> {
        self.latest.as_deref()
    }

    /// Whether they belong to this very plan.
    pub(crate) fn belong_to(&self, plan: &Plan) -> bool {
        *self.plan == *plan
    }

    /// Sets how often the target is probed; `None` without a schedule.
    pub(crate) fn set_interval(&mut self, interval: Option<Duration>) {
        self.interval = interval;
    }

    /// Adds a probe of the target.
    pub(crate) fn observe(&mut self, record: &Arc<Record>) {
        self.probes += 1;
        self.probe_duration.observe(record.took_seconds.as_f64());
        let opened = record.observation.application.as_ref().and_then(|facts| facts.opened);
        self.application_opened += opened.map_or(0, |opened| u64::from(opened.count));
        let losses = record.observation.held_connection.as_ref().map_or(0, |facts| facts.losses);
        self.held_losses = self.held_losses.max(losses);
        if !gauges::is_success(record) {
            self.failures += 1;
            *self.failures_by_cause.entry(record.verdict.cause).or_default() += 1;
        }
        // The phases that not every target has begin with the first probe in which they run.
        let phases = &record.observation.phases;
        for name in PhaseName::iter().filter(|name| phases.get(*name).took.is_some()) {
            self.phases.entry(name).or_insert_with(|| PhaseSeries::new(&self.settings));
        }
        for (name, series) in &mut self.phases {
            let phase = phases.get(*name);
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

    /// A view without a final answer (a timeout, SERVFAIL) does not count as a change.
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
                let answer = FinalAnswer::of(view);
                answers.changes += u64::from(answers.last.as_deref().is_some_and(|last| *last != answer));
                answers.last = Some(Arc::new(answer));
            }
        }
    }
}

/// The samples of each family.
impl TargetSeries {
    pub(crate) fn info(&self) -> Vec<Sample<'_>> {
        let target = &self.plan.target;
        let sample = Sample::new(1.0).with("host", target.host.as_str()).with_display("port", target.port);
        vec![sample.with_display("service", target.service).with_display("expected", expected(&self.plan))]
    }

    pub(crate) fn interval(&self) -> Vec<Sample<'_>> {
        self.interval.map(|interval| Sample::new(interval.as_secs_f64())).into_iter().collect()
    }

    pub(crate) fn probes(&self) -> Vec<Sample<'_>> {
        vec![Sample::count(self.probes)]
    }

    /// From the start where the connections are always listed, else from the first one.
    pub(crate) fn application_opened(&self) -> Vec<Sample<'_>> {
        let is_on = self.plan.application == ApplicationMode::On;
        let count = Some(self.application_opened).filter(|count| is_on || *count > 0);
        count.map(Sample::count).into_iter().collect()
    }

    /// From the start where a connection is held.
    pub(crate) fn held_connection_losses(&self) -> Vec<Sample<'_>> {
        let is_shown = self.plan.held_connection || self.held_losses > 0;
        is_shown.then(|| Sample::count(self.held_losses)).into_iter().collect()
    }

    pub(crate) fn failures(&self) -> Vec<Sample<'_>> {
        vec![Sample::count(self.failures)]
    }

    pub(crate) fn failures_by_cause(&self) -> Vec<Sample<'_>> {
        let causes = self.failures_by_cause.iter();
        causes.map(|(cause, failures)| Sample::count(*failures).with("cause", cause.as_str())).collect()
    }

    pub(crate) fn probe_duration(&self) -> Vec<Sample<'_>> {
        vec![Sample::histogram(&self.probe_duration)]
    }

    pub(crate) fn phase_durations(&self) -> Vec<Sample<'_>> {
        let phases = self.phases.iter();
        phases.map(|(name, series)| Sample::histogram(&series.duration).with("phase", name.as_str())).collect()
    }

    pub(crate) fn phase_failures(&self) -> Vec<Sample<'_>> {
        let phases = self.phases.iter();
        phases.map(|(name, series)| Sample::count(series.failures).with("phase", name.as_str())).collect()
    }

    /// All outcomes are 0 before the first probe.
    pub(crate) fn phase_outcomes(&self) -> Vec<Sample<'_>> {
        let outcome = |name| self.latest().map(|record| record.observation.phases.get(name).outcome);
        let samples = self.phases.keys().flat_map(|name| {
            let outcome = outcome(*name);
            PhaseOutcome::iter().map(move |each| {
                Sample::flag(outcome == Some(each)).with("phase", name.as_str()).with("outcome", each.as_str())
            })
        });
        samples.collect()
    }

    pub(crate) fn resolution_changes(&self) -> Vec<Sample<'_>> {
        self.answers.iter().map(|(view, answers)| Sample::count(answers.changes).with("view", view)).collect()
    }

    /// All statuses are 0 before the first probe.
    /// Sets since when a verdict held before a restart. Whether it still holds only a probe tells.
    pub(crate) fn restore_verdict(&mut self, verdict: Verdict, since: Timestamp) {
        match &mut self.verdict {
            None => self.verdict = Some((verdict, since)),
            Some((present, present_since)) if *present == verdict => *present_since = since.min(*present_since),
            Some(_) => {}
        }
    }

    pub(crate) fn verdict(&self) -> Vec<Sample<'_>> {
        let status = self.latest().map(|record| record.verdict.status);
        Status::ALL.map(|each| Sample::flag(status == Some(each)).with("status", each.as_str())).into()
    }

    pub(crate) fn verdict_since(&self) -> Vec<Sample<'_>> {
        let since = self.verdict.as_ref().filter(|_| self.latest().is_some());
        since.into_iter().map(|(_, since)| Sample::new(since.unix_seconds())).collect()
    }
}

impl FinalAnswer {
    fn of(view: &View) -> Self {
        let cnames = view.chain.iter().filter(|record| record.record_type == "CNAME");
        Self {
            outcome: view.outcome,
            chain: cnames.map(|record| (record.name.clone(), record.data.clone())).collect(),
            canonical_name: view.canonical_name.clone(),
            addresses: view.ips().map(|ip| ip.to_canonical()).collect(),
        }
    }
}

/// What is expected of the address, for a label: the endpoints, or the kind of path where none is named.
fn expected(plan: &Plan) -> String {
    let endpoints = &plan.expectation.endpoints;
    if endpoints.is_empty() {
        return plan.expectation.path.to_string();
    }
    let shown = endpoints.iter().take(MAX_EXPECTED).map(display_range).collect::<Vec<_>>().join(", ");
    match endpoints.len().saturating_sub(MAX_EXPECTED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
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
