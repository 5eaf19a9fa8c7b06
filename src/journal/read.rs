//! Reads a journal line by line, in memory for one line.

use std::fmt;
use std::io::{self, BufRead, ErrorKind, Read};

use super::digest::Digest;
use super::line::{Entry, Line};
use super::{MAX_LINE, SCHEMA};
use crate::printable::printable;

/// The lines of one file.
pub struct Lines<R> {
    input: R,
    at: u64,
    ended: bool,
}

/// The bytes of one line, whether or not they are a line of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawLine {
    /// The line of the file, from 1.
    pub at: u64,
    /// Its bytes without the line end.
    pub bytes: Vec<u8>,
    /// Whether a line end follows; without one, the line was not written whole.
    pub is_whole: bool,
}

/// Why a line, or the rest of a file, cannot be read. Its `Display` is one sentence that says where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The line of the file, from 1.
    pub at: u64,
    why: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.at, self.why)
    }
}

impl std::error::Error for Unreadable {}

impl Unreadable {
    /// Why, without the line.
    pub fn why(&self) -> &str {
        &self.why
    }
}

impl<R: BufRead> Lines<R> {
    /// The lines of `input`.
    pub fn new(input: R) -> Self {
        Self { input, at: 0, ended: false }
    }

    fn next_line(&mut self) -> Result<Option<RawLine>, Unreadable> {
        self.at += 1;
        let refuse = |why: String| Unreadable { at: self.at, why };
        let mut bytes = Vec::new();
        let limit = MAX_LINE as u64 + 1;
        loop {
            match Read::by_ref(&mut self.input).take(limit - bytes.len() as u64).read_until(b'\n', &mut bytes) {
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(refuse(format!("it cannot be read: {}", reason(&error)))),
            }
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        let is_whole = bytes.last() == Some(&b'\n');
        if is_whole {
            bytes.pop();
        } else if bytes.len() > MAX_LINE {
            return Err(refuse(format!("it is longer than {} KiB", MAX_LINE / 1024)));
        }
        Ok(Some(RawLine { at: self.at, bytes, is_whole }))
    }
}

/// After an error there is no further line.
impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<RawLine, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let line = self.next_line().transpose();
        self.ended = !matches!(line, Some(Ok(_)));
        line
    }
}

impl RawLine {
    /// The digest that the next line must name.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    /// The line of a journal.
    ///
    /// # Errors
    /// It is none, or one of another version.
    pub fn parse(&self) -> Result<Line, Unreadable> {
        let refuse = |why: String| Unreadable { at: self.at, why };
        let line: Line = serde_json::from_slice(&self.bytes)
            .map_err(|error| refuse(format!("it is no line of {SCHEMA}, at column {}", error.column())))?;
        match &line.entry {
            Entry::File(file) if file.schema != SCHEMA => {
                let schema: String = file.schema.chars().take(64).collect();
                Err(refuse(format!("its schema is \"{}\": {SCHEMA} is expected", printable(&schema))))
            }
            _ => Ok(line),
        }
    }
}

fn reason(error: &io::Error) -> String {
    printable(&error.to_string()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_over_limit_are_refused() {
        let mut lines = Lines::new(io::BufReader::new(io::repeat(b'a')));
        let error = lines.next().expect("an item").expect_err("too long");
        assert_eq!(error.to_string(), "line 1: it is longer than 1024 KiB");
        assert!(lines.next().is_none());
    }

    #[test]
    fn last_line_without_end_is_not_whole() {
        let lines: Vec<RawLine> = Lines::new(&b"a\n\nb"[..]).map(|line| line.expect("a line")).collect();
        let lines: Vec<_> = lines.iter().map(|line| (line.at, line.bytes.as_slice(), line.is_whole)).collect();
        assert_eq!(lines, [(1, &b"a"[..], true), (2, b"", true), (3, b"b", false)]);
    }

    #[test]
    fn error_never_quotes_the_line() {
        let line = RawLine { at: 7, bytes: b"{\"password\":\"hunter2\"}".to_vec(), is_whole: true };
        let error = line.parse().expect_err("no line").to_string();
        assert!(error.starts_with("line 7: it is no line of redpath.journal/v1, at column "), "{error}");
        assert!(!error.contains("hunter2") && !error.contains("password"), "{error}");
    }
}
