//! `--record`: each record and mark into a file, and what is said where that fails.

use std::io;
use std::path::Path;

use crate::clock::Timestamp;
use crate::journal::recording::RecordingWriter;
use crate::record::Record;
use crate::secret::quote;
use crate::vantage::Vantage;

/// The recording of a watch; none where it was not asked for.
pub(super) struct Recording {
    writer: Option<RecordingWriter>,
    file: String,
    /// What kept it from being written.
    failure: Option<String>,
}

impl Recording {
    /// No recording.
    pub(super) fn none() -> Self {
        Self { writer: None, file: String::new(), failure: None }
    }

    /// Begins a recording in a new file.
    ///
    /// # Errors
    /// One sentence.
    pub(super) fn create(path: &Path, vantage: Vantage) -> Result<Self, String> {
        let file = quote::path(path).to_string();
        match RecordingWriter::create(path, vantage) {
            Ok(writer) => Ok(Self { writer: Some(writer), file, failure: None }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(format!("--record {file}: there is such a file; a new one is expected"))
            }
            Err(error) => Err(format!("--record {file}: it cannot be written: {error}")),
        }
    }

    /// Records a result.
    ///
    /// # Errors
    /// One sentence, once: nothing is recorded after it.
    pub(super) fn record(&mut self, record: &Record) -> Result<(), String> {
        self.write(|writer| writer.record(record))
    }

    /// Records a mark.
    ///
    /// # Errors
    /// As for `record`.
    pub(super) fn mark(&mut self, at: Timestamp, word: &str) -> Result<(), String> {
        self.write(|writer| writer.mark(at, word))
    }

    fn write(&mut self, write: impl FnOnce(&mut RecordingWriter) -> io::Result<()>) -> Result<(), String> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        write(writer).map_err(|error| {
            self.writer = None;
            let sentence = self.sentence(&error);
            self.failure = Some(sentence.clone());
            sentence
        })
    }

    /// Ends the recording in order.
    ///
    /// # Errors
    /// What keeps it from being whole, in one sentence.
    pub(super) fn finish(self) -> Result<(), String> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let Self { writer, file, .. } = self;
        let finished = writer.map_or(Ok(()), RecordingWriter::finish);
        finished.map_err(|error| format!("--record {file}: the recording is not whole: {error}"))
    }

    fn sentence(&self, error: &io::Error) -> String {
        format!("--record {}: the recording has ended: {error}", self.file)
    }
}
