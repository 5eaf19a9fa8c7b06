//! The journal: what one vantage saw, line by line, each with the SHA-256 of the one before.
//!
//! `docs/journal.md` has the format. `line` has its types, `write` appends to a directory, `recording` writes one file, `read` reads a file
//! line by line, and `verify` compares the digests. The chain finds damage; it is no proof of authorship.

pub mod clock_state;
pub mod collect;
pub mod digest;
pub mod line;
pub mod read;
pub mod recorder;
pub mod recording;
pub mod restore;
pub mod verify;
pub mod write;

/// The schema of a journal, as it stands in the first line of each of its files.
pub const SCHEMA: &str = "redpath.journal/v1";

/// The most bytes of one line, its end not counted. A record has a few KiB.
pub const MAX_LINE: usize = 1024 * 1024;
