//! `redpath watch`: probes each target at an interval, or reads a recording; shows what changes, and sums it up.

mod agents;
mod display;
mod keys;
mod probes;
mod recording;
mod replay;
mod screen;
mod session;
mod signals;
mod terminal;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;

use self::agents::{AgentPlan, Agents};
use self::display::Display;
use self::probes::Probes;
use self::recording::Recording;
use self::replay::Replay;
use self::session::{End, Session, Source};
use super::{check, gate};
use crate::cli::{ExitCode, WatchArgs, WatchOutput, print_error};
use crate::evidence::expected::Expected;
use crate::output::describe;
use crate::output::text::Style;
use crate::plan::Plan;
use crate::probe::budget::Interrupt;
use crate::watch::expected::MAX_EXPECTED;
use crate::watch::state::State;
use crate::watch::summary;

/// What errno(3) has for a terminal that was closed.
const EIO: i32 = 5;

/// Watches the targets of the command line, or what a recording has of them.
pub async fn run(args: WatchArgs) -> ExitCode {
    let (handle, interrupt) = Interrupt::new();
    let set_up = match set_up(&args, &interrupt) {
        Ok(set_up) => set_up,
        Err(sentence) => {
            print_error(&sentence);
            return ExitCode::Usage;
        }
    };
    if let Err(error) = signals::interrupt(handle) {
        print_error(&format!("cannot listen for signals: {error}"));
        return ExitCode::Unknown;
    }
    let style = super::terminal::style(args.color);
    let display = match Display::open(args.output, style) {
        Ok(display) => display,
        Err(error) => {
            print_error(&format!("the terminal has no screen ({error}): --output text is without one"));
            return ExitCode::Unknown;
        }
    };
    let SetUp { source, recording, names, expected } = set_up;
    let mut state = State::default();
    if let Planned::Agents(plan) = &source {
        plan.names().iter().for_each(|agent| state.expect_agent(agent));
    }
    if let Some(expected) = expected {
        state.expected = Some(expected);
    }
    let mut session = Session {
        state,
        display,
        recording,
        until: args.until.clone(),
        is_strict: args.probe.strict,
        targets: names.len(),
    };
    let ended = session.follow(source.start(&args), &interrupt).await;
    let style = Style { color: false, ..style };
    finish(session, ended, &names, (args.output, style))
}

/// What is watched, before anything is sent.
struct SetUp {
    source: Planned,
    recording: Recording,
    /// The targets that are known beforehand.
    names: Vec<String>,
    /// The vantages that must answer, where there is a list.
    expected: Option<Expected>,
}

enum Planned {
    Probes { plans: Vec<Plan>, vantage: crate::vantage::Vantage, interrupt: Interrupt },
    Replay(Replay),
    Agents(AgentPlan),
}

impl Planned {
    fn start(self, args: &WatchArgs) -> Source {
        match self {
            Self::Probes { plans, vantage, interrupt } => {
                Source::Probes(Probes::start(plans, vantage, args.interval, interrupt))
            }
            Self::Replay(replay) => Source::Replay(replay),
            Self::Agents(plan) => Source::Agents(Agents::start(plan)),
        }
    }
}

fn set_up(args: &WatchArgs, interrupt: &Interrupt) -> Result<SetUp, String> {
    // The parser forgets `requires` where the flag that is required conflicts with one that is given.
    if args.expected.is_some() && args.agents.is_empty() {
        return Err("--expected names the vantages of --agent URL, which is missing".to_owned());
    }
    if let Some(file) = &args.replay {
        let speed = args.speed.or(display::is_screen(args.output).then_some(1));
        let replay = Replay::open(file, speed)?;
        return Ok(SetUp {
            source: Planned::Replay(replay),
            recording: Recording::none(),
            names: Vec::new(),
            expected: None,
        });
    }
    if args.speed.is_some() {
        return Err("--speed is for --replay".to_owned());
    }
    if !args.agents.is_empty() {
        let source = Planned::Agents(AgentPlan::new(args)?);
        let expected = expected(args.expected.as_deref())?;
        return Ok(SetUp { source, recording: Recording::none(), names: Vec::new(), expected });
    }
    let (mut plans, vantage) = check::planned(&args.targets, &args.probe)?;
    plans.plans.iter_mut().for_each(|plan| plan.held_connection = true);
    for warning in &plans.warnings {
        print_error(&format!("warning: {warning}"));
    }
    let names = names(&plans.plans)?;
    let recording = match &args.record {
        Some(file) => Recording::create(file, vantage.clone())?,
        None => Recording::none(),
    };
    let source = Planned::Probes { plans: plans.plans, vantage, interrupt: interrupt.clone() };
    Ok(SetUp { source, recording, names, expected: None })
}

/// The list of expected vantages, where one is given.
fn expected(file: Option<&Path>) -> Result<Option<Expected>, String> {
    let Some(list) = gate::read_expected(file)? else { return Ok(None) };
    if list.vantages.len() > MAX_EXPECTED {
        return Err(format!("--expected: it has more than the {MAX_EXPECTED} vantages that a watch can show"));
    }
    Ok(Some(list))
}

/// The names of the targets: each has a state of its own.
fn names(plans: &[Plan]) -> Result<Vec<String>, String> {
    let names: Vec<String> = plans.iter().map(|plan| describe::target(&plan.target)).collect();
    let mut seen = BTreeSet::new();
    match names.iter().find(|name| !seen.insert(*name)) {
        Some(twice) => Err(format!("{twice} is given twice; each target once is expected")),
        None => Ok(names),
    }
}

/// Leaves the screen, ends the recording, and writes the summary.
fn finish(session: Session, ended: io::Result<End>, names: &[String], how: (WatchOutput, Style)) -> ExitCode {
    let (output, style) = how;
    let exit_code = session.exit_code();
    let Session { state, display, recording, .. } = session;
    let last_screen = display.close(&state);
    for name in names.iter().filter(|name| !state.targets.contains_key(*name)) {
        print_error(&format!("no probe of {name} has finished"));
    }
    let recorded = recording.finish();
    if let Err(sentence) = &recorded {
        print_error(sentence);
    }
    let unknown_unless_failed = if exit_code == ExitCode::Fail { ExitCode::Fail } else { ExitCode::Unknown };
    let exit_code = if recorded.is_ok() { exit_code } else { unknown_unless_failed };
    let summary = summary::text(&state, &style);
    let written = match (&ended, output) {
        (Ok(End::Unreadable(_)), _) => Ok(()), // a part would pass for the whole
        (Ok(End::Quit { keep: true }), _) => write(format!("{last_screen}\n{summary}").as_bytes()),
        (Ok(_), WatchOutput::Auto | WatchOutput::Text) => write(summary.as_bytes()),
        (Ok(_), WatchOutput::Ndjson) => io::stderr().write_all(summary.as_bytes()),
        (Err(_), _) => Ok(()),
    };
    match ended.and_then(|end| written.map(|()| end)) {
        Ok(End::ProbePanicked) => {
            print_error("a probe panicked, and the watch has ended");
            ExitCode::Unknown
        }
        Ok(End::Unreadable(sentence)) => {
            print_error(&sentence);
            ExitCode::Usage
        }
        Ok(End::Reached | End::Interrupted | End::Quit { .. }) => exit_code,
        // The reader has gone away: it has what it wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe || error.raw_os_error() == Some(EIO) => exit_code,
        Err(error) => {
            print_error(&format!("cannot write the output: {error}"));
            unknown_unless_failed
        }
    }
}

/// Writes to standard output; a reader that is gone is an error, which ends the watch.
fn write(text: &[u8]) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(text)?;
    stdout.flush()
}
