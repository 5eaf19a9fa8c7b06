//! Records made by hand, as an output receives them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use redpath::address::AddressClass;
use redpath::clock::{Seconds, Timestamp};
use redpath::diagnosis::{Cause, Code, Finding, Severity, Status, Verdict};
use redpath::expectation::Expectation;
use redpath::observation::application::{ApplicationFacts, ApplicationPath, ApplicationPeer, SocketSource};
use redpath::observation::cluster::{
    ClusterCommand, ClusterNode, NodeHealth, NodeRole, NodeState, NotTried, SlotRange,
};
use redpath::observation::dns::{ChainRecord, HostsEntry, ResolvedAddress, Transport, View, ViewKind, ViewOutcome};
use redpath::observation::redis::{AuthFacts, AuthMethod, PingFacts, PingReply};
use redpath::observation::tcp::{ConnectFailure, FailedAttempt};
use redpath::observation::tls::{CertificateChecks, CertificateFacts, TlsFacts, TlsFailure, TrustSource};
use redpath::observation::{
    ClusterFacts, ClusterFailure, Connection, ConnectionPhases, HeldConnectionFacts, HeldState, Observation,
    OtherConnection, Phase, Phases, Resolution, ResolveFailure, SkipReason, StoppedBy,
};
use redpath::record::kept_answer::KeptAnswer;
use redpath::record::{RECORD_SCHEMA, Record, Report, Tool};
use redpath::target::{HostName, Target};
use redpath::vantage::Vantage;

const HOST: &str = "cache1.redis.cache.windows.net";
const BEGUN: i64 = 1_795_000_000; // 2026-11-18

pub(crate) fn report(mut records: Vec<Record>) -> Report {
    for record in &mut records {
        record.usable = record.observation.usable();
    }
    let mut report = Report::new(vantage(), moment(BEGUN + 1), records);
    report.tool = Tool { name: "redpath".into(), version: "0.0.0".into() };
    report
}

/// The endpoint is private, and everything works without a credential.
pub(crate) fn healthy() -> Record {
    let chain = [
        link(HOST, "CNAME", 120, "cache1.privatelink.redis.cache.windows.net"),
        link("cache1.privatelink.redis.cache.windows.net", "A", 10, "10.60.4.5"),
    ];
    let mut libc = answered("libc", ViewKind::Libc, None, &[], &["10.60.4.5"], 940);
    libc.canonical_name = Some("cache1.privatelink.redis.cache.windows.net".into());
    let views = vec![
        libc,
        answered("system:10.60.0.53", ViewKind::System, Some("10.60.0.53:53"), &chain, &["10.60.4.5"], 410),
        answered("azure", ViewKind::Resolver, Some("168.63.129.16:53"), &chain, &["10.60.4.5"], 386),
    ];
    let finding = Finding {
        code: Code::AuthEnforced,
        severity: Severity::Info,
        phase: Code::AuthEnforced.phase(),
        summary: "the server demands authentication, as it should; the probe gave no credential".into(),
        detail: String::new(),
        hint: String::new(),
        commands: Vec::new(),
    };
    record(
        Observation {
            clients: None,
            old: None,
            check_arguments: Default::default(),
            local_limit: None,
            token: None,
            resolution: resolution(views),
            phases: phases([940, 1_210, 8_200, 804]),
            connection: Some(connection("10.60.4.5:6380")),
            other_connections: Vec::new(),
            cluster: None,
            application: None,
            held_connection: None,
        },
        vec![finding],
        Status::Pass,
        Cause::Healthy,
    )
}

/// A firewall blocks the port of one node, another announces itself elsewhere, a third by a name.
pub(crate) fn cluster() -> Record {
    let mut record = healthy();
    let node = |announced: &str, role, slots: &str, state| ClusterNode {
        announced: announced.into(),
        address: announced.parse().ok(),
        announced_by_ip: true,
        role,
        slots: vec![SlotRange::try_from(slots.to_owned()).expect("a range")],
        slot_count: 5461,
        health: Some(NodeHealth::Online),
        state,
        not_tried: None,
        certificate_covers_ip: None,
        certificate_sha256: None,
        phases: None,
    };
    let mut blocked = node("10.60.4.5:15002", NodeRole::Master, "10923-16383", NodeState::Unreachable);
    let mut phases = ConnectionPhases::not_reached(StoppedBy::Connect);
    phases.connect = Phase::failed(Duration::from_millis(2_490), ConnectFailure::Timeout);
    blocked.phases = Some(phases);
    let mut named = node("node-3.example.net:15003", NodeRole::Replica, "0-5460", NodeState::NotTried);
    named.not_tried = Some(NotTried::Name);
    record.observation.cluster = Some(ClusterFacts {
        command: Some(ClusterCommand::ClusterShards),
        nodes: vec![
            node("10.60.4.5:15000", NodeRole::Master, "0-5460", NodeState::Reachable),
            node("20.50.1.10:15001", NodeRole::Master, "5461-10922", NodeState::UnexpectedAddress),
            blocked,
            named,
        ],
        slots_uncovered: Some(0),
        ..ClusterFacts::default()
    });
    let failure = ClusterFailure::Nodes { unreachable: 1, unexpected_address: 1 };
    record.observation.phases.cluster = Some(Phase::failed(Duration::from_millis(2_491), failure));
    let diagnosis =
        redpath::diagnosis::diagnose(&record.target, &record.expectation, &record.observation, record.started_at);
    Record { findings: diagnosis.findings, verdict: diagnosis.verdict, ..record }
}

/// With so many established connections of applications to the public address and to the endpoint.
pub(crate) fn with_connections(mut record: Record, public: u32, expected: u32) -> Record {
    let peer = |path, address: &str, established| ApplicationPeer {
        path,
        address: address.parse().expect("an address"),
        class: record.expectation.class(address.parse().expect("an address")),
        view: None,
        given_at: None,
        of_old_name: false,
        label: None,
        established,
        connecting: 0,
        unanswered: 0,
        closing: 0,
        longest_idle_seconds: None,
        median_round_trip_seconds: None,
        worst_round_trip_seconds: None,
    };
    let peers = vec![
        peer(ApplicationPath::Public, "20.50.1.10", public),
        peer(ApplicationPath::Expected, "10.60.4.5", expected),
    ];
    record.observation.application = Some(ApplicationFacts {
        source: SocketSource::Netlink,
        netlink_error: None,
        truncated: false,
        peers,
        omitted_peers: 0,
        opened: None,
        opened_last_minute: None,
    });
    record
}

/// DNS is right, and the application's own connections are still on the public path.
pub(crate) fn application() -> Record {
    let mut record = with_connections(healthy(), 3, 2);
    let given_at = Some(record.started_at);
    for peer in record.observation.application.iter_mut().flat_map(|facts| &mut facts.peers) {
        (peer.view, peer.given_at) = (Some("libc".into()), given_at);
    }
    let diagnosis =
        redpath::diagnosis::diagnose(&record.target, &record.expectation, &record.observation, record.started_at);
    Record { findings: diagnosis.findings, verdict: diagnosis.verdict, ..record }
}

/// DNS leads to the endpoint since a moment ago; the connection that is held open stays on the public address, after
/// an earlier one was reset.
pub(crate) fn held_connection() -> Record {
    let mut record = healthy();
    let ended = serde_json::json!({
        "address": "20.50.1.10:6380", "class": "public", "at": "2026-11-18T09:10:00Z", "ago_seconds": 125.0,
        "age_seconds": 8000.0, "how": "rst", "reason": "it was reset (RST)"
    });
    let facts = serde_json::json!({
        "state": "open", "address": "20.50.1.10:6380", "class": "public", "path": "public", "in_dns_answer": false,
        "opened_at": "2026-11-18T09:10:05Z", "age_seconds": 120.0, "losses": 2, "ended": ended
    });
    record.observation.held_connection = Some(serde_json::from_value(facts).expect("a held connection"));
    let diagnosis =
        redpath::diagnosis::diagnose(&record.target, &record.expectation, &record.observation, record.started_at);
    Record { findings: diagnosis.findings, verdict: diagnosis.verdict, ..record }
}

/// The zone is not linked: the public path works, and that is the trouble.
pub(crate) fn unlinked_zone() -> Record {
    let public = [
        link(HOST, "CNAME", 60, "cache1.privatelink.redis.cache.windows.net"),
        link("cache1.privatelink.redis.cache.windows.net", "CNAME", 60, "cache1-we.westeurope.cloudapp.azure.com"),
        link("cache1-we.westeurope.cloudapp.azure.com", "A", 60, "20.50.1.10"),
    ];
    let private = [
        link(HOST, "CNAME", 120, "cache1.privatelink.redis.cache.windows.net"),
        link("cache1.privatelink.redis.cache.windows.net", "A", 10, "10.60.4.5"),
    ];
    let mut views = vec![
        answered("libc", ViewKind::Libc, None, &[], &["20.50.1.10"], 940),
        answered("system:10.10.0.53", ViewKind::System, Some("10.10.0.53:53"), &public, &["20.50.1.10"], 410),
        answered("azure", ViewKind::Resolver, Some("168.63.129.16:53"), &private, &["10.60.4.5"], 386),
    ];
    let mut silent = View::new("hub", ViewKind::Resolver, Some(socket("10.10.0.54:5353")));
    silent.outcome = ViewOutcome::Timeout;
    silent.took_seconds = Some(Seconds(Duration::from_millis(2500)));
    views.push(silent);
    let finding = Finding {
        code: Code::PrivateZoneNotSeen,
        severity: Severity::Error,
        phase: Code::PrivateZoneNotSeen.phase(),
        summary: "the name leads to the public address 20.50.1.10, though the resource has a private endpoint".into(),
        detail: "The chain goes through cache1.privatelink.redis.cache.windows.net, which Azure inserts once a \
                 private endpoint exists, and ends in a public address. 168.63.129.16 answers 10.60.4.5, so the \
                 forwarder 10.10.0.53 does not ask it, or holds an old answer."
            .into(),
        hint: "Make 10.10.0.53 forward redis.cache.windows.net to 168.63.129.16 from within the virtual network."
            .into(),
        commands: vec![
            "dig @10.10.0.53 +norecurse cache1.redis.cache.windows.net".to_owned().into(),
            "az network private-dns link vnet list --resource-group <RESOURCE-GROUP> --zone-name privatelink.redis.cache.windows.net --output table".to_owned().into(),
        ],
    };
    record(
        Observation {
            clients: None,
            old: None,
            check_arguments: Default::default(),
            local_limit: None,
            token: None,
            resolution: resolution(views),
            phases: phases([940, 40_100, 82_000, 40_200]),
            connection: Some(connection("20.50.1.10:6380")),
            other_connections: Vec::new(),
            cluster: None,
            application: None,
            held_connection: None,
        },
        vec![finding],
        Status::Fail,
        Cause::Code(Code::PrivateZoneNotSeen),
    )
}

/// The private endpoint does not answer; another address was tried before, one more after.
pub(crate) fn silent_endpoint() -> Record {
    let mut record = healthy();
    record.expectation.endpoints = vec!["10.60.4.0/28".parse().expect("a range")];
    let observation = &mut record.observation;
    let timeout = Phase::failed(Duration::from_millis(2500), ConnectFailure::Timeout);
    observation.phases.connection =
        ConnectionPhases { connect: timeout, ..ConnectionPhases::not_reached(StoppedBy::Connect) };
    let mut connection = Connection::new(socket("10.60.4.5:6380"), AddressClass::Private);
    connection.address_given = true;
    connection.earlier_attempts.push(FailedAttempt {
        address: socket("10.60.4.4:6380"),
        class: AddressClass::Private,
        failure: ConnectFailure::Refused,
        took_seconds: Seconds(Duration::from_micros(350)),
    });
    observation.connection = Some(connection);
    observation.other_connections.push(OtherConnection {
        phases: phases([1, 2_000, 3_000, 4_000]).connection,
        connection: self::connection("20.50.1.10:6380"),
    });
    record.findings = vec![Finding {
        code: Code::ConnectTimeout,
        severity: Severity::Error,
        phase: Code::ConnectTimeout.phase(),
        summary: "10.60.4.5:6380 does not answer".into(),
        detail: "From here an endpoint that is not approved, a network security group and a missing route look alike."
            .into(),
        hint: "See whether the endpoint's connection is approved.".into(),
        commands: vec![
            "az network private-endpoint-connection list --id <RESOURCE-ID> --output table".to_owned().into(),
        ],
    }];
    record.verdict = Verdict { status: Status::Fail, cause: Cause::Code(Code::ConnectTimeout) };
    record
}

/// The hosts file overrides DNS, which says that the name does not exist; the certificate is wrong.
pub(crate) fn overridden() -> Record {
    let mut libc = answered("libc", ViewKind::Libc, None, &[], &["10.60.9.9", "fd10::9"], 120);
    libc.hosts_file.push(HostsEntry { file: "/etc/hosts".into(), line: 7, ip: ip("10.60.9.9") });
    let mut system = View::new("system:10.60.0.53", ViewKind::System, Some(socket("10.60.0.53:53")));
    system.outcome = ViewOutcome::NameNotFound;
    system.rcode = Some("NXDOMAIN".into());
    system.chain = vec![link(HOST, "CNAME", 120, "cache1.privatelink.redis.cache.windows.net")];
    system.privatelink_zone = Some("privatelink.redis.cache.windows.net".into());
    system.took_seconds = Some(Seconds(Duration::from_micros(700)));
    let certificate_failure = TlsFailure::NameMismatch {
        expected: HOST.into(),
        presented: vec!["*.redis.azure.net".into(), "x.test".into()],
    };
    let mut connection = connection("10.60.9.9:6380");
    let tls = connection.tls.as_mut().expect("made above");
    let certificate = tls.certificate.as_mut().expect("made above");
    certificate.sans = vec!["*.redis.azure.net".into(), "x.test".into()];
    certificate.not_after = Timestamp::from_unix(BEGUN - 86_400);
    tls.verified = false;
    tls.checks = Some(CertificateChecks { trusted: true, in_date: false, name_matches: false });
    connection.auth = None;
    connection.ping = None;
    let finding = |code: Code, severity, summary: &str| Finding {
        code,
        severity,
        phase: code.phase(),
        summary: summary.into(),
        detail: "The line was found in /etc/hosts.".into(),
        hint: String::new(),
        commands: Vec::new(),
    };
    let mut phases = phases([120, 1_000, 9_000, 1]);
    phases.connection.tls = Phase::failed(Duration::from_millis(9), certificate_failure);
    phases.connection.auth = Phase::NotReached { stopped_by: StoppedBy::Tls };
    phases.connection.ping = Phase::NotReached { stopped_by: StoppedBy::Tls };
    record(
        Observation {
            clients: None,
            old: None,
            check_arguments: Default::default(),
            local_limit: None,
            token: None,
            resolution: resolution(vec![libc, system]),
            phases,
            connection: Some(connection),
            other_connections: Vec::new(),
            cluster: None,
            application: None,
            held_connection: None,
        },
        vec![
            finding(Code::TlsNameMismatch, Severity::Error, "the certificate is for another name"),
            finding(Code::OverriddenLocally, Severity::Warning, "/etc/hosts line 7 overrides DNS"),
        ],
        Status::Fail,
        Cause::Code(Code::TlsNameMismatch),
    )
}

/// A warning, with a credential and many samples.
pub(crate) fn slow() -> Record {
    let mut record = healthy();
    let connection = record.observation.connection.as_mut().expect("made above");
    connection.auth = Some(AuthFacts {
        method: AuthMethod::Password,
        username: Some("probe".into()),
        credential_error: None,
        surrounded_by: None,
        looks_like: None,
        token_renewed: false,
    });
    let ms = |ms| Seconds(Duration::from_millis(ms));
    connection.ping = Some(PingFacts {
        reply: PingReply::Pong,
        samples: 20,
        min_seconds: ms(4),
        median_seconds: ms(6),
        max_seconds: ms(31),
    });
    record.observation.phases.connection.auth = Phase::done(Duration::from_micros(900));
    record.observation.phases.connection.ping = Phase::done(Duration::from_millis(6));
    record.findings = vec![Finding {
        code: Code::LatencyOverBudget,
        severity: Severity::Warning,
        phase: Code::LatencyOverBudget.phase(),
        summary: "ping took 6.00 ms, and 5.00 ms are allowed".into(),
        detail: String::new(),
        hint: "Compare with a probe from another subnet.".into(),
        commands: Vec::new(),
    }];
    record.verdict = Verdict { status: Status::Warn, cause: Cause::Code(Code::LatencyOverBudget) };
    record
}

/// Interrupted before anything was known.
pub(crate) fn interrupted() -> Record {
    let mut view = View::new("libc", ViewKind::Libc, None);
    view.outcome = ViewOutcome::Interrupted;
    let resolution = Resolution { views: vec![view], view_in_use: Some("libc".into()), ..Resolution::default() };
    let observation = Observation { resolution, ..Observation::default() };
    record(observation, Vec::new(), Status::Unknown, Cause::Unknown)
}

/// Nothing to resolve with.
pub(crate) fn no_view() -> Record {
    let phases = Phases {
        resolve: Phase::failed(Duration::ZERO, ResolveFailure::NoView),
        connection: ConnectionPhases::not_reached(StoppedBy::Resolve),
        ..Phases::default()
    };
    record(Observation { phases, ..Observation::default() }, Vec::new(), Status::Unknown, Cause::Unknown)
}

/// What a hostile name server, certificate and Redis can put into a record.
pub(crate) fn hostile() -> Record {
    const EVIL: &str =
        "\x1b]0;owned\x07\x1b[2J|`<script>alert(1)</script>\u{202e}\u{9b}31m\r\n# @team ![x](https://evil)";
    let mut record = overridden();
    record.target.name = EVIL.into();
    record.vantage.hostname = EVIL.into();
    record.observation.held_connection = Some(HeldConnectionFacts {
        state: HeldState::NotOpened,
        connection: None,
        losses: 0,
        not_opened: Some(EVIL.into()),
        ended: None,
    });
    record.vantage.labels = [(EVIL.to_owned(), EVIL.to_owned())].into();
    let resolution = &mut record.observation.resolution;
    resolution.views[0].canonical_name = Some(EVIL.into());
    resolution.views[0].hosts_file[0].file = EVIL.into();
    resolution.views[1].reason = Some(EVIL.into());
    resolution.views[1].rcode = Some(EVIL.into());
    let mut chain = vec![link(EVIL, "CNAME", 1, EVIL)];
    chain.extend((0..100).map(|_| link(EVIL, EVIL, u32::MAX, EVIL)));
    resolution.views.push(answered(EVIL, ViewKind::Resolver, Some("10.0.0.1:53"), &chain, &["10.60.9.9"], 1));
    let tls =
        record.observation.connection.as_mut().and_then(|connection| connection.tls.as_mut()).expect("made above");
    tls.version = Some(EVIL.into());
    tls.cipher = Some(EVIL.into());
    let certificate = tls.certificate.as_mut().expect("made above");
    certificate.sans = vec![EVIL.into(), EVIL.into()];
    certificate.subject = EVIL.into();
    record.observation.phases.connection.tls =
        Phase::failed(Duration::from_millis(9), TlsFailure::Other { error: EVIL.into() });
    for finding in &mut record.findings {
        finding.summary = EVIL.into();
        finding.detail = EVIL.into();
        finding.hint = EVIL.into();
        finding.commands = vec![EVIL.to_owned().into()];
    }
    record
}

fn record(observation: Observation, findings: Vec<Finding>, status: Status, cause: Cause) -> Record {
    let host = HostName::parse(HOST).expect("a host name");
    let expectation = Expectation::default();
    Record {
        schema: RECORD_SCHEMA.into(),
        started_at: moment(BEGUN),
        took_seconds: Seconds(Duration::from_millis(164)),
        target: Target::new(host, None, true),
        vantage: vantage(),
        usable: observation.usable(),
        migration: None,
        public_answer_kept: KeptAnswer::of(&observation.resolution, &expectation, moment(BEGUN)),
        expectation,
        observation,
        findings,
        verdict: Verdict { status, cause },
    }
}

fn vantage() -> Vantage {
    Vantage {
        hostname: "app-a-7d9f".into(),
        labels: [("vnet".to_owned(), "spoke-1".to_owned())].into(),
        ..Vantage::default()
    }
}

fn resolution(views: Vec<View>) -> Resolution {
    Resolution { views, view_in_use: Some("libc".into()), ndots: Some(1), ..Resolution::default() }
}

fn phases([resolve, connect, tls, ping]: [u64; 4]) -> Phases {
    let micros = Duration::from_micros;
    Phases {
        resolve: Phase::done(micros(resolve)),
        connection: ConnectionPhases {
            connect: Phase::done(micros(connect)),
            tls: Phase::done(micros(tls)),
            auth: Phase::Skipped { reason: SkipReason::NoCredentials },
            ping: Phase::done(micros(ping)),
        },
        ..Phases::default()
    }
}

fn connection(address: &str) -> Connection {
    let address = socket(address);
    let mut connection = Connection::new(address, Expectation::default().class(address.ip()));
    connection.source = Some(ip("10.60.0.4"));
    connection.tls = Some(TlsFacts {
        server_name: HOST.into(),
        version: Some("TLSv1.3".into()),
        cipher: Some("TLS_AES_256_GCM_SHA384".into()),
        certificate: Some(CertificateFacts {
            subject: "CN=*.redis.cache.windows.net".into(),
            sans: vec!["*.geo.redis.cache.windows.net".into(), "*.redis.cache.windows.net".into()],
            issuer: "CN=Microsoft TLS G2 ECC CA OCSP 02".into(),
            not_before: Timestamp::from_unix(BEGUN - 100 * 86_400),
            not_after: Timestamp::from_unix(BEGUN + 99 * 86_400),
            sha256: "00".repeat(32),
            unreadable: None,
        }),
        intermediates: Vec::new(),
        trust_anchors: None,
        tcp: None,
        verified: true,
        checks: Some(CertificateChecks { trusted: true, in_date: true, name_matches: true }),
        trust: Some(TrustSource::Platform),
    });
    connection.auth = Some(AuthFacts {
        method: AuthMethod::None,
        username: None,
        credential_error: None,
        surrounded_by: None,
        looks_like: None,
        token_renewed: false,
    });
    let took = Seconds(Duration::from_micros(804));
    connection.ping = Some(PingFacts {
        reply: PingReply::Noauth,
        samples: 1,
        min_seconds: took,
        median_seconds: took,
        max_seconds: took,
    });
    connection
}

fn answered(
    name: &str,
    kind: ViewKind,
    server: Option<&str>,
    chain: &[ChainRecord],
    addresses: &[&str],
    micros: u64,
) -> View {
    let mut view = View::new(name, kind, server.map(socket));
    view.outcome = ViewOutcome::Answered;
    view.transport = server.map(|_| Transport::Udp);
    view.rcode = server.map(|_| "NOERROR".into());
    view.chain = chain.to_vec();
    view.privatelink_zone = chain.iter().find_map(|link| redpath::azure::privatelink_zone(&link.data));
    view.took_seconds = Some(Seconds(Duration::from_micros(micros)));
    let ttl = chain.last().map(|link| link.ttl);
    view.addresses = addresses
        .iter()
        .map(|address| ResolvedAddress { ip: ip(address), class: Expectation::default().class(ip(address)), ttl })
        .collect();
    view
}

fn link(name: &str, record_type: &str, ttl: u32, data: &str) -> ChainRecord {
    ChainRecord { name: name.into(), record_type: record_type.into(), ttl, data: data.into() }
}

fn moment(unix: i64) -> Timestamp {
    Timestamp::from_unix(unix).expect("within the calendar")
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn socket(text: &str) -> SocketAddr {
    text.parse().expect("an address and a port")
}
