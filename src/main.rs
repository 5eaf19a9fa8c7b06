//! The program: read the command line, run the command, exit.

use std::process;

use redpath::cli::ExitCode;
use redpath::cli::{Cli, print_error};
use redpath::commands::{self, hardening};

fn main() -> process::ExitCode {
    hardening::off();
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(exit_code) => return exit_code.into(),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            print_error(&format!("cannot start: {error}"));
            return ExitCode::Unknown.into();
        }
    };
    let exit_code = runtime.block_on(commands::run(cli));
    // The C library's resolver cannot be interrupted: its thread is left behind, not waited for.
    runtime.shutdown_background();
    exit_code.into()
}
