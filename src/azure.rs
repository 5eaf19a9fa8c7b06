//! The Azure Redis services by host name: port, private DNS zone, group ID.
//!
//! Source: Microsoft Learn, "Azure Private Endpoint private DNS zone values" and the services'
//! own pages on ports. Suffixes match without regard to case.

pub mod facts;
mod shape;

use std::net::{IpAddr, Ipv4Addr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::Display;

pub use self::shape::NameShape;

/// Azure's virtual resolver, the same address in every virtual network.
pub const AZURE_DNS: IpAddr = IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16));

/// The first label of every private zone.
pub const PRIVATELINK: &str = "privatelink";

/// A Redis service, known from the suffix of the host name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Service {
    /// Azure Cache for Redis: Basic, Standard, Premium.
    AzureCacheForRedis,
    /// Azure Cache for Redis Enterprise.
    AzureCacheForRedisEnterprise,
    /// Azure Managed Redis.
    AzureManagedRedis,
    /// A name under no known suffix: nothing is assumed about it.
    #[default]
    Other,
}

impl Service {
    /// The port of its TLS endpoint; 6380 where the service is not known.
    pub fn tls_port(self) -> u16 {
        match self {
            Self::AzureCacheForRedis | Self::Other => 6380,
            Self::AzureCacheForRedisEnterprise | Self::AzureManagedRedis => 10_000,
        }
    }

    /// The port used without TLS, where the service offers one.
    pub fn plaintext_port(self) -> u16 {
        match self {
            Self::AzureCacheForRedis | Self::Other => 6379,
            Self::AzureCacheForRedisEnterprise | Self::AzureManagedRedis => 10_000,
        }
    }

    /// Whether the service is known to listen on `port`: its endpoint, and the nodes of a cluster.
    pub fn listens_on(self, port: u16, tls: bool) -> bool {
        match (self, tls) {
            (Self::AzureCacheForRedis, true) => port == 6380 || (15_000..15_100).contains(&port),
            (Self::AzureCacheForRedis, false) => port == 6379 || (13_000..13_100).contains(&port),
            (Self::AzureCacheForRedisEnterprise | Self::AzureManagedRedis, _) => {
                port == 10_000 || (8_500..8_600).contains(&port)
            }
            (Self::Other, _) => true,
        }
    }

    /// The private endpoint's group ID (sub-resource).
    pub fn group_id(self) -> Option<&'static str> {
        match self {
            Self::AzureCacheForRedis => Some("redisCache"),
            Self::AzureCacheForRedisEnterprise | Self::AzureManagedRedis => Some("redisEnterprise"),
            Self::Other => None,
        }
    }

    /// The service whose private endpoints use `zone`, `privatelink.` + suffix.
    pub fn of_zone(zone: &str) -> Option<Self> {
        let suffix = zone.strip_prefix(PRIVATELINK)?.strip_prefix('.')?;
        SUFFIXES.iter().find(|(known, _)| *known == suffix).map(|(_, service)| *service)
    }

    /// The name its vendor gives it.
    pub fn title(self) -> &'static str {
        match self {
            Self::AzureCacheForRedis => "Azure Cache for Redis",
            Self::AzureCacheForRedisEnterprise => "Azure Cache for Redis Enterprise",
            Self::AzureManagedRedis => "Azure Managed Redis",
            Self::Other => "Redis",
        }
    }
}

/// What a host name says by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The service.
    pub service: Service,
    /// The private DNS zone that the service's private endpoints use, `privatelink.` + suffix.
    pub zone: String,
    /// The record's name in that zone: `NAME`, or `NAME.REGION`.
    pub record: String,
    /// Whether the name is the `privatelink` one, which no certificate covers.
    pub is_privatelink_name: bool,
}

/// Whether `host` is the name of a geo-replication group, which leads to the cache that is the primary.
pub fn is_geo_alias(host: &str) -> bool {
    endpoint(host)
        .is_some_and(|endpoint| endpoint.service == Service::AzureCacheForRedis && endpoint.record.ends_with(".geo"))
}

/// Suffixes by service, the sovereign clouds included. None is a suffix of another.
const SUFFIXES: &[(&str, Service)] = &[
    ("redis.cache.windows.net", Service::AzureCacheForRedis),
    ("redis.cache.usgovcloudapi.net", Service::AzureCacheForRedis),
    ("redis.cache.chinacloudapi.cn", Service::AzureCacheForRedis),
    ("redis.cache.sovcloud-api.de", Service::AzureCacheForRedis),
    ("redis.cache.sovcloud-api.fr", Service::AzureCacheForRedis),
    ("redisenterprise.cache.azure.net", Service::AzureCacheForRedisEnterprise),
    ("redis.azure.net", Service::AzureManagedRedis),
    ("redis.chinacloudapi.cn", Service::AzureManagedRedis),
    ("redis.usgovcloudapi.net", Service::AzureManagedRedis),
    ("redis.sovcloud-api.de", Service::AzureManagedRedis),
    ("redis.sovcloud-api.fr", Service::AzureManagedRedis),
];

/// What `host` is, if it lies under a known suffix; with or without a trailing dot, in any case.
pub fn endpoint(host: &str) -> Option<Endpoint> {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let (record, suffix, service) = SUFFIXES.iter().find_map(|(suffix, service)| {
        let record = host.strip_suffix(suffix)?.strip_suffix('.')?;
        (!record.is_empty()).then_some((record, *suffix, *service))
    })?;
    let plain = record.strip_suffix(PRIVATELINK).and_then(|rest| rest.strip_suffix('.'));
    Some(Endpoint {
        service,
        zone: format!("{PRIVATELINK}.{suffix}"),
        record: plain.unwrap_or(record).to_owned(),
        is_privatelink_name: plain.is_some(),
    })
}

/// The private zone of Azure Managed Redis in the cloud of `host`; the public cloud's where the name is of none.
pub fn managed_redis_zone(host: &str) -> &'static str {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    [
        ("usgovcloudapi.net", "privatelink.redis.usgovcloudapi.net"),
        ("chinacloudapi.cn", "privatelink.redis.chinacloudapi.cn"),
        ("sovcloud-api.de", "privatelink.redis.sovcloud-api.de"),
        ("sovcloud-api.fr", "privatelink.redis.sovcloud-api.fr"),
    ]
    .into_iter()
    .find_map(|(cloud, zone)| host.ends_with(cloud).then_some(zone))
    .unwrap_or("privatelink.redis.azure.net")
}

/// `redis.cache.windows.net` of `privatelink.redis.cache.windows.net`.
pub fn suffix_of_zone(zone: &str) -> &str {
    zone.strip_prefix(PRIVATELINK).and_then(|rest| rest.strip_prefix('.')).unwrap_or(zone)
}

/// The zone of a `privatelink` name, `privatelink.redis.cache.windows.net` of
/// `x.privatelink.redis.cache.windows.net`; of any service, not of Redis alone.
pub fn privatelink_zone(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let at = name.split('.').position(|label| label == PRIVATELINK)?;
    (at > 0).then(|| name.split('.').skip(at).collect::<Vec<_>>().join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn azure_name_gives_service_port_and_zone() {
        for (host, service, port, zone, record) in [
            (
                "Cache1.redis.cache.windows.net.",
                Service::AzureCacheForRedis,
                6380,
                "privatelink.redis.cache.windows.net",
                "cache1",
            ),
            (
                "amr1.westeurope.redis.azure.net",
                Service::AzureManagedRedis,
                10_000,
                "privatelink.redis.azure.net",
                "amr1.westeurope",
            ),
            (
                "e.westeurope.redisenterprise.cache.azure.net",
                Service::AzureCacheForRedisEnterprise,
                10_000,
                "privatelink.redisenterprise.cache.azure.net",
                "e.westeurope",
            ),
            (
                "c.redis.cache.usgovcloudapi.net",
                Service::AzureCacheForRedis,
                6380,
                "privatelink.redis.cache.usgovcloudapi.net",
                "c",
            ),
            (
                "m.region.redis.chinacloudapi.cn",
                Service::AzureManagedRedis,
                10_000,
                "privatelink.redis.chinacloudapi.cn",
                "m.region",
            ),
        ] {
            let found = endpoint(host).expect(host);
            assert_eq!((found.service, found.service.tls_port()), (service, port), "{host}");
            assert_eq!((found.zone.as_str(), found.record.as_str()), (zone, record), "{host}");
            assert!(!found.is_privatelink_name);
        }
    }

    #[test]
    fn azure_lookalike_name_is_rejected() {
        for host in ["redis.cache.windows.net", "xredis.cache.windows.net", "redis.azure.net.example.org", "localhost"]
        {
            assert_eq!(endpoint(host), None, "{host}");
        }
    }

    #[test]
    fn azure_privatelink_name_is_recognized() {
        let found = endpoint("cache1.privatelink.redis.cache.windows.net").expect("a known suffix");
        assert!(found.is_privatelink_name);
        assert_eq!(found.record, "cache1");
        assert_eq!(
            privatelink_zone("amr1.westeurope.privatelink.redis.azure.net."),
            Some("privatelink.redis.azure.net".into())
        );
        assert_eq!(privatelink_zone("privatelink.redis.azure.net"), None);
        assert_eq!(privatelink_zone("x.privatelinks.example"), None);
    }
}
