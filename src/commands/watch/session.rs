//! The loop of a watch: records come in, keys and signals too, until something ends it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::agents::{Agents, Answer};
use super::display::Display;
use super::probes::Probes;
use super::recording::Recording;
use super::replay::Replay;
use super::screen::Input;
use crate::cli::{ExitCode, Until};
use crate::clock::Timestamp;
use crate::diagnosis::Status;
use crate::journal::recording::RecordedEntry;
use crate::output::describe;
use crate::probe::budget::Interrupt;
use crate::record::Record;
use crate::watch::screen::Action;
use crate::watch::state::State;

/// Why a watch has ended.
pub(super) enum End {
    /// What `--until` names came true, or a recording is over.
    Reached,
    Interrupted,
    /// By a key.
    Quit {
        /// Whether the last screen stays in the terminal.
        keep: bool,
    },
    ProbePanicked,
    /// The recording cannot be read any further.
    Unreadable(String),
}

/// Where records come from.
pub(super) enum Source {
    Probes(Probes),
    Replay(Replay),
    Agents(Agents),
}

/// What came of a source.
enum Next {
    Entry(RecordedEntry),
    Answer(Answer),
    Over(End),
}

impl Source {
    async fn next(&mut self, interrupt: &Interrupt) -> Next {
        match self {
            Self::Probes(probes) => match probes.next().await {
                Some(record) => Next::Entry(RecordedEntry::Record(record)),
                None if interrupt.is_raised() => Next::Over(End::Interrupted),
                None => Next::Over(End::ProbePanicked),
            },
            Self::Replay(replay) => match replay.next().await {
                Some(Ok(entry)) => Next::Entry(entry),
                Some(Err(sentence)) => Next::Over(End::Unreadable(sentence)),
                None => Next::Over(End::Reached),
            },
            Self::Agents(agents) => match agents.next().await {
                Some(answer) => Next::Answer(answer),
                None => Next::Over(End::ProbePanicked),
            },
        }
    }
}

/// What is shown and kept of the records.
pub(super) struct Session {
    pub(super) state: State,
    pub(super) display: Display,
    pub(super) recording: Recording,
    pub(super) until: Vec<Until>,
    pub(super) is_strict: bool,
    /// How many targets are known beforehand.
    pub(super) targets: usize,
}

impl Session {
    /// Follows the source until something ends it.
    pub(super) async fn follow(&mut self, mut source: Source, interrupt: &Interrupt) -> io::Result<End> {
        let after = self.until.iter().filter_map(|until| match until {
            Until::After(time) => Some(*time),
            Until::Pass | Until::Private => None,
        });
        let after = after.min();
        // Where no time is given, this branch is off.
        let end = tokio::time::sleep(after.unwrap_or(Duration::ZERO));
        tokio::pin!(end);
        let mut is_over = false;
        loop {
            tokio::select! {
                next = source.next(interrupt), if !is_over => match next {
                    Next::Entry(entry) => self.entry(entry, matches!(source, Source::Replay(_)))?,
                    Next::Answer(answer) => self.answer(answer)?,
                    Next::Over(end) => match &mut self.display {
                        // The screen stays until a key ends it.
                        Display::Screen(screen) if screen.has_keys() && matches!(end, End::Reached) => {
                            is_over = true;
                            screen.notice("the recording is over; q quits");
                        }
                        Display::Screen(_) | Display::Lines(_) => return Ok(end),
                    },
                },
                input = self.display.next() => {
                    if let Some(end) = self.input(input, &source)? {
                        return Ok(end);
                    }
                }
                () = interrupt.raised() => return Ok(End::Interrupted),
                () = &mut end, if after.is_some() => return Ok(End::Reached),
            }
            if self.is_reached() {
                return Ok(End::Reached);
            }
        }
    }

    fn entry(&mut self, entry: RecordedEntry, is_replay: bool) -> io::Result<()> {
        if let (RecordedEntry::Record(record), Display::Screen(screen), true) = (&entry, &mut self.display, is_replay) {
            screen.set_clock(record.started_at);
        }
        match entry {
            RecordedEntry::Record(record) => self.record(record),
            RecordedEntry::Mark(mark) => self.mark(mark.at, mark.word),
        }
    }

    fn answer(&mut self, answer: Answer) -> io::Result<()> {
        let (agent, now) = (answer.agent, Timestamp::now());
        match answer.records {
            Ok(records) => {
                for (name, events) in self.state.answered(&agent, now, records) {
                    if self.state.targets.contains_key(&name) {
                        self.display.events(&self.state, &name, &events)?;
                    } else {
                        events.iter().try_for_each(|event| self.display.event(event))?;
                    }
                }
                Ok(())
            }
            Err(reason) => match self.state.silent(&agent, now, reason) {
                Some(event) => self.display.event(&event),
                None => Ok(()),
            },
        }
    }

    fn record(&mut self, record: Arc<Record>) -> io::Result<()> {
        if let Err(sentence) = self.recording.record(&record) {
            self.display.notice(&sentence);
        }
        let name = describe::target(&record.target);
        let events = self.state.add(record);
        self.display.events(&self.state, &name, &events)
    }

    fn mark(&mut self, at: Timestamp, word: String) -> io::Result<()> {
        if let Err(sentence) = self.recording.mark(at, &word) {
            self.display.notice(&sentence);
        }
        let event = self.state.mark(at, word);
        self.display.event(&event)
    }

    /// What the terminal sent; the reason where it ends the watch.
    fn input(&mut self, input: Input, source: &Source) -> io::Result<Option<End>> {
        let Display::Screen(screen) = &mut self.display else { return Ok(None) };
        let keys = match input {
            Input::Keys(keys) => keys,
            Input::Tick => return screen.tick(&self.state).map(|()| None),
            Input::Resized => return screen.draw(&self.state).map(|()| None),
            Input::Stop => return screen.suspend(&self.state).map(|()| None),
            Input::Continued => return screen.reenter(&self.state).map(|()| None),
            Input::Closed => return Ok(Some(End::Quit { keep: false })),
        };
        let mut marks = Vec::new();
        for key in keys {
            match (screen.key(key, &self.state), source) {
                (Action::Quit { keep }, _) => return Ok(Some(End::Quit { keep })),
                (Action::ProbeNow, Source::Probes(probes)) => probes.now(),
                (Action::Clear, _) => self.state.clear(),
                // The marks of a replay are those of the recording.
                (Action::Mark(word), Source::Probes(_) | Source::Agents(_)) => marks.push(word),
                (Action::Suspend, _) => screen.suspend(&self.state)?,
                (Action::None | Action::ProbeNow | Action::Mark(_), _) => {}
            }
        }
        screen.draw(&self.state)?;
        for word in marks {
            self.mark(Timestamp::now(), word)?;
        }
        Ok(None)
    }

    fn is_reached(&self) -> bool {
        if self.state.targets.len() < self.targets.max(1) || !self.state.is_every_agent_heard() {
            return false;
        }
        if !self.state.missing().is_empty() || self.has_refused_vantage() {
            return false;
        }
        let passes = |status| status == Status::Pass || (status == Status::Warn && !self.is_strict);
        self.until.iter().any(|until| match until {
            Until::Pass => self.state.statuses().all(passes),
            Until::Private => self.state.targets.values().all(|target| target.is_as_expected()),
            Until::After(_) => false,
        })
    }

    /// As the last verdicts; a target without a record and a silent agent are unknown, and so is nothing at all.
    pub(super) fn exit_code(&self) -> ExitCode {
        let silent = self.state.agents.values().filter(|agent| !agent.is_complete()).count();
        let not_seen = self.targets.max(1).saturating_sub(self.state.targets.len());
        let unknown = std::iter::repeat_n(Status::Unknown, not_seen + silent + self.state.missing().len());
        let refused = self.has_refused_vantage().then_some(Status::Fail);
        ExitCode::of(self.state.statuses().chain(unknown).chain(refused), self.is_strict)
    }

    /// Whether a vantage answers that is not on the list, and the list says that this is a failure.
    fn has_refused_vantage(&self) -> bool {
        self.state.is_unexpected_a_failure() && !self.state.unexpected().is_empty()
    }
}
