//! The binary.

use clap::Parser;
use redpath::cli::{Cli, Command};
use redpath::exit_code::ExitCode;

fn main() -> std::process::ExitCode {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return std::process::ExitCode::from(3);
    };
    let code: ExitCode = match Cli::parse().command {
        Command::Agent(args) => runtime.block_on(redpath::commands::agent::run(args)),
    };
    std::process::ExitCode::from(code as u8)
}
