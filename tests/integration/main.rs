//! Every integration test, in one binary.

mod command_line;
mod output;
mod schema;
