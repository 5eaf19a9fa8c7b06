//! What a tree is, by its keys alone, and the facts in it. A value of another type than az gives it is
//! refused with its path; a key that is absent or null is no fact.

use std::net::IpAddr;

use strum::IntoEnumIterator;

use super::object::{Object, before};
use super::tree::Node;
use super::{AzFiles, migration};
use crate::azure::facts::{
    AzCache, AzConnection, AzDatabase, AzEndpoint, AzLink, AzName, AzRecord, AzZone, AzZoneGroup, ConnectionStatus,
    Switch, name_in_id,
};
use crate::azure::{self, Service};
use crate::target::HostName;

/// What is recognized, for the message that nothing was.
const RECOGNIZED: &str = "the JSON of az redis show, az redisenterprise show, database list, migration show or migration validate, az network private-endpoint show or dns-zone-group list, az network private-endpoint-connection list, az network private-dns zone list, link vnet list or record-set a list is expected";

/// The facts of a whole file.
pub(super) fn facts(root: &Node, file: &str) -> Result<AzFiles, String> {
    let mut facts = AzFiles::default();
    let (list, path) = match root {
        Node::List(items) => (items, String::new()),
        Node::Map(_) => {
            let object = Object { node: root, path: String::new() };
            match object.get("value") {
                Some((Node::List(items), path)) => (items, path),
                _ => return item(&object, file, &mut facts).map(|()| facts),
            }
        }
        Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_) => {
            return Err(format!("it is {}: {RECOGNIZED}", root.kind()));
        }
    };
    for (index, node) in list.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if !matches!(node, Node::Map(_)) {
            return Err(format!("{path}: it is {}: {RECOGNIZED}", node.kind()));
        }
        item(&Object { node, path }, file, &mut facts)?;
    }
    if list.is_empty() {
        facts.empty_files.push(file.to_owned());
    }
    Ok(facts)
}

/// One resource. Its kind is known by the keys that no other kind has.
fn item(object: &Object<'_>, file: &str, facts: &mut AzFiles) -> Result<(), String> {
    let has = |key: &str| object.has(key);
    let kind = object.text("type").ok().flatten().unwrap_or_default().to_ascii_lowercase();
    let id = object.text("id")?;
    let in_id = |part: &str| id.as_deref().is_some_and(|id| id.to_ascii_lowercase().contains(part));
    if has("privateLinkServiceConnections") || has("manualPrivateLinkServiceConnections") || has("customDnsConfigs") {
        facts.endpoints.extend(endpoint(object, id, file)?);
    } else if has("privateDnsZoneConfigs") {
        facts.zone_groups.extend(zone_group(object, id.as_deref(), file)?);
    } else if has("privateLinkServiceConnectionState") {
        facts.connections.push(connection(object, id, file)?);
    } else if has("numberOfVirtualNetworkLinks") || has("numberOfRecordSets") {
        facts.zones.push(AzZone {
            file: file.to_owned(),
            id,
            name: object.needed_text("name")?.trim_end_matches('.').to_ascii_lowercase(),
            links: object.number("numberOfVirtualNetworkLinks")?,
            record_sets: object.number("numberOfRecordSets")?,
        });
    } else if has("virtualNetwork") {
        facts.links.extend(link(object, id.as_deref(), file)?);
    } else if has("aRecords") || kind.contains("privatednszones/") || in_id("/privatednszones/") {
        facts.records.extend(record(object, id.as_deref(), &kind, file)?);
    } else if has("isValid") {
        facts.validations.push(migration::validation(object, file)?);
    } else if migration::is_migration(object, id.as_deref()) {
        facts.migrations.push(migration::migration(object, id, file)?);
    } else if has("hostName") {
        cache(object, id, &kind, file, facts)?;
    } else if has("clientProtocol") || has("clusteringPolicy") || has("accessKeysAuthentication") {
        facts.databases.push(database(object, file)?);
    } else {
        let place = object.place("");
        let said = if has("error") {
            "it is an error that Azure answered with"
        } else {
            "it is none of the shapes that are known"
        };
        return Err(format!("{place}{said}: {RECOGNIZED}"));
    }
    Ok(())
}

fn cache(object: &Object<'_>, id: Option<String>, kind: &str, file: &str, facts: &mut AzFiles) -> Result<(), String> {
    let text = object.needed_text("hostName")?;
    let host = HostName::parse(&text).map_err(|_| {
        format!("{}it is not a host name such as cache1.redis.cache.windows.net", object.place("hostName"))
    })?;
    let known = azure::endpoint(host.as_str()).map_or(Service::Other, |endpoint| endpoint.service);
    let in_id = id.as_deref().is_some_and(|id| id.to_ascii_lowercase().contains("/microsoft.cache/"));
    if known == Service::Other && object.get("sslPort").is_none() && !kind.contains("microsoft.cache") && !in_id {
        return Err(format!("{}it has a host name and is no cache: {RECOGNIZED}", object.place("")));
    }
    let access_keys = object.bool("disableAccessKeyAuthentication")?;
    facts.caches.push(AzCache {
        file: file.to_owned(),
        id,
        host: host.as_str().to_owned(),
        tls_port: object.port("sslPort")?,
        plaintext_port: object.port("port")?,
        plaintext_enabled: object.bool("enableNonSslPort")?,
        minimum_tls_version: object.text("minimumTlsVersion")?.filter(|version| !version.is_empty()),
        public_network_access: object.switch("publicNetworkAccess")?,
        access_keys: access_keys.map(|off| if off { Switch::Disabled } else { Switch::Enabled }),
        shards: object.number("shardCount")?,
        provisioning_state: object.text("provisioningState")?,
    });
    // Without an ID what is inside is known by the host name.
    let owner = facts.caches.last().map(|cache| cache.id.clone().unwrap_or_else(|| cache.host.clone()));
    for inner in object.objects("databases")? {
        let mut database = database(&inner, file)?;
        if database.id.is_none() {
            database.id = owner.as_ref().map(|id| format!("{id}/databases/default"));
        }
        facts.databases.push(database);
    }
    for inner in object.objects("privateEndpointConnections")? {
        let mut connection = connection(&inner, inner.text("id")?, file)?;
        if connection.id.is_none() {
            connection.id = owner.as_ref().map(|id| format!("{id}/privateEndpointConnections/unnamed"));
        }
        facts.connections.push(connection);
    }
    Ok(())
}

fn database(object: &Object<'_>, file: &str) -> Result<AzDatabase, String> {
    let protocol = object.text("clientProtocol")?;
    Ok(AzDatabase {
        file: file.to_owned(),
        id: object.text("id")?,
        port: object.port("port")?,
        tls: protocol.map(|protocol| !protocol.eq_ignore_ascii_case("plaintext")),
        clustering_policy: object.text("clusteringPolicy")?,
        access_keys: object.switch("accessKeysAuthentication")?,
    })
}

/// One for each connection: Azure has room for several, and those that wait for approval may be `manual`.
fn endpoint(object: &Object<'_>, id: Option<String>, file: &str) -> Result<Vec<AzEndpoint>, String> {
    let names = names(object, "customDnsConfigs")?;
    let new = || AzEndpoint { file: file.to_owned(), id: id.clone(), names: names.clone(), ..AzEndpoint::default() };
    let mut endpoints = Vec::new();
    for key in ["privateLinkServiceConnections", "manualPrivateLinkServiceConnections"] {
        for connection in object.objects(key)? {
            endpoints.push(AzEndpoint {
                resource_id: connection.text("privateLinkServiceId")?,
                group_ids: connection.texts("groupIds")?,
                status: status(&connection)?,
                ..new()
            });
        }
    }
    if endpoints.is_empty() {
        endpoints.push(new());
    }
    Ok(endpoints)
}

fn connection(object: &Object<'_>, id: Option<String>, file: &str) -> Result<AzConnection, String> {
    let endpoint_id = match object.object("privateEndpoint")? {
        Some(endpoint) => endpoint.text("id")?,
        None => None,
    };
    Ok(AzConnection { file: file.to_owned(), id, endpoint_id, status: status(object)? })
}

fn status(object: &Object<'_>) -> Result<Option<ConnectionStatus>, String> {
    let Some(state) = object.object("privateLinkServiceConnectionState")? else { return Ok(None) };
    let Some(word) = state.text("status")? else { return Ok(None) };
    match word.parse() {
        Ok(status) => Ok(Some(status)),
        Err(_) => Err(format!(
            "{}it is no state of a connection: {} is expected",
            state.place("status"),
            ConnectionStatus::iter().map(|status| status.to_string()).collect::<Vec<_>>().join(", ")
        )),
    }
}

fn zone_group(object: &Object<'_>, id: Option<&str>, file: &str) -> Result<Vec<AzZoneGroup>, String> {
    let endpoint_id = id.and_then(|id| before(id, "/privateDnsZoneGroups/"));
    let mut groups = Vec::new();
    for config in object.objects("privateDnsZoneConfigs")? {
        let zone_id = config.needed_text("privateDnsZoneId")?;
        groups.push(AzZoneGroup {
            file: file.to_owned(),
            endpoint_id: endpoint_id.clone(),
            zone: name_in_id(&zone_id).to_ascii_lowercase(),
            record_sets: names(&config, "recordSets")?,
        });
    }
    Ok(groups)
}

fn link(object: &Object<'_>, id: Option<&str>, file: &str) -> Result<Option<AzLink>, String> {
    let network_id = match object.object("virtualNetwork")? {
        Some(network) => network.text("id")?,
        None => None,
    };
    // Without the link's own ID nothing says which zone it is of.
    let Some(zone_id) = id.and_then(|id| before(id, "/virtualNetworkLinks/")) else {
        return Err(format!(
            "{}it is missing: the ID of a link, which names its zone, is expected",
            object.place("id")
        ));
    };
    let policy = object.text("resolutionPolicy")?;
    Ok(Some(AzLink {
        file: file.to_owned(),
        zone: name_in_id(&zone_id).to_ascii_lowercase(),
        network_id,
        falls_back: policy.map(|policy| policy.eq_ignore_ascii_case("NxDomainRedirect")),
    }))
}

/// The A records of a zone; the others, which a list of all has too, are passed over.
fn record(object: &Object<'_>, id: Option<&str>, kind: &str, file: &str) -> Result<Option<AzRecord>, String> {
    let is_address = object.get("aRecords").is_some() || kind.ends_with("privatednszones/a");
    if !is_address {
        return Ok(None);
    }
    let in_zone = id.and_then(|id| before(id, "/A/")).map(|zone_id| name_in_id(&zone_id).to_ascii_lowercase());
    let fqdn = match (object.text("fqdn")?, in_zone) {
        (Some(fqdn), _) => fqdn,
        (None, Some(zone)) => format!("{}.{zone}", object.needed_text("name")?),
        (None, None) => {
            return Err(format!("{}it is missing: the record's full name is expected", object.place("fqdn")));
        }
    };
    let mut addresses = Vec::new();
    for entry in object.objects("aRecords")? {
        addresses.push(address(&entry.needed_text("ipv4Address")?, &entry.place("ipv4Address"))?);
    }
    let creator = match object.object("metadata")? {
        Some(metadata) => metadata.text("creator")?,
        None => None,
    };
    let fqdn = fqdn.trim_end_matches('.').to_ascii_lowercase();
    Ok(Some(AzRecord { file: file.to_owned(), fqdn, addresses, creator }))
}

fn names(object: &Object<'_>, key: &str) -> Result<Vec<AzName>, String> {
    let mut names = Vec::new();
    for entry in object.objects(key)? {
        let mut addresses = Vec::new();
        for text in entry.texts("ipAddresses")? {
            addresses.push(address(&text, &entry.place("ipAddresses"))?);
        }
        let fqdn = entry.text("fqdn")?.map(|fqdn| fqdn.trim_end_matches('.').to_ascii_lowercase());
        names.push(AzName { fqdn, addresses });
    }
    Ok(names)
}

fn address(text: &str, place: &str) -> Result<IpAddr, String> {
    text.parse::<IpAddr>()
        .map(|ip| ip.to_canonical())
        .map_err(|_| format!("{place}it is not an IP address, such as 10.60.4.5"))
}
