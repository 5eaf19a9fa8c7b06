//! The arguments of `redpath healthcheck`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// Flags of `redpath healthcheck`.
#[derive(Args, Debug, Clone)]
pub struct HealthcheckArgs {
    /// The agent's address with /-/ready (targets are probed) or /-/healthy (the agent runs)
    #[arg(default_value = "http://127.0.0.1:9736/-/ready")]
    pub url: String,
    /// PEM file with the authority of the agent's certificate, for https
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Longest wait for the answer
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
}
