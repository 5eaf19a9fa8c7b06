//! Where credentials go, by servers that write down every byte they receive: over verified TLS to an expected address,
//! and nowhere else; and that no word of a server leads the probe to another address.

mod keys;
mod recorder;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use redpath::address::parse_range;
use redpath::observation::redis::PingReply;
use redpath::observation::{Observation, Phase, SkipReason};
use redpath::plan::{Auth, PasswordSource, Plan, Resolver, ViewSelection};
use redpath::probe::Prober;
use redpath::probe::budget::{Budget, Interrupt};
use redpath::probe::connection::{ConnectionOutcome, Connector};
use redpath::secret::Secret;
use redpath::target::{HostName, Target};

use self::recorder::Recorder;
use crate::support::certificates::{Certificates, Leaf, NAME};
use crate::support::dns::DnsServer;
use crate::support::fake_redis::{Answer, Event, FakeRedis, requiring};
use crate::support::zone::Zone;

/// A password that must reach the one server alone.
const CANARY: &str = "canary-Tw5-hunter2";

/// The address that is expected, and another on which another's cache is.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 10));
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11));

/// A plan with the password that expects [`HERE`], and asks no name server.
fn plan(certificates: &Certificates, port: u16) -> Plan {
    let mut plan = Plan::new(Target::new(HostName::parse(NAME).expect("a host name"), Some(port), true));
    plan.ca_file = Some(certificates.ca_file());
    plan.connect = Some(HERE);
    plan.views = ViewSelection::Only(Vec::new());
    plan.expectation.endpoints = vec![parse_range("127.0.0.10").expect("an address")];
    let source = PasswordSource::Given(Arc::new(Secret::new(CANARY.to_owned())));
    plan.auth = Auth::Password { username: Some("default".to_owned()), source };
    plan
}

async fn probe(plan: &Plan) -> Observation {
    let (_handle, interrupt) = Interrupt::new();
    Prober::new().probe(plan, &interrupt).await
}

/// A Redis over TLS that demands the password.
fn honest(certificates: &Certificates, leaf: Leaf, ip: IpAddr, port: u16) -> FakeRedis {
    let tls = certificates.leaf(leaf).server_config();
    FakeRedis::start(SocketAddr::new(ip, port), Some(tls), requiring(CANARY)).expect("a free port")
}

/// What a server that speaks TLS was told, each command as one text.
fn told(server: &FakeRedis) -> Vec<String> {
    server.connections().into_iter().flat_map(|connection| connection.commands).map(|words| words.join(" ")).collect()
}

#[tokio::test]
async fn password_goes_to_right_server_only() {
    let certificates = Certificates::new();
    let right = honest(&certificates, Leaf::Good, HERE, 0);
    let observation = probe(&plan(&certificates, right.address().port())).await;
    assert!(observation.phases.connection.auth.is_done());
    assert_eq!(told(&right)[..2], [format!("AUTH default {CANARY}"), "PING".to_owned()]);
}

#[tokio::test]
async fn password_waits_for_agreeing_resolvers() {
    let certificates = Certificates::new();
    for (other, sent) in [(HERE, true), (ELSEWHERE, false)] {
        let server = honest(&certificates, Leaf::Good, HERE, 0);
        let servers = [HERE, other].map(|ip| DnsServer::start(Zone::healthy(NAME, ip).script()));
        let mut plan = plan(&certificates, server.address().port());
        plan.connect = None;
        plan.expectation.endpoints.clear();
        plan.expectation.private_ranges = vec![parse_range("127.0.0.0/8").expect("a range")];
        plan.resolvers = ["in-use", "reference"]
            .into_iter()
            .zip(&servers)
            .map(|(name, server)| Resolver { name: name.to_owned(), address: server.address() })
            .collect();
        plan.views = ViewSelection::Only(vec!["in-use".to_owned(), "reference".to_owned()]);
        let observation = probe(&plan).await;
        let auth = &observation.phases.connection.auth;
        assert_eq!(auth.is_done(), sent, "{auth:?}");
        assert_eq!(told(&server).iter().any(|command| command.contains(CANARY)), sent, "{other}");
        let withheld = Phase::Skipped { reason: SkipReason::WithheldResolverDisagreement };
        assert_eq!(*auth == withheld, !sent, "{auth:?}");
        assert!(observation.connection.is_some_and(|connection| connection.ping.is_some()), "{other}");
    }
}

#[tokio::test]
async fn password_waits_for_verified_certificate() {
    let certificates = Certificates::new();
    for leaf in [
        Leaf::WrongName,
        Leaf::Expired,
        Leaf::NotYetValid,
        Leaf::WrongNameAndExpired,
        Leaf::Untrusted,
        Leaf::Impostor,
        Leaf::SelfSigned,
        Leaf::AllWrong,
    ] {
        let server = honest(&certificates, leaf, HERE, 0);
        let observation = probe(&plan(&certificates, server.address().port())).await;
        assert!(observation.phases.connection.tls.failure().is_some(), "{leaf:?}");
        assert!(server.connections().iter().all(|connection| !connection.handshake_completed), "{leaf:?}");
        assert_eq!(server.received(), b"", "{leaf:?}");
    }
    // Without any of the file's anchors the platform's are not taken in their place.
    let server = honest(&certificates, Leaf::Good, HERE, 0);
    let mut plan = plan(&certificates, server.address().port());
    plan.ca_file = Some("/nonexistent/ca.pem".into());
    probe(&plan).await;
    assert_eq!(server.connections().iter().filter(|connection| connection.handshake_completed).count(), 0);
}

#[tokio::test]
async fn password_is_not_sent_without_tls() {
    let certificates = Certificates::new();
    // Where TLS is expected: a Redis, a web server, one that takes the hello and asks in plain text.
    for says in ["-NOAUTH Authentication required.\r\n", "+OK\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "$-1\r\n", ""] {
        let server = Recorder::start(HERE, says);
        let observation = probe(&plan(&certificates, server.address().port())).await;
        assert!(observation.phases.connection.tls.failure().is_some(), "{says}");
        server.heard_no(CANARY);
    }
    // Where the target is declared plain, too: everybody on the way could read it.
    let server = FakeRedis::start(SocketAddr::new(HERE, 0), None, requiring(CANARY)).expect("a free port");
    let mut plain = plan(&certificates, server.address().port());
    plain.target.tls = false;
    let observation = probe(&plain).await;
    assert_eq!(observation.phases.connection.auth, Phase::Skipped { reason: SkipReason::Plaintext });
    let reply = observation.connection.and_then(|connection| connection.ping).map(|ping| ping.reply);
    assert_eq!(reply, Some(PingReply::Noauth), "the path is looked at all the same");
    assert_eq!(told(&server), ["PING", "QUIT"]);
}

#[tokio::test]
async fn password_withheld_at_unexpected_address() {
    let certificates = Certificates::new();
    let anothers = honest(&certificates, Leaf::Wildcard, ELSEWHERE, 0);
    let port = anothers.address().port();
    let mut to_another = plan(&certificates, port);
    to_another.connect = Some(ELSEWHERE);
    let observation = probe(&to_another).await;
    let phases = &observation.phases.connection;
    assert!(phases.tls.is_done(), "the certificate covers the name");
    assert_eq!(phases.auth, Phase::Skipped { reason: SkipReason::WithheldUnexpectedAddress });
    assert_eq!(told(&anothers), ["PING", "QUIT"]);

    // Nor where the expected address refuses and the name's next one takes its turn, or every one is connected to.
    let (_handle, interrupt) = Interrupt::new();
    let plan = Plan { connect: None, ..plan(&certificates, port) };
    let budget = Budget::new(plan.timeout, interrupt);
    let ConnectionOutcome { phases, connection, .. } =
        Connector::new().connect(&plan, &[HERE, ELSEWHERE], &budget).await;
    assert_eq!((connection.earlier_attempts.len(), connection.address.ip()), (1, ELSEWHERE));
    assert_eq!(phases.auth, Phase::Skipped { reason: SkipReason::WithheldUnexpectedAddress });
    let expected = honest(&certificates, Leaf::Wildcard, HERE, port);
    for address in [HERE, ELSEWHERE] {
        Connector::new().connect(&plan, &[address], &budget).await;
    }
    assert_eq!(told(&anothers), ["PING", "QUIT"].repeat(3));
    assert_eq!(told(&expected)[0], format!("AUTH default {CANARY}"), "the same certificate, at the right address");
}

#[tokio::test]
async fn redirection_is_reported_not_followed() {
    let certificates = Certificates::new();
    let elsewhere = Recorder::start(ELSEWHERE, "");
    let (outside, port) = (elsewhere.address(), elsewhere.address().port());
    let redirections = [
        format!("-MOVED 3999 {outside}"),
        format!("-ASK 3999 {outside}"),
        format!("-MOVED 3999 evil.example.net:{port}"),
        format!("-MOVED 3999 :{port}"),
        "-MOVED 3999 169.254.169.254:80".to_owned(),
        format!("-REDIRECT {outside}"),
    ];
    for redirection in redirections {
        for at in ["AUTH", "PING", "CLUSTER"] {
            let tls = certificates.leaf(Leaf::Good).server_config();
            let line = redirection.clone();
            let script = move |event: Event<'_>| match event {
                Event::Connected => Answer::Send(Vec::new()),
                Event::Command { words, .. } if words[0] == at => Answer::line(&line),
                Event::Command { words, .. } if words[0] == "AUTH" => Answer::Authenticated,
                Event::Command { .. } => Answer::line("+PONG"),
            };
            let server = FakeRedis::start(SocketAddr::new(HERE, 0), Some(tls), script).expect("a free port");
            let observation = probe(&plan(&certificates, server.address().port())).await;
            let phases = &observation.phases;
            let failed = match at {
                "AUTH" => phases.connection.auth.failure().is_some(),
                "PING" => phases.connection.ping.failure().is_some(),
                _ => phases.cluster.as_ref().is_some_and(|cluster| !cluster.is_done()),
            };
            assert!(failed, "{redirection} at {at}: {phases:?}");
            // Nobody else is connected to, and a second connection to the server is posture's, without a password.
            assert_eq!(elsewhere.connections(), 0, "{redirection} at {at}");
            let logins = told(&server).iter().filter(|command| command.starts_with("AUTH")).count();
            assert_eq!(logins, 1, "{redirection} at {at}");
        }
    }
}

#[tokio::test]
async fn unexpected_node_gets_no_credentials() {
    let certificates = Certificates::new();
    // A node at the expected address, and what else is announced beside it.
    let node = honest(&certificates, Leaf::Good, HERE, 0);
    let anothers = honest(&certificates, Leaf::Wildcard, ELSEWHERE, 0);
    let (own, other) = (node.address().port(), anothers.address().port());
    let nodes = [("127.0.0.10", own), ("127.0.0.11", other), ("::ffff:127.0.0.11", other), ("169.254.169.254", 80)];
    let names = [("evil.example.net", other), ("localhost", other), ("", other + 1), ("?", 15_001)];
    let announced: Vec<(&str, u16)> = nodes.into_iter().chain(names).collect();
    for newer in [true, false] {
        let (shards, slots) = (recorder::shards(&announced), recorder::slots(&announced));
        let tls = certificates.leaf(Leaf::Good).server_config();
        let script = move |event: Event<'_>| match event {
            Event::Connected => Answer::Send(Vec::new()),
            Event::Command { words, .. } if words[0] == "CLUSTER" && words[1] == "SHARDS" => match newer {
                true => Answer::Send(shards.clone().into_bytes()),
                false => Answer::line("-ERR unknown subcommand 'SHARDS'. Try CLUSTER HELP."),
            },
            Event::Command { words, .. } if words[0] == "CLUSTER" => Answer::Send(slots.clone().into_bytes()),
            Event::Command { words, .. } if words[0] == "AUTH" => Answer::Authenticated,
            Event::Command { .. } => Answer::line("+PONG"),
        };
        let main = FakeRedis::start(SocketAddr::new(HERE, 0), Some(tls), script).expect("a free port");
        let observation = probe(&plan(&certificates, main.address().port())).await;
        let cluster = observation.cluster.as_ref().unwrap_or_else(|| panic!("no facts: {:?}", observation.phases));
        assert!(cluster.nodes.len() >= 6, "{cluster:#?}");
        assert_eq!(anothers.connections().len(), 0, "a node elsewhere was connected to");
    }
    let logins = told(&node).iter().filter(|command| **command == format!("AUTH default {CANARY}")).count();
    assert_eq!(logins, 2, "the node at the expected address is given it, once by each command");
}
