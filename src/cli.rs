//! The command line: what can be said, and nothing of what is done about it.
//!
//! No secret is ever the value of a flag. Targets stay text here, since the parser quotes what it
//! refuses and a URL may hold a password.

mod exit_code;
pub(crate) mod plans;
pub mod values;

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;

use crate::expectation::{ExpectedPath, PublicAccess};
use crate::output::log::{LogFormat, LogLevel};
use crate::phase::PhaseName;
use crate::plan::{Addresses, AuthMethod, ClusterMode, PublicAddress, Resolver, TokenSource};
use crate::printable::printable;
use crate::target::HostName;

pub use exit_code::ExitCode;

/// Proves, from where a workload runs, that its Redis traffic takes the private path
#[derive(Parser)]
#[command(name = "redpath", version, arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit status:
  0  every target passes (warnings allowed, unless --strict)
  1  at least one target fails
  2  the command line or the configuration is wrong
  3  it could not be told: interrupted, or nothing could be looked at";

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
  3  it could not be told: interrupted, or nothing could be looked at";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  redpath explain                        # every code, by phase
  redpath explain private_zone_not_seen  # what it means and what to do
  redpath explain record.json            # diagnose a saved record or report by the present rules
  redpath check HOST --output json | redpath explain -

A name of the list of codes is a code; ./NAME is the file of that name.

Exit status, for a file as for check:
  0  a code was explained; every target passes (warnings allowed, unless --strict)
  1  at least one target fails
  2  no such code or file, or a file that is no record
  3  it could not be told";

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
                print_error(&one_sentence(&error));
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

/// What the parser says, without its usage block and on one line.
fn one_sentence(error: &clap::Error) -> String {
    let rendered = error.render().to_string();
    let paragraphs = rendered
        .split("\n\n")
        .take_while(|paragraph| !paragraph.starts_with("Usage:") && !paragraph.starts_with("For more information"));
    let words = |paragraph: &str| paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    let sentence = paragraphs.map(words).collect::<Vec<_>>().join("; ");
    format!("{} (see --help)", sentence.strip_prefix("error: ").unwrap_or(&sentence))
}

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    /// Probe each target once: path, phases, verdict, cause, hint
    #[command(after_help = CHECK_EXAMPLES)]
    Check(Box<CheckArgs>),
    /// Probe on a schedule, and serve metrics, status page and API
    Agent(AgentArgs),
    /// Say what a code means and what to do, or diagnose a saved record again
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(ExplainArgs),
    /// Check, print or describe the agent's configuration
    #[command(subcommand, arg_required_else_help = true)]
    Config(ConfigCommand),
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

/// `redpath check`.
#[derive(Args)]
pub struct CheckArgs {
    /// HOST, HOST:PORT, or a redis:// (plain) or rediss:// (TLS) URL; port and zone of an Azure name are known
    #[arg(value_name = "TARGET", required_unless_present = "from_az")]
    pub targets: Vec<String>,

    /// The path that is expected
    #[arg(long, value_enum, value_name = "PATH", default_value_t, help_heading = EXPECTED)]
    pub expect: ExpectedPath,
    /// The address or range that the name must lead to (repeatable)
    #[arg(long = "endpoint", value_name = "IP|CIDR", value_parser = values::range, help_heading = EXPECTED)]
    pub endpoints: Vec<IpNet>,
    /// A range that is private here, whatever the registries say (repeatable)
    #[arg(long = "private-range", value_name = "CIDR", value_parser = values::range, help_heading = EXPECTED)]
    pub private_ranges: Vec<IpNet>,
    /// Files of JSON that `az` printed: they set what is not given, and name causes (behind the targets)
    #[arg(long, value_name = "FILE", num_args = 1.., help_heading = EXPECTED)]
    pub from_az: Vec<PathBuf>,
    /// Warn where a phase takes longer: resolve, connect, tls, auth or ping (repeatable)
    #[arg(long, value_name = "PHASE=TIME", value_parser = values::latency, help_heading = EXPECTED)]
    pub latency: Vec<(PhaseName, Duration)>,
    /// Whether a server that answers without credentials fails; off makes no connection to find out
    #[arg(long, value_name = "BOOL|off", value_parser = values::require_auth, default_value = "true", help_heading = EXPECTED)]
    pub require_auth: RequireAuth,
    /// Whether the public address should answer, as seen from here: one that does fails `closed` [default: ignore, or closed where --public-address is given]
    #[arg(long, value_enum, value_name = "STATE", help_heading = EXPECTED)]
    pub public_access: Option<PublicAccess>,
    /// The public address: an IP, or auto for the answer of a --resolver in the internet [default: auto]
    #[arg(long, value_name = "IP|auto", value_parser = values::public_address, help_heading = EXPECTED)]
    pub public_address: Option<PublicAddress>,
    /// A port of the address in use where Redis without TLS must not answer, or off [default: off]
    #[arg(long, value_name = "PORT|off", value_parser = values::plaintext_port, help_heading = EXPECTED)]
    pub plaintext_port: Option<PlaintextPort>,
    /// Take a warning for a failure
    #[arg(long, help_heading = EXPECTED)]
    pub strict: bool,

    /// A DNS server to ask beside the system's, `azure` for 168.63.129.16 (repeatable)
    #[arg(long = "resolver", value_name = "NAME=ADDRESS[:PORT]", value_parser = values::resolver, help_heading = LOOKS)]
    pub resolvers: Vec<Resolver>,
    /// The views that are asked: libc, system, system:ADDRESS, a resolver's name, or all
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "all", help_heading = LOOKS)]
    pub views: Vec<String>,
    /// Connect to this address, and keep the name for TLS
    #[arg(long, value_name = "ADDRESS", value_parser = values::address, help_heading = LOOKS)]
    pub connect: Option<IpAddr>,
    /// Which addresses of the name are connected to
    #[arg(long, value_enum, value_name = "WHICH", default_value_t, help_heading = LOOKS)]
    pub addresses: Addresses,
    /// Trust the certificates of this PEM file, and no others
    #[arg(long, value_name = "FILE", help_heading = LOOKS)]
    pub ca_file: Option<PathBuf>,
    /// The name for SNI and the certificate [default: the host name]
    #[arg(long, value_name = "NAME", value_parser = HostName::parse, help_heading = LOOKS)]
    pub server_name: Option<HostName>,
    /// Whether the nodes that a cluster announces are connected to
    #[arg(long, value_enum, value_name = "WHEN", default_value_t, help_heading = LOOKS)]
    pub cluster: ClusterMode,
    /// Speak without TLS
    #[arg(long, conflicts_with_all = ["ca_file", "server_name"], help_heading = LOOKS)]
    pub plaintext: bool,
    /// The limit of a target's whole probe
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = values::timeout, help_heading = LOOKS)]
    pub timeout: Duration,
    /// How often to ask each view [default: once, and thrice where the views disagree]
    #[arg(long, value_name = "N", value_parser = values::tries, help_heading = LOOKS)]
    pub tries: Option<u8>,
    /// How many PINGs to send
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = values::samples, help_heading = LOOKS)]
    pub samples: u16,

    /// How to authenticate [default: password where one is given, else none]
    #[arg(long, value_enum, value_name = "HOW", help_heading = WHO)]
    pub auth: Option<AuthMethod>,
    /// Who hands out the token of --auth entra [default: workload_identity where AZURE_FEDERATED_TOKEN_FILE is set, else azure_cli]
    #[arg(long, value_enum, value_name = "SOURCE", help_heading = WHO)]
    pub token_source: Option<TokenSource>,
    /// The client ID of the identity that the token is for
    #[arg(long, value_name = "ID", value_parser = crate::plan::parse_client_id, help_heading = WHO)]
    pub client_id: Option<String>,
    /// The user name [env: REDPATH_USERNAME] [default: Redis' own `default`, or the object ID of the token]
    #[arg(long, value_name = "NAME", help_heading = WHO)]
    pub username: Option<String>,
    /// A file that holds the password [or env: REDPATH_PASSWORD, REDISCLI_AUTH]
    #[arg(long, value_name = "FILE", help_heading = WHO)]
    pub password_file: Option<PathBuf>,

    /// How the result is written
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t, help_heading = WRITTEN)]
    pub output: OutputFormat,
    /// Whether the text is coloured
    #[arg(long, value_enum, value_name = "WHEN", default_value_t, help_heading = WRITTEN)]
    pub color: ColorChoice,
    /// Print everything that was seen, also where all is well
    #[arg(long, short, help_heading = WRITTEN)]
    pub verbose: bool,
}

const EXPECTED: &str = "What is expected";
const LOOKS: &str = "How it looks";
const WHO: &str = "Who it is";
const WRITTEN: &str = "How it is written";

/// `--require-auth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequireAuth {
    /// A server that answers without credentials fails.
    Error,
    /// It is told.
    Remark,
    /// It is not looked at where credentials are given.
    Off,
}

/// `--plaintext-port`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaintextPort {
    /// It is looked at.
    Port(u16),
    /// None is looked at.
    Off,
}

/// `--output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people
    #[default]
    Text,
    /// One document, redpath.report/v1
    Json,
    /// One redpath.record/v1 per line, as each target finishes
    Ndjson,
    /// The Prometheus text format
    Prometheus,
    /// For a change record or a pull request
    Markdown,
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
    /// Take a warning for a failure
    #[arg(long)]
    pub strict: bool,
    /// How the result is written; of a code, text or markdown
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: OutputFormat,
    /// Whether the text is coloured
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    pub color: ColorChoice,
    /// Print everything that was seen, also where all is well
    #[arg(long, short)]
    pub verbose: bool,
}

/// `redpath agent`.
#[derive(Args)]
pub struct AgentArgs {
    /// The configuration, YAML
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// TLS, client certificates and users of the web server, in the exporter toolkit's format
    #[arg(long, value_name = "FILE")]
    pub web_config_file: Option<PathBuf>,
    /// Listen here, whatever the configuration says
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = values::socket_address)]
    pub listen: Option<SocketAddr>,
    /// Listen nowhere: write the metrics to this file for node_exporter's textfile collector (NAME.prom)
    #[arg(long, value_name = "FILE", value_parser = values::textfile, conflicts_with_all = ["listen", "web_config_file"])]
    pub textfile: Option<PathBuf>,
    /// How the log is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub log_format: LogFormat,
    /// The least severe lines that are logged
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t)]
    pub log_level: LogLevel,
}

/// `redpath config`.
#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Say whether a configuration is good
    Check {
        /// The configuration, YAML
        file: PathBuf,
    },
    /// Print a configuration with every default filled in, secrets redacted
    Print {
        /// The configuration, YAML
        file: PathBuf,
    },
    /// Print the JSON Schema of the configuration
    Schema,
    /// Write the targets of a configuration from files of JSON that `az` printed
    FromAz {
        /// The files, in any order
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
}

#[cfg(test)]
mod tests;
