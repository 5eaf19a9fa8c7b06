//! The metrics: the state behind them, fed by records, and the pages of it.
//!
//! Every metric is declared in `family`, once. Label values come from the configuration and from
//! closed lists, never from error text; the one exception is `redpath_resolution_info`.

mod agent;
mod application;
mod blackbox;
mod exposition;
pub mod family;
mod format;
mod gauges;
mod process;
mod sample;
mod schedule_lag;
mod series;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use self::agent::Agent;
use self::exposition::Page;
use self::family::{Family, Source};
use self::process::Process;
use self::schedule_lag::Lag;
use self::series::TargetSeries;
use crate::clock::Timestamp;
use crate::diagnosis::Verdict;
use crate::journal::recorder::Status;
use crate::lock::lock;
use crate::metrics_settings::MetricsSettings;
use crate::plan::Plan;
use crate::record::Record;
use crate::vantage::Vantage;

pub use self::agent::HttpCounts;
pub use self::format::ExpositionFormat;

/// The metrics of a process. All of it may be called from many tasks at once. The counters and gauges of a
/// target on a page are those after one of its probes; its histograms may have one probe more.
pub struct Metrics {
    settings: Arc<MetricsSettings>,
    vantage: Arc<[(String, String)]>,
    /// A page holds the series of its targets while it is written; `observe` changes a copy then.
    targets: Mutex<BTreeMap<String, Arc<TargetSeries>>>,
    agent: Mutex<AgentState>,
}

struct AgentState {
    lag: Lag,
    reload_successful: Option<bool>,
    reloaded_at: Option<Timestamp>,
    http: Option<HttpCounts>,
    journal: Option<JournalSource>,
}

/// Reads the state of the journal.
type JournalSource = Arc<dyn Fn() -> Status + Send + Sync>;

impl Metrics {
    /// Metrics without a target yet. The settings hold for as long as the metrics live.
    pub fn new(settings: &MetricsSettings, vantage: &Vantage) -> Self {
        let agent = AgentState {
            lag: Lag::new(Instant::now()),
            reload_successful: None,
            reloaded_at: None,
            http: None,
            journal: None,
        };
        Self {
            settings: Arc::new(settings.clone()),
            vantage: vantage.metric_labels().into_iter().collect(),
            targets: Mutex::new(BTreeMap::new()),
            agent: Mutex::new(agent),
        }
    }

    /// Sets the targets. The series of an unchanged plan stay, those of a changed one restart from zero, and
    /// those of a removed target are removed.
    pub fn set_targets(&self, plans: &[Plan]) {
        let mut targets = lock(&self.targets);
        let names: BTreeSet<&str> = plans.iter().map(|plan| plan.target.name.as_str()).collect();
        targets.retain(|name, _| names.contains(name.as_str()));
        for plan in plans {
            let name = &plan.target.name;
            if !targets.get(name).is_some_and(|series| series.belong_to(plan)) {
                targets.insert(name.clone(), Arc::new(TargetSeries::new(plan, &self.settings)));
            }
        }
    }

    /// Sets how often each target is probed. It is no part of a plan: with another interval alone, the series stay.
    pub fn set_intervals(&self, intervals: &BTreeMap<String, Duration>) {
        for (name, series) in lock(&self.targets).iter_mut() {
            Arc::make_mut(series).set_interval(intervals.get(name).copied());
        }
    }

    /// Adds a probe; that of a removed target is dropped.
    pub fn observe(&self, record: &Arc<Record>) {
        if let Some(series) = lock(&self.targets).get_mut(&record.target.name) {
            Arc::make_mut(series).observe(record);
        }
    }

    /// Sets since when a verdict held before a restart: where the present one is the same, it has held since then.
    pub fn restore_verdict(&self, name: &str, verdict: Verdict, since: Timestamp) {
        if let Some(series) = lock(&self.targets).get_mut(name) {
            Arc::make_mut(series).restore_verdict(verdict, since);
        }
    }

    /// Records how long after its due time a probe began.
    pub fn schedule_lag(&self, lag: Duration) {
        lock(&self.agent).lag.observe(lag, Instant::now());
    }

    /// Records that the configuration was read at `at`, at the start or by a reload.
    pub fn reload(&self, successful: bool, at: Timestamp) {
        let mut agent = lock(&self.agent);
        agent.reload_successful = Some(successful);
        if successful {
            agent.reloaded_at = Some(at);
        }
    }

    /// The format of the page that an `Accept` header prefers.
    pub fn negotiate(&self, accept: Option<&str>) -> ExpositionFormat {
        ExpositionFormat::negotiate(accept, self.settings.native_histograms)
    }

    /// Sets the connections of the HTTP server.
    pub fn http(&self, counts: HttpCounts) {
        lock(&self.agent).http = Some(counts);
    }

    /// Sets what reads the state of the journal for each page.
    pub fn journal(&self, source: impl Fn() -> Status + Send + Sync + 'static) {
        lock(&self.agent).journal = Some(Arc::new(source));
    }

    /// The whole page.
    pub fn encode(&self, format: ExpositionFormat) -> Vec<u8> {
        let mut page = Vec::new();
        let _ = self.write_to(&mut page, format); // to memory: it cannot fail
        page
    }

    /// Writes the whole page, in pieces: that of hundreds of targets has megabytes.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write_to(&self, to: &mut dyn io::Write, format: ExpositionFormat) -> io::Result<()> {
        self.page(self.agent(Some(Process::read()))).write_to(to, format)
    }

    /// Writes the page for node_exporter's textfile collector: without `process_*`, which node_exporter exports
    /// of itself; a second one would be an error.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write_for_textfile(&self, to: &mut dyn io::Write) -> io::Result<()> {
        self.page(self.agent(None)).write_to(to, ExpositionFormat::Text)
    }

    /// The page of `check` in the text format: targets, build and vantage.
    pub(crate) fn text_of_targets(&self) -> String {
        self.page(Agent { vantage: Arc::clone(&self.vantage), ..Agent::default() }).into_text()
    }

    fn page(&self, agent: Agent) -> Page {
        let wanted = |family: &&&'static Family| {
            let has_address =
                [&family::RESOLUTION_INFO, &family::CONNECTION_INFO].iter().any(|one| std::ptr::eq(**family, *one));
            self.settings.resolution_info || !has_address
        };
        Page {
            families: by_name(family::ALL.iter().filter(wanted).copied()),
            targets: lock(&self.targets).values().cloned().collect(),
            agent: Arc::new(agent),
            has_target_label: true,
        }
    }

    fn agent(&self, process: Option<Process>) -> Agent {
        let mut agent = lock(&self.agent);
        Agent {
            vantage: Arc::clone(&self.vantage),
            schedule_lag: Some(agent.lag.worst(Instant::now())),
            reload_successful: agent.reload_successful,
            http: agent.http,
            journal: agent.journal.as_ref().map(|status| status()),
            reloaded_at: agent.reloaded_at,
            process,
        }
    }
}

/// The page `/probe` in the text format: one probe under the names of the blackbox exporter, and the gauges of
/// the last probe without the label `target`, which the scrape configuration gives.
pub(crate) fn text_of_probe(plan: &Plan, record: &Arc<Record>) -> String {
    let mut series = TargetSeries::new(plan, &Arc::default());
    series.observe(record);
    let of_last_probe = |family: &&&'static Family| match family.source {
        Source::Record(_) => !std::ptr::eq(**family, &family::RESOLUTION_INFO),
        Source::Target(_) => [&family::VERDICT, &family::PHASE_OUTCOME, &family::TARGET_INFO]
            .iter()
            .any(|known| std::ptr::eq(**family, *known)),
        Source::Agent(_) | Source::Process(_) => false,
    };
    let families = family::ALL.iter().filter(of_last_probe).chain(family::ON_DEMAND).copied();
    let page = Page {
        families: by_name(families),
        targets: vec![Arc::new(series)],
        agent: Arc::default(),
        has_target_label: false,
    };
    page.into_text()
}

fn by_name(families: impl Iterator<Item = &'static Family>) -> Vec<&'static Family> {
    let mut families: Vec<_> = families.collect();
    families.sort_by_key(|family| family.name);
    families
}
