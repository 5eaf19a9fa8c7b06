//! Replies of Redis.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

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
    /// What the password looks like, where that is no access key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looks_like: Option<SecretForm>,
    /// Whether a cached token was rejected, and a new one was fetched.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub token_renewed: bool,
}

/// What was given for a password by mistake. It tells nothing of the password itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecretForm {
    /// A whole connection string, or a URL.
    ConnectionString,
    /// With `%3D`, `%2B` or `%2F`, as in a URL.
    PercentEncoded,
    /// Base64 of what looks like an access key.
    Base64OfKey,
    /// With a byte order mark (U+FEFF) in front.
    ByteOrderMark,
    /// A reference that nobody has resolved: `@Microsoft.KeyVault(…)`, `${NAME}`, `<key>`.
    Reference,
}

impl SecretForm {
    /// That of a password.
    pub fn of(password: &str) -> Option<Self> {
        let lower = password.trim().to_ascii_lowercase();
        let begins = |starts: &[&str]| starts.iter().any(|start| lower.starts_with(start));
        if password.starts_with('\u{feff}') {
            Some(Self::ByteOrderMark)
        } else if begins(&["@microsoft.keyvault(", "${", "$(", "{{", "<"]) {
            Some(Self::Reference)
        } else if lower.contains("password=") || begins(&["redis://", "rediss://"]) {
            Some(Self::ConnectionString)
        } else if ["%3d", "%2b", "%2f"].iter().any(|escape| lower.contains(escape)) {
            Some(Self::PercentEncoded)
        } else if is_base64_of_key(password.trim()) {
            Some(Self::Base64OfKey)
        } else {
            None
        }
    }
}

/// Access keys are base64 themselves, of 40 characters and more with `=` at the end.
fn is_base64_of_key(password: &str) -> bool {
    let Ok(decoded) = STANDARD.decode(password).map(Zeroizing::new) else { return false };
    let key = decoded.trim_ascii_end();
    (40..=128).contains(&key.len()) && key.ends_with(b"=") && STANDARD.decode(key).map(Zeroizing::new).is_ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_form_differs_from_a_key() {
        const KEY: &str = "iAITMl7lD127c/VZEl0O+l8qviaXHIoKekaJjP1J1HI=";
        let twice = STANDARD.encode(KEY);
        let with_line_break = STANDARD.encode(format!("{KEY}\n"));
        for (password, form) in [
            ("cache1.redis.cache.windows.net:6380,password=hunter2,ssl=True", Some(SecretForm::ConnectionString)),
            ("rediss://:hunter2@cache1.redis.cache.windows.net", Some(SecretForm::ConnectionString)),
            ("iAITMl7lD127c%2FVZEl0O%2Bl8qviaXHIoKekaJjP1J1HI%3D", Some(SecretForm::PercentEncoded)),
            (&twice, Some(SecretForm::Base64OfKey)),
            (&with_line_break, Some(SecretForm::Base64OfKey)),
            ("\u{feff}hunter2", Some(SecretForm::ByteOrderMark)),
            ("@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/redis)", Some(SecretForm::Reference)),
            ("${REDIS_PASSWORD}", Some(SecretForm::Reference)),
            ("<primary-key>", Some(SecretForm::Reference)),
            (KEY, None),
            ("hunter2", None),
            ("", None),
        ] {
            assert_eq!(SecretForm::of(password), form, "{password}");
        }
    }
}
