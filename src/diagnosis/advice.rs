//! The commands that decide or mend a case, with its own names filled in.
//!
//! `<…>` marks what only the operator knows. Every command is one line, ready to paste.

use std::net::SocketAddr;

use super::Case;
use crate::azure::{self, AZURE_DNS, Endpoint, Service};
use crate::observation::View;

/// What the host name, or the chain behind it, says about the resource.
pub(super) struct Resource {
    pub(super) service: Service,
    pub(super) zone: String,
    pub(super) record: String,
}

impl Resource {
    /// Of the target's own name, or of the first known name in any view's chain: an alias in front
    /// of a cache is common.
    pub(super) fn of(case: &Case<'_>) -> Option<Self> {
        let chains = case.observation.resolution.views.iter().flat_map(|view| {
            view.chain.iter().flat_map(|record| [record.name.as_str(), record.data.as_str()]).chain(view.end_of_chain())
        });
        std::iter::once(case.target.host.as_str())
            .chain(chains)
            .find_map(azure::endpoint)
            .map(|Endpoint { service, zone, record, .. }| Self { service, zone, record })
    }

    /// The resource's own name: the first label of its record.
    pub(super) fn name(&self) -> &str {
        self.record.split('.').next().unwrap_or(&self.record)
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
            Service::AzureCacheForRedisEnterprise | Service::AzureManagedRedis => {
                format!("az redisenterprise show --cluster-name {} --resource-group <resource-group>", self.name())
            }
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

    pub(super) fn disable_public_access(&self) -> String {
        match self.service {
            Service::AzureCacheForRedis | Service::Other => format!(
                "az redis update --name {} --resource-group <resource-group> --set publicNetworkAccess=Disabled",
                self.name()
            ),
            Service::AzureCacheForRedisEnterprise | Service::AzureManagedRedis => format!(
                "az redisenterprise update --cluster-name {} --resource-group <resource-group> --public-network-access Disabled",
                self.name()
            ),
        }
    }

    pub(super) fn list_links(&self) -> String {
        format!(
            "az network private-dns link vnet list --resource-group <zone-resource-group> --zone-name {} --output table",
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
            "az network private-endpoint dns-zone-group create --endpoint-name <private-endpoint> --resource-group <resource-group> --name default --zone-name redis --private-dns-zone <id-of-zone-{}>",
            self.zone
        )
    }

    pub(super) fn show_record(&self) -> String {
        format!(
            "az network private-dns record-set a show --resource-group <zone-resource-group> --zone-name {} --name {}",
            self.zone, self.record
        )
    }

    /// The private endpoint that would give the resource a private address.
    pub(super) fn create_endpoint(&self) -> String {
        format!(
            "az network private-endpoint create --name <private-endpoint> --resource-group <resource-group> --vnet-name <vnet> --subnet <subnet> --connection-name <connection> --group-id {} --private-connection-resource-id <resource-id>",
            self.service.group_id().unwrap_or("redisCache")
        )
    }
}

/// Asks one server by hand.
pub(super) fn dig(server: SocketAddr, host: &str) -> String {
    let port = if server.port() == 53 { String::new() } else { format!(" -p {}", server.port()) };
    format!("dig @{}{port} {host}", server.ip())
}

/// Asks the server of a view by hand, or the C library where the view is its.
pub(super) fn ask(view: &View, host: &str) -> String {
    view.server.map_or_else(|| format!("getent ahosts {host}"), |server| dig(server, host))
}

/// Asks Azure's own resolver, which decides between a zone link and a forwarder.
pub(super) fn ask_azure(case: &Case<'_>) -> String {
    format!("redpath check {}:{} --resolver azure={AZURE_DNS}", case.target.host, case.target.port)
}
