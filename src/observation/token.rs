//! What became of fetching a token of Entra ID. No token, and nothing of one but its dates and its owner, is ever here.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::{Seconds, Timestamp};
use crate::plan::TokenSource;

/// What is known of the token and of its source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TokenFacts {
    /// Who hands it out.
    pub source: TokenSource,
    /// The client ID that is configured, or that the environment gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The object ID of the identity that the token is for, as the token itself says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_id: Option<String>,
    /// When it expires, by the clock of who issued it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Whether it was kept from an earlier probe.
    #[serde(default)]
    pub cached: bool,
    /// How far the local clock is off, where the dates of a token that was just issued cannot be right by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_skew: Option<ClockSkew>,
    /// Why the token could not be refreshed, where a valid one was kept and used all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_failure: Option<TokenFailure>,
}

impl TokenFacts {
    /// Nothing known yet of a token from there.
    pub fn of(source: TokenSource) -> Self {
        Self {
            source,
            client_id: None,
            object_id: None,
            expires_at: None,
            cached: false,
            clock_skew: None,
            refresh_failure: None,
        }
    }
}

/// The local clock against that of who issued a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClockSkew {
    /// Which way the local clock is off.
    pub direction: SkewDirection,
    /// By how much at least.
    pub at_least_seconds: Seconds,
}

/// Which way the local clock is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SkewDirection {
    /// A token that was just issued has expired by it.
    Ahead,
    /// A token that was just issued begins in its future.
    Behind,
}

/// How fetching a token failed. Text from outside is bounded, escaped, and withheld where it may hold a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TokenFailure {
    /// What the source needs is not set.
    NotConfigured {
        /// What is missing or wrong.
        error: String,
    },
    /// The file of the service account token cannot be read.
    FileUnreadable {
        /// The file and why.
        error: String,
    },
    /// The endpoint could not be reached.
    Unreachable {
        /// Its host and port.
        endpoint: String,
        /// How far it came.
        step: TokenStep,
        /// Why it ended there.
        error: String,
    },
    /// There was no token in time.
    Timeout {
        /// The endpoint, or `az`.
        endpoint: String,
        /// What was under way.
        step: TokenStep,
    },
    /// The endpoint refused.
    Rejected {
        /// Its host and port.
        endpoint: String,
        /// The HTTP status.
        status: u16,
        /// The error's own code: `AADSTS700016`, `invalid_request`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        /// What it says.
        message: String,
    },
    /// What came back is no token.
    BadAnswer {
        /// The endpoint, or `az`.
        endpoint: String,
        /// What is wrong with it.
        error: String,
    },
    /// `az` is not there.
    AzNotFound,
    /// Nobody is logged in with `az`, or not any more.
    AzNotLoggedIn {
        /// What it says.
        message: String,
    },
    /// `az` failed otherwise.
    AzFailed {
        /// What it says.
        message: String,
    },
}

/// The steps of fetching a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenStep {
    /// The endpoint's name is resolved.
    Resolve,
    /// TCP.
    Connect,
    /// TLS.
    Tls,
    /// The request and its answer; `az` at work.
    Answer,
}

impl fmt::Display for TokenFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConfigured { error } | Self::FileUnreadable { error } => f.write_str(error),
            Self::Unreachable { endpoint, step, error } => {
                let step = match step {
                    TokenStep::Resolve => "cannot be resolved",
                    TokenStep::Connect => "cannot be connected to",
                    TokenStep::Tls => "does not get through TLS",
                    TokenStep::Answer => "does not answer",
                };
                write!(f, "{endpoint} {step}: {error}")
            }
            Self::Timeout { endpoint, step } => {
                let step = match step {
                    TokenStep::Resolve => "resolving",
                    TokenStep::Connect => "connecting to",
                    TokenStep::Tls => "the TLS handshake with",
                    TokenStep::Answer => "waiting for",
                };
                write!(f, "no token in time: still {step} {endpoint}")
            }
            Self::Rejected { endpoint, status, code: Some(code), message } if !message.contains(code.as_str()) => {
                write!(f, "{endpoint} refuses (HTTP {status}, {code}): {message}")
            }
            Self::Rejected { endpoint, status, message, .. } => {
                write!(f, "{endpoint} refuses (HTTP {status}): {message}")
            }
            Self::BadAnswer { endpoint, error } => write!(f, "{endpoint} answers with no token: {error}"),
            Self::AzNotFound => f.write_str("az is not found on PATH"),
            Self::AzNotLoggedIn { message } => write!(f, "az is not logged in: {message}"),
            Self::AzFailed { message } => write!(f, "az fails: {message}"),
        }
    }
}
