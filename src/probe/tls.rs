//! The tls phase: SNI and verification by the target's server name. The facts are kept also where the handshake
//! fails.
//!
//! A failed verification fails the handshake, so that no byte of Redis ever goes over an unverified stream.

mod alert;
mod certificate;
mod plain_redis;
mod received;
mod record;
mod recorder;
mod trust_store;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::AlertDescription;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
#[cfg(any(test, feature = "fuzzing"))]
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};

pub(super) use self::alert::{alert_in, alert_name};
pub(super) use self::plain_redis::detect_plain_redis;
use self::received::iana_name;
use self::record::{HandshakeRecord, NoCertificate, RecordingVerifier};
use self::recorder::RecordingStream;
pub(super) use self::trust_store::TrustAnchors;
use self::trust_store::TrustStores;
use super::budget::{Budget, StopReason};
use super::socket_timestamps::{CountersOfStream, Unacknowledged};
use crate::lock::lock;
#[cfg(any(test, feature = "fuzzing"))]
use crate::observation::tls::{CertificateChecks, CertificateFacts, IntermediateFacts};
use crate::observation::tls::{TlsFacts, TlsFailure};
use crate::target::HostName;

/// A verified stream.
pub(super) type Stream<S> = TlsStream<RecordingStream<S>>;

impl<S: CountersOfStream> CountersOfStream for Stream<S> {
    fn unacknowledged(&self) -> Option<Unacknowledged> {
        self.get_ref().0.inner().unacknowledged()
    }
}

/// The most bytes that are recorded of what is not TLS.
const MAX_EXCERPT: usize = 32;

/// The client's side of TLS, shared by all targets.
#[derive(Clone)]
pub(super) struct Tls {
    stores: Arc<TrustStores>,
}

/// Why there is no verified stream.
pub(super) enum TlsError {
    /// The handshake failed.
    Failed(Box<TlsFailure>),
    /// A limit of this machine kept the trust anchors from being read.
    LocalLimit,
    /// The probe was interrupted.
    Interrupted,
}

impl From<TlsFailure> for TlsError {
    fn from(failure: TlsFailure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

impl Tls {
    /// Reads nothing yet.
    pub(super) fn new() -> Self {
        Self { stores: Arc::new(TrustStores::new(Arc::new(ring::default_provider()))) }
    }

    /// The trust anchors, which a probe reads before its handshake begins.
    pub(super) async fn trust_anchors(
        &self,
        ca_file: Option<&Path>,
        budget: &Budget,
    ) -> Result<Arc<TrustAnchors>, TlsError> {
        match budget.phase(self.stores.get(ca_file)).await {
            Ok(Ok(Ok(anchors))) => Ok(anchors),
            Ok(Ok(Err(_))) => Err(TlsError::LocalLimit),
            Ok(Err(error)) => Err(TlsFailure::NoTrustAnchors { error }.into()),
            Err(StopReason::Timeout) => {
                Err(TlsFailure::NoTrustAnchors { error: "reading them took too long".to_owned() }.into())
            }
            Err(StopReason::Interrupt) => Err(TlsError::Interrupted),
        }
    }
}

/// What came of a handshake.
pub(super) struct Handshake<S> {
    /// A verified stream, or why there is none.
    pub(super) result: Result<Stream<S>, TlsError>,
    /// What it showed either way.
    pub(super) facts: TlsFacts,
    /// When the ClientHello was ready to be sent.
    pub(super) begun: Instant,
    /// From then until the client's Finished was sent, or it failed.
    pub(super) took: Duration,
}

impl TrustAnchors {
    /// The handshake with the server at the other end of `tcp`.
    pub(super) async fn handshake<S: AsyncRead + AsyncWrite + CountersOfStream + Unpin>(
        &self,
        server_name: &HostName,
        tcp: S,
        budget: &Budget,
    ) -> Handshake<S> {
        let facts = TlsFacts {
            server_name: server_name.as_str().to_owned(),
            trust: Some(self.source),
            trust_anchors: Some(self.roots.len()),
            ..TlsFacts::default()
        };
        let name = match ServerName::try_from(server_name.as_str().to_owned()) {
            Ok(name) => name,
            Err(error) => {
                let error = format!("\"{server_name}\" cannot be verified by TLS: {error}");
                let result = Err(TlsFailure::Other { error }.into());
                return Handshake { result, facts, begun: Instant::now(), took: Duration::ZERO };
            }
        };
        let record = Arc::new(Mutex::new(HandshakeRecord::default()));
        let mut config = self.config.clone();
        let verifier = RecordingVerifier::new(Arc::clone(&self.verifier), Arc::clone(&record));
        config.dangerous().set_certificate_verifier(Arc::new(verifier));
        config.client_auth_cert_resolver = Arc::new(NoCertificate::new(Arc::clone(&record)));
        let connector = TlsConnector::from(Arc::new(config));
        let stream = RecordingStream::new(tcp, Arc::clone(&record));
        let mut handshake = connector.connect(name.clone(), stream); // makes the ClientHello, and the first poll sends it
        let begun = Instant::now();
        let result = budget.phase(&mut handshake).await;
        let took = begun.elapsed();
        let record = lock(&record);
        let mut facts = record.facts(&self.roots, &name, facts);
        let failure = match result {
            Ok(Ok(stream)) => {
                if facts.cipher.is_none() {
                    let session = stream.get_ref().1;
                    facts.version = session.protocol_version().map(|version| format!("{version:?}").replace('_', "."));
                    facts.cipher = session.negotiated_cipher_suite().map(|suite| iana_name(suite.suite()));
                }
                facts.verified = true;
                return Handshake { result: Ok(stream), facts, begun, took };
            }
            Ok(Err(error)) => record.failure(&error, &self.roots, &facts),
            Err(StopReason::Timeout) => {
                facts.tcp = handshake.get_ref().and_then(|stream| stream.inner().counters());
                record.timeout()
            }
            Err(StopReason::Interrupt) => return Handshake { result: Err(TlsError::Interrupted), facts, begun, took },
        };
        Handshake { result: Err(failure.into()), facts, begun, took }
    }

    /// The facts and checks of a chain that a server called `name` shows at that time, in seconds since 1970; `None`
    /// where the chain is empty, or no certificate can be for that name.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn read_chain(
        &self,
        chain: &[CertificateDer<'static>],
        name: &HostName,
        at: u64,
    ) -> Option<(CertificateFacts, Vec<IntermediateFacts>, CertificateChecks)> {
        let name = ServerName::try_from(name.as_str()).ok()?;
        let (leaf, others) = chain.split_first()?;
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
        let checks = certificate::checks(&self.roots, chain, &name, at);
        Some((certificate::facts(leaf), certificate::intermediates(others), checks))
    }
}

/// The failure of the tls phase where the server's alert came after the handshake was done here:
/// in TLS 1.3 the client is done before the server has verified it (RFC 8446, 4.4.2.4).
pub(super) fn late_alert<S>(stream: &Stream<S>, alert: AlertDescription) -> TlsFailure {
    stream.get_ref().0.record().alert(alert)
}
