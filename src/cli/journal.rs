//! `redpath journal`: its arguments.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::gate::ApiArgs;

const VERIFY_EXAMPLES: &str = "\
Examples:
  redpath journal verify journal/
  redpath journal verify journal-*.ndjson
  redpath journal verify journal/ --prometheus https://prometheus.example

Exit status:
  0  each line is as it was written, from the first to the last that are there
  1  a line was cut, changed, doubled or moved, or Prometheus contradicts the journal
  2  the command line is wrong, or a file cannot be read
  3  inconclusive: Prometheus does not answer, or has no head of this journal";

/// `redpath journal`.
#[derive(Subcommand)]
pub enum JournalCommand {
    /// Name each line that was cut, changed, doubled or moved
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(Box<JournalVerifyArgs>),
}

/// `redpath journal verify`.
#[derive(Args)]
pub struct JournalVerifyArgs {
    /// The files of one journal, the oldest first, or its directory
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Compare its head with those that this Prometheus has
    #[arg(long, value_name = "URL")]
    pub prometheus: Option<String>,
    /// How to ask
    #[command(flatten)]
    pub api: ApiArgs,
}
