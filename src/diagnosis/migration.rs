//! A name behind which another product answers than its suffix says.

use super::remediation::Resource;
use super::service::{self, ServiceBehind};
use super::{Code, Context, Finding, Severity};
use crate::azure::{self, Service};
use crate::observation::View;

/// The advice that takes the private path away.
pub(super) const TRAP: &str = "The tool that migrates a Basic, Standard or Premium cache refuses one with private endpoints, and advises to remove them first. To follow that advice is to go public.";

/// No chain has a privatelink name, and another product is behind the name: a private endpoint of the old resource
/// does not help any more. `in_use` is the view whose addresses are connected to.
pub(super) fn endpoint_removed(case: &Context<'_>, in_use: &View) -> Option<Finding> {
    let behind = service::identify(case.target, case.expectation.az.as_deref(), case.observation);
    let other = behind.other_than(case.target.service)?;
    let (host, named) = (&case.target.host, case.target.service.title());
    let resource = managed(case, other);
    let addresses: Vec<String> =
        in_use.addresses.iter().map(|address| format!("{} ({})", address.ip, address.class)).collect();
    Some(
        Finding::new(
            Code::EndpointRemoved,
            Severity::Error,
            format!(
                "{host} leads to {} without a privatelink name, and {} is behind it, not {named}",
                addresses.join(", "),
                other.title()
            ),
            format!(
                "{} No chain has a privatelink name, so DNS knows of no approved private endpoint of either resource. {TRAP} Whether this cache had a private endpoint before is not known from here. Whether the old name gets a private path again is not known either: the new name does.",
                evidence(&behind)
            ),
        )
        .hint(format!(
            "create a private endpoint for the {} (group ID {}), link {} to this network, and configure its own name and port {} in the clients",
            other.title(),
            other.group_id().unwrap_or("redisEnterprise"),
            resource.zone,
            other.tls_port()
        ))
        .commands([service::SHOW_MIGRATION.to_owned(), resource.list_connections(), resource.create_endpoint()])
        .commands([resource.create_zone_group(), resource.create_link()]),
    )
}

/// Another product answers behind the name: it works for now, and the clients should move to the new name.
pub(super) fn migrated_name(case: &Context<'_>, findings: &[Finding]) -> Option<Finding> {
    if findings.iter().any(|finding| finding.code == Code::EndpointRemoved) {
        return None;
    }
    let behind = service::identify(case.target, case.expectation.az.as_deref(), case.observation);
    let other = behind.other_than(case.target.service)?;
    // What answers at a wrong address says nothing about the name; its chain and az do.
    let by_chain = behind.evidence.iter().any(|evidence| {
        evidence.decides && matches!(evidence.source, service::EvidenceSource::Chain | service::EvidenceSource::Az)
    });
    if !by_chain && !case.is_at_expected_address() {
        return None;
    }
    let (host, named) = (&case.target.host, case.target.service);
    // From Enterprise, the same host name and key keep working: that is the documented end of the migration.
    let is_kept = named == Service::AzureCacheForRedisEnterprise;
    let (severity, lasting) = if is_kept {
        (
            Severity::Info,
            "After a migration from the Enterprise tiers the same host name and key keep working.".to_owned(),
        )
    } else {
        let text = format!(
            "The migration tool repoints the old name and forwards the old port. How long it does, and which certificate and which node ports such a name has, is not documented. {TRAP}"
        );
        (Severity::Warning, text)
    };
    let resource = managed(case, other);
    let hint = if is_kept {
        "compare the group ID and the zone of the private endpoint with those of the new product".to_owned()
    } else {
        format!(
            "configure the new name (under {}) and port {} in the clients, then check both: redpath check NEW --old {host}:{}",
            resource.suffix(),
            other.tls_port(),
            case.target.port
        )
    };
    Some(
        Finding::new(
            Code::MigratedName,
            severity,
            format!("{host} is a name of {}, and {} answers behind it", named.title(), other.title()),
            format!("{} {lasting}", evidence(&behind)),
        )
        .hint(hint)
        .commands([service::SHOW_MIGRATION.to_owned(), resource.list_connections()]),
    )
}

/// What shows it, in sentences.
fn evidence(behind: &ServiceBehind) -> String {
    let sentences: Vec<String> = behind.deciding().iter().map(|text| super::text::capitalized(text) + ".").collect();
    sentences.join(" ")
}

/// The new resource: by the name that the chain shows, else with its name left open.
fn managed(case: &Context<'_>, service: Service) -> Resource {
    let in_chain = Resource::of(case).filter(|resource| resource.service == service);
    in_chain.unwrap_or_else(|| Resource {
        service,
        zone: azure::managed_redis_zone(case.target.host.as_str()).to_owned(),
        record: "<managed-redis>".to_owned(),
    })
}
