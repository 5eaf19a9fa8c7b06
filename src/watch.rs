//! The live view: what records say over time, folded into a state that is shown as a screen, as lines and as a summary.
//!
//! `state` is a pure function of records, so that a replay of a journal shows the same. Nothing here probes.

pub mod agent;
pub mod agents;
pub mod event;
pub mod expected;
pub mod lane;
pub mod lines;
pub mod readiness;
pub mod screen;
pub mod state;
pub mod summary;
