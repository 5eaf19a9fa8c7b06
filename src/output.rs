//! The outputs: each turns records into one format and knows nothing of how they came to be.

pub mod metrics;
pub mod prometheus;
