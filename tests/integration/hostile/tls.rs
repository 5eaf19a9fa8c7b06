//! TLS servers that stall, flood, end too early, and show certificates that are huge or broken.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use redpath::address::parse_range;
use redpath::observation::{ConnectionPhases, Phase};
use redpath::plan::Plan;
use redpath::probe::budget::{Budget, Interrupt};
use redpath::probe::connection::Connector;
use redpath::target::{HostName, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{ServerConfig, version};

use super::peer::{Peer, tcp};
use crate::support::background::Background;
use crate::support::certificates::{Certificates, Files, Leaf, NAME};
use crate::support::fake_redis::{Answer, Event, FakeRedis};

const HANDSHAKE: u8 = 22;

pub(super) fn peers(certificates: &Certificates) -> Vec<Peer> {
    let good = certificates.leaf(Leaf::Good);
    let leaf = CertificateDer::from_pem_file(&good.certificate).expect("a certificate");
    let untrusted: &[&str] = &["tls_untrusted_issuer", "tls_failed"];
    vec![
        flood("flood-of-nothing", Vec::new(), vec![0; 16_384], &["tls_not_spoken", "tls_failed"]),
        flood(
            "flood-of-handshake-messages",
            record(HANDSHAKE, &[2, 0xff, 0xff, 0xff]),
            record(HANDSHAKE, &[7; 16_384]),
            &["tls_failed", "tls_timeout"],
        ),
        flood("flood-of-change-cipher-spec", Vec::new(), record(20, &[1]), &["tls_failed", "tls_timeout"]),
        flood("flood-of-warnings", Vec::new(), record(21, &[1, 90]), &["tls_failed", "tls_timeout"]),
        flood("flood-of-empty-records", Vec::new(), record(HANDSHAKE, &[]), &["tls_failed", "tls_timeout"]),
        dribble(),
        // What is in these is never believed, and their names are not kept beyond a bound.
        showing("certificate-of-60-KiB", certified(vec![huge()]), untrusted),
        showing("certificate-of-200-KiB", certified(vec![huge(), huge(), huge(), huge()]), &["tls_failed"]),
        showing("certificate-that-is-none", certified(vec![vec![0x30; 4_000]]), &["tls_failed"]),
        showing("certificate-cut-short", certified(vec![leaf[..leaf.len() / 2].to_vec()]), &["tls_failed"]),
        showing(
            "a-hundred-intermediates",
            certified((0..100).map(|_| leaf.to_vec()).collect()),
            &["tls_failed", "tls_untrusted_issuer"],
        ),
        showing("no-certificate-at-all", certified(Vec::new()), &["tls_failed"]),
    ]
}

/// Cuts the stream of an honest server after every so many bytes, by silence, by a close and by a reset: the
/// handshake ends as what was done to it, and what comes after it is Redis' failure and no longer TLS'.
#[tokio::test]
async fn tls_handshake_cut_at_each_step() {
    let certificates = Certificates::new();
    for (version, name) in [(&version::TLS13, "TLS 1.3"), (&version::TLS12, "TLS 1.2")] {
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .expect("a version")
            .with_no_client_auth();
        let (chain, key) = certificate_and_key(&certificates.leaf(Leaf::Good));
        let config = Arc::new(config.with_single_cert(chain, key).expect("a certificate that fits its key"));
        let server = FakeRedis::start("127.0.0.1:0".parse().unwrap(), Some(config), pong).expect("a free port");
        let whole = flight(server.address()).await;
        for end in [End::Stall, End::Close, End::Reset] {
            let looks = (0..whole).step_by(61).map(|bytes| {
                let (port, proxy) = cutting(server.address(), bytes, end);
                let plan = plan(&certificates, port);
                tokio::spawn(async move {
                    let phases = look(&plan).await;
                    drop(proxy);
                    (bytes, phases)
                })
            });
            let mut in_redis = false;
            for looked in looks.collect::<Vec<_>>() {
                let (bytes, phases) = looked.await.expect("no panic");
                let told = told(&phases);
                in_redis |= !told.starts_with("tls");
                let place = format!("{name}, {end:?} after {bytes} of {whole} bytes: {told}");
                assert_eq!(in_redis, !told.starts_with("tls"), "once TLS is done, it is done: {place}");
                let right = match end {
                    End::Stall => told.contains("Timeout"),
                    End::Close => told.contains("Closed"),
                    End::Reset => told.contains("Reset"),
                };
                assert!(right, "{place}");
            }
        }
    }
}

/// How a stream is cut.
#[derive(Clone, Copy, Debug)]
enum End {
    Stall,
    Close,
    Reset,
}

fn plan(certificates: &Certificates, port: u16) -> Plan {
    let mut plan = Plan::new(Target::new(HostName::parse(NAME).expect("a host name"), Some(port), true));
    plan.expectation.private_ranges = vec![parse_range("127.0.0.0/8").expect("a range")];
    plan.ca_file = Some(certificates.ca_file());
    plan.timeout = Duration::from_secs(3);
    plan.cluster = redpath::plan::ClusterMode::Off;
    plan
}

async fn look(plan: &Plan) -> ConnectionPhases {
    let (_handle, interrupt) = Interrupt::new();
    let budget = Budget::new(plan.timeout, interrupt);
    Connector::new().connect(plan, &["127.0.0.1".parse().expect("an address")], &budget).await.phases
}

/// The phase that failed, and how.
fn told(phases: &ConnectionPhases) -> String {
    fn failure<F: Debug>(name: &str, phase: &Phase<F>) -> Option<String> {
        match phase {
            Phase::Failed { failure, .. } => Some(format!("{name}: {failure:?}")),
            _ => None,
        }
    }
    // A reset may come before the client has looked at its own connection: that is a failure to connect.
    let connect = failure("tls, or before it", &phases.connect);
    connect
        .or_else(|| failure("tls", &phases.tls))
        .or_else(|| failure("ping", &phases.ping))
        .unwrap_or_else(|| "nothing failed".to_owned())
}

/// How many bytes an honest server sends up to its reply to `PING`, and not all of that.
async fn flight(server: SocketAddr) -> usize {
    let certificates = Certificates::new(); // another authority: the handshake goes as far as the judgement
    let (port, proxy) = cutting(server, usize::MAX, End::Stall);
    let _ = look(&plan(&certificates, port)).await;
    proxy.sent()
}

/// A proxy that passes on so many bytes of what the server says, and then ends as it is told.
fn cutting(server: SocketAddr, bytes: usize, end: End) -> (u16, Proxy) {
    let sent = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = sent.clone();
    let (port, background) = tcp(move |client| {
        let counter = counter.clone();
        async move {
            let server = TcpStream::connect(server).await.expect("the server listens");
            let (mut from_server, mut to_server) = server.into_split();
            let (mut from_client, mut to_client) = client.into_split();
            let up = tokio::spawn(async move {
                let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
                from_client
            });
            let mut left = bytes;
            let mut buffer = [0; 4096];
            while left > 0 {
                let room = left.min(buffer.len());
                let Ok(count @ 1..) = from_server.read(&mut buffer[..room]).await else { return };
                if to_client.write_all(&buffer[..count]).await.is_err() {
                    return;
                }
                counter.fetch_add(count, std::sync::atomic::Ordering::Relaxed);
                left -= count;
            }
            match end {
                End::Stall => std::future::pending().await,
                End::Close => {
                    let _ = to_client.shutdown().await;
                    // Until the client has gone: bytes unread at the end would make it a reset.
                    let _ = up.await;
                }
                End::Reset => {
                    up.abort();
                    let _ = up.await;
                    let _ = to_client.as_ref().set_zero_linger();
                    to_client.forget(); // dropping it would shut the stream down first
                }
            }
        }
    });
    (port, Proxy { sent, _background: background })
}

struct Proxy {
    sent: Arc<std::sync::atomic::AtomicUsize>,
    _background: Background,
}

impl Proxy {
    fn sent(&self) -> usize {
        self.sent.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// A server that reads the hello, says `first`, and then `again` without end.
fn flood(name: &'static str, first: Vec<u8>, again: Vec<u8>, causes: &'static [&'static str]) -> Peer {
    let again = Arc::new(again);
    let (port, server) = tcp(move |mut stream| {
        let (first, again) = (first.clone(), again.clone());
        async move {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(&first).await;
            while stream.write_all(&again).await.is_ok() {}
        }
    });
    Peer::at(name, port, server, causes)
}

/// A server whose records have no end, a byte a second.
fn dribble() -> Peer {
    let (port, server) = tcp(|mut stream| async move {
        let mut each = tokio::time::interval(Duration::from_secs(1));
        for byte in [HANDSHAKE, 3, 3, 0x40, 0].into_iter().chain(std::iter::repeat(2)) {
            each.tick().await;
            if stream.write_all(&[byte]).await.is_err() {
                return;
            }
        }
    });
    Peer::at("handshake-of-a-byte-a-second", port, server, &["tls_timeout"])
}

/// A server that shows these certificates, whatever they are.
fn showing(name: &'static str, certificates: CertifiedKey, causes: &'static [&'static str]) -> Peer {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Always(Arc::new(certificates))));
    let server = FakeRedis::start("127.0.0.1:0".parse().unwrap(), Some(Arc::new(config)), pong).expect("a free port");
    Peer::at(name, server.address().port(), server, causes)
}

fn pong(_: Event<'_>) -> Answer {
    Answer::Send(Vec::new())
}

/// Shows the same to everyone.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

fn certified(chain: Vec<Vec<u8>>) -> CertifiedKey {
    let key = KeyPair::generate().expect("a key");
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let key = ring::default_provider().key_provider.load_private_key(key).expect("a key that signs");
    CertifiedKey::new(chain.into_iter().map(CertificateDer::from).collect(), key)
}

/// A certificate for three thousand names.
fn huge() -> Vec<u8> {
    let names: Vec<String> = (0..1_900).map(|number| format!("name-{number}.of-a-long-list.example.net")).collect();
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(names).expect("names");
    params.self_signed(&key).expect("a certificate").der().to_vec()
}

/// A record of TLS: its type and what is in it (RFC 8446, 5.1).
fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a record").to_be_bytes();
    [&[kind, 3, 3], &length[..], content].concat()
}

fn certificate_and_key(files: &Files) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let read = |path: &Path| CertificateDer::from_pem_file(path).expect("a certificate");
    (vec![read(&files.certificate)], PrivateKeyDer::from_pem_file(&files.key).expect("a key"))
}
