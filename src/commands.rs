//! The commands: each connects its neighbours and answers with an exit status.

pub mod agent;
pub mod check;
pub mod clients;
pub mod completions;
pub mod config;
pub mod connections;
pub mod explain;
pub mod gate;
pub mod hardening;
pub mod healthcheck;
pub mod journal;
pub mod man;
pub mod report;
pub mod watch;

mod terminal;
mod witness;

use std::io::{self, Write};

use crate::cli::{Cli, Command, ExitCode, print_error};

/// Runs what the command line asks for.
pub async fn run(cli: Cli) -> ExitCode {
    match cli.command {
        Command::Check(args) => check::run(*args).await,
        Command::Watch(args) => watch::run(*args).await,
        Command::Connections(args) => connections::run(*args).await,
        Command::Clients(args) => clients::run(*args).await,
        Command::Agent(args) => agent::run(args).await,
        Command::Explain(args) => explain::run(&args),
        Command::Config(command) => config::run(&command),
        Command::Gate(args) => gate::run(*args).await,
        Command::Report(args) => report::run(*args).await,
        Command::Healthcheck(args) => healthcheck::run(args).await,
        Command::Journal(command) => journal::run(command).await,
        Command::Completions { shell } => completions::run(shell),
        Command::Man { command } => man::run(&command),
    }
}

/// Writes to standard output. That the reader has gone away is no error: it has what it wanted.
///
/// # Errors
/// Whatever else keeps the output from being written, such as a full disk.
pub(crate) fn write_out(text: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes to standard output all that a command has to say.
pub(crate) fn print(text: &[u8]) -> ExitCode {
    match write_out(text) {
        Ok(()) => ExitCode::Pass,
        Err(error) => {
            print_error(&format!("cannot write the output: {error}"));
            ExitCode::Unknown
        }
    }
}
