//! The mirror of the file: its keys, their shapes and the ranges of their numbers. The JSON Schema
//! comes from here, and with it every check of shape. What the values mean is `resolve`'s.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::expectation::{ExpectedPath, PublicAccess};
use crate::plan::{Addresses, ApplicationMode, AuthMethod, AzureDns, ClusterMode, TokenSource};

/// The configuration of the agent.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    /// The vantage of this agent.
    pub(super) vantage: Option<RawVantage>,
    /// DNS servers to query beside the system's, each a view of its own. `azure` is short for `{name: azure, address: 168.63.129.16}`, an address alone is its own name.
    #[schemars(length(max = 32))]
    pub(super) resolvers: Option<Vec<RawResolver>>,
    /// Addresses and CIDR ranges to treat as private, beside those of RFC 1918 and RFC 4193.
    #[schemars(length(max = 1000))]
    pub(super) private_ranges: Option<Vec<RawRange>>,
    /// Settings of every target that does not set them itself.
    pub(super) defaults: Option<RawSettings>,
    /// The targets to probe.
    #[schemars(length(min = 1, max = 10_000))]
    pub(super) targets: Vec<RawTarget>,
    /// The HTTP server.
    pub(super) web: Option<RawWeb>,
    /// The metrics.
    pub(super) metrics: Option<RawMetrics>,
    /// The journal. None is written without this key and without `--journal`.
    pub(super) journal: Option<RawJournal>,
    /// Maximum number of concurrent probes.
    #[schemars(range(min = 1, max = 1024), extend("default" = 64))]
    pub(super) max_concurrent_probes: Option<u16>,
}

/// The vantage of this agent.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawVantage {
    /// Labels of this vantage, such as `vnet`, `subnet` and `owner`. Names are those of Prometheus labels.
    #[schemars(extend("maxProperties" = 32))]
    pub(super) labels: Option<BTreeMap<String, String>>,
    /// Subnets by node pool, for an agent on AKS: the pool is read from the node's name, `aks-POOL-…`, which the environment variable `NODE_NAME` holds.
    #[schemars(extend("maxProperties" = 100))]
    pub(super) subnet_by_node_pool: Option<BTreeMap<String, String>>,
}

/// A resolver.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum RawResolver {
    /// `azure`, `ADDRESS[:PORT]` or `NAME=ADDRESS[:PORT]`, as `--resolver` takes it.
    Text(#[schemars(extend("examples" = ["azure", "10.10.0.53"]))] String),
    /// With its address.
    Full(RawFullResolver),
}

/// A resolver with its address.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFullResolver {
    /// The view's name: letters, digits, `_`, `.` and `-`; not `libc`, `all` or `system`.
    #[schemars(length(min = 1, max = 63))]
    pub(super) name: String,
    /// Where it listens: `IP`, `IP:PORT` or `[IPV6]:PORT`; port 53 unless given.
    #[schemars(extend("examples" = ["10.10.0.53", "[fd00::53]:53"]))]
    pub(super) address: String,
}

/// The keys that `defaults` and a target share. In a target, a key that is not given is that of `defaults`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)] // the schema refuses them: serde cannot in a part that is flattened
pub(super) struct RawSettings {
    /// The time from the beginning of one probe to the beginning of the next: 100ms to 1day.
    #[schemars(extend("default" = "15s"))]
    pub(super) interval: Option<RawDuration>,
    /// The limit of a whole probe: 100ms to 5m, and at most the interval. 5s unless given, or the interval where that is shorter.
    pub(super) timeout: Option<RawDuration>,
    /// Number of queries per view, one after the other, to find a server whose answers change: 1 unless given, and 3 for the C library and the system's name servers if the views disagree.
    #[schemars(range(min = 1, max = 20))]
    pub(super) tries: Option<u8>,
    /// Number of PINGs per probe.
    #[schemars(range(min = 1, max = 1000), extend("default" = 1))]
    pub(super) samples: Option<u16>,
    /// The views to query.
    #[schemars(extend("default" = "all"))]
    pub(super) views: Option<RawViews>,
    /// The resolved addresses to connect to.
    #[schemars(extend("default" = "first"))]
    pub(super) addresses: Option<Addresses>,
    /// Whether to query Azure's own resolver (168.63.129.16) without being configured, if the name of an Azure service leads to an address that is not expected.
    #[schemars(extend("default" = "auto"))]
    pub(super) azure_dns: Option<AzureDns>,
    /// Expectations. In a target, each key that is not given is that of `defaults`.
    pub(super) expect: Option<RawExpect>,
    /// Authentication. In a target, it replaces the whole of `defaults.auth`.
    pub(super) auth: Option<RawAuth>,
    /// TLS to Redis. In a target, each key that is not given is that of `defaults`.
    pub(super) tls: Option<RawTls>,
    /// Checks of the server's settings. In a target, each key that is not given is that of `defaults`.
    pub(super) posture: Option<RawPosture>,
    /// Whether to connect to the nodes that a cluster announces.
    #[schemars(extend("default" = "auto"))]
    pub(super) cluster: Option<ClusterMode>,
    /// Whether to list the applications' own connections in this network namespace.
    #[schemars(extend("default" = "auto"))]
    pub(super) application: Option<ApplicationMode>,
    /// Warn if applications open more connections a minute; no limit unless given.
    #[schemars(range(min = 1))]
    pub(super) max_opened_per_minute: Option<u32>,
    /// Whether one connection to the target is held open, with a PING at each probe.
    #[schemars(extend("default" = false))]
    pub(super) held_connection: Option<bool>,
}

/// A target.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct RawTarget {
    /// The name in metrics, reports and logs; the host name unless given. Unique.
    #[schemars(length(min = 1, max = 128))]
    pub(super) name: Option<String>,
    /// The host name that is resolved, without port and scheme.
    #[schemars(length(min = 1, max = 254), extend("examples" = ["cache1.redis.cache.windows.net"]))]
    pub(super) host: String,
    /// The port; the service's own unless given, known from the host name's suffix.
    #[schemars(range(min = 1, max = 65535))]
    pub(super) port: Option<u16>,
    /// An IP address to connect to in place of what was resolved, with the host name kept for TLS.
    #[schemars(extend("examples" = ["10.60.4.5"]))]
    pub(super) connect: Option<String>,
    /// Files of JSON that `az` printed: they set what is not given here, and name causes. Read when this file is.
    #[schemars(length(max = 100), extend("examples" = ["az/cache1.json"]))]
    pub(super) expect_from: Option<Vec<String>>,
    /// The migration that this target is the new name of.
    pub(super) migration: Option<RawMigration>,
    #[serde(flatten)]
    pub(super) settings: RawSettings,
}

/// Both parts are read from one mapping. Derived, `flatten` would compile a second reader of every type in it.
impl<'de> Deserialize<'de> for RawTarget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct OwnKeys {
            name: Option<String>,
            host: String,
            port: Option<u16>,
            connect: Option<String>,
            expect_from: Option<Vec<String>>,
            migration: Option<RawMigration>,
        }
        let keys = serde_json::Value::deserialize(deserializer)?;
        let settings = serde_json::from_value(keys.clone()).map_err(D::Error::custom)?;
        let own: OwnKeys = serde_json::from_value(keys).map_err(D::Error::custom)?;
        let OwnKeys { name, host, port, connect, expect_from, migration } = own;
        Ok(Self { name, host, port, connect, expect_from, migration, settings })
    }
}

/// The migration that a target is the new name of.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMigration {
    /// The old name, `HOST` or `HOST:PORT`: it is probed together with the target, and the pair is compared.
    #[schemars(length(min = 1, max = 260), extend("examples" = ["cache1.redis.cache.windows.net"]))]
    pub(super) old: String,
}

/// Expectations of a target.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawExpect {
    /// The expected kind of address.
    #[schemars(extend("default" = "private"))]
    pub(super) path: Option<ExpectedPath>,
    /// The expected addresses or CIDR ranges; if the list is empty, any address of the expected kind.
    #[schemars(length(max = 100))]
    pub(super) endpoints: Option<Vec<RawRange>>,
    /// Warn if a phase takes longer: 1us to 5m.
    pub(super) latency: Option<RawLatency>,
    /// Warn if the certificate expires sooner: 0s to 3650days.
    #[schemars(extend("default" = "14days"))]
    pub(super) certificate_warning: Option<RawDuration>,
}

/// The latency budget of each phase.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLatency {
    /// Resolving the name.
    pub(super) resolve: Option<RawDuration>,
    /// Opening the TCP connection.
    pub(super) connect: Option<RawDuration>,
    /// The TLS handshake.
    pub(super) tls: Option<RawDuration>,
    /// `AUTH`.
    pub(super) auth: Option<RawDuration>,
    /// `PING`: the median of the samples.
    pub(super) ping: Option<RawDuration>,
}

/// Authentication. The file never contains a secret.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAuth {
    /// `none` probes without credentials, which proves the path and that authentication is enforced.
    #[schemars(extend("default" = "none"))]
    pub(super) method: AuthMethod,
    /// The user name: Redis' own `default` unless given, and for `method: entra` the object ID of the identity.
    #[schemars(length(min = 1, max = 256))]
    pub(super) username: Option<String>,
    /// The file that holds the password and nothing else, read for every probe. For `method: password`.
    #[schemars(length(min = 1, max = 4096))]
    pub(super) password_file: Option<String>,
    /// The environment variable that holds the password. For `method: password`.
    #[schemars(length(min = 1, max = 256))]
    pub(super) password_env: Option<String>,
    /// Token source. Required for `method: entra`.
    pub(super) source: Option<TokenSource>,
    /// The client ID of the identity; that of `AZURE_CLIENT_ID` (`workload_identity`) or the system-assigned one (`managed_identity`) unless given. For `method: entra`.
    #[schemars(length(min = 1, max = 64))]
    pub(super) client_id: Option<String>,
}

/// TLS to Redis.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    /// Disable TLS.
    #[schemars(extend("default" = false))]
    pub(super) plaintext: Option<bool>,
    /// The file with the certificates to trust, PEM; the platform's unless given.
    #[schemars(length(min = 1, max = 4096))]
    pub(super) ca_file: Option<String>,
    /// The name for SNI and for the verification of the certificate; the host name unless given.
    #[schemars(length(min = 1, max = 254))]
    pub(super) server_name: Option<String>,
}

/// Checks of the server's settings.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPosture {
    /// Whether a server that answers without credentials is an error; otherwise it is a warning. `off` makes no connection to find out.
    #[schemars(extend("default" = true))]
    pub(super) require_auth: Option<RawRequireAuth>,
    /// A port where Redis without TLS must not answer at the address in use: one that does is an error. For targets with TLS.
    #[schemars(extend("default" = "off"))]
    pub(super) plaintext_port: Option<RawPlaintextPort>,
    /// What is expected of the public address, as seen from here: `closed` makes one where TLS and Redis answer an error, `open` tells and fails nothing, `ignore` does not look. `closed` where a `public_address` is given, else `ignore`.
    pub(super) public_access: Option<PublicAccess>,
    /// The public address: an IP address, or `auto` for the answer of a configured resolver in the internet.
    #[schemars(extend("default" = "auto", "examples" = ["auto", "20.50.1.10"]))]
    pub(super) public_address: Option<String>,
    /// How long the results of these checks hold, up to a tenth less: 100ms to 1day. Each check is a connection of its own. They are made at once after a change of the address or the configuration.
    #[schemars(extend("default" = "10m"))]
    pub(super) interval: Option<RawDuration>,
}

/// Severity of a server that answers without credentials.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum RawRequireAuth {
    /// An error, or a remark.
    Is(bool),
    /// It is not looked at where credentials are configured; where none are, a remark.
    Off(Off),
}

/// The port for Redis without TLS.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum RawPlaintextPort {
    /// This one.
    Port(#[schemars(range(min = 1, max = 65535))] u16),
    /// None is looked at.
    Off(Off),
}

/// The word for none.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Off {
    Off,
}

/// The HTTP server.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWeb {
    /// The address and port to listen on.
    #[schemars(extend("default" = "0.0.0.0:9736", "examples" = ["0.0.0.0:9736", "[::]:9736"]))]
    pub(super) listen: Option<String>,
    /// Host names by which browsers may ask the agent, and those below them, beside IP addresses, names without a dot, this machine's own, and those under `.internal`, `.local`, `.localhost`, `.home.arpa` and `.svc`. Any name will do with TLS or users.
    #[schemars(length(max = 100), extend("examples" = [["redpath.example.org"]]))]
    pub(super) allowed_hosts: Option<Vec<String>>,
    /// Probes on demand, `/probe?target=`.
    pub(super) probe: Option<RawProbe>,
}

/// Probes on demand.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProbe {
    /// Suffixes of host names that may be probed without being a target; none unless given. At least two labels each.
    #[schemars(length(max = 100))]
    pub(super) allowed_suffixes: Option<Vec<String>>,
}

/// The metrics.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMetrics {
    /// The upper bounds of the histograms of times, in seconds, rising; 0.00025 doubling to 8.192 unless given.
    #[schemars(length(min = 1, max = 50))]
    pub(super) phase_buckets: Option<Vec<f64>>,
    /// Whether `redpath_resolution_info` and `redpath_connection_info` are exported.
    #[schemars(extend("default" = true))]
    pub(super) resolution_info: Option<bool>,
    /// Whether the durations of phases have the buckets of `phase_buckets`; `false` leaves count and sum.
    #[schemars(extend("default" = true))]
    pub(super) classic_histograms: Option<bool>,
    /// Whether the durations of phases are native histograms too, for scrapers that ask for protobuf.
    #[schemars(extend("default" = false))]
    pub(super) native_histograms: Option<bool>,
}

/// Where the agent keeps a journal, and how much of it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawJournal {
    /// The directory, which no other redpath writes to. `--journal` outranks it.
    pub(super) directory: String,
    /// The most bytes of all its files, the oldest are removed first: 1MiB to 1TiB; 100MiB unless given.
    pub(super) max_bytes: Option<String>,
    /// How long a file is kept after its last line: 1h to 3652days; 30days unless given.
    pub(super) max_age: Option<RawDuration>,
}

/// The views to query.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum RawViews {
    /// Every one.
    All(AllViews),
    /// These: `libc`, `system`, `system:ADDRESS`, or a resolver's name.
    Only(#[schemars(length(min = 1, max = 64))] Vec<String>),
}

/// The word for every view.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum AllViews {
    All,
}

/// A number with a unit: `5ms`, `15s`, `1m 30s`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub(super) struct RawDuration(pub(super) String);

impl JsonSchema for RawDuration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[0-9].*[a-zA-Z]$", "examples": ["5ms", "15s", "1m30s"]})
    }
}

/// An address or a CIDR range.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub(super) struct RawRange(pub(super) String);

impl JsonSchema for RawRange {
    fn schema_name() -> Cow<'static, str> {
        "Range".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "examples": ["10.60.4.5", "10.60.4.0/24"]})
    }
}

/// The JSON Schema of the file.
pub(super) fn schema() -> Schema {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .with_transform(RecursiveTransform(without_null));
    let mut schema = settings.into_generator().into_root_schema_for::<RawConfig>();
    schema.insert("title".to_owned(), "redpath agent configuration".into());
    schema
}

/// A key without a value is refused: a template that came out empty must not switch a check off.
fn without_null(schema: &mut Schema) {
    let null =
        |value: &serde_json::Value| *value == serde_json::Value::Null || *value == "null" || value["type"] == "null";
    for keyword in ["type", "enum", "anyOf"] {
        let Some(serde_json::Value::Array(values)) = schema.get_mut(keyword) else { continue };
        values.retain(|value| !null(value));
        if values.len() == 1 && keyword != "enum" {
            let only = values.remove(0);
            schema.remove(keyword);
            match only {
                serde_json::Value::Object(only) => {
                    for (key, value) in only {
                        if schema.get(&key).is_none() {
                            schema.insert(key, value);
                        }
                    }
                }
                word => {
                    schema.insert(keyword.to_owned(), word);
                }
            }
        }
    }
}
