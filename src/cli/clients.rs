//! `redpath clients`: its arguments, and the plan that leads to the nodes.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use ipnet::IpNet;

use super::check_args::path;
use super::plans::{Credentials, Variable};
use super::{ColorChoice, CredentialArgs, OutputFormat};
use crate::bounded_read::FileKind;
use crate::expectation::{Expectation, ExpectedPath};
use crate::parse;
use crate::plan::{ApplicationMode, Auth, ClientNames, ClusterMode, Plan, PosturePlan, Resolver, ca_file};
use crate::secret::permissions::ReadableByOthers;
use crate::secret::quote::{self, quoted};
use crate::target::{HostName, Target, TargetArgument};

const EXPECTATIONS: &str = "Expectations";
const PROBE: &str = "Resolution and connection";

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

    /// Expected path of the clients, and kind of address of the server
    #[arg(long, value_enum, value_name = "private|public|any", default_value_t, help_heading = EXPECTATIONS)]
    pub expect: ExpectedPath,
    /// Expected private endpoint address or range (repeatable)
    #[arg(long = "endpoint", value_name = "IP|CIDR", value_parser = parse::range, help_heading = EXPECTATIONS)]
    pub endpoints: Vec<IpNet>,
    /// Treat this range as private (repeatable)
    #[arg(long = "private-range", value_name = "IP|CIDR", value_parser = parse::range, help_heading = EXPECTATIONS)]
    pub private_ranges: Vec<IpNet>,

    /// Additional DNS server to query, `azure` for 168.63.129.16 (repeatable)
    #[arg(long = "resolver", value_name = "[NAME=]ADDRESS[:PORT]", value_parser = parse::resolver, help_heading = PROBE)]
    pub resolvers: Vec<Resolver>,
    /// Views to query: libc, system, system:ADDRESS, a resolver's name, or all
    #[arg(long, value_name = "VIEW,...", value_delimiter = ',', default_value = "all", help_heading = PROBE)]
    pub views: Vec<String>,
    /// Connect to this address instead of the resolved one (the name stays for SNI)
    #[arg(long, value_name = "ADDRESS", value_parser = parse::server_ip, help_heading = PROBE)]
    pub connect: Option<IpAddr>,
    /// Trust only the CAs in this PEM file
    #[arg(long, value_name = "FILE", value_parser = path(), help_heading = PROBE)]
    pub ca_file: Option<PathBuf>,
    /// Name for SNI and the certificate [default: the host name]
    #[arg(long, value_name = "NAME", value_parser = parse::server_name, help_heading = PROBE)]
    pub server_name: Option<HostName>,
    /// Query the nodes that a cluster announces, too
    #[arg(long, value_enum, value_name = "auto|off", default_value_t, help_heading = PROBE)]
    pub cluster: ClusterMode,
    /// Disable TLS
    #[arg(long, conflicts_with_all = ["ca_file", "server_name"], help_heading = PROBE)]
    pub plaintext: bool,
    /// Timeout of the probe that finds the nodes, and again of each node
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse::timeout, help_heading = PROBE)]
    pub timeout: Duration,

    /// Who the probe says it is
    #[command(flatten)]
    pub credentials: CredentialArgs,

    /// Output format
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t, help_heading = "Output")]
    pub output: OutputFormat,
    /// Colour the text
    #[arg(long, value_enum, value_name = "auto|always|never", default_value_t, help_heading = "Output")]
    pub color: ColorChoice,
}

/// `--until` of `redpath clients --watch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum UntilClients {
    /// Every client comes by a private link
    Private,
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
        if self.watch && self.expect != ExpectedPath::Private {
            return Err(
                "--watch repeats until every client comes by a private link: --expect private is needed".to_owned()
            );
        }
        let mut resolvers = self.resolvers.clone();
        parse::distinct_names(&resolvers).map_err(|(_, why)| format!("--resolver: {why}"))?;
        let views = parse::views(&self.views, &mut resolvers)
            .map_err(|(position, why)| format!("--views: {} is {why}", quoted(&self.views[position])))?;
        if let Some(file) = &self.ca_file {
            ca_file::check(file, FileKind::FileOrPipe)
                .map_err(|why| format!("cannot read the certificates of --ca-file {}: {why}", quote::path(file)))?;
        }
        let credentials = Credentials::new(&self.credentials, variable)?;
        let argument =
            TargetArgument::parse(&self.target).map_err(|why| format!("{} is {why}", quoted(&self.target)))?;
        if argument.tls == Some(true) && self.plaintext {
            return Err(format!("rediss:// or ssl=True asks for TLS for {}, and --plaintext for none", argument.host));
        }
        let mut warnings: Vec<String> = argument.remark.into_iter().collect();
        if argument.password.is_some() {
            warnings.push("a password in a URL or a connection string can be seen by others on this machine; --password-file and REDPATH_PASSWORD keep it to yourself".to_owned());
        }
        let exposed = self.credentials.password_file.as_deref().and_then(ReadableByOthers::at);
        warnings.extend(exposed.map(|exposed| format!("--password-file: {exposed}")));
        let auth = credentials.auth(argument.username, argument.password)?;
        let mut target = Target::new(argument.host, argument.port, argument.tls.unwrap_or(!self.plaintext));
        if !target.tls && auth != Auth::None {
            warnings.push(
                "credentials go over verified TLS only: what is spoken to without TLS is probed without them"
                    .to_owned(),
            );
        }
        if let Some(name) = &self.server_name {
            target.server_name = name.clone();
        }
        let plan = Plan {
            expectation: Expectation {
                path: self.expect,
                endpoints: self.endpoints.clone(),
                private_ranges: self.private_ranges.clone(),
                ..Expectation::default()
            },
            resolvers,
            views,
            connect: self.connect,
            timeout: self.timeout,
            auth,
            ca_file: self.ca_file.clone(),
            cluster: self.cluster,
            application: ApplicationMode::Off,
            posture: PosturePlan { skip_auth_check: true, ..PosturePlan::default() },
            ..Plan::new(target)
        };
        let names = if self.names { ClientNames::List } else { ClientNames::Omit };
        Ok(ClientsPlan { plan, names, warnings })
    }
}
