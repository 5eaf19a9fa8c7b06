//! What redpath costs beside the programs that people would use in its place, all in one run, on loopback:
//!
//! ```text
//! bench-peers target/release/redpath [PART...]
//! ```
//!
//! `make bench-peers` builds both and runs it. The parts are those of [`PARTS`]; without one, all of them.
//! `docs/benchmarks.md` has the method and the figures.
#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that measures and says what it found"
)]

use std::path::PathBuf;

#[path = "peers/accuracy.rs"]
mod accuracy;
#[path = "peers/capture.rs"]
mod capture;
#[path = "peers/growth.rs"]
mod growth;
#[path = "peers/hammer.rs"]
mod hammer;
#[path = "peers/line.rs"]
mod line;
#[path = "peers/one_shot.rs"]
mod one_shot;
#[path = "peers/process.rs"]
mod process;
#[path = "peers/programs.rs"]
mod programs;
#[path = "peers/steady.rs"]
mod steady;
#[path = "peers/table.rs"]
mod table;
#[path = "peers/world.rs"]
mod world;

use programs::Programs;
use table::Table;
use world::World;

/// What is measured, in this order.
const PARTS: [&str; 7] = ["size", "start", "check", "steady", "probe", "accuracy", "growth"];
/// Only where it is asked for: redpath with this many resolvers more, alone, for a profile of it.
const ALONE: &str = "alone";

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let redpath =
        PathBuf::from(arguments.next().expect("the path of the redpath program; `make bench-peers` gives it"));
    let wanted: Vec<String> = arguments.map(|part| part.to_string_lossy().into_owned()).collect();
    if let Some(unknown) = wanted.iter().find(|part| !PARTS.contains(&part.as_str()) && *part != ALONE) {
        panic!("{unknown}: one of {PARTS:?} is expected");
    }
    world::enter();
    let world = World::start();
    let programs = Programs { redpath, world: &world };
    let mut table = Table::new();
    for part in PARTS
        .into_iter()
        .chain([ALONE])
        .filter(|part| (wanted.is_empty() && *part != ALONE) || wanted.iter().any(|wanted| wanted == part))
    {
        eprintln!("measuring: {part}");
        match part {
            "size" => one_shot::size(&programs, &mut table),
            "start" => one_shot::start(&programs, &mut table),
            "check" => one_shot::check(&programs, &mut table),
            "steady" => steady::measure(&programs, &mut table),
            "probe" => hammer::measure(&programs, &mut table),
            "accuracy" => accuracy::measure(&programs, &mut table),
            ALONE => steady::alone(&programs),
            _ => growth::measure(&programs, &mut table),
        }
    }
    print!("{table}");
}
