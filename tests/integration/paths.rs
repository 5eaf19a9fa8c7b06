//! The main job as a user meets it: the real binary in a network namespace, with BIND on port 53, a real Redis
//! behind a private and a public address, and what goes wrong between them.

use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::certificates::{Certificates, Leaf};
use crate::support::namespace::{Namespace, write_bind};

const HOST: &str = "cache1.redis.cache.windows.net";
const PRIVATE: &str = "10.60.4.5";
const PUBLIC: &str = "20.50.1.10";
const LINKED: &str = "10.10.0.52";
const UNLINKED: &str = "10.10.0.53";
const AZURE: &str = "168.63.129.16";
/// Nobody answers there; see `SILENT_NETWORK`.
const SILENT: &str = "10.99.0.53";
/// A resolver in the internet, which sees no private zone, and one that claims to be such and does.
const OUTSIDE: &str = "9.9.9.9";
const HOSTILE: &str = "8.8.4.4";
/// Addresses where nothing listens.
const SHUT: [&str; 2] = ["20.50.1.11", "10.60.4.7"];
const KEY: &str = "a-key-of-the-tests-7f3a";

struct World {
    namespace: Namespace,
    certificates: Certificates,
}

impl World {
    /// Azure's resolver and one forwarder see the private zone, the other forwarder does not.
    fn new() -> Self {
        let address = |ip: &str| format!("{ip}/32");
        let addresses = [PRIVATE, PUBLIC, LINKED, UNLINKED, AZURE, OUTSIDE, HOSTILE, SHUT[0], SHUT[1]].map(address);
        let mut namespace = Namespace::new(&addresses.each_ref().map(String::as_str));
        let certificates = Certificates::new();
        let server = certificates.leaf(Leaf::Good);
        let folder = namespace.folder().to_owned();
        write_bind(
            &folder,
            &[LINKED, AZURE, HOSTILE],
            &[UNLINKED, OUTSIDE],
            PRIVATE.parse().unwrap(),
            PUBLIC.parse().unwrap(),
        );
        // Debian's AppArmor profile keeps /usr/sbin/named out of every folder but its own; it goes by the path.
        let named = folder.join("named");
        std::fs::copy("/usr/sbin/named", &named).expect("named is missing: apt-get install bind9");
        let config = folder.join("named.conf");
        namespace.start(
            named.to_str().unwrap(),
            &["-g", "-n", "1", "-c", config.to_str().unwrap()],
            format!("{LINKED}:53").parse().unwrap(),
        );
        let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
        namespace.start(
            "redis-server",
            &[
                "--port",
                "0",
                "--tls-port",
                "6380",
                "--bind",
                PRIVATE,
                PUBLIC,
                "--requirepass",
                KEY,
                "--save",
                "",
                "--tls-auth-clients",
                "no",
                "--tls-cert-file",
                &path(&server.certificate),
                "--tls-key-file",
                &path(&server.key),
                "--tls-ca-cert-file",
                &path(&certificates.ca_file()),
            ],
            format!("{PRIVATE}:6380").parse().unwrap(),
        );
        let world = Self { namespace, certificates };
        world.nameservers(&[LINKED]);
        world
    }

    fn nameservers(&self, servers: &[&str]) {
        let lines: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
        self.namespace.resolv_conf(&format!("{lines}options timeout:1 attempts:1\n"));
    }

    fn check(&self, host: &str, flags: &[&str]) -> (Output, Value) {
        let output = self
            .namespace
            .command(env!("CARGO_BIN_EXE_redpath"))
            .args(["check", host, "--output", "json", "--ca-file", self.certificates.ca_file().to_str().unwrap()])
            .args(flags)
            .output()
            .expect("redpath runs in the namespace");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!text.contains(KEY), "the key is in the output");
        let report = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)));
        (output, report)
    }

    /// Checks, and holds exit status, verdict and cause to what is expected.
    #[track_caller]
    fn expect(&self, host: &str, flags: &[&str], exit: i32, status: &str, cause: &str) -> Value {
        let (output, report) = self.check(host, flags);
        let record = report["records"][0].clone();
        assert_eq!(record["verdict"]["status"], status, "{record:#}");
        assert_eq!(record["verdict"]["cause"], cause, "{record:#}");
        assert_eq!(output.status.code(), Some(exit));
        record
    }
}

#[test]
fn path_silent_host_is_bounded_and_named() {
    let world = World::new();
    let timed = |host: &str, status: &str, cause: &str| {
        let began = Instant::now();
        let exit = if status == "fail" { 1 } else { 0 };
        let record = world.expect(host, &["--timeout", "3s"], exit, status, cause);
        (record, began.elapsed())
    };
    // The C library waits 5 s and more; its call is left behind, and nothing of the probe with it.
    world.namespace.resolv_conf(&format!("nameserver {SILENT}\noptions timeout:5 attempts:2\n"));
    let (record, took) = timed(HOST, "fail", "dns_timeout");
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert_eq!(record["phases"]["connect"]["outcome"], "not_reached");
    assert!(record["phases"]["connect"].get("took_seconds").is_none());
    let views = record["resolution"]["views"].as_array().unwrap();
    assert!(views.iter().all(|view| view["outcome"] == "timeout"), "{views:?}");
    assert_eq!(views[1]["questions"][0]["attempts"], 3, "a lost question is sent again");

    // The first server is silent and the second answers: programs wait, and get there.
    world.nameservers(&[SILENT, LINKED]);
    let (record, _) = timed(HOST, "warn", "dns_timeout");
    assert!(record["phases"]["resolve"]["took_seconds"].as_f64().unwrap() > 0.9, "the C library waited a second");

    // The endpoint is silent: not approved, or a rule in between.
    world.nameservers(&[LINKED]);
    let (record, took) = timed("silent.redis.cache.windows.net", "fail", "connect_timeout");
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert!(record["phases"]["connect"]["took_seconds"].as_f64().unwrap() > 1.0);
    assert_eq!(record["phases"]["tls"]["outcome"], "not_reached");
}

#[test]
fn path_from_subnet_names_its_cause() {
    let world = World::new();
    let endpoint = ["--endpoint", PRIVATE];
    let with_azure = ["--endpoint", PRIVATE, "--resolver", "azure=168.63.129.16"];

    // With no flags at all the name says port, zone and expectation.
    let record = world.expect(HOST, &[], 0, "pass", "healthy");
    assert_eq!(record["target"]["port"], 6380);
    assert_eq!(record["target"]["service"], "azure_cache_for_redis");
    assert_eq!(record["expectation"]["path"], "private");
    assert_eq!(record["connection"]["address"], format!("{PRIVATE}:6380"));
    assert_eq!(record["connection"]["ping"]["reply"], "noauth");
    assert_eq!(record["connection"]["tls"]["version"], "TLSv1.3");
    let views: Vec<&str> =
        record["resolution"]["views"].as_array().unwrap().iter().map(|view| view["view"].as_str().unwrap()).collect();
    assert_eq!(views, ["libc", "system:10.10.0.52"]);

    // One network is not linked: nobody was asked who could tell, then Azure's resolver was, on demand or by itself.
    world.nameservers(&[UNLINKED]);
    let left_out = ["--endpoint", PRIVATE, "--no-azure-dns"];
    let record = world.expect(HOST, &left_out, 1, "fail", "private_zone_not_seen");
    assert!(
        record["findings"][0]["commands"][0]["command"].as_str().unwrap().contains("--resolver azure=168.63.129.16")
    );
    assert_eq!(record["connection"]["class"], "public");
    for (flags, cause) in [(&with_azure[..], "resolver_disagreement"), (&endpoint, "private_zone_not_seen")] {
        let record = world.expect(HOST, flags, 1, "fail", cause);
        let summary = record["findings"][0]["summary"].as_str().unwrap();
        assert!(summary.contains(UNLINKED) && summary.contains("the resolver azure (168.63.129.16)"), "{summary}");
        let commands = record["findings"][0]["commands"].to_string();
        assert!(!commands.contains("link vnet create"), "the network is linked: {commands}");
    }

    // A server that nobody started, one of two that is wrong, and none at all.
    world.nameservers(&["10.10.0.52", "127.0.0.99"]);
    world.expect(HOST, &endpoint, 0, "warn", "dns_unreachable");
    world.nameservers(&["127.0.0.99"]);
    world.expect(HOST, &endpoint, 1, "fail", "dns_unreachable");
    world.nameservers(&[LINKED, UNLINKED]);
    let record = world.expect(HOST, &endpoint, 1, "fail", "resolver_disagreement");
    // They disagree, so each was asked again, and was steady.
    for view in record["resolution"]["views"].as_array().unwrap() {
        let tries = view["tries"].as_array().unwrap_or_else(|| panic!("asked once: {view:#}"));
        assert_eq!(tries.iter().map(|tries| tries["count"].as_u64().unwrap()).collect::<Vec<_>>(), [3], "{view:#}");
    }
    let record = world.expect(HOST, &[&endpoint[..], &["--tries", "1"]].concat(), 1, "fail", "resolver_disagreement");
    assert!(record["resolution"]["views"].as_array().unwrap().iter().all(|view| view["tries"].is_null()));
    world.namespace.resolv_conf("# nothing\n");
    let (output, report) = world.check(HOST, &endpoint);
    assert_eq!(output.status.code(), Some(3), "{report:#}");
    assert!(
        report["records"][0]["findings"][0]["summary"]
            .as_str()
            .unwrap()
            .contains("/etc/resolv.conf names no name server")
    );

    // The search list is walked as the C library walks it.
    world
        .namespace
        .resolv_conf(&format!("nameserver {LINKED}\nsearch ns.svc.cluster.local svc.cluster.local\noptions ndots:5\n"));
    let record = world.expect(HOST, &endpoint, 0, "pass", "healthy");
    assert_eq!(record["findings"][0]["code"], "search_list_waste", "{record:#}");
    let asked: Vec<&str> = record["resolution"]["views"][1]["questions"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|question| question["type"] == "A")
        .map(|question| question["name"].as_str().unwrap())
        .collect();
    assert_eq!(asked, [format!("{HOST}.ns.svc.cluster.local"), format!("{HOST}.svc.cluster.local"), HOST.to_owned()]);

    // Names that lead nowhere, and to the wrong place.
    world.nameservers(&[LINKED]);
    world.expect("missing.redis.cache.windows.net", &[], 1, "fail", "private_record_missing");
    world.expect("gone.redis.cache.windows.net", &[], 1, "fail", "name_not_found");
    world.expect("public.redis.cache.windows.net", &[], 1, "fail", "no_private_endpoint");
    world.expect(HOST, &["--endpoint", "10.60.4.9"], 1, "fail", "unexpected_address");
    world.expect(HOST, &["--expect", "public"], 1, "fail", "private_path");

    // The hosts file: wrong, right where DNS is wrong, and saying what DNS says.
    world.namespace.hosts(&format!("{PUBLIC} other {HOST}\n"));
    let record = world.expect(HOST, &endpoint, 1, "fail", "overridden_locally");
    assert!(record["findings"][0]["detail"].as_str().unwrap().contains("line 2 of /etc/hosts"));
    world.namespace.hosts(&format!("{PRIVATE} {HOST}\n"));
    let record = world.expect(HOST, &endpoint, 0, "pass", "healthy");
    assert_eq!(record["findings"][0]["code"], "overridden_locally");
    world.nameservers(&[UNLINKED]);
    world.expect(HOST, &endpoint, 0, "warn", "overridden_locally");
}

#[test]
fn path_public_address_open_or_closed() {
    let world = World::new();
    let public_access = |record: &Value| record["phases"]["posture"]["public_access"].clone();
    let closed = ["--endpoint", PRIVATE, "--public-access", "closed"];
    let with = |flags: &[&'static str]| [&closed[..], flags].concat();

    // Given by the operator, and given by a resolver in the internet while the name is private here.
    let record = world.expect(HOST, &with(&["--public-address", PUBLIC]), 1, "fail", "public_access_open");
    assert_eq!(public_access(&record)["outcome"], "redis_answered");
    let hint = record["findings"][0]["hint"].as_str().unwrap();
    assert!(hint.contains("every subnet") && hint.contains("safe to disable"), "{hint}");
    let outside = format!("outside={OUTSIDE}");
    let flags = [&closed[..], &["--resolver", &outside]].concat();
    let record = world.expect(HOST, &flags, 1, "fail", "public_access_open");
    assert_eq!(public_access(&record)["address"], format!("{PUBLIC}:6380"));
    assert_eq!(public_access(&record)["view"], "outside");
    let command = record["findings"][0]["commands"][0]["command"].as_str().unwrap();
    assert!(command.starts_with("az redis update --name cache1 "), "{command}");

    // Closed: refused. An address that is the operator's own word needs no --public-access.
    let record = world.expect(HOST, &["--public-address", SHUT[0]], 0, "pass", "healthy");
    assert_eq!(
        (&public_access(&record)["state"], &public_access(&record)["outcome"]),
        (&"closed".into(), &"refused".into())
    );

    // A record that leads into the network is not followed, so the question stays without an answer.
    let outside = format!("outside={HOSTILE}");
    let flags = [&closed[..], &["--resolver", &outside]].concat();
    let record = world.expect(HOST, &flags, 3, "unknown", "not_checked");
    assert_eq!(public_access(&record)["outcome"], "not_public");
    assert!(public_access(&record)["address"].is_null());

    // On the wrong path the cause is told, and not that the path in use is open.
    world.nameservers(&[UNLINKED]);
    let record = world.expect(HOST, &with(&["--public-address", PUBLIC]), 1, "fail", "private_zone_not_seen");
    assert_eq!(public_access(&record)["outcome"], "in_use");
    assert!(record["findings"].as_array().unwrap().iter().all(|finding| finding["code"] != "public_access_open"));
}

#[test]
fn path_precheck_proves_endpoint_before_dns() {
    let world = World::new();
    let endpoint = ["--endpoint", PRIVATE, "--connect", PRIVATE];
    let summary = |record: &Value, at: usize| record["findings"][at]["summary"].as_str().unwrap().to_owned();

    // DNS is still public, then private, then says nothing at all.
    world.nameservers(&[UNLINKED]);
    let record = world.expect(HOST, &endpoint, 0, "warn", "private_zone_not_seen");
    assert_eq!(
        summary(&record, 0),
        format!("DNS has not moved: {HOST} still leads to {PUBLIC} (public), not to {PRIVATE}")
    );
    assert_eq!(record["connection"]["ping"]["reply"], "noauth");
    let strict = [&endpoint[..], &["--strict"]].concat();
    assert_eq!(world.check(HOST, &strict).0.status.code(), Some(1));
    // The certificate of the tests is for the one name alone.
    let named = [&endpoint[..], &["--server-name", HOST]].concat();
    let warned = world.expect("public.redis.cache.windows.net", &named, 0, "warn", "no_private_endpoint");
    assert!(summary(&warned, 0).starts_with("DNS has not moved"), "{warned:#}");
    let warned = world.expect("gone.redis.cache.windows.net", &named, 0, "warn", "name_not_found");
    assert!(summary(&warned, 0).contains("leads to no address"), "{warned:#}");
    world.nameservers(&["127.0.0.99"]);
    world.expect(HOST, &endpoint, 0, "warn", "dns_unreachable");
    world.nameservers(&[LINKED]);
    world.expect(HOST, &endpoint, 0, "pass", "healthy");

    // The endpoint itself decides: nothing listens there, or it is another one than is expected.
    world.nameservers(&[UNLINKED]);
    let record = world.expect(HOST, &["--connect", SHUT[1]], 1, "fail", "connect_refused");
    assert!(record["findings"].as_array().unwrap().iter().any(|finding| finding["code"] == "private_zone_not_seen"));
    world.nameservers(&[LINKED]);
    let record = world.expect(HOST, &["--connect", SHUT[1]], 1, "fail", "connect_refused");
    assert!(summary(&record, 1).contains(&format!("still leads to {PRIVATE} (private), not to {}", SHUT[1])));
    let record = world.expect(HOST, &["--endpoint", PRIVATE, "--connect", PUBLIC], 1, "fail", "unexpected_address");
    assert_eq!(record["connection"]["ping"]["reply"], "noauth", "it is looked at all the same");

    // And a person reads at the top what was checked.
    let output = world
        .namespace
        .command(env!("CARGO_BIN_EXE_redpath"))
        .args(["check", HOST, "--ca-file", world.certificates.ca_file().to_str().unwrap()])
        .args(endpoint)
        .output()
        .expect("redpath runs in the namespace");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let second = text.lines().nth(1).unwrap_or_default();
    assert!(second.contains(&format!("pre-check by address: connected to {PRIVATE} as given")), "{text}");
}

#[test]
fn path_given_address_credentials_if_expected() {
    let world = World::new();
    let key = world.namespace.folder().join("key");
    std::fs::write(&key, KEY).expect("a file");
    let key = key.to_str().unwrap();
    let flags = |connect| ["--password-file", key, "--endpoint", PRIVATE, "--connect", connect];
    let record = world.expect(HOST, &flags(PRIVATE), 0, "pass", "healthy");
    assert_eq!(record["phases"]["auth"]["outcome"], "done");
    assert_eq!(record["phases"]["posture"]["auth_enforced"], true);
    let record = world.expect(HOST, &flags(PUBLIC), 1, "fail", "unexpected_address");
    assert_eq!(record["phases"]["auth"]["reason"], "withheld_unexpected_address");
    assert_eq!(record["phases"]["posture"]["reason"], "withheld_unexpected_address");
}
