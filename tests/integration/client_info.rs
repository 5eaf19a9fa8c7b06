//! The address under which a server sees the probe, by real servers and by hostile replies.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
#[cfg(feature = "system-tests")]
use std::process::Output;
use std::sync::Arc;

use redpath::address::parse_range;
use redpath::observation::Observation;
use redpath::observation::client_info::{ServerSees, Via};
use redpath::plan::{Auth, PasswordSource, Plan, ViewSelection};
use redpath::probe::Prober;
use redpath::probe::budget::Interrupt;
use redpath::secret::Secret;
use redpath::target::{HostName, Target};
#[cfg(feature = "system-tests")]
use serde_json::Value;

use crate::support::certificates::{Certificates, Leaf, NAME};
use crate::support::fake_redis::{Answer, Event, FakeRedis, requiring};
#[cfg(feature = "system-tests")]
use crate::support::{namespace::Namespace, redis::Redis};

const CANARY: &str = "canary-Wn3-hunter2";

/// The address under which the server sees a client that is translated on the way.
#[cfg(feature = "system-tests")]
const SEEN: &str = "fd40:1481:21:dbe0:7021:300:a03:1a06";

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn plan(certificates: &Certificates, port: u16, username: &str) -> Plan {
    let mut plan = Plan::new(Target::new(HostName::parse(NAME).expect("a host name"), Some(port), true));
    plan.ca_file = Some(certificates.ca_file());
    plan.connect = Some(HERE);
    plan.views = ViewSelection::Only(Vec::new());
    plan.expectation.private_ranges = vec![parse_range("127.0.0.0/8").expect("a range")];
    let source = PasswordSource::Given(Arc::new(Secret::new(CANARY.to_owned())));
    plan.auth = Auth::Password { username: Some(username.to_owned()), source };
    plan
}

async fn probe(plan: &Plan) -> Observation {
    let (_handle, interrupt) = Interrupt::new();
    let observation = Prober::new().probe(plan, &interrupt).await;
    assert!(observation.phases.connection.ping.is_done(), "{:?}", observation.phases);
    observation
}

/// What the probe records of a server that replies so to `CLIENT INFO`.
async fn seen_by(certificates: &Certificates, reply: &str) -> ServerSees {
    let (others, reply) = (requiring(CANARY), reply.to_owned());
    let script = move |event: Event<'_>| match event {
        Event::Command { words, authenticated: true } if words[0] == "CLIENT" => Answer::Send(reply.clone().into()),
        event => others(event),
    };
    let tls = certificates.leaf(Leaf::Good).server_config();
    let server = FakeRedis::start(SocketAddr::new(HERE, 0), Some(tls), script).expect("a free port");
    let observation = probe(&plan(certificates, server.address().port(), "default")).await;
    let json = serde_json::to_string(&observation).expect("it serializes");
    assert!(!json.contains("canary"), "the password is in {json}");
    observation.connection.and_then(|connection| connection.server_sees).expect("it was asked")
}

fn bulk(line: &str) -> String {
    format!("${}\r\n{line}\r\n", line.len())
}

#[tokio::test]
async fn client_info_private_link_in_both_spellings() {
    let certificates = Certificates::new();
    for address in ["fd40:1481:21:dbe0:7021:300:a03:1a06:44426", "[fd40:1481:21:dbe0:7021:300:a03:1a06]:55949"] {
        let seen = seen_by(&certificates, &bulk(&format!("id=3 addr={address} fd=8 name= user=default\n"))).await;
        assert_eq!((seen.via, seen.agrees), (Via::PrivateLink, Some(true)));
        assert_eq!(seen.client_address, Some(Ipv4Addr::new(10, 3, 26, 6)));
    }
    let seen = seen_by(&certificates, &bulk("id=3 addr=20.1.2.3:44426 fd=8")).await;
    assert_eq!((seen.via, seen.agrees, seen.client_address), (Via::Address, Some(false), None));
}

#[tokio::test]
async fn client_info_hostile_replies_are_unknown() {
    let certificates = Certificates::new();
    let long = bulk(&"x".repeat(100_000));
    let replies = [
        "-ERR Unknown subcommand or wrong number of arguments for 'INFO'. Try CLIENT HELP.\r\n",
        "-NOPERM this user has no permissions to run the 'client|info' command\r\n",
        "-ERR canary-Wn3-hunter2\r\n",
        ":3\r\n",
        "*1\r\n$1\r\nx\r\n",
        "$-1\r\n",
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        &bulk("addr=canary-Wn3-hunter2:1"),
        &bulk("addr=[::1:5 addr=x"),
        &long,
    ];
    for reply in replies {
        let seen = seen_by(&certificates, reply).await;
        assert_eq!((seen.via, seen.address, seen.agrees), (Via::Unknown, None, None), "{reply}");
        assert!(seen.failure.is_some(), "{reply}");
    }
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn client_info_narrow_user_sees_own_address() {
    let certificates = Certificates::new();
    let password = format!(">{CANARY}");
    let users = ["--user", "own-line", "on", &password, "+ping", "+client|info"];
    let users = [users.as_slice(), &["--user", "narrow", "on", &password, "+ping"]].concat();
    let redis = Redis::tls(&certificates, &certificates.leaf(Leaf::Good), &users);
    let sees = async |user: &str| {
        let observation = probe(&plan(&certificates, redis.port, user)).await;
        observation.connection.and_then(|connection| connection.server_sees).expect("it was asked")
    };
    let seen = sees("own-line").await;
    assert_eq!((seen.via, seen.address, seen.failure), (Via::Address, Some(HERE), None));
    let seen = sees("narrow").await;
    assert!(seen.failure.is_some_and(|failure| failure.to_string().starts_with("NOPERM")));
    assert_eq!(redis.cli(&["INFO", "commandstats"]).matches("cmdstat_client|list").count(), 0, "no list is asked for");
}

/// Runs `redpath check` in the namespace.
#[cfg(feature = "system-tests")]
fn check(namespace: &Namespace, certificates: &Certificates, output: &str) -> Output {
    let mut command = namespace.command(env!("CARGO_BIN_EXE_redpath"));
    command.args(["check", &format!("{NAME}:6380"), "-v", "--views", "libc", "--output", output, "--ca-file"]);
    command.arg(certificates.ca_file()).env("REDPATH_PASSWORD", CANARY).output().expect("redpath runs")
}

#[cfg(feature = "system-tests")]
#[test]
fn client_info_agrees_behind_nat_to_private_link() {
    let mut namespace = Namespace::new(&["fd00::5/128", &format!("{SEEN}/128")]);
    namespace.hosts(&format!("fd00::5 {NAME}\n"));
    let certificates = Certificates::new();
    let files = certificates.leaf(Leaf::Good);
    let path = |path: &std::path::Path| path.to_str().expect("a UTF-8 path").to_owned();
    let (certificate, key, ca) = (path(&files.certificate), path(&files.key), path(&certificates.ca_file()));
    let arguments = [
        ["--port", "0", "--tls-port", "6380", "--bind", "fd00::5", "--save", "", "--requirepass", CANARY].as_slice(),
        &["--tls-cert-file", &certificate, "--tls-key-file", &key, "--tls-ca-cert-file", &ca],
        &["--tls-auth-clients", "no"],
    ];
    namespace.start("redis-server", &arguments.concat(), "[fd00::5]:6380".parse().expect("an address"));

    let plainly = check(&namespace, &certificates, "json");
    let report: Value = serde_json::from_slice(&plainly.stdout).expect("a report");
    let seen = &report["records"][0]["connection"]["server_sees"];
    assert_eq!((&seen["via"], &seen["address"]), (&"address".into(), &"fd00::5".into()), "{report:#}");

    let rules = format!(
        "add table ip6 nat; add chain ip6 nat out {{ type nat hook postrouting priority 100; }}; \
         add rule ip6 nat out ip6 daddr fd00::5 tcp dport 6380 snat to {SEEN}"
    );
    assert!(namespace.command("nft").arg(&rules).status().expect("nft runs").success());
    let text = check(&namespace, &certificates, "text");
    let text = String::from_utf8_lossy(&text.stdout).replace("\n          ", " ");
    let line = format!("sees {SEEN}, a private link from 10.3.26.6, not fd00::5");
    assert!(text.contains(&line) && text.contains("agrees with the path"), "{text}");
    let metrics = check(&namespace, &certificates, "prometheus");
    let metrics = String::from_utf8_lossy(&metrics.stdout).into_owned();
    assert!(
        metrics.lines().any(|line| line.contains("redpath_server_sees{") && line.ends_with("via=\"private_link\"} 1")),
        "{metrics}"
    );
    assert!(!text.contains(CANARY) && !metrics.contains(CANARY));
}
