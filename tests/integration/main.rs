//! The integration tests: one program, so that they are linked once.

mod house;
mod stand_ins;
#[path = "../support.rs"]
mod support;
