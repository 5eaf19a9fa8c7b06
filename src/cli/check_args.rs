//! The flags of `redpath check`, and those of every command that probes.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::{PathBufValueParser, TypedValueParser};

use super::{ColorChoice, ConnectionArgs, CredentialArgs, EXPECTATIONS, OUTPUT, OutputFormat, PROBE, PathArgs};
use crate::expectation::PublicAccess;
use crate::parse;
use crate::phase::PhaseName;
use crate::plan::{Addresses, ApplicationMode, ClusterMode, PlaintextPort, PublicAddress, RequireAuth};

/// What a configuration says of its targets, and no flag beside it.
pub(super) const OF_THE_FILE: [&str; 26] = [
    "expect",
    "endpoints",
    "private_ranges",
    "from_az",
    "latency",
    "require_auth",
    "public_access",
    "public_address",
    "plaintext_port",
    "resolvers",
    "views",
    "connect",
    "old",
    "addresses",
    "ca_file",
    "server_name",
    "cluster",
    "plaintext",
    "timeout",
    "tries",
    "samples",
    "auth",
    "token_source",
    "client_id",
    "username",
    "password_file",
];

/// `redpath check`.
#[derive(Args)]
pub struct CheckArgs {
    // Text, since the parser quotes what it refuses and a URL may hold a password.
    /// HOST, HOST:PORT, a redis:// (plain) or rediss:// (TLS) URL, or a connection string; the port of an Azure name is implied
    #[arg(value_name = "TARGET", required_unless_present_any = ["from_az", "config"])]
    pub targets: Vec<String>,
    /// What is probed, and how.
    #[command(flatten)]
    pub probe: ProbeArgs,

    /// Output format
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t, help_heading = OUTPUT)]
    pub output: OutputFormat,
    /// Colour the text
    #[arg(long, value_enum, value_name = "auto|always|never", default_value_t, help_heading = OUTPUT)]
    pub color: ColorChoice,
    /// Print everything that was seen, also where all is well
    #[arg(long, short, help_heading = OUTPUT)]
    pub verbose: bool,
    /// Append the records to the journal of this directory, which no other redpath writes to meanwhile
    #[arg(long, value_name = "DIRECTORY", value_parser = path(), help_heading = OUTPUT)]
    pub journal: Option<PathBuf>,
}

/// The flags of every command that probes: what is expected, how it looks, and who it is.
#[derive(Args)]
pub struct ProbeArgs {
    /// Probe the targets of this configuration as an agent would, once; a TARGET is then the name of one of them
    #[arg(long, value_name = "FILE", value_parser = path(), conflicts_with_all = OF_THE_FILE)]
    pub config: Option<PathBuf>,

    /// The path that is expected.
    #[command(flatten)]
    pub path: PathArgs,
    /// JSON files from `az`: fill in expectations and name causes (put after the targets)
    #[arg(long, value_name = "FILE", num_args = 1.., value_parser = path(), help_heading = EXPECTATIONS)]
    pub from_az: Vec<PathBuf>,
    /// Warn where a phase takes longer: resolve, connect, tls, auth or ping (repeatable)
    #[arg(long, value_name = "PHASE=TIME", value_parser = parse::phase_latency, help_heading = EXPECTATIONS)]
    pub latency: Vec<(PhaseName, Duration)>,
    /// Fail if Redis answers without credentials; `off` skips the check
    #[arg(long, value_name = "true|false|off", value_parser = parse::require_auth, default_value = "true", help_heading = EXPECTATIONS)]
    pub require_auth: RequireAuth,
    /// Expected state of the public endpoint from here [default: ignore, or closed with --public-address]
    #[arg(long, value_enum, value_name = "closed|open|ignore", help_heading = EXPECTATIONS)]
    pub public_access: Option<PublicAccess>,
    /// Address of the public endpoint: an IP, or auto for the answer of a public --resolver [default: auto]
    #[arg(long, value_name = "IP|auto", value_parser = parse::public_address, help_heading = EXPECTATIONS)]
    pub public_address: Option<PublicAddress>,
    /// Fail if Redis answers without TLS on this port of the address in use [default: off]
    #[arg(long, value_name = "PORT|off", value_parser = parse::plaintext_port, help_heading = EXPECTATIONS)]
    pub plaintext_port: Option<PlaintextPort>,
    /// Treat warnings as failures
    #[arg(long, help_heading = EXPECTATIONS)]
    pub strict: bool,

    /// Do not ask Azure's own resolver (168.63.129.16) where an Azure name leads to an unexpected address
    #[arg(long, help_heading = PROBE)]
    pub no_azure_dns: bool,
    /// The connection.
    #[command(flatten)]
    pub connection: ConnectionArgs,
    // Text, since the parser quotes what it refuses and a URL may hold a password.
    /// The old name of a migration: it is probed too, and the pair is compared
    #[arg(long, value_name = "HOST[:PORT]", help_heading = PROBE)]
    pub old: Option<String>,
    /// Addresses to connect to
    #[arg(long, value_enum, value_name = "first|all", default_value_t, help_heading = PROBE)]
    pub addresses: Addresses,
    /// Connect to the nodes that a cluster announces; `on`: unknown where they cannot be looked at
    #[arg(long, value_enum, value_name = "auto|on|off", default_value_t, help_heading = PROBE)]
    pub cluster: ClusterMode,
    /// List the applications' own connections in this network namespace
    #[arg(long, value_enum, value_name = "auto|on|off", default_value_t, help_heading = PROBE)]
    pub application: ApplicationMode,
    /// Timeout of the whole probe, per target
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse::timeout, help_heading = PROBE)]
    pub timeout: Duration,
    /// How often to query each view [default: 1; 3 if views disagree]
    #[arg(long, value_name = "N", value_parser = parse::tries, help_heading = PROBE)]
    pub tries: Option<u8>,
    /// How many PINGs to send
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = parse::samples, help_heading = PROBE)]
    pub samples: u16,

    /// Who the probe says it is
    #[command(flatten)]
    pub credentials: CredentialArgs,

    /// Label of this vantage in the record, such as subnet=app-a (repeatable)
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse::label, help_heading = OUTPUT)]
    pub labels: Vec<(String, String)>,
}

/// A path may be no UTF-8, as no other value may.
pub(super) fn path() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| match path.to_str() {
        Some(text) => parse::path(text),
        None => Ok(path),
    })
}
