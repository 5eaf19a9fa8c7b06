//! One running agent, as its answers show it.

use std::collections::BTreeSet;

use crate::clock::Timestamp;

/// One agent that is asked for its records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agent {
    /// The rows of its last answer, as the state names its targets.
    pub rows: BTreeSet<String>,
    /// Rows of earlier answers that its last one does not have, and those whose record is old.
    pub gone: BTreeSet<String>,
    /// Since when it has not answered, and why; absent where it did.
    pub silent: Option<(Timestamp, String)>,
    /// Whether it has been asked at all.
    pub is_asked: bool,
}

impl Agent {
    /// Whether its last answer counts, with all rows that it had before.
    pub fn is_complete(&self) -> bool {
        self.is_asked && self.silent.is_none() && self.gone.is_empty()
    }
}
