//! `redpath watch`: probes each target at an interval, shows what changes, and sums it up at the end.

mod keys;
mod probes;
mod screen;
mod signals;
mod terminal;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use self::probes::Probes;
use self::screen::{Input, TerminalScreen};
use super::check;
use crate::cli::{ExitCode, Until, WatchArgs, WatchOutput, print_error};
use crate::clock::Timestamp;
use crate::diagnosis::Status;
use crate::output::describe;
use crate::output::text::Style;
use crate::plan::Plan;
use crate::probe::budget::Interrupt;
use crate::record::Record;
use crate::watch::lines::{LineFormat, Lines};
use crate::watch::screen::{Action, SMALLEST};
use crate::watch::state::State;
use crate::watch::summary;

/// What errno(3) has for a terminal that was closed.
const EIO: i32 = 5;

/// Watches the targets of the command line.
pub async fn run(args: WatchArgs) -> ExitCode {
    let planned = check::planned(&args.targets, &args.probe).and_then(|(plans, vantage)| {
        different_targets(&plans.plans)?;
        Ok((plans, vantage))
    });
    let (plans, vantage) = match planned {
        Ok(planned) => planned,
        Err(sentence) => {
            print_error(&sentence);
            return ExitCode::Usage;
        }
    };
    for warning in &plans.warnings {
        print_error(&format!("warning: {warning}"));
    }
    let (handle, interrupt) = Interrupt::new();
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
    let style = Style { color: false, ..style };
    let names: Vec<String> = plans.plans.iter().map(|plan| describe::target(&plan.target)).collect();
    let mut watch = Watch {
        state: State::default(),
        display,
        until: args.until.clone(),
        is_strict: args.probe.strict,
        targets: names.len(),
    };
    let mut probes = Probes::start(plans.plans, vantage, args.interval, interrupt.clone());
    let ended = watch.follow(&mut probes, &interrupt).await;
    let exit_code = watch.exit_code();
    let Watch { state, display, .. } = watch;
    let last_screen = display.close(&state);
    for name in names.iter().filter(|name| !state.targets.contains_key(*name)) {
        print_error(&format!("no probe of {name} has finished"));
    }
    let summary = summary::text(&state, &style);
    let written = match (&ended, args.output) {
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
        Ok(End::Reached | End::Interrupted | End::Quit { .. }) => exit_code,
        // The reader has gone away: it has what it wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe || error.raw_os_error() == Some(EIO) => exit_code,
        Err(error) => {
            print_error(&format!("cannot write the output: {error}"));
            if exit_code == ExitCode::Fail { ExitCode::Fail } else { ExitCode::Unknown }
        }
    }
}

/// Why a watch has ended.
enum End {
    /// What `--until` names came true.
    Reached,
    Interrupted,
    /// By a key.
    Quit {
        /// Whether the last screen stays in the terminal.
        keep: bool,
    },
    ProbePanicked,
}

/// What is shown of the records.
struct Watch {
    state: State,
    display: Display,
    until: Vec<Until>,
    is_strict: bool,
    /// How many targets there are.
    targets: usize,
}

impl Watch {
    async fn follow(&mut self, probes: &mut Probes, interrupt: &Interrupt) -> io::Result<End> {
        let after = self.until.iter().filter_map(|until| match until {
            Until::After(time) => Some(*time),
            Until::Pass | Until::Private => None,
        });
        // About 31 days where no time is given; the branch below is off then.
        let (has_end, time) = (after.clone().next().is_some(), after.min().unwrap_or(Duration::from_secs(2_678_400)));
        let end = tokio::time::sleep(time);
        tokio::pin!(end);
        loop {
            tokio::select! {
                record = probes.next() => match record {
                    Some(record) => self.add(record)?,
                    None if interrupt.is_raised() => return Ok(End::Interrupted),
                    None => return Ok(End::ProbePanicked),
                },
                input = self.display.next() => {
                    if let Some(end) = self.input(input, probes)? {
                        return Ok(end);
                    }
                }
                () = interrupt.raised() => return Ok(End::Interrupted),
                () = &mut end, if has_end => return Ok(End::Reached),
            }
            if self.is_reached() {
                return Ok(End::Reached);
            }
        }
    }

    fn add(&mut self, record: Arc<Record>) -> io::Result<()> {
        let name = describe::target(&record.target);
        let events = self.state.add(record);
        match &mut self.display {
            Display::Lines(lines) => write(lines.of(&self.state, &name, &events)?.as_bytes()),
            Display::Screen(screen) => {
                screen.changed();
                Ok(())
            }
        }
    }

    /// What the terminal sent; the reason where it ends the watch.
    fn input(&mut self, input: Input, probes: &Probes) -> io::Result<Option<End>> {
        let Display::Screen(screen) = &mut self.display else { return Ok(None) };
        let keys = match input {
            Input::Keys(keys) => keys,
            Input::Tick => return screen.tick(&self.state).map(|()| None),
            Input::Resized => return screen.draw(&self.state).map(|()| None),
            Input::Stop => return screen.suspend(&self.state).map(|()| None),
            Input::Continued => return screen.reenter(&self.state).map(|()| None),
            Input::Closed => return Ok(Some(End::Quit { keep: false })),
        };
        for key in keys {
            match screen.key(key, &self.state) {
                Action::None => {}
                Action::Quit { keep } => return Ok(Some(End::Quit { keep })),
                Action::ProbeNow => probes.now(),
                Action::Clear => self.state.clear(),
                Action::Mark(word) => drop(self.state.mark(Timestamp::now(), word)),
                Action::Suspend => screen.suspend(&self.state)?,
            }
        }
        screen.draw(&self.state).map(|()| None)
    }

    fn is_reached(&self) -> bool {
        if self.state.targets.len() < self.targets {
            return false;
        }
        let passes = |status| status == Status::Pass || (status == Status::Warn && !self.is_strict);
        self.until.iter().any(|until| match until {
            Until::Pass => self.state.statuses().all(passes),
            Until::Private => self.state.targets.values().all(|target| target.is_as_expected()),
            Until::After(_) => false,
        })
    }

    /// As the last verdicts; a target without a record is unknown.
    fn exit_code(&self) -> ExitCode {
        let missing = self.targets.saturating_sub(self.state.targets.len());
        ExitCode::of(self.state.statuses().chain(std::iter::repeat_n(Status::Unknown, missing)), self.is_strict)
    }
}

/// How the watch is shown.
enum Display {
    Lines(Lines),
    Screen(Box<TerminalScreen>),
}

impl Display {
    fn open(output: WatchOutput, style: Style) -> io::Result<Self> {
        let plain = Style { color: false, ..style };
        match output {
            WatchOutput::Auto if terminal::has_screen(SMALLEST) => {
                TerminalScreen::open(style).map(|screen| Self::Screen(Box::new(screen)))
            }
            WatchOutput::Auto | WatchOutput::Text => Ok(Self::Lines(Lines::new(LineFormat::Text, plain))),
            WatchOutput::Ndjson => Ok(Self::Lines(Lines::new(LineFormat::Ndjson, plain))),
        }
    }

    /// Waits for the terminal; lines have no input.
    async fn next(&mut self) -> Input {
        match self {
            Self::Lines(_) => std::future::pending().await,
            Self::Screen(screen) => screen.next().await,
        }
    }

    /// Leaves the screen. What it showed last.
    fn close(self, state: &State) -> String {
        match self {
            Self::Lines(_) => String::new(),
            Self::Screen(screen) => screen.close(state),
        }
    }
}

fn write(text: &[u8]) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(text)?;
    stdout.flush()
}

/// Each target has a state of its own, by its name.
fn different_targets(plans: &[Plan]) -> Result<(), String> {
    let mut names = BTreeSet::new();
    match plans.iter().map(|plan| describe::target(&plan.target)).find(|name| !names.insert(name.clone())) {
        Some(twice) => Err(format!("{twice} is given twice; each target once is expected")),
        None => Ok(()),
    }
}
