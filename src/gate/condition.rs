//! The conditions that make a vantage ready.

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter};

/// A condition, in the order of what its repair costs: the cheapest first.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    Display,
    EnumIter,
    ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Condition {
    /// No application has a connection on the public path, where redpath looked
    Application,
    /// The last probe is not older than two intervals
    Heard,
    /// No gap between probes is longer than three intervals
    Gaps,
    /// The journals are whole
    Chain,
    /// All views gave the same answer
    Views,
    /// TCP, TLS and a reply of Redis succeeded
    Usable,
    /// The address is the expected one
    Address,
    /// The path is private
    Path,
}

impl Condition {
    /// What to do where it is not met.
    pub fn fix(self) -> &'static str {
        match self {
            Self::Application => {
                "restart the clients that hold the old connections: `redpath connections` there lists them"
            }
            Self::Heard => "see whether the agent runs there, and whether its metrics or journal arrive",
            Self::Gaps => "wait until the time without a gap is long enough, or find what stopped the agent",
            Self::Chain => "copy the journal again; `redpath journal verify` names the line",
            Self::Views => "wait until the longest TTL is over, then look at the views with `redpath check`",
            Self::Usable => "run `redpath check` there: it names the phase that fails and why",
            Self::Address => "run `redpath check` there: it names the address, and which record gives it",
            Self::Path => "run `redpath check` there: it names the cause, such as a zone that is not linked",
        }
    }
}
