//! The exit statuses: a closed list that scripts and pipelines depend on.

use std::process;

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// Every target passes, or the command did what it is for.
    Pass = 0,
    /// At least one target fails.
    Fail = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// It could not be told.
    Unknown = 3,
}

impl From<ExitCode> for process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}
