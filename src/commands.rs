//! What each command does: it connects the parts, and nothing imports it but the program itself.

pub mod config;
