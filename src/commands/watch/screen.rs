//! The screen of a live view in the terminal: keys, signals of the terminal, and when it is drawn.

use std::io::{self, IsTerminal};
use std::time::Duration;

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::terminal::Terminal;
use rustix::process::{Signal as Number, getpid, getsid, kill_current_process_group};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Interval, MissedTickBehavior};

use super::keys::keys;
use super::terminal::{self, Stdout};
use crate::clock::Timestamp;
use crate::output::text::Style;
use crate::watch::screen::{Action, Key, Screen, rows};
use crate::watch::state::State;

/// The time between two drawings, where there is something new.
const TICK: Duration = Duration::from_millis(100);

/// How many ticks are between two drawings where only the clock has moved.
const CLOCK_TICKS: u8 = 5;

/// The number of SIGTSTP, which signal(7) gives for Linux on every architecture that redpath is built for.
const SIGTSTP: i32 = 20;
/// The number of SIGCONT.
const SIGCONT: i32 = 18;

/// The screen.
pub(super) struct TerminalScreen {
    terminal: Terminal<Stdout>,
    screen: Screen,
    /// None where standard input is no terminal.
    keys: Option<UnboundedReceiver<Vec<Key>>>,
    resized: Signal,
    stopped: Signal,
    continued: Signal,
    tick: Interval,
    ticks: u8,
    is_new: bool,
    /// The time of a recording that is shown, in place of the present.
    recorded: Option<Timestamp>,
}

/// What the terminal sent.
pub(super) enum Input {
    /// Keys.
    Keys(Vec<Key>),
    /// Another size.
    Resized,
    /// The shell's or another's SIGTSTP.
    Stop,
    /// It goes on after a stop.
    Continued,
    /// The time to draw, if there is something new.
    Tick,
    /// The terminal is gone.
    Closed,
}

impl TerminalScreen {
    /// Enters the screen.
    ///
    /// # Errors
    /// The terminal does not do it.
    pub(super) fn open(style: Style) -> io::Result<Self> {
        let (resized, stopped, continued) = (
            signal(SignalKind::window_change())?,
            signal(SignalKind::from_raw(SIGTSTP))?,
            signal(SignalKind::from_raw(SIGCONT))?,
        );
        let keys = if io::stdin().is_terminal() { Some(read_keys()?) } else { None };
        terminal::enter()?;
        let terminal = Terminal::new(Stdout).inspect_err(|_| terminal::leave())?;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let screen = Screen::new(style);
        Ok(Self { terminal, screen, keys, resized, stopped, continued, tick, ticks: 0, is_new: true, recorded: None })
    }

    /// Waits for the terminal.
    pub(super) async fn next(&mut self) -> Input {
        let keys = async {
            match &mut self.keys {
                Some(keys) => keys.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            keys = keys => keys.map_or(Input::Closed, Input::Keys),
            _ = self.resized.recv() => Input::Resized,
            _ = self.stopped.recv() => Input::Stop,
            _ = self.continued.recv() => Input::Continued,
            _ = self.tick.tick() => Input::Tick,
        }
    }

    /// What a key does.
    pub(super) fn key(&mut self, key: Key, state: &State) -> Action {
        self.is_new = true;
        let now = self.now();
        self.screen.key(key, state, now)
    }

    /// Whether there are keys that can end it.
    pub(super) fn has_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// Shows the time of a recording.
    pub(super) fn set_clock(&mut self, recorded: Timestamp) {
        self.recorded = Some(recorded);
    }

    fn now(&self) -> Timestamp {
        self.recorded.unwrap_or_else(Timestamp::now)
    }

    /// Shows a sentence that concerns the watch itself.
    pub(super) fn notice(&mut self, sentence: &str) {
        self.screen.notice(sentence);
        self.is_new = true;
    }

    /// There is something new to draw.
    pub(super) fn changed(&mut self) {
        self.is_new = true;
    }

    /// Draws, where there is something new or the clock has moved.
    pub(super) fn tick(&mut self, state: &State) -> io::Result<()> {
        self.ticks = (self.ticks + 1) % CLOCK_TICKS;
        if self.is_new || self.ticks == 0 { self.draw(state) } else { Ok(()) }
    }

    /// Draws.
    pub(super) fn draw(&mut self, state: &State) -> io::Result<()> {
        if !terminal::is_entered() {
            return Ok(()); // a panic left the screen, and the watch ends
        }
        self.is_new = false;
        let (screen, now) = (&self.screen, self.now());
        self.terminal.draw(|frame| screen.draw(frame.buffer_mut(), state, now))?;
        Ok(())
    }

    /// Stops the program as a shell expects of Ctrl-Z, with the terminal as it was found; draws anew when it goes on.
    pub(super) fn suspend(&mut self, state: &State) -> io::Result<()> {
        // A session leader has no shell that would continue it.
        if getsid(None).is_ok_and(|session| session == getpid()) {
            return Ok(());
        }
        terminal::leave();
        kill_current_process_group(Number::STOP)?;
        self.reenter(state)
    }

    /// Enters the screen again.
    pub(super) fn reenter(&mut self, state: &State) -> io::Result<()> {
        terminal::enter()?;
        self.terminal.clear()?;
        self.draw(state)
    }

    /// Leaves the screen. What was shown last, as text.
    pub(super) fn close(self, state: &State) -> String {
        let size = self.terminal.size().unwrap_or_default();
        terminal::leave();
        let mut buffer = Buffer::empty(Rect::new(0, 0, size.width, size.height));
        self.screen.draw(&mut buffer, state, self.now());
        rows(&buffer)
    }
}

/// Reads keys on a thread of its own, which ends with the program.
fn read_keys() -> io::Result<UnboundedReceiver<Vec<Key>>> {
    let (sender, receiver) = unbounded_channel();
    std::thread::Builder::new().name("keys".to_owned()).spawn(move || {
        let mut bytes = [0; 256];
        loop {
            let read = match rustix::io::read(io::stdin(), &mut bytes) {
                Err(rustix::io::Errno::INTR) => continue,
                Ok(count @ 1..) => bytes.get(..count).unwrap_or_default(),
                Ok(_) | Err(_) => return, // the terminal is gone
            };
            if sender.send(keys(read)).is_err() {
                return;
            }
        }
    })?;
    Ok(receiver)
}
