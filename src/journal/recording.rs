//! A journal in one file with every record in full: what `watch --record` writes and `watch --replay` reads.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use super::digest::Digest;
use super::line::{Entry, FileStart, Mark, Started};
use super::read::{Lines, Unreadable};
use super::verify::Head;
use super::write::encode;
use super::{MAX_LINE, SCHEMA};
use crate::clock::Timestamp;
use crate::record::{Record, Tool};
use crate::vantage::Vantage;

/// The most bytes of a recording: more than a week of one target, a probe a second.
const MAX_BYTES: u64 = 4 * 1024 * 1024 * 1024;

/// Writes a recording.
#[derive(Debug)]
pub struct RecordingWriter {
    file: File,
    head: Head,
    bytes: u64,
}

impl RecordingWriter {
    /// Begins a recording in a file that is not there yet.
    ///
    /// # Errors
    /// There is such a file, or it cannot be written.
    pub fn create(path: &Path, vantage: Vantage) -> io::Result<Self> {
        let file = OpenOptions::new().mode(0o640).write(true).create_new(true).open(path)?;
        let mut writer = Self { file, head: Head { number: 0, digest: Digest::NONE }, bytes: 0 };
        writer.write(Entry::File(FileStart { schema: SCHEMA.to_owned(), vantage }))?;
        writer.write(Entry::Started(Started {
            tool: Tool::this(),
            binary_sha256: None,
            configuration_sha256: None,
            user_id: None,
        }))?;
        Ok(writer)
    }

    /// Appends a record.
    ///
    /// # Errors
    /// It could not be written; the recording ends with a line that is not whole.
    pub fn record(&mut self, record: &Record) -> io::Result<()> {
        self.write(Entry::Record(Box::new(record.clone())))
    }

    /// Appends a mark.
    ///
    /// # Errors
    /// As for [`Self::record`].
    pub fn mark(&mut self, at: Timestamp, word: &str) -> io::Result<()> {
        self.write(Entry::Mark(Mark { at, word: word.to_owned() }))
    }

    /// Ends the recording in order.
    ///
    /// # Errors
    /// As for [`Self::record`].
    pub fn finish(mut self) -> io::Result<()> {
        self.write(Entry::Stopped {})?;
        self.file.sync_all()
    }

    fn write(&mut self, entry: Entry) -> io::Result<()> {
        let (line, head) = encode(self.head, entry)?;
        self.bytes = self.bytes.saturating_add(line.len() as u64);
        if self.bytes.saturating_add(MAX_LINE as u64) > MAX_BYTES {
            return Err(io::Error::other(format!("a recording has at most {} GiB", MAX_BYTES >> 30)));
        }
        self.file.write_all(&line)?;
        self.head = head;
        Ok(())
    }
}

/// What a recording has, in its order.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// When it was written.
    pub at: Timestamp,
    /// What it is.
    pub what: RecordedEntry,
}

/// An entry that a live view is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordedEntry {
    /// A record.
    Record(Arc<Record>),
    /// A mark.
    Mark(Mark),
}

/// Reads the records and marks of a recording, in memory for one line.
pub struct RecordingReader<R>(Lines<R>);

impl<R: BufRead> RecordingReader<R> {
    /// Reads `input`.
    pub fn new(input: R) -> Self {
        Self(Lines::new(input))
    }

    /// The next record or mark; a last line that is not whole is left out.
    fn read(&mut self) -> Result<Option<Recorded>, String> {
        let sentence = |error: Unreadable| error.to_string();
        for line in self.0.by_ref() {
            let line = line.map_err(sentence)?;
            if !line.is_whole {
                return Ok(None);
            }
            let parsed = line.parse().map_err(sentence)?;
            let what = match parsed.entry {
                Entry::Record(record) => RecordedEntry::Record(Arc::new(*record)),
                Entry::Mark(mark) => RecordedEntry::Mark(mark),
                Entry::Unchanged(_) => {
                    return Err(format!(
                        "line {}: this is the journal of an agent, which leaves out the answers of unchanged probes; \
                         a file of watch --record is expected",
                        line.at
                    ));
                }
                Entry::File(_)
                | Entry::Started(_)
                | Entry::Configuration(_)
                | Entry::Clock(_)
                | Entry::Stopped {}
                | Entry::Removed { .. }
                | Entry::Lost { .. }
                | Entry::ClockStep { .. } => continue,
            };
            return Ok(Some(Recorded { at: parsed.at, what }));
        }
        Ok(None)
    }
}

/// After an error, which is one sentence, there is no further entry.
impl<R: BufRead> Iterator for RecordingReader<R> {
    type Item = Result<Recorded, String>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
