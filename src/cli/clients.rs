//! `redpath clients`: its arguments, and the plan that leads to the nodes.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::check_args::path;
use super::plans::{Credentials, Variable};
use super::{ColorChoice, ConnectionArgs, CredentialArgs, OUTPUT, OutputFormat, PROBE, PathArgs};
use crate::expectation::ExpectedPath;
use crate::parse;
use crate::plan::{ApplicationMode, Auth, ClientNames, ClusterMode, Plan, PosturePlan};

/// `redpath clients`.
#[derive(Args)]
pub struct ClientsArgs {
    /// HOST, HOST:PORT, a redis:// (plain) or rediss:// (TLS) URL, or a connection string
    #[arg(value_name = "TARGET")]
    pub target: String,
    /// Print the clients' names, users, libraries and ages, too
    #[arg(long)]
    pub names: bool,

    /// Repeat until every client comes by a private link, with the sums on standard error
    #[arg(long, conflicts_with = "from_az")]
    pub watch: bool,
    /// What ends --watch [default: private, no client is left that does not come by a private link]
    #[arg(long, value_enum, value_name = "private", requires = "watch")]
    pub until: Option<UntilClients>,
    /// Time between the lists of --watch
    #[arg(long, value_name = "TIME", default_value = "10s", requires = "watch", value_parser = interval)]
    pub interval: Duration,
    /// Rows of the tables REDConnectionEvents or ConnectedClientList instead of the server, as `az monitor log-analytics query` prints them (put after the target)
    #[arg(long, value_name = "FILE", num_args = 1.., value_parser = path())]
    pub from_az: Vec<PathBuf>,

    /// The path that is expected, of the clients and of the server.
    #[command(flatten)]
    pub path: PathArgs,
    /// The connection.
    #[command(flatten)]
    pub connection: ConnectionArgs,
    /// Query the nodes that a cluster announces, too
    #[arg(long, value_name = "auto|off", default_value = "auto", value_parser = cluster, help_heading = PROBE)]
    pub cluster: ClusterMode,
    /// Timeout of the probe that finds the nodes, and again of each node
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse::timeout, help_heading = PROBE)]
    pub timeout: Duration,

    /// Who the probe says it is
    #[command(flatten)]
    pub credentials: CredentialArgs,

    /// Output format
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t, help_heading = OUTPUT)]
    pub output: OutputFormat,
    /// Colour the text
    #[arg(long, value_enum, value_name = "auto|always|never", default_value_t, help_heading = OUTPUT)]
    pub color: ColorChoice,
}

/// `--until` of `redpath clients --watch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum UntilClients {
    /// Every client comes by a private link
    Private,
}

fn cluster(text: &str) -> Result<ClusterMode, String> {
    match text {
        "auto" => Ok(ClusterMode::Auto),
        "off" => Ok(ClusterMode::Off),
        _ => Err("auto or off is expected".to_owned()),
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(interval) if (Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&interval) => Ok(interval),
        _ => Err("a time of 1s to 1h is expected, such as 10s".to_owned()),
    }
}

/// A plan, and what the operator should know beforehand.
pub(crate) struct ClientsPlan {
    pub(crate) plan: Plan,
    pub(crate) names: ClientNames,
    pub(crate) warnings: Vec<String>,
}

impl ClientsArgs {
    /// The plan of the probe that finds the nodes.
    pub(crate) fn plan(&self, variable: Variable<'_>) -> Result<ClientsPlan, String> {
        if self.watch && self.path.expect != ExpectedPath::Private {
            return Err(
                "--watch repeats until every client comes by a private link: --expect private is needed".to_owned()
            );
        }
        let (resolvers, views) = self.path.resolvers_and_views()?;
        self.connection.check_ca_file()?;
        let credentials = Credentials::new(&self.credentials, variable)?;
        let (argument, target) = self.connection.target(&self.target)?;
        let mut warnings: Vec<String> = self.path.warnings().chain(argument.remark).collect();
        let is_password_visible = argument.password.is_some();
        let auth = credentials.auth(argument.username, argument.password)?;
        warnings.extend(credentials.warnings(is_password_visible, !target.tls && auth != Auth::None));
        let plan = Plan {
            expectation: self.path.expectation(),
            resolvers,
            views,
            connect: self.connection.connect,
            timeout: self.timeout,
            auth,
            ca_file: self.connection.ca_file.clone(),
            cluster: self.cluster,
            application: ApplicationMode::Off,
            posture: PosturePlan { skip_auth_check: true, ..PosturePlan::default() },
            ..Plan::new(target)
        };
        let names = if self.names { ClientNames::List } else { ClientNames::Omit };
        Ok(ClientsPlan { plan, names, warnings })
    }
}
