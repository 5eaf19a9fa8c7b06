//! The command line: commands, flags and exit status. No secret is ever the value of a flag.

mod check_args;
mod clients;
mod connection_args;
mod connections;
mod credential_args;
mod error;
mod exit_code;
mod gate;
mod healthcheck;
mod journal;
mod path_args;
pub(crate) mod plans;
mod report;
mod watch;

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::output::log::{LogFormat, LogLevel};
use crate::parse;
use crate::printable::printable;

pub use check_args::{CheckArgs, ProbeArgs};
pub use clients::{ClientsArgs, UntilClients};
pub use connection_args::ConnectionArgs;
pub use connections::ConnectionsArgs;
pub use credential_args::CredentialArgs;
pub use exit_code::ExitCode;
pub use gate::{ApiArgs, GateArgs, GateCommand, GateFormat};
pub use healthcheck::HealthcheckArgs;
pub use journal::{JournalCommand, JournalVerifyArgs};
pub use path_args::PathArgs;
pub use report::{ReportArgs, ReportFormat};
pub use watch::{Until, WatchArgs, WatchOutput};

/// Proves, from where a workload runs, that its Redis traffic takes the private path
#[derive(Parser)]
#[command(name = "redpath", version, arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = EXIT_CODES)]
pub struct Cli {
    /// Command
    #[command(subcommand)]
    pub command: Command,
}

/// The headings of the flags.
const EXPECTATIONS: &str = "Expectations";
const PROBE: &str = "Resolution and connection";
const OUTPUT: &str = "Output";

const EXIT_CODES: &str = "\
Exit status:
  0  every target passes (warnings allowed, unless --strict)
  1  at least one target fails
  2  the command line or the configuration is wrong
  3  inconclusive: interrupted, or no view could be queried";

const CHECK_EXAMPLES: &str = "\
Examples:
  redpath check cache1.redis.cache.windows.net
  redpath check cache1.redis.cache.windows.net --endpoint 10.60.4.5 --resolver azure
  redpath check cache1.redis.cache.windows.net --connect 10.60.4.5   # before DNS is changed
  redpath check cache1.redis.cache.windows.net --from-az *.json      # see docs/az.md
  redpath check cache1.redis.cache.windows.net --public-access closed --public-address 20.50.1.10
  redpath check amr1.westeurope.redis.azure.net --password-file key --samples 20 --latency ping=5ms

Exit status:
  0  every target passes (warnings allowed, unless --strict)
  1  at least one target fails
  2  the command line is wrong
  3  inconclusive: interrupted, or no view could be queried";

const WATCH_EXAMPLES: &str = "\
Examples:
  redpath watch cache1.redis.cache.windows.net --resolver azure --endpoint 10.60.4.5
  redpath watch cache1.redis.cache.windows.net --until pass --until 30m
  redpath watch cache1.redis.cache.windows.net --record cutover.ndjson
  redpath watch --replay cutover.ndjson --speed 60
  redpath watch --agent http://10.60.1.4:9736 http://10.60.2.4:9736
  redpath watch cache1.redis.cache.windows.net --output ndjson | jq .

Exit status, by the last verdicts:
  0  every target passes (warnings allowed, unless --strict)
  1  at least one target fails
  2  the command line is wrong
  3  inconclusive: no probe of a target has finished, or no view could be queried";

const CLIENTS_EXAMPLES: &str = "\
Examples:
  redpath clients cache1.redis.cache.windows.net --username <user> --password-file key
  redpath clients cache1.redis.cache.windows.net --password-file key --names
  redpath clients cache1.redis.cache.windows.net --password-file key --watch --until private
  redpath clients cache1.redis.cache.windows.net --from-az rows.json   # see docs/clients.md

Exit status:
  0  every client comes by a private link (with --expect public or any: every node gave its list)
  1  a client does not come by a private link: its address at the server is public, or private IPv4 where
     the same node shows other clients by a private link
  2  the command line is wrong
  3  inconclusive: a node gave no list, or an address does not show the path";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  redpath explain                        # every code, by phase
  redpath explain private_zone_not_seen  # what it means and what to do
  redpath explain record.json            # re-diagnose a saved record or report
  redpath check HOST --output json | redpath explain -

A name in the list of codes is a code; ./NAME is the file of that name.

Exit status, for a file as for check:
  0  a code was explained; every target passes (warnings allowed, unless --strict)
  1  at least one target fails
  2  no such code or file, or a file that is no record
  3  inconclusive";

const REPORT_EXAMPLES: &str = "\
Examples:
  redpath report evidence/*/journal --expected vantages.yaml --output html --write report.html
  redpath report evidence/*/journal --from 2026-11-28T00:00:00Z --cutover 2026-11-28T06:00:00Z
  redpath report evidence/*/journal --verify --prometheus https://prometheus.example
  redpath report evidence/*/journal --write report.md --timestamp http://timestamp.example

Exit status:
  0  the report was written
  1  with --verify: a journal is damaged, or Prometheus contradicts it
  2  the command line is wrong, a file cannot be read, or a server does not answer
  3  the report could not be written to standard output, or with --verify: Prometheus has no head of a journal";

const GATE_EXAMPLES: &str = "\
Examples:
  redpath gate --prometheus https://prometheus.example --expected vantages.yaml --for 48h
  redpath gate --prometheus http://127.0.0.1:9090 --expected vantages.yaml --wait --timeout 30m
  redpath gate evidence/*/journal --expected vantages.yaml --for 48h --output markdown
  redpath gate app-a.json app-b.json                       # reports of redpath check --output json
  redpath gate expect --from-nodes nodes.json --from-subnets subnets.json > vantages.yaml

Exit status:
  0  READY: every expected vantage meets every condition
  1  NOT READY: at least one does not, or is silent
  2  the command line is wrong, or a file cannot be read
  3  CANNOT TELL: what would decide is not known";

impl Cli {
    /// Reads the command line. Help and version go to standard output, a mistake becomes one
    /// sentence on standard error.
    ///
    /// # Errors
    /// The exit status, where there is nothing to run.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, ExitCode> {
        let error = match Self::try_parse_from(arguments) {
            Ok(cli) => return Ok(cli),
            Err(error) => error,
        };
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                let _ = error.print(); // a closed pipe is the reader's choice
                Err(ExitCode::Pass)
            }
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                let _ = error.print();
                Err(ExitCode::Usage)
            }
            _ => {
                print_error(&error::sentence(&error));
                Err(ExitCode::Usage)
            }
        }
    }
}

/// One sentence on standard error, whatever is in it made harmless to a terminal.
pub fn print_error(sentence: &str) {
    let line = format!("redpath: {}\n", printable(sentence));
    let _ = io::stderr().write_all(line.as_bytes()); // there is no one left to tell
}

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    /// Probe each target once: path, phases, verdict, cause, hint
    #[command(after_help = CHECK_EXAMPLES)]
    Check(Box<CheckArgs>),
    /// Watch a cutover live: probe at an interval, show what changes, and sum it up at the end
    #[command(after_help = WATCH_EXAMPLES)]
    Watch(Box<WatchArgs>),
    /// List the connections that applications here have to each target, by path
    Connections(Box<ConnectionsArgs>),
    /// List the clients of a cache by path, as its nodes see them
    #[command(after_help = CLIENTS_EXAMPLES)]
    Clients(Box<ClientsArgs>),
    /// Probe on a schedule, and serve metrics, status page and API
    Agent(AgentArgs),
    /// Explain a finding code, or re-diagnose a saved record
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(ExplainArgs),
    /// Check, print or describe the agent's configuration
    #[command(subcommand, arg_required_else_help = true)]
    Config(ConfigCommand),
    /// Answer whether every expected vantage is ready, from journals, records or metrics
    #[command(after_help = GATE_EXAMPLES)]
    Gate(Box<GateArgs>),
    /// Write one document of what many vantages saw: for an auditor
    #[command(after_help = REPORT_EXAMPLES)]
    Report(Box<ReportArgs>),
    /// Ask an agent whether it is ready, where no other program can
    Healthcheck(HealthcheckArgs),
    /// Verify a journal
    #[command(subcommand, arg_required_else_help = true)]
    Journal(JournalCommand),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, of a command where one is named
    Man {
        /// The command, such as check
        #[arg(value_name = "COMMAND")]
        command: Vec<String>,
    },
}

/// `--output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Text for terminals
    #[default]
    Text,
    /// One JSON document (redpath.report/v1)
    Json,
    /// One JSON document per line (redpath.record/v1), as each target finishes
    Ndjson,
    /// Prometheus text format
    Prometheus,
    /// Markdown, for a change record or a pull request
    Markdown,
    /// JUnit XML, a test for each target
    Junit,
}

/// `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// `redpath explain`.
#[derive(Args)]
pub struct ExplainArgs {
    /// A code, or a file with a record, records one per line or a report; `-` is standard input, none lists the codes
    #[arg(value_name = "CODE|FILE")]
    pub subject: Option<OsString>,
    /// Treat warnings as failures
    #[arg(long)]
    pub strict: bool,
    /// Output format; of a code, text or markdown
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: OutputFormat,
    /// Colour the text
    #[arg(long, value_enum, value_name = "auto|always|never", default_value_t)]
    pub color: ColorChoice,
    /// Print everything that was seen, also where all is well
    #[arg(long, short)]
    pub verbose: bool,
}

/// `redpath agent`.
#[derive(Args)]
pub struct AgentArgs {
    /// Configuration file, YAML
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// TLS, client certificates and users of the web server, in the format of the Prometheus exporter-toolkit
    #[arg(long, value_name = "FILE")]
    pub web_config_file: Option<PathBuf>,
    /// Listen address; overrides `web.listen`
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = parse::listen_address)]
    pub listen: Option<SocketAddr>,
    /// Do not listen; write metrics to this file for node_exporter's textfile collector (NAME.prom)
    #[arg(long, value_name = "FILE", value_parser = textfile, conflicts_with_all = ["listen", "web_config_file"])]
    pub textfile: Option<PathBuf>,
    /// Keep a journal of what is seen in this directory, which no other redpath writes to
    #[arg(long, value_name = "DIRECTORY", value_parser = parse::path)]
    pub journal: Option<PathBuf>,
    /// Log format
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub log_format: LogFormat,
    /// Minimum log level
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t)]
    pub log_level: LogLevel,
}

/// `redpath config`.
#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Validate a configuration file
    Check {
        /// Configuration file, YAML
        file: PathBuf,
    },
    /// Print a configuration with every default filled in, secrets redacted
    Print {
        /// Configuration file, YAML
        file: PathBuf,
    },
    /// Print the JSON Schema of the configuration
    Schema,
    /// Write the targets of a configuration from JSON files of `az`
    FromAz {
        /// The files, in any order
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
}

/// Reads the name of a file that node_exporter's textfile collector takes.
fn textfile(text: &str) -> Result<PathBuf, String> {
    let path = parse::path(text)?;
    match path.extension() {
        Some(extension) if extension == "prom" => Ok(path),
        _ => Err("not a file of the textfile collector: NAME.prom is expected".to_owned()),
    }
}

#[cfg(test)]
mod tests;
