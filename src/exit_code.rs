//! The exit codes.

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// Every target passes.
    Pass = 0,
    /// At least one fails.
    Fail = 1,
    /// Usage or configuration.
    Usage = 2,
    /// It could not be told.
    Unknown = 3,
}
