//! What stands where on the screen: first made for 80 columns and 24 rows.

use std::time::Duration;

use super::SMALLEST;
use super::page::{Page, Paint, width};
use super::parts::{Shown, events, ttl};
use super::table::table;
use crate::clock::Seconds;
use crate::diagnosis::Status;
use crate::observation::PhaseName;
use crate::output::describe;
use crate::watch::event::AnswerKind;
use crate::watch::readiness::{Decision, Readiness};
use crate::watch::state::{State, TargetState};

/// From this width on, a lane has the class of its addresses and a TTL.
const WIDE: u16 = 70;

const KEYS: &str = "q quit  space freeze  c clear  tab next target  r probe now  m mark  ? help";

const HELP: &[&str] = &[
    "q      quit, with the summary",
    "Q      quit, and keep the last screen in the terminal",
    "space  freeze the screen; probing goes on",
    "c      clear letters and events; the summary keeps all",
    "tab    next target",
    "r      probe now",
    "m      mark: type a word, then Enter",
    "?      this page; any key leaves it",
    "",
    "Letters, one for each probe, the last at the right:",
    "p private   P public   o another kind of address",
    "x failed    ? no answer    . not asked",
    "TTL: seconds for which a cache may keep the answer;",
    "fresh: the server answers without a cache.",
];

/// Draws all of it.
pub(super) fn screen(page: &mut Page<'_>, shown: &Shown<'_>) {
    let names: Vec<&String> = shown.state.targets.keys().collect();
    let selected = shown.screen.selected.min(names.len().saturating_sub(1));
    let target = names.get(selected).and_then(|name| Some((name.as_str(), shown.state.targets.get(*name)?)));
    if page.columns() < SMALLEST.0 || page.rows() < SMALLEST.1 {
        let text = target.map_or_else(|| "no probe has finished".to_owned(), |(name, target)| one_line(name, target));
        return page.line(&text, Paint::Strong);
    }
    let clock = if shown.is_frozen { "FROZEN " } else { "" };
    let clock = format!("{clock}{} {}Z", shown.now.date(), shown.now.time_of_day());
    let end = page.put_right(&clock, Paint::Strong);
    let is_table = !shown.state.agents.is_empty();
    let name = match (target, names.len()) {
        _ if is_table => format!("{} agents, {} rows", shown.state.agents.len(), names.len()),
        (None, _) => "no probe has finished yet".to_owned(),
        (Some((name, _)), 0 | 1) => name.to_owned(),
        (Some((name, _)), all) => format!("{name}  {} of {all}", selected + 1),
    };
    page.put(0, end.saturating_sub(1), &name, Paint::Strong);
    page.next();
    if shown.screen.is_help {
        HELP.iter().for_each(|line| page.line(line, Paint::Plain));
    } else if is_table {
        table(page, shown);
    } else if let Some((name, target)) = target {
        body(page, shown, name, target);
    }
    page.row = page.rows().saturating_sub(1);
    match &shown.screen.mark {
        Some(word) => page.line(&format!("mark: {word}_   Enter sets it, Escape leaves it"), Paint::Strong),
        None => match &shown.screen.notice {
            Some(notice) => page.line(notice, Paint::Bad),
            None => page.line(KEYS, Paint::Dim),
        },
    }
}

/// The whole view of a terminal that is too small.
fn one_line(name: &str, target: &TargetState) -> String {
    let record = &target.latest;
    format!("{} {} {name}", describe::status(record.verdict.status), describe::destination(record))
}

fn body(page: &mut Page<'_>, shown: &Shown<'_>, name: &str, target: &TargetState) {
    verdict(page, shown, target);
    if shown.state.targets.len() > 1 {
        others(page, shown.state, name);
    }
    readiness(page, target);
    let left = |page: &Page<'_>| page.rows().saturating_sub(1).saturating_sub(page.row);
    // Three rows are for the events.
    let rows = left(page).saturating_sub(3).max(2);
    lanes(page, shown, target, rows);
    if left(page) >= 5 {
        expected(page, target);
    }
    if left(page) >= 8 {
        phases(page, target);
    }
    if left(page) >= 4 {
        applications(page, target);
    }
    if left(page) >= 4
        && let Some(line) = describe::held_connection(&target.latest)
    {
        let paint = if describe::is_held_connection_noteworthy(&target.latest) { Paint::Strong } else { Paint::Plain };
        page.line(&format!("held connection: {line}"), paint);
    }
    events(page, shown.state, left(page));
}

fn verdict(page: &mut Page<'_>, shown: &Shown<'_>, target: &TargetState) {
    let record = &target.latest;
    let paint = match record.verdict.status {
        Status::Pass => Paint::Good,
        Status::Warn | Status::Unknown => Paint::Strong,
        Status::Fail => Paint::Bad,
    };
    let status = describe::status(record.verdict.status);
    page.put(0, u16::MAX, status, paint);
    let x = width(status) + 2;
    let since = match target.since.until(shown.now) {
        Some(time) => format!("for {}", short(time)),
        None => format!("since {}", target.since.time_of_day()),
    };
    let text = format!("{}  {} {since}", describe::destination(record), record.verdict.cause);
    page.put(x, u16::MAX, &text, Paint::Plain);
    page.next();
}

/// The other targets in one row: `also: FAIL carts, PASS sessions`.
fn others(page: &mut Page<'_>, state: &State, name: &str) {
    let others = state.targets.iter().filter(|(other, _)| *other != name);
    let mut others: Vec<(Status, &String)> =
        others.map(|(other, target)| (target.latest.verdict.status, other)).collect();
    others.sort_by(|(a, _), (b, _)| b.cmp(a));
    let others: Vec<String> =
        others.into_iter().map(|(status, name)| format!("{} {name}", describe::status(status))).collect();
    page.line(&format!("also: {}", others.join(", ")), Paint::Plain);
}

fn readiness(page: &mut Page<'_>, target: &TargetState) {
    let readiness = Readiness::of(target);
    let paint = match readiness.decision {
        Decision::Go => Paint::Good,
        Decision::Unknown => Paint::Strong,
        Decision::NoGo => Paint::Bad,
    };
    let most = if page.rows() >= 20 { 3 } else { 1 };
    let mut lines = page.wrap(&readiness.line());
    if lines.len() > most {
        // The rest stands behind the last row, which is cut.
        let rest = lines.split_off(most - 1).join(" ");
        lines.push(rest);
    }
    lines.iter().for_each(|line| page.line(line, paint));
}

fn lanes(page: &mut Page<'_>, shown: &Shown<'_>, target: &TargetState, rows: u16) {
    let rows = usize::from(rows);
    let room = rows.saturating_sub(1); // one is the connection's
    let all = target.lanes.len();
    let fitting = if all > room { room.saturating_sub(1) } else { all };
    let columns = Columns::new(page.columns(), target);
    for lane in target.lanes.iter().take(fitting) {
        let left = ttl(lane, shown.now);
        columns.row(page, &lane.view, (&lane.answer.text, lane.answer.kind), &left);
        page.letters(columns.letters, lane.letters.last(columns.room(page)));
        page.next();
    }
    if all > fitting {
        page.line(&format!("and {} more views", all - fitting), Paint::Dim);
    }
    let kind = target.connections.last(1).next().unwrap_or(AnswerKind::NotReached);
    columns.row(page, "connection", (&describe::destination(&target.latest), kind), "");
    page.letters(columns.letters, target.connections.last(columns.room(page)));
    page.next();
}

/// Where the columns of the lanes begin.
struct Columns {
    name: u16,
    answer: u16,
    ttl: u16,
    letters: u16,
}

impl Columns {
    fn new(columns: u16, target: &TargetState) -> Self {
        let longest = |widths: &mut dyn Iterator<Item = u16>, least: u16, most: u16| {
            widths.max().unwrap_or(least).clamp(least, most)
        };
        let (most_name, most_answer) = match columns {
            0..WIDE => (12, 15),
            WIDE..120 => (22, 26),
            _ => (40, 44),
        };
        let name = longest(&mut target.lanes.iter().map(|lane| width(&lane.view)), 10, most_name);
        let answers = target.lanes.iter().map(|lane| width(&lane.answer.text));
        let connection = width(&describe::destination(&target.latest));
        let answer = longest(&mut answers.chain([connection]), 10, most_answer);
        let ttl = if columns < WIDE { 0 } else { 6 };
        let letters = name + 1 + answer + 1 + ttl + u16::from(ttl > 0);
        Self { name, answer, ttl, letters }
    }

    fn row(&self, page: &mut Page<'_>, name: &str, (answer, kind): (&str, AnswerKind), ttl: &str) {
        page.put(0, self.name, name, Paint::Plain);
        page.put(self.name + 1, self.answer, answer, super::page::of_kind(kind));
        page.put(self.name + 1 + self.answer + 1, self.ttl, ttl, Paint::Plain);
    }

    fn room(&self, page: &Page<'_>) -> usize {
        page.columns().saturating_sub(self.letters).into()
    }
}

fn expected(page: &mut Page<'_>, target: &TargetState) {
    let outages = target.outages();
    let text = format!(
        "expected {}; {} probes, {} {}, {} without service",
        target.latest.expectation.path_and_endpoints(),
        target.probes,
        target.flips,
        if target.flips == 1 { "flip" } else { "flips" },
        short(outages.total)
    );
    page.line(&text, Paint::Plain);
}

/// A column for each phase, a row for each kind of time.
fn phases(page: &mut Page<'_>, target: &TargetState) {
    const LABEL: u16 = 8;
    let mut names: Vec<PhaseName> = target.phases.keys().copied().collect();
    names.retain(|phase| target.phases.get(phase).is_some_and(|times| times.worst.is_some()));
    let wide = u16::try_from(names.len()).unwrap_or(u16::MAX).saturating_mul(12);
    let column: u16 = if LABEL.saturating_add(wide) <= page.columns() { 12 } else { 10 };
    let room = usize::from(page.columns().saturating_sub(LABEL) / column);
    // Where not all fit, the connection's are worth most.
    let first = names.len().saturating_sub(room).min(1);
    let names: Vec<PhaseName> = names.into_iter().skip(first).take(room).collect();
    let mut row = |label: &str, text: &dyn Fn(PhaseName) -> String| {
        page.put(0, LABEL, label, Paint::Plain);
        for (x, phase) in (LABEL..).step_by(column.into()).zip(&names) {
            page.put(x, column - 1, &text(*phase), Paint::Plain);
        }
        page.next();
    };
    let time = |time: Option<Seconds>| time.map_or_else(|| "-".to_owned(), |time| time.to_string());
    let times = |phase| target.phases.get(&phase);
    row("", &|phase| phase.to_string());
    row("now", &|phase| time(times(phase).and_then(|times| times.now)));
    row("median", &|phase| time(times(phase).and_then(|times| times.median())));
    row("worst", &|phase| time(times(phase).and_then(|times| times.worst.map(|(worst, _)| worst))));
}

fn applications(page: &mut Page<'_>, target: &TargetState) {
    let (text, paint) = match target.application() {
        None => ("no connection of an application is listed here".to_owned(), Paint::Plain),
        Some(counts) if counts.left() > 0 => (format!("connections of applications: {counts}"), Paint::Bad),
        Some(counts) => (format!("connections of applications: {counts}"), Paint::Plain),
    };
    page.line(&text, paint);
}

/// `43 s`, `2 min 3 s`, `3 h 4 min`.
fn short(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}
