//! The integration tests: one program, so that they are linked once.
#![allow(clippy::panic, clippy::unwrap_used, reason = "clippy.toml knows tests and not their helpers")]

mod agent;
mod architecture;
mod az;
mod canary;
mod cluster;
mod codes;
mod command_line;
mod config;
mod connection;
mod container;
mod credentials;
mod dependencies;
mod diagnosis;
mod docs;
mod entra;
mod explain;
mod fakes;
mod faults;
mod fuzz;
mod hardening;
mod helm;
mod hostile;
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
mod stories;
#[path = "../support.rs"]
mod support;
mod textfile;
