//! Reads journals and records of any number of vantages, line by line.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::timeline::{Labels, Timelines};
use crate::bounded_read::{self, FileKind};
use crate::clock::Timestamp;
use crate::journal::clock_state::ClockState;
use crate::journal::digest::Digest;
use crate::journal::line::{Entry, Line, Mark, Started};
use crate::journal::read::RawLine;
use crate::journal::verify::{Fault, FaultKind, Head, Verified};
use crate::journal::write;
use crate::record::{Tool, saved};
use crate::secret::quote;
use crate::vantage::Vantage;

/// All that was read.
#[derive(Debug, Default)]
pub struct Evidence {
    /// What was seen.
    pub timelines: Timelines,
    /// The journals, in the order of their files.
    pub journals: Vec<JournalRead>,
    /// How many records were in files that are no journal.
    pub records: usize,
}

/// The most starts of programs, and the most marks, that are kept of one journal.
const MAX_NOTES: usize = 1000;

/// The most characters that are kept of a word in a journal, such as a mark.
const MAX_WORD: usize = 256;

/// The most digests that are kept of all journals together, the last of each.
pub const MAX_DIGESTS: usize = 2_000_000;

/// Whether the digests of the lines are kept, which a witness is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digests {
    /// They are.
    Keep,
    /// There is no witness.
    Drop,
}

/// A journal, as far as it could be read.
#[derive(Debug, Default)]
pub struct JournalRead {
    /// Its files, the oldest first.
    pub paths: Vec<PathBuf>,
    /// The vantage that wrote it; `None` where its first line is missing.
    pub vantage: Option<Vantage>,
    /// The chain.
    pub verified: Verified,
    /// How many probes it says were lost.
    pub lost: u64,
    /// How often it says that the clock was set.
    pub clock_steps: u64,
    /// What it says last of the synchronisation of the clock.
    pub clock: Option<ClockState>,
    /// The programs that wrote it, with their starts.
    pub starts: Vec<(Timestamp, Started)>,
    /// The words that operators set.
    pub marks: Vec<Mark>,
    /// The digests of its lines but the last, by number; at most as many as there was room for, the last ones.
    pub digests: VecDeque<(u64, Digest)>,
    /// How many digests before these there was no room for.
    pub digests_left_out: u64,
    /// When the first line was written, and when the last one was.
    pub written: Option<(Timestamp, Timestamp)>,
    /// Whether the last program that wrote it did not end in order: it runs still, or was killed.
    pub is_open: bool,
    /// How many starts and marks there are beyond those that are kept.
    pub notes_left_out: u64,
    /// For how many digests there is room, where they are kept at all.
    room: Option<usize>,
}

impl JournalRead {
    /// Reads the chain of one journal from its files, the oldest first, and keeps the digests of its lines.
    ///
    /// # Errors
    /// One sentence that names the file.
    pub fn of_files(paths: Vec<PathBuf>) -> Result<Self, String> {
        Self { paths, room: Some(MAX_DIGESTS), ..Self::default() }.read(|_| {})
    }

    fn read(mut self, mut each: impl FnMut(&Line)) -> Result<Self, String> {
        let mut verified = Verified::default();
        for (index, path) in self.paths.clone().iter().enumerate() {
            let file =
                File::open(path).map_err(|error| format!("{}: it cannot be read: {error}", quote::path(path)))?;
            verified.file_with(index, BufReader::with_capacity(1 << 16, file), |line| {
                self.note(&line);
                each(&line);
            });
        }
        self.verified = verified;
        Ok(self)
    }

    fn note(&mut self, line: &Line) {
        if let Some(room) = self.room.filter(|_| line.number > 1) {
            self.digests.push_back((line.number - 1, line.previous));
            if self.digests.len() > room {
                self.digests.pop_front();
                self.digests_left_out += 1;
            }
        }
        let (first, last) = self.written.unwrap_or((line.at, line.at));
        self.written = Some((first.min(line.at), last.max(line.at)));
        self.is_open = !matches!(line.entry, Entry::Stopped {});
        match &line.entry {
            Entry::File(start) => self.vantage = Some(start.vantage.clone()),
            Entry::Lost { probes } => self.lost = self.lost.saturating_add(*probes),
            Entry::ClockStep { .. } => self.clock_steps += 1,
            Entry::Clock(state) => self.clock = Some(*state),
            Entry::Started(_) if self.starts.len() >= MAX_NOTES => self.notes_left_out += 1,
            Entry::Mark(_) if self.marks.len() >= MAX_NOTES => self.notes_left_out += 1,
            Entry::Started(started) => {
                let tool = Tool { name: word(&started.tool.name), version: word(&started.tool.version) };
                self.starts.push((line.at, Started { tool, ..started.clone() }));
            }
            Entry::Mark(mark) => self.marks.push(Mark { at: mark.at, word: word(&mark.word) }),
            _ => {}
        }
    }

    /// The faults, without an unfinished last line: a journal that is being written may be copied within one.
    pub fn faults(&self) -> impl Iterator<Item = &Fault> {
        let last = self.paths.len().saturating_sub(1);
        let is_tail = move |fault: &Fault| fault.kind == FaultKind::Incomplete && fault.file == last;
        self.verified.faults.iter().filter(move |fault| !is_tail(fault))
    }

    /// The last line.
    pub fn head(&self) -> Option<Head> {
        self.verified.head
    }
}

fn word(text: &str) -> String {
    text.chars().take(MAX_WORD).collect()
}

/// Reads files of journals and of records, and the journals in directories. Files of journals in one directory are
/// one journal.
///
/// # Errors
/// One sentence that names the file.
pub fn read_files(paths: &[PathBuf], digests: Digests) -> Result<Evidence, String> {
    let mut evidence = Evidence::default();
    let mut journals: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for path in paths {
        let refuse = |why: String| format!("{}: {why}", quote::path(path));
        let found = std::fs::metadata(path).map_err(|error| refuse(format!("it cannot be read: {error}")))?;
        if found.is_dir() {
            let files = write::files(path).map_err(|error| refuse(format!("it cannot be read: {error}")))?;
            if files.is_empty() {
                return Err(refuse("no journal is in this directory: journal-NUMBER.ndjson is expected".to_owned()));
            }
            journals.entry(path.clone()).or_default().extend(files);
        } else if is_journal(path).map_err(refuse)? {
            let directory = path.parent().unwrap_or(Path::new("")).to_owned();
            journals.entry(directory).or_default().push(path.clone());
        } else {
            let bytes = bounded_read::read(path, FileKind::FileOrPipe, saved::MAX_BYTES)
                .map_err(|error| refuse(error.to_string()))?;
            evidence.add_records(&bytes).map_err(refuse)?;
        }
    }
    for files in journals.into_values() {
        for journal in chains(files)? {
            evidence.add_journal(journal, digests)?;
        }
    }
    evidence.timelines.sort();
    Ok(evidence)
}

/// The files of one directory as journals: a file that does not begin after the one before is another journal.
fn chains(files: Vec<PathBuf>) -> Result<Vec<Vec<PathBuf>>, String> {
    let mut numbered = Vec::with_capacity(files.len());
    for path in files {
        let first = first_line(&path).map_err(|why| format!("{}: {why}", quote::path(&path)))?;
        let line = first.as_ref().and_then(|line| line.parse().ok());
        let number = line.as_ref().map_or(0, |line| line.number);
        let vantage = match line.map(|line| line.entry) {
            Some(Entry::File(start)) => Some(start.vantage.metric_labels()),
            _ => None,
        };
        numbered.push((vantage, number, path));
    }
    numbered.sort();
    numbered.dedup();
    let mut chains: Vec<Vec<PathBuf>> = Vec::new();
    let mut before: Option<(Option<BTreeMap<String, String>>, u64)> = None;
    for (vantage, number, path) in numbered {
        let follows = before.as_ref().is_some_and(|(of, last)| *of == vantage && *last < number);
        match chains.last_mut().filter(|_| follows) {
            Some(chain) => chain.push(path),
            None => chains.push(vec![path]),
        }
        before = Some((vantage, number));
    }
    Ok(chains)
}

/// Whether the first line is one of a journal.
fn is_journal(path: &Path) -> Result<bool, String> {
    Ok(first_line(path)?.is_some_and(|line| line.parse().is_ok()))
}

fn first_line(path: &Path) -> Result<Option<RawLine>, String> {
    let found = std::fs::metadata(path).map_err(|error| format!("it cannot be read: {error}"))?;
    if !found.is_file() {
        return Ok(None); // a pipe can be read once
    }
    let file = File::open(path).map_err(|error| format!("it cannot be read: {error}"))?;
    Ok(crate::journal::read::Lines::new(BufReader::new(file)).next().and_then(Result::ok))
}

impl Evidence {
    /// Takes in a file of records.
    ///
    /// # Errors
    /// It is none.
    pub fn add_records(&mut self, bytes: &[u8]) -> Result<(), String> {
        let saved = saved::read(bytes).map_err(|error| error.to_string())?;
        for record in &saved.report.records {
            self.timelines.add_record(&labels(&record.vantage), record);
            self.records += 1;
        }
        Ok(())
    }

    fn add_journal(&mut self, paths: Vec<PathBuf>, digests: Digests) -> Result<(), String> {
        let kept: usize = self.journals.iter().map(|journal| journal.digests.len()).sum();
        let room = match digests {
            Digests::Keep => Some(MAX_DIGESTS.saturating_sub(kept)),
            Digests::Drop => None,
        };
        let mut reader = Reader { labels: Labels::default(), timelines: &mut self.timelines };
        let journal = JournalRead { paths, room, ..JournalRead::default() }.read(|line| reader.line(line))?;
        self.journals.push(journal);
        Ok(())
    }

    /// Takes in one journal from memory.
    pub fn add_journal_lines(&mut self, input: impl BufRead) -> Verified {
        let mut verified = Verified::default();
        let mut reader = Reader { labels: Labels::default(), timelines: &mut self.timelines };
        verified.file_with(0, input, |line| reader.line(&line));
        verified
    }
}

struct Reader<'t> {
    labels: Labels,
    timelines: &'t mut Timelines,
}

impl Reader<'_> {
    fn line(&mut self, line: &Line) {
        match &line.entry {
            Entry::File(start) => self.labels = labels(&start.vantage),
            Entry::Record(record) => {
                if *self.labels != record.vantage.metric_labels() {
                    self.labels = labels(&record.vantage);
                }
                self.timelines.add_record(&self.labels, record);
                self.timelines.open(&self.labels, &record.target.name);
            }
            Entry::Unchanged(unchanged) => {
                self.timelines.add_unchanged(&self.labels, unchanged);
                self.timelines.open(&self.labels, &unchanged.target);
            }
            Entry::Stopped {} => self.timelines.close(&self.labels),
            Entry::Started(_)
            | Entry::Configuration(_)
            | Entry::Clock(_)
            | Entry::Mark(_)
            | Entry::Removed { .. }
            | Entry::Lost { .. }
            | Entry::ClockStep { .. } => {}
        }
    }
}

fn labels(vantage: &Vantage) -> Labels {
    Arc::new(vantage.metric_labels())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u64, entry: Entry) -> Line {
        let at = Timestamp::from_unix(1_780_000_000).expect("a time");
        Line { number, previous: Digest::of(&number.to_le_bytes()), at, entry }
    }

    #[test]
    fn digests_beyond_the_room_are_counted() {
        let mut journal = JournalRead { room: Some(2), ..JournalRead::default() };
        (1..=5).for_each(|number| journal.note(&line(number, Entry::Lost { probes: 1 })));
        let numbers: Vec<u64> = journal.digests.iter().map(|(number, _)| *number).collect();
        assert_eq!((numbers, journal.digests_left_out), (vec![3, 4], 2), "the last ones are kept");
        let mut journal = JournalRead::default();
        (1..=5).for_each(|number| journal.note(&line(number, Entry::Lost { probes: 1 })));
        assert_eq!((journal.digests.len(), journal.digests_left_out), (0, 0), "there is no witness");
    }

    #[test]
    fn marks_are_limited_in_number_and_length() {
        let mut journal = JournalRead::default();
        let mark = Mark { at: Timestamp::from_unix(0).expect("a time"), word: "w".repeat(10_000) };
        (1..=1002).for_each(|number| journal.note(&line(number, Entry::Mark(mark.clone()))));
        assert_eq!((journal.marks.len(), journal.notes_left_out), (MAX_NOTES, 2));
        assert_eq!(journal.marks[0].word.len(), MAX_WORD);
    }
}
