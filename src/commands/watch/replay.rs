//! `--replay`: the entries of a recording, at the pace at which they were written or faster.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::Instant;

use crate::clock::Timestamp;
use crate::journal::recording::{Recorded, RecordedEntry, RecordingReader};
use crate::secret::quote;

/// How many entries are read ahead.
const QUEUE: usize = 16;

/// The entries of a recording.
pub(super) struct Replay {
    entries: Receiver<Result<Recorded, String>>,
    /// How many times as fast as it was written; without pauses where `None`.
    speed: Option<u32>,
    /// The entry that waits for its time.
    waiting: Option<Recorded>,
    /// When the replay began, and when its first entry was written.
    start: Option<(Instant, Timestamp)>,
}

impl Replay {
    /// Reads a file on a thread of its own.
    ///
    /// # Errors
    /// It cannot be read, in one sentence.
    pub(super) fn open(path: &Path, speed: Option<u32>) -> Result<Self, String> {
        let file = quote::path(path).to_string();
        let sentence = |error: std::io::Error| format!("--replay {file}: it cannot be read: {error}");
        let opened = File::open(path).map_err(sentence)?;
        if opened.metadata().map_err(sentence)?.is_dir() {
            return Err(format!("--replay {file}: it is a directory; a file of --record is expected"));
        }
        let (sender, entries) = channel(QUEUE);
        let name = file.clone();
        let read = move || {
            for entry in RecordingReader::new(BufReader::new(opened)) {
                let entry = entry.map_err(|why| format!("--replay {name}: {why}"));
                if sender.blocking_send(entry).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("replay".to_owned()).spawn(read).map_err(sentence)?;
        Ok(Self { entries, speed, waiting: None, start: None })
    }

    /// The next entry, when its time has come. May be dropped while it waits.
    pub(super) async fn next(&mut self) -> Option<Result<RecordedEntry, String>> {
        if self.waiting.is_none() {
            match self.entries.recv().await? {
                Ok(entry) => self.waiting = Some(entry),
                Err(sentence) => return Some(Err(sentence)),
            }
        }
        if let (Some(speed), Some(at)) = (self.speed, self.waiting.as_ref().map(|entry| entry.at)) {
            let (start, first) = *self.start.get_or_insert((Instant::now(), at));
            // None where the clock was set back.
            let after = first.until(at).unwrap_or(Duration::ZERO) / speed;
            if let Some(due) = start.checked_add(after) {
                tokio::time::sleep_until(due).await;
            }
        }
        self.waiting.take().map(|entry| Ok(entry.what))
    }
}
