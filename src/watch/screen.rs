//! The screen of the live view apart from the terminal: what keys do, and what is drawn of which state.

mod draw;
mod page;
mod parts;
mod table;

use ratatui_core::buffer::Buffer;

use super::state::State;
use crate::clock::Timestamp;
use crate::output::text::Style;
use crate::printable::printable;

/// The narrowest and the lowest terminal that has a screen; a smaller one has a line.
pub const SMALLEST: (u16, u16) = (40, 10);

/// The longest word of a mark.
const MAX_MARK: usize = 60;

/// A key, as far as the screen knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// Enter.
    Enter,
    /// Backspace.
    Backspace,
    /// Escape.
    Escape,
    /// Ctrl with a letter, in lower case.
    Ctrl(char),
}

/// What a key asks for beyond the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing; the screen is drawn anew.
    None,
    /// The watch ends; the last screen stays in the terminal where `keep` says so.
    Quit {
        /// Whether it stays.
        keep: bool,
    },
    /// Every target is probed now.
    ProbeNow,
    /// Letters and events are forgotten.
    Clear,
    /// A word is set as a mark.
    Mark(String),
    /// The program is stopped until the shell continues it.
    Suspend,
}

/// What is chosen on the screen.
#[derive(Clone, Debug)]
pub struct Screen {
    style: Style,
    selected: usize,
    is_help: bool,
    /// The state that was shown when the screen was frozen, and the moment.
    frozen: Option<Box<(State, Timestamp)>>,
    /// The word of a mark that is being typed.
    mark: Option<String>,
    /// A sentence that concerns the watch itself, in place of the keys.
    notice: Option<String>,
}

impl Screen {
    /// A screen that shows the first target.
    pub fn new(style: Style) -> Self {
        Self { style, selected: 0, is_help: false, frozen: None, mark: None, notice: None }
    }

    /// Shows a sentence that concerns the watch itself.
    pub fn notice(&mut self, sentence: &str) {
        self.notice = Some(sentence.to_owned());
    }

    /// What a key does, with the state that is shown and the time on its clock.
    pub fn key(&mut self, key: Key, state: &State, now: Timestamp) -> Action {
        match key {
            Key::Ctrl('c') => return Action::Quit { keep: false },
            Key::Ctrl('z') => return Action::Suspend,
            _ => {}
        }
        if let Some(word) = self.mark.take() {
            return self.key_of_mark(key, word);
        }
        if self.is_help && !matches!(key, Key::Char('q' | 'Q')) {
            self.is_help = false;
            return Action::None;
        }
        match key {
            Key::Char('q') => return Action::Quit { keep: false },
            Key::Char('Q') => return Action::Quit { keep: true },
            Key::Char(' ') => {
                self.frozen = match self.frozen.take() {
                    Some(_) => None,
                    None => Some(Box::new((state.clone(), now))),
                };
            }
            Key::Char('c') => return Action::Clear,
            Key::Char('r') => return Action::ProbeNow,
            Key::Char('\t') => self.selected = (self.selected + 1) % state.targets.len().max(1),
            Key::Char('m') => self.mark = Some(String::new()),
            Key::Char('?') => self.is_help = true,
            Key::Char(_) | Key::Enter | Key::Backspace | Key::Escape | Key::Ctrl(_) => {}
        }
        Action::None
    }

    fn key_of_mark(&mut self, key: Key, mut word: String) -> Action {
        match key {
            Key::Enter if word.trim().is_empty() => return Action::None,
            Key::Enter => return Action::Mark(word.trim().to_owned()),
            Key::Escape => return Action::None,
            Key::Backspace => {
                word.pop();
            }
            Key::Char(c) if word.chars().count() < MAX_MARK && printable(&c.to_string()) == c.to_string() => {
                word.push(c);
            }
            Key::Char(_) | Key::Ctrl(_) => {}
        }
        self.mark = Some(word);
        Action::None
    }

    /// Draws the state on the whole buffer.
    pub fn draw(&self, buffer: &mut Buffer, state: &State, now: Timestamp) {
        let (state, now, is_frozen) = match &self.frozen {
            Some(frozen) => (&frozen.0, frozen.1, true),
            None => (state, now, false),
        };
        let shown = parts::Shown { screen: self, state, now, is_frozen, selected: self.selected };
        draw::screen(&mut page::Page::new(buffer, self.style), &shown);
    }
}

/// The rows of a buffer as text, for a terminal that keeps them.
pub fn rows(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in buffer.area.top()..buffer.area.bottom() {
        let mut row = String::new();
        let mut x = buffer.area.left();
        while x < buffer.area.right() {
            let symbol = buffer[(x, y)].symbol();
            row.push_str(symbol);
            x = x.saturating_add(page::width(symbol).max(1));
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    format!("{}\n", text.trim_end_matches('\n'))
}
