//! The integration tests: one program, so that they are linked once.

mod metrics;
mod resolution;
mod stand_ins;
#[path = "../support.rs"]
mod support;
