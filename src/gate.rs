//! May public access be disabled? Judges what vantages saw against the list of those that are expected.
//!
//! `seen` is what a source gives, files or a Prometheus API; `judge` compares it, without clock and network.

pub mod condition;
pub mod from_files;
pub mod from_prometheus;
pub mod judge;
pub mod judgement;
pub mod seen;

pub use condition::Condition;
pub use judge::{Rules, judge};
pub use judgement::{Answer, GATE_SCHEMA, Judgement};
