//! A migration as a pair: both names probed by `redpath check NEW --old OLD`, against servers on loopback.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Command, Output};

use serde_json::Value;

use crate::schema::assert_valid;
use crate::support::certificates::{Certificates, Directory, Leaf};
use crate::support::dns::DnsServer;
use crate::support::fake_redis::{Answer, Event, FakeRedis, requiring};
use crate::support::zone::Zone;

const OLD: &str = "cache1.redis.cache.windows.net";
const NEW: &str = "amr1.westeurope.redis.azure.net";
const OLD_ENDPOINT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 10);
const NEW_ENDPOINT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 30);
const PASSWORD: &str = "canary-Kp7-hunter2";

/// Both caches, and the name server of a network that both zones are linked to.
struct Pair {
    certificates: Certificates,
    old: FakeRedis,
    new: FakeRedis,
    dns: DnsServer,
    directory: Directory,
}

fn pair() -> Pair {
    let certificates = Certificates::new();
    let tls = |leaf| Some(certificates.leaf(leaf).server_config());
    let others = requiring(PASSWORD);
    let script = move |event: Event<'_>| match event {
        Event::Command { words, authenticated: true } if words[0] == "INFO" => {
            let text = "# Server\r\nredis_version:7.4.2\r\nredis_mode:standalone\r\n";
            Answer::Send(format!("${}\r\n{text}\r\n", text.len()).into_bytes())
        }
        event => others(event),
    };
    let at = |ip| SocketAddr::new(IpAddr::V4(ip), 0);
    let old = FakeRedis::start(at(OLD_ENDPOINT), tls(Leaf::Wildcard), requiring("another")).expect("a free port");
    let new = FakeRedis::start(at(NEW_ENDPOINT), tls(Leaf::ManagedRedis), script).expect("a free port");
    let zone = Zone::new()
        .cname(OLD, 120, "cache1.privatelink.redis.cache.windows.net")
        .address("cache1.privatelink.redis.cache.windows.net", 10, OLD_ENDPOINT)
        .cname(NEW, 120, "amr1.westeurope.privatelink.redis.azure.net")
        .address("amr1.westeurope.privatelink.redis.azure.net", 10, NEW_ENDPOINT);
    Pair { certificates, old, new, dns: DnsServer::start(zone.script()), directory: Directory::new("migration") }
}

impl Pair {
    fn check(&self, arguments: &[&str]) -> Output {
        let password = self.directory.path().join("password");
        std::fs::write(&password, PASSWORD).expect("a temporary file");
        Command::new(env!("CARGO_BIN_EXE_redpath"))
            .args(["check", &format!("{NEW}:{}", self.new.address().port())])
            .args(["--old", &format!("{OLD}:{}", self.old.address().port())])
            .args(["--views", "lab", "--resolver", &format!("lab={}", self.dns.address())])
            .args(["--private-range", "127.0.0.0/8", "--no-azure-dns", "--require-auth", "off"])
            .args(["--ca-file".as_ref(), self.certificates.ca_file().as_os_str()])
            .args(["--password-file".as_ref(), password.as_os_str()])
            .args(arguments)
            .output()
            .expect("the binary starts")
    }

    fn record(&self, arguments: &[&str]) -> Value {
        let output = self.check(&[arguments, &["--output", "json"]].concat());
        let mut document: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        assert_valid("report.v1.json", &document);
        assert!(!document.to_string().contains("canary"), "the password is in the record");
        document["records"][0].take()
    }
}

#[test]
fn pair_of_names_is_compared() {
    let pair = pair();
    let record = pair.record(&["--application", "on"]);
    assert_eq!(record["verdict"]["status"], "pass", "{:#}", record["findings"]);
    let migration = &record["migration"];
    assert_eq!(migration["new"]["behind"]["certainty"], "shown", "{migration:#}");
    assert_eq!(migration["new"]["behind"]["service"], "azure_managed_redis");
    assert_eq!(migration["old"]["behind"]["certainty"], "likely");
    assert_eq!(migration["old"]["path_expected"], true);
    assert_eq!(record["connection"]["server_info"]["redis_version"], "7.4.2");
    let state = |aspect: &str| {
        let differences = migration["differences"].as_array().expect("a list");
        let found = differences.iter().find(|difference| difference["aspect"] == aspect).expect("the aspect");
        found["state"].as_str().expect("a state").to_owned()
    };
    assert_eq!((state("zone").as_str(), state("group_id").as_str()), ("differs", "differs"));
    assert_eq!((state("redis_version").as_str(), state("cluster_policy").as_str()), ("unknown", "unknown"));
    assert_eq!(migration["old_use"]["connections_here"], 0);
    let sent = String::from_utf8_lossy(&pair.old.received()).into_owned();
    assert!(!sent.contains("AUTH"), "the new name's password is not the old one's: {sent}");
}

#[test]
fn pair_connection_to_old_name_is_told() {
    let pair = pair();
    let _connection = TcpStream::connect(pair.old.address()).expect("a connection of an application");
    let record = pair.record(&[]);
    assert_eq!(record["verdict"]["cause"], "old_name_still_used", "{:#}", record["findings"]);
    assert_eq!(record["migration"]["old_use"]["connections_here"], 1);
    let text = pair.check(&["--color", "never"]);
    assert_eq!(text.status.code(), Some(0), "a warning");
    let text = String::from_utf8(text.stdout).expect("UTF-8");
    for part in ["old_name_still_used", "behind it Azure Managed Redis", "redpath clients cache1", "1. "] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let markdown = String::from_utf8(pair.check(&["--output", "markdown"]).stdout).expect("UTF-8");
    assert!(markdown.contains("- Migration: old cache1") && markdown.contains("- Left to do: 1. "), "{markdown}");
}

#[test]
fn old_name_with_wrong_value_is_refused() {
    for (old, says) in [
        ("cache1.redis.cache.windows.net:6380,ssl=True", "HOST or HOST:PORT"),
        ("rediss://cache1.redis.cache.windows.net", "HOST or HOST:PORT"),
        ("10.60.4.5", "it is an address"),
        ("amr1.westeurope.redis.azure.net", "the TARGET itself"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_redpath")).args(["check", NEW, "--old", old]).output();
        let output = output.expect("the binary starts");
        let error = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{old}: {error}");
        assert!(error.contains(says) && error.trim_end().lines().count() == 1, "{old}: {error}");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_redpath")).args(["check", NEW, OLD, "--old", OLD]).output();
    let error = String::from_utf8(output.expect("the binary starts").stderr).expect("UTF-8");
    assert!(error.contains("one TARGET"), "{error}");
}
