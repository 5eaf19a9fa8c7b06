//! The names that the files know, put into the commands in place of what only the operator knew.

use super::{Finding, pasteable};
use crate::azure::facts::{AzFacts, name_in_id};

/// What stands for a name that is not known.
const UNKNOWN: &str = "<";

/// Fills in the resource groups, the private endpoint and the cache's ID, each where the command means them.
pub(super) fn fill_in(facts: &AzFacts, findings: &mut [Finding]) {
    let cache = facts.cache.as_ref().and_then(|cache| cache.id.as_deref());
    let cache = cache.or_else(|| facts.endpoints.iter().find_map(|endpoint| endpoint.resource_id.as_deref()));
    let cache = pasteable(cache, UNKNOWN);
    let endpoint = pasteable(facts.endpoints.iter().find_map(|endpoint| endpoint.id.as_deref()), UNKNOWN);
    for command in findings.iter_mut().flat_map(|finding| &mut finding.commands).map(|command| &mut command.command) {
        let is = |start: &str| command.starts_with(start);
        if is("az redis ") || is("az redisenterprise ") || is("az network private-endpoint-connection ") {
            put(command, "<resource-group>", group_in_id(cache));
        } else if is("az network private-endpoint dns-zone-group ") {
            put(command, "<private-endpoint>", Some(name_in_id(endpoint)));
            put(command, "<resource-group>", group_in_id(endpoint));
        } else if is("az network private-endpoint create ") {
            put(command, "<resource-id>", Some(cache));
        } else if is("az network private-dns ") {
            let zone = facts.zones.iter().find(|zone| command.contains(&format!("--zone-name {} ", zone.name)));
            let id = pasteable(zone.and_then(|zone| zone.id.as_deref()), UNKNOWN);
            put(command, "<zone-resource-group>", group_in_id(id));
        }
    }
}

fn put(command: &mut String, placeholder: &str, name: Option<&str>) {
    if let Some(name) = name.filter(|name| *name != UNKNOWN && !name.is_empty()) {
        *command = command.replace(placeholder, name);
    }
}

/// `rg` of `/subscriptions/ID/resourceGroups/rg/providers/...`.
fn group_in_id(id: &str) -> Option<&str> {
    let mut parts = id.split('/');
    parts.find(|part| part.eq_ignore_ascii_case("resourceGroups"))?;
    parts.next()
}
