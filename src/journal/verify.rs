//! Verifies the chain of a journal: each line names the digest and follows the number of the one before.
//!
//! The last line has none after it: that it is the last one, and unchanged, only its digest outside the file decides.

use std::fmt;
use std::io::BufRead;

use super::digest::Digest;
use super::line::Line;
use super::read::{Lines, Unreadable};

/// The most faults that are kept; the others are counted.
pub const MAX_FAULTS: usize = 100;

/// The last line of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its number.
    pub number: u64,
    /// Its digest.
    pub digest: Digest,
}

/// What is wrong at a line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, by its place in the order of verification, from 0.
    pub file: usize,
    /// The line of the file, from 1.
    pub at: u64,
    /// What it is.
    pub kind: FaultKind,
}

/// A fault of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Lines of these numbers are missing before this one.
    Missing {
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// The line before is there a second time.
    Doubled,
    /// A lower number than that of the line before.
    OutOfOrder {
        /// The number.
        number: u64,
        /// That of the line before.
        after: u64,
    },
    /// The digest is not that of the line before: that line was changed, or this one.
    Changed,
    /// The first line of the journal names a line before it.
    FirstNamesPrevious,
    /// The file ends within a line.
    Incomplete,
    /// It is no line of a journal.
    Unreadable(Unreadable),
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { from, to } if from == to => write!(f, "entry {from} is missing before it"),
            Self::Missing { from, to } => write!(f, "entries {from} to {to} are missing before it"),
            Self::Doubled => f.write_str("it repeats the line before"),
            Self::OutOfOrder { number, after } => write!(f, "out of order: entry {number} after entry {after}"),
            Self::Changed => f.write_str("its digest is not that of the line before: one of the two was changed"),
            Self::FirstNamesPrevious => f.write_str("entry 1 has the digest of a line before it"),
            Self::Incomplete => f.write_str("the file ends within this line"),
            Self::Unreadable(why) => f.write_str(why.why()),
        }
    }
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// How many lines were read.
    pub lines: u64,
    /// The number of the first line; more than 1 where older files are not there.
    pub first: Option<u64>,
    /// The last line.
    pub head: Option<Head>,
    /// The first faults.
    pub faults: Vec<Fault>,
    /// How many faults there are beyond these.
    pub more_faults: u64,
}

impl Verified {
    /// Whether no line is missing, changed, doubled or out of order, from the first to the last that are there.
    pub fn is_whole(&self) -> bool {
        self.faults.is_empty() && self.head.is_some()
    }

    /// Reads a further file of the same journal.
    pub fn file(&mut self, file: usize, input: impl BufRead) {
        self.file_with(file, input, |_| {});
    }

    /// Reads a further file of the same journal, and passes on each line that can be read.
    pub fn file_with(&mut self, file: usize, input: impl BufRead, mut line_read: impl FnMut(Line)) {
        for line in Lines::new(input) {
            let line = match line {
                Ok(line) => line,
                Err(why) => {
                    self.fault(file, why.at, FaultKind::Unreadable(why));
                    continue;
                }
            };
            self.lines += 1;
            if !line.is_whole {
                self.fault(file, line.at, FaultKind::Incomplete);
                continue;
            }
            match line.parse() {
                Ok(parsed) => {
                    self.link(file, line.at, &parsed, line.digest());
                    line_read(parsed);
                }
                Err(why) => self.fault(file, line.at, FaultKind::Unreadable(why)),
            }
        }
    }

    fn link(&mut self, file: usize, at: u64, line: &Line, digest: Digest) {
        let number = line.number;
        let kind = match self.head {
            None if number <= 1 && line.previous != Digest::NONE => Some(FaultKind::FirstNamesPrevious),
            None => None,
            Some(head) if head.digest == digest => Some(FaultKind::Doubled),
            Some(head) if number <= head.number => Some(FaultKind::OutOfOrder { number, after: head.number }),
            Some(head) if number > head.number.saturating_add(1) => {
                Some(FaultKind::Missing { from: head.number + 1, to: number - 1 })
            }
            Some(head) if line.previous != head.digest => Some(FaultKind::Changed),
            Some(_) => None,
        };
        self.first.get_or_insert(number);
        self.head = Some(Head { number, digest });
        if let Some(kind) = kind {
            self.fault(file, at, kind);
        }
    }

    fn fault(&mut self, file: usize, at: u64, kind: FaultKind) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(Fault { file, at, kind });
        } else {
            self.more_faults = self.more_faults.saturating_add(1);
        }
    }
}
