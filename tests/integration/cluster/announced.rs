//! Announcements by a scripted server, in this process: what they may lead to, and how long that takes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use redpath::address::parse_range;
use redpath::clock::Timestamp;
use redpath::diagnosis::{Code, Severity, diagnose};
use redpath::observation::cluster::{ClusterFacts, NodeState, NotTried};
use redpath::observation::{ClusterFailure, Observation, Phase, PhaseName, RedisFailure, SkipReason, StoppedBy};
use redpath::plan::{Plan, ViewSelection};
use redpath::probe::Prober;
use redpath::probe::budget::Interrupt;
use redpath::target::{HostName, Target};

use crate::support::certificates::{Certificates, Leaf, NAME};
use crate::support::fake_redis::{Answer, Event, FakeRedis};

/// Where the server listens that is expected.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 10));
/// Another address, which is not.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11));
/// An address of another /24.
const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 1, 10));

/// A server that demands no password, answers `PING` as an honest one does, and `CLUSTER SHARDS` and `SLOTS` as said.
fn server(shards: impl Into<Vec<u8>>, slots: impl Into<Vec<u8>>) -> FakeRedis {
    let (shards, slots) = (shards.into(), slots.into());
    scripted(HERE, move |words| match words {
        ["CLUSTER", "SHARDS"] => Answer::Send(shards.clone()),
        ["CLUSTER", "SLOTS"] => Answer::Send(slots.clone()),
        _ => Answer::line("+PONG"),
    })
}

fn scripted(ip: IpAddr, answer: impl Fn(&[&str]) -> Answer + Send + Sync + 'static) -> FakeRedis {
    let script = move |event: Event<'_>| {
        let Event::Command { words, .. } = event else { return Answer::Send(Vec::new()) };
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["AUTH", ..] => Answer::Authenticated,
            ["QUIT"] => Answer::SendAndClose(b"+OK\r\n".to_vec()),
            words => answer(words),
        }
    };
    FakeRedis::start(SocketAddr::new(ip, 0), None, script).expect("a free port")
}

/// The reply of `CLUSTER SLOTS` that gives all slots to the first of these nodes, and has the others as its replicas.
fn slots(nodes: &[(&str, u16)]) -> String {
    let nodes: String =
        nodes.iter().map(|(host, port)| format!("*3\r\n${}\r\n{host}\r\n:{port}\r\n$1\r\nx\r\n", host.len())).collect();
    let count = nodes.matches("*3\r\n").count() + 2;
    format!("*1\r\n*{count}\r\n:0\r\n:16383\r\n{nodes}")
}

const NO_SHARDS: &str = "-ERR unknown subcommand 'SHARDS'. Try CLUSTER HELP.\r\n";

fn plan(server: &FakeRedis) -> Plan {
    let host = HostName::parse("localhost").expect("a host name");
    let mut plan = Plan::new(Target::new(host, Some(server.address().port()), false));
    plan.views = ViewSelection::Only(vec!["libc".to_owned()]);
    plan.connect = Some(HERE);
    plan.expectation.endpoints = vec![parse_range("127.0.0.10").expect("an address")];
    plan.expectation.require_auth = false;
    plan
}

async fn probe(plan: &Plan) -> Observation {
    let (_handle, interrupt) = Interrupt::new();
    Prober::new().probe(plan, &interrupt).await
}

fn facts(observation: &Observation) -> &ClusterFacts {
    observation.cluster.as_ref().unwrap_or_else(|| panic!("no facts: {:?}", observation.phases))
}

fn states(observation: &Observation) -> Vec<NodeState> {
    facts(observation).nodes.iter().map(|node| node.state).collect()
}

/// What is found in the cluster phase; that localhost is not the address given is no concern here.
fn findings(plan: &Plan, observation: &Observation) -> Vec<(Code, Severity)> {
    let diagnosis = diagnose(&plan.target, &plan.expectation, observation, Timestamp::now());
    let of_cluster = diagnosis.findings.iter().filter(|finding| finding.phase == PhaseName::Cluster);
    of_cluster.map(|finding| (finding.code, finding.severity)).collect()
}

#[tokio::test]
async fn cluster_shards_unknown_falls_back_to_slots() {
    let node = server("", "");
    let port = node.address().port();
    let main = server(NO_SHARDS, slots(&[("127.0.0.10", port), ("", port)]));
    let plan = plan(&main);
    let observation = probe(&plan).await;
    assert_eq!(states(&observation), [NodeState::Reachable; 2], "an empty host is the one that was asked");
    assert_eq!(facts(&observation).nodes[1].announced, format!(":{port}"));
    assert_eq!(facts(&observation).slots_uncovered, Some(0));
    assert!(observation.phases.cluster.as_ref().is_some_and(Phase::is_done));
    assert_eq!(main.connections()[0].commands.last().map(|command| command[0].clone()).as_deref(), Some("QUIT"));
    assert_eq!(findings(&plan, &observation), []);
}

#[tokio::test]
async fn cluster_disabled_asks_nothing_more() {
    for reply in ["-ERR This instance has cluster support disabled\r\n", "-ERR unknown command 'CLUSTER'\r\n"] {
        let main = server(reply, reply);
        let observation = probe(&plan(&main)).await;
        assert_eq!(observation.phases.cluster, Some(Phase::Skipped { reason: SkipReason::NotApplicable }), "{reply}");
        assert_eq!(findings(&plan(&main), &observation), [], "{reply}");
        assert_eq!(main.connections().len(), 1);
    }
}

#[tokio::test]
async fn cluster_keyless_with_auth_is_unknown() {
    let main = scripted(HERE, |_| Answer::line("-NOAUTH Authentication required."));
    let observation = probe(&plan(&main)).await;
    assert_eq!(observation.phases.cluster, Some(Phase::Skipped { reason: SkipReason::NoCredentials }));
    assert!(main.connections()[0].commands.iter().all(|command| command[0] != "CLUSTER"));
}

#[tokio::test]
async fn cluster_unexpected_node_is_not_contacted() {
    let other = scripted(ELSEWHERE, |_| Answer::line("+PONG"));
    let port = other.address().port();
    let metadata = ("169.254.169.254", 80);
    let main = server(NO_SHARDS, slots(&[("127.0.0.11", port), metadata, ("evil.example.net", 15_000), ("?", 15_001)]));
    let mut plan = plan(&main);
    let observation = probe(&plan).await;
    let (unexpected, not_tried) = (NodeState::UnexpectedAddress, NodeState::NotTried);
    assert_eq!(states(&observation), [unexpected, unexpected, not_tried, not_tried]);
    assert_eq!(facts(&observation).nodes[2].not_tried, Some(NotTried::Name));
    assert_eq!(other.connections().len(), 0, "it was connected to");
    let codes = findings(&plan, &observation);
    assert_eq!(
        codes,
        [(Code::ClusterNodeUnexpectedAddress, Severity::Error), (Code::ClusterNodeUnreachable, Severity::Info)]
    );

    // Where any address will do, that is no leave to look into other networks.
    plan.expectation.endpoints.clear();
    plan.expectation.path = redpath::expectation::ExpectedPath::Any;
    let observation = probe(&plan).await;
    assert_eq!(states(&observation)[1], unexpected, "the metadata service");
    assert_eq!(observation.cluster.as_ref().map(|facts| facts.nodes[0].state), Some(NodeState::Reachable));
}

#[tokio::test]
async fn cluster_ports_and_networks_are_limited() {
    let (near, far) = (scripted(ELSEWHERE, |_| Answer::line("+PONG")), scripted(FAR, |_| Answer::line("+PONG")));
    let node = server("", "");
    let own = node.address().port();
    let announced = [
        ("127.0.0.10", own),
        ("", own),
        ("127.0.0.10", 22),
        ("127.0.0.11", near.address().port()),
        ("127.0.1.10", far.address().port()),
    ];
    let main = server(NO_SHARDS, slots(&announced));
    let mut plan = plan(&main);
    plan.expectation.endpoints.clear();
    plan.expectation.path = redpath::expectation::ExpectedPath::Any;
    let observation = probe(&plan).await;
    let reasons: Vec<Option<NotTried>> = facts(&observation).nodes.iter().map(|node| node.not_tried).collect();
    assert_eq!(reasons, [None, None, Some(NotTried::PrivilegedPort), None, Some(NotTried::OtherNetwork)]);
    assert_eq!(states(&observation)[..2], [NodeState::Reachable; 2], "both names of the node");
    assert_eq!([&node, &near, &far].map(|server| server.connections().len()), [1, 1, 0]);
    assert_eq!(findings(&plan, &observation), [(Code::ClusterNodeUnreachable, Severity::Info)], "they are named");

    // A named endpoint is looked at, wherever it is.
    plan.expectation.endpoints = ["127.0.0.10", "127.0.1.10"].map(|ip| parse_range(ip).expect("an address")).into();
    probe(&plan).await;
    assert_eq!(far.connections().len(), 1);
}

#[tokio::test]
async fn cluster_node_gets_one_connection() {
    let certificates = Certificates::new();
    let mail = FakeRedis::start(SocketAddr::new(HERE, 0), None, |_| Answer::line("220 mail.example.org ESMTP"));
    let mail = mail.expect("a free port");
    let reply = slots(&[("127.0.0.10", mail.address().port())]);
    let script = move |event: Event<'_>| match event {
        Event::Command { words, .. } if words[0] == "CLUSTER" => Answer::Send(reply.clone().into_bytes()),
        Event::Command { .. } => Answer::line("+PONG"),
        Event::Connected => Answer::Send(Vec::new()),
    };
    let tls = certificates.leaf(Leaf::Good).server_config();
    let main = FakeRedis::start(SocketAddr::new(HERE, 0), Some(tls), script).expect("a free port");
    let mut plan = plan(&main);
    plan.target = Target::new(HostName::parse(NAME).expect("a host name"), Some(main.address().port()), true);
    plan.ca_file = Some(certificates.ca_file());
    let observation = probe(&plan).await;
    assert_eq!(states(&observation), [NodeState::Unreachable]);
    assert_eq!(mail.connections().len(), 1);
}

#[tokio::test]
async fn cluster_own_name_needs_no_resolution() {
    let node = server("", "");
    let main = server(NO_SHARDS, slots(&[("LOCALHOST.", node.address().port())]));
    let observation = probe(&plan(&main)).await;
    assert_eq!(states(&observation), [NodeState::Reachable]);
    assert_eq!(facts(&observation).nodes[0].certificate_covers_ip, None);
}

#[tokio::test]
async fn cluster_many_nodes_are_capped() {
    let node = server("", "");
    let listening = ("127.0.0.10", node.address().port());
    // Ports of 127.0.0.10 on which nobody listens refuse at once.
    let others = (1025..1124).map(|port| ("127.0.0.10", port));
    let main = server(NO_SHARDS, slots(&std::iter::once(listening).chain(others).collect::<Vec<_>>()));
    let observation = probe(&plan(&main)).await;
    let facts = facts(&observation);
    assert_eq!(facts.nodes.len(), 100);
    assert_eq!(facts.in_state(NodeState::Reachable).count(), 1);
    assert_eq!(facts.in_state(NodeState::Unreachable).count(), 63);
    assert_eq!(facts.nodes.iter().filter(|node| node.not_tried == Some(NotTried::TooMany)).count(), 36);
}

#[tokio::test]
async fn cluster_invalid_replies_are_named() {
    let flood = [b"*1000000\r\n".as_slice(), &b":1\r\n".repeat(400_000)].concat();
    for (reply, is_expected) in [
        (flood, (|failure| matches!(failure, RedisFailure::TooLong { limit: 1_048_576 })) as fn(&RedisFailure) -> bool),
        (b"+PONG\r\n".to_vec(), |failure| matches!(failure, RedisFailure::UnexpectedReply { .. })),
        (b"HTTP/1.1 400\r\n".to_vec(), |failure| matches!(failure, RedisFailure::NotRedis { .. })),
        (b"-LOADING Redis is loading\r\n".to_vec(), |failure| matches!(failure, RedisFailure::ErrorReply { .. })),
    ] {
        let main = server(reply.clone(), reply);
        let plan = plan(&main);
        let observation = probe(&plan).await;
        let phase = observation.phases.cluster.as_ref();
        let Some(ClusterFailure::Command { failure }) = phase.and_then(Phase::failure) else { panic!("{phase:?}") };
        assert!(is_expected(failure), "{failure:?}");
        assert!(observation.phases.connection.ping.is_done());
        assert!(findings(&plan, &observation).iter().any(|(_, severity)| *severity == Severity::Error));
    }
    // Silence says nothing against the nodes.
    let main = server("", "");
    let plan = Plan { timeout: Duration::from_millis(800), ..plan(&main) };
    let observation = probe(&plan).await;
    assert_eq!(findings(&plan, &observation), [(Code::RedisTimeout, Severity::Warning)]);
}

#[tokio::test]
async fn cluster_empty_topology_is_noted() {
    let main = server("*0\r\n", "*0\r\n");
    let plan = plan(&main);
    let observation = probe(&plan).await;
    assert_eq!(facts(&observation).slots_uncovered, Some(16_384));
    assert_eq!(findings(&plan, &observation), [(Code::RedisClusterDown, Severity::Warning)]);
}

#[tokio::test]
async fn cluster_slow_nodes_run_concurrently() {
    let slow = Duration::from_millis(400);
    let nodes: Vec<FakeRedis> =
        (0..6).map(|_| scripted(HERE, move |_| Answer::Late(slow, Box::new(Answer::line("+PONG"))))).collect();
    let announced: Vec<(&str, u16)> = nodes.iter().map(|node| ("127.0.0.10", node.address().port())).collect();
    let main = server(NO_SHARDS, slots(&announced));
    let observation = probe(&plan(&main)).await;
    assert_eq!(states(&observation), [NodeState::Reachable; 6]);
    let took = observation.phases.cluster.as_ref().and_then(|phase| phase.summary().took).expect("it ran").0;
    // One after the other would be six times the delay.
    assert!(took >= slow && took < slow * 3, "{took:?}");
}

#[tokio::test]
async fn cluster_silent_node_delays_no_other() {
    let node = server("", "");
    let silent = scripted(HERE, |_| Answer::Send(Vec::new()));
    let announced = [("127.0.0.10", silent.address().port()), ("127.0.0.10", node.address().port())];
    let main = server(NO_SHARDS, slots(&announced));
    let plan = Plan { timeout: Duration::from_secs(2), ..plan(&main) };
    let observation = probe(&plan).await;
    assert_eq!(states(&observation), [NodeState::Unreachable, NodeState::Reachable]);
    let took = observation.phases.cluster.as_ref().and_then(|phase| phase.summary().took).expect("it ran").0;
    assert!(took < Duration::from_millis(1_500), "its own limit is half of the timeout: {took:?}");
    assert_eq!(findings(&plan, &observation), [(Code::ClusterNodeUnreachable, Severity::Error)]);
}

#[tokio::test]
async fn cluster_interrupt_keeps_partial_result() {
    let (handle, interrupt) = Interrupt::new();
    let silent = scripted(HERE, move |_| {
        handle.raise();
        Answer::Send(Vec::new())
    });
    let main = server(NO_SHARDS, slots(&[("127.0.0.10", silent.address().port())]));
    let observation = Prober::new().probe(&plan(&main), &interrupt).await;
    assert_eq!(observation.phases.cluster, Some(Phase::NotReached { stopped_by: StoppedBy::Interrupt }));
    assert_eq!(facts(&observation).nodes[0].not_tried, Some(NotTried::Interrupted));
    assert!(observation.phases.connection.ping.is_done());
}
