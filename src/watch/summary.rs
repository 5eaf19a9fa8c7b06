//! The summary at the end of a live view: what a change record needs of it, for each target.

use std::fmt::Write;
use std::time::Duration;

use super::lane::Lane;
use super::readiness::Readiness;
use super::state::{Outages, State, TargetState};
use crate::clock::{Seconds, Timestamp};
use crate::diagnosis::{CommandKind, Severity, Status};
use crate::expectation::{Expectation, ExpectedPath};
use crate::observation::PhaseName;
use crate::output::describe;
use crate::output::text::{Style, wrap};

/// The width of the labels.
const LABEL: usize = 13;

/// The next step where the last record of an agent is not of the present.
const SILENT: &str = "UNKNOWN: its agent does not answer with it any more";

/// The summary of everything that was watched.
pub fn text(state: &State, style: &Style) -> String {
    let mut out = String::new();
    let begun = state.targets.values().map(|target| target.begun).min();
    let ended = state.targets.values().map(TargetState::ended).max();
    let (Some(begun), Some(ended)) = (begun, ended) else {
        paragraph(&mut out, "no probe has finished", style);
        agents(&mut out, state, style);
        list(&mut out, state, style);
        return out;
    };
    let probes: u64 = state.targets.values().map(|target| target.probes).sum();
    let (targets, length) = (state.targets.len(), begun.until(ended).unwrap_or_default());
    let watched = format!(
        "Watched {} and {} from {} to {} ({})",
        count(targets as u64, "target"),
        count(probes, "probe"),
        moment(begun),
        moment(ended),
        time(length)
    );
    paragraph(&mut out, &watched, style);
    for (name, target) in &state.targets {
        out.push('\n');
        let (verdict, is_current) = (&target.latest.verdict, state.is_current(name));
        let arrow = if style.unicode { "→" } else { "->" };
        let head = format!(
            "{} {name} {arrow} {}; {} since {}",
            if is_current { describe::status(verdict.status) } else { "SILENT" },
            describe::destination(&target.latest),
            verdict.cause,
            target.since.time_of_day()
        );
        paragraph(&mut out, &head, style);
        for (at, lane) in target.lanes.iter().enumerate() {
            let label = if at == 0 { "views" } else { "" };
            row(&mut out, label, &format!("{}: {}", lane.name, of_lane(target, lane)), style);
        }
        row(&mut out, "connection", &of_connection(target), style);
        row(&mut out, "service", &of_outages(target.outages()), style);
        row(&mut out, "worst", &worst(target), style);
        row(&mut out, "applications", &applications(target), style);
        if let Some(line) = describe::held_connection(&target.latest) {
            row(&mut out, "held", &line, style);
        }
        let next = if is_current { Readiness::of(target).line() } else { SILENT.to_owned() };
        row(&mut out, "next step", &next, style);
        let _ = writeln!(out, "  {:<LABEL$}{}", "next command", style.clean(&next_command(target)));
    }
    if !state.marks.is_empty() {
        out.push('\n');
    }
    for (at, mark) in state.marks.iter().enumerate() {
        let text = format!("{} {}", mark.at.time_of_day(), mark.text);
        row(&mut out, if at == 0 { "marks" } else { "" }, &text, style);
    }
    agents(&mut out, state, style);
    list(&mut out, state, style);
    if state.left_out > 0 {
        let _ = writeln!(out, "\n{} of further targets were left out", count(state.left_out, "record"));
    }
    out
}

/// Agents whose last answer does not count.
fn agents(out: &mut String, state: &State, style: &Style) {
    for (name, agent) in state.agents.iter().filter(|(_, agent)| !agent.is_complete()) {
        let why = match &agent.silent {
            Some((at, reason)) => format!("silent since {}: {reason}", at.time_of_day()),
            None if !agent.is_asked => "has not answered".to_owned(),
            None => format!("no longer has {}", agent.gone.iter().cloned().collect::<Vec<_>>().join(", ")),
        };
        out.push('\n');
        paragraph(out, &format!("agent {name} {why}"), style);
    }
}

/// The list of expected vantages: what is missing, and what is not on it.
fn list(out: &mut String, state: &State, style: &Style) {
    for missing in state.missing() {
        out.push('\n');
        paragraph(out, &format!("expected vantage {missing} is missing: no agent has a record of it"), style);
    }
    for name in state.unexpected() {
        out.push('\n');
        paragraph(out, &format!("vantage {name} is not on the list of expected ones"), style);
    }
}

fn paragraph(out: &mut String, text: &str, style: &Style) {
    for line in wrap(text, style.width, style) {
        let _ = writeln!(out, "{line}");
    }
}

fn row(out: &mut String, label: &str, text: &str, style: &Style) {
    for (at, line) in wrap(text, style.width.saturating_sub(2 + LABEL), style).into_iter().enumerate() {
        let _ = writeln!(out, "  {:<LABEL$}{line}", if at == 0 { label } else { "" });
    }
}

fn expected(expectation: &Expectation) -> &'static str {
    match (expectation.endpoints.is_empty(), expectation.path) {
        (true, ExpectedPath::Private) => "private",
        (true, ExpectedPath::Public) => "public",
        (true, ExpectedPath::Any) | (false, _) => "as expected",
    }
}

fn of_lane(target: &TargetState, lane: &Lane) -> String {
    let expected = expected(&target.latest.expectation);
    if lane.is_public_resolver() {
        return format!("{}; a public resolver, not compared", lane.answer.text);
    }
    let flips = match lane.flips {
        0 => String::new(),
        flips => format!(", {}", count(flips.into(), "flip")),
    };
    let now = if !lane.is_asked {
        "; no longer asked".to_owned()
    } else if lane.is_right() {
        String::new()
    } else {
        format!("; now {}", lane.answer.text)
    };
    match lane.first_expected {
        None => format!("never {expected}: {}", lane.answer.text),
        Some(at) if at == lane.begun => format!("{expected} from the start{flips}{now}"),
        Some(at) => format!("{expected} first at {}{flips}{now}", at.time_of_day()),
    }
}

fn of_connection(target: &TargetState) -> String {
    let expected = expected(&target.latest.expectation);
    let flips = count(target.flips.into(), "flip");
    match target.first_expected {
        None => format!("never {expected}, {flips}"),
        Some(at) if at == target.begun => format!("{expected} from the start, {flips}"),
        Some(at) => format!("{expected} first at {}, {flips}", at.time_of_day()),
    }
}

fn of_outages(outages: Outages) -> String {
    let mut text = match outages.count {
        0 => "no outage seen".to_owned(),
        1 => format!("without service for {} in 1 outage", time(outages.total)),
        several => {
            format!(
                "without service for {} in {several} outages, {} the longest",
                time(outages.total),
                time(outages.longest)
            )
        }
    };
    if !outages.unknown.is_zero() {
        let _ = write!(text, "; unknown for {}", time(outages.unknown));
    }
    text
}

fn worst(target: &TargetState) -> String {
    let phases = [PhaseName::Connect, PhaseName::Tls, PhaseName::Auth, PhaseName::Ping];
    let of_phase = |phase: PhaseName| {
        let (worst, at) = target.phases.get(&phase)?.worst?;
        Some(format!("{phase} {worst} at {}", at.time_of_day()))
    };
    let worst: Vec<String> = phases.into_iter().filter_map(of_phase).collect();
    if worst.is_empty() { "no phase of a connection was done".to_owned() } else { worst.join(", ") }
}

fn applications(target: &TargetState) -> String {
    match target.application() {
        None => "no connection listed here".to_owned(),
        Some(counts) => format!("{} left on the old path ({counts})", count(counts.left().into(), "connection")),
    }
}

/// What to do next: the first command of the finding that decides, or what the state asks for.
fn next_command(target: &TargetState) -> String {
    let record = &target.latest;
    let own = record.observation.arguments(&record.target);
    if target.application().is_some_and(|counts| counts.left() > 0) && record.verdict.status != Status::Unknown {
        return own
            .command("connections", Some(&["--expect", "--endpoint", "--private-range", "--resolver", "--views"]));
    }
    if record.verdict.status != Status::Pass {
        let decides = record.findings.iter().find(|finding| finding.severity != Severity::Info);
        let looks = decides.and_then(|finding| {
            finding.commands.iter().find(|command| command.kind == CommandKind::Look).or(finding.commands.first())
        });
        return match (looks, decides) {
            (Some(command), _) => command.to_string(),
            (None, Some(finding)) => format!("redpath explain {}", finding.code),
            (None, None) => format!("{} --verbose", own.command("check", None)),
        };
    }
    match (target.public_address, record.expectation.path) {
        (Some(ip), ExpectedPath::Private) if !record.expectation.allows(ip) => {
            own.with("--public-access", "closed").with("--public-address", &ip.to_string()).command("check", None)
        }
        _ => format!("{} --verbose", own.command("check", None)),
    }
}

fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

fn time(duration: Duration) -> String {
    Seconds(duration).to_string()
}

fn moment(at: Timestamp) -> String {
    format!("{}T{}Z", at.date(), at.time_of_day())
}
