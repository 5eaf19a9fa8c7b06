//! The exit status, which scripts and pipelines depend on.

use std::process;

use crate::diagnosis::Status;

/// What the exit status says, a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Every target passes; the command did what it is for.
    Pass = 0,
    /// At least one target fails.
    Fail = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// Inconclusive: interrupted, or no view could be queried.
    Unknown = 3,
}

impl ExitCode {
    /// The exit status for targets of these statuses. A failure outranks what is inconclusive;
    /// with `strict`, a warning is a failure.
    pub fn of(statuses: impl IntoIterator<Item = Status>, strict: bool) -> Self {
        let mut exit_code = Self::Pass;
        for status in statuses {
            match status {
                Status::Fail => return Self::Fail,
                Status::Warn if strict => return Self::Fail,
                Status::Unknown => exit_code = Self::Unknown,
                Status::Pass | Status::Warn => {}
            }
        }
        exit_code
    }
}

impl From<ExitCode> for process::ExitCode {
    fn from(exit_code: ExitCode) -> Self {
        Self::from(exit_code as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_code_failure_outranks_inconclusive() {
        for (statuses, strict, expected) in [
            (vec![Status::Pass, Status::Warn], false, ExitCode::Pass),
            (vec![Status::Pass, Status::Warn], true, ExitCode::Fail),
            (vec![Status::Unknown, Status::Pass], false, ExitCode::Unknown),
            (vec![Status::Unknown, Status::Fail], false, ExitCode::Fail),
            (vec![Status::Unknown, Status::Warn], true, ExitCode::Fail),
            (vec![Status::Unknown, Status::Warn], false, ExitCode::Unknown),
        ] {
            assert_eq!(ExitCode::of(statuses.iter().copied(), strict), expected, "{statuses:?}, strict: {strict}");
        }
    }
}
