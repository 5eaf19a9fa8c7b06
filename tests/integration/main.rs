//! Every integration test, in one binary.

mod codes;
mod diagnosis;
mod stories;
