//! One target in full: its verdict, what to do, and all that was observed.

use std::time::Duration;

use maud::{Markup, html};

use super::{StatusPage, age, ago, appearance, href, moment, path};
use crate::clock::{Seconds, Timestamp};
use crate::diagnosis::{Cause, CommandKind, Finding, Severity};
use crate::history::{Change, PathChange, TargetHistory};
use crate::output::compared::{self, duration, interval, time};
use crate::output::describe::{self, PhaseState};
use crate::record::Record;
use crate::record::standing::PathKind;

/// The maximum number of changes on the page of all targets; the page of one target shows all.
const MAX_CHANGES: usize = 5;

/// What the last change of the path changed: durations, failures and the time without service.
fn path_change(change: &PathChange) -> Markup {
    let compared = &change.compared;
    let (before, after) = (compared.before, compared.after);
    let name = |path: PathKind| path.to_string().replace('_', " ");
    html! {
        section class="wide" {
            h3 { "Before and after the path changed from " (name(change.from)) " to " (name(change.to)) ", " (moment(change.at)) }
            table {
                caption { "Medians with their 95 % intervals, by the last 120 probes of each side." }
                thead { tr { @for title in ["of", "before", "after", "p95", "longest", "difference"] { th scope="col" { (title) } } } }
                tbody {
                    @for (name, compared) in compared::phases(compared) {
                        tr {
                            th scope="row" { (name) }
                            td { (interval(compared.before.median)) }
                            td { (interval(compared.after.median)) }
                            td { (time(compared.before.p95)) ", " (time(compared.after.p95)) }
                            td { (time(compared.before.worst)) ", " (time(compared.after.worst)) }
                            td { (compared::sentence(compared, compared::MEASURED)) }
                        }
                    }
                }
            }
            p class="note" {
                "Probes " (before.probes) ", " (after.probes)
                "; failures " (before.failures) ", " (after.failures)
                "; without service " (duration(before.seconds_without_service)) ", " (duration(after.seconds_without_service))
            }
        }
    }
}

impl StatusPage<'_> {
    /// The target; `at` makes the ids of the headings unique.
    pub(super) fn in_full(&self, at: usize, name: &str, history: &TargetHistory) -> Markup {
        let (class, symbol, word) = appearance(super::status(history));
        let id = format!("t{at}");
        html! {
            article class={ "card " (class) } aria-labelledby=(id) {
                h2 id=(id) { span class="verdict" { (symbol) " " (word) } " " (name) }
                @match &history.latest {
                    None => (self.unprobed(name)),
                    Some(record) => (self.probed(name, history, record)),
                }
            }
        }
    }

    fn unprobed(&self, name: &str) -> Markup {
        html! {
            p {
                "It has not been probed yet"
                @if let Some(interval) = self.state.intervals.get(name) {
                    "; the first probe starts within a second of the start, then every " (age(*interval))
                }
                "."
            }
        }
    }

    fn probed(&self, name: &str, history: &TargetHistory, record: &Record) -> Markup {
        let target = &record.target;
        html! {
            p class="cause" {
                @match record.verdict.cause {
                    Cause::Code(code) => (code_link(code.as_str())),
                    Cause::Healthy | Cause::Unknown => code { (record.verdict.cause) },
                }
                @if let Some(usability) = describe::usability(record) { ", " (usability) }
                @if let Some(since) = history.since { " since " (moment(since)) (ago(since, self.now)) }
            }
            p class="note" {
                code { (target.host) ":" (target.port) } ", " (target.service.title()) ", "
                @if target.tls { "TLS" } @else { "without TLS" }
                "; probed " (moment(record.started_at)) " in " (record.took_seconds)
                (self.timing(name, record.started_at))
                @if self.only.is_none() { "; " a href=(href(Some(name), self.refreshes)) { "this target alone" } }
            }
            @if let Some(line) = describe::local_limit(record) { p class="notice" { (line) } }
            @if let Some(line) = describe::precheck(record) { p class="notice" { (line) } }
            @for finding in &record.findings { (self::finding(finding)) }
            div class="grid" {
                (path::chain(record))
                (path::views(record))
                (phases(record))
                @for section in describe::sections(record) {
                    section { h3 { (section.heading) } ul { @for line in section.lines { li { (line) } } } }
                }
                (steps_left(record))
                (self.changes(history))
            }
            @if let Some(change) = history.path_change() { (path_change(&change)) }
        }
    }

    /// When the target was probed and is due again.
    fn timing(&self, name: &str, last: Timestamp) -> Markup {
        html! {
            (ago(last, self.now))
            @if let Some(interval) = self.state.intervals.get(name) {
                ", every " (age(*interval))
                @if self.is_overdue(name, last) {
                    ", " b class="warn" { "! overdue" }
                } @else if let Some(left) = last.after(*interval).and_then(|next| self.now.until(next)) {
                    ", next in " (age(left))
                }
            }
        }
    }

    fn changes(&self, history: &TargetHistory) -> Markup {
        let shown = if self.only.is_some() { history.changes.len() } else { MAX_CHANGES };
        html! {
            @if !history.changes.is_empty() {
                section {
                    h3 { "Last changes" }
                    ol class="changes" {
                        @for Change { at, to, summary, .. } in history.changes.iter().take(shown) {
                            @let (class, symbol, _) = appearance(Some(to.status));
                            li class=(class) {
                                span class="note" { (moment(*at)) (ago(*at, self.now)) } " "
                                b aria-hidden="true" { (symbol) } " " (summary.replace("->", "→"))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn code_link(code: &str) -> Markup {
    html! { a href={ "/codes/" (code) } { code { (code) } } }
}

fn finding(finding: &Finding) -> Markup {
    let (class, symbol, word) = match finding.severity {
        Severity::Error => ("fail", "✗", "error"),
        Severity::Warning => ("warn", "!", "warning"),
        Severity::Info => ("unknown", "i", "note"),
    };
    html! {
        section class={ "finding " (class) } {
            h3 { span class="mark" { (symbol) " " (word) } " " (code_link(finding.code.as_str())) }
            p { (finding.summary) }
            @if !finding.hint.is_empty() { p { b { "What to do:" } " " (finding.hint) } }
            @if !finding.commands.is_empty() {
                // One click selects a whole command.
                @for (kind, label) in [(CommandKind::Look, "Look (reads only)"), (CommandKind::Fix, "Fix (changes something)")] {
                    @let commands = finding.commands.iter().filter(|command| command.kind == kind);
                    @if commands.clone().next().is_some() {
                        p { b { (label) ":" } }
                        pre { @for command in commands { code { (command) } } }
                    }
                }
            }
            @if !finding.detail.is_empty() { p class="note" { (finding.detail) } }
        }
    }
}

/// The phases on a time axis: each bar starts where the one before ended.
fn phases(record: &Record) -> Markup {
    let phases = &record.observation.phases;
    let shown = describe::shown_phases(phases);
    let took = |phase| describe::phase_state(phases, phase).took().map(|took| took.0).unwrap_or_default();
    let total: Duration = shown.iter().map(|phase| took(*phase)).sum();
    let mut start = Duration::ZERO;
    let rows = shown.into_iter().map(|phase| {
        let state = describe::phase_state(phases, phase);
        let (class, symbol, note) = match &state {
            PhaseState::Done(_) => ("done", "✓", describe::phase_note(phase, record.observation.connection.as_ref())),
            PhaseState::Failed(..) => ("fail", "✗", Some(state.outcome())),
            PhaseState::Skipped(_) | PhaseState::NotReached(_) => ("left", "–", Some(state.outcome())),
        };
        let bar = state.took().filter(|_| !total.is_zero()).map(|took| bar(start, took.0, total));
        start += took(phase);
        let cell = html! {
            @if let Some(bar) = bar { (bar) }
            @if let Some(note) = note {
                span class="note" { (note) }
            } @else if matches!(state, PhaseState::Done(_)) {
                span class="unseen" { "done" }
            }
        };
        html! {
            tr class=(class) {
                th scope="row" { (symbol) " " (phase) }
                @match state.took() {
                    Some(took) => { td class="number" { (took) } td { (cell) } },
                    None => td colspan="2" class="wordy" { (cell) },
                }
            }
        }
    });
    html! {
        section {
            h3 { "Phases" }
            table class="phases" {
                caption { "One after the other, on an axis of " (Seconds(total)) }
                thead {
                    tr {
                        th scope="col" { "phase" } th scope="col" class="number" { "time" }
                        th scope="col" { "when and how" }
                    }
                }
                tbody { @for row in rows { (row) } }
            }
        }
    }
}

fn bar(start: Duration, took: Duration, total: Duration) -> Markup {
    let percent = |time: Duration| 100.0 * time.as_secs_f64() / total.as_secs_f64();
    let (x, width) = (percent(start).min(99.4), percent(took).max(0.6));
    html! {
        svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true" {
            rect x=(format!("{x:.1}")) width=(format!("{width:.1}")) height="1" {}
        }
    }
}

/// What is left of a migration, with its commands.
fn steps_left(record: &Record) -> Markup {
    let steps = describe::steps_left(record);
    html! {
        @if !steps.is_empty() {
            section {
                h3 { "Left to do" }
                @for (step, commands) in steps {
                    p { (step) }
                    @if !commands.is_empty() { pre { @for command in commands { code { (command) } } } }
                }
            }
        }
    }
}
