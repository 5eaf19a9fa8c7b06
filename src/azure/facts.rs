//! What the JSON of `az` says about one target, as it stands in a record.
//!
//! Pure types: `crate::az` reads them from files, the diagnosis holds them against what was seen. A
//! file is a snapshot of unknown age, so every fact keeps the name of the file it rests on. No
//! secret is ever among them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString};

use super::endpoint;

/// All that the files say about one target; nothing where they say nothing about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AzFacts {
    /// The cache itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<AzCache>,
    /// Its databases (Enterprise and Managed Redis).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<AzDatabase>,
    /// Its private endpoints, one entry for each of their connections.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<AzEndpoint>,
    /// The same connections, as the cache has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub connections: Vec<AzConnection>,
    /// The private DNS zones that its endpoints write their records to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub zone_groups: Vec<AzZoneGroup>,
    /// The private DNS zones of its service.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<AzZone>,
    /// The links of these zones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<AzLink>,
    /// Its records in these zones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<AzRecord>,
    /// Its migrations: as the old cache or as the new one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub migrations: Vec<AzMigration>,
    /// Validations of a migration; they name no cache.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub validations: Vec<AzMigrationValidation>,
    /// Files with an empty list: of what kind is unknown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub empty_files: Vec<String>,
    /// What was left out, in one sentence each: it is about something else, or ambiguous.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<String>,
}

/// A migration to Azure Managed Redis, from `az redisenterprise migration show`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AzMigration {
    /// The file.
    pub file: String,
    /// The resource ID of the old cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_id: Option<String>,
    /// The resource ID of the new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_id: Option<String>,
    /// Its state, such as `InProgress`, `ReadyForDnsSwitch` or `Succeeded`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Whether the old name is repointed by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switch_dns: Option<bool>,
}

impl AzMigration {
    /// Whether it has ended well, so that the old name leads to the new cache.
    pub fn has_succeeded(&self) -> bool {
        self.state.as_deref().is_some_and(|state| state.eq_ignore_ascii_case("Succeeded"))
    }
}

/// What `az redisenterprise migration validate` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AzMigrationValidation {
    /// The file.
    pub file: String,
    /// Whether the migration may begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_valid: Option<bool>,
    /// What prevents it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<AzDisparity>,
    /// What differs, and does not prevent it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<AzDisparity>,
}

/// One difference that a validation names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AzDisparity {
    /// Its category, in the language of the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// What differs, the beginning of a long text.
    pub message: String,
}

/// A cache, from `az redis show` or `az redisenterprise show`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AzCache {
    /// The file.
    pub file: String,
    /// Its resource ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its host name.
    pub host: String,
    /// The TLS port (`sslPort`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_port: Option<u16>,
    /// The port without TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plaintext_port: Option<u16>,
    /// Whether the port without TLS is open (`enableNonSslPort`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plaintext_enabled: Option<bool>,
    /// The oldest version of TLS that it takes, such as `1.2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_tls_version: Option<String>,
    /// Whether it takes traffic from public addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_network_access: Option<Switch>,
    /// Whether access keys are taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_keys: Option<Switch>,
    /// The number of shards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shards: Option<u64>,
    /// The state of its provisioning, such as `Succeeded`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisioning_state: Option<String>,
}

/// A database of Enterprise or Managed Redis.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AzDatabase {
    /// The file.
    pub file: String,
    /// Its resource ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Whether it is spoken to over TLS (`clientProtocol`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<bool>,
    /// The clustering policy, such as `OSSCluster` or `EnterpriseCluster`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clustering_policy: Option<String>,
    /// Whether access keys are taken (`accessKeysAuthentication`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_keys: Option<Switch>,
}

/// A private endpoint and one of its connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AzEndpoint {
    /// The file.
    pub file: String,
    /// Its resource ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The resource that it leads to (`privateLinkServiceId`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<String>,
    /// The sub-resources (`groupIds`).
    pub group_ids: Vec<String>,
    /// The state of the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<ConnectionStatus>,
    /// Names and their addresses (`customDnsConfigs`).
    pub names: Vec<AzName>,
}

/// A private endpoint connection, as the cache has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AzConnection {
    /// The file.
    pub file: String,
    /// Its resource ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The private endpoint's resource ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint_id: Option<String>,
    /// Its state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<ConnectionStatus>,
}

/// One zone of a private endpoint's DNS zone group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AzZoneGroup {
    /// The file.
    pub file: String,
    /// The private endpoint's resource ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint_id: Option<String>,
    /// The zone's name.
    pub zone: String,
    /// The records that Azure keeps in it: none where it is not a zone of the service.
    pub record_sets: Vec<AzName>,
}

/// A private DNS zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AzZone {
    /// The file.
    pub file: String,
    /// Its resource ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name.
    pub name: String,
    /// How many virtual networks it is linked to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub links: Option<u64>,
    /// How many record sets it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_sets: Option<u64>,
}

/// A link of a private DNS zone to a virtual network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AzLink {
    /// The file.
    pub file: String,
    /// The zone's name.
    pub zone: String,
    /// The virtual network's resource ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_id: Option<String>,
    /// Whether a name that the zone lacks is asked of public DNS (`resolutionPolicy: NxDomainRedirect`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub falls_back: Option<bool>,
}

/// The A record of a private DNS zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AzRecord {
    /// The file.
    pub file: String,
    /// Its full name.
    pub fqdn: String,
    /// Its addresses.
    #[schemars(with = "Vec<String>")]
    pub addresses: Vec<IpAddr>,
    /// Who made it (`metadata.creator`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creator: Option<String>,
}

/// A name and its addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AzName {
    /// The name, without the trailing dot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fqdn: Option<String>,
    /// Its addresses.
    #[schemars(with = "Vec<String>")]
    pub addresses: Vec<IpAddr>,
}

/// Something that is on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    /// On.
    Enabled,
    /// Off.
    Disabled,
}

/// The state of a private endpoint connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Display, EnumIter, EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(ascii_case_insensitive)]
pub enum ConnectionStatus {
    /// Traffic passes.
    Approved,
    /// The owner of the cache has not decided yet.
    Pending,
    /// The owner of the cache has refused it.
    Rejected,
    /// The owner of the cache has taken it away.
    Disconnected,
}

impl AzFacts {
    /// The port with TLS or without, where the files name exactly one.
    pub fn port(&self, tls: bool) -> Option<u16> {
        let cache = self.cache.as_ref();
        let of_cache = if tls {
            cache.and_then(|cache| cache.tls_port)
        } else {
            // A port that is shut is none to go to.
            cache.filter(|cache| cache.plaintext_enabled != Some(false)).and_then(|cache| cache.plaintext_port)
        };
        let of_databases = self.databases.iter().filter(|database| database.tls.unwrap_or(true) == tls);
        let ports: BTreeSet<u16> = of_databases.filter_map(|database| database.port).chain(of_cache).collect();
        ports.first().copied().filter(|_| ports.len() == 1)
    }

    /// The addresses that the private endpoints give `host`, each with the file that says so.
    pub fn addresses(&self, host: &str) -> Vec<(IpAddr, &str)> {
        let endpoints = self.endpoints.iter().map(|endpoint| (&endpoint.names, endpoint.file.as_str()));
        let groups = self.zone_groups.iter().map(|group| (&group.record_sets, group.file.as_str()));
        let mut addresses: Vec<(IpAddr, &str)> = Vec::new();
        for (names, file) in endpoints.chain(groups) {
            for ip in names.iter().filter(|name| name.is_of(host)).flat_map(|name| &name.addresses) {
                if !addresses.iter().any(|(known, _)| known == ip) {
                    addresses.push((*ip, file));
                }
            }
        }
        addresses
    }

    /// Whether the files say anything at all about the target itself.
    pub fn is_about_something(&self) -> bool {
        self.cache.is_some()
            || !self.databases.is_empty()
            || !self.endpoints.is_empty()
            || !self.connections.is_empty()
            || !self.zone_groups.is_empty()
            || !self.records.is_empty()
            || !self.migrations.is_empty()
    }
}

impl AzName {
    /// Whether it is the name of `host`, or its name in the private zone.
    pub fn is_of(&self, host: &str) -> bool {
        self.fqdn.as_deref().is_some_and(|fqdn| is_name_of(fqdn, host))
    }
}

/// Whether `fqdn` is `host`, or its name in the private zone.
pub fn is_name_of(fqdn: &str, host: &str) -> bool {
    let fqdn = fqdn.trim_end_matches('.');
    fqdn.eq_ignore_ascii_case(host) || privatelink_name(host).is_some_and(|name| fqdn.eq_ignore_ascii_case(&name))
}

/// `cache1.privatelink.redis.cache.windows.net` of `cache1.redis.cache.windows.net`.
pub fn privatelink_name(host: &str) -> Option<String> {
    endpoint(host).map(|endpoint| format!("{}.{}", endpoint.record, endpoint.zone))
}

/// The last part of a resource ID, which is the resource's own name.
pub fn name_in_id(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}
