//! `--journal` of `redpath check`: the records of one call, appended to the journal of a directory.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::config;
use crate::journal::clock_state::ClockState;
use crate::journal::digest::Digest;
use crate::journal::line::{Entry, Started};
use crate::journal::write::{Appender, Limits};
use crate::record::Record;
use crate::secret::quote;
use crate::vantage::Vantage;

/// The journal of a call.
pub(super) struct CheckJournal(Appender);

impl CheckJournal {
    /// Opens the journal of the directory, and notes the start. The limits are those of the configuration, where one
    /// is named, as the agent has them.
    ///
    /// # Errors
    /// One sentence that names the directory.
    pub(super) fn open(directory: &Path, configuration: Option<&Path>, vantage: &Vantage) -> Result<Self, String> {
        let (mut limits, mut digest) = (Limits::default(), None);
        if let Some(file) = configuration {
            digest = File::open(file).and_then(Digest::of_reader).ok();
            if let Some(settings) = config::load(file).map_err(|error| error.to_string())?.journal {
                limits = Limits { max_bytes: settings.max_bytes, max_age: settings.max_age };
            }
        }
        let refuse = |why: String| format!("--journal {}: {why}", quote::path(directory));
        let mut appender =
            Appender::open(directory, limits, vantage.clone()).map_err(|error| refuse(error.to_string()))?;
        for entry in [Entry::Started(Started::this_program(digest)), Entry::Clock(ClockState::now())] {
            appender.append(entry).map_err(|error| refuse(format!("it cannot be written: {error}")))?;
        }
        Ok(Self(appender))
    }

    /// Appends the records in full, and notes the end.
    ///
    /// # Errors
    /// One could not be written; those before it are there.
    pub(super) fn finish(mut self, records: &[Record]) -> io::Result<()> {
        for record in records {
            self.0.append(Entry::Record(Box::new(record.clone())))?;
        }
        self.0.append(Entry::Stopped {})
    }
}
