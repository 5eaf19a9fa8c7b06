//! The status page at `/`: the failing targets first, one document without script.
//!
//! It is made of the same records as every other output.

mod path;
mod target;
mod time;

use std::cmp::Reverse;
use std::time::Duration;

use maud::{Markup, html};

use super::AgentState;
use crate::clock::Timestamp;
use crate::diagnosis::Status;
use crate::history::TargetHistory;
use crate::output::html::document;
use crate::record::Tool;
use crate::vantage::Vantage;
use time::{age, ago, moment};

/// How often the browser refreshes the page, in seconds.
const REFRESH_SECONDS: u32 = 15;

/// The maximum number of targets in full on the page of all. Further ones are a row each, so that the page
/// of hundreds of targets stays short.
const MAX_IN_FULL: usize = 6;

/// Up to this number of targets, all are shown in full, whatever their verdict.
const ALWAYS_IN_FULL: usize = 3;

/// The content of the page.
pub(crate) struct StatusPage<'a> {
    /// Where the agent runs.
    pub(crate) vantage: &'a Vantage,
    /// The state of the agent.
    pub(crate) state: &'a AgentState,
    /// Every target.
    pub(crate) targets: Vec<(String, TargetHistory)>,
    /// Show only this target.
    pub(crate) only: Option<String>,
    /// Whether the browser refreshes the page.
    pub(crate) refreshes: bool,
    /// The present time.
    pub(crate) now: Timestamp,
}

/// The verdict; `None` before the first probe.
fn status(history: &TargetHistory) -> Option<Status> {
    history.latest.as_ref().map(|record| record.verdict.status)
}

/// The worse the verdict, the higher.
fn severity(history: &TargetHistory) -> u8 {
    match status(history) {
        Some(Status::Fail) => 4,
        Some(Status::Unknown) => 3,
        Some(Status::Warn) => 2,
        None => 1,
        Some(Status::Pass) => 0,
    }
}

/// A verdict as class, symbol and word: the page is complete without colour.
fn appearance(status: Option<Status>) -> (&'static str, &'static str, &'static str) {
    match status {
        Some(Status::Pass) => ("pass", "✓", "pass"),
        Some(Status::Warn) => ("warn", "!", "warn"),
        Some(Status::Fail) => ("fail", "✗", "fail"),
        Some(Status::Unknown) => ("unknown", "?", "unknown"),
        None => ("unknown", "…", "not probed yet"),
    }
}

/// A link to the page of all targets, or of one.
fn href(target: Option<&str>, refreshes: bool) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::from("/?"));
    if let Some(target) = target {
        query.append_pair("target", target);
    }
    if !refreshes {
        query.append_pair("refresh", "off");
    }
    let link = query.finish();
    link.strip_suffix('?').map_or(link.clone(), str::to_owned)
}

impl StatusPage<'_> {
    /// The page.
    pub(crate) fn render(mut self) -> String {
        // Stable: targets of one severity stay in the order of their names.
        self.targets.sort_by_key(|(_, history)| Reverse(severity(history)));
        let host = &self.vantage.hostname;
        let counts = self.counts();
        let worst = counts.first().map(|(status, count)| (appearance(*status), count));
        let worst = worst.map(|((_, symbol, word), count)| format!("{symbol} {count} {word} – ")).unwrap_or_default();
        let body = html! {
            header class="top" {
                h1 { "redpath on " b { (host) } }
                (self.vantage_facts())
                (self.overview(&counts))
            }
            main { (self.main()) }
            footer {
                (self.agent())
                nav aria-label="More" {
                    a href="/codes" { "codes of findings" } " "
                    a href="/api/v1/records" { "records as JSON" } " "
                    a href="/metrics" { "metrics" }
                }
            }
        };
        let refresh = self.refreshes.then_some(REFRESH_SECONDS);
        document(&format!("{worst}redpath on {host}"), refresh, &body)
    }

    /// How many targets have each verdict, the worst first.
    fn counts(&self) -> Vec<(Option<Status>, usize)> {
        let same =
            |(_, one): &(String, TargetHistory), (_, next): &(String, TargetHistory)| status(one) == status(next);
        self.targets.chunk_by(same).map(|group| (status(&group[0].1), group.len())).collect()
    }

    fn vantage_facts(&self) -> Markup {
        let vantage = self.vantage;
        let labels = vantage.labels.iter().map(|(label, value)| (label.as_str(), value));
        let own = [
            ("subnet", vantage.subnet.as_ref().filter(|_| !vantage.labels.contains_key("subnet"))),
            ("pod", vantage.pod.as_ref()),
            ("namespace", vantage.namespace.as_ref()),
            ("node", vantage.node.as_ref()),
        ];
        let facts: Vec<_> = labels.chain(own.into_iter().filter_map(|(label, value)| Some((label, value?)))).collect();
        html! {
            @if !facts.is_empty() {
                ul class="facts" aria-label="Vantage" {
                    @for (label, value) in facts { li { (label) " " b { (value) } } }
                }
            }
        }
    }

    fn overview(&self, counts: &[(Option<Status>, usize)]) -> Markup {
        let total = self.targets.len();
        let only = self.only.as_deref();
        let switch = href(only, !self.refreshes);
        html! {
            @if total > 0 {
                ul class="counts" aria-label="Verdicts" {
                    @for (status, count) in counts {
                        @let (class, symbol, word) = appearance(*status);
                        li class=(class) { span aria-hidden="true" { (symbol) } " " b { (count) } " " (word) }
                    }
                    li class="all" { "of " (total) " target" @if total != 1 { "s" } }
                }
            }
            @if let Some((at, error)) = &self.state.reload_error {
                p class="notice fail" {
                    b { "✗ The configuration was not reloaded" } " at " (moment(*at)) (ago(*at, self.now))
                    "; the old one stays in force: " (error)
                }
            }
            p class="note" {
                "As of " (moment(self.now)) "; "
                @if self.refreshes {
                    "refreshed every " (REFRESH_SECONDS) " s, " a href=(switch) { "stop" }
                } @else {
                    b { "not refreshed" } ", " a href=(switch) { "refresh every " (REFRESH_SECONDS) " s" }
                }
                @if only.is_some() { "; " a href=(href(None, self.refreshes)) { "all targets" } }
            }
        }
    }

    fn main(&self) -> Markup {
        if let Some(only) = &self.only {
            let one = self.targets.iter().find(|(name, _)| name == only);
            return html! { @if let Some((name, history)) = one { (self.in_full(0, name, history)) } };
        }
        let few = self.targets.len() <= ALWAYS_IN_FULL;
        let is_in_full = |history: &TargetHistory| few || !matches!(status(history), None | Some(Status::Pass));
        let count = self.targets.iter().take(MAX_IN_FULL).take_while(|(_, history)| is_in_full(history)).count();
        let (in_full, rows) = self.targets.split_at(count);
        html! {
            @if self.targets.is_empty() { p { "No target is configured." } }
            @for (at, (name, history)) in in_full.iter().enumerate() { (self.in_full(at, name, history)) }
            @if !rows.is_empty() { (self.rows(count > 0, rows)) }
        }
    }

    fn rows(&self, is_rest: bool, rows: &[(String, TargetHistory)]) -> Markup {
        html! {
            section class="card" {
                h2 { (rows.len()) @if is_rest { " more" } " targets" }
                div class="wide" {
                    table class="rows" {
                        caption { "Each name links to its details." }
                        thead {
                            tr { th scope="col" { "target" } th scope="col" { "verdict" } th scope="col" { "address in use" } }
                        }
                        tbody { @for (name, history) in rows { (self.row(name, history)) } }
                    }
                }
            }
        }
    }

    fn row(&self, name: &str, history: &TargetHistory) -> Markup {
        let (class, symbol, word) = appearance(status(history));
        let since = history.since.and_then(|since| since.until(self.now));
        html! {
            tr {
                th scope="row" { a href=(href(Some(name), self.refreshes)) { (name) } }
                td {
                    b class=(class) { (symbol) " " (word) }
                    @if let Some(record) = &history.latest {
                        @if record.verdict.status != Status::Pass { " " (record.verdict.cause) }
                        @if let Some(since) = since { " " span class="note" { "for " (age(since)) } }
                        @if self.is_overdue(name, record.started_at) { " " b class="warn" { "! overdue" } }
                    }
                }
                td {
                    @if let Some(record) = &history.latest {
                        @match &record.observation.connection {
                            Some(connection) => { code { (connection.address.ip()) } " " (connection.class) },
                            None => "none",
                        }
                    }
                }
            }
        }
    }

    /// Whether the last probe is older than two intervals and a probe's own time.
    fn is_overdue(&self, name: &str, last: Timestamp) -> bool {
        const STALE_AFTER: Duration = Duration::from_secs(30);
        let interval = self.state.intervals.get(name);
        interval.is_some_and(|interval| last.until(self.now).is_some_and(|age| age > *interval * 2 + STALE_AFTER))
    }

    fn agent(&self) -> Markup {
        let state = self.state;
        let up = state.started.until(self.now).map(age).unwrap_or_default();
        html! {
            p {
                "redpath " (Tool::this().version) ", up " (up) " since " (moment(state.started)) "; configuration "
                @if state.reload_error.is_some() { "✗ last reload failed, in force since " } @else { "loaded " }
                (moment(state.loaded))
            }
        }
    }
}
