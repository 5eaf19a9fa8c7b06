//! The integration tests: one program, so that they are linked once.
#![allow(clippy::panic, clippy::unwrap_used, reason = "clippy.toml knows tests and not their helpers")]

mod agent;
mod az;
mod canary;
mod cluster;
mod codes;
mod command_line;
mod config;
mod connection;
mod container;
mod core_dumps;
mod credentials;
mod dependencies;
mod diagnosis;
mod docs;
mod entra;
mod explain;
mod faults;
mod fuzz;
mod helm;
mod hostile;
mod house;
mod known_chain;
mod metrics;
mod monitoring;
mod on_demand;
mod output;
mod package;
mod paths;
mod phase_times;
mod posture;
mod readme;
mod resolution;
mod rules;
mod schema;
mod server;
mod stand_ins;
mod stories;
#[path = "../support.rs"]
mod support;
mod textfile;
