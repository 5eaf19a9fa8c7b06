//! What one probe of one target is to do, all of it decided before anything is sent.

pub mod arguments;
pub mod ca_file;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::Display;

use crate::address::{self, AddressClass};
use crate::azure::AZURE_DNS;
use crate::expectation::{Expectation, PublicAccess};
use crate::secret::Secret;
use crate::target::{HostName, Target};

/// The most targets that one process probes at a time, whatever their number.
pub const MAX_CONCURRENT_PROBES: usize = 64;

/// A probe's plan. Equal plans are the same probe: a reload keeps the series of unchanged ones.
#[derive(Clone, PartialEq, Eq)]
pub struct Plan {
    /// What is probed.
    pub target: Target,
    /// What is expected of it.
    pub expectation: Expectation,
    /// The configured resolvers, each a view of its own.
    pub resolvers: Vec<Resolver>,
    /// Which views are asked.
    pub views: ViewSelection,
    /// Whether Azure's own resolver is asked without being configured.
    pub azure_dns: AzureDns,
    /// The address to connect to in place of what was resolved.
    pub connect: Option<IpAddr>,
    /// Which of the resolved addresses are connected to.
    pub addresses: Addresses,
    /// Which addresses the name may lead to at all.
    pub reach: AddressPolicy,
    /// The limit of the whole probe.
    pub timeout: Duration,
    /// How often each view is asked, 1 to [`MAX_TRIES`]. `None`: once, and the C library and the
    /// name servers of resolv.conf twice more where the views disagree.
    pub tries: Option<u8>,
    /// How many `PING`s are sent, at least one.
    pub samples: u16,
    /// Who the probe says it is.
    pub auth: Auth,
    /// The file with the certificates to trust, PEM; the platform's where `None`.
    pub ca_file: Option<PathBuf>,
    /// Whether the nodes that a cluster announces are connected to.
    pub cluster: ClusterMode,
    /// Whether the applications' own connections are listed.
    pub application: ApplicationMode,
    /// More connections of applications opened in a minute than this are worth a warning; `None` for no limit.
    pub max_opened_per_minute: Option<u32>,
    /// Whether a connection to the target is held open from probe to probe.
    pub held_connection: bool,
    /// What is looked at that should be closed.
    pub posture: PosturePlan,
    /// Whether the server is asked for its version (`INFO server`), to tell which product answers.
    pub server_info: bool,
    /// The plan for the old name of a migration, which is probed at the same time.
    pub old: Option<Box<Self>>,
}

impl Plan {
    /// A plan with every default, for `target`.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            expectation: Expectation::default(),
            resolvers: Vec::new(),
            views: ViewSelection::All,
            azure_dns: AzureDns::default(),
            connect: None,
            addresses: Addresses::First,
            reach: AddressPolicy::default(),
            timeout: DEFAULT_TIMEOUT,
            tries: None,
            samples: 1,
            auth: Auth::None,
            ca_file: None,
            cluster: ClusterMode::default(),
            application: ApplicationMode::default(),
            max_opened_per_minute: None,
            held_connection: false,
            posture: PosturePlan::default(),
            server_info: false,
            old: None,
        }
    }
}

impl Plan {
    /// With the old name of a migration. It is probed in the same way, and without what is the new name's own: its
    /// endpoints, address, server name and password. It has a part of the time, so that the rest of the probe has some.
    #[must_use]
    pub fn with_old_name(mut self, host: HostName, port: Option<u16>) -> Self {
        self.server_info = true;
        let expectation = Expectation {
            path: self.expectation.path,
            private_ranges: self.expectation.private_ranges.clone(),
            ..Expectation::default()
        };
        let auth = match &self.auth {
            Auth::Entra(auth) => Auth::Entra(auth.clone()),
            Auth::None | Auth::Password { .. } => Auth::None,
        };
        let old = Self {
            expectation,
            resolvers: self.resolvers.clone(),
            views: self.views.clone(),
            azure_dns: self.azure_dns,
            timeout: self.timeout.mul_f64(OLD_NAME_SHARE),
            auth,
            ca_file: self.ca_file.clone(),
            cluster: self.cluster,
            application: ApplicationMode::Off,
            posture: PosturePlan { skip_auth_check: true, ..PosturePlan::default() },
            server_info: true,
            ..Self::new(Target::new(host, port, self.target.tls))
        };
        self.old = Some(Box::new(old));
        self
    }

    /// Whether a name that resolves to `ip` may be connected to there.
    pub fn reaches(&self, ip: IpAddr) -> bool {
        match self.reach {
            AddressPolicy::Any => true,
            AddressPolicy::NoInternal => self.is_external(ip) && !address::leads_to_platform_service(ip),
        }
    }

    /// Whether the public address is expected to be closed, and nothing says what that address is.
    pub fn lacks_public_address(&self) -> bool {
        self.expectation.public_access == PublicAccess::Closed
            && self.posture.public_address == PublicAddress::Auto
            && !self.resolvers.iter().any(|resolver| resolver.is_public(&self.expectation.private_ranges))
    }

    fn is_external(&self, ip: IpAddr) -> bool {
        match self.expectation.class(ip) {
            AddressClass::Private | AddressClass::Shared | AddressClass::Public => match ip.to_canonical() {
                IpAddr::V4(_) => true,
                // A translator connects to the IPv4 address.
                IpAddr::V6(ip) => address::embedded_v4(ip).is_none_or(|embedded| self.is_external(embedded.into())),
            },
            AddressClass::LinkLocal | AddressClass::Loopback | AddressClass::Special => false,
        }
    }
}

/// Whether the names of a server's clients are kept, beside their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientNames {
    /// Numbers alone.
    Omit,
    /// Names, users, libraries and ages, too.
    List,
}

/// Which addresses a name may lead to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressPolicy {
    /// Any: the target is configured.
    #[default]
    Any,
    /// Private, shared and public ones: the target is not configured, and a name under another's control may lead to
    /// loopback, to a cloud's metadata service (169.254.169.254) or to the platform's own address (168.63.129.16).
    NoInternal,
}

/// The part of a probe's time that the old name of a migration has.
const OLD_NAME_SHARE: f64 = 0.8;

/// The limit of a probe where none is given.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the last results of the checks of posture hold where nothing is given.
pub const DEFAULT_POSTURE_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// The most tries of one view.
pub const MAX_TRIES: u8 = 20;

/// The most `PING`s of one probe.
pub const MAX_SAMPLES: u16 = 1000;

/// A resolver that is asked beside the system's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolver {
    /// The view's name.
    pub name: String,
    /// Where it listens; port 53 unless said.
    pub address: SocketAddr,
}

impl Resolver {
    /// Whether it is a resolver in the internet, which answers with the public address. Azure's own has an address
    /// that looks public.
    pub fn is_public(&self, private_ranges: &[IpNet]) -> bool {
        let ip = self.address.ip();
        ip != AZURE_DNS && address::classify(ip, private_ranges) == AddressClass::Public
    }

    /// Azure's own resolver, by the name `azure`.
    pub fn azure() -> Self {
        Self { name: "azure".to_owned(), address: SocketAddr::new(AZURE_DNS, 53) }
    }
}

/// Which views are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ViewSelection {
    /// `libc`, one per name server of resolv.conf, and every configured resolver.
    All,
    /// Only these, by name: `libc`, `system` (every name server), `system:ADDRESS`, or a resolver's name.
    Only(Vec<String>),
}

impl ViewSelection {
    /// Whether the view called `name` is asked.
    pub fn includes(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => {
                names.iter().any(|wanted| wanted == name || (wanted == "system" && name.starts_with("system:")))
            }
        }
    }
}

/// Whether Azure's own resolver (168.63.129.16) is asked without being configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum AzureDns {
    /// Where the name of an Azure service leads to an address that is not expected
    #[default]
    Auto,
    /// Never
    Off,
}

/// Which of the resolved addresses are connected to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Addresses {
    /// The first that answers, in the resolver's order, as a client does
    #[default]
    First,
    /// Every one, each with its own phases
    All,
}

/// Whether the nodes that a cluster announces are connected to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ClusterMode {
    /// Where the server is part of a cluster
    #[default]
    Auto,
    /// The same; where the nodes cannot be looked at, the verdict is unknown
    On,
    /// Never
    Off,
}

/// Whether the applications' own connections to the target are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ApplicationMode {
    /// Reported where a connection to an address of the target is found
    #[default]
    Auto,
    /// Always reported; without a list the verdict is unknown
    On,
    /// Never
    Off,
}

/// What is looked at that should be closed. What is expected of it is the expectation's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PosturePlan {
    /// How long the last results of the checks hold for the probes of a schedule; the others make them always.
    pub interval: Duration,
    /// Skips the connection without credentials that a probe with credentials makes.
    pub skip_auth_check: bool,
    /// The port, at the address in use, where Redis without TLS should not answer; `None` where it is not looked at.
    pub plaintext_port: Option<u16>,
    /// The public address, looked at unless [`crate::expectation::PublicAccess::Ignore`] is expected of it.
    pub public_address: PublicAddress,
}

impl Default for PosturePlan {
    fn default() -> Self {
        Self {
            interval: DEFAULT_POSTURE_INTERVAL,
            skip_auth_check: false,
            plaintext_port: None,
            public_address: PublicAddress::default(),
        }
    }
}

/// What a server is that answers without credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequireAuth {
    /// An error.
    #[default]
    Error,
    /// A remark.
    Remark,
    /// A remark where it is seen; no connection is made to find out.
    Off,
}

/// The port where Redis without TLS must not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlaintextPort {
    /// The check is skipped.
    #[default]
    Off,
    /// This port of the address in use.
    Port(u16),
}

/// Where the public address comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PublicAddress {
    /// From the answer of a configured resolver in the internet; nothing is looked at where none has one.
    #[default]
    Auto,
    /// From the operator.
    Given(IpAddr),
}

/// How a probe authenticates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// No authentication, ignoring the environment
    None,
    /// User name and password
    Password,
    /// A token of Entra ID
    Entra,
}

/// How a probe authenticates, and as whom.
#[derive(Clone, PartialEq, Eq)]
pub enum Auth {
    /// Nobody: `NOAUTH` proves path, TLS and that authentication is enforced.
    None,
    /// A user name and a password.
    Password {
        /// The user name; Redis' `default` where it is `None`.
        username: Option<String>,
        /// Where the password comes from.
        source: PasswordSource,
    },
    /// A token of Entra ID in place of a password.
    Entra(EntraAuth),
}

/// Which identity the token is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EntraAuth {
    /// Who hands the token out.
    pub source: TokenSource,
    /// The client ID of the identity; the source's own default where `None`.
    pub client_id: Option<String>,
    /// The user name; the token's object ID where `None`, which is what Azure calls the user.
    pub username: Option<String>,
}

/// Where a token of Entra ID comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, Display, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum TokenSource {
    /// The service account token of AKS workload identity, exchanged at the token endpoint
    WorkloadIdentity,
    /// The metadata service of a virtual machine
    ManagedIdentity,
    /// The `az login` identity
    AzureCli,
}

/// Whether this build can fetch tokens of Entra ID: the feature `entra`, which is on by default.
pub const HAS_ENTRA: bool = cfg!(feature = "entra");

/// Where a password file is. A relative path is one of the credentials that systemd passes to a service, in
/// the directory that systemd.exec(5) calls `$CREDENTIALS_DIRECTORY`; elsewhere it is relative as usual.
pub fn password_file(path: &Path) -> PathBuf {
    std::env::var_os("CREDENTIALS_DIRECTORY")
        .map_or_else(|| path.into(), |directory| PathBuf::from(directory).join(path))
}

/// Where a password comes from. It is read for every probe, so that a rotated file is taken up.
#[derive(Clone)]
pub enum PasswordSource {
    /// A file that holds nothing else; one trailing line break is not part of it.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// Given in a URL, or read once from the file of a command line.
    Given(Arc<Secret>),
}

impl PartialEq for PasswordSource {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(a), Self::File(b)) => a == b,
            (Self::Environment(a), Self::Environment(b)) => a == b,
            (Self::Given(a), Self::Given(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl Eq for PasswordSource {}
