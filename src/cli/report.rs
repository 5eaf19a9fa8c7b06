//! `redpath report`: its arguments.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::gate::{ApiArgs, moment};
use crate::clock::Timestamp;
use crate::parse;

/// `redpath report`.
#[derive(Args)]
pub struct ReportArgs {
    /// Files of journals and records, and directories of journals, of any number of vantages
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Vantages that were expected, YAML as for `redpath gate`
    #[arg(long, value_name = "FILE")]
    pub expected: Option<PathBuf>,
    /// Moment that latency before and after is compared by, RFC 3339; the first change to a private path where none is given
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub cutover: Option<Timestamp>,
    /// Beginning of the period; the first probe where none is given
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub from: Option<Timestamp>,
    /// End of the period; the last probe where none is given
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub to: Option<Timestamp>,
    /// JSON file of az, which is named with its digest (repeatable)
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub az: Vec<PathBuf>,
    /// Compare the heads of the journals with those that this Prometheus has
    #[arg(long, value_name = "URL")]
    pub prometheus: Option<String>,
    /// How to ask
    #[command(flatten)]
    pub api: ApiArgs,
    /// Output format
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: ReportFormat,
    /// Write to this file in place of standard output
    #[arg(long, value_name = "FILE", value_parser = parse::path)]
    pub write: Option<PathBuf>,
    /// Ask this time-stamp authority (RFC 3161), and write its reply beside the file, as FILE.tsr
    #[arg(long, value_name = "URL", requires = "write")]
    pub timestamp: Option<String>,
    /// Exit with 1 where a journal is damaged, or where Prometheus contradicts it
    #[arg(long)]
    pub verify: bool,
}

/// `--output` of `report`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// Markdown, for a change record
    #[default]
    Markdown,
    /// One HTML file without scripts, which prints well
    Html,
    /// One JSON document (redpath.evidence/v1)
    Json,
}
