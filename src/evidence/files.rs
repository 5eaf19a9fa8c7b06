//! Reads journals and records of any number of vantages, line by line.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::timeline::{Labels, Timelines};
use crate::bounded_read::{self, FileKind};
use crate::clock::Timestamp;
use crate::journal::digest::Digest;
use crate::journal::line::{Entry, Line, Mark, Started};
use crate::journal::read::RawLine;
use crate::journal::verify::{Fault, FaultKind, Head, Verified};
use crate::journal::write;
use crate::record::saved;
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
    /// The programs that wrote it, with their starts.
    pub starts: Vec<(Timestamp, Started)>,
    /// The words that operators set.
    pub marks: Vec<Mark>,
    /// The digests of its lines but the last, by number.
    pub digests: Vec<(u64, Digest)>,
}

impl JournalRead {
    fn note(&mut self, line: &Line) {
        if let Some(before) = line.number.checked_sub(1).filter(|_| line.number > 1) {
            self.digests.push((before, line.previous));
        }
        match &line.entry {
            Entry::File(start) => self.vantage = Some(start.vantage.clone()),
            Entry::Lost { probes } => self.lost = self.lost.saturating_add(*probes),
            Entry::ClockStep { .. } => self.clock_steps += 1,
            Entry::Started(started) if self.starts.len() < MAX_NOTES => self.starts.push((line.at, started.clone())),
            Entry::Mark(mark) if self.marks.len() < MAX_NOTES => self.marks.push(mark.clone()),
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

/// Reads files of journals and of records, and the journals in directories. Files of journals in one directory are
/// one journal.
///
/// # Errors
/// One sentence that names the file.
pub fn read_files(paths: &[PathBuf]) -> Result<Evidence, String> {
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
            evidence.add_journal(journal)?;
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

    fn add_journal(&mut self, paths: Vec<PathBuf>) -> Result<(), String> {
        let mut journal = JournalRead { paths, ..JournalRead::default() };
        let mut verified = Verified::default();
        let mut reader = Reader { labels: Labels::default(), timelines: &mut self.timelines };
        for (index, path) in journal.paths.clone().iter().enumerate() {
            let file =
                File::open(path).map_err(|error| format!("{}: it cannot be read: {error}", quote::path(path)))?;
            verified.file_with(index, BufReader::with_capacity(1 << 16, file), |line| {
                journal.note(&line);
                reader.line(&line);
            });
        }
        journal.verified = verified;
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
            }
            Entry::Unchanged(unchanged) => self.timelines.add_unchanged(&self.labels, unchanged),
            Entry::Started(_)
            | Entry::Configuration(_)
            | Entry::Mark(_)
            | Entry::Stopped {}
            | Entry::Removed { .. }
            | Entry::Lost { .. }
            | Entry::ClockStep { .. } => {}
        }
    }
}

fn labels(vantage: &Vantage) -> Labels {
    Arc::new(vantage.metric_labels())
}
