//! How a watch is shown: lines, or the screen.

use std::io;

use super::screen::{Input, TerminalScreen};
use super::{terminal, write};
use crate::cli::{WatchOutput, print_error};
use crate::output::text::Style;
use crate::watch::event::Event;
use crate::watch::lines::{LineFormat, Lines};
use crate::watch::screen::SMALLEST;
use crate::watch::state::State;

/// Lines, or the screen.
pub(super) enum Display {
    Lines(Lines),
    Screen(Box<TerminalScreen>),
}

/// Whether `output` is the screen here.
pub(super) fn is_screen(output: WatchOutput) -> bool {
    output == WatchOutput::Auto && terminal::has_screen(SMALLEST)
}

impl Display {
    pub(super) fn open(output: WatchOutput, style: Style) -> io::Result<Self> {
        let plain = Style { color: false, ..style };
        match output {
            WatchOutput::Auto if is_screen(output) => {
                TerminalScreen::open(style).map(|screen| Self::Screen(Box::new(screen)))
            }
            WatchOutput::Auto | WatchOutput::Text => Ok(Self::Lines(Lines::new(LineFormat::Text, plain))),
            WatchOutput::Ndjson => Ok(Self::Lines(Lines::new(LineFormat::Ndjson, plain))),
        }
    }

    /// Waits for the terminal; lines have no input.
    pub(super) async fn next(&mut self) -> Input {
        match self {
            Self::Lines(_) => std::future::pending().await,
            Self::Screen(screen) => screen.next().await,
        }
    }

    /// Shows what a record of the target called `name` changed.
    pub(super) fn events(&mut self, state: &State, name: &str, events: &[Event]) -> io::Result<()> {
        match self {
            Self::Lines(lines) => write(lines.of(state, name, events)?.as_bytes()),
            Self::Screen(screen) => {
                screen.changed();
                Ok(())
            }
        }
    }

    /// Shows an event that is of no target's record.
    pub(super) fn event(&mut self, event: &Event) -> io::Result<()> {
        match self {
            Self::Lines(lines) => write(lines.line(event)?.as_bytes()),
            Self::Screen(screen) => {
                screen.changed();
                Ok(())
            }
        }
    }

    /// Shows a sentence that concerns the watch itself.
    pub(super) fn notice(&mut self, sentence: &str) {
        match self {
            Self::Lines(_) => print_error(sentence),
            Self::Screen(screen) => screen.notice(sentence),
        }
    }

    /// Leaves the screen. What it showed last.
    pub(super) fn close(self, state: &State) -> String {
        match self {
            Self::Lines(_) => String::new(),
            Self::Screen(screen) => screen.close(state),
        }
    }
}
