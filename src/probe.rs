//! Doing it: one probe of one target, which never fails but says what it saw.
//!
//! Nothing here decides what an observation means, and nothing but `dns` resolves a name: every
//! other phase is given addresses. The phases are functions called in order, each taking over the
//! live connection of the one before.

pub mod budget;
pub mod connection;
mod credential;
mod excerpt;
mod redis;
mod tcp;
mod tls;
