//! Files that are read, in both shapes and any order, and files that are refused.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use redpath::az::AzFiles;
use redpath::azure::facts::{AzFacts, ConnectionStatus, Switch};
use redpath::bounded_read::FileKind;
use redpath::expectation::{Expectation, ExpectedPath};
use redpath::target::{HostName, Target};

use super::{fixture, read};

const CLASSIC: &str = "cache1.redis.cache.windows.net";
const MANAGED: &str = "amr1.westeurope.redis.azure.net";
const ENTERPRISE: &str = "ent1.westeurope.redisenterprise.cache.azure.net";

fn host(name: &str) -> HostName {
    HostName::parse(name).expect("a host name")
}

fn about(names: &[&str], name: &str) -> AzFacts {
    read(names).about(&host(name))
}

fn addresses(facts: &AzFacts, name: &str) -> Vec<String> {
    facts.addresses(name).iter().map(|(ip, _)| ip.to_string()).collect()
}

#[test]
fn az_every_fixture_parses() {
    let folder = fs::read_dir(fixture("x").parent().expect("a folder")).expect("the fixtures");
    let mut count = 0;
    for entry in folder {
        let path = entry.expect("an entry").path();
        AzFiles::read(&path, FileKind::Regular).unwrap_or_else(|error| panic!("{error}"));
        count += 1;
    }
    assert!(count >= 25, "{count}");
}

#[test]
fn az_classic_cache_with_endpoint() {
    let facts = about(&["redis-show.cli", "private-endpoint-list.arm", "dns-zone-group-list.cli"], CLASSIC);
    assert_eq!((facts.port(true), facts.port(false)), (Some(6380), None), "the port without TLS is closed");
    assert_eq!(addresses(&facts, CLASSIC), ["10.60.4.5"]);
    let cache = facts.cache.as_ref().expect("the cache");
    assert_eq!(cache.minimum_tls_version.as_deref(), Some("1.2"));
    assert_eq!((cache.public_network_access, cache.access_keys), (Some(Switch::Disabled), Some(Switch::Enabled)));
    assert_eq!(facts.endpoints.len(), 1, "the other endpoints of the list are about something else");
    assert_eq!(facts.endpoints[0].group_ids, ["redisCache"]);
    assert_eq!(facts.connections[0].status, Some(ConnectionStatus::Approved));
    assert_eq!(facts.zone_groups[0].zone, "privatelink.redis.cache.windows.net");
    assert!(facts.ignored.is_empty(), "{:?}", facts.ignored);
}

#[test]
fn az_managed_reads_its_databases() {
    let all = [
        "redisenterprise-show-managed.cli",
        "redisenterprise-show-enterprise.arm",
        "database-list-enterprise.arm",
        "private-endpoint-list.arm",
    ];
    let managed = about(&all, MANAGED);
    assert_eq!((managed.port(true), addresses(&managed, MANAGED)), (Some(10_000), vec!["10.60.4.7".to_owned()]));
    assert_eq!(managed.databases[0].access_keys, Some(Switch::Disabled));
    assert_eq!(managed.databases[0].clustering_policy.as_deref(), Some("OSSCluster"));
    let enterprise = about(&all, ENTERPRISE);
    assert_eq!((enterprise.port(true), enterprise.databases.len()), (Some(10_000), 1));
    assert_eq!(enterprise.databases[0].clustering_policy.as_deref(), Some("EnterpriseCluster"));
    assert_eq!(addresses(&enterprise, ENTERPRISE), ["10.60.4.8"]);
    let plain = about(&["database-list-managed-plaintext.cli"], MANAGED);
    assert_eq!((plain.port(true), plain.port(false)), (None, Some(10_000)));
}

#[test]
fn az_list_or_show_in_any_order_is_equal() {
    let one = about(&["dns-zone-group-list.cli", "private-endpoint-connection-list-approved.cli"], CLASSIC);
    let other = about(&["private-endpoint-connection-list-approved.cli", "dns-zone-group-list.arm"], CLASSIC);
    assert_eq!(addresses(&one, CLASSIC), ["10.60.4.5"]);
    assert_eq!(addresses(&one, CLASSIC), addresses(&other, CLASSIC));
    assert_eq!(one.zone_groups[0].endpoint_id, other.zone_groups[0].endpoint_id);
    for (name, status) in [
        ("private-endpoint-show-approved.cli", ConnectionStatus::Approved),
        ("private-endpoint-show-pending.arm", ConnectionStatus::Pending),
        ("private-endpoint-show-rejected.cli", ConnectionStatus::Rejected),
        ("private-endpoint-show-disconnected.arm", ConnectionStatus::Disconnected),
    ] {
        assert_eq!(about(&[name], CLASSIC).endpoints[0].status, Some(status), "{name}");
    }
}

#[test]
fn az_zone_facts_belong_to_service() {
    let names = ["private-dns-zone-list-linked.cli", "link-vnet-list-fallback.arm", "record-set-list.cli"];
    let facts = about(&names, CLASSIC);
    assert_eq!(facts.zones.len(), 1);
    assert_eq!((facts.zones[0].links, facts.zones[0].record_sets), (Some(2), Some(3)));
    assert_eq!(facts.links[0].falls_back, Some(true));
    assert_eq!(facts.records.len(), 1);
    assert_eq!(facts.records[0].addresses, ["10.60.4.5".parse::<IpAddr>().expect("an address")]);
    assert!(facts.records[0].creator.as_deref().is_some_and(|creator| creator.contains("pe-cache1")));
}

#[test]
fn az_unrelated_or_ambiguous_is_left_out() {
    let facts = about(&["redis-show.cli", "private-endpoint-list.arm"], "cache9.redis.cache.windows.net");
    assert!(!facts.is_about_something());
    assert!(facts.ignored[0].contains("none describes cache9.redis.cache.windows.net"), "{:?}", facts.ignored);

    let text = fs::read_to_string(fixture("redis-show.cli")).expect("the fixture");
    let mut files = read(&["redis-show.cli"]);
    files.extend(AzFiles::parse(&text, "again.json").expect("the same cache"));
    assert!(files.about(&host(CLASSIC)).cache.is_some(), "the same twice is no contradiction");
    files.extend(AzFiles::parse(&text.replace("6380", "6399"), "older.json").expect("another port"));
    let facts = files.about(&host(CLASSIC));
    assert!(facts.cache.is_none() && facts.port(true).is_none());
    assert!(facts.ignored[0].contains("older.json"), "{:?}", facts.ignored);

    // A zone group that has written nothing is of whatever endpoint: the cache's own list tells which.
    let alone = about(&["dns-zone-group-list-wrong-zone.cli"], MANAGED);
    assert!(alone.zone_groups.is_empty() && alone.ignored[0].contains("its private endpoint is unknown"), "{alone:?}");
    let known = about(&["dns-zone-group-list-wrong-zone.cli", "redisenterprise-show-managed.cli"], MANAGED);
    assert!(known.zone_groups.len() == 1 && known.ignored.is_empty(), "{known:?}");

    // Two clusters of one name, in two resource groups, and no host name that would tell which is meant.
    let endpoints = fs::read_to_string(fixture("private-endpoint-show-wrong-group.cli")).expect("the fixture");
    let mut files = AzFiles::parse(&endpoints, "one.json").expect("an endpoint");
    files.extend(AzFiles::parse(&endpoints.replace("rg-app", "rg-other"), "two.json").expect("an endpoint"));
    let facts = files.about(&host(MANAGED));
    assert!(facts.endpoints.is_empty() && facts.ignored[0].contains("2 resources are called amr1"), "{facts:?}");
}

#[test]
fn az_given_values_outrank_files() {
    let files = read(&["redis-show.cli", "private-endpoint-show-approved.cli"]);
    let expect = |mut target: Target, given: bool, mut expectation: Expectation| {
        files.expect(&mut target, given, &mut expectation);
        let endpoints: Vec<String> = expectation.endpoints.iter().map(|range| range.addr().to_string()).collect();
        (target.port, endpoints)
    };
    let target = |port| Target::new(host(CLASSIC), port, true);
    assert_eq!(expect(target(None), false, Expectation::default()), (6380, vec!["10.60.4.5".to_owned()]));
    let own = Expectation { endpoints: vec!["10.0.0.0/8".parse().expect("a range")], ..Expectation::default() };
    assert_eq!(expect(target(Some(7000)), true, own), (7000, vec!["10.0.0.0".to_owned()]));
    let public = Expectation { path: ExpectedPath::Public, ..Expectation::default() };
    assert_eq!(expect(target(None), false, public).1, Vec::<String>::new());
}

#[test]
fn az_access_keys_are_dropped() {
    let text = fs::read_to_string(fixture("redis-show.cli")).expect("the fixture");
    assert!(text.contains("canary-primary"), "the fixture has a key, as an old version of az prints it");
    let files = read(&["redis-show.cli"]);
    assert!(!format!("{files:?}").contains("canary"));
    let mut expectation = Expectation::default();
    files.expect(&mut Target::new(host(CLASSIC), None, true), false, &mut expectation);
    assert!(!serde_json::to_string(&expectation).expect("JSON").contains("canary"));
    // Nor does a message repeat what stands where something else is expected.
    for (was, is) in
        [("\"port\": 6379", "\"port\": \"canary-1\""), ("\"sslPort\": 6380", "\"sslPort\": [\"canary-2\"]")]
    {
        let error = AzFiles::parse(&text.replace(was, is), "x.json").expect_err("a wrong type");
        assert!(!error.contains("canary") && error.contains("number"), "{error}");
    }
}

#[test]
fn az_bad_file_error_names_position() {
    for (text, says) in [
        ("", "it is empty: the JSON of a command of az"),
        ("  \n", "it is empty"),
        ("[\n  {\"id\": \"a\",}]", "line 2, column 14: it is no JSON: trailing comma"),
        ("{\"id\": ", "line 1, column 7: it ends in the middle"),
        ("Name    Port\ncache1  6380\n", "az writes it with --output json"),
        ("{} {}", "trailing characters"),
        ("null", "it is null: the JSON of az redis show"),
        ("\"text\"", "it is text: the JSON of"),
        ("{\"hello\": 1}", "it is none of the shapes that are known: the JSON of az redis show"),
        ("[{\"hello\": 1}]", "[0]: it is none of the shapes that are known"),
        ("[[]]", "[0]: it is a list"),
        ("{\"error\": {\"code\": \"x\"}}", "it is an error that Azure answered with"),
        ("{\"value\": [{\"hostName\": \"a b.redis.azure.net\"}]}", "value[0].hostName: it is not a host name"),
        ("{\"hostName\": \"app.azurewebsites.net\"}", "it has a host name and is no cache"),
        (
            "{\"hostName\": \"c.redis.cache.windows.net\", \"sslPort\": \"6380\"}",
            "sslPort: it is text: a whole number is expected",
        ),
        (
            "{\"hostName\": \"c.redis.cache.windows.net\", \"properties\": {\"sslPort\": 99999}}",
            "properties.sslPort: it is no port: a number from 1 to 65535",
        ),
        ("{\"hostName\": \"c.redis.cache.windows.net\", \"sslPort\": 0}", "1 to 65535"),
        (
            "{\"customDnsConfigs\": [{\"fqdn\": \"a\", \"ipAddresses\": [\"10.0.0.999\"]}]}",
            "customDnsConfigs[0].ipAddresses: it is not an IP address",
        ),
        ("{\"customDnsConfigs\": {}}", "customDnsConfigs: it is an object: a list is expected"),
        (
            "{\"privateLinkServiceConnections\": [7]}",
            "privateLinkServiceConnections[0]: it is a number: an object is expected",
        ),
        (
            "{\"privateLinkServiceConnectionState\": {\"status\": \"Maybe\"}}",
            "privateLinkServiceConnectionState.status: it is no state of a connection: Approved, Pending",
        ),
        ("{\"privateDnsZoneConfigs\": [{}]}", "privateDnsZoneConfigs[0].privateDnsZoneId: it is missing"),
        ("[{\"virtualNetwork\": {\"id\": \"/x\"}}]", "[0].id: it is missing"),
    ] {
        let error = AzFiles::parse(text, "x.json").expect_err(text);
        assert!(error.contains(says) && error.lines().count() == 1 && error.len() < 600, "{text}: {error}");
    }
}

#[test]
fn az_hostile_file_is_refused_within_bounds() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let written = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).expect("a file");
        path
    };
    let deep = "[".repeat(1 << 20);
    let esc = format!("{{\"hostName\": \"\\u001b]0;{}\"}}", "x".repeat(1000));
    for (path, says) in [
        (folder.join("no-such.json"), "there is no such file"),
        (folder.to_owned(), "it is a directory, not a file: a file of JSON is expected"),
        (PathBuf::from("/dev/zero"), "it is not a regular file"),
        (written("az-empty.json", b""), "it is empty"),
        (written("az-latin-1.json", b"{\n\"name\": \"M\xfcller\"}"), "line 2: it is not UTF-8 text"),
        (written("az-long.json", &vec![b' '; (16 << 20) + 1]), "it is longer than 16 MiB"),
        (written("az-deep.json", deep.as_bytes()), "nested too deeply"),
        (written("az-list.json", format!("[{}{{}}]", "{},".repeat(1 << 20)).as_bytes()), "values"),
        (written("az-escape.json", esc.as_bytes()), "it is not a host name"),
    ] {
        let error = AzFiles::read(&path, FileKind::Regular).expect_err("a refusal");
        let rest = error.strip_prefix(&path.display().to_string()).unwrap_or_else(|| panic!("no file named: {error}"));
        assert!(rest.starts_with(": ") && rest.contains(says), "{error}");
        assert!(error.len() < 600 && !error.contains(char::is_control), "{error}");
    }
    let zero = AzFiles::read(Path::new("/dev/zero"), FileKind::FileOrPipe).expect_err("a refusal");
    assert!(zero.contains("16 MiB"), "{zero}");
}

#[test]
fn az_record_size_is_bounded() {
    let text = fs::read_to_string(fixture("record-set-show-stale.arm")).expect("the fixture");
    let files = AzFiles::parse(&format!("[{}{text}]", format!("{text},").repeat(5_000)), "many.json").expect("records");
    assert_eq!(files.about(&host(CLASSIC)).records.len(), 32);
}
