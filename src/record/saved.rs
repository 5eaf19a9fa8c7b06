//! Saved records and reports, read back and diagnosed again by the present rules.
//!
//! What was measured is kept: vantage, times, expectation, observation. Findings and verdict are made
//! anew, so that those of an older or newer version, with codes that this one does not know, are no
//! obstacle. A file may be from anywhere: it is read within bounds, and refused with where and why.

mod json_path;

use std::fmt;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{Record, Report};
use crate::clock::{Seconds, Timestamp};
use crate::diagnosis::Verdict;
use crate::expectation::Expectation;
use crate::observation::Observation;
use crate::printable::printable;
use crate::target::Target;
use crate::vantage::Vantage;

/// The most bytes that are read of a file.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The version of record and report that this program writes.
const VERSION: u64 = 1;

/// The longest part of a message that quotes the file.
const MAX_MESSAGE: usize = 240;

/// What a file held, diagnosed again.
#[derive(Debug)]
pub struct Saved {
    /// The records in the order of the file, with new findings and verdicts.
    pub report: Report,
    /// For each record, the verdict that was saved with it, where it says one.
    pub verdicts: Vec<Option<SavedVerdict>>,
}

/// A verdict as it was saved: its cause may be one that this version does not know.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SavedVerdict {
    /// `pass`, `warn`, `unknown` or `fail`.
    pub status: String,
    /// The code that decided.
    pub cause: String,
}

impl SavedVerdict {
    /// A verdict in the words that are saved.
    pub fn of(verdict: &Verdict) -> Self {
        Self { status: verdict.status.as_str().to_owned(), cause: verdict.cause.as_str().to_owned() }
    }
}

impl PartialEq<Verdict> for SavedVerdict {
    fn eq(&self, verdict: &Verdict) -> bool {
        self.status == verdict.status.as_str() && self.cause == verdict.cause.as_str()
    }
}

impl fmt::Display for SavedVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.status, self.cause)
    }
}

/// Why a file cannot be read, one sentence that says where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads a record, records one per line, a report or the agent's `/api/v1/records`, and diagnoses
/// all of it again.
///
/// # Errors
/// It is no such document, a version that this program does not read, damaged, or too large.
pub fn read(bytes: &[u8]) -> Result<Saved, Unreadable> {
    if bytes.len() > MAX_BYTES {
        return Err(Unreadable(format!("it is longer than {} MiB", MAX_BYTES / 1024 / 1024)));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Unreadable(format!("byte {} is not UTF-8 text", error.valid_up_to() + 1)))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut found = Found::default();
    let mut documents = 0;
    for document in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
        let document = document.map_err(|error| not_json(&error))?;
        found.document(Place { text, part: document.get(), path: String::new() })?;
        documents += 1;
    }
    if documents == 0 {
        return Err(Unreadable(format!("it is empty: {EXPECTED}")));
    }
    found.into_saved()
}

const EXPECTED: &str =
    "a record (redpath.record/v1), records one per line, or a report (redpath.report/v1) is expected";

/// What has been read so far.
#[derive(Default)]
struct Found {
    records: Vec<Record>,
    verdicts: Vec<Option<SavedVerdict>>,
    /// Of the report, where the file is one.
    made: Option<(Vantage, Timestamp)>,
}

/// The keys that tell the kind of a document.
#[derive(Deserialize)]
struct Kind<'a> {
    schema: Option<String>,
    #[serde(borrow)]
    records: Option<Vec<&'a RawValue>>,
}

/// The keys of a report that are kept.
#[derive(Deserialize)]
struct ReportHead {
    vantage: Vantage,
    generated_at: Timestamp,
}

/// The keys of a record that are kept, but for what was seen.
#[derive(Deserialize)]
struct RecordHead {
    started_at: Timestamp,
    took_seconds: Seconds,
    target: Target,
    vantage: Vantage,
    expectation: Expectation,
    verdict: Option<serde_json::Value>,
    // Part of the observation, where each may be absent; a record without them says nothing.
    #[serde(rename = "resolution")]
    _resolution: serde::de::IgnoredAny,
    #[serde(rename = "phases")]
    _phases: serde::de::IgnoredAny,
}

impl Found {
    fn document(&mut self, place: Place<'_>) -> Result<(), Unreadable> {
        let kind = place.kind(EXPECTED)?;
        let Some(schema) = kind.schema else {
            return match kind.records {
                Some(records) => self.records(place, &records), // of /api/v1/records
                None => Err(place.refuse(&format!("has no key schema: {EXPECTED}"))),
            };
        };
        match schema.strip_prefix("redpath.").and_then(|rest| rest.split_once("/v")) {
            Some(("record", version)) => {
                place.known_version(&schema, version)?;
                self.record(&place)
            }
            Some(("report", version)) => {
                place.known_version(&schema, version)?;
                let head: ReportHead = place.read()?;
                self.made.get_or_insert((head.vantage, head.generated_at));
                let records = kind.records.ok_or_else(|| place.refuse("has no key records: a report is expected"))?;
                self.records(place, &records)
            }
            _ => Err(place.refuse(&format!("says schema {}: {EXPECTED}", quoted(&schema)))),
        }
    }

    fn records(&mut self, place: Place<'_>, records: &[&RawValue]) -> Result<(), Unreadable> {
        for (at, record) in records.iter().enumerate() {
            let place = Place { text: place.text, part: record.get(), path: format!("records[{at}]") };
            let kind = place.kind("a record is expected")?;
            let schema = kind.schema.ok_or_else(|| place.refuse("has no key schema: redpath.record/v1 is expected"))?;
            let version = schema.strip_prefix("redpath.record/v").ok_or_else(|| {
                place.refuse(&format!("says schema {}: redpath.record/v1 is expected", quoted(&schema)))
            })?;
            place.known_version(&schema, version)?;
            self.record(&place)?;
        }
        Ok(())
    }

    fn record(&mut self, place: &Place<'_>) -> Result<(), Unreadable> {
        let head: RecordHead = place.read()?;
        let observation: Observation = place.read()?;
        self.verdicts.push(head.verdict.and_then(|verdict| serde_json::from_value(verdict).ok()));
        let RecordHead { started_at, took_seconds, target, vantage, expectation, .. } = head;
        let again = Record::new(started_at, took_seconds, target, vantage.clone(), expectation, observation);
        self.records.push(Record { vantage, ..again });
        Ok(())
    }

    fn into_saved(self) -> Result<Saved, Unreadable> {
        let last = self.records.iter().map(|record| record.started_at).max();
        let Some(last) = last else { return Err(Unreadable(format!("it holds no record: {EXPECTED}"))) };
        let (vantage, generated_at) = self.made.unwrap_or_else(|| (vantage_of(&self.records), last));
        Ok(Saved { report: Report::new(vantage, generated_at, self.records), verdicts: self.verdicts })
    }
}

/// The vantage of records that stand in no report: their own where they share one, else their hosts' names.
fn vantage_of(records: &[Record]) -> Vantage {
    let first = records.first().map(|record| record.vantage.clone()).unwrap_or_default();
    let apart = |vantage: &Vantage| Vantage { source_addresses: Vec::new(), ..vantage.clone() };
    if records.iter().all(|record| apart(&record.vantage) == apart(&first)) {
        return first;
    }
    let mut hosts: Vec<&str> = records.iter().map(|record| record.vantage.hostname.as_str()).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let hostname = match hosts.as_slice() {
        [one, two, three, _, ..] => format!("{one}, {two}, {three} and {} more", hosts.len() - 3),
        few => few.join(", "),
    };
    Vantage { hostname, ..Vantage::default() }
}

/// A part of the file, and where it stands.
struct Place<'a> {
    text: &'a str,
    part: &'a str,
    /// The keys that lead to it, empty for a document.
    path: String,
}

impl<'a> Place<'a> {
    fn kind(&self, expected: &str) -> Result<Kind<'a>, Unreadable> {
        if !self.part.starts_with('{') {
            return Err(self.refuse(&format!("is no JSON object: {expected}")));
        }
        serde_json::from_str(self.part).map_err(|error| self.wrong(&error, "", expected))
    }

    /// Reads the part as a `T`; keys that `T` does not have are passed over.
    fn read<T: DeserializeOwned>(&self) -> Result<T, Unreadable> {
        serde_json::from_str(self.part).map_err(|error| {
            let path = json_path::at(self.part, error.line(), error.column());
            self.wrong(&error, &path, "")
        })
    }

    fn known_version(&self, schema: &str, version: &str) -> Result<(), Unreadable> {
        let schema = quoted(schema);
        let is_number = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit());
        match version.parse::<u64>() {
            Ok(VERSION) => Ok(()),
            Ok(0) => Err(self.refuse(&format!("says schema {schema}, which was never released: v{VERSION} is read"))),
            _ if is_number => {
                Err(self.refuse(&format!("says schema {schema}: this redpath reads up to v{VERSION}; upgrade")))
            }
            _ => Err(self.refuse(&format!("says schema {schema}: {EXPECTED}"))),
        }
    }

    /// What is wrong at `path` below this place, by line, column and keys.
    fn wrong(&self, error: &serde_json::Error, path: &str, expected: &str) -> Unreadable {
        let (line, column) = self.position(error.line(), error.column());
        let path = match (self.path.as_str(), path) {
            ("", path) => path.to_owned(),
            (own, "") => own.to_owned(),
            (own, path) => format!("{own}.{path}"),
        };
        let path = if path.is_empty() { String::new() } else { format!(" ({})", shortened(&path)) };
        let expected = if expected.is_empty() { String::new() } else { format!("; {expected}") };
        Unreadable(format!("line {line}, column {column}{path}: {}{expected}", without_position(error)))
    }

    fn refuse(&self, why: &str) -> Unreadable {
        let (line, _) = self.position(1, 1);
        match self.path.as_str() {
            "" => Unreadable(format!("the document at line {line} {why}")),
            path => Unreadable(format!("{path} at line {line} {why}")),
        }
    }

    /// A position in the part as one in the file.
    fn position(&self, line: usize, column: usize) -> (usize, usize) {
        // The part is a slice of the text.
        let offset = (self.part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        let before = self.text.get(..offset).unwrap_or_default();
        let lines = before.bytes().filter(|byte| *byte == b'\n').count();
        let on_line = before.len() - before.rfind('\n').map_or(0, |at| at + 1);
        (lines + line.max(1), if line <= 1 { on_line + column.max(1) } else { column })
    }
}

fn not_json(error: &serde_json::Error) -> Unreadable {
    let why = without_position(error);
    let what = if error.is_eof() { "the JSON breaks off" } else { "it is not JSON" };
    Unreadable(format!("line {}, column {}: {what}: {why}; {EXPECTED}", error.line(), error.column()))
}

/// serde_json ends its messages with a position, which is relative to the part here.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let end = text.rfind(" at line ").unwrap_or(text.len());
    let text = text.get(..end).unwrap_or_default();
    // A text where none belongs is no record's, and may be anything: a key of another file.
    let untold = text.strip_prefix("invalid type: string ").and_then(|text| text.rsplit_once(", expected "));
    let untold = untold.map(|(_, expected)| format!("invalid type: a string, expected {expected}"));
    let text = untold.as_deref().unwrap_or(text);
    // The reader knows no type of this program.
    for kind in ["expected struct ", "expected internally tagged enum ", "expected enum "] {
        if let Some((before, _)) = text.rsplit_once(kind) {
            return format!("{}expected an object", shortened(before));
        }
    }
    shortened(text)
}

fn quoted(text: &str) -> String {
    format!("{:?}", cut(text))
}

/// A text that may quote the file, bounded, and nothing in it that acts on a terminal.
fn shortened(text: &str) -> String {
    cut(&printable(text))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
