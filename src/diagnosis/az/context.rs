//! What the files add to a finding that stands: which of its causes is likelier, and what cannot be known.

use super::{Code, Context, Finding, is_error};
use crate::azure::facts::{AzFacts, ConnectionStatus, Switch, name_in_id};
use crate::diagnosis::remediation::Resource;

/// What can be added to a finding of a code.
type Addition = fn(&Context<'_>, &AzFacts) -> String;

const ADDITIONS: &[(Code, Addition)] = &[
    (Code::ConnectTimeout, |_, facts| approved(facts)),
    (Code::PrivateZoneNotSeen, linked),
    (Code::PrivateZoneNotSeen, |_, facts| shut(facts)),
    (Code::NoPrivateEndpoint, |_, facts| shut(facts)),
    (Code::PublicPath, |_, facts| shut(facts)),
    (Code::PrivateRecordMissing, |_, facts| written(facts)),
    (Code::UnexpectedAddress, expected),
    (Code::UnexpectedAddress, |_, facts| recorded(facts)),
    (Code::AuthRejected, |_, facts| without_keys(facts)),
];

/// Adds to the errors what the files say about them.
pub(super) fn add(case: &Context<'_>, facts: &AzFacts, findings: &mut [Finding]) {
    for finding in findings.iter_mut().filter(|finding| is_error(finding)) {
        for (_, addition) in ADDITIONS.iter().filter(|(code, _)| *code == finding.code) {
            finding.detail.push_str(&addition(case, facts));
        }
    }
}

fn approved(facts: &AzFacts) -> String {
    let of_endpoints = facts.endpoints.iter().map(|endpoint| (endpoint.status, &endpoint.file));
    let mut all = of_endpoints.chain(facts.connections.iter().map(|connection| (connection.status, &connection.file)));
    match all.find(|(status, _)| *status == Some(ConnectionStatus::Approved)) {
        Some((_, file)) => {
            format!(
                " {file} says that the connection is approved, so a rule, a firewall or a route is the likelier cause."
            )
        }
        None => String::new(),
    }
}

fn linked(case: &Context<'_>, facts: &AzFacts) -> String {
    const MAX_SHOWN_NETWORKS: usize = 5;
    let Some(resource) = Resource::of(case) else { return String::new() };
    let links: Vec<_> = facts.links.iter().filter(|link| link.zone == resource.zone).collect();
    if let Some(first) = links.first() {
        let names: Vec<&str> = links
            .iter()
            .filter_map(|link| link.network_id.as_deref())
            .map(name_in_id)
            .take(MAX_SHOWN_NETWORKS)
            .collect();
        let falls_back = links.iter().find(|link| link.falls_back == Some(true));
        let falls_back = falls_back.and_then(|link| link.network_id.as_deref()).map_or_else(String::new, |network| {
            format!(" The link to {} falls back to public DNS for a name that the zone lacks.", name_in_id(network))
        });
        return format!(
            " By {} the zone is linked to {}{}; whether the network whose resolver answers is among them cannot be known from here.{falls_back}",
            first.file,
            names.join(", "),
            if links.len() > names.len() { " and others" } else { "" }
        );
    }
    let zone = facts.zones.iter().find(|zone| zone.name == resource.zone && zone.links.is_some_and(|links| links > 0));
    if let Some((zone, links)) = zone.and_then(|zone| Some((zone, zone.links?))) {
        let networks = if links == 1 { "1 virtual network".to_owned() } else { format!("{links} virtual networks") };
        return format!(
            " By {} the zone is linked to {networks}; whether the one whose resolver answers is among them cannot be known from here.",
            zone.file
        );
    }
    match facts.empty_files.first() {
        Some(file) => format!(
            " {file} is an empty list: if that is what az network private-dns link vnet list printed for {}, the zone is linked nowhere.",
            resource.zone
        ),
        None => String::new(),
    }
}

fn shut(facts: &AzFacts) -> String {
    match facts.cache.as_ref().filter(|cache| cache.public_network_access == Some(Switch::Disabled)) {
        Some(cache) => format!(
            " By {} public network access is disabled, so the cache does not serve clients that get the public address.",
            cache.file
        ),
        None => String::new(),
    }
}

fn written(facts: &AzFacts) -> String {
    if let Some(record) = facts.records.iter().find(|record| !record.addresses.is_empty()) {
        return format!(
            " By {} the zone has the record {}: a zone of the same name without it is linked here, or the file is older than the loss.",
            record.file, record.fqdn
        );
    }
    match facts.zone_groups.first() {
        Some(group) if group.record_sets.is_empty() => {
            format!(" By {} the zone group for {} has written no record.", group.file, group.zone)
        }
        _ => String::new(),
    }
}

fn expected(case: &Context<'_>, facts: &AzFacts) -> String {
    let addresses = facts.addresses(case.target.host.as_str());
    let Some((_, file)) = addresses.first().filter(|(ip, _)| case.expectation.is_expected_endpoint(*ip)) else {
        return String::new();
    };
    let ips: Vec<String> = addresses.iter().map(|(ip, _)| ip.to_string()).collect();
    format!(" {} is what {file} gives the private endpoint.", ips.join(", "))
}

fn recorded(facts: &AzFacts) -> String {
    let Some(record) = facts.records.first() else { return String::new() };
    let ips: Vec<String> = record.addresses.iter().map(ToString::to_string).collect();
    let creator = record.creator.as_ref().map(|creator| format!(" and was made by \"{creator}\"")).unwrap_or_default();
    format!(" By {} the record {} holds {}{creator}.", record.file, record.fqdn, ips.join(", "))
}

fn without_keys(facts: &AzFacts) -> String {
    match super::mismatch::without_keys(facts) {
        Some(file) => format!(" By {file} access keys are disabled: only an Entra identity is let in."),
        None => String::new(),
    }
}
