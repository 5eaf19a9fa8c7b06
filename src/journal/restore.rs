//! The last records of a journal, for what an agent remembers across a restart.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use super::line::Entry;
use super::read::Lines;
use super::write::files;
use crate::record::Record;

/// The most files that are read, the newest: a start must not wait for all of a long journal.
const FILES: usize = 2;

/// Passes on the full records of the newest files, the oldest first. Lines that cannot be read are left out: a journal
/// is verified elsewhere.
///
/// # Errors
/// The directory or a file cannot be read.
pub fn records(directory: &Path, mut each: impl FnMut(Record)) -> io::Result<()> {
    let files = files(directory)?;
    for path in files.iter().skip(files.len().saturating_sub(FILES)) {
        for line in Lines::new(BufReader::new(File::open(path)?)) {
            let Ok(line) = line else { break };
            // Most lines are counts: only those of a record are parsed.
            if line.bytes.windows(10).any(|part| part == b"{\"record\":")
                && let Ok(parsed) = line.parse()
                && let Entry::Record(record) = parsed.entry
            {
                each(*record);
            }
        }
    }
    Ok(())
}
