//! What should be closed, against real servers and scripted ones, and that no credential ever goes there.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use redpath::address::parse_range;
use redpath::clock::Timestamp;
use redpath::diagnosis::{Cause, Code, Severity, Status};
use redpath::expectation::PublicAccess;
use redpath::observation::{AttemptOutcome, OpenState, Phase, Posture, PostureFailure, SkipReason, StoppedBy};
use redpath::phase::PhaseName;
use redpath::plan::{Auth, PasswordSource, Plan, PublicAddress, ViewSelection};
use redpath::probe::Prober;
use redpath::probe::budget::Interrupt;
use redpath::record::Record;
use redpath::secret::Secret;
use redpath::target::{HostName, Target};
use redpath::vantage::Vantage;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::certificates::{Certificates, Leaf, NAME};
use crate::support::fake_redis::{Answer, Event, FakeRedis, requiring};
use crate::support::redis::{Redis, free_port};

/// A password that must be found nowhere.
const CANARY: &str = "canary-Kw3-hunter2";

/// A plan that goes to 127.0.0.1, asks no DNS, and has nothing to look at yet.
fn plan(port: u16, tls: bool) -> Plan {
    let mut plan = Plan::new(Target::new(HostName::parse(NAME).expect("a host name"), Some(port), tls));
    plan.cluster = redpath::plan::ClusterMode::Off; // the stand-ins know PING alone
    plan.expectation.private_ranges = vec![parse_range("127.0.0.0/8").expect("a range")];
    plan.connect = Some("127.0.0.1".parse().expect("an address"));
    plan.views = ViewSelection::Only(Vec::new());
    plan
}

fn tls_plan(certificates: &Certificates, port: u16) -> Plan {
    Plan { ca_file: Some(certificates.ca_file()), ..plan(port, true) }
}

fn with_password(mut plan: Plan) -> Plan {
    let source = PasswordSource::Given(Arc::new(Secret::new(CANARY.to_owned())));
    plan.auth = Auth::Password { username: Some("default".to_owned()), source };
    plan
}

/// A plan whose own connection is refused at once, so that the public address, 127.0.0.1, is all there is.
fn outside(mut plan: Plan) -> Plan {
    plan.connect = Some("127.0.0.9".parse().expect("an address"));
    plan.expectation.public_access = PublicAccess::Closed;
    plan.posture.public_address = PublicAddress::Given("127.0.0.1".parse().expect("an address"));
    plan
}

async fn check(plan: &Plan) -> Record {
    let (_handle, interrupt) = Interrupt::new();
    let begun = std::time::Instant::now();
    let observation = Prober::new().probe(plan, &interrupt).await;
    let took = begun.elapsed();
    assert!(took < plan.timeout + Duration::from_millis(500), "the deadline was overrun: {took:?}");
    let (target, expectation) = (plan.target.clone(), plan.expectation.clone());
    let record = Record::new(Timestamp::now(), took, target, Vantage::default(), expectation, observation);
    let json = serde_json::to_string(&record).expect("it serializes");
    assert!(!json.contains("canary"), "the password is in {json}");
    assert_eq!(serde_json::from_str::<Record>(&json).expect("it reads back"), record);
    record
}

fn facts(record: &Record) -> &Posture {
    let posture = record.observation.phases.posture.as_ref().expect("the phase was wanted");
    assert!(posture.phase.is_done(), "{posture:?}");
    &posture.facts
}

fn severity_of(record: &Record, code: Code) -> Option<Severity> {
    let mut of_code = record.findings.iter().filter(|finding| finding.code == code);
    let finding = of_code.next()?;
    assert!(of_code.next().is_none(), "{code} twice");
    assert_eq!(finding.phase, PhaseName::Posture);
    Some(finding.severity)
}

/// A server that does with each connection what it is told; its port.
async fn scripted<F: Future<Output = ()> + Send + 'static>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    port
}

/// Takes what comes and stays silent until the peer goes.
async fn silence(mut stream: TcpStream) {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
}

// Is authentication enforced?

/// A `default` user without a password takes any password.
#[cfg(feature = "system-tests")]
#[tokio::test]
async fn auth_check_finds_default_user() {
    let certificates = Certificates::new();
    let redis = Redis::tls(&certificates, &certificates.leaf(Leaf::Good), &[]);
    let mut plan = with_password(tls_plan(&certificates, redis.port));
    let record = check(&plan).await;
    assert!(record.observation.phases.connection.auth.is_done(), "nopass takes any password");
    assert_eq!(facts(&record).auth_enforced, Some(false));
    assert_eq!(severity_of(&record, Code::AuthNotEnforced), Some(Severity::Error));
    assert_eq!(record.verdict.cause, Cause::Code(Code::AuthNotEnforced));
    // The server counts commands: one AUTH, and a PING on each of two connections.
    let counts = redis.cli(&["INFO", "commandstats"]);
    assert!(counts.contains("cmdstat_auth:calls=1,") && counts.contains("cmdstat_ping:calls=2,"), "{counts}");

    plan.expectation.require_auth = false;
    let record = check(&plan).await;
    assert_eq!(severity_of(&record, Code::AuthNotEnforced), Some(Severity::Info));
    assert_eq!(record.verdict.cause, Cause::Healthy);

    plan.posture.skip_auth_check = true;
    let pings = redis.cli(&["INFO", "commandstats"]).matches("cmdstat_ping:calls=4,").count();
    assert_eq!((check(&plan).await.observation.phases.posture, pings), (None, 1));
    let counts = redis.cli(&["INFO", "commandstats"]);
    assert!(counts.contains("cmdstat_ping:calls=5,"), "one connection alone: {counts}");
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn auth_check_keyless_uses_one_connection() {
    let certificates = Certificates::new();
    let redis = Redis::tls(&certificates, &certificates.leaf(Leaf::Good), &["--requirepass", CANARY]);
    let record = check(&with_password(tls_plan(&certificates, redis.port))).await;
    assert_eq!((facts(&record).auth_enforced, record.verdict.cause), (Some(true), Cause::Healthy));
    let record = check(&tls_plan(&certificates, redis.port)).await;
    assert_eq!(record.observation.phases.posture, None);
}

#[tokio::test]
async fn posture_sends_no_credentials() {
    let at = |ip: [u8; 4], port| SocketAddr::from((ip, port));
    let certificates = Certificates::new();
    let tls = || Some(certificates.leaf(Leaf::Good).server_config());
    let private = FakeRedis::start(at([127, 0, 0, 1], 0), tls(), requiring(CANARY)).expect("a free port");
    let port = private.address().port();
    let public = FakeRedis::start(at([127, 0, 0, 2], port), tls(), requiring(CANARY)).expect("a free port");
    let mut plan = with_password(tls_plan(&certificates, port));
    plan.expectation.public_access = PublicAccess::Closed;
    plan.posture.public_address = PublicAddress::Given(public.address().ip());
    let record = check(&plan).await;
    assert_eq!(severity_of(&record, Code::PublicAccessOpen), Some(Severity::Error));
    let commands = |server: &FakeRedis| {
        let connections = server.connections();
        connections.into_iter().map(|one| one.commands.into_iter().map(|words| words.join(" ")).collect()).collect()
    };
    let at_private: Vec<Vec<String>> = commands(&private);
    // The first is the connection in use, and done before the second begins.
    assert_eq!(
        at_private,
        [
            vec![format!("AUTH default {CANARY}"), "PING".into(), "CLIENT INFO".into(), "QUIT".into()],
            vec!["PING".into(), "QUIT".into()]
        ]
    );
    let at_public: Vec<Vec<String>> = commands(&public);
    assert_eq!(at_public, [["PING", "QUIT"]]);
}

#[tokio::test]
async fn posture_connections_have_own_interval() {
    let certificates = Certificates::new();
    let tls = certificates.leaf(Leaf::Good).server_config();
    let server = FakeRedis::start(([127, 0, 0, 1], 0).into(), Some(tls), requiring(CANARY)).expect("a free port");
    let mut plan = with_password(tls_plan(&certificates, server.address().port()));
    let (_handle, interrupt) = Interrupt::new();
    let prober = Prober::for_schedule();
    let mut connections = 0;
    let mut expect = async |prober: &Prober, plan: &Plan, count: usize| {
        let posture = prober.probe(plan, &interrupt).await.phases.posture.expect("the phase was wanted");
        let all = server.connections().len();
        assert_eq!(all - std::mem::replace(&mut connections, all), count, "{posture:?}");
        assert_eq!(posture.facts.auth_enforced, Some(true));
        posture
    };
    let first = expect(&prober, &plan, 2).await;
    assert!(first.phase.is_done() && first.age_seconds.is_none(), "{first:?}");
    for _ in 0..3 {
        let later = expect(&prober, &plan, 1).await;
        assert_eq!(later.phase, Phase::Skipped { reason: SkipReason::NotDue });
        assert!(later.age_seconds.is_some() && later.facts == first.facts, "{later:?}");
    }
    plan.samples = 2;
    expect(&prober, &plan, 2).await;
    expect(&prober, &plan, 1).await;
    plan.posture.interval = Duration::from_millis(1);
    for _ in 0..2 {
        expect(&prober, &plan, 2).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // A probe that somebody asks for makes the checks itself, and leaves no result for the schedule.
    plan.posture.interval = Duration::from_mins(10);
    let permits = Arc::new(tokio::sync::Semaphore::new(1));
    let on_demand = prober.on_demand(permits.acquire_owned().await.expect("it is free"));
    for prober in [&on_demand, &on_demand, &prober, &Prober::new()] {
        expect(prober, &plan, 2).await;
    }
    expect(&prober, &plan, 1).await;
}

#[tokio::test]
async fn auth_check_odd_reply_is_inconclusive() {
    // Keyless, it says LOADING: neither yes nor no.
    let certificates = Certificates::new();
    let tls = certificates.leaf(Leaf::Good).server_config();
    let server = FakeRedis::start(([127, 0, 0, 1], 0).into(), Some(tls), |event| match event {
        Event::Connected => Answer::Send(Vec::new()),
        Event::Command { words, .. } if words[0] == "AUTH" => Answer::Authenticated,
        Event::Command { authenticated: true, .. } => Answer::line("+PONG"),
        Event::Command { .. } => Answer::line("-LOADING Redis is loading the dataset in memory"),
    });
    let server = server.expect("a free port");
    let record = check(&with_password(tls_plan(&certificates, server.address().port()))).await;
    assert_eq!((facts(&record).auth_enforced, record.verdict.cause), (None, Cause::Healthy));
    let attempt = facts(&record).auth_check.as_ref().expect("it was asked");
    assert_eq!((attempt.outcome, attempt.reply.as_deref()), (AttemptOutcome::RedisAnswered, Some("LOADING")));
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn posture_unreached_names_blocking_phase() {
    let phase = |record: Record| record.observation.phases.posture.expect("the phase was wanted").phase;
    let refused = with_password(plan(free_port(), false));
    assert_eq!(phase(check(&refused).await), Phase::NotReached { stopped_by: StoppedBy::Connect });
    let certificates = Certificates::new();
    let redis = Redis::tls(&certificates, &certificates.leaf(Leaf::Good), &["--requirepass", "another"]);
    let mut plan = with_password(tls_plan(&certificates, redis.port));
    assert_eq!(phase(check(&plan).await), Phase::NotReached { stopped_by: StoppedBy::Auth });
    plan.expectation.endpoints = vec![parse_range("127.0.0.8").expect("an address")];
    let skipped = Phase::Skipped { reason: SkipReason::WithheldUnexpectedAddress };
    assert_eq!(phase(check(&plan).await), skipped);
    assert!(!redis.cli(&["INFO", "commandstats"]).contains("cmdstat_auth:calls=2"), "withheld");
}

// Is the plain-text port closed?

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn plaintext_port_open_needs_redis_reply() {
    let certificates = Certificates::new();
    let redis = Redis::tls(&certificates, &certificates.leaf(Leaf::Good), &["--requirepass", CANARY]);
    let plain = Redis::plain(&["--requirepass", CANARY]);
    let web = scripted(|mut stream| async move {
        let mut buffer = [0; 1024];
        let _ = stream.read(&mut buffer).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    let mut plan = with_password(tls_plan(&certificates, redis.port));
    plan.timeout = Duration::from_secs(2);
    for (port, state, how) in [
        (plain.port, OpenState::Open, AttemptOutcome::RedisAnswered),
        (free_port(), OpenState::Closed, AttemptOutcome::Refused),
        (web, OpenState::Closed, AttemptOutcome::NotRedis),
        (scripted(silence).await, OpenState::Closed, AttemptOutcome::RedisTimeout),
        (scripted(|_| async {}).await, OpenState::Closed, AttemptOutcome::RedisClosed),
    ] {
        plan.posture.plaintext_port = Some(port);
        let record = check(&plan).await;
        let seen = facts(&record).plaintext_port.as_ref().expect("it was looked at");
        assert_eq!((seen.port, seen.state, seen.attempt.outcome), (port, state, how), "{seen:?}");
        let expected = (state == OpenState::Open).then_some(Severity::Error);
        assert_eq!(severity_of(&record, Code::PlaintextPortOpen), expected, "{how:?}");
        assert_eq!(record.verdict.cause, expected.map_or(Cause::Healthy, |_| Cause::Code(Code::PlaintextPortOpen)));
    }
    // A port that speaks TLS does not speak Redis in plain text.
    plan.posture.plaintext_port = Some(redis.port);
    assert_eq!(facts(&check(&plan).await).plaintext_port.as_ref().map(|seen| seen.state), Some(OpenState::Closed));
    assert!(!plain.cli(&["INFO", "commandstats"]).contains("cmdstat_auth"), "a credential went in plain text");
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn plaintext_target_has_no_plaintext_check() {
    let plain = Redis::plain(&["--requirepass", CANARY]);
    let mut plan = plan(plain.port, false);
    plan.posture.plaintext_port = Some(plain.port);
    let record = check(&plan).await;
    assert_eq!((record.observation.phases.posture, record.verdict.cause), (None, Cause::Healthy));
}

// Is the public address closed?

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn public_access_open_needs_tls_and_redis() {
    let certificates = Certificates::new();
    let start = |leaf| Redis::tls(&certificates, &certificates.leaf(leaf), &["--requirepass", CANARY]);
    let [good, wrong_name, expired] = [Leaf::Good, Leaf::WrongName, Leaf::Expired].map(start);
    let plain = Redis::plain(&[]);
    let alert = scripted(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(&[0x15, 3, 3, 0, 2, 2, 40]).await; // handshake_failure
        silence(stream).await;
    })
    .await;
    let web = scripted(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    for (port, state, hows) in [
        (good.port, OpenState::Open, &[AttemptOutcome::RedisAnswered][..]),
        (plain.port, OpenState::Open, &[AttemptOutcome::RedisAnsweredWithoutTls]),
        (free_port(), OpenState::Closed, &[AttemptOutcome::Refused]),
        (scripted(silence).await, OpenState::Closed, &[AttemptOutcome::TlsTimeout]),
        (scripted(|_| async {}).await, OpenState::Closed, &[AttemptOutcome::ClosedBeforeTls]),
        (alert, OpenState::Closed, &[AttemptOutcome::TlsAlert, AttemptOutcome::TlsFailed]),
        (web, OpenState::Closed, &[AttemptOutcome::NotTls]),
        (wrong_name.port, OpenState::Closed, &[AttemptOutcome::TlsNameMismatch]),
        (expired.port, OpenState::Closed, &[AttemptOutcome::TlsCertificateRefused]),
    ] {
        let mut plan = with_password(outside(tls_plan(&certificates, port)));
        plan.timeout = Duration::from_secs(2);
        let record = check(&plan).await;
        let seen = facts(&record).public_access.as_ref().expect("it was looked at");
        assert_eq!(seen.state, state, "{seen:?}");
        assert!(hows.contains(&seen.attempt.outcome), "{seen:?}, expected {hows:?}");
        let expected = (state == OpenState::Open).then_some(Severity::Error);
        assert_eq!(severity_of(&record, Code::PublicAccessOpen), expected, "{seen:?}");
    }
    for redis in [&good, &plain, &wrong_name, &expired] {
        assert!(!redis.cli(&["INFO", "commandstats"]).contains("cmdstat_auth"), "a credential went there");
    }
}

#[tokio::test]
async fn public_access_tls_without_redis_is_closed() {
    let certificates = Certificates::new();
    let files = certificates.leaf(Leaf::Good);
    for (script, how) in [
        (Answer::Send(Vec::new()), AttemptOutcome::RedisTimeout),
        (Answer::SendAndClose(Vec::new()), AttemptOutcome::RedisClosed),
        (Answer::SendAndClose(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), AttemptOutcome::NotRedis),
    ] {
        let tls = files.server_config();
        let server = FakeRedis::start(([127, 0, 0, 1], 0).into(), Some(tls), move |event| match event {
            Event::Connected => Answer::Send(Vec::new()),
            Event::Command { .. } => script.clone(),
        });
        let server = server.expect("a free port");
        let mut plan = outside(tls_plan(&certificates, server.address().port()));
        plan.timeout = Duration::from_secs(2);
        let record = check(&plan).await;
        let seen = facts(&record).public_access.as_ref().expect("it was looked at");
        assert_eq!((seen.state, seen.attempt.outcome), (OpenState::Closed, how), "{seen:?}");
    }
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn posture_expected_open_does_not_fail() {
    let certificates = Certificates::new();
    let redis = Redis::tls(&certificates, &certificates.leaf(Leaf::Good), &[]);
    for port in [redis.port, free_port()] {
        let mut plan = outside(tls_plan(&certificates, port));
        plan.expectation.public_access = PublicAccess::Open;
        let record = check(&plan).await;
        assert!(facts(&record).public_access.is_some());
        assert_eq!(severity_of(&record, Code::PublicAccessOpen), None);
    }
}

#[tokio::test]
async fn posture_skips_address_in_use() {
    let server = FakeRedis::start(([127, 0, 0, 1], 0).into(), None, requiring(CANARY)).expect("a free port");
    let mut plan = plan(server.address().port(), false);
    plan.expectation.public_access = PublicAccess::Closed;
    plan.posture.public_address = PublicAddress::Given(server.address().ip());
    let record = check(&plan).await;
    let how = |record: &Record| facts(record).public_access.as_ref().map(|seen| seen.attempt.outcome);
    assert_eq!((how(&record), server.connections().len()), (Some(AttemptOutcome::InUse), 1));
    assert_eq!(severity_of(&record, Code::PublicAccessOpen), Some(Severity::Error), "the connection is the proof");
    // Without an address, nothing is sent anywhere, and the verdict is unknown.
    plan.posture.public_address = PublicAddress::Auto;
    let record = check(&plan).await;
    assert_eq!((how(&record), server.connections().len()), (Some(AttemptOutcome::NoAddress), 2));
    assert_eq!(severity_of(&record, Code::NotChecked), Some(Severity::Warning));
    assert_eq!(record.verdict.status, Status::Unknown);
}

/// A timeout proves "closed" only if the full limit elapsed.
#[tokio::test]
async fn posture_no_time_left_is_inconclusive() {
    // The connection in use takes its half of the time for TLS, and nearly all of the rest for PING.
    let certificates = Certificates::new();
    let tls = certificates.leaf(Leaf::Good).server_config();
    let redis = FakeRedis::start(([127, 0, 0, 1], 0).into(), Some(tls), |event| match event {
        Event::Connected => Answer::Send(Vec::new()),
        Event::Command { words, .. } if words[0] == "AUTH" => {
            Answer::Late(Duration::from_millis(450), Box::new(Answer::Authenticated))
        }
        Event::Command { .. } => Answer::Late(Duration::from_millis(450), Box::new(Answer::line("+PONG"))),
    });
    let redis = redis.expect("a free port");
    let port = redis.address().port();
    let silent = TcpListener::bind(("127.0.0.2", port)).await.expect("a free port");
    let mut plan = with_password(tls_plan(&certificates, port));
    plan.timeout = Duration::from_secs(1);
    plan.expectation.public_access = PublicAccess::Closed;
    plan.posture.public_address = PublicAddress::Given(silent.local_addr().expect("an address").ip());
    let record = check(&plan).await;
    let posture = record.observation.phases.posture.as_ref().expect("the phase was wanted");
    assert_eq!(posture.phase.failure(), Some(&PostureFailure::OutOfTime), "{posture:?}");
    assert_eq!(severity_of(&record, Code::NotChecked), Some(Severity::Warning));
    assert_eq!(record.verdict.status, Status::Unknown);
}
