//! The agent's configuration file.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use crate::plan::{MAX_CONCURRENT_PROBES, Plan};
use crate::target::{HostName, Target};

/// What the agent is to do.
pub struct Config {
    /// The operator's labels of this vantage.
    pub labels: BTreeMap<String, String>,
    /// What is probed.
    pub targets: Vec<TargetConfig>,
    /// How it is served.
    pub web: WebSettings,
    /// Which metrics there are.
    pub metrics: MetricsSettings,
    /// The most probes at a time.
    pub max_concurrent_probes: usize,
}

/// One target and how often it is probed.
#[derive(PartialEq, Clone)]
pub struct TargetConfig {
    /// What one probe does.
    pub plan: Plan,
    /// The time from one probe to the next.
    pub interval: Duration,
}

/// How the agent is served.
pub struct WebSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The suffixes of host names that may be probed on demand; empty: configured targets only.
    pub probe_allowed_suffixes: Vec<String>,
}

/// Which metrics there are.
#[derive(Default)]
pub struct MetricsSettings {
    /// The buckets of the phases' durations, in seconds.
    pub phase_buckets: Vec<f64>,
    /// Whether `redpath_resolution_info` is exported.
    pub resolution_info: bool,
}

/// Why a configuration is refused: one sentence.
#[derive(Debug)]
pub struct ConfigError(String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    #[serde(default)]
    vantage: RawVantage,
    #[serde(default)]
    defaults: RawDefaults,
    targets: Vec<RawTarget>,
    #[serde(default)]
    web: RawWeb,
}

#[derive(Deserialize, Default)]
struct RawVantage {
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
struct RawDefaults {
    interval: Option<String>,
    timeout: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTarget {
    name: String,
    host: String,
    interval: Option<String>,
}

#[derive(Deserialize, Default)]
struct RawWeb {
    listen: Option<SocketAddr>,
    #[serde(default)]
    probe_allowed_suffixes: Vec<String>,
}

/// Reads a configuration file.
///
/// # Errors
/// A sentence that names the file, the key and what would be accepted.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| ConfigError(format!("{}: {error}", path.display())))?;
    parse(&text).map_err(|ConfigError(error)| ConfigError(format!("{}: {error}", path.display())))
}

/// Reads a configuration.
///
/// # Errors
/// A sentence that names the key and what would be accepted.
pub fn parse(text: &str) -> Result<Config, ConfigError> {
    let raw: RawConfig = serde_saphyr::from_str_with_options(text, serde_saphyr::options! { with_snippet: false })
        .map_err(|error| ConfigError(error.to_string().lines().next().unwrap_or_default().to_owned()))?;
    let duration = |text: Option<&String>, default: u64| match text {
        Some(text) => humantime::parse_duration(text).map_err(|error| ConfigError(format!("{text:?}: {error}"))),
        None => Ok(Duration::from_secs(default)),
    };
    let mut targets = Vec::new();
    for target in &raw.targets {
        let host = HostName::parse(&target.host).map_err(ConfigError)?;
        let mut plan = Plan::new(Target { name: target.name.clone(), ..Target::new(host, None, true) });
        plan.timeout = duration(raw.defaults.timeout.as_ref(), 5)?;
        let interval = duration(target.interval.as_ref().or(raw.defaults.interval.as_ref()), 15)?;
        targets.push(TargetConfig { plan, interval });
    }
    Ok(Config {
        labels: raw.vantage.labels,
        targets,
        web: WebSettings {
            listen: raw.web.listen.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 9736))),
            probe_allowed_suffixes: raw.web.probe_allowed_suffixes,
        },
        metrics: MetricsSettings::default(),
        max_concurrent_probes: MAX_CONCURRENT_PROBES,
    })
}
