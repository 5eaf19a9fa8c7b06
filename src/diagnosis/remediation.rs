//! The commands that decide or fix a case, with its own names filled in.
//!
//! `<…>` marks what only the operator knows. Every command is one line, ready to paste: names that
//! come from DNS or from a saved record stand in one only where they are plain words.

use std::net::SocketAddr;

use super::Context;
use super::text::is_plain_word;
use crate::azure::{self, Endpoint, Service};
use crate::observation::dns::ViewKind;
use crate::observation::{Resolution, View};
use crate::plan::Resolver;

/// What the host name, or the chain behind it, says about the resource.
pub(super) struct Resource {
    pub(super) service: Service,
    pub(super) zone: String,
    pub(super) record: String,
}

impl Resource {
    /// Of the last known name in the chain that explains the addresses in use, else of the target's own:
    /// an alias in front of a cache is common, and a geo-replication group's name changes its cache.
    pub(super) fn of(case: &Context<'_>) -> Option<Self> {
        let resolution = &case.observation.resolution;
        let explains = |view: &&View| resolution.in_use().is_some_and(|in_use| in_use.agrees_with(view));
        let (explaining, others): (Vec<&View>, Vec<&View>) = resolution.views.iter().partition(explains);
        explaining
            .into_iter()
            .chain(others)
            .find_map(end_of_chain)
            .or_else(|| Some(case.target.host.as_str()).filter(|host| is_plain_word(host)).and_then(azure::endpoint))
            .map(|Endpoint { service, zone, record, .. }| Self { service, zone, record })
    }

    /// The same resource by the zone and record that a chain showed; as it was, where those are no plain words.
    pub(super) fn seen_as(self, zone: &str, record: &str) -> Self {
        if is_plain_word(zone) && is_plain_word(record) {
            Self { zone: zone.to_owned(), record: record.to_owned(), ..self }
        } else {
            self
        }
    }

    /// The resource's own name: the first label of its record. A geo-replication group's name does not say it.
    pub(super) fn name(&self) -> &str {
        if self.record.ends_with(".geo") {
            return "<cache-name>";
        }
        self.record.split('.').next().unwrap_or(&self.record)
    }

    /// The resource's own host name.
    pub(super) fn host(&self) -> String {
        format!("{}.{}", self.record, self.suffix())
    }

    /// The suffix of the service's names: the zone without its `privatelink` label.
    pub(super) fn suffix(&self) -> &str {
        azure::suffix_of_zone(&self.zone)
    }

    fn resource_type(&self) -> &'static str {
        match self.service {
            Service::AzureCacheForRedis | Service::Other => "Microsoft.Cache/Redis",
            Service::AzureCacheForRedisEnterprise | Service::AzureManagedRedis => "Microsoft.Cache/redisEnterprise",
        }
    }

    pub(super) fn list_connections(&self) -> String {
        format!(
            "az network private-endpoint-connection list --name {} --resource-group <resource-group> --type {} --output table",
            self.name(),
            self.resource_type()
        )
    }

    pub(super) fn show(&self) -> String {
        match self.service {
            Service::AzureCacheForRedis | Service::Other => {
                format!("az redis show --name {} --resource-group <resource-group>", self.name())
            }
            Service::AzureCacheForRedisEnterprise | Service::AzureManagedRedis => self.show_managed(),
        }
    }

    /// Shows the cache of this name at Enterprise and Managed Redis.
    pub(super) fn show_managed(&self) -> String {
        format!("az redisenterprise show --cluster-name {} --resource-group <resource-group>", self.name())
    }

    /// Closes the port for Redis without TLS.
    pub(super) fn disable_plaintext_port(&self) -> String {
        match self.service {
            Service::AzureCacheForRedis | Service::Other => format!(
                "az redis update --name {} --resource-group <resource-group> --set enableNonSslPort=false",
                self.name()
            ),
            Service::AzureCacheForRedisEnterprise | Service::AzureManagedRedis => format!(
                "az redisenterprise database update --cluster-name {} --resource-group <resource-group> --client-protocol Encrypted",
                self.name()
            ),
        }
    }

    /// Whether the public address is open to networks at all.
    pub(super) fn show_public_access(&self) -> String {
        format!("{} --query publicNetworkAccess --output tsv", self.show())
    }

    /// Closes the public address, for every network.
    pub(super) fn disable_public_access(&self) -> String {
        self.set_public_access("Disabled")
    }

    /// Opens it.
    pub(super) fn enable_public_access(&self) -> String {
        self.set_public_access("Enabled")
    }

    fn set_public_access(&self, value: &str) -> String {
        match self.service {
            Service::AzureCacheForRedis | Service::Other => format!(
                "az redis update --name {} --resource-group <resource-group> --set publicNetworkAccess={value}",
                self.name()
            ),
            Service::AzureCacheForRedisEnterprise | Service::AzureManagedRedis => format!(
                "az redisenterprise update --cluster-name {} --resource-group <resource-group> --public-network-access {value}",
                self.name()
            ),
        }
    }

    /// Which identities have an access policy.
    pub(super) fn list_assignments(&self) -> String {
        match self.service {
            Service::AzureCacheForRedis | Service::Other => format!(
                "az redis access-policy-assignment list --name {} --resource-group <resource-group>",
                self.name()
            ),
            Service::AzureCacheForRedisEnterprise | Service::AzureManagedRedis => format!(
                "az redisenterprise database access-policy-assignment list --cluster-name {} --database-name default --resource-group <resource-group>",
                self.name()
            ),
        }
    }

    pub(super) fn list_keys(&self) -> String {
        match self.service {
            Service::AzureCacheForRedis | Service::Other => {
                format!("az redis list-keys --name {} --resource-group <resource-group>", self.name())
            }
            Service::AzureCacheForRedisEnterprise | Service::AzureManagedRedis => format!(
                "az redisenterprise database list-keys --cluster-name {} --resource-group <resource-group>",
                self.name()
            ),
        }
    }

    pub(super) fn list_links(&self) -> String {
        format!(
            "az network private-dns link vnet list --resource-group <zone-resource-group> --zone-name {} --query '[].[name,virtualNetwork.id,resolutionPolicy]' --output tsv",
            self.zone
        )
    }

    pub(super) fn create_link(&self) -> String {
        format!(
            "az network private-dns link vnet create --resource-group <zone-resource-group> --zone-name {} --name <link-name> --virtual-network <vnet-id> --registration-enabled false",
            self.zone
        )
    }

    pub(super) fn list_zone_groups(&self) -> String {
        "az network private-endpoint dns-zone-group list --endpoint-name <private-endpoint> --resource-group <resource-group>".to_owned()
    }

    pub(super) fn create_zone_group(&self) -> String {
        format!(
            "az network private-endpoint dns-zone-group create --endpoint-name <private-endpoint> --resource-group <resource-group> --name default --zone-name redis --private-dns-zone <id-of-{}>",
            self.zone
        )
    }

    pub(super) fn show_record(&self) -> String {
        format!(
            "az network private-dns record-set a show --resource-group <zone-resource-group> --zone-name {} --name {}",
            self.zone, self.record
        )
    }

    /// Has names that the zone lacks asked of public DNS.
    pub(super) fn fall_back_to_internet(&self) -> String {
        format!(
            "az network private-dns link vnet update --resource-group <zone-resource-group> --zone-name {} --name <link-name> --resolution-policy NxDomainRedirect",
            self.zone
        )
    }

    /// The ports on which the nodes of a cluster are reached beside the usual one.
    pub(super) fn node_ports(&self, tls: bool) -> Option<&'static str> {
        match (self.service, tls) {
            (Service::AzureCacheForRedis, true) => Some("15000-15999"),
            (Service::AzureCacheForRedis, false) => Some("13000-13999"),
            (Service::AzureCacheForRedisEnterprise | Service::AzureManagedRedis, _) => Some("8500-8599"),
            (Service::Other, _) => None,
        }
    }

    /// The private endpoint that would give the resource a private address.
    pub(super) fn create_endpoint(&self) -> String {
        format!(
            "az network private-endpoint create --name <private-endpoint> --resource-group <resource-group> --vnet-name <vnet> --subnet <subnet> --connection-name <connection> --group-id {} --private-connection-resource-id <resource-id>",
            self.service.group_id().unwrap_or("redisCache")
        )
    }
}

/// The last name of a chain that is one of an Azure Redis service, and what it says: of the chain that explains the
/// addresses in use, else of another view's.
pub(super) fn end_of_observed_chain(resolution: &Resolution) -> Option<(&str, Endpoint)> {
    let explains = |view: &&View| resolution.in_use().is_some_and(|in_use| in_use.agrees_with(view));
    let (explaining, others): (Vec<&View>, Vec<&View>) = resolution.views.iter().partition(explains);
    let with_cname = |view: &&View| view.chain.iter().any(|record| record.record_type == "CNAME");
    explaining.into_iter().chain(others).filter(with_cname).find_map(|view| {
        let names = view.chain.iter().flat_map(|record| [record.name.as_str(), record.data.as_str()]);
        let names: Vec<&str> = names.collect();
        let mut known = names.into_iter().skip(1).rev().filter(|name| is_plain_word(name));
        known.find_map(|name| Some((name, azure::endpoint(name)?)))
    })
}

/// The last name of a view's chain that is one of an Azure Redis service.
fn end_of_chain(view: &View) -> Option<Endpoint> {
    let chain = view.chain.iter().flat_map(|record| [record.name.as_str(), record.data.as_str()]);
    let names: Vec<&str> = chain.chain(view.canonical_name.as_deref()).collect();
    names.into_iter().rev().filter(|name| is_plain_word(name)).find_map(azure::endpoint)
}

/// Every private endpoint with its addresses.
pub(super) const LIST_ENDPOINTS: &str =
    "az network private-endpoint list --query '[].[name,resourceGroup,location,customDnsConfigs]' --output json";

/// What a DNS server is to forward, and where a rule for the private zone alone is enough: the server is
/// asked for the service's name, and takes the rest of the chain from the server that answers that.
pub(super) fn forward(zone: &str, at: &str, to: &str) -> String {
    let suffix = azure::suffix_of_zone(zone);
    let note = if suffix == zone {
        String::new()
    } else {
        format!(
            " (a rule for {zone} alone is enough only where the server follows CNAMEs itself: BIND and unbound do, dnsmasq does not)"
        )
    };
    format!("forward {suffix}{at} to {to}{note}")
}

/// The suffix of the service's names, which a DNS server is asked for; the host name where it is of no known service.
pub(super) fn suffix_of(case: &Context<'_>) -> String {
    Resource::of(case).map_or_else(|| case.target.host.to_string(), |resource| resource.suffix().to_owned())
}

/// What the network security groups of this machine's interface let through.
pub(super) fn effective_nsg() -> String {
    "az network nic list-effective-nsg --name <nic-of-this-vm> --resource-group <resource-group>".to_owned()
}

/// A rule of a network security group that lets TCP through to `ports` of `addresses`.
pub(super) fn allow_ports(addresses: &str, ports: &str) -> String {
    format!(
        "az network nsg rule create --nsg-name <nsg> --resource-group <resource-group> --name allow-redis-nodes --priority <priority> --direction Outbound --access Allow --protocol Tcp --destination-address-prefixes {addresses} --destination-port-ranges {ports}"
    )
}

/// Asks one server by hand.
pub(super) fn dig(server: SocketAddr, host: &str) -> String {
    let port = if server.port() == 53 { String::new() } else { format!(" -p {}", server.port()) };
    format!("dig @{}{port} {}", server.ip(), shell_safe_or(host, "<name>"))
}

/// A name as a shell may see it, or what to put in its place.
pub(super) fn shell_safe_or<'a>(name: &'a str, otherwise: &'a str) -> &'a str {
    if is_plain_word(name) { name } else { otherwise }
}

/// An address and port as one word of a shell: brackets are a pattern to it.
pub(super) fn socket(address: SocketAddr) -> String {
    if address.is_ipv6() { format!("'{address}'") } else { address.to_string() }
}

/// The lines of the hosts file that name the host.
pub(super) fn grep_hosts(case: &Context<'_>) -> String {
    format!("grep -n -i -F {} /etc/hosts", case.target.host)
}

/// Asks the server of a view by hand, or the C library where the view is its.
pub(super) fn ask(view: &View, host: &str) -> String {
    view.server.map_or_else(|| format!("getent ahosts {}", shell_safe_or(host, "<name>")), |server| dig(server, host))
}

/// Asks so often that a server which changes its mind shows: the probe's own command line, with that added.
pub(super) fn ask_often(case: &Context<'_>, view: &View) -> String {
    let own = case.arguments().with("--tries", "20");
    let own = match (view.kind, view.server) {
        (ViewKind::Resolver, Some(address)) => {
            let resolver = Resolver { name: view.view.clone(), address };
            own.with_resolver(&resolver).with("--views", &view.view)
        }
        (ViewKind::Libc | ViewKind::System | ViewKind::Resolver, _) => own,
    };
    own.command("check", None)
}

/// Asks Azure's own resolver, which decides between a zone link and a forwarder.
pub(super) fn ask_azure(case: &Context<'_>) -> String {
    case.arguments().without("--no-azure-dns").with_resolver(&Resolver::azure()).command("check", None)
}
