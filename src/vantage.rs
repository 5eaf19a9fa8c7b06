//! The place a probe looks from.

use std::collections::BTreeMap;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a record was made: the host, the pod, the subnet and the operator's own labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Vantage {
    /// The host's own name.
    pub hostname: String,
    /// The operator's labels, such as `vnet`, `subnet`, `owner`.
    pub labels: BTreeMap<String, String>,
    /// The local addresses that probes of this vantage left from.
    pub source_addresses: Vec<IpAddr>,
    /// The pod's name, from the environment variable `POD_NAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// The pod's namespace, from `POD_NAMESPACE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The node's name, from `NODE_NAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The subnet, from the label `subnet` or the environment variable `REDPATH_SUBNET`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subnet: Option<String>,
}

impl Vantage {
    /// This machine, read from the kernel and the environment, with the operator's labels.
    pub fn here(labels: BTreeMap<String, String>) -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname")
            .map(|name| name.trim().to_owned())
            .ok()
            .filter(|name| !name.is_empty())
            .or_else(|| variable("HOSTNAME"))
            .unwrap_or_else(|| "unknown".to_owned());
        Self {
            hostname,
            subnet: labels.get("subnet").cloned().or_else(|| variable("REDPATH_SUBNET")),
            labels,
            source_addresses: Vec::new(),
            pod: variable("POD_NAME"),
            namespace: variable("POD_NAMESPACE"),
            node: variable("NODE_NAME"),
        }
    }
}
