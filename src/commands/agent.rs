//! `redpath agent`: starts the log and runs the agent.

use crate::agent::{self, Exporter, Options, Shutdown};
use crate::cli::{AgentArgs, ExitCode, print_error};
use crate::output::log::{self, LogFormat};
use crate::server::WebConfigFile;

/// Runs the agent until a signal stops it.
pub async fn run(args: AgentArgs) -> ExitCode {
    log::start(args.log_format, args.log_level);
    let web_config = match args.web_config_file.as_deref().map(WebConfigFile::load).transpose() {
        Ok(web_config) => web_config,
        Err(error) => return refuse(args.log_format, &error),
    };
    let exporter = match args.textfile {
        Some(file) => Exporter::Textfile(file),
        None => Exporter::Http { web_config, listen: args.listen },
    };
    match agent::run(Options { config: args.config, exporter, journal: args.journal }).await {
        Ok(Shutdown::Graceful) => ExitCode::Pass,
        Ok(Shutdown::Forced | Shutdown::ExporterFailed) => ExitCode::Unknown,
        Err(error) => refuse(args.log_format, &error.to_string()),
    }
}

/// Prints what is wrong to standard error, or a log line in JSON.
fn refuse(format: LogFormat, error: &str) -> ExitCode {
    match format {
        LogFormat::Text | LogFormat::Journal => error.lines().for_each(print_error),
        LogFormat::Json => tracing::error!(error, "the agent cannot start"),
    }
    ExitCode::Usage
}
