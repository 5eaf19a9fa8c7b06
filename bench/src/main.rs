//! Measures what redpath costs next to blackbox_exporter and redis-cli, in a network namespace of its own:
//!
//! ```text
//! redpath-bench target/release/redpath [OTHER-BUILD-OF-REDPATH...]
//! redpath-bench soak MINUTES target/release/redpath
//! redpath-bench sockets target/release/redpath [OTHER-BUILD...]
//! ```
//!
//! `make bench` and `make soak` build both and run it. docs/benchmarks.md has the method and the figures.
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
mod requests;
mod soak;
mod sockets;
mod table;

use environment::Environment;
use table::Table;

const USAGE: &str = "usage: redpath-bench REDPATH [OTHER-BUILD...], redpath-bench soak MINUTES REDPATH, or redpath-bench sockets REDPATH [OTHER-BUILD...]";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    assert!(!arguments.is_empty(), "{USAGE}");
    if arguments[0] == "hold-sockets" {
        return sockets::hold(arguments[1].parse().expect("a port"));
    }
    environment::enter_namespace();
    let environment = Environment::start();
    if arguments[0] == "sockets" {
        let builds: Vec<PathBuf> = arguments[1..].iter().map(PathBuf::from).collect();
        let mut table = Table::new(builds.len());
        sockets::measure(&environment, &builds, &mut table);
        return print!("{table}");
    }
    if arguments[0] == "soak" {
        let [_, minutes, build] = arguments.as_slice() else { panic!("{USAGE}") };
        soak::run(&environment, build.as_ref(), minutes.parse().expect("a number of minutes"));
        return;
    }
    let builds: Vec<PathBuf> = arguments.iter().map(PathBuf::from).collect();
    let mut table = Table::new(builds.len());
    for targets in [1, 200] {
        eprintln!("probing {targets} targets");
        probing::measure(&environment, &builds, targets, &mut table);
    }
    eprintln!("requests");
    requests::measure(&environment, &builds, &mut table);
    eprintln!("list of sockets");
    sockets::measure(&environment, &builds, &mut table);
    eprintln!("one check");
    check::measure(&environment, &builds, &mut table);
    table.add_size(&builds);
    print!("{table}");
}
