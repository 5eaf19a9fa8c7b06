//! `check --from-az`, `config from-az` and `expect_from`, as a person types them.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use redpath::cli::ExitCode;
use redpath::commands::config::from_az;
use redpath::config;
use serde_json::Value as Json;

use super::fixture;
use crate::schema::assert_valid;
use crate::support::dns::{DnsServer, closed_port};
use crate::support::zone::Zone;

const HOST: &str = "cache1.redis.cache.windows.net";
const ENDPOINT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 10));

/// A fixture with the endpoint on loopback, at a port where nothing listens.
fn on_loopback(name: &str, port: u16) -> PathBuf {
    let text = fs::read_to_string(fixture(name)).expect("a fixture");
    let text =
        text.replace("10.60.4.5", &ENDPOINT.to_string()).replace("\"sslPort\": 6380", &format!("\"sslPort\": {port}"));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("az-{port}-{name}.json"));
    fs::write(&path, text).expect("a file");
    path
}

fn check(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redpath"));
    for name in ["REDPATH_USERNAME", "REDPATH_PASSWORD", "REDISCLI_AUTH"] {
        command.env_remove(name);
    }
    command.arg("check").args(arguments).stdin(Stdio::null()).output().expect("the binary starts")
}

#[test]
fn check_fills_in_from_az() {
    let server = DnsServer::start(Zone::healthy(HOST, ENDPOINT).script());
    let resolver = format!("lab={}", server.address());
    let port = closed_port(ENDPOINT).port();
    let cache = on_loopback("redis-show.cli", port);
    let pending = on_loopback("private-endpoint-show-pending.arm", port);
    let looks = ["--resolver", &resolver, "--views", "lab", "--output", "json", "--from-az"];
    let files = [cache.to_str().expect("UTF-8"), pending.to_str().expect("UTF-8")];
    // Without a target the files name it.
    for targets in [&[HOST][..], &[]] {
        let output = check(&[targets, &looks, &files[1..], &files[..1]].concat());
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!((output.status.code(), err.as_ref()), (Some(1), ""), "{out}");
        let document: Json = serde_json::from_str(&out).expect("one document");
        assert_valid("report.v1.json", &document);
        let record = &document["records"][0];
        assert_eq!((&record["target"]["host"], &record["target"]["port"]), (&Json::from(HOST), &Json::from(port)));
        assert_eq!(record["expectation"]["endpoints"], serde_json::json!(["127.0.0.10/32"]));
        assert_eq!(record["expectation"]["az"]["endpoints"][0]["status"], "pending");
        assert_eq!(record["expectation"]["az"]["cache"]["minimum_tls_version"], "1.2");
        // The cache's own list says that the connection is approved, so one of the two is older.
        assert_eq!(record["verdict"]["cause"], "connect_refused");
        assert!(out.contains("of pe-cache1 is Pending, and by"), "{out}");
        assert!(!out.contains("canary"), "{out}");
    }
    let target = format!("{HOST}:{port}");
    let output = check(&[&[target.as_str()], &looks[..], &files[1..]].concat());
    let document: Json = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!(document["verdict"]["cause"], "endpoint_not_approved", "{document:#}");
}

#[test]
fn check_given_port_wins_over_az() {
    let server = DnsServer::start(Zone::healthy(HOST, ENDPOINT).script());
    let resolver = format!("lab={}", server.address());
    let port = closed_port(ENDPOINT).port();
    let given = closed_port(ENDPOINT).port();
    let cache = on_loopback("redis-show.cli", port);
    let target = format!("{HOST}:{given}");
    let output = check(&[
        &target,
        "--resolver",
        &resolver,
        "--views",
        "lab",
        "--endpoint",
        "127.0.0.0/8",
        "--from-az",
        cache.to_str().expect("UTF-8"),
    ]);
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(given == port || out.contains(&format!("the port in use is {given}")), "{out}");
}

#[test]
fn check_unreadable_az_file_is_one_sentence() {
    let manifest = format!("{}/Cargo.toml", env!("CARGO_MANIFEST_DIR"));
    let zones = fixture("private-dns-zone-list-linked.cli");
    let zones = zones.to_str().expect("UTF-8");
    for (arguments, says) in [
        (
            &[HOST, "--from-az", "/nonexistent.json"][..],
            "/nonexistent.json: there is no such file (every word behind --from-az is one",
        ),
        (&[HOST, "--from-az", &manifest], "Cargo.toml: line 1, column 2: it is no JSON"),
        (&[HOST, "--from-az", env!("CARGO_MANIFEST_DIR")], "it is a directory"),
        (&["--from-az", zones], "name no host: a TARGET"),
        (&[HOST, "--from-az"], "--from-az"),
    ] {
        let output = check(arguments);
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), err.lines().count()), (Some(2), 1), "{arguments:?}: {err}");
        assert!(err.starts_with("redpath: ") && err.contains(says), "{arguments:?}: {err}");
    }
}

#[test]
fn config_from_az_output_loads() {
    let names = [
        "redis-show.cli",
        "private-endpoint-list.arm",
        "redisenterprise-show-managed.cli",
        "redisenterprise-show-enterprise.arm",
        "database-list-enterprise.arm",
        "dns-zone-group-list.arm",
    ];
    let (code, out, err) = written(&names.map(fixture));
    assert_eq!((code, err.as_str()), (ExitCode::Pass, ""));
    let config = config::parse(&out).unwrap_or_else(|error| panic!("{error}\n{out}"));
    let targets: Vec<(String, u16, String, bool)> = config
        .targets
        .iter()
        .map(|target| {
            let plan = &target.plan;
            let endpoints = plan.expectation.endpoints.iter().map(|range| range.addr().to_string());
            (plan.target.host.to_string(), plan.target.port, endpoints.collect::<Vec<_>>().join(","), plan.target.tls)
        })
        .collect();
    let target = |host: &str, port, endpoint: &str| (host.to_owned(), port, endpoint.to_owned(), true);
    assert_eq!(
        targets,
        [
            target(HOST, 6380, "10.60.4.5"),
            target("amr1.westeurope.redis.azure.net", 10_000, "10.60.4.7"),
            target("ent1.westeurope.redisenterprise.cache.azure.net", 10_000, "10.60.4.8"),
        ]
    );
    assert_eq!(config.targets[0].plan.target.name, "cache1");
    assert!(out.contains("# cache1.redis.cache.windows.net: the oldest version of TLS that it takes is 1.2"), "{out}");
    assert!(out.contains("access keys are disabled") && out.contains("OSSCluster"), "{out}");
    assert!(!out.contains("canary"), "{out}");
}

#[test]
fn config_from_az_without_tls_or_resources() {
    let (_, out, _) = written(&[fixture("redisenterprise-show-managed.cli")]);
    assert!(config::parse(&out).is_ok_and(|config| config.targets[0].plan.expectation.endpoints.is_empty()), "{out}");
    assert!(out.contains("no file gives the private endpoint's address"), "{out}");
    let text = fs::read_to_string(fixture("redisenterprise-show-managed.cli")).expect("a fixture");
    let plain = Path::new(env!("CARGO_TARGET_TMPDIR")).join("az-plain.json");
    fs::write(&plain, text.replace("\"Encrypted\"", "\"Plaintext\"")).expect("a file");
    let (_, out, _) = written(&[plain]);
    let config = config::parse(&out).unwrap_or_else(|error| panic!("{error}\n{out}"));
    assert_eq!((config.targets[0].plan.target.tls, config.targets[0].plan.target.port), (false, 10_000));

    for (file, says) in
        [("empty-list.cli", "the files name no host"), ("no-such", "no-such.json: there is no such file")]
    {
        let (code, out, err) = written(&[fixture(file)]);
        assert_eq!((code, out.as_str(), err.lines().count()), (ExitCode::Usage, "", 1));
        assert!(err.starts_with("redpath: ") && err.contains(says), "{err}");
    }
}

#[test]
fn expect_from_fills_in_configuration() {
    let config =
        config::load(Path::new("tests/configs/valid/expect-from.yaml")).unwrap_or_else(|error| panic!("{error}"));
    let [classic, managed, without] = [0, 1, 2].map(|index| &config.targets[index]);
    assert_eq!(classic.plan.expectation.endpoints, ["10.60.4.5/32".parse().expect("a range")]);
    assert!(classic.plan.expectation.az.as_ref().is_some_and(|az| az.cache.is_some() && az.endpoints.len() == 1));
    assert_eq!(managed.plan.expectation.endpoints, ["10.60.4.0/24".parse().expect("a range")], "what is given stays");
    assert_eq!((classic.expect_from.len(), without.expect_from.len()), (2, 0));
    assert!(without.plan.expectation.az.is_none());
}

#[test]
fn reload_rereads_az_files() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (file, yaml) = (folder.join("az-reload.json"), folder.join("az-reload.yaml"));
    let text = fs::read_to_string(fixture("private-endpoint-show-approved.cli")).expect("a fixture");
    fs::write(&yaml, format!("targets: [{{host: {HOST}, expect_from: [{}]}}]\n", file.display())).expect("a file");
    fs::write(&file, &text).expect("a file");
    let before = config::load(&yaml).unwrap_or_else(|error| panic!("{error}"));
    fs::write(&file, text.replace("10.60.4.5", "10.60.4.6")).expect("a file");
    let after = config::load(&yaml).unwrap_or_else(|error| panic!("{error}"));
    assert!(before.targets[0] != after.targets[0], "a changed file makes another target of it");
    assert_eq!(after.targets[0].plan.expectation.endpoints, ["10.60.4.6/32".parse().expect("a range")]);
    fs::write(&file, "{").expect("a file");
    let error = config::load(&yaml).err().expect("a refusal").to_string();
    assert!(
        error.contains("az-reload.yaml:1: targets[0].expect_from[0]: ") && error.contains("ends in the middle"),
        "{error}"
    );
}

fn written(files: &[PathBuf]) -> (ExitCode, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = from_az(files, &mut out, &mut err).expect("memory takes it");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (code, text(out), text(err))
}
