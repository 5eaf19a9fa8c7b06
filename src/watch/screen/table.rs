//! The table of many agents: a row for each vantage and target, silent ones among them.

use std::time::Duration;

use super::page::{Page, Paint, of_kind};
use super::parts::{Shown, events, letter_of, ttl};
use crate::diagnosis::Status;
use crate::observation::Usability;
use crate::observation::dns::ViewKind;
use crate::output::describe;
use crate::watch::agents::vantage;
use crate::watch::lane::Lane;
use crate::watch::readiness::{Decision, Readiness};
use crate::watch::state::{State, TargetState};

/// A row of the table.
enum Row<'a> {
    /// A vantage and a target; `is_current` where its agent answered with it last.
    Target { target: &'a TargetState, is_current: bool },
    /// An expected vantage that no agent has a record of.
    Missing { name: String },
    /// An agent that has no row.
    Agent { name: &'a str, reason: String },
}

/// The table with what holds the next step back above and the last events below.
pub(super) fn table(page: &mut Page<'_>, shown: &Shown<'_>) {
    let rows = rows(shown.state);
    decision(page, shown.state, &rows);
    let widths = Widths::new(page.columns());
    let header = ["vantage", "target", "now", "works", "dns", "azure", "TTL", "left", "since"];
    widths.row(page, &header.map(|text| (text.to_owned(), Paint::Dim)));
    let room = usize::from(page.rows().saturating_sub(page.row).saturating_sub(5));
    let fitting = if rows.len() > room { room.saturating_sub(1) } else { rows.len() };
    let first = shown.selected.min(rows.len().saturating_sub(fitting));
    for row in rows.iter().skip(first).take(fitting) {
        match row {
            Row::Missing { name } => {
                page.put(0, u16::MAX, &format!("{name}  MISSING  no agent has a record of it"), Paint::Bad);
                page.next();
            }
            Row::Agent { name, reason } => {
                page.put(0, u16::MAX, &format!("{name}  SILENT  {reason}"), Paint::Bad);
                page.next();
            }
            Row::Target { target, is_current } => widths.row(page, &cells(shown, target, *is_current)),
        }
    }
    if rows.len() > fitting {
        page.line(&format!("and {} more rows; tab scrolls", rows.len() - fitting), Paint::Dim);
    }
    let unexpected = shown.state.unexpected();
    if !unexpected.is_empty() {
        let names: Vec<String> = unexpected.into_iter().collect();
        page.line(&format!("not on the list: {}", names.join(", ")), Paint::Strong);
    }
    let left = page.rows().saturating_sub(1).saturating_sub(page.row);
    events(page, shown.state, left);
}

/// The worst first, so that what holds the next step back is in sight.
fn rows(state: &State) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = state.missing().into_iter().map(|name| Row::Missing { name }).collect();
    for (name, agent) in &state.agents {
        let is_current = |row: &String| agent.silent.is_none() && agent.rows.contains(row);
        let of_agent = agent.rows.iter().chain(&agent.gone);
        let targets = of_agent.filter_map(|row| Some((is_current(row), state.targets.get(row)?)));
        rows.extend(targets.map(|(is_current, target)| Row::Target { target, is_current }));
        if agent.rows.is_empty() && agent.gone.is_empty() {
            let reason = match &agent.silent {
                Some((at, reason)) => format!("since {}: {reason}", at.time_of_day()),
                None if agent.is_asked => "it has no record yet".to_owned(),
                None => "it has not answered yet".to_owned(),
            };
            rows.push(Row::Agent { name, reason });
        }
    }
    rows.sort_by_key(|row| match row {
        Row::Agent { .. } => (0, String::new()),
        Row::Missing { name } => (1, name.clone()),
        Row::Target { is_current: false, target } => (1, vantage(&target.latest.vantage)),
        Row::Target { target, .. } => {
            (2 + u8::from(Readiness::of(target).decision == Decision::Go), vantage(&target.latest.vantage))
        }
    });
    rows
}

fn decision(page: &mut Page<'_>, state: &State, rows: &[Row<'_>]) {
    let count = |wanted: Decision| {
        let decision = |row: &&Row<'_>| match row {
            Row::Target { target, is_current: true } => Readiness::of(target).decision == wanted,
            Row::Target { .. } | Row::Agent { .. } | Row::Missing { .. } => wanted == Decision::Unknown,
        };
        rows.iter().filter(decision).count()
    };
    let refused = if state.is_unexpected_a_failure() { state.unexpected().len() } else { 0 };
    let (go, unknown, no_go) = (count(Decision::Go), count(Decision::Unknown), count(Decision::NoGo) + refused);
    let (word, paint) = match (no_go, unknown) {
        (0, 0) if go > 0 => (Decision::Go, Paint::Good),
        (0, _) => (Decision::Unknown, Paint::Strong),
        _ => (Decision::NoGo, Paint::Bad),
    };
    let earliest = state.targets.values().filter_map(|target| Readiness::of(target).earliest).max();
    let earliest =
        earliest.map_or_else(String::new, |at| format!("; wrong answers may be gone from {}", at.time_of_day()));
    page.line(&format!("{}: {go} ready, {no_go} not ready, {unknown} unknown{earliest}", word.as_str()), paint);
}

fn cells(shown: &Shown<'_>, target: &TargetState, is_current: bool) -> [(String, Paint); 9] {
    let record = &target.latest;
    let status = if is_current { describe::status(record.verdict.status) } else { "SILENT" };
    let paint = match record.verdict.status {
        _ if !is_current => Paint::Bad,
        Status::Pass => Paint::Good,
        Status::Warn | Status::Unknown => Paint::Strong,
        Status::Fail => Paint::Bad,
    };
    let connection = record.observation.connection.as_ref();
    let address = connection.map_or_else(|| "no address".to_owned(), |connection| connection.address.ip().to_string());
    let works = match record.usable.value {
        _ if !is_current => ("?", Paint::Strong),
        Usability::Yes => ("yes", Paint::Plain),
        Usability::No => ("no", Paint::Bad),
        Usability::Unknown => ("?", Paint::Strong),
    };
    let lane = |selects: &dyn Fn(&&Lane) -> bool| target.lanes.iter().find(selects);
    let of_lane = |lane: Option<&Lane>| {
        lane.map_or_else(|| ("-".to_owned(), Paint::Dim), |lane| (letter_of(lane), of_kind(lane.answer.kind)))
    };
    let system = lane(&|lane| lane.kind == ViewKind::System).or_else(|| lane(&|lane| lane.kind == ViewKind::Libc));
    let azure = lane(&|lane| lane.is_azure_dns);
    let left_of_ttl = system.map_or_else(String::new, |lane| ttl(lane, shown.now));
    let left = target.application().map_or_else(|| "-".to_owned(), |counts| counts.left().to_string());
    let is_left = target.application().is_some_and(|counts| counts.left() > 0);
    let since = target.since.until(shown.now).map_or_else(|| "?".to_owned(), compact);
    [
        (vantage(&record.vantage), Paint::Plain),
        (record.target.name.clone(), Paint::Plain),
        (format!("{status} {address}"), paint),
        (works.0.to_owned(), works.1),
        of_lane(system),
        of_lane(azure),
        (left_of_ttl, Paint::Plain),
        (left, if is_left { Paint::Bad } else { Paint::Plain }),
        (since, Paint::Plain),
    ]
}

/// `43s`, `12m`, `5h`, `3d`.
fn compact(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m", seconds / 60),
        seconds @ 3600..86_400 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// The widths of the columns.
struct Widths([u16; 9]);

impl Widths {
    fn new(columns: u16) -> Self {
        Self(match columns {
            0..60 => [14, 0, 24, 0, 0, 0, 0, 0, 0],
            60..100 => [15, 10, 20, 5, 3, 5, 5, 4, 5],
            _ => [28, 26, 24, 5, 3, 5, 5, 4, 5],
        })
    }

    fn row(&self, page: &mut Page<'_>, cells: &[(String, Paint); 9]) {
        let mut x = 0;
        for (width, (text, paint)) in self.0.iter().zip(cells) {
            page.put(x, *width, text, *paint);
            x += width + u16::from(*width > 0);
        }
        page.next();
    }
}
