//! The integration tests, one binary.

mod metrics;
