//! Text for terminals of 60 to 100 columns.
//!
//! The meaning never depends on colour or box characters.

mod path;
mod style;

use super::describe::{self, Agreement, AnswerMark, PhaseState};
use crate::diagnosis::{Code, CommandKind, Finding, Severity, Status};
use crate::observation::{Connection, PhaseName, PhaseOutcome, TlsFacts};
use crate::record::{Record, Report};

pub(crate) use path::chain_lines;
pub use style::Style;
pub(crate) use style::{Paint, wrap};

/// The widest name of a view that the answers are lined up with.
const MAX_NAME_WIDTH: usize = 64;

/// The width of the labels, and what follows them.
const LABEL: usize = 8;
const MARGIN: usize = 2 + LABEL;

/// The most lines of a target, so that it fits a terminal, and the fewest of a reason that is cut for that.
const MAX_LINES: usize = 24;
const MIN_REASON_LINES: usize = 2;

/// The report. A healthy target is three lines unless everything is wanted; of the others, what is wrong and
/// what to do come before the evidence, and long reasons are cut.
pub fn render(report: &Report, style: &Style) -> String {
    Page { out: String::new(), style, reasons: Reasons::Fit }.render(report)
}

/// The same with every reason in full, for files.
pub fn render_whole(report: &Report, style: &Style) -> String {
    Page { out: String::new(), style, reasons: Reasons::Whole }.render(report)
}

/// How much of the reason of a finding is printed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reasons {
    /// All of it.
    Whole,
    /// As much as has room among the lines of a target.
    Fit,
    /// So many lines.
    Lines(usize),
}

impl Page<'_> {
    fn render(mut self, report: &Report) -> String {
        let mut shown: Vec<&Record> = Vec::new();
        for (at, record) in report.records.iter().enumerate() {
            if at > 0 {
                self.out.push('\n');
            }
            let begin = self.out.len();
            self.header(record);
            let same = shown.iter().find(|earlier| has_same_findings(earlier, record));
            match same {
                _ if self.style.verbose => self.in_full(record),
                _ if record.verdict.status == Status::Pass => self.in_brief(record),
                Some(earlier) => {
                    let target = self.style.clean(&describe::target(&earlier.target));
                    self.block("same", vec![format!("as {target} above")]);
                }
                None => {
                    self.fitted(record, begin);
                    shown.push(record);
                }
            }
        }
        if report.records.len() > 1 {
            self.closing(&report.records);
        }
        self.out
    }

    /// All of a target whose header begins there. The reasons are cut where it does not fit a terminal otherwise, and
    /// where it then does.
    fn fitted(&mut self, record: &Record, begin: usize) {
        let body = self.out.len();
        self.in_full(record);
        let lines = self.out[begin..].lines().count();
        if self.reasons != Reasons::Fit || lines <= MAX_LINES {
            return;
        }
        let reasons = record.findings.iter().filter(|finding| finding.severity != Severity::Info);
        let longest = reasons.map(|finding| wrap(&finding.detail, self.room(), self.style).len()).max().unwrap_or(0);
        let whole = self.out.split_off(body);
        self.reasons = Reasons::Lines(longest.saturating_sub(lines - MAX_LINES).max(MIN_REASON_LINES));
        self.in_full(record);
        self.reasons = Reasons::Fit;
        if self.out[begin..].lines().count() > MAX_LINES {
            self.out.truncate(body);
            self.out.push_str(&whole);
        }
    }
}

/// Whether both targets have the same errors and warnings, apart from their names.
fn has_same_findings(a: &Record, b: &Record) -> bool {
    let findings = |record: &Record| -> Vec<(Code, String)> {
        let host = record.target.host.as_str();
        let relevant = record.findings.iter().filter(|finding| finding.severity != Severity::Info);
        relevant.map(|finding| (finding.code, finding.summary.replace(host, ""))).collect()
    };
    !a.findings.is_empty() && a.verdict == b.verdict && findings(a) == findings(b)
}

struct Page<'a> {
    out: String,
    style: &'a Style,
    reasons: Reasons,
}

impl Page<'_> {
    fn header(&mut self, record: &Record) {
        let status = record.verdict.status;
        let paint = match status {
            Status::Pass => Paint::Good,
            Status::Warn | Status::Unknown => Paint::Warning,
            Status::Fail => Paint::Bad,
        };
        let word = format!("{:<4}", describe::status(status));
        let target = self.style.clean(&describe::target(&record.target));
        let arrow = if self.style.unicode { "→" } else { "->" };
        let destination = format!("{arrow} {}", self.style.clean(&describe::destination(record)));
        let cause = record.verdict.cause.as_str();
        let length = [&word, &target, &destination, cause].iter().map(|part| part.chars().count()).sum::<usize>() + 5;
        // One line, or two where the terminal is narrow.
        let separator = if length <= self.style.width { " ".to_owned() } else { format!("\n{:6}", "") };
        let address_paint = match record.observation.connection.as_ref() {
            Some(connection) if record.expectation.allows(connection.address.ip()) => Paint::Good,
            Some(_) => Paint::Bad,
            None => Paint::Warning,
        };
        self.out.push_str(&format!(
            "{}  {}{separator}{}  {}\n",
            self.style.paint(paint, &word),
            self.style.paint(Paint::Strong, &target),
            self.style.paint(address_paint, &destination),
            self.style.paint(paint, cause)
        ));
        self.block(
            "limit",
            describe::local_limit(record).iter().flat_map(|line| wrap(line, self.room(), self.style)).collect(),
        );
        self.block(
            "mode",
            describe::precheck(record).iter().flat_map(|line| wrap(line, self.room(), self.style)).collect(),
        );
    }

    fn in_brief(&mut self, record: &Record) {
        let resolution = &record.observation.resolution;
        let mut path = match (&record.observation.connection, resolution.in_use()) {
            (Some(connection), _) => vec![self.style.address(record, connection.address.ip())],
            (None, Some(view)) => vec![self.style.clean(&describe::view_answer(view))],
            (None, None) => Vec::new(),
        };
        if let Some(end) = describe::chain_view(resolution).and_then(|view| view.privatelink_name()) {
            path.push(format!("through {}", self.style.clean(end)));
        }
        let connection = record.observation.connection.as_ref();
        if connection.is_some_and(describe::is_seen_by_private_link) {
            path.push("the server sees a private link".to_owned());
        }
        self.block("path", vec![path.join(", ")]);
        self.lag(record);
        let phases: Vec<_> = describe::shown_phases(&record.observation.phases)
            .into_iter()
            .filter_map(|phase| {
                let took = describe::phase_state(&record.observation.phases, phase).took()?;
                Some(format!("{phase} {}", self.style.clean(&took.to_string())))
            })
            .collect();
        self.block("phases", vec![phases.join(", ")]);
        let pair = describe::migration(record);
        self.block("pair", pair.iter().flat_map(|line| wrap(line, self.room(), self.style)).collect());
        self.steps_left(record);
    }

    /// What is left of a migration, with its commands.
    fn steps_left(&mut self, record: &Record) {
        let mut left = Vec::new();
        for (step, commands) in describe::steps_left(record) {
            left.extend(wrap(&step, self.room(), self.style));
            // Never wrapped, so that they can be pasted.
            left.extend(commands.iter().map(|command| format!("   {}", self.style.clean(command))));
        }
        self.block("left", left);
    }

    /// Before a cutover, how long the old answer may stay.
    fn lag(&mut self, record: &Record) {
        let line = describe::kept_answer(record).unwrap_or_default();
        self.block("lag", if line.is_empty() { Vec::new() } else { wrap(&line, self.room(), self.style) });
    }

    fn in_full(&mut self, record: &Record) {
        let findings = record.findings.iter().filter(|finding| finding.severity != Severity::Info);
        for (at, finding) in findings.enumerate() {
            if at > 0 {
                self.out.push('\n');
            }
            self.finding(finding);
        }
        self.out.push('\n');
        self.block("path", chain_lines(record, self.style));
        self.block("views", self.views(record));
        if let Some(connection) = &record.observation.connection {
            self.block("to", self.connection(record, connection));
        }
        self.block("phases", self.phases(record));
        let connection = record.observation.connection.as_ref();
        let is_shown = |facts: &&TlsFacts| self.style.verbose || !facts.verified;
        if let Some(facts) = connection.and_then(|connection| connection.tls.as_ref()).filter(is_shown)
            && let Some(tls) = describe::tls(facts, record.started_at)
        {
            self.block("tls", wrap(&tls, self.room(), self.style));
        }
        for section in describe::sections(record) {
            let lines = section.lines.iter().flat_map(|line| wrap(line, self.room(), self.style));
            self.block(section.label, lines.collect());
        }
        self.steps_left(record);
        // That authentication is enforced is what every healthy probe finds.
        let is_shown = |finding: &&Finding| self.style.verbose || finding.code != Code::AuthEnforced;
        let notes = record.findings.iter().filter(|finding| finding.severity == Severity::Info).filter(is_shown);
        for finding in notes {
            let summary = wrap(&format!("{}: {}", finding.code, finding.summary), self.room(), self.style);
            self.block_painted("note", Paint::Dim, summary);
        }
    }

    fn views(&self, record: &Record) -> Vec<String> {
        let resolution = &record.observation.resolution;
        let names: Vec<_> = resolution.views.iter().map(|view| self.style.clean(&describe::view_name(view))).collect();
        // A saved record may have a name of any length, and a width beyond 65,535 ends the program.
        let name_width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).min(MAX_NAME_WIDTH);
        // The times and notes have columns of their own, and no place on a narrow terminal.
        let is_wide = self.style.width >= 80;
        let columns = if is_wide { 25 } else { 14 };
        let room = self.room().saturating_sub(name_width + columns).max(16);
        let answers: Vec<_> =
            resolution.views.iter().map(|view| wrap(&describe::view_answer(view), room, self.style)).collect();
        let answer_width = answers.iter().flatten().map(|line| line.chars().count()).max().unwrap_or(0).min(room);
        let mut lines = Vec::new();
        for ((view, name), answer) in resolution.views.iter().zip(names).zip(answers) {
            let (paint, mark, public) = match describe::answer_mark(record, view) {
                AnswerMark::Right => (Paint::Good, self.style.clean("✓"), ""),
                AnswerMark::Wrong => (Paint::Bad, self.style.clean("✗"), ""),
                AnswerMark::PublicResolver => (Paint::Dim, String::new(), "public resolver"),
                AnswerMark::NoAddress => (Paint::Warning, String::new(), ""),
            };
            let note = match describe::agreement(resolution, view) {
                Agreement::InUse if self.style.unicode => "◂ in use",
                Agreement::InUse => "<- in use",
                Agreement::Agrees | Agreement::Differs | Agreement::Unknown => public,
            };
            let took = view.took_seconds.filter(|_| is_wide).map(|took| self.style.clean(&took.to_string()));
            let took = took.unwrap_or_default();
            for (at, part) in answer.iter().enumerate() {
                let first = at == 0;
                let (name, mark) = if first { (name.as_str(), mark.as_str()) } else { ("", "") };
                let (took, note) = if first { (took.as_str(), note) } else { ("", "") };
                // Padded only where something follows: spaces at the end of a colour cannot be trimmed.
                let width = if took.is_empty() && note.is_empty() { 0 } else { answer_width };
                let part = self.style.paint(paint, &format!("{mark:<2} {part:<width$}"));
                let note = self.style.paint(Paint::Dim, note);
                let took = if is_wide { format!("  {took:>7}") } else { String::new() };
                lines.push(format!("{name:<name_width$}  {part}{took}  {note}").trim_end().to_owned());
            }
        }
        lines
    }

    fn connection(&self, record: &Record, connection: &Connection) -> Vec<String> {
        let mut lines = Vec::new();
        for attempt in &connection.earlier_attempts {
            let address = self.style.address(record, attempt.address.ip());
            let outcome = format!("{} after {}, so the next was tried", attempt.failure, attempt.took_seconds);
            lines.push(format!("{address}, {}", self.style.clean(&outcome)));
        }
        let mut line = self.style.address(record, connection.address.ip());
        if connection.address_given {
            line.push_str(", the address given");
        }
        if let Some(source) = connection.source {
            line.push_str(&format!(", from {source}"));
        }
        let expectation = &record.expectation;
        if !expectation.allows(connection.address.ip()) {
            let expected = [vec![expectation.path.to_string()], expectation.endpoint_texts()].concat().join(" ");
            let expected = self.style.paint(Paint::Bad, &format!("(expected: {expected})"));
            if self.style.width < 80 {
                lines.push(std::mem::replace(&mut line, expected));
            } else {
                line.push_str(&format!("  {expected}"));
            }
        }
        lines.push(line);
        for other in &record.observation.other_connections {
            let address = self.style.address(record, other.connection.address.ip());
            let phases = self.style.clean(&describe::phase_list(&other.phases));
            lines.push(format!("also {address}: {phases}"));
        }
        lines
    }

    /// The waterfall: each phase's bar begins where the one before ended.
    fn phases(&self, record: &Record) -> Vec<String> {
        const BAR: usize = 28;
        let phases = &record.observation.phases;
        let shown = describe::shown_phases(phases);
        if !self.style.verbose && !shown.iter().any(|phase| phases.get(*phase).outcome == PhaseOutcome::Failed) {
            return wrap(&describe::phase_row(record), self.room(), self.style);
        }
        let states: Vec<_> = shown.iter().map(|phase| (*phase, describe::phase_state(phases, *phase))).collect();
        let total: f64 = states.iter().filter_map(|(_, state)| state.took()).map(|took| took.as_f64()).sum();
        let column = |seconds: f64| -> usize {
            // Never beyond BAR, so the cast loses nothing; 0.0 / 0.0 becomes 0.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let column = (seconds / total * BAR as f64).round() as usize;
            column.min(BAR)
        };
        let shared = shared_reason(record, &shown);
        let reached = shared.as_ref().map_or(states.len(), |(first, _)| *first);
        let mut lines = Vec::new();
        let mut begun = 0.0;
        for (phase, state) in &states[..reached] {
            let name = format!("{:<8}", phase.as_str());
            let Some(took) = state.took() else {
                lines.push(format!("{name}  {}", self.style.paint(Paint::Dim, &state.outcome())));
                continue;
            };
            let from = column(begun).min(BAR - 1);
            begun += took.as_f64();
            let to = column(begun).max(from + 1);
            let cell = if self.style.unicode { "█" } else { "#" };
            let failed = matches!(state, PhaseState::Failed(..));
            let cells = if total > 0.0 { to - from } else { 0 };
            let bar = self.style.paint(if failed { Paint::Bad } else { Paint::Bar }, &cell.repeat(cells));
            let mut line = format!("{name}  {:>7}  {}{bar}", self.style.clean(&took.to_string()), " ".repeat(from));
            let note = if failed {
                Some(state.outcome())
            } else {
                describe::phase_note(*phase, record.observation.connection.as_ref())
            };
            let room = self.room().saturating_sub(8 + 2 + 7 + 2 + to + 2);
            match note.map(|note| self.style.clean(&note)) {
                Some(note) if note.chars().count() <= room => {
                    line.push_str(&format!("  {note}"));
                    lines.push(line);
                }
                Some(note) => {
                    lines.push(line);
                    let indent = 10;
                    let wrapped = wrap(&note, self.room() - indent, self.style);
                    lines.extend(wrapped.into_iter().map(|part| format!("{:indent$}{part}", "")));
                }
                None => lines.push(line),
            }
        }
        lines.extend(shared.map(|(_, words)| self.style.paint(Paint::Dim, &words)));
        lines
    }

    fn finding(&mut self, finding: &Finding) {
        let (label, paint) = match finding.severity {
            Severity::Error => ("error", Paint::Bad),
            Severity::Warning => ("warning", Paint::Warning),
            Severity::Info => ("note", Paint::Dim),
        };
        let summary = wrap(&format!("{}: {}", finding.code, finding.summary), self.room(), self.style);
        self.block_painted(label, paint, summary.iter().map(|line| self.style.paint(Paint::Strong, line)).collect());
        self.block("hint", wrap(&finding.hint, self.room(), self.style));
        for (label, kind) in [("look", CommandKind::Look), ("fix", CommandKind::Fix)] {
            let commands = finding.commands.iter().filter(|command| command.kind == kind);
            // Never wrapped, so that they can be pasted.
            self.block(label, commands.map(|command| self.style.clean(&command.command)).collect());
        }
        self.block("why", self.reason(finding));
    }

    fn reason(&self, finding: &Finding) -> Vec<String> {
        const MORE: &str = " … (all of it with -v)";
        let mut lines = wrap(&finding.detail, self.room(), self.style);
        let Reasons::Lines(limit) = self.reasons else { return lines };
        if lines.len() <= limit {
            return lines;
        }
        lines.truncate(limit);
        let more = self.style.clean(MORE);
        if let Some(last) = lines.last_mut() {
            while last.chars().count() + more.chars().count() > self.room()
                && let Some((rest, _)) = last.rsplit_once(' ')
            {
                *last = rest.to_owned();
            }
            last.push_str(&more);
        }
        lines
    }

    fn closing(&mut self, records: &[Record]) {
        const REPEATED_FROM: usize = 5;
        self.out.push_str(&format!("\n{}\n", self.style.paint(Paint::Strong, &describe::counts(records))));
        if records.len() < REPEATED_FROM {
            return;
        }
        // The first ones have left the screen by now.
        for record in records.iter().filter(|record| record.verdict.status != Status::Pass) {
            self.out.push_str("  ");
            self.header(record);
        }
    }

    /// What is left of the line beside a label.
    fn room(&self) -> usize {
        self.style.width.clamp(60, 200) - MARGIN
    }

    fn block(&mut self, label: &str, lines: Vec<String>) {
        self.block_painted(label, Paint::Dim, lines);
    }

    fn block_painted(&mut self, label: &str, paint: Paint, lines: Vec<String>) {
        for (at, line) in lines.iter().enumerate() {
            let label = self.style.paint(paint, &format!("{:<LABEL$}", if at == 0 { label } else { "" }));
            let line = format!("  {label}{line}");
            self.out.push_str(line.trim_end());
            self.out.push('\n');
        }
    }
}

/// Where the last phases share one reason for not being reached, the first of them and the line
/// that stands for them all.
fn shared_reason(record: &Record, shown: &[PhaseName]) -> Option<(usize, String)> {
    let phases = &record.observation.phases;
    let reached = |phase: &PhaseName| phases.get(*phase).outcome != PhaseOutcome::NotReached;
    let first = shown.iter().rposition(reached).map_or(0, |last| last + 1);
    let rest = shown.get(first..).filter(|rest| rest.len() > 1)?;
    let outcomes: Vec<_> = rest.iter().map(|phase| describe::phase_state(phases, *phase).outcome()).collect();
    let same = outcomes.iter().all(|outcome| outcome == &outcomes[0]);
    let names: Vec<_> = rest.iter().map(|phase| phase.as_str()).collect();
    same.then(|| (first, format!("{}  {}", names.join(", "), outcomes[0])))
}
