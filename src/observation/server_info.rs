//! What the server says of itself in the reply to `INFO server`: its version, and whether it is Redis Enterprise.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::redis::RedisFailure;

/// The longest value that is kept.
pub const MAX_VALUE: usize = 32;

/// What the reply to `INFO server` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ServerInfo {
    /// `redis_version`; absent where the reply has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis_version: Option<String>,
    /// `redis_mode`: `standalone` or `cluster`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// `rlec_version`, which Redis Enterprise adds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enterprise_version: Option<String>,
    /// Why nothing is known, where the server did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<RedisFailure>,
}

impl ServerInfo {
    /// Reads the lines `field:value` of a reply; other fields, and values that are no plain words, are left out.
    pub fn read(text: &str) -> Self {
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?.trim();
            let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            (!line.is_empty() && line.len() <= MAX_VALUE && line.chars().all(is_plain)).then(|| line.to_owned())
        };
        Self {
            redis_version: value("redis_version"),
            mode: value("redis_mode"),
            enterprise_version: value("rlec_version"),
            failure: None,
        }
    }

    /// The server did not say.
    pub fn unknown(failure: RedisFailure) -> Self {
        Self { failure: Some(failure), ..Self::default() }
    }

    /// The first number of the version.
    pub fn major(&self) -> Option<u32> {
        self.redis_version.as_deref()?.split('.').next()?.parse().ok()
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.redis_version.is_none() && self.mode.is_none() && self.enterprise_version.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_info_keeps_plain_values_alone() {
        let info = ServerInfo::read(
            "# Server\r\nredis_version:7.4.2\r\nredis_mode:standalone\r\nrlec_version:7.22.0-95\r\nrun_id:x\r\n",
        );
        assert_eq!(info.major(), Some(7));
        assert_eq!((info.mode.as_deref(), info.enterprise_version.as_deref()), (Some("standalone"), Some("7.22.0-95")));
        let long = format!("redis_version:{}\n", "7".repeat(MAX_VALUE + 1));
        for hostile in
            ["", "redis_version:\u{1b}[31m", "redis_version:", "redis_version: 7 4", "xredis_version:7", &long]
        {
            assert!(ServerInfo::read(hostile).is_empty(), "{hostile:?}");
        }
    }
}
