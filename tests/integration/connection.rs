//! The connection against real servers, and scripted ones where no real one misbehaves so.

use std::future::Future;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use redpath::address::{AddressClass, parse_range};
use redpath::observation::redis::{AuthMethod, PingReply};
use redpath::observation::tls::TrustSource;
use redpath::observation::{
    ConnectFailure, Connection, ConnectionPhases, Phase, RedisFailure, SkipReason, StoppedBy, TlsFacts, TlsFailure,
};
use redpath::plan::{Auth, PasswordSource, Plan};
use redpath::probe::budget::{Budget, Interrupt};
use redpath::probe::connection::{ConnectionOutcome, Connector};
use redpath::secret::Secret;
use redpath::target::{HostName, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

use crate::support::certificates::{Certificates, Leaf, NAME};
use crate::support::fake_redis::{Answer, Event, FakeRedis};
use crate::support::redis::{Redis, free_port};

/// A password that must be found nowhere.
const CANARY: &str = "canary-Zq7-hunter2";

fn plan(port: u16, tls: bool) -> Plan {
    let mut plan = Plan::new(Target::new(HostName::parse(NAME).expect("a host name"), Some(port), tls));
    plan.expectation.private_ranges = vec![parse_range("127.0.0.0/8").expect("a range")];
    plan
}

fn tls_plan(certificates: &Certificates, port: u16) -> Plan {
    Plan { ca_file: Some(certificates.ca_file()), ..plan(port, true) }
}

fn with_password(mut plan: Plan, username: Option<&str>, password: &str) -> Plan {
    let source = PasswordSource::Given(Arc::new(Secret::new(password.to_owned())));
    plan.auth = Auth::Password { username: username.map(str::to_owned), source };
    plan
}

/// Probes 127.0.0.1 and searches all of it for the canary.
async fn probe(plan: &Plan) -> (ConnectionPhases, Connection) {
    let (_handle, interrupt) = Interrupt::new();
    let begun = Instant::now();
    let budget = Budget::new(plan.timeout, interrupt);
    let ConnectionOutcome { phases, connection, .. } =
        Connector::new().connect(plan, &["127.0.0.1".parse().expect("an address")], &budget).await;
    let late = begun.elapsed().saturating_sub(plan.timeout);
    assert!(late < Duration::from_millis(500), "the deadline was overrun by {late:?}");
    let json = serde_json::to_string(&(&phases, &connection)).expect("it serializes");
    let debug = format!("{phases:?}{connection:?}");
    assert!(!json.contains("canary") && !debug.contains("canary"), "the password is in {json}");
    (phases, connection)
}

/// Expects TLS to have failed, and nothing to have run after it.
async fn tls_failure(plan: &Plan) -> (TlsFailure, TlsFacts) {
    let (phases, connection) = probe(plan).await;
    assert_eq!(phases.auth, Phase::NotReached { stopped_by: StoppedBy::Tls });
    assert_eq!(phases.ping, Phase::NotReached { stopped_by: StoppedBy::Tls });
    assert_eq!((connection.auth, connection.ping), (None, None));
    let failure = phases.tls.failure().unwrap_or_else(|| panic!("TLS: {:?}", phases.tls)).clone();
    (failure, connection.tls.unwrap_or_default())
}

async fn ping_failure(plan: &Plan) -> RedisFailure {
    let (phases, _) = probe(plan).await;
    phases.ping.failure().unwrap_or_else(|| panic!("ping: {:?}", phases.ping)).clone()
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

/// A server that says `line` to each command, and what it was sent.
async fn says(line: &'static str) -> (u16, Arc<Mutex<Vec<u8>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    let port = scripted(move |mut stream| {
        let hears = Arc::clone(&hears);
        async move {
            let mut buffer = [0; 1024];
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                hears.lock().expect("no panic").extend_from_slice(&buffer[..count]);
                if stream.write_all(line.as_bytes()).await.is_err() {
                    break;
                }
            }
        }
    })
    .await;
    (port, heard)
}

/// Holds a place among a server's clients; it is taken once the server has answered.
fn occupied(redis: &Redis) -> UnixStream {
    let mut stream = UnixStream::connect(redis.socket()).expect("the server's socket");
    stream.write_all(b"PING\r\n").expect("a write");
    let mut reply = [0; 7];
    stream.read_exact(&mut reply).expect("a reply");
    assert_eq!(&reply, b"+PONG\r\n");
    stream
}

fn rejected(code: &str, message: &str) -> RedisFailure {
    RedisFailure::ErrorReply { code: code.to_owned(), message: message.to_owned() }
}

// What works.

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn auth_password_over_tls() {
    let certificates = Certificates::new();
    let redis = Redis::tls(&certificates, &certificates.leaf(Leaf::Good), &["--requirepass", CANARY]);
    let mut plan = with_password(tls_plan(&certificates, redis.port), None, CANARY);
    plan.samples = 5;
    let (phases, connection) = probe(&plan).await;
    assert!(phases.connect.is_done() && phases.tls.is_done() && phases.auth.is_done() && phases.ping.is_done());
    assert_eq!(connection.address.port(), redis.port);
    assert_eq!(connection.class, AddressClass::Private);
    assert_eq!(connection.source.map(|source| source.to_string()).as_deref(), Some("127.0.0.1"));
    assert!(!connection.address_given);
    let tls = connection.tls.expect("TLS ran");
    assert_eq!(tls.server_name, NAME);
    assert_eq!((tls.version.as_deref(), tls.cipher.as_deref()), (Some("TLSv1.3"), Some("TLS_AES_256_GCM_SHA384")));
    assert_eq!(tls.trust, Some(TrustSource::CaFile));
    assert!(tls.verified && tls.checks.is_some_and(|checks| checks.trusted && checks.in_date && checks.name_matches));
    let certificate = tls.certificate.expect("a certificate");
    assert_eq!(certificate.sans, [NAME, "IP:127.0.0.1"]);
    assert!(certificate.subject.contains("redpath test server"), "{}", certificate.subject);
    assert!(certificate.issuer.contains("redpath test authority"), "{}", certificate.issuer);
    assert_eq!(certificate.not_after.map(|end| end.date()).as_deref(), Some("2080-01-01"));
    let auth = connection.auth.expect("AUTH ran");
    assert_eq!((auth.method, auth.username, auth.credential_error), (AuthMethod::Password, None, None));
    let ping = connection.ping.expect("PING ran");
    assert_eq!((ping.reply, ping.samples), (PingReply::Pong, 5));
    assert!(ping.min_seconds <= ping.median_seconds && ping.median_seconds <= ping.max_seconds);
    let took = phases.ping.summary().took.expect("a duration");
    assert!(ping.min_seconds <= took && took <= ping.max_seconds);
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn auth_acl_user_over_tls_1_2() {
    let certificates = Certificates::new();
    let password = format!(">{CANARY}");
    let user = ["--user", "prober", "on", &password, "+ping", "--user", "default", "off"];
    let settings = [["--tls-protocols", "TLSv1.2"].as_slice(), &user].concat();
    let redis = Redis::tls(&certificates, &certificates.leaf(Leaf::Good), &settings);
    let plan = with_password(tls_plan(&certificates, redis.port), Some("prober"), CANARY);
    let (phases, connection) = probe(&plan).await;
    assert!(phases.auth.is_done(), "{:?}", phases.auth);
    assert_eq!(connection.ping.expect("PING ran").reply, PingReply::Pong);
    assert_eq!(connection.auth.expect("AUTH ran").username.as_deref(), Some("prober"));
    let tls = connection.tls.expect("TLS ran");
    assert_eq!(tls.version.as_deref(), Some("TLSv1.2"));
    assert_eq!(tls.cipher.as_deref(), Some("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"));
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn ping_without_permission() {
    let certificates = Certificates::new();
    let user = ["--user", "prober", "on", &format!(">{CANARY}"), "-@all", "--user", "default", "off"];
    let redis = Redis::tls(&certificates, &certificates.leaf(Leaf::Good), &user);
    let plan = with_password(tls_plan(&certificates, redis.port), Some("prober"), CANARY);
    let (phases, connection) = probe(&plan).await;
    assert!(phases.auth.is_done() && phases.ping.is_done(), "{phases:?}");
    assert_eq!(connection.ping.expect("PING ran").reply, PingReply::Noperm);
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn keyless_with_enforced_auth() {
    let certificates = Certificates::new();
    let redis = Redis::tls(&certificates, &certificates.leaf(Leaf::Good), &["--requirepass", "something"]);
    let mut plan = tls_plan(&certificates, redis.port);
    plan.connect = Some("127.0.0.1".parse().expect("an address"));
    let (phases, connection) = probe(&plan).await;
    assert_eq!(phases.auth, Phase::Skipped { reason: SkipReason::NoCredentials });
    assert!(phases.ping.is_done());
    assert_eq!(connection.ping.expect("PING ran").reply, PingReply::Noauth);
    assert_eq!(connection.auth.expect("it had its turn").method, AuthMethod::None);
    assert!(connection.address_given);
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn keyless_without_enforced_auth() {
    let certificates = Certificates::new();
    let redis = Redis::tls(&certificates, &certificates.leaf(Leaf::Good), &[]);
    let (_, connection) = probe(&tls_plan(&certificates, redis.port)).await;
    assert_eq!(connection.ping.expect("PING ran").reply, PingReply::Pong);
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn plaintext_target_connects() {
    let redis = Redis::plain(&[]);
    let (phases, connection) = probe(&plan(redis.port, false)).await;
    assert_eq!(phases.tls, Phase::Skipped { reason: SkipReason::Plaintext });
    assert!(phases.ping.is_done(), "{phases:?}");
    assert_eq!(connection.tls, None);
}

#[tokio::test]
async fn close_sends_quit() {
    let (port, heard) = says("+PONG\r\n").await;
    probe(&plan(port, false)).await;
    assert_eq!(heard.lock().expect("no panic").as_slice(), b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nQUIT\r\n");
}

#[tokio::test]
async fn close_is_bounded_for_silent_server() {
    let port = scripted(|mut stream| async move {
        let mut buffer = [0; 64];
        let _ = stream.read(&mut buffer).await;
        let _ = stream.write_all(b"+PONG\r\n").await;
        std::future::pending::<()>().await;
    })
    .await;
    let begun = Instant::now();
    let (phases, _) = probe(&plan(port, false)).await;
    let (all, ping) = (begun.elapsed(), phases.ping.summary().took.expect("it ran").0);
    assert!(phases.ping.is_done());
    assert!(ping + Duration::from_millis(200) <= all, "waiting for a goodbye is no part of {ping:?}");
    assert!(all < Duration::from_secs(2), "{all:?}");
}

// Credentials.

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn auth_wrong_password() {
    let certificates = Certificates::new();
    let redis = Redis::tls(&certificates, &certificates.leaf(Leaf::Good), &["--requirepass", "another"]);
    let (phases, connection) = probe(&with_password(tls_plan(&certificates, redis.port), None, CANARY)).await;
    let expected = rejected("WRONGPASS", "invalid username-password pair or user is disabled.");
    assert_eq!(phases.auth.failure(), Some(&expected));
    assert_eq!(phases.ping, Phase::NotReached { stopped_by: StoppedBy::Auth });
    assert_eq!((connection.auth.map(|auth| auth.method), connection.ping), (Some(AuthMethod::Password), None));
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn auth_password_not_set_on_server() {
    let certificates = Certificates::new();
    let redis = Redis::tls(&certificates, &certificates.leaf(Leaf::Good), &[]);
    let (phases, _) = probe(&with_password(tls_plan(&certificates, redis.port), None, CANARY)).await;
    assert!(matches!(phases.auth.failure(), Some(RedisFailure::ErrorReply { code, .. }) if code == "ERR"));
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn auth_sends_credentials_to_expected_address() {
    let certificates = Certificates::new();
    // Any password will do for this user, so that the server's statistics can be read without one.
    let anyone = ["--user", "default", "on", "nopass", "~*", "&*", "+@all"];
    let redis = Redis::tls(&certificates, &certificates.leaf(Leaf::Good), &anyone);
    let mut plan = with_password(tls_plan(&certificates, redis.port), Some("default"), CANARY);
    plan.expectation.endpoints = vec![parse_range("10.60.4.5").expect("an address")];
    let (phases, connection) = probe(&plan).await;
    assert_eq!(phases.auth, Phase::Skipped { reason: SkipReason::WithheldUnexpectedAddress });
    assert_eq!(connection.auth.expect("it had its turn").method, AuthMethod::Password);
    assert_eq!(connection.ping.expect("it went on").reply, PingReply::Pong);
    let commands = redis.cli(&["INFO", "commandstats"]);
    assert!(commands.contains("cmdstat_ping") && !commands.contains("cmdstat_auth"), "{commands}");

    plan.expectation.endpoints.clear();
    assert!(probe(&plan).await.0.auth.is_done());
    assert!(redis.cli(&["INFO", "commandstats"]).contains("cmdstat_auth"));
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn auth_unreadable_credential() {
    let certificates = Certificates::new();
    let redis = Redis::tls(&certificates, &certificates.leaf(Leaf::Good), &["--requirepass", "something"]);
    let mut plan = tls_plan(&certificates, redis.port);
    plan.auth = Auth::Password { username: None, source: PasswordSource::File("/nonexistent/password".into()) };
    let (phases, connection) = probe(&plan).await;
    assert_eq!(phases.auth, Phase::Skipped { reason: SkipReason::CredentialUnavailable });
    let error = connection.auth.and_then(|auth| auth.credential_error).expect("a reason");
    assert!(error.contains("/nonexistent/password") && error.contains("no such file"), "{error}");
    assert_eq!(connection.ping.expect("it went on").reply, PingReply::Noauth);
}

#[tokio::test]
async fn auth_reply_with_password_is_redacted() {
    let certificates = Certificates::new();
    let says = |line: &'static str| {
        let tls = certificates.leaf(Leaf::Good).server_config();
        let server = FakeRedis::start(([127, 0, 0, 1], 0).into(), Some(tls), move |event| match event {
            Event::Connected => Answer::Send(Vec::new()),
            Event::Command { .. } => Answer::line(line),
        });
        server.expect("a free port")
    };
    let plan = |server: &FakeRedis| with_password(tls_plan(&certificates, server.address().port()), None, CANARY);
    let server = says("-ERR unknown command 'AUTH', with args beginning with: 'canary-Zq7-hunter2'");
    let (phases, _) = probe(&plan(&server)).await;
    assert_eq!(phases.auth.failure(), Some(&rejected("ERR", "(withheld: it repeats the credential)")));
    let server = says("HTTP/1.1 400 no such method: canary-Zq7-hunter2");
    let (phases, _) = probe(&plan(&server)).await;
    assert!(matches!(phases.auth.failure(), Some(RedisFailure::NotRedis { .. })), "{:?}", phases.auth);
}

// Certificates.

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn tls_bad_certificates_are_classified() {
    let certificates = Certificates::new();
    // The leaf, and whether it is trusted, in date, and covers the name.
    for (leaf, trusted, in_date, name_matches) in [
        (Leaf::WrongName, true, true, false),
        (Leaf::Expired, true, false, true),
        (Leaf::NotYetValid, true, false, true),
        (Leaf::WrongNameAndExpired, true, false, false),
        (Leaf::Untrusted, false, true, true),
        (Leaf::Impostor, false, true, true),
        (Leaf::SelfSigned, false, true, true),
        (Leaf::AllWrong, false, false, false),
    ] {
        let redis = Redis::tls(&certificates, &certificates.leaf(leaf), &[]);
        let plan = with_password(tls_plan(&certificates, redis.port), None, CANARY);
        let (failure, facts) = tls_failure(&plan).await;
        let certificate = facts.certificate.expect("it was shown");
        match (leaf, &failure) {
            (Leaf::WrongName | Leaf::WrongNameAndExpired, TlsFailure::NameMismatch { expected, presented }) => {
                assert_eq!(
                    (expected.as_str(), presented.as_slice()),
                    (NAME, ["other.example.net".to_owned()].as_slice())
                );
            }
            (Leaf::Expired, TlsFailure::CertificateExpired { not_after, .. }) => {
                assert_eq!(not_after.map(|time| time.date()).as_deref(), Some("2020-01-01"));
            }
            (Leaf::NotYetValid, TlsFailure::CertificateNotYetValid { not_before }) => {
                assert_eq!(not_before.map(|time| time.date()).as_deref(), Some("2090-01-01"));
            }
            (Leaf::Untrusted | Leaf::AllWrong, TlsFailure::UntrustedIssuer { issuer }) => {
                assert!(issuer.contains("somebody else's authority"), "{issuer}");
            }
            (Leaf::Impostor | Leaf::SelfSigned, TlsFailure::UntrustedIssuer { .. }) => {}
            _ => panic!("{leaf:?}: {failure:?}"),
        }
        let checks = facts.checks.expect("there was a certificate");
        assert_eq!((checks.trusted, checks.in_date, checks.name_matches), (trusted, in_date, name_matches), "{leaf:?}");
        assert!(!facts.verified && certificate.sha256.len() == 64);
        assert_eq!(facts.version.as_deref(), Some("TLSv1.3"), "{leaf:?}");
        assert_eq!(facts.cipher.as_deref(), Some("TLS_AES_256_GCM_SHA384"), "{leaf:?}");
        let commands = redis.cli(&["INFO", "commandstats"]);
        assert!(!commands.contains("cmdstat_ping") && !commands.contains("cmdstat_auth"), "{leaf:?}: {commands}");
    }
}

/// Shows one certificate, whatever its key.
#[derive(Debug)]
struct OneCertificate(Arc<CertifiedKey>);

impl ResolvesServerCert for OneCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

#[tokio::test]
async fn certificate_without_its_key_is_refused() {
    let certificates = Certificates::new();
    let (stolen, own) = (certificates.leaf(Leaf::Good), certificates.leaf(Leaf::WrongName));
    let certificate = CertificateDer::from_pem_file(&stolen.certificate).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(&own.key).expect("a key");
    let key = ring::sign::any_supported_type(&key).expect("a key that can sign");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(OneCertificate(Arc::new(CertifiedKey::new(vec![certificate], key)))));
    let server = FakeRedis::start(([127, 0, 0, 1], 0).into(), Some(Arc::new(config)), |_| Answer::line("+PONG"));
    let server = server.expect("a free port");
    let (failure, _) = tls_failure(&tls_plan(&certificates, server.address().port())).await;
    assert!(matches!(failure, TlsFailure::BadCertificate { .. }), "{failure:?}");
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn tls_without_trust_anchors_sends_nothing() {
    let certificates = Certificates::new();
    let (port, heard) = says("").await;
    for (file, says) in [("/nonexistent/ca.pem".into(), "No such file"), (certificates.leaf(Leaf::Good).key, "PEM")] {
        let plan = Plan { ca_file: Some(file), ..plan(port, true) };
        let (failure, facts) = tls_failure(&plan).await;
        assert!(matches!(&failure, TlsFailure::NoTrustAnchors { error } if error.contains(says)), "{failure:?}");
        assert_eq!(facts.certificate, None);
    }
    assert!(heard.lock().expect("no panic").is_empty());
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn tls_server_name_is_per_target() {
    let certificates = Certificates::new();
    let redis = Redis::tls(&certificates, &certificates.leaf(Leaf::WrongName), &[]);
    let mut plan = tls_plan(&certificates, redis.port);
    plan.target.server_name = HostName::parse("other.example.net").expect("a host name");
    let (phases, connection) = probe(&plan).await;
    assert!(phases.tls.is_done());
    assert_eq!(connection.tls.expect("TLS ran").server_name, "other.example.net");
}

// What cannot be agreed on.

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn tls_server_with_tls_1_1_only() {
    let certificates = Certificates::new();
    let settings = ["--tls-protocols", "TLSv1.1", "--tls-ciphers", "ALL:@SECLEVEL=0"];
    let redis = Redis::tls(&certificates, &certificates.leaf(Leaf::Good), &settings);
    let (failure, facts) = tls_failure(&tls_plan(&certificates, redis.port)).await;
    assert_eq!(failure, TlsFailure::NoSharedVersion);
    assert_eq!((facts.version, facts.certificate), (None, None));
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn tls_server_with_cbc_suites_only() {
    let certificates = Certificates::new();
    let settings = ["--tls-protocols", "TLSv1.2", "--tls-ciphers", "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384"];
    let redis = Redis::tls(&certificates, &certificates.leaf(Leaf::Good), &settings);
    let (failure, facts) = tls_failure(&tls_plan(&certificates, redis.port)).await;
    assert_eq!((failure, facts.certificate), (TlsFailure::NoSharedCipher, None));
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn tls_server_requires_client_certificate() {
    let certificates = Certificates::new();
    for version in ["TLSv1.2", "TLSv1.3"] {
        let settings = ["--tls-protocols", version, "--tls-auth-clients", "yes"];
        let redis = Redis::tls(&certificates, &certificates.leaf(Leaf::Good), &settings);
        for plan in
            [tls_plan(&certificates, redis.port), with_password(tls_plan(&certificates, redis.port), None, CANARY)]
        {
            let (failure, facts) = tls_failure(&plan).await;
            assert_eq!(failure, TlsFailure::ClientCertificateRequired, "{version}");
            assert!(facts.certificate.is_some() && facts.version.as_deref() == Some(version), "{facts:?}");
        }
    }
}

// What is no TLS.

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn tls_to_plaintext_redis() {
    for settings in [&["--requirepass", "something"] as &[&str], &[]] {
        let redis = Redis::plain(settings);
        let plan = with_password(plan(redis.port, true), None, CANARY);
        let begun = Instant::now();
        let (phases, _) = probe(&Plan { timeout: Duration::from_secs(2), ..plan }).await;
        let failure = phases.tls.failure().expect("no TLS there");
        assert!(matches!(failure, TlsFailure::NotTls { plain_redis: true, .. }), "{failure:?}");
        assert!(begun.elapsed() < Duration::from_secs(2));
        assert!(
            phases.tls.summary().took.is_some_and(|took| took.0 < Duration::from_millis(1_300)),
            "the look is not TLS"
        );
    }
}

#[tokio::test]
async fn tls_to_web_server() {
    let (port, _) = says("HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n").await;
    let (failure, _) = tls_failure(&plan(port, true)).await;
    let expected = TlsFailure::NotTls { received: "HTTP/1.1 400 Bad Request".to_owned(), plain_redis: false };
    assert_eq!(failure, expected);
}

#[tokio::test]
async fn tls_to_silent_port() {
    let port = scripted(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let certificates = Certificates::new(); // the platform's store is not read in that time on a busy machine
    let plan = Plan { timeout: Duration::from_millis(600), ..tls_plan(&certificates, port) };
    let (failure, _) = tls_failure(&plan).await;
    assert_eq!(failure, TlsFailure::Timeout { bytes_received: 0 });
}

#[tokio::test]
async fn tls_stalled_handshake_times_out() {
    let port = scripted(|mut stream| async move {
        let _ = stream.read(&mut [0; 2048]).await;
        let _ = stream.write_all(&[22, 3, 3, 0, 100, 2]).await;
        std::future::pending::<()>().await;
    })
    .await;
    let certificates = Certificates::new(); // the platform's store is not read in that time on a busy machine
    let plan = Plan { timeout: Duration::from_millis(600), ..tls_plan(&certificates, port) };
    let (failure, _) = tls_failure(&plan).await;
    assert_eq!(failure, TlsFailure::Timeout { bytes_received: 6 });
}

#[tokio::test]
async fn tls_port_closes() {
    let port = scripted(|mut stream| async move {
        let _ = stream.read(&mut [0; 2048]).await; // or closing would reset
    })
    .await;
    assert_eq!(tls_failure(&plan(port, true)).await.0, TlsFailure::Closed { bytes_received: 0 });
}

#[tokio::test]
async fn tls_port_resets() {
    let port = scripted(|stream| async move {
        stream.set_zero_linger().expect("an option");
        let _ = stream.readable().await;
    })
    .await;
    assert_eq!(tls_failure(&plan(port, true)).await.0, TlsFailure::Reset { bytes_received: 0 });
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn ping_max_clients_reached() {
    let certificates = Certificates::new();
    let redis = Redis::tls(&certificates, &certificates.leaf(Leaf::Good), &["--maxclients", "1"]);
    let _held = occupied(&redis);
    // Redis drops the connection before the handshake; a hello that it has not read makes that a reset.
    let (failure, _) = tls_failure(&tls_plan(&certificates, redis.port)).await;
    let (closed, reset) = (TlsFailure::Closed { bytes_received: 0 }, TlsFailure::Reset { bytes_received: 0 });
    assert!(failure == closed || failure == reset, "{failure:?}");

    let redis = Redis::plain(&["--maxclients", "1"]);
    let _held = occupied(&redis);
    assert_eq!(ping_failure(&plan(redis.port, false)).await, rejected("ERR", "max number of clients reached"));
}

// What Redis answers.

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn ping_server_is_loading() {
    let certificates = Certificates::new();
    let redis = Redis::loading(&certificates, &certificates.leaf(Leaf::Good), 20);
    let failure = ping_failure(&tls_plan(&certificates, redis.port)).await;
    assert_eq!(failure, rejected("LOADING", "Redis is loading the dataset in memory"));
}

#[tokio::test]
async fn redis_error_keeps_its_code() {
    for (line, code, message) in [
        ("-LOADING Redis is loading the dataset in memory\r\n", "LOADING", "Redis is loading the dataset in memory"),
        ("-MASTERDOWN Link with MASTER is down\r\n", "MASTERDOWN", "Link with MASTER is down"),
        ("-CLUSTERDOWN The cluster is down\r\n", "CLUSTERDOWN", "The cluster is down"),
        ("-MOVED 3999 10.0.0.5:15001\r\n", "MOVED", "3999 10.0.0.5:15001"),
        ("-ERR odd \u{1b}[2J\r\n", "ERR", "odd \\u{1b}[2J"),
    ] {
        assert_eq!(ping_failure(&plan(says(line).await.0, false)).await, rejected(code, message));
    }
}

#[tokio::test]
async fn ping_invalid_reply() {
    for (line, expected) in [
        ("+OK\r\n", RedisFailure::UnexpectedReply { reply: "OK".into() }),
        ("*0\r\n", RedisFailure::UnexpectedReply { reply: "an array of 0".into() }),
        ("220 mail ESMTP\r\n", RedisFailure::NotRedis { error: "it begins with \"220 mail ESMTP\\r\\n\"".into() }),
        (
            "\u{15}\u{3}\u{3}",
            RedisFailure::NotRedis { error: "it begins with a TLS alert: the port speaks TLS".into() },
        ),
    ] {
        assert_eq!(ping_failure(&plan(says(line).await.0, false)).await, expected);
    }
    let port = scripted(|mut stream| async move {
        let _ = stream.read(&mut [0; 64]).await;
        while stream.write_all(&[b'+'; 4096]).await.is_ok() {}
    })
    .await;
    assert_eq!(ping_failure(&plan(port, false)).await, RedisFailure::TooLong { limit: 65_536 });
}

#[tokio::test]
async fn ping_timeout_close_or_reset() {
    let port = scripted(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let silent = Plan { timeout: Duration::from_millis(600), ..plan(port, false) };
    assert_eq!(ping_failure(&silent).await, RedisFailure::Timeout);
    let port = scripted(|mut stream| async move {
        let _ = stream.read(&mut [0; 64]).await;
    })
    .await;
    assert_eq!(ping_failure(&plan(port, false)).await, RedisFailure::Closed);
    let port = scripted(|stream| async move {
        stream.set_zero_linger().expect("an option");
        let _ = stream.readable().await;
    })
    .await;
    assert_eq!(ping_failure(&plan(port, false)).await, RedisFailure::Reset);
}

#[tokio::test]
async fn connection_later_failure_keeps_facts() {
    let port = scripted(|mut stream| async move {
        for _ in 0..2 {
            let _ = stream.read(&mut [0; 64]).await;
            let _ = stream.write_all(b"+PONG\r\n").await;
        }
        let _ = stream.read(&mut [0; 64]).await;
    })
    .await;
    let (phases, connection) = probe(&Plan { samples: 5, ..plan(port, false) }).await;
    assert_eq!(phases.ping.failure(), Some(&RedisFailure::Closed));
    assert_eq!(connection.ping.expect("two replies").samples, 2);
}

#[tokio::test]
async fn ping_samples_stop_at_the_limit() {
    let port = scripted(|mut stream| async move {
        while let Ok(1..) = stream.read(&mut [0; 64]).await {
            tokio::time::timeout(Duration::from_millis(5), std::future::pending::<()>())
                .await
                .expect_err("a slow reply");
            let _ = stream.write_all(b"+PONG\r\n").await;
        }
    })
    .await;
    let plan = Plan { samples: 10_000, timeout: Duration::from_secs(2), ..plan(port, false) };
    let (phases, connection) = probe(&plan).await;
    assert!(phases.ping.is_done(), "{:?}", phases.ping);
    assert!((2..10_000).contains(&connection.ping.expect("some replies").samples));
}

// The rest.

#[tokio::test]
async fn tcp_refused() {
    let (phases, connection) = probe(&plan(free_port(), true)).await;
    assert_eq!(phases.connect.failure(), Some(&ConnectFailure::Refused));
    assert_eq!(phases.tls, Phase::NotReached { stopped_by: StoppedBy::Connect });
    assert_eq!((connection.source, connection.tls), (None, None));
}

#[tokio::test]
async fn tcp_without_address() {
    let (_handle, interrupt) = Interrupt::new();
    let budget = Budget::new(Duration::from_secs(5), interrupt);
    let ConnectionOutcome { phases, .. } = Connector::new().connect(&plan(6380, true), &[], &budget).await;
    assert_eq!(phases, ConnectionPhases::not_reached(StoppedBy::Resolve));
}

#[tokio::test]
async fn connection_interrupt_keeps_facts() {
    let accepted = Arc::new(tokio::sync::Notify::new());
    let accepts = Arc::clone(&accepted);
    let port = scripted(move |stream| {
        accepts.notify_one();
        async move {
            let _held = stream;
            std::future::pending::<()>().await;
        }
    })
    .await;
    for tls in [true, false] {
        let (handle, interrupt) = Interrupt::new();
        let budget = Budget::new(Duration::from_secs(60), interrupt);
        let connector = Connector::new();
        let (plan, addresses) = (plan(port, tls), ["127.0.0.1".parse().expect("an address")]);
        let (result, ()) = tokio::join!(connector.connect(&plan, &addresses, &budget), async {
            accepted.notified().await;
            handle.raise();
        });
        let interrupted = Phase::NotReached { stopped_by: StoppedBy::Interrupt };
        assert!(result.phases.connect.is_done());
        assert_eq!(result.phases.ping, interrupted);
        if tls {
            assert_eq!(result.phases.tls, Phase::NotReached { stopped_by: StoppedBy::Interrupt });
        }
    }
}
