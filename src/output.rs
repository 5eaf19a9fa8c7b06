//! Where records go.

pub mod metrics;
pub mod prometheus;
