//! Names that have not the shape of their service: the nearest ones that have.

use super::{SUFFIXES, Service, endpoint};

/// What is wrong with the shape of a name, or what else it may have been meant for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameShape {
    /// Names under this suffix carry the region.
    LacksRegion {
        /// The same name with a placeholder for the region.
        right: String,
    },
    /// Names under this suffix carry no region.
    HasRegion {
        /// The same name without the region.
        classic: String,
        /// The same name under the suffix of Managed Redis, which has regions.
        managed: String,
    },
    /// The shape is right; a cache that was moved to Managed Redis has another name.
    Classic {
        /// That name, with a placeholder for the region.
        managed: String,
    },
    /// The suffix alone, without a cache's own name in front.
    LacksName {
        /// The same with a placeholder for the name.
        right: String,
    },
    /// A name without a dot.
    OneLabel,
    /// The suffix is not known, and this one is near it.
    NearSuffix {
        /// The known suffix.
        suffix: &'static str,
    },
}

impl NameShape {
    /// Of a name that does not exist.
    pub fn of(host: &str) -> Option<Self> {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if let Some((suffix, service)) = SUFFIXES.iter().find(|(suffix, _)| *suffix == host) {
            let name = if *service == Service::AzureCacheForRedis { "NAME" } else { "NAME.REGION" };
            return Some(Self::LacksName { right: format!("{name}.{suffix}") });
        }
        if !host.contains('.') && host != "localhost" {
            return Some(Self::OneLabel);
        }
        let Some(endpoint) = endpoint(&host).filter(|endpoint| !endpoint.is_privatelink_name) else {
            return near_suffix(&host).map(|suffix| Self::NearSuffix { suffix });
        };
        let suffix = super::suffix_of_zone(&endpoint.zone);
        match (endpoint.service, endpoint.record.split_once('.')) {
            (Service::AzureCacheForRedis, Some((_, "geo"))) | (Service::Other, _) => None,
            (Service::AzureCacheForRedis, Some((name, region))) => Some(Self::HasRegion {
                classic: format!("{name}.{suffix}"),
                managed: format!("{name}.{region}.{}", managed_suffix(suffix)),
            }),
            (Service::AzureCacheForRedis, None) => {
                Some(Self::Classic { managed: format!("{}.REGION.{}", endpoint.record, managed_suffix(suffix)) })
            }
            (Service::AzureCacheForRedisEnterprise | Service::AzureManagedRedis, None) => {
                Some(Self::LacksRegion { right: format!("{}.REGION.{suffix}", endpoint.record) })
            }
            (Service::AzureCacheForRedisEnterprise | Service::AzureManagedRedis, Some(_)) => None,
        }
    }
}

/// The suffix of Managed Redis in the cloud of a classic suffix.
fn managed_suffix(classic: &str) -> String {
    match classic.strip_prefix("redis.cache.") {
        Some("windows.net") | None => "redis.azure.net".to_owned(),
        Some(cloud) => format!("redis.{cloud}"),
    }
}

/// The known suffix from which the end of `host` differs in one label: left out, or another one in its place.
fn near_suffix(host: &str) -> Option<&'static str> {
    let labels: Vec<&str> = host.split('.').collect();
    SUFFIXES.iter().map(|(suffix, _)| *suffix).find(|suffix| {
        let known: Vec<&str> = suffix.split('.').collect();
        is_near(&known, end(&labels, known.len() - 1)) || is_near(&known, end(&labels, known.len()))
    })
}

fn end<'a>(labels: &'a [&'a str], length: usize) -> &'a [&'a str] {
    &labels[labels.len().saturating_sub(length)..]
}

fn is_near(known: &[&str], end: &[&str]) -> bool {
    // Two labels in common beside the last one: a private suffix such as redis.corp.net is not meant.
    let common = known.iter().take(known.len() - 1).filter(|label| end.contains(label)).count();
    let lacks_one = end.len() + 1 == known.len()
        && (0..known.len()).any(|left_out| {
            known.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, label)| label).eq(end.iter())
        });
    let differs_in_one =
        end.len() == known.len() && end.iter().zip(known).filter(|(label, known)| label != known).count() == 1;
    common >= 2 && (lacks_one || differs_in_one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shape_of_a_known_suffix() {
        let lacks = |right: &str| Some(NameShape::LacksRegion { right: right.to_owned() });
        let has = |classic: &str, managed: &str| {
            Some(NameShape::HasRegion { classic: classic.to_owned(), managed: managed.to_owned() })
        };
        let classic = |managed: &str| Some(NameShape::Classic { managed: managed.to_owned() });
        for (host, shape) in [
            ("amr1.redis.azure.net", lacks("amr1.REGION.redis.azure.net")),
            ("e.redisenterprise.cache.azure.net.", lacks("e.REGION.redisenterprise.cache.azure.net")),
            (
                "Amr1.westeurope.redis.cache.windows.net",
                has("amr1.redis.cache.windows.net", "amr1.westeurope.redis.azure.net"),
            ),
            ("c.redis.cache.usgovcloudapi.net", classic("c.REGION.redis.usgovcloudapi.net")),
            ("amr1.redis.cache.windows.net", classic("amr1.REGION.redis.azure.net")),
            ("amr1.westeurope.redis.azure.net", None),
            ("orders.geo.redis.cache.windows.net", None),
            (
                "redis.cache.windows.net",
                Some(NameShape::LacksName { right: "NAME.redis.cache.windows.net".to_owned() }),
            ),
            ("cache1", Some(NameShape::OneLabel)),
            ("redis.azure.net.", Some(NameShape::LacksName { right: "NAME.REGION.redis.azure.net".to_owned() })),
        ] {
            assert_eq!(NameShape::of(host), shape, "{host}");
        }
    }

    #[test]
    fn nearest_suffix_differs_in_one_label() {
        for (host, suffix) in [
            ("cache1.redis.windows.net", Some("redis.cache.windows.net")),
            ("cache1.cache.windows.net", Some("redis.cache.windows.net")),
            ("cache1.redis.cahce.windows.net", Some("redis.cache.windows.net")),
            ("amr1.westeurope.redis.azure.com", Some("redis.azure.net")),
            ("e.westeurope.redisenterprise.azure.net", Some("redisenterprise.cache.azure.net")),
            ("redis.corp.net", None),
            ("redis.corp.example", None),
            ("vault1.vault.azure.net", None),
            ("db1.database.windows.net", None),
            ("store1.blob.core.windows.net", None),
            ("localhost", None),
        ] {
            let found = NameShape::of(host).and_then(|shape| match shape {
                NameShape::NearSuffix { suffix } => Some(suffix),
                _ => None,
            });
            assert_eq!(found, suffix, "{host}");
        }
    }
}
