//! `redpath agent`.

use crate::cli::AgentArgs;
use crate::exit_code::ExitCode;

/// Runs the agent.
pub async fn run(_args: AgentArgs) -> ExitCode {
    ExitCode::Unknown
}
