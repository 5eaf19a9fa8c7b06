//! The integration tests: one program, so that they are linked once.
#![allow(clippy::panic, clippy::unwrap_used, reason = "clippy.toml knows tests and not their helpers")]

mod agent;
mod az;
mod command_line;
mod config;
mod connection;
mod house;
mod metrics;
mod output;
mod paths;
mod resolution;
mod schema;
mod server;
mod stand_ins;
#[path = "../support.rs"]
mod support;
