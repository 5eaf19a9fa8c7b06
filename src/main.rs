//! The program: parse the command line, run the command, exit.

use std::process;
use std::time::SystemTime;

use redpath::cli::{Cli, ExitCode, print_error};
use redpath::clock;
use redpath::commands::{self, hardening};

fn main() -> process::ExitCode {
    hardening::off();
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(exit_code) => return exit_code.into(),
    };
    if let Err(why) = clock::check(SystemTime::now()) {
        print_error(why);
        return ExitCode::Unknown.into();
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            print_error(&format!("cannot start: {error}"));
            return ExitCode::Unknown.into();
        }
    };
    let exit_code = runtime.block_on(commands::run(cli));
    // A call of the C library's resolver cannot be cancelled: its thread is not waited for.
    runtime.shutdown_background();
    exit_code.into()
}
