//! `redpath gate`: its arguments.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::ColorChoice;
use crate::clock::Timestamp;
use crate::gate::Condition;
use crate::parse;
use crate::plan::TokenSource;

/// `redpath gate`.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct GateArgs {
    /// Write the list of expected vantages
    #[command(subcommand)]
    pub command: Option<GateCommand>,
    /// Files of journals and records, and directories of journals, of any number of vantages
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Read metrics from this Prometheus, Thanos, Mimir or Azure Monitor workspace, in place of files
    #[arg(long, value_name = "URL", conflicts_with = "files")]
    pub prometheus: Option<String>,
    /// Vantages that must be heard, YAML
    #[arg(long, value_name = "FILE")]
    pub expected: Option<PathBuf>,
    /// For how long every condition must have held; 0s for the last probe alone
    #[arg(long = "for", value_name = "TIME", default_value = "0s", value_parser = hold)]
    pub hold: Duration,
    /// The moment that is judged, RFC 3339; now where none is given
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "wait")]
    pub at: Option<Timestamp>,
    /// Leave a condition out (repeatable); the answer names it
    #[arg(long, value_name = "CONDITION", value_enum)]
    pub waive: Vec<Condition>,
    /// Age up to which a last probe counts; two of its intervals where none is given, 5m where they are not known
    #[arg(long, value_name = "TIME", value_parser = age)]
    pub max_age: Option<Duration>,
    /// Ask again until the answer is READY
    #[arg(long)]
    pub wait: bool,
    /// Time after which waiting ends
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = age, requires = "wait")]
    pub timeout: Duration,
    /// Time between two answers while waiting
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = age, requires = "wait")]
    pub interval: Duration,
    /// How to ask
    #[command(flatten)]
    pub api: ApiArgs,
    /// Output format
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: GateFormat,
    /// Colour the text
    #[arg(long, value_enum, value_name = "auto|always|never", default_value_t)]
    pub color: ColorChoice,
}

/// How the query API is asked.
#[derive(Args)]
#[command(next_help_heading = "Prometheus")]
pub struct ApiArgs {
    /// File with a bearer token
    #[arg(long, value_name = "FILE", requires = "prometheus", conflicts_with_all = ["auth", "username"])]
    pub bearer_token_file: Option<PathBuf>,
    /// Fetch a token of Entra ID, as an Azure Monitor workspace wants it
    #[arg(long, value_enum, value_name = "entra", requires = "prometheus", conflicts_with = "username")]
    pub auth: Option<ApiAuth>,
    /// Where the token comes from; workload_identity in a pod that has one, else azure_cli
    #[arg(long, value_enum, value_name = "SOURCE", requires = "auth")]
    pub token_source: Option<TokenSource>,
    /// User name
    #[arg(long, value_name = "NAME", requires_all = ["prometheus", "password_file"], value_parser = parse::username)]
    pub username: Option<String>,
    /// File with the user's password
    #[arg(long, value_name = "FILE", requires = "username")]
    pub password_file: Option<PathBuf>,
    /// Header of each request (repeatable), such as X-Scope-OrgID=team-a
    #[arg(long = "header", value_name = "NAME=VALUE", requires = "prometheus")]
    pub headers: Vec<String>,
    /// Certificates to trust, PEM; those of the platform where none is given
    #[arg(long, value_name = "FILE", requires = "prometheus")]
    pub ca_file: Option<PathBuf>,
    /// Client certificate, PEM
    #[arg(long, value_name = "FILE", requires_all = ["prometheus", "client_key"])]
    pub client_certificate: Option<PathBuf>,
    /// Key of the client certificate, PEM
    #[arg(long, value_name = "FILE", requires = "client_certificate")]
    pub client_key: Option<PathBuf>,
}

/// `--auth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ApiAuth {
    /// A token of Entra ID
    Entra,
}

/// `redpath gate expect`.
#[derive(Subcommand)]
pub enum GateCommand {
    /// Write the list of expected vantages from what the cluster and the network have
    Expect {
        /// JSON of `kubectl get nodes -o json`: a vantage for each node
        #[arg(long, value_name = "FILE", required_unless_present = "from_subnets")]
        from_nodes: Option<PathBuf>,
        /// JSON of `az network vnet subnet list`: a vantage for each subnet (repeatable)
        #[arg(long, value_name = "FILE")]
        from_subnets: Vec<PathBuf>,
        /// Target that each of them must see (repeatable); all where none is named
        #[arg(long = "target", value_name = "NAME")]
        targets: Vec<String>,
    },
}

/// `--output` of `gate`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum GateFormat {
    /// Text for terminals
    #[default]
    Text,
    /// One JSON document (redpath.gate/v1)
    Json,
    /// JUnit XML, a test for each vantage and target
    Junit,
    /// Markdown, for a change record or a pull request
    Markdown,
    /// An in-toto statement with the predicate test-result
    InToto,
}

/// The longest window: the most that an Azure Monitor workspace answers for.
const MAX_HOLD: Duration = Duration::from_secs(32 * 24 * 3600);

fn hold(text: &str) -> Result<Duration, String> {
    let hold = humantime::parse_duration(text).ok().filter(|hold| *hold <= MAX_HOLD);
    hold.ok_or_else(|| "a time of 0s to 32d is expected, such as 48h".to_owned())
}

fn age(text: &str) -> Result<Duration, String> {
    let age = humantime::parse_duration(text).ok().filter(|age| (Duration::from_secs(1)..=MAX_HOLD).contains(age));
    age.ok_or_else(|| "a time of 1s to 32d is expected, such as 5m".to_owned())
}

/// Reads a moment.
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "a time as in RFC 3339 is expected, such as 2026-11-28T06:00:00Z".to_owned())
}
