//! Findings about nodes, each beside the state that resembles it.

use std::time::Duration;

use proptest::prelude::*;
use strum::IntoEnumIterator;

use super::super::{Diagnosis, Status, diagnose};
use super::*;
use crate::address::parse_range;
use crate::clock::Timestamp;
use crate::expectation::Expectation;
use crate::observation::cluster::SlotRange;
use crate::observation::dns::{ResolvedAddress, View, ViewKind, ViewOutcome};
use crate::observation::redis::{PingFacts, PingReply};
use crate::observation::{Connection, ConnectionPhases, Observation, Phase, Phases, Resolution, StoppedBy, TlsFailure};
use crate::target::{HostName, Target};

fn node(address: &str, role: NodeRole, state: NodeState) -> ClusterNode {
    ClusterNode {
        announced: address.to_owned(),
        address: address.parse().ok(),
        announced_by_ip: true,
        role,
        slots: vec![SlotRange { first: 0, last: 99 }],
        slot_count: 100,
        health: None,
        state,
        not_tried: None,
        certificate_covers_ip: None,
        certificate_sha256: None,
        phases: None,
    }
}

fn unreachable(address: &str, role: NodeRole, failure: ConnectFailure) -> ClusterNode {
    let mut phases = ConnectionPhases::not_reached(StoppedBy::Connect);
    phases.connect = Phase::failed(Duration::from_secs(1), failure);
    ClusterNode { phases: Some(phases), ..node(address, role, NodeState::Unreachable) }
}

/// A probe that went well as far as PING, at this address, and then met these nodes.
fn case(host: &str, address: &str, facts: ClusterFacts) -> Diagnosis {
    let target = Target::new(HostName::parse(host).expect("a host name"), None, true);
    let endpoints = vec![parse_range("10.60.4.5").expect("an address")];
    let expectation = Expectation { endpoints, require_auth: false, ..Expectation::default() };
    let address = format!("{address}:{}", target.port).parse().expect("an address");
    let mut connection = Connection::new(address, expectation.class(address.ip()));
    let mut view = View::new("libc", ViewKind::Libc, None);
    view.outcome = ViewOutcome::Answered;
    view.addresses = vec![ResolvedAddress { ip: address.ip(), class: connection.class, ttl: None }];
    let took = Duration::from_millis(1);
    connection.ping = Some(PingFacts {
        reply: PingReply::Pong,
        samples: 1,
        min_seconds: took.into(),
        median_seconds: took.into(),
        max_seconds: took.into(),
    });
    let count = |state| u32::try_from(facts.in_state(state).count()).unwrap_or(u32::MAX);
    let (unreachable, unexpected_address) = (count(NodeState::Unreachable), count(NodeState::UnexpectedAddress));
    let cluster = if unreachable + unexpected_address == 0 {
        Phase::done(took)
    } else {
        Phase::failed(took, ClusterFailure::Nodes { unreachable, unexpected_address })
    };
    let observation = Observation {
        resolution: Resolution { views: vec![view], view_in_use: Some("libc".to_owned()), ..Resolution::default() },
        phases: Phases {
            resolve: Phase::done(took),
            connection: ConnectionPhases {
                connect: Phase::done(took),
                tls: Phase::done(took),
                auth: Phase::done(took),
                ping: Phase::done(took),
            },
            cluster: Some(cluster),
            token: None,
            posture: None,
            application: None,
        },
        connection: Some(connection),
        cluster: Some(facts),
        ..Observation::default()
    };
    diagnose(&target, &expectation, &observation, Timestamp::now())
}

fn announced(nodes: Vec<ClusterNode>) -> ClusterFacts {
    ClusterFacts { nodes, slots_uncovered: Some(0), ..ClusterFacts::default() }
}

fn finding(diagnosis: &Diagnosis, code: Code) -> &Finding {
    diagnosis.findings.iter().find(|finding| finding.code == code).unwrap_or_else(|| panic!("{diagnosis:#?}"))
}

const CLASSIC: &str = "cache1.redis.cache.windows.net";
const MANAGED: &str = "amr1.westeurope.redis.azure.net";

#[test]
fn node_ports_depend_on_service() {
    for (host, port, range) in [
        (CLASSIC, 15_002, "15000-15999"),
        (MANAGED, 8_502, "8500-8599"),
        ("redis.example.org", 7_002, "--destination-port-ranges 7002"),
    ] {
        let address = format!("10.60.4.5:{port}");
        let nodes = vec![
            node("10.60.4.5:1", NodeRole::Master, NodeState::Reachable),
            unreachable(&address, NodeRole::Master, ConnectFailure::Timeout),
        ];
        let diagnosis = case(host, "10.60.4.5", announced(nodes));
        let finding = finding(&diagnosis, Code::ClusterNodeUnreachable);
        assert!(finding.summary.contains(&address) && finding.summary.contains("slots 0-99"), "{finding:#?}");
        assert!(finding.commands.iter().any(|command| command.command.contains(range)), "{host}: {finding:#?}");
        assert_eq!((finding.severity, finding.phase), (Severity::Error, PhaseName::Cluster));
    }
}

#[test]
fn node_health_outranks_firewall_cause() {
    let down = unreachable("10.60.4.5:15002", NodeRole::Master, ConnectFailure::Refused);
    let detail = |node: ClusterNode| {
        let diagnosis = case(CLASSIC, "10.60.4.5", announced(vec![node]));
        finding(&diagnosis, Code::ClusterNodeUnreachable).detail.clone()
    };
    let said = detail(ClusterNode { health: Some(NodeHealth::Failed), ..down.clone() });
    assert!(said.contains("By likelihood: the node is down, as the cluster itself says"), "{said}");
    let unsaid = detail(down);
    assert!(unsaid.contains("By likelihood: a network security group"), "{unsaid}");
}

#[test]
fn node_failure_after_tcp_is_not_port_cause() {
    let mut odd = node("10.60.4.5:15002", NodeRole::Replica, NodeState::Unreachable);
    let mut phases = ConnectionPhases::not_reached(StoppedBy::Tls);
    phases.connect = Phase::done(Duration::from_millis(1));
    phases.tls = Phase::failed(Duration::from_millis(1), TlsFailure::Closed { bytes_received: 0 });
    odd.phases = Some(phases);
    let diagnosis = case(CLASSIC, "10.60.4.5", announced(vec![odd]));
    let finding = finding(&diagnosis, Code::ClusterNodeUnreachable);
    assert!(!finding.commands.iter().any(|command| command.command.contains("nsg")), "{finding:#?}");
    assert!(finding.detail.contains("They are replicas") && finding.detail.contains("TLS: "), "{finding:#?}");
}

#[test]
fn node_failure_on_wrong_path_is_suppressed() {
    let nodes = vec![
        unreachable("10.60.4.5:15002", NodeRole::Master, ConnectFailure::Timeout),
        node("20.50.1.11:15001", NodeRole::Master, NodeState::UnexpectedAddress),
    ];
    let diagnosis = case(CLASSIC, "20.50.1.10", announced(nodes.clone()));
    assert_eq!(diagnosis.verdict.status, Status::Fail);
    assert!(diagnosis.findings.iter().all(|finding| finding.phase != PhaseName::Cluster), "{diagnosis:#?}");
    let diagnosis = case(CLASSIC, "10.60.4.5", announced(nodes));
    assert_eq!(diagnosis.verdict.cause.as_str(), "cluster_node_unreachable");
}

#[test]
fn node_certificate_for_names_is_warning() {
    let mut lacking = node("10.60.4.5:15000", NodeRole::Master, NodeState::Reachable);
    lacking.certificate_covers_ip = Some(false);
    let diagnosis = case(CLASSIC, "10.60.4.5", announced(vec![lacking.clone()]));
    assert_eq!(diagnosis.verdict.status, Status::Warn);
    assert!(finding(&diagnosis, Code::ClusterCertificateLacksIp).hint.contains(CLASSIC));
    lacking.certificate_covers_ip = Some(true);
    assert_eq!(case(CLASSIC, "10.60.4.5", announced(vec![lacking])).verdict.status, Status::Pass);
}

#[test]
fn node_without_time_is_not_timeout() {
    let mut hurried = node("10.60.4.5:15000", NodeRole::Master, NodeState::NotTried);
    hurried.not_tried = Some(NotTried::NoTime);
    let diagnosis = case(CLASSIC, "10.60.4.5", announced(vec![hurried]));
    assert_eq!(diagnosis.verdict.status, Status::Warn);
    assert!(finding(&diagnosis, Code::ClusterNodeUnreachable).hint.contains("--timeout"));
}

#[test]
fn node_finding_names_a_few_of_many() {
    let nodes = (1..=1_000)
        .map(|port| unreachable(&format!("10.60.4.5:{port}"), NodeRole::Master, ConnectFailure::Timeout))
        .collect();
    let diagnosis = case("redis.example.org", "10.60.4.5", announced(nodes));
    let finding = finding(&diagnosis, Code::ClusterNodeUnreachable);
    assert!(finding.summary.contains("and 984 more") && finding.summary.len() < 2_000, "{}", finding.summary);
}

fn any_node() -> impl Strategy<Value = ClusterNode> {
    let failures = prop_oneof![
        Just(None),
        Just(Some(ConnectFailure::Timeout)),
        Just(Some(ConnectFailure::Other { error: "\u{1b}".to_owned() })),
    ];
    let states = proptest::sample::select(NodeState::iter().collect::<Vec<_>>());
    let reason = prop_oneof![Just(None), Just(Some(NotTried::Name)), Just(Some(NotTried::NoTime))];
    (failures, states, reason, any::<bool>(), "[a-z0-9.:]{0,20}", any::<u16>(), proptest::option::of(any::<bool>()))
        .prop_map(|(failure, state, not_tried, replica, announced, slot_count, covers)| {
            let role = if replica { NodeRole::Replica } else { NodeRole::Unknown };
            let mut made = node("10.60.4.5:15000", role, state);
            made.address = made.address.filter(|_| !announced.is_empty());
            made.phases = failure.map(|failure| {
                let mut phases = ConnectionPhases::not_reached(StoppedBy::Connect);
                phases.connect = Phase::failed(Duration::ZERO, failure);
                phases
            });
            ClusterNode { announced, not_tried, slot_count, certificate_covers_ip: covers, ..made }
        })
}

proptest! {
    #[test]
    fn cluster_diagnosis_is_total_and_stable(
        nodes in proptest::collection::vec(any_node(), 0..40),
        omitted in any::<u32>(),
        uncovered in proptest::option::of(any::<u16>()),
    ) {
        let facts = ClusterFacts { nodes, nodes_omitted: omitted, slots_uncovered: uncovered, ..ClusterFacts::default() };
        let diagnosis = case(CLASSIC, "10.60.4.5", facts.clone());
        prop_assert_eq!(&diagnosis, &case(CLASSIC, "10.60.4.5", facts));
    }
}
