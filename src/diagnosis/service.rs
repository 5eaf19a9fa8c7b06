//! Which product answers behind a name: what the chain, the certificate, the nodes and `INFO` show.
//!
//! A migration keeps an old name in front of another product, so the suffix alone decides nothing.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{Display, IntoStaticStr};

use super::remediation;
use super::text::is_plain_word;
use crate::azure::facts::{AzFacts, name_in_id};
use crate::azure::{self, Service};
use crate::observation::{Connection, Observation};
use crate::target::Target;

/// Which product answers, and what shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ServiceBehind {
    /// The product; absent where it is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
    /// How sure that is.
    pub certainty: Certainty,
    /// What it rests on; the name's suffix comes first.
    pub evidence: Vec<ServiceEvidence>,
}

/// How sure it is which product answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema, Display, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Certainty {
    /// Something shows it that no other product shows.
    Shown,
    /// All that is known agrees with the suffix, and nothing shows it.
    Likely,
    /// Nothing beyond the suffix is known, or the evidence contradicts itself.
    Unknown,
}

/// One piece of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ServiceEvidence {
    /// Where it comes from.
    pub source: EvidenceSource,
    /// What it says, in a sentence without its end.
    pub text: String,
    /// The products that it leaves; empty where it decides nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Service>,
    /// Whether it excludes every other product.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub decides: bool,
}

/// Where evidence comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema, Display, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum EvidenceSource {
    /// The suffix of the host name.
    Name,
    /// The CNAMEs that the name leads through.
    Chain,
    /// The names that the certificate covers.
    Certificate,
    /// The ports at which the cluster announces its nodes.
    Cluster,
    /// The reply to `INFO server`.
    Info,
    /// A file of `az`.
    Az,
}

/// Both products with the software of Redis Enterprise.
const ENTERPRISE: [Service; 2] = [Service::AzureCacheForRedisEnterprise, Service::AzureManagedRedis];

impl ServiceBehind {
    /// The product, where something shows that it is another than the one of the name's suffix.
    pub fn other_than(&self, named: Service) -> Option<Service> {
        let is_other = |service: &Service| named != Service::Other && *service != named;
        self.service.filter(|_| self.certainty == Certainty::Shown).filter(is_other)
    }

    /// The text of the evidence that decides.
    pub fn deciding(&self) -> Vec<String> {
        self.evidence.iter().filter(|evidence| evidence.decides).map(|evidence| evidence.text.clone()).collect()
    }
}

/// What the observation of `target` shows.
pub(super) fn identify(target: &Target, az: Option<&AzFacts>, observation: &Observation) -> ServiceBehind {
    let of_suffix = azure::endpoint(target.host.as_str()).map(|endpoint| endpoint.service);
    // An alias has no suffix of its own: the name that it leads to stands for it.
    let end = remediation::end_of_observed_chain(&observation.resolution).map(|(_, endpoint)| endpoint.service);
    let named = of_suffix.or(end);
    let name = of_suffix.map(|service| ServiceEvidence {
        source: EvidenceSource::Name,
        text: format!("the name ends as those of {} do", service.title()),
        services: vec![service],
        decides: false,
    });
    let connection = observation.connection.as_ref();
    let evidence: Vec<ServiceEvidence> = name
        .into_iter()
        .chain(chain(named, observation))
        .chain(connection.and_then(|connection| certificate(named, connection)))
        .chain(cluster(observation))
        .chain(connection.and_then(info))
        .chain(migrated(target, named, az))
        .collect();
    let (service, certainty) = conclude(named, &evidence);
    ServiceBehind { service, certainty, evidence }
}

/// What all of the evidence leaves.
fn conclude(named: Option<Service>, evidence: &[ServiceEvidence]) -> (Option<Service>, Certainty) {
    let deciding: Vec<&ServiceEvidence> = evidence.iter().filter(|evidence| evidence.decides).collect();
    if !deciding.is_empty() {
        let all = [Service::AzureCacheForRedis, Service::AzureCacheForRedisEnterprise, Service::AzureManagedRedis];
        let left: Vec<Service> = all
            .into_iter()
            .filter(|service| deciding.iter().all(|evidence| evidence.services.contains(service)))
            .collect();
        return match (left.as_slice(), named) {
            ([only], _) => (Some(*only), Certainty::Shown),
            ([], _) => (None, Certainty::Unknown),
            (several, Some(named)) if several.contains(&named) => (Some(named), Certainty::Likely),
            // A name of the classic cache with Redis Enterprise behind it: only a migration to Managed Redis does that.
            (_, Some(Service::AzureCacheForRedis)) => (Some(Service::AzureManagedRedis), Certainty::Shown),
            (_, _) => (None, Certainty::Unknown),
        };
    }
    let beyond: Vec<&ServiceEvidence> = evidence
        .iter()
        .filter(|evidence| evidence.source != EvidenceSource::Name && !evidence.services.is_empty())
        .collect();
    match named {
        Some(named) if !beyond.is_empty() && beyond.iter().all(|evidence| evidence.services.contains(&named)) => {
            (Some(named), Certainty::Likely)
        }
        _ => (None, Certainty::Unknown),
    }
}

/// The last name of the chain that is one of a Redis service. Azure's own zone decides where its names lead.
fn chain(named: Option<Service>, observation: &Observation) -> Option<ServiceEvidence> {
    let (name, end) = remediation::end_of_observed_chain(&observation.resolution)?;
    let leads_elsewhere = named != Some(end.service);
    Some(ServiceEvidence {
        source: EvidenceSource::Chain,
        text: format!("the chain leads to {name}, a name of {}", end.service.title()),
        services: vec![end.service],
        decides: leads_elsewhere && named.is_some(),
    })
}

/// The products whose names the certificate covers. A forwarder in front of another product may keep the old
/// certificate; a certificate of Managed Redis alone has no other server.
fn certificate(named: Option<Service>, connection: &Connection) -> Option<ServiceEvidence> {
    let tls = connection.tls.as_ref()?;
    let certificate = tls.certificate.as_ref()?;
    let is_trusted = tls.verified || tls.checks.is_some_and(|checks| checks.trusted && checks.in_date);
    let mut services: Vec<Service> = Vec::new();
    for name in &certificate.sans {
        let name = name.strip_prefix("*.").map_or_else(|| name.clone(), |rest| format!("any.{rest}"));
        if let Some(endpoint) = azure::endpoint(&name)
            && !services.contains(&endpoint.service)
        {
            services.push(endpoint.service);
        }
    }
    let titles: Vec<&str> = services.iter().map(|service| service.title()).collect();
    let text = match (titles.as_slice(), is_trusted) {
        ([], _) => return None,
        (titles, false) => format!("the certificate covers names of {}, and is not trusted here", titles.join(" and ")),
        ([title], true) => format!("the certificate covers names of {title} alone"),
        (titles, true) => format!("the certificate covers names of {}", titles.join(" and ")),
    };
    let decides =
        is_trusted && services.len() == 1 && (services != named.as_slice() || services == [Service::AzureManagedRedis]);
    let services = if is_trusted { services } else { Vec::new() };
    Some(ServiceEvidence { source: EvidenceSource::Certificate, text, services, decides })
}

/// The ports at which the nodes are announced. Whether a forwarder has those of the classic cache is not known.
fn cluster(observation: &Observation) -> Option<ServiceEvidence> {
    let nodes = &observation.cluster.as_ref()?.nodes;
    let ports: Vec<u16> = nodes.iter().filter_map(|node| node.address).map(|address| address.port()).collect();
    let (first, last) = (ports.iter().min()?, ports.iter().max()?);
    let all_within = |range: std::ops::Range<u16>| ports.iter().all(|port| range.contains(port));
    let (services, decides) = if all_within(8_500..8_600) {
        (ENTERPRISE.to_vec(), true)
    } else if all_within(15_000..15_100) || all_within(13_000..13_100) {
        (vec![Service::AzureCacheForRedis], false)
    } else {
        (Vec::new(), false)
    };
    let range = if first == last { format!("port {first}") } else { format!("ports {first} to {last}") };
    let text = format!("the nodes are announced at {range}");
    Some(ServiceEvidence { source: EvidenceSource::Cluster, text, services, decides })
}

/// The version. Azure Cache for Redis ends at Redis 6; the Enterprise tiers and Managed Redis have 7.
fn info(connection: &Connection) -> Option<ServiceEvidence> {
    let info = connection.server_info.as_ref().filter(|info| !info.is_empty())?;
    let version = info.redis_version.as_deref().unwrap_or("of unknown version");
    let (text, services, decides) = match (&info.enterprise_version, info.major()) {
        (Some(enterprise), _) => {
            (format!("INFO says Redis {version} and Redis Enterprise {enterprise}"), ENTERPRISE.to_vec(), true)
        }
        (None, Some(7..)) => (format!("INFO says Redis {version}"), ENTERPRISE.to_vec(), true),
        (None, Some(_)) => (format!("INFO says Redis {version}"), vec![Service::AzureCacheForRedis], false),
        (None, None) => (format!("INFO says Redis {version}"), Vec::new(), false),
    };
    Some(ServiceEvidence { source: EvidenceSource::Info, text, services, decides })
}

/// A migration of the cache of this name, by a file of `az`.
fn migrated(target: &Target, named: Option<Service>, az: Option<&AzFacts>) -> Option<ServiceEvidence> {
    let record = azure::endpoint(target.host.as_str())?.record;
    let name = record.split('.').next()?;
    let is_source = |id: &String| name_in_id(id).eq_ignore_ascii_case(name);
    let migration = az?.migrations.iter().find(|one| one.source_id.as_ref().is_some_and(is_source))?;
    let state = migration.state.as_deref().unwrap_or("of unknown state");
    let to = migration.target_id.as_deref().map(|id| format!(" to {}", name_in_id(id))).unwrap_or_default();
    let has_succeeded = migration.has_succeeded() && named == Some(Service::AzureCacheForRedis);
    Some(ServiceEvidence {
        source: EvidenceSource::Az,
        text: format!("{} has the migration of {name}{to}: {state}", migration.file),
        services: if has_succeeded { vec![Service::AzureManagedRedis] } else { Vec::new() },
        decides: has_succeeded,
    })
}

/// The commands that decide which product the name belongs to.
pub(super) fn decide(target: &Target) -> Vec<String> {
    let host = target.host.as_str();
    let Some(endpoint) = Some(host).filter(|host| is_plain_word(host)).and_then(azure::endpoint) else {
        return vec![format!("dig {}", remediation::shell_safe_or(host, "<name>"))];
    };
    let name = endpoint.record.split('.').next().unwrap_or("<cache-name>").to_owned();
    match endpoint.service {
        Service::AzureCacheForRedis => {
            vec![format!("az redis show --name {name} --resource-group <resource-group>"), SHOW_MIGRATION.to_owned()]
        }
        Service::AzureCacheForRedisEnterprise | Service::AzureManagedRedis | Service::Other => {
            vec![format!("az redisenterprise show --cluster-name {name} --resource-group <resource-group>")]
        }
    }
}

/// What became of a migration to this Managed Redis.
pub(super) const SHOW_MIGRATION: &str =
    "az redisenterprise migration show --cluster-name <managed-redis> --resource-group <resource-group>";
