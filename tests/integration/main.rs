//! The integration tests, in one program. The feature `system-tests` adds those that need root, packages, a network or
//! the release build: `make test` installs the packages and runs all of them.
#![allow(clippy::panic, clippy::unwrap_used, reason = "clippy.toml knows tests and not their helpers")]
#![cfg_attr(
    not(feature = "system-tests"),
    allow(dead_code, unused_imports, reason = "helpers of the tests that the feature adds")
)]

mod agent;
mod architecture;
mod az;
mod canary;
mod client_info;
mod clients;
mod cluster;
mod codes;
mod command_line;
mod config;
mod connection;
mod connections;
#[cfg(feature = "system-tests")]
mod container;
mod credentials;
mod dependencies;
mod diagnosis;
mod docs;
mod entra;
mod explain;
mod fakes;
#[cfg(feature = "system-tests")]
mod faults;
mod fuzz;
mod gate;
mod hardening;
mod held;
#[cfg(feature = "system-tests")]
mod helm;
mod hostile;
mod journal;
mod metrics;
mod migration;
#[cfg(feature = "system-tests")]
mod monitoring;
mod on_demand;
mod output;
#[cfg(feature = "system-tests")]
mod package;
#[cfg(feature = "system-tests")]
mod paths;
mod phase_times;
mod posture;
mod preflight;
mod readme;
mod report;
mod resolution;
mod rules;
mod runbook;
mod schema;
mod server;
mod statistics;
mod stories;
#[path = "../support.rs"]
mod support;
mod textfile;
mod watch;
