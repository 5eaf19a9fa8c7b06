//! Whether this is a pod of Kubernetes, and whose DNS servers it asks.

use crate::diagnosis::Context;

/// A pod, by the DNS servers that it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pod {
    /// The cluster's (dnsPolicy `ClusterFirst`): the search list is a cluster's.
    ClusterDns,
    /// The node's (dnsPolicy `Default`, or the node's network).
    NodeDns,
}

impl Pod {
    /// By the search list (`NAMESPACE.svc.DOMAIN`), and the environment that every pod has.
    pub(super) fn of(case: &Context<'_>) -> Option<Self> {
        let resolution = &case.observation.resolution;
        let is_cluster_domain = |domain: &String| {
            let domain = domain.to_ascii_lowercase();
            domain.starts_with("svc.") || domain.contains(".svc.")
        };
        if resolution.search.iter().any(is_cluster_domain) {
            Some(Self::ClusterDns)
        } else {
            resolution.in_kubernetes.then_some(Self::NodeDns)
        }
    }
}

/// What a pod that asks its node's servers has to know of them.
pub(super) fn note(case: &Context<'_>) -> &'static str {
    match Pod::of(case) {
        Some(Pod::NodeDns) => {
            " This pod asks its node's DNS servers (dnsPolicy Default, or the node's network); AKS nodes keep the virtual network's old DNS servers until their image is upgraded."
        }
        Some(Pod::ClusterDns) | None => "",
    }
}
