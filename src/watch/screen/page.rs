//! A buffer that is written row by row: text is made harmless, and cut where its column ends.

use ratatui_core::buffer::Buffer;
use ratatui_core::style::{Color, Modifier, Style as CellStyle};
use ratatui_core::text::Span;

use crate::output::text::Style;
use crate::watch::event::AnswerKind;

/// What a piece of text is, for the eye. The words and letters say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Plain,
    Strong,
    Dim,
    /// As expected, or private: blue.
    Good,
    /// Not as expected, or public: orange.
    Bad,
}

/// The rows of a buffer.
pub(super) struct Page<'a> {
    buffer: &'a mut Buffer,
    style: Style,
    /// The next row, from 0.
    pub(super) row: u16,
}

/// How many columns `text` takes.
pub(super) fn width(text: &str) -> u16 {
    u16::try_from(Span::raw(text).width()).unwrap_or(u16::MAX)
}

impl<'a> Page<'a> {
    pub(super) fn new(buffer: &'a mut Buffer, style: Style) -> Self {
        buffer.reset();
        Self { buffer, style, row: 0 }
    }

    pub(super) fn columns(&self) -> u16 {
        self.buffer.area.width
    }

    pub(super) fn rows(&self) -> u16 {
        self.buffer.area.height
    }

    /// Text made harmless, in characters that the terminal has.
    pub(super) fn clean(&self, text: &str) -> String {
        self.style.clean(text)
    }

    /// How text is wrapped at the width of the page.
    pub(super) fn wrap(&self, text: &str) -> Vec<String> {
        crate::output::text::wrap(text, self.columns().into(), &self.style)
    }

    /// Writes `text` from column `x` of the present row on, within `max` columns.
    pub(super) fn put(&mut self, x: u16, max: u16, text: &str, paint: Paint) {
        let max = max.min(self.columns().saturating_sub(x));
        if max == 0 || self.row >= self.rows() {
            return;
        }
        let mut text = self.clean(text);
        if width(&text) > max {
            // One column is for the mark that it is cut.
            while width(&text) > max.saturating_sub(1) {
                text.pop();
            }
            text.push(if self.style.unicode { '…' } else { '~' });
        }
        let (x, y) = (self.buffer.area.x.saturating_add(x), self.buffer.area.y.saturating_add(self.row));
        self.buffer.set_stringn(x, y, text, max.into(), self.cell(paint));
    }

    /// Writes `text` so that it ends at the last column, and returns the column that it begins at.
    pub(super) fn put_right(&mut self, text: &str, paint: Paint) -> u16 {
        let x = self.columns().saturating_sub(width(&self.clean(text)));
        self.put(x, u16::MAX, text, paint);
        x
    }

    /// A row of its own.
    pub(super) fn line(&mut self, text: &str, paint: Paint) {
        self.put(0, u16::MAX, text, paint);
        self.next();
    }

    pub(super) fn next(&mut self) {
        self.row = self.row.saturating_add(1);
    }

    /// Writes the letters of a lane from column `x` on, the last one at the right.
    pub(super) fn letters(&mut self, x: u16, letters: impl Iterator<Item = AnswerKind>) {
        for (x, kind) in (x..self.columns()).zip(letters) {
            self.put(x, 1, &kind.letter().to_string(), of_kind(kind));
        }
    }

    fn cell(&self, paint: Paint) -> CellStyle {
        let bold = CellStyle::default().add_modifier(Modifier::BOLD);
        match paint {
            Paint::Plain => CellStyle::default(),
            Paint::Strong => bold,
            _ if !self.style.color => CellStyle::default(),
            Paint::Dim => CellStyle::default().add_modifier(Modifier::DIM),
            // Blue and orange of the palette of 256 colours, which differ with every kind of colour blindness.
            Paint::Good => CellStyle::default().fg(Color::Indexed(39)),
            Paint::Bad => bold.fg(Color::Indexed(208)),
        }
    }
}

pub(super) fn of_kind(kind: AnswerKind) -> Paint {
    match kind {
        AnswerKind::Private => Paint::Good,
        AnswerKind::Public | AnswerKind::Failed => Paint::Bad,
        AnswerKind::Other | AnswerKind::NoAnswer => Paint::Strong,
        AnswerKind::NotReached => Paint::Dim,
    }
}
