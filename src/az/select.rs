//! Which facts are about one host: by host name, by the private endpoint's resource, by the names that
//! a zone gives. What is ambiguous is left out, with a sentence that says so.

use std::collections::BTreeSet;

use super::AzFiles;
use super::object::before;
use crate::azure::facts::{AzCache, AzFacts, AzZoneGroup, is_name_of, name_in_id, privatelink_name};
use crate::azure::{self, Endpoint, Service};
use crate::target::HostName;

/// The most facts of one kind that a record takes: one cache has a few of each.
const MOST: usize = 32;

impl AzFiles {
    /// All that the files say about `host`.
    pub fn about(&self, host: &HostName) -> AzFacts {
        let name = host.as_str();
        let known = azure::endpoint(name);
        let mut facts = AzFacts { empty_files: self.empty_files.clone(), ..AzFacts::default() };
        facts.cache = self.cache(name, &mut facts.ignored);
        let resources = self.resources(name, known.as_ref(), &mut facts);
        let is_its_own = |id: Option<&str>| id.is_some_and(|id| resources.contains(&id.to_ascii_lowercase()));
        let is_under = |id: Option<&str>, mark| is_its_own(id.and_then(|id| before(id, mark)).as_deref());

        facts.databases =
            self.databases.iter().filter(|database| is_under(database.id.as_deref(), "/databases/")).cloned().collect();
        facts.endpoints = self
            .endpoints
            .iter()
            .filter(|endpoint| {
                is_its_own(endpoint.resource_id.as_deref()) || endpoint.names.iter().any(|known| known.is_of(name))
            })
            .cloned()
            .collect();
        let endpoint_ids: BTreeSet<String> =
            facts.endpoints.iter().filter_map(|endpoint| lower(&endpoint.id)).collect();
        facts.connections = self
            .connections
            .iter()
            .filter(|connection| {
                is_under(connection.id.as_deref(), "/privateEndpointConnections/")
                    || lower(&connection.endpoint_id).is_some_and(|id| endpoint_ids.contains(&id))
            })
            .cloned()
            .collect();
        let of_connections = facts.connections.iter().filter_map(|connection| lower(&connection.endpoint_id));
        let endpoint_ids: BTreeSet<String> = endpoint_ids.iter().cloned().chain(of_connections).collect();
        let alone = endpoint_ids.is_empty() && self.is_about_one(host);
        facts.zone_groups = self
            .zone_groups
            .iter()
            .filter(|group| match lower(&group.endpoint_id) {
                Some(id) if !endpoint_ids.is_empty() => endpoint_ids.contains(&id),
                _ => group.record_sets.iter().any(|known| known.is_of(name)) || (alone && group.record_sets.is_empty()),
            })
            .cloned()
            .collect();
        let is_of_nobody = |group: &&AzZoneGroup| !alone && endpoint_ids.is_empty() && group.record_sets.is_empty();
        if let Some(group) = self.zone_groups.iter().find(is_of_nobody) {
            facts.ignored.push(format!(
                "{} is a zone group without records, and its private endpoint is unknown; az network private-endpoint show of that endpoint decides",
                group.file
            ));
        }

        // A zone counts where the name lies in it, or where an endpoint writes to it.
        let private_name = privatelink_name(name).unwrap_or_else(|| name.to_owned());
        let written: BTreeSet<&str> = facts.zone_groups.iter().map(|group| group.zone.as_str()).collect();
        let counts = |zone: &str| {
            written.contains(zone) || private_name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.'))
        };
        facts.zones = self.zones.iter().filter(|zone| counts(&zone.name)).cloned().collect();
        facts.links = self.links.iter().filter(|link| counts(&link.zone)).cloned().collect();
        facts.records = self.records.iter().filter(|record| is_name_of(&record.fqdn, name)).cloned().collect();
        let is_of = |id: &Option<String>| is_its_own(id.as_deref()) || is_named(id.as_deref(), known.as_ref());
        let migrations = self.migrations.iter().filter(|one| is_of(&one.source_id) || is_of(&one.target_id));
        facts.migrations = migrations.cloned().collect();
        facts.validations.clone_from(&self.validations);
        if !facts.is_about_something() {
            facts.ignored.extend(self.are_about_others(name));
        }
        bounded(facts)
    }

    /// The one cache of that host name; the same one in two files is one.
    fn cache(&self, host: &str, ignored: &mut Vec<String>) -> Option<AzCache> {
        let mut caches = self.caches.iter().filter(|cache| cache.host == host);
        let first = caches.next()?;
        let differs = caches.find(|other| AzCache { file: first.file.clone(), ..(*other).clone() } != *first);
        if let Some(other) = differs {
            ignored.push(format!(
                "{} and {} say different things about the cache {host}; neither is taken",
                first.file, other.file
            ));
            return None;
        }
        Some(first.clone())
    }

    /// The IDs of the target's own resource, in lower case: the cache's, or the one that its name points to.
    fn resources(&self, host: &str, known: Option<&Endpoint>, facts: &mut AzFacts) -> BTreeSet<String> {
        let mut resources: BTreeSet<String> =
            facts.cache.iter().map(|cache| lower(&cache.id).unwrap_or_else(|| cache.host.clone())).collect();
        let named = self.endpoints.iter().filter(|endpoint| endpoint.names.iter().any(|name| name.is_of(host)));
        resources.extend(named.filter_map(|endpoint| lower(&endpoint.resource_id)));
        let Some(known) = known.filter(|_| resources.is_empty()) else { return resources };
        let kind = match known.service {
            Service::AzureCacheForRedis => "/microsoft.cache/redis/",
            Service::AzureCacheForRedisEnterprise | Service::AzureManagedRedis => "/microsoft.cache/redisenterprise/",
            Service::Other => return resources,
        };
        let label = known.record.split('.').next().unwrap_or_default();
        let of_endpoints = self.endpoints.iter().filter_map(|endpoint| lower(&endpoint.resource_id));
        let of_connections =
            self.connections.iter().filter_map(|one| before(one.id.as_deref()?, "/privateEndpointConnections/"));
        let of_databases = self.databases.iter().filter_map(|one| before(one.id.as_deref()?, "/databases/"));
        let mut candidates: BTreeSet<String> = of_endpoints
            .chain(of_connections.chain(of_databases).map(|id| id.to_ascii_lowercase()))
            .filter(|id| id.contains(kind) && name_in_id(id) == label)
            .collect();
        // A cache of that name with another host name is in another region or cloud.
        let others: BTreeSet<String> = self.caches.iter().filter_map(|cache| lower(&cache.id)).collect();
        candidates.retain(|id| !others.contains(id));
        if candidates.len() > 1 {
            facts.ignored.push(format!(
                "{host} is ambiguous: {} resources are called {label}; az redis show or az redisenterprise show of the right one decides",
                candidates.len()
            ));
            return resources;
        }
        candidates
    }

    /// Whether the files are about `host` alone: a zone group of whatever endpoint is then its own.
    fn is_about_one(&self, host: &HostName) -> bool {
        let hosts = self.hosts();
        let groups: BTreeSet<Option<String>> = self.zone_groups.iter().map(|group| lower(&group.endpoint_id)).collect();
        hosts.len() == 1 && hosts[0] == *host && self.endpoints.is_empty() && groups.len() == 1
    }

    fn are_about_others(&self, host: &str) -> Option<String> {
        const NAMED: usize = 3;
        let mut others: Vec<String> = self.hosts().iter().map(|other| other.as_str().to_owned()).collect();
        others.extend(
            self.endpoints
                .iter()
                .filter_map(|endpoint| endpoint.resource_id.as_deref())
                .map(|id| name_in_id(id).to_owned()),
        );
        others.dedup();
        let more = others.len().saturating_sub(NAMED);
        others.truncate(NAMED);
        if others.is_empty() {
            return None;
        }
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        Some(format!("the files describe {}{more}; none describes {host}", others.join(", ")))
    }
}

/// Whether the resource has the name and the type that the host name says.
fn is_named(id: Option<&str>, known: Option<&Endpoint>) -> bool {
    let (Some(id), Some(known)) = (id.map(str::to_ascii_lowercase), known) else { return false };
    let kind = match known.service {
        Service::AzureCacheForRedis => "/microsoft.cache/redis/",
        Service::AzureCacheForRedisEnterprise | Service::AzureManagedRedis => "/microsoft.cache/redisenterprise/",
        Service::Other => return false,
    };
    id.contains(kind) && known.record.split('.').next() == Some(name_in_id(&id))
}

fn lower(id: &Option<String>) -> Option<String> {
    id.as_ref().map(|id| id.to_ascii_lowercase())
}

/// A record stays small, whatever the files hold.
fn bounded(mut facts: AzFacts) -> AzFacts {
    facts.databases.truncate(MOST);
    facts.endpoints.truncate(MOST);
    facts.connections.truncate(MOST);
    facts.zone_groups.truncate(MOST);
    facts.zones.truncate(MOST);
    facts.links.truncate(MOST);
    facts.records.truncate(MOST);
    facts.migrations.truncate(MOST);
    facts.validations.truncate(MOST);
    facts.empty_files.truncate(MOST);
    facts.ignored.truncate(MOST);
    let names = facts.endpoints.iter_mut().map(|endpoint| &mut endpoint.names);
    for names in names.chain(facts.zone_groups.iter_mut().map(|group| &mut group.record_sets)) {
        names.truncate(MOST);
        names.iter_mut().for_each(|name| name.addresses.truncate(MOST));
    }
    facts.endpoints.iter_mut().for_each(|endpoint| endpoint.group_ids.truncate(MOST));
    facts.records.iter_mut().for_each(|record| record.addresses.truncate(MOST));
    facts
}
