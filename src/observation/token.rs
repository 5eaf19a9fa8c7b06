//! The result of fetching a token of Entra ID. Contains expiry and object ID only, never the token.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::{Seconds, Timestamp};
use crate::plan::TokenSource;

/// Facts about the token and its source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TokenFacts {
    /// The token source.
    pub source: TokenSource,
    /// The client ID that is configured, or that the environment gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The object ID of the token's identity, from its claim `oid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_id: Option<String>,
    /// When it expires, by the clock of the issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Whether it was fetched by an earlier probe.
    #[serde(default)]
    pub cached: bool,
    /// How far the local clock is off, where the dates of a token that was just issued cannot be right by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_skew: Option<ClockSkew>,
    /// The environment variable that names an HTTP proxy for the token endpoint, which is not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unused_proxy: Option<String>,
    /// Why the token could not be refreshed, where the cached one was still valid and was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_failure: Option<TokenFailure>,
}

impl TokenFacts {
    /// The facts before anything was fetched.
    pub fn of(source: TokenSource) -> Self {
        Self {
            source,
            client_id: None,
            object_id: None,
            expires_at: None,
            cached: false,
            clock_skew: None,
            unused_proxy: None,
            refresh_failure: None,
        }
    }
}

/// The local clock compared with that of the token's issuer.
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
    /// A token that was just issued has expired by the local clock.
    Ahead,
    /// A token that was just issued is not valid yet by the local clock.
    Behind,
}

/// Why fetching a token failed. Text from outside is bounded, escaped, and withheld where it may hold a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TokenFailure {
    /// A setting that the source needs is missing or invalid.
    NotConfigured {
        /// The setting and the reason.
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
        /// The step that failed.
        step: TokenStep,
        /// The reason.
        error: String,
    },
    /// There was no token in time.
    Timeout {
        /// The endpoint, or `az`.
        endpoint: String,
        /// The step in progress.
        step: TokenStep,
    },
    /// The endpoint refused.
    Rejected {
        /// Its host and port.
        endpoint: String,
        /// The HTTP status.
        status: u16,
        /// The error code: `AADSTS700016`, `invalid_request`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        /// The error message.
        message: String,
    },
    /// The response has no valid token.
    BadAnswer {
        /// The endpoint, or `az`.
        endpoint: String,
        /// What is wrong with the response.
        error: String,
    },
    /// `az` is not on PATH.
    AzNotFound,
    /// No `az login`, or it has expired.
    AzNotLoggedIn {
        /// The error message.
        message: String,
    },
    /// Another failure of `az`.
    AzFailed {
        /// The error message.
        message: String,
    },
}

/// The steps of fetching a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenStep {
    /// Resolving the name of the endpoint.
    Resolve,
    /// TCP.
    Connect,
    /// TLS.
    Tls,
    /// The request and its response; `az` running.
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
            Self::BadAnswer { endpoint, error } => write!(f, "{endpoint} gave no token: {error}"),
            Self::AzNotFound => f.write_str("az is not found on PATH"),
            Self::AzNotLoggedIn { message } => write!(f, "az is not logged in: {message}"),
            Self::AzFailed { message } => write!(f, "az fails: {message}"),
        }
    }
}
