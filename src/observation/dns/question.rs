//! One question to one server, and what came of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Transport, ViewOutcome};
use crate::clock::Seconds;

/// One question to one server, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Question {
    /// The name asked for.
    pub name: String,
    /// `A` or `AAAA`.
    #[serde(rename = "type")]
    pub record_type: String,
    /// What came of it.
    pub outcome: ViewOutcome,
    /// The response code, where there was a response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rcode: Option<String>,
    /// The transport of the answer, or of the last attempt.
    pub transport: Transport,
    /// How often it was sent over UDP; 1 where it went over TCP alone.
    pub attempts: u32,
    /// Whether the answer over UDP was truncated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// Whether nothing came over UDP, and an answer over TCP did.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub udp_silent: bool,
    /// Whether nothing came with EDNS, and an answer without.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub edns_dropped: bool,
    /// The response code that it got with EDNS, where it was answered without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edns_refused: Option<String>,
    /// How many datagrams came that were no answer to it (another id, another question, undecodable).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unexpected_datagrams: u32,
    /// How many records the answer section held.
    pub answers: usize,
    /// From the first attempt to the answer, or to giving up.
    pub took_seconds: Seconds,
}

impl Question {
    /// Whether only the query without EDNS was answered.
    pub fn is_without_edns(&self) -> bool {
        self.edns_dropped || self.edns_refused.is_some()
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}
