//! The integration tests: one program, so that they are linked once.

mod agent;
mod command_line;
mod config;
mod metrics;
mod output;
mod resolution;
mod schema;
mod server;
mod stand_ins;
#[path = "../support.rs"]
mod support;
