//! The answer of a gate, `redpath.gate/v1`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use strum::Display;

use super::condition::Condition;
use crate::clock::{Seconds, Timestamp};
use crate::record::Tool;
use crate::statistics::before_after::{BeforeAfter, Overall};

/// The schema, as it stands in the document's field `schema`.
pub const GATE_SCHEMA: &str = "redpath.gate/v1";

/// The answer of a gate with its reasons.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Judgement {
    /// `redpath.gate/v1`.
    #[schemars(extend("const" = GATE_SCHEMA))]
    pub schema: String,
    /// What made it.
    pub tool: Tool,
    /// The moment that is judged.
    pub at: Timestamp,
    /// For how long before it the conditions must have held; 0 where the last probe counts alone.
    pub hold_seconds: Seconds,
    /// The answer.
    pub answer: Answer,
    /// Whether there is a list of expected vantages.
    pub has_list: bool,
    /// How many vantages are expected: the entries of the list, or those that were seen where there is none.
    pub vantages: usize,
    /// How many of them are ready.
    pub vantages_ready: usize,
    /// Each vantage and target.
    pub cells: Vec<Cell>,
    /// What keeps it from being ready: those that cost least to repair first.
    pub reasons: Vec<Reason>,
    /// The entries of the list that no vantage answered for.
    pub silent: Vec<BTreeMap<String, String>>,
    /// The vantages that are not on the list.
    pub unexpected: Vec<BTreeMap<String, String>>,
    /// The conditions that were left out on request.
    pub waived: Vec<Condition>,
    /// The first change to a private path; absent where the files have none, and with metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cutover: Option<Timestamp>,
    /// What it changed for each target, at all vantages that have probes on both sides; for at least two.
    pub overall: Vec<Overall>,
    /// What a reader must know.
    pub notes: Vec<String>,
    /// Where it was read: files, or queries.
    pub sources: Vec<String>,
}

/// May public access be disabled?
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema, Display)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Every expected vantage meets every condition.
    #[strum(serialize = "READY")]
    Ready,
    /// What would decide is not known.
    #[strum(serialize = "CANNOT TELL")]
    CannotTell,
    /// At least one does not.
    #[strum(serialize = "NOT READY")]
    NotReady,
}

/// A vantage and a target.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Cell {
    /// The vantage's labels.
    pub vantage: BTreeMap<String, String>,
    /// The target.
    pub target: String,
    /// Whether this vantage is ready for this target.
    pub answer: Answer,
    /// What the last probe found: `private 10.60.4.5`.
    pub found: String,
    /// The verdict of the last probe and its cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// When the last probe began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// Whether anybody looked at the applications' connections.
    pub application_looked_at: bool,
    /// What the change to a private path changed; absent without one, and where nothing was seen before or after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before_after: Option<BeforeAfter>,
}

/// What keeps a vantage from being ready.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Reason {
    /// The condition; absent where a source cannot be relied on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
    /// Whether it only has to be waited for: the condition is met, and not for long enough.
    pub wait: bool,
    /// Whether it is known, or what would decide is missing.
    pub is_known: bool,
    /// The vantage, or the entry of the list; empty where it is none's.
    pub vantage: BTreeMap<String, String>,
    /// The target; absent where it is of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// What is wrong.
    pub sentence: String,
    /// What to do.
    pub fix: String,
    /// When it will be met, if nothing changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub earliest: Option<Timestamp>,
}
