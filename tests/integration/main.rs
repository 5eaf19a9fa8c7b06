//! The integration tests: one program, so that they are linked once.

mod connection;
#[path = "../support.rs"]
mod support;
