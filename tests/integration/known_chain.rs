//! A chain that was verified is not verified again: what every handshake judges all the same.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use redpath::address::parse_range;
use redpath::observation::TlsFailure;
use redpath::plan::Plan;
use redpath::probe::budget::{Budget, Interrupt};
use redpath::probe::connection::Connector;
use redpath::target::{HostName, Target};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

use crate::support::certificates::{Certificates, Leaf, NAME};
use crate::support::fake_redis::{Answer, Event, FakeRedis};

/// Shows one certificate, with whatever key.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesServerCert for Shows {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// A Redis with this certificate and that key.
fn server(certificate: &Path, key: &Path) -> FakeRedis {
    let certificate = CertificateDer::from_pem_file(certificate).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(key).expect("a key");
    let key = ring::sign::any_supported_type(&key).expect("a key that can sign");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Shows(Arc::new(CertifiedKey::new(vec![certificate], key)))));
    let script = |event: Event<'_>| match event {
        Event::Connected => Answer::Send(Vec::new()),
        Event::Command { .. } => Answer::line("+PONG"),
    };
    FakeRedis::start("127.0.0.1:0".parse().expect("an address"), Some(Arc::new(config)), script).expect("a free port")
}

/// How the handshake failed, where it did.
async fn failure(connector: &Connector, plan: &Plan) -> Option<TlsFailure> {
    let (_handle, interrupt) = Interrupt::new();
    let budget = Budget::new(Duration::from_secs(20), interrupt);
    let (phases, _) = connector.connect(plan, &["127.0.0.1".parse().expect("an address")], &budget).await;
    assert!(phases.tls.is_done() || phases.tls.failure().is_some(), "{phases:?}");
    phases.tls.failure().cloned()
}

#[tokio::test]
async fn the_name_the_key_and_the_anchors_are_judged_each_time() {
    let certificates = Certificates::new();
    let (leaf, another) = (certificates.leaf(Leaf::Good), certificates.leaf(Leaf::WrongName));
    let honest = server(&leaf.certificate, &leaf.key);
    let plan = |port: u16, certificates: &Certificates| {
        let mut plan = Plan::new(Target::new(HostName::parse(NAME).expect("a host name"), Some(port), true));
        plan.expectation.private_ranges = vec![parse_range("127.0.0.0/8").expect("a range")];
        Plan { ca_file: Some(certificates.ca_file()), ..plan }
    };
    let good = plan(honest.address().port(), &certificates);
    let connector = Connector::new();
    for _ in 0..2 {
        assert_eq!(failure(&connector, &good).await, None);
    }
    let mut other_name = good.clone();
    other_name.target.server_name = HostName::parse("other.example.org").expect("a host name");
    let failed = failure(&connector, &other_name).await;
    assert!(matches!(failed, Some(TlsFailure::NameMismatch { .. })), "{failed:?}");

    // Everybody has the certificate; the key, its owner alone.
    let impostor = server(&leaf.certificate, &another.key);
    let failed = failure(&connector, &plan(impostor.address().port(), &certificates)).await;
    assert!(matches!(failed, Some(TlsFailure::BadCertificate { .. })), "{failed:?}");

    let others = Certificates::new();
    let failed = failure(&connector, &plan(honest.address().port(), &others)).await;
    assert!(matches!(failed, Some(TlsFailure::UntrustedIssuer { .. })), "{failed:?}");
    assert_eq!(failure(&connector, &good).await, None, "and it is known as before");
}
