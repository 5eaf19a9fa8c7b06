//! The outputs.

pub mod log;
pub mod metrics;
