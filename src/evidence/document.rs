//! The evidence of many vantages in one document, `redpath.evidence/v1`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::clock::{Seconds, Timestamp};
use crate::journal::clock_state::ClockService;
use crate::record::Tool;
use crate::record::standing::PathKind;
use crate::statistics::before_after::{BeforeAfter, Overall};

/// The schema, as it stands in the document's field `schema`.
pub const EVIDENCE_SCHEMA: &str = "redpath.evidence/v1";

/// What vantages saw over a period.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct EvidenceReport {
    /// `redpath.evidence/v1`.
    #[schemars(extend("const" = EVIDENCE_SCHEMA))]
    pub schema: String,
    /// What made it.
    pub tool: Tool,
    /// When it was made.
    pub generated_at: Timestamp,
    /// The beginning of the period.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
    /// The moment that times before and after are compared by; absent where nothing changed and none was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cutover: Option<Timestamp>,
    /// Whether that moment was given; otherwise it is the first change from another path to a private one.
    pub cutover_given: bool,
    /// How many vantages were expected; absent without a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<usize>,
    /// The entries of the list that nothing was heard of in the period.
    pub silent: Vec<BTreeMap<String, String>>,
    /// The vantages that are not on the list.
    pub unexpected: Vec<BTreeMap<String, String>>,
    /// Each vantage and target.
    pub cells: Vec<EvidenceCell>,
    /// What the cutover changed for each target, at all vantages that saw it before and after; for at least two.
    pub overall: Vec<Overall>,
    /// The journals that were read.
    pub journals: Vec<JournalEvidence>,
    /// How many records were read from files that are no journal.
    pub records: usize,
    /// The files of `az`.
    pub az: Vec<AzEvidence>,
    /// What none of it proves.
    pub not_proven: Vec<String>,
}

/// What one vantage saw of one target.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct EvidenceCell {
    /// The vantage's labels.
    pub vantage: BTreeMap<String, String>,
    /// The target's name.
    pub target: String,
    /// Its host and port.
    pub endpoint: String,
    /// What was expected of it: `path private, to 10.60.4.5`.
    pub expectation: String,
    /// What the last probe found: `private 10.60.4.5`.
    pub found: String,
    /// The verdict of the last probe and its cause.
    pub verdict: String,
    /// Since when what was found has not changed.
    pub since: Timestamp,
    /// When the first probe of the period began.
    pub first: Timestamp,
    /// When the last one began.
    pub last: Timestamp,
    /// How many probes there were.
    pub probes: u64,
    /// How many of them found the cache unusable.
    pub unusable: u64,
    /// For how long the cache was unusable.
    pub unusable_seconds: Seconds,
    /// For how long each path was found.
    pub seconds_on_path: BTreeMap<PathKind, Seconds>,
    /// For how long nothing is known: before the first probe, after the last, and in gaps.
    pub silent_seconds: Seconds,
    /// The time after the last probe that a running agent has not written yet, which is not counted as silent: it
    /// writes unchanged results once a minute. 0 where the journal ends in order, and of records.
    pub not_written_seconds: Seconds,
    /// The gaps between the first and the last probe, at most 100: from the probe before to the one after.
    pub gaps: Vec<Span>,
    /// The changes of what was found, at most 100.
    pub changes: Vec<StandingChange>,
    /// How many changes there were.
    pub changes_total: usize,
    /// The stretches of the period, in order, for a picture; alike ones joined, at most 500.
    pub bands: Vec<Band>,
    /// The longest time of a TCP connection, in a class of 9 % width.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst_connect_seconds: Option<Seconds>,
    /// The longest time of a `PING`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst_ping_seconds: Option<Seconds>,
    /// The codes of the last findings that are errors or warnings.
    pub findings: Vec<String>,
    /// What the cutover changed; absent where nothing was seen before or after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before_after: Option<BeforeAfter>,
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Span {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
}

/// A stretch of one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Band {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
    /// The path.
    pub path: PathKind,
    /// Whether the cache was unusable.
    pub unusable: bool,
}

/// A change of what was found.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct StandingChange {
    /// When the first probe began that found it.
    pub at: Timestamp,
    /// What was found since: `private 10.60.4.5, pass (healthy)`.
    pub found: String,
}

/// A journal that was read.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct JournalEvidence {
    /// The files, the oldest first.
    pub files: Vec<String>,
    /// The vantage that wrote it.
    pub vantage: BTreeMap<String, String>,
    /// How many lines were read.
    pub lines: u64,
    /// The number of the first line; more than 1 where rotation removed older ones.
    pub first: u64,
    /// The number of the last line.
    pub head: u64,
    /// The SHA-256 of the last line.
    pub head_sha256: String,
    /// Whether no line is missing, changed, doubled or out of order.
    pub is_whole: bool,
    /// The first faults.
    pub faults: Vec<String>,
    /// Whether it does not end in order: the program that writes it runs still, or was killed.
    pub is_open: bool,
    /// How many probes could not be written.
    pub lost_probes: u64,
    /// How often the clock was set.
    pub clock_steps: u64,
    /// Which service says last that it has synchronised the clock since the start of the machine; absent where it is
    /// not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_synchronised_by: Option<ClockService>,
    /// The starts of the programs that wrote it.
    pub starts: Vec<JournalStart>,
    /// The words that operators set.
    pub marks: Vec<JournalMark>,
    /// What a witness outside says of it; absent where none was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub witness: Option<String>,
}

/// The start of a program.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct JournalStart {
    /// When.
    pub at: Timestamp,
    /// The program and its version.
    pub program: String,
    /// The SHA-256 of the program's file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binary_sha256: Option<String>,
    /// The SHA-256 of the configuration file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration_sha256: Option<String>,
    /// The user that it ran as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<u32>,
}

/// A word that an operator set.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct JournalMark {
    /// When.
    pub at: Timestamp,
    /// The word.
    pub word: String,
}

/// A file of `az`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AzEvidence {
    /// The file.
    pub file: String,
    /// The SHA-256 of its bytes.
    pub sha256: String,
    /// What it says of the targets.
    pub says: Vec<String>,
}
