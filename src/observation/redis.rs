//! Replies of Redis.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Seconds;

/// How the probe authenticated. No secret is ever here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuthFacts {
    /// The configured method.
    pub method: AuthMethod,
    /// The user name, where one is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Why the credential could not be read, where it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_error: Option<String>,
    /// What surrounds the password and is probably no part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surrounded_by: Option<Surroundings>,
    /// Whether a cached token was rejected, and a new one was fetched.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub token_renewed: bool,
}

/// Characters around a password that a copy may have brought along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Surroundings {
    /// White space at its beginning or end.
    WhiteSpace,
    /// The same quote at both ends.
    Quotes,
}

impl Surroundings {
    /// Those of a password.
    pub fn of(password: &str) -> Option<Self> {
        let quoted = |quote: char| password.len() > 1 && password.starts_with(quote) && password.ends_with(quote);
        if password.trim() != password {
            Some(Self::WhiteSpace)
        } else if quoted('"') || quoted('\'') {
            Some(Self::Quotes)
        } else {
            None
        }
    }
}

/// How a probe authenticates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// Not at all: keyless mode.
    None,
    /// With a user name and a password.
    Password,
    /// With a token of Entra ID.
    Entra,
}

/// Replies to `PING`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PingFacts {
    /// The reply.
    pub reply: PingReply,
    /// The number of replies.
    pub samples: u16,
    /// The shortest time from command to reply.
    pub min_seconds: Seconds,
    /// The median.
    pub median_seconds: Seconds,
    /// The longest.
    pub max_seconds: Seconds,
}

/// A reply that does not fail the phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PingReply {
    /// `PONG`.
    Pong,
    /// `NOAUTH`: a Redis that requires authentication.
    Noauth,
    /// `NOPERM`: authenticated, and the policy does not allow `PING`.
    Noperm,
}

/// How a Redis command failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RedisFailure {
    /// An error reply.
    ErrorReply {
        /// Its first word, `WRONGPASS`; `ERR` where the server gives no other.
        code: String,
        /// The rest, escaped and bounded; withheld where it repeats the credential.
        message: String,
    },
    /// A reply that the command does not have.
    UnexpectedReply {
        /// Its kind or beginning, escaped and bounded.
        reply: String,
    },
    /// The bytes received are not the Redis protocol.
    NotRedis {
        /// What is wrong with it.
        error: String,
    },
    /// A reply longer than the limit.
    TooLong {
        /// The limit in bytes.
        limit: u64,
    },
    /// No reply, or an unfinished one, within the limit of the phase.
    Timeout,
    /// The peer closed the connection.
    Closed,
    /// The peer reset the connection.
    Reset,
    /// Another error of the connection.
    Other {
        /// Its text.
        error: String,
    },
}

impl fmt::Display for RedisFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ErrorReply { code, message } if message.is_empty() => f.write_str(code),
            Self::ErrorReply { code, message } => write!(f, "{code} {message}"),
            Self::UnexpectedReply { reply } => write!(f, "unexpected reply {reply}"),
            Self::NotRedis { error } => write!(f, "not the Redis protocol: {error}"),
            Self::TooLong { limit } => write!(f, "a reply of more than {limit} bytes"),
            Self::Timeout => f.write_str("no reply in time"),
            Self::Closed => f.write_str("the peer closed the connection"),
            Self::Reset => f.write_str("the peer reset the connection"),
            Self::Other { error } => f.write_str(error),
        }
    }
}
