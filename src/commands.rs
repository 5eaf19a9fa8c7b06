//! The commands.

pub mod agent;
