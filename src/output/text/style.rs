//! How text is drawn: colour, width, characters.

use std::net::IpAddr;

use crate::printable::printable;
use crate::record::Record;

/// How text is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// With colour, as ANSI escape sequences.
    pub color: bool,
    /// How many columns prose is wrapped to; commands never are.
    pub width: usize,
    /// With box characters; ASCII alone otherwise.
    pub unicode: bool,
    /// Everything that was seen, also where all is well.
    pub verbose: bool,
}

/// What a piece of text is, for the eye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    Good,
    Warning,
    Bad,
    Bar,
    Strong,
    Dim,
}

impl Style {
    /// `text`, cleaned before, in its colour. Padding belongs inside, so that columns align.
    pub(crate) fn paint(&self, paint: Paint, text: &str) -> String {
        if !self.color || text.trim().is_empty() {
            return text.to_owned();
        }
        let code = match paint {
            Paint::Good => "1;32",
            Paint::Warning => "1;33",
            Paint::Bad => "1;31",
            Paint::Bar => "36",
            Paint::Strong => "1",
            Paint::Dim => "2",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// `text`, harmless to a terminal and in characters that it has.
    pub(crate) fn clean(&self, text: &str) -> String {
        let text = printable(text);
        if self.unicode || text.is_ascii() {
            return text.into_owned();
        }
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '…' => out.push_str("..."),
                'µ' => out.push('u'),
                '–' | '—' => out.push('-'),
                '“' | '”' => out.push('"'),
                '‘' | '’' => out.push('\''),
                '→' => out.push_str("->"),
                '✓' => out.push_str("ok"),
                '✗' => out.push('x'),
                c if c.is_ascii() => out.push(c),
                c => out.extend(c.escape_default()),
            }
        }
        out
    }

    /// An address and its class, in the colour of whether it is expected.
    pub(super) fn address(&self, record: &Record, ip: IpAddr) -> String {
        let expectation = &record.expectation;
        let paint = if expectation.allows(ip) { Paint::Good } else { Paint::Bad };
        self.paint(paint, &format!("{ip} {}", expectation.class(ip)))
    }
}

/// Prose in lines of at most `width` characters, cleaned; a longer word keeps a line to itself.
pub(crate) fn wrap(text: &str, width: usize, style: &Style) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut used = usize::MAX;
    for word in text.split_whitespace() {
        let word = style.clean(word);
        let length = word.chars().count();
        match lines.last_mut() {
            Some(line) if used.saturating_add(1 + length) <= width => {
                line.push(' ');
                line.push_str(&word);
                used += 1 + length;
            }
            _ => {
                lines.push(word);
                used = length;
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_wraps_between_words() {
        let style = Style { color: false, width: 80, unicode: false, verbose: false };
        assert_eq!(wrap("one two  three\nfour", 9, &style), ["one two", "three", "four"]);
        assert_eq!(wrap("a abcdefghijkl b", 4, &style), ["a", "abcdefghijkl", "b"]);
        assert_eq!(wrap(" ", 4, &style), [""; 0]);
        assert_eq!(wrap("87 µs … \x1b[31m", 40, &style), ["87 us ... \\u{1b}[31m"]);
    }
}
