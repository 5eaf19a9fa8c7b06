//! Every integration test, in one binary.

mod diagnosis;
mod stories;
