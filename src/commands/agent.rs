//! `redpath agent`: starts the log and runs the agent.

use std::io::Write as _;

use crate::agent::{self, Exporter, Options, Shutdown};
use crate::cli::{AgentArgs, ExitCode};
use crate::output::log::{self, LogFormat};
use crate::server::WebConfigFile;

/// Runs the agent until it is told to stop.
pub async fn run(args: AgentArgs) -> ExitCode {
    log::start(args.log_format, args.log_level);
    let web_config = match args.web_config_file.as_deref().map(WebConfigFile::load).transpose() {
        Ok(web_config) => web_config,
        Err(error) => return refuse(args.log_format, &error),
    };
    let outlet = match args.textfile {
        Some(file) => Exporter::Textfile(file),
        None => Exporter::Http { web_config, listen: args.listen },
    };
    match agent::run(Options { config: args.config, outlet }).await {
        Ok(Shutdown::Stopped) => ExitCode::Pass,
        Ok(Shutdown::Forced | Shutdown::ServerFailed) => ExitCode::Unknown,
        Err(error) => refuse(args.log_format, &error.to_string()),
    }
}

/// One sentence on standard error; a line of the log where machines read it.
fn refuse(format: LogFormat, error: &str) -> ExitCode {
    match format {
        // Nobody is left to be told where standard error is closed.
        LogFormat::Text => drop(writeln!(std::io::stderr(), "error: {error}")),
        LogFormat::Json => tracing::error!(error, "the agent cannot start"),
    }
    ExitCode::Usage
}
