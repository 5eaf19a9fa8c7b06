//! `redpath config`.

use crate::cli::ConfigCommand;
use crate::exit_code::ExitCode;

/// Runs one of the configuration's commands.
pub async fn run(_command: ConfigCommand) -> ExitCode {
    ExitCode::Unknown
}
