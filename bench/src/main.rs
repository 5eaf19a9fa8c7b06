//! Measures what redpath costs next to blackbox_exporter and redis-cli, in a network namespace of its own:
//!
//! ```text
//! redpath-bench target/release/redpath [OTHER-BUILD-OF-REDPATH...]
//! ```
//!
//! `make bench` builds both and runs it. docs/benchmarks.md has the method and the figures.
#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool that prints what it measured, and fails by panicking"
)]

use std::path::PathBuf;

mod check;
mod environment;
mod http_client;
mod probing;
mod process;
mod programs;
mod table;

use environment::Environment;
use table::Table;

fn main() {
    let builds: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    assert!(!builds.is_empty(), "usage: redpath-bench REDPATH [OTHER-BUILD...]; `make bench` runs it");
    environment::enter_namespace();
    let environment = Environment::start();
    let mut table = Table::new(builds.len());
    for targets in [1, 200] {
        eprintln!("probing {targets} targets");
        probing::measure(&environment, &builds, targets, &mut table);
    }
    eprintln!("one check");
    check::measure(&environment, &builds, &mut table);
    table.add_size(&builds);
    print!("{table}");
}
