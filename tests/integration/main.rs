//! The integration tests: one program, so that they are linked once.

#![allow(clippy::panic)] // clippy.toml knows tests and not their helpers

mod connection;
#[path = "../support.rs"]
mod support;
