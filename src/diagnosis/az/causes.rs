//! The causes that the files name, from the deepest outwards: the endpoint's kind, its approval, the
//! zone it writes to, the zone's links, what the links do with a name that the zone lacks.

use super::{Code, Context, Finding, Severity, age, endpoint_name, has_error, pasteable};
use crate::azure::Service;
use crate::azure::facts::{AzFacts, AzLink, AzZone, ConnectionStatus, name_in_id};
use crate::diagnosis::remediation::Resource;
use crate::diagnosis::suppression::explains_an_error;

/// A rule: the cause, where the files name it.
type Rule = fn(&Context<'_>, &AzFacts, &[Finding]) -> Option<Finding>;

/// Every rule, the deepest first: what one suppresses the next no longer sees.
pub(super) const ALL: [Rule; 5] =
    [wrong_group_id, endpoint_not_approved, wrong_zone, zone_not_linked, fallback_to_internet];

fn wrong_group_id(case: &Context<'_>, facts: &AzFacts, findings: &[Finding]) -> Option<Finding> {
    let resource = Resource::of(case)?;
    let right = resource.service.group_id()?;
    let is_right = |groups: &[String]| groups.iter().any(|group| group.eq_ignore_ascii_case(right));
    let with_group = || facts.endpoints.iter().filter(|endpoint| !endpoint.group_ids.is_empty());
    let wrong = with_group().next()?;
    if with_group().any(|endpoint| is_right(&endpoint.group_ids)) {
        return None;
    }
    let name = endpoint_name(wrong.id.as_deref());
    let severity = if explains_an_error(findings, Code::WrongGroupId) { Severity::Error } else { Severity::Warning };
    let mut finding = Finding::new(
        Code::WrongGroupId,
        severity,
        format!(
            "{name} is for the group ID {}, and {} needs {right}, by {}",
            wrong.group_ids.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", "),
            resource.service.title(),
            wrong.file
        ),
        format!(
            "A private endpoint leads to one sub-resource of the cache; for another one Azure writes no record into {}. {}",
            resource.zone,
            age(&wrong.file)
        ),
    )
    .hint(format!("delete {name} and create a private endpoint with the group ID {right}: it cannot be changed"))
    .commands([resource.create_endpoint()]);
    if severity == Severity::Warning {
        finding.detail.push_str(
            " What is seen from here does not suffer from it: the file may be old, or another endpoint may serve.",
        );
    }
    Some(finding)
}

fn endpoint_not_approved(case: &Context<'_>, facts: &AzFacts, findings: &[Finding]) -> Option<Finding> {
    let state = not_approved(case, facts)?;
    let severity = if explains_an_error(findings, Code::EndpointNotApproved) {
        Severity::Error
    } else if case.is_at_expected_address() && case.observation.phases.connection.connect.is_done() {
        return None; // it answers, so the file is wrong: a mismatch
    } else {
        Severity::Warning
    };
    let name = endpoint_name(state.endpoint_id);
    let status = state.status;
    let connection = pasteable(state.connection_id, "<connection-id>");
    let (meaning, hint, command) = match status {
        ConnectionStatus::Approved => return None,
        ConnectionStatus::Pending => (
            "Nobody has approved it yet, and until then nothing gets through.",
            "have the owner of the cache approve the connection",
            format!("az network private-endpoint-connection approve --id {connection}"),
        ),
        ConnectionStatus::Rejected => (
            "The owner of the cache has refused it, and nothing gets through.",
            "ask the owner of the cache why; a rejected connection can be approved, or the endpoint created anew",
            format!("az network private-endpoint-connection approve --id {connection}"),
        ),
        ConnectionStatus::Disconnected => (
            "The cache no longer knows it: it was deleted there, or the cache was created anew.",
            "delete the private endpoint and create it again; a disconnected one does not come back",
            format!(
                "az network private-endpoint delete --ids {}",
                pasteable(state.endpoint_id, "<private-endpoint-id>")
            ),
        ),
    };
    let resource = Resource::of(case);
    let finding = Finding::new(
        Code::EndpointNotApproved,
        severity,
        format!("the private endpoint connection of {name} is {status}, by {}", state.file),
        format!("{meaning} {}", age(state.file)),
    )
    .hint(hint)
    .commands(resource.map(|resource| resource.list_connections()))
    .commands([command]);
    Some(finding)
}

/// A connection that lets nothing through.
pub(super) struct NotApproved<'a> {
    pub(super) status: ConnectionStatus,
    pub(super) file: &'a str,
    endpoint_id: Option<&'a str>,
    connection_id: Option<&'a str>,
}

/// The first connection, where none of those that count is approved. Where the address in use is one of
/// an endpoint's, that endpoint alone counts.
pub(super) fn not_approved<'a>(case: &Context<'_>, facts: &'a AzFacts) -> Option<NotApproved<'a>> {
    let address = case.observation.connection.as_ref().map(|connection| connection.address.ip().to_canonical());
    let in_use = facts
        .endpoints
        .iter()
        .find(|endpoint| address.is_some_and(|ip| endpoint.names.iter().any(|name| name.addresses.contains(&ip))));
    let counts = |id: &Option<String>| match in_use.and_then(|endpoint| endpoint.id.as_deref()) {
        Some(in_use) => id.as_deref().is_some_and(|id| id.eq_ignore_ascii_case(in_use)),
        None => true,
    };
    // The cache's own list knows the connection's ID, which approving it takes.
    let of_cache =
        facts.connections.iter().filter(|connection| counts(&connection.endpoint_id)).filter_map(|connection| {
            Some(NotApproved {
                status: connection.status?,
                file: &connection.file,
                endpoint_id: connection.endpoint_id.as_deref(),
                connection_id: connection.id.as_deref(),
            })
        });
    let of_endpoints = facts.endpoints.iter().filter(|endpoint| counts(&endpoint.id)).filter_map(|endpoint| {
        Some(NotApproved {
            status: endpoint.status?,
            file: &endpoint.file,
            endpoint_id: endpoint.id.as_deref(),
            connection_id: None,
        })
    });
    let mut all = of_cache.chain(of_endpoints).peekable();
    let first = all.next()?;
    let any_approved =
        first.status == ConnectionStatus::Approved || all.any(|state| state.status == ConnectionStatus::Approved);
    (!any_approved).then_some(first)
}

fn wrong_zone(case: &Context<'_>, facts: &AzFacts, findings: &[Finding]) -> Option<Finding> {
    let resource = Resource::of(case)?;
    let right = |zone: &str| zone == resource.zone || zone.ends_with(&format!(".{}", resource.zone));
    let wrong = facts.zone_groups.first()?;
    if facts.zone_groups.iter().any(|group| right(&group.zone)) {
        return None;
    }
    let severity = if explains_an_error(findings, Code::WrongZone) { Severity::Error } else { Severity::Warning };
    let name = endpoint_name(wrong.endpoint_id.as_deref());
    let records = if wrong.record_sets.is_empty() {
        " and keeps no record there, since it is no zone of the service"
    } else {
        ""
    };
    let other = match Service::of_zone(&wrong.zone) {
        Some(service) => format!(" (that of {})", service.title()),
        None => String::new(),
    };
    let mut finding = Finding::new(
        Code::WrongZone,
        severity,
        format!(
            "the DNS zone group of {name} writes to {}{other}, and {} needs {}, by {}",
            wrong.zone,
            resource.service.title(),
            resource.zone,
            wrong.file
        ),
        format!("Azure writes the endpoint's record into the zones of its group alone{records}. {}", age(&wrong.file)),
    )
    .hint(format!(
        "give the private endpoint a zone group with {}, and link that zone to the networks of the clients",
        resource.zone
    ))
    .commands([resource.create_zone_group(), resource.list_links()]);
    if severity == Severity::Warning {
        finding.detail.push_str(" What is seen from here does not suffer from it: a record made by hand would do, and will not follow the endpoint.");
    }
    Some(finding)
}

fn zone_not_linked(case: &Context<'_>, facts: &AzFacts, findings: &[Finding]) -> Option<Finding> {
    if !is_public(case, facts, findings) {
        return None;
    }
    let resource = Resource::of(case)?;
    let zones = || facts.zones.iter().filter(|zone| zone.name == resource.zone);
    let zone: &AzZone = zones().next()?;
    if !zones().all(|zone| zone.links == Some(0)) || links(facts, &resource.zone).next().is_some() {
        return None;
    }
    let finding = Finding::new(
        Code::ZoneNotLinked,
        Severity::Error,
        format!("the private DNS zone {} is linked to no virtual network, by {}", zone.name, zone.file),
        format!(
            "Without a link no network sees its records, and every client gets the public address. {}",
            age(&zone.file)
        ),
    )
    .hint(format!("link {} to the virtual network whose resolver the clients ask", zone.name))
    .commands([resource.create_link(), resource.list_links()]);
    Some(finding)
}

fn fallback_to_internet(case: &Context<'_>, facts: &AzFacts, findings: &[Finding]) -> Option<Finding> {
    if !is_public(case, facts, findings) || facts.records.iter().any(|record| !record.addresses.is_empty()) {
        return None; // a name that the zone has is never asked of public DNS
    }
    let resource = Resource::of(case)?;
    let first = links(facts, &resource.zone).find(|link| link.falls_back == Some(true))?;
    if !links(facts, &resource.zone).all(|link| link.falls_back == Some(true)) {
        return None; // which of the links is this network's cannot be known
    }
    let network = first.network_id.as_deref().map_or("a virtual network", name_in_id);
    let finding = Finding::new(
        Code::FallbackToInternet,
        Severity::Error,
        format!("the link of {} to {network} falls back to public DNS (NxDomainRedirect), by {}", first.zone, first.file),
        format!(
            "What the zone lacks is asked of public DNS, which gives the public address: the record \"{}\" is missing, and the link hides that. A network that is not linked gets the public address too, and whether this one is cannot be known from here. {}",
            resource.record,
            age(&first.file)
        ),
    )
    .hint(format!("create the record \"{}\" in {} by the private endpoint's DNS zone group; set the link's resolution policy to Default so that a missing record is seen", resource.record, first.zone))
    .commands([resource.show_record(), resource.list_zone_groups(), resource.list_links()]);
    Some(finding)
}

fn links<'a>(facts: &'a AzFacts, zone: &str) -> impl Iterator<Item = &'a AzLink> {
    facts.links.iter().filter(move |link| link.zone == zone)
}

/// Whether the name leads out of the private zone: seen in the chain, or, where no chain was seen, by an
/// endpoint that is approved.
fn is_public(case: &Context<'_>, facts: &AzFacts, findings: &[Finding]) -> bool {
    let known = facts.endpoints.iter().any(|endpoint| endpoint.status.is_some())
        || facts.connections.iter().any(|connection| connection.status.is_some());
    has_error(findings, &[Code::PrivateZoneNotSeen])
        || (has_error(findings, &[Code::PublicPath]) && known && not_approved(case, facts).is_none())
}
