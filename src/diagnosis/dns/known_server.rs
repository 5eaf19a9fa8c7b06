//! Name servers that are known for what they are: by their addresses, and in a pod by its search list.

use crate::azure::AZURE_DNS;
use crate::diagnosis::Context;
use crate::diagnosis::pod::Pod;
use crate::observation::View;
use crate::observation::dns::ViewKind;

/// A name server that is no server of an operator's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KnownServer {
    /// 168.63.129.16, Azure's own resolver.
    AzureDns,
    /// CoreDNS of the cluster, by the address of its service.
    CoreDns,
    /// NodeLocal DNSCache of Kubernetes.
    NodeLocal,
    /// LocalDNS of AKS, which forwards to the virtual network's servers.
    LocalDnsDefault,
    /// LocalDNS of AKS, which forwards to CoreDNS.
    LocalDnsClusterFirst,
    /// Docker's embedded DNS server.
    Docker,
    /// systemd-resolved.
    Resolved,
    /// Another one on this machine.
    Loopback,
}

impl KnownServer {
    /// The server of `view`; the only cluster DNS service that a pod's resolv.conf names is CoreDNS.
    pub(super) fn of(case: &Context<'_>, view: &View) -> Option<Self> {
        let in_pod = view.kind == ViewKind::System && Pod::of(case) == Some(Pod::ClusterDns);
        Self::by_address(view).or_else(|| in_pod.then_some(Self::CoreDns))
    }

    /// By the address alone.
    pub(super) fn by_address(view: &View) -> Option<Self> {
        if view.is_azure_dns() {
            return Some(Self::AzureDns);
        }
        let ip = view.server?.ip();
        match ip.to_string().as_str() {
            "169.254.20.10" => Some(Self::NodeLocal),
            "169.254.10.10" => Some(Self::LocalDnsDefault),
            "169.254.10.11" => Some(Self::LocalDnsClusterFirst),
            "127.0.0.11" => Some(Self::Docker),
            "127.0.0.53" | "127.0.0.54" => Some(Self::Resolved),
            _ => ip.is_loopback().then_some(Self::Loopback),
        }
    }

    /// Its name beside its address, where the address does not say enough.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::AzureDns | Self::Loopback => None,
            Self::CoreDns => Some("CoreDNS of this cluster"),
            Self::NodeLocal => Some("NodeLocal DNSCache"),
            Self::LocalDnsDefault => Some("LocalDNS of AKS, for pods with dnsPolicy Default"),
            Self::LocalDnsClusterFirst => Some("LocalDNS of AKS, for pods with dnsPolicy ClusterFirst"),
            Self::Docker => Some("Docker's embedded DNS"),
            Self::Resolved => Some("systemd-resolved"),
        }
    }

    /// Which servers it asks, where that is set, and where its cache is emptied.
    pub(super) fn behind(self) -> String {
        match self {
            Self::AzureDns => format!(
                "{AZURE_DNS} answers from the private zones and DNS forwarding rulesets that are linked to this virtual network; a ruleset outranks a zone"
            ),
            Self::CoreDns => "CoreDNS asks the node's DNS servers, which are the virtual network's, unless the ConfigMap coredns-custom of kube-system names others; AKS nodes keep the virtual network's old DNS servers until their image is upgraded".to_owned(),
            Self::NodeLocal => "a restart of its DaemonSet empties it; the servers it asks stand in the ConfigMap node-local-dns of kube-system, and behind them in CoreDNS' own (coredns-custom)".to_owned(),
            Self::LocalDnsDefault => "its cache and stale times, and the servers it asks, are the node pool's LocalDNS configuration (vnetDNSOverrides); it asks the virtual network's DNS servers by itself".to_owned(),
            Self::LocalDnsClusterFirst => "its cache and stale times, and the servers it asks, are the node pool's LocalDNS configuration (kubeDNSOverrides); it asks CoreDNS by itself, whose forwarders stand in the ConfigMap coredns-custom of kube-system".to_owned(),
            Self::Docker => "Docker's embedded DNS asks the servers of the container's --dns option, or else those of the host's resolv.conf".to_owned(),
            Self::Resolved => {
                "resolvectl names the server that it asks for this name, and empties its cache".to_owned()
            }
            Self::Loopback => "ss names the program that listens there, and its configuration the servers that it asks".to_owned(),
        }
    }

    /// The commands that show it.
    pub(super) fn commands(self, host: &str) -> Vec<String> {
        const NODE_POOL: &str =
            "az aks nodepool show --cluster-name <cluster> --resource-group <resource-group> --name <node-pool>";
        const COREDNS: &str = "kubectl --namespace kube-system get configmap coredns-custom --output yaml";
        let commands: &[&str] = match self {
            Self::AzureDns => &[RULESETS],
            Self::CoreDns => &[NETWORK_SERVERS, COREDNS, UPGRADE_NODES],
            Self::NodeLocal => &[
                "kubectl --namespace kube-system get configmap node-local-dns --output yaml",
                "kubectl --namespace kube-system rollout restart daemonset node-local-dns",
            ],
            Self::LocalDnsDefault => &[NODE_POOL, NETWORK_SERVERS],
            Self::LocalDnsClusterFirst => &[NODE_POOL, COREDNS],
            Self::Docker => &["docker inspect --format '{{.HostConfig.Dns}}' <container>"],
            Self::Resolved => {
                return vec![
                    "resolvectl status".to_owned(),
                    format!("resolvectl query {host}"),
                    "resolvectl flush-caches".to_owned(),
                ];
            }
            Self::Loopback => &["ss -lnup sport = :53"],
        };
        commands.iter().map(|command| (*command).to_owned()).collect()
    }
}

/// The DNS servers that a virtual network gives its machines.
pub(super) const NETWORK_SERVERS: &str =
    "az network vnet show --name <vnet> --resource-group <resource-group> --query dhcpOptions.dnsServers";

/// The DNS forwarding rulesets that are linked to a virtual network.
pub(super) const RULESETS: &str = "az dns-resolver forwarding-ruleset list-by-virtual-network --virtual-network-name <vnet> --resource-group <resource-group>";

/// Gives the nodes of a pool the virtual network's present DNS servers.
const UPGRADE_NODES: &str = "az aks nodepool upgrade --cluster-name <cluster> --resource-group <resource-group> --name <node-pool> --node-image-only";
