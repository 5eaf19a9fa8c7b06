//! The integration tests: real servers on loopback, one binary.

mod server;
