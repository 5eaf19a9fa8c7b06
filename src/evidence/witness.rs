//! Compares a journal with what a Prometheus server saw of its head, which a person who writes the journal anew cannot change.

use std::collections::BTreeMap;
use std::fmt;

use super::files::JournalRead;
use crate::clock::Timestamp;
use crate::journal::digest::Digest;

/// A head as it was scraped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenHead {
    /// When it was asked for.
    pub at: Timestamp,
    /// The number of the last line then.
    pub number: u64,
    /// The first 144 bits of its digest.
    pub parts: [u64; 3],
}

/// What a witness says of a journal. Its `Display` is a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Witness {
    /// Every head that was seen is that of the journal.
    Confirms {
        /// How many heads were compared.
        heads: usize,
        /// The last one.
        last: SeenHead,
    },
    /// A line has another digest than the server saw.
    Differs(SeenHead),
    /// The server saw later lines than the journal has.
    Missing {
        /// The last head that was seen.
        seen: SeenHead,
        /// The last line of the journal.
        head: u64,
    },
    /// The server saw no head of this journal, or only of lines that rotation has removed.
    Silent,
}

impl Witness {
    /// Whether it contradicts the journal.
    pub fn contradicts(&self) -> bool {
        matches!(self, Self::Differs(_) | Self::Missing { .. })
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Confirms { heads, last } => {
                write!(f, "Prometheus confirms {heads} heads, the last of entry {} at {}", last.number, last.at)
            }
            Self::Differs(seen) => write!(
                f,
                "Prometheus contradicts: at {} it saw entry {} with another digest; the journal was written anew",
                seen.at, seen.number
            ),
            Self::Missing { seen, head } => write!(
                f,
                "Prometheus contradicts: at {} it saw entry {}, and the journal ends with entry {head}",
                seen.at, seen.number
            ),
            Self::Silent => f.write_str("Prometheus has no head of it"),
        }
    }
}

/// Compares the heads that were seen with the digests of the journal.
pub fn compare(journal: &JournalRead, seen: &[SeenHead]) -> Witness {
    let Some(head) = journal.head() else { return Witness::Silent };
    let mut digests: BTreeMap<u64, Digest> = journal.digests.iter().copied().collect();
    digests.insert(head.number, head.digest);
    if let Some(later) = seen.iter().filter(|seen| seen.number > head.number).max_by_key(|seen| seen.number) {
        return Witness::Missing { seen: *later, head: head.number };
    }
    let mut confirmed: Vec<SeenHead> = Vec::new();
    for seen in seen {
        match digests.get(&seen.number) {
            Some(digest) if digest.parts() == seen.parts => confirmed.push(*seen),
            Some(_) => return Witness::Differs(*seen),
            None => {} // rotation has removed the line
        }
    }
    match confirmed.iter().max_by_key(|seen| seen.at) {
        Some(last) => Witness::Confirms { heads: confirmed.len(), last: *last },
        None => Witness::Silent,
    }
}
