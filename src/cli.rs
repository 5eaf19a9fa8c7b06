//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::output::log::{LogFormat, LogLevel};

/// The command line.
#[derive(Parser)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Probes on a schedule.
    Agent(AgentArgs),
}

/// The agent's arguments.
#[derive(Args)]
pub struct AgentArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// The web configuration file.
    #[arg(long, value_name = "FILE")]
    pub web_config_file: Option<PathBuf>,
    /// How log lines look.
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// The least severe lines that are written.
    #[arg(long, value_enum, default_value_t)]
    pub log_level: LogLevel,
}
