//! Records made by hand, findings and verdict included: what the metrics make of them is the question here.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use redpath::address::parse_range;
use redpath::clock::Timestamp;
use redpath::diagnosis::{Cause, Code, Finding, Severity, Status, Verdict};
use redpath::expectation::Expectation;
use redpath::observation::client_info::ServerSees;
use redpath::observation::cluster::{ClusterCommand, ClusterNode, NodeRole, NodeState};
use redpath::observation::dns::{ChainRecord, ResolvedAddress, ViewKind};
use redpath::observation::posture::PublicEndpoint;
use redpath::observation::redis::{AuthFacts, AuthMethod, PingFacts, PingReply};
use redpath::observation::tls::CertificateFacts;
use redpath::observation::{ApplicationFacts, HeldConnectionFacts};
use redpath::observation::{
    Attempt, AttemptOutcome, ClusterFacts, ClusterFailure, Connection, ConnectionPhases, Observation, Phase, Phases,
    Posture, PosturePhase, Resolution, ResolveFailure, SkipReason, StoppedBy, TlsFacts, View, ViewOutcome,
};
use redpath::plan::{Plan, Resolver};
use redpath::record::Record;
use redpath::target::{HostName, Target};
use redpath::vantage::Vantage;

pub(crate) const PRIVATE: &str = "10.60.4.5";
pub(crate) const PUBLIC: &str = "20.50.1.10";
const NOVEMBER_2026: i64 = 1_795_305_600;

pub(crate) fn vantage() -> Vantage {
    Vantage {
        hostname: "aks-app-7".into(),
        pod: Some("agent-x2x".into()),
        namespace: Some("redpath".into()),
        subnet: Some("app-a".into()),
        labels: [("vnet", "spoke-1"), ("subnet", "app-a")].map(|(name, value)| (name.into(), value.into())).into(),
        ..Vantage::default()
    }
}

pub(crate) fn plan(name: &str) -> Plan {
    let host = HostName::parse(&format!("{name}.redis.cache.windows.net")).expect("a host name");
    let azure = Resolver { name: "azure".into(), address: "168.63.129.16:53".parse().expect("an address") };
    Plan {
        expectation: Expectation { endpoints: vec![parse_range(PRIVATE).expect("an address")], ..Default::default() },
        resolvers: vec![azure],
        ..Plan::new(Target { name: name.into(), ..Target::new(host, None, true) })
    }
}

/// A record as the diagnosis would have made it; `seconds` dates it.
pub(crate) fn record(plan: &Plan, seconds: i64, observation: Observation, findings: Vec<Finding>) -> Record {
    let deciding = findings.iter().find(|finding| finding.severity != Severity::Info);
    let verdict = match deciding.map(|finding| (finding.severity, finding.code)) {
        None | Some((Severity::Info, _)) => Verdict { status: Status::Pass, cause: Cause::Healthy },
        Some((Severity::Warning, code)) => Verdict { status: Status::Warn, cause: Cause::Code(code) },
        Some((Severity::Error, code)) => Verdict { status: Status::Fail, cause: Cause::Code(code) },
    };
    let started_at = Timestamp::from_unix(NOVEMBER_2026 + seconds).expect("a time");
    let took = Duration::from_millis(12);
    let (target, expectation) = (plan.target.clone(), plan.expectation.clone());
    Record { findings, verdict, ..Record::new(started_at, took, target, vantage(), expectation, observation) }
}

/// Every view leads to the private endpoint, and authentication is enforced.
pub(crate) fn healthy(plan: &Plan, seconds: i64) -> Record {
    let observation = connected(plan, [PRIVATE; 3], true);
    record(plan, seconds, observation, vec![finding(Code::AuthEnforced, Severity::Info)])
}

/// Healthy, and one of the three nodes of its cluster cannot be reached.
pub(crate) fn cluster(plan: &Plan, seconds: i64) -> Record {
    let mut observation = connected(plan, [PRIVATE; 3], true);
    let node = |port, state| ClusterNode {
        announced: format!("{PRIVATE}:{port}"),
        address: format!("{PRIVATE}:{port}").parse().ok(),
        announced_by_ip: true,
        role: NodeRole::Master,
        slots: Vec::new(),
        slot_count: 0,
        health: None,
        state,
        not_tried: None,
        certificate_covers_ip: None,
        certificate_sha256: None,
        phases: None,
    };
    let (good, bad) = (NodeState::Reachable, NodeState::Unreachable);
    observation.cluster = Some(ClusterFacts {
        command: Some(ClusterCommand::ClusterShards),
        nodes: vec![node(15_000, good), node(15_001, good), node(15_002, bad)],
        slots_uncovered: Some(0),
        ..ClusterFacts::default()
    });
    observation.application = Some(application());
    observation.phases.application = Some(Phase::done(Duration::from_millis(1)));
    observation.held_connection = Some(held_connection());
    let failure = ClusterFailure::Nodes { unreachable: 1, unexpected_address: 0 };
    observation.phases.cluster = Some(Phase::failed(Duration::from_millis(2_500), failure));
    record(plan, seconds, observation, vec![finding(Code::ClusterNodeUnreachable, Severity::Error)])
}

/// A connection that was opened again after a loss.
fn held_connection() -> HeldConnectionFacts {
    let ended = serde_json::json!({
        "address": "20.50.1.10:6380", "class": "public", "at": "2026-11-18T09:10:00Z", "ago_seconds": 130.0,
        "age_seconds": 723.0, "how": "rst", "reason": "it was reset (RST)"
    });
    let facts = serde_json::json!({
        "state": "open", "address": "10.60.4.5:6380", "class": "private", "path": "expected", "in_dns_answer": true,
        "opened_at": "2026-11-18T09:10:05Z", "age_seconds": 125.0, "losses": 1, "ended": ended
    });
    serde_json::from_value(facts).expect("held connection")
}

/// Three connections of the application on the private path, and one on the public one.
fn application() -> ApplicationFacts {
    let facts = serde_json::json!({
        "source": "netlink",
        "opened": {"count": 4, "over_seconds": 15.0},
        "opened_last_minute": {"count": 4, "over_seconds": 15.0},
        "peers": [
            {"path": "public", "address": PUBLIC, "class": "public", "established": 1, "connecting": 0, "unanswered": 0,
             "closing": 0, "longest_idle_seconds": 30.0, "worst_round_trip_seconds": 0.002},
            {"path": "expected", "address": "10.60.4.5", "class": "private", "established": 3, "connecting": 1,
             "unanswered": 0, "closing": 0, "longest_idle_seconds": 4.0, "worst_round_trip_seconds": 0.0005}
        ]
    });
    serde_json::from_value(facts).expect("facts of a record")
}

/// The public address was looked at, and refuses.
pub(crate) fn closed_outside(mut record: Record) -> Record {
    let attempt = Attempt { outcome: AttemptOutcome::Refused, reply: Some("connection refused".into()) };
    let address = Some(SocketAddr::new(PUBLIC.parse().expect("an address"), 6380));
    let public = PublicEndpoint { address, view: None, state: attempt.state(), attempt };
    let facts = Posture { public_access: Some(public), ..Posture::default() };
    let phase = Phase::done(Duration::from_millis(1));
    record.observation.phases.posture = Some(PosturePhase { phase, age_seconds: None, facts });
    record
}

/// The server sees the probe come by a private link.
pub(crate) fn seen_by_private_link(mut record: Record) -> Record {
    let address = "fd40:1481:21:dbe0:7021:300:a14:7".parse().expect("an address");
    if let Some(connection) = record.observation.connection.as_mut() {
        connection.server_sees = Some(ServerSees::at(address));
    }
    record
}

/// The zone is linked to the hub alone: this machine goes the public way, and all else works.
pub(crate) fn unlinked(plan: &Plan, seconds: i64) -> Record {
    let observation = connected(plan, [PUBLIC, PUBLIC, PRIVATE], true);
    let zone = finding(Code::PrivateZoneNotSeen, Severity::Error);
    record(plan, seconds, observation, vec![zone, finding(Code::AuthEnforced, Severity::Info)])
}

/// The private endpoint does not answer.
pub(crate) fn silent(plan: &Plan, seconds: i64) -> Record {
    let observation = connected(plan, [PRIVATE; 3], false);
    record(plan, seconds, observation, vec![finding(Code::ConnectTimeout, Severity::Error)])
}

/// The name does not exist any more.
pub(crate) fn gone(plan: &Plan, seconds: i64) -> Record {
    let views = views(plan, [None; 3]);
    let failure = ResolveFailure::NoAddress { view: "libc".into(), view_outcome: ViewOutcome::NoAddress, detail: None };
    let observation = Observation {
        clients: None,
        old: None,
        check_arguments: Default::default(),
        resolution: Resolution { views, view_in_use: Some("libc".into()), ..Default::default() },
        phases: Phases {
            resolve: Phase::failed(Duration::from_millis(3), failure),
            connection: ConnectionPhases::not_reached(StoppedBy::Resolve),
            ..Phases::default()
        },
        ..Default::default()
    };
    record(plan, seconds, observation, vec![finding(Code::NameNotFound, Severity::Error)])
}

/// The probe was interrupted before it saw anything.
pub(crate) fn interrupted(plan: &Plan, seconds: i64) -> Record {
    let verdict = Verdict { status: Status::Unknown, cause: Cause::Unknown };
    Record { verdict, ..record(plan, seconds, Observation::default(), Vec::new()) }
}

pub(crate) fn finding(code: Code, severity: Severity) -> Finding {
    Finding {
        code,
        severity,
        phase: code.phase(),
        summary: code.title().into(),
        detail: String::new(),
        hint: String::new(),
        commands: Vec::new(),
    }
}

/// `libc`, a name server of resolv.conf and Azure's resolver, each with its address or NXDOMAIN.
pub(crate) fn views(plan: &Plan, addresses: [Option<&str>; 3]) -> Vec<View> {
    let server = |text: &str| Some(text.parse().expect("an address"));
    let kinds = [
        ("libc", ViewKind::Libc, None),
        ("system:10.10.0.53", ViewKind::System, server("10.10.0.53:53")),
        ("azure", ViewKind::Resolver, server("168.63.129.16:53")),
    ];
    let each = kinds.into_iter().zip(addresses);
    each.map(|((name, kind, server), address)| {
        let mut view = View::new(name, kind, server);
        match address {
            Some(address) => answer(&mut view, plan, &[address]),
            None if kind == ViewKind::Libc => view.outcome = ViewOutcome::NoAddress,
            None => view.outcome = ViewOutcome::NameNotFound,
        }
        view
    })
    .collect()
}

/// Has a view answer with these addresses, and a server with the chain to them.
pub(crate) fn answer(view: &mut View, plan: &Plan, addresses: &[&str]) {
    let has_chain = view.kind != ViewKind::Libc;
    view.outcome = ViewOutcome::Answered;
    let ips = addresses.iter().map(|address| address.parse::<IpAddr>().expect("an address"));
    let address = |ip| ResolvedAddress { ip, class: plan.expectation.class(ip), ttl: has_chain.then_some(10) };
    view.addresses = ips.map(address).collect();
    if has_chain {
        view.chain = vec![ChainRecord {
            name: plan.target.host.to_string(),
            record_type: "CNAME".into(),
            ttl: 300,
            data: plan.target.host.as_str().replace(".redis", ".privatelink.redis"),
        }];
    }
}

fn connected(plan: &Plan, addresses: [&str; 3], answers: bool) -> Observation {
    let milliseconds = Duration::from_millis;
    let address = SocketAddr::new(addresses[0].parse().expect("an address"), plan.target.port);
    let mut connection = Connection::new(address, plan.expectation.class(address.ip()));
    let mut phases = ConnectionPhases::not_reached(StoppedBy::Connect);
    if answers {
        connection.source = Some("10.20.0.7".parse().expect("an address"));
        connection.tls = Some(tls(plan));
        connection.auth = Some(AuthFacts {
            method: AuthMethod::None,
            username: None,
            credential_error: None,
            surrounded_by: None,
            looks_like: None,
            token_renewed: false,
        });
        let took = milliseconds(1).into();
        connection.ping = Some(PingFacts {
            reply: PingReply::Noauth,
            samples: 1,
            min_seconds: took,
            median_seconds: took,
            max_seconds: took,
        });
        phases = ConnectionPhases {
            connect: Phase::done(milliseconds(1)),
            tls: Phase::done(milliseconds(5)),
            auth: Phase::Skipped { reason: SkipReason::NoCredentials },
            ping: Phase::done(milliseconds(1)),
        };
    } else {
        phases.connect = Phase::failed(milliseconds(2_500), redpath::observation::ConnectFailure::Timeout);
    }
    Observation {
        clients: None,
        old: None,
        check_arguments: Default::default(),
        local_limit: None,
        token: None,
        resolution: Resolution {
            views: views(plan, addresses.map(Some)),
            view_in_use: Some("libc".into()),
            ..Default::default()
        },
        phases: Phases { resolve: Phase::done(milliseconds(4)), connection: phases, ..Phases::default() },
        connection: Some(connection),
        other_connections: Vec::new(),
        cluster: None,
        application: None,
        held_connection: None,
    }
}

fn tls(plan: &Plan) -> TlsFacts {
    let certificate = CertificateFacts {
        subject: "CN=*.redis.cache.windows.net".into(),
        sans: vec!["*.redis.cache.windows.net".into()],
        issuer: "CN=Microsoft Azure RSA TLS Issuing CA 07".into(),
        not_before: Timestamp::from_unix(NOVEMBER_2026 - 86_400 * 30),
        not_after: Timestamp::from_unix(NOVEMBER_2026 + 86_400 * 60),
        sha256: "00".repeat(32),
        unreadable: None,
    };
    TlsFacts {
        server_name: plan.target.server_name.to_string(),
        version: Some("TLSv1.3".into()),
        cipher: Some("TLS_AES_256_GCM_SHA384".into()),
        certificate: Some(certificate),
        verified: true,
        ..TlsFacts::default()
    }
}
