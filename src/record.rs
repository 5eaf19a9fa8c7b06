//! The record: all that an output receives, and enough to be diagnosed again.

pub mod clients;
pub mod connections;
pub mod held;
pub mod kept_answer;
pub mod saved;
pub mod standing;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::{Seconds, Timestamp};
use crate::diagnosis::pair::Migration;
use crate::diagnosis::{self, Finding, Status, Verdict};
use crate::expectation::Expectation;
use crate::observation::{Observation, Usable};
use crate::target::Target;
use crate::vantage::Vantage;
use kept_answer::KeptAnswer;

/// The schema of a record, as it stands in its field `schema`.
pub const RECORD_SCHEMA: &str = "redpath.record/v1";

/// The schema of a report.
pub const REPORT_SCHEMA: &str = "redpath.report/v1";

/// One probe of one target: what was expected, what was seen and what it means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// `redpath.record/v1`.
    #[schemars(extend("const" = RECORD_SCHEMA))]
    pub schema: String,
    /// When the probe began.
    pub started_at: Timestamp,
    /// How long the whole probe took.
    pub took_seconds: Seconds,
    /// What was probed.
    pub target: Target,
    /// Where from.
    pub vantage: Vantage,
    /// What was expected.
    pub expectation: Expectation,
    /// What was seen.
    #[serde(flatten)]
    pub observation: Observation,
    /// Whether the cache could be used, by whatever path.
    #[serde(default)]
    pub usable: Usable,
    /// What a migration shows, where the old name was probed too. It follows from the rest, and is not read back.
    #[serde(default, skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub migration: Option<Box<Migration>>,
    /// Before a cutover, while every answer is public: the resolver that may keep its answer longest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_answer_kept: Option<KeptAnswer>,
    /// What it means, causes before what is merely worth knowing.
    pub findings: Vec<Finding>,
    /// The verdict.
    pub verdict: Verdict,
}

impl Record {
    /// Diagnoses an observation and keeps all of it.
    pub fn new(
        started_at: Timestamp,
        took: impl Into<Seconds>,
        target: Target,
        mut vantage: Vantage,
        expectation: Expectation,
        observation: Observation,
    ) -> Self {
        let diagnosis = diagnosis::diagnose(&target, &expectation, &observation, started_at);
        if let Some(source) = observation.connection.as_ref().and_then(|connection| connection.source) {
            vantage.source_addresses = vec![source];
        }
        Self {
            schema: RECORD_SCHEMA.to_owned(),
            started_at,
            took_seconds: took.into(),
            target,
            vantage,
            usable: observation.usable(),
            public_answer_kept: KeptAnswer::of(&observation.resolution, &expectation, started_at),
            expectation,
            observation,
            migration: diagnosis.migration,
            findings: diagnosis.findings,
            verdict: diagnosis.verdict,
        }
    }
}

/// The document of `check --output json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// `redpath.report/v1`.
    #[schemars(extend("const" = REPORT_SCHEMA))]
    pub schema: String,
    /// What made it.
    pub tool: Tool,
    /// Where from.
    pub vantage: Vantage,
    /// When it was made.
    pub generated_at: Timestamp,
    /// One record per target, in the order of the command line.
    pub records: Vec<Record>,
    /// The worst of the records' verdicts; its cause is that of the first record that has it.
    pub verdict: Verdict,
}

impl Report {
    /// A report of `records`.
    pub fn new(mut vantage: Vantage, generated_at: Timestamp, records: Vec<Record>) -> Self {
        let mut worst: Option<&Verdict> = None;
        for record in &records {
            if worst.is_none_or(|worst| record.verdict.status > worst.status) {
                worst = Some(&record.verdict);
            }
            for source in &record.vantage.source_addresses {
                if !vantage.source_addresses.contains(source) {
                    vantage.source_addresses.push(*source);
                }
            }
        }
        let verdict = worst.cloned().unwrap_or(Verdict { status: Status::Unknown, cause: diagnosis::Cause::Unknown });
        Self { schema: REPORT_SCHEMA.to_owned(), tool: Tool::this(), vantage, generated_at, records, verdict }
    }
}

/// A program and its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// `redpath`.
    pub name: String,
    /// The version, as in the changelog.
    pub version: String,
}

impl Tool {
    /// This program.
    pub fn this() -> Self {
        Self { name: env!("CARGO_PKG_NAME").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
    }
}
