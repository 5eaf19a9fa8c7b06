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
    /// The subnet: the label `subnet`, else the environment variable `REDPATH_SUBNET`, else that of the node's pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subnet: Option<String>,
}

impl Vantage {
    /// This machine, read from the kernel and the environment, with the operator's labels and subnets by node pool.
    pub fn here(labels: BTreeMap<String, String>, subnet_by_node_pool: &BTreeMap<String, String>) -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname")
            .map(|name| name.trim().to_owned())
            .ok()
            .filter(|name| !name.is_empty())
            .or_else(|| variable("HOSTNAME"))
            .unwrap_or_else(|| "unknown".to_owned());
        let node = variable("NODE_NAME");
        let of_pool = node.as_deref().and_then(|node| subnet_of_node(node, subnet_by_node_pool));
        let given = labels.get("subnet").cloned().or_else(|| variable("REDPATH_SUBNET"));
        Self {
            hostname,
            subnet: given.or_else(|| of_pool.map(str::to_owned)),
            labels,
            source_addresses: Vec::new(),
            pod: variable("POD_NAME"),
            namespace: variable("POD_NAMESPACE"),
            node,
        }
    }

    /// The labels of `redpath_vantage_info`. The operator's own come last and outrank the others; the
    /// empty ones, which Prometheus takes for absent, are left out. A PodMonitor gives every series its own `pod`
    /// and `namespace`; under these names, Prometheus would rename ours to `exported_pod`.
    pub fn metric_labels(&self) -> BTreeMap<String, String> {
        let known = [
            ("hostname", Some(&self.hostname)),
            ("node", self.node.as_ref()),
            ("pod_name", self.pod.as_ref()),
            ("pod_namespace", self.namespace.as_ref()),
            ("subnet", self.subnet.as_ref()),
        ];
        let known = known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.clone())));
        let own = self.labels.iter().map(|(name, value)| (label_name(name), value.clone()));
        known.chain(own).filter(|(_, value)| !value.is_empty()).collect()
    }
}

/// The subnet of the pool that `node` belongs to: AKS calls the nodes of a Linux pool `aks-POOL-…`, and
/// the downward API gives a pod its node's name, not the node's labels. Where several fit (`app`,
/// `app-b`: the pools of node auto-provisioning may have a dash), the longest is meant.
fn subnet_of_node<'s>(node: &str, subnet_by_node_pool: &'s BTreeMap<String, String>) -> Option<&'s str> {
    let rest = node.strip_prefix("aks-")?;
    let fits = |pool: &str| rest.strip_prefix(pool).is_some_and(|rest| rest.starts_with('-'));
    let (_, subnet) = subnet_by_node_pool.iter().filter(|(pool, _)| fits(pool)).max_by_key(|(pool, _)| pool.len())?;
    Some(subnet)
}

/// The nearest name that a label may have: letters, digits and `_`, no digit in front, and not the
/// `__` that Prometheus keeps to itself.
fn label_name(text: &str) -> String {
    let name: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let name = name.trim_start_matches('_');
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("label_{name}")
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vantage_node_pool_from_node_name() {
        let pools = [("app", "app-a"), ("app-b", "app-b"), ("system", "aks-system")];
        let pools = pools.map(|(pool, subnet)| (pool.to_owned(), subnet.to_owned())).into();
        for (node, subnet) in [
            ("aks-app-12345678-vmss00000a", Some("app-a")),
            ("aks-app-b-x7k2p", Some("app-b")),
            ("aks-system-12345678-vmss000000", Some("aks-system")),
            ("aks-apps-12345678-vmss000000", None),
            ("aks-gpu-12345678-vmss000000", None),
            ("aks-app", None),
            ("app-12345678", None),
            ("", None),
        ] {
            assert_eq!(subnet_of_node(node, &pools), subnet, "{node}");
        }
    }

    #[test]
    fn vantage_labels_are_valid_and_unique() {
        let own = [("subnet", "app-b"), ("cost-centre", "7"), ("1st", "x"), ("__name__", "y"), ("empty", "")];
        let vantage = Vantage {
            hostname: "vm-1".into(),
            subnet: Some("app-a".into()),
            labels: own.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            ..Vantage::default()
        };
        let labels = vantage.metric_labels();
        let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected =
            [("cost_centre", "7"), ("hostname", "vm-1"), ("label_1st", "x"), ("name__", "y"), ("subnet", "app-b")];
        assert_eq!(labels, expected);
    }
}
