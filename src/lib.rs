//! redpath proves, from where a workload runs, that its Redis traffic takes the private path,
//! and names the cause and the fix when it does not.
//!
//! The modules are listed in the direction of the data: vocabulary, the probe, its observation, the
//! diagnosis, the record, and the outputs. `ARCHITECTURE.md` has the picture;
//! `tests/integration/architecture.rs` holds the direction.

// Vocabulary: pure, imports nothing below.
pub mod address;
pub mod azure;
pub mod bounded_read;
pub mod clock;
pub mod expectation;
pub mod metrics_settings;
pub mod parse;
pub mod phase;
pub mod plan;
pub mod printable;
pub mod secret;
pub mod statistics;
pub mod suggest;
pub mod target;
pub mod vantage;

// Files from outside: the JSON of `az`, and the configuration's mirror and what it resolves to.
pub mod az;
pub mod config;

// The probe.
pub mod probe;

// The query API of Prometheus.
pub mod prometheus;

// The observation, the diagnosis, and the record of both.
pub mod diagnosis;
pub mod observation;
pub mod record;

// What reads a record.
pub mod codes;
pub mod evidence;
pub mod gate;
pub mod history;
pub mod journal;
mod lock;
pub mod output;
pub mod schedule;
pub mod server;
pub mod watch;

// The pipeline from probe to record, and the commands.
pub mod agent;
pub mod cli;
pub mod commands;
pub mod pipeline;
