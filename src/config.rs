//! The agent's configuration: a YAML file in, a [`Config`] that cannot be wrong out.
//!
//! `yaml` reads YAML into a tree with lines, `schema_check` holds the tree against the JSON Schema of
//! `raw` (keys, types, ranges), `resolve` gives the values their meaning, `print` is the way back.
//! No secret ever stands in the file: it names where one comes from. Nothing here touches the network;
//! beside the configuration itself only the files of `az` that it names are read.

mod auth;
mod error;
mod path;
mod print;
mod raw;
mod resolve;
mod schema_check;
mod unknown_key;
mod values;
mod yaml;

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::read::ZlibDecoder;

use crate::bounded_read::{self, FileKind, ReadError};
use crate::expectation::{Expectation, PublicAccess};
use crate::metrics_settings::MetricsSettings;
use crate::parse;
use crate::plan::{
    AddressPolicy, Addresses, ApplicationMode, Auth, AzureDns, ClusterMode, DEFAULT_TIMEOUT, MAX_CONCURRENT_PROBES,
    Plan, PosturePlan, Resolver, ViewSelection,
};
use crate::target::{HostName, Target};

pub use error::ConfigError;

/// The time from the beginning of one probe to the beginning of the next where none is given.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(15);

/// The whole configuration, every default filled in.
#[derive(Clone, PartialEq)]
pub struct Config {
    /// The operator's labels of this vantage.
    pub labels: BTreeMap<String, String>,
    /// Subnets by the name of the node pool that is in the node's name.
    pub subnet_by_node_pool: BTreeMap<String, String>,
    /// The configured resolvers; every plan holds them too.
    pub resolvers: Vec<Resolver>,
    /// What holds for a target that says nothing else.
    pub defaults: Settings,
    /// What is probed, at least one, each with a name of its own.
    pub targets: Vec<TargetConfig>,
    /// What is served over HTTP.
    pub web: WebSettings,
    /// Where a journal is kept, if one is.
    pub journal: Option<JournalSettings>,
    /// What the metrics look like.
    pub metrics: MetricsSettings,
    /// The most targets that are probed at the same time, at least one.
    pub max_concurrent_probes: usize,
}

/// A target and how often it is probed.
#[derive(Clone, PartialEq)]
pub struct TargetConfig {
    /// What one probe is to do. Its timeout is never longer than the interval.
    pub plan: Plan,
    /// The time from the beginning of one probe to the beginning of the next.
    pub interval: Duration,
    /// The files of `az` that a part of what is expected was taken from.
    pub expect_from: Vec<PathBuf>,
}

/// What holds for a target that says nothing else.
#[derive(Clone, PartialEq)]
pub struct Settings {
    /// The time from the beginning of one probe to the beginning of the next.
    pub interval: Duration,
    /// The limit of a whole probe, never longer than the interval.
    pub timeout: Duration,
    /// How often each view is asked; `None` as in [`Plan`].
    pub tries: Option<u8>,
    /// How many `PING`s are sent, at least one.
    pub samples: u16,
    /// Which views are asked.
    pub views: ViewSelection,
    /// Whether Azure's own resolver is asked without being configured.
    pub azure_dns: AzureDns,
    /// Which of the resolved addresses are connected to.
    pub addresses: Addresses,
    /// What is expected; the operator's private ranges are part of it.
    pub expectation: Expectation,
    /// Who the probe says it is.
    pub auth: Auth,
    /// Whether Redis is spoken without TLS.
    pub plaintext: bool,
    /// The file with the certificates to trust, PEM; the platform's where `None`.
    pub ca_file: Option<PathBuf>,
    /// The name for SNI and verification; the host name where `None`.
    pub server_name: Option<HostName>,
    /// Whether the nodes that a cluster announces are connected to.
    pub cluster: ClusterMode,
    /// Whether the applications' own connections are listed.
    pub application: ApplicationMode,
    /// The most connections of applications opened in a minute without a warning; `None` for no limit.
    pub max_opened_per_minute: Option<u32>,
    /// Whether a connection to the target is held open from probe to probe.
    pub held_connection: bool,
    /// What is looked at that should be closed.
    pub posture: PosturePlan,
}

/// Where a journal is kept, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalSettings {
    /// The directory.
    pub directory: PathBuf,
    /// The most bytes of all files.
    pub max_bytes: u64,
    /// How long a file is kept after its last line.
    pub max_age: Duration,
}

impl Default for JournalSettings {
    fn default() -> Self {
        Self { directory: PathBuf::new(), max_bytes: 100 * 1024 * 1024, max_age: Duration::from_secs(30 * 24 * 3600) }
    }
}

/// What is served over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSettings {
    /// The address and port to listen on; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Host names, in lower case, by which browsers may ask the agent, and any below them; beside addresses and
    /// names that nobody outside can own.
    pub allowed_hosts: Vec<String>,
    /// Suffixes, in lower case and without the dot in front, under which any host may be probed on
    /// demand; where empty, the configured targets only. `example.org` covers `a.example.org` and
    /// `example.org`, not `anexample.org`: see [`WebSettings::allows`].
    pub probe_allowed_suffixes: Vec<String>,
}

/// Reads the file at `path`, at most 1 MiB of it.
///
/// # Errors
/// Every problem found, each with its line; or why the file cannot be read.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    read(path).and_then(|text| parse(&text)).map_err(|error| error.in_file(path.to_owned()))
}

/// Reads the text of a configuration.
///
/// # Errors
/// Every problem found, each with its line.
pub fn parse(text: &str) -> Result<Config, ConfigError> {
    let document = yaml::read(text).map_err(|error| ConfigError::at_line(error.line, error.message))?;
    let mut problems = error::Problems::of(&document);
    schema_check::check(&document, &schema(), &path::Path::top(), &mut problems);
    if !problems.is_empty() {
        return Err(problems.into_error());
    }
    let raw = serde_json::from_value(document.to_json())
        .map_err(|error| ConfigError::whole(format!("it does not have the shape of a configuration: {error}")))?;
    resolve::resolve(&raw, problems)
}

/// The JSON Schema of the file (draft 2020-12), `docs/schema/config.json`. It is wanted once in a while and has
/// thousands of values, so that nobody keeps it.
pub fn schema() -> serde_json::Value {
    const SCHEMA: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/config.schema.z"));
    let mut text = String::new();
    // A test holds it to `schema_of_types`, and so to being JSON.
    let read = ZlibDecoder::new(SCHEMA).read_to_string(&mut text).ok();
    read.and_then(|_| serde_json::from_str(&text).ok()).unwrap_or_default()
}

/// The JSON Schema as it follows from the types: what [`schema`] has to be.
pub fn schema_of_types() -> serde_json::Value {
    raw::schema().to_value()
}

impl Config {
    /// The configuration as YAML with every default filled in. `parse` reads it back to an equal
    /// one. It holds no secret.
    ///
    /// # Errors
    /// None that a valid configuration is known to cause.
    pub fn to_yaml(&self) -> Result<String, String> {
        print::to_yaml(self)
    }

    /// The plan of a probe on demand of a host that is no target: the defaults, and never credentials, a
    /// connection to what the server announces, a check of other ports or a connection to an address of no host:
    /// a suffix covers other people's servers and names too.
    pub fn on_demand(&self, host: HostName, port: Option<u16>) -> Plan {
        let mut plan = self.defaults.plan(host, port, &self.resolvers);
        plan.auth = Auth::None;
        plan.reach = AddressPolicy::NoInternal;
        plan.cluster = ClusterMode::Off;
        plan.expectation.cluster_nodes = false;
        plan.application = ApplicationMode::Off;
        plan.held_connection = false;
        plan.posture = PosturePlan::default();
        plan.expectation.public_access = PublicAccess::Ignore;
        plan
    }
}

impl Settings {
    /// The plan of a target that says no more than its host and port.
    fn plan(&self, host: HostName, port: Option<u16>, resolvers: &[Resolver]) -> Plan {
        let mut target = Target::new(host, port, !self.plaintext);
        if let Some(name) = self.server_name.as_ref().filter(|_| !self.plaintext) {
            target.server_name = name.clone();
        }
        let mut resolvers = resolvers.to_vec();
        if let ViewSelection::Only(names) = &self.views {
            let _ = parse::views(names, &mut resolvers); // adds `azure` where it is named; the names are known to be good
        }
        Plan {
            expectation: self.expectation.clone(),
            resolvers,
            views: self.views.clone(),
            azure_dns: self.azure_dns,
            addresses: self.addresses,
            timeout: self.timeout,
            tries: self.tries,
            samples: self.samples,
            auth: self.auth.clone(),
            ca_file: self.ca_file.clone().filter(|_| !self.plaintext),
            cluster: self.cluster,
            application: self.application,
            max_opened_per_minute: self.max_opened_per_minute,
            held_connection: self.held_connection,
            posture: self.posture,
            ..Plan::new(target)
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            interval: DEFAULT_INTERVAL,
            timeout: DEFAULT_TIMEOUT,
            tries: None,
            samples: 1,
            views: ViewSelection::All,
            azure_dns: AzureDns::default(),
            addresses: Addresses::First,
            expectation: Expectation::default(),
            auth: Auth::None,
            plaintext: false,
            ca_file: None,
            server_name: None,
            cluster: ClusterMode::default(),
            application: ApplicationMode::default(),
            max_opened_per_minute: None,
            held_connection: false,
            posture: PosturePlan::default(),
        }
    }
}

impl WebSettings {
    /// Whether `host`, which is no target, may be probed on demand.
    pub fn allows(&self, host: &HostName) -> bool {
        self.probe_allowed_suffixes.iter().any(|suffix| {
            host.as_str().strip_suffix(suffix.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    }
}

impl Default for WebSettings {
    fn default() -> Self {
        let listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 9736));
        Self { listen, allowed_hosts: Vec::new(), probe_allowed_suffixes: Vec::new() }
    }
}

/// The default of `max_concurrent_probes`.
const fn default_concurrency() -> usize {
    MAX_CONCURRENT_PROBES
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let bytes = bounded_read::read(path, FileKind::FileOrPipe, yaml::MAX_BYTES).map_err(|error| match error {
        ReadError::Directory => ConfigError::whole(format!("{error}: a YAML file is expected")),
        _ => ConfigError::whole(error.to_string()),
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..good].iter().filter(|byte| **byte == b'\n').count() + 1;
        ConfigError::at_line(u64::try_from(line).ok(), "it is not UTF-8 text")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffix_match_ends_at_a_dot() {
        let web = WebSettings { probe_allowed_suffixes: vec!["example.org".to_owned()], ..WebSettings::default() };
        for (host, allowed) in [
            ("cache1.example.org", true),
            ("Cache1.Example.ORG.", true),
            ("example.org", true),
            ("anexample.org", false),
            ("example.org.evil.net", false),
        ] {
            assert_eq!(web.allows(&HostName::parse(host).expect("a host name")), allowed, "{host}");
        }
        assert!(!WebSettings::default().allows(&HostName::parse("cache1.example.org").expect("a host name")));
    }
}
