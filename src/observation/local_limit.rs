//! Limits of this process or machine that stopped a part of a probe. They say nothing about the target.

use std::io;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

/// A limit of this process or machine that stopped a part of the probe: the verdict is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum LocalLimit {
    /// Too many calls of `getaddrinfo` have not returned.
    Lookups,
    /// No free file descriptor: EMFILE or ENFILE.
    Descriptors,
    /// Too little CPU: a timeout of the probe fired long after its limit.
    Overloaded,
}

impl LocalLimit {
    /// The limit that an error of the system names, if it does.
    pub fn of(error: &io::Error) -> Option<Self> {
        const ENFILE: i32 = 23;
        const EMFILE: i32 = 24;
        matches!(error.raw_os_error(), Some(ENFILE | EMFILE)).then_some(Self::Descriptors)
    }

    /// The name used in records.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The reason of what was not reached: `local_limit`, and the limit in words.
    pub fn reason(self) -> String {
        format!("local_limit: {}", self.sentence())
    }

    /// The limit in words.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Lookups => "too many calls of getaddrinfo have not returned",
            Self::Descriptors => "no file descriptor was free (EMFILE or ENFILE)",
            Self::Overloaded => "this machine was overloaded: the probe's timeouts fired long after their limits",
        }
    }

    /// What raises the limit.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Lookups => {
                "see which names have silent DNS servers; views of the DNS servers themselves still answer"
            }
            Self::Descriptors => "raise the limit of open files (`ulimit -n`, `LimitNOFILE=`)",
            Self::Overloaded => "give redpath more CPU, fewer targets or longer intervals",
        }
    }
}
