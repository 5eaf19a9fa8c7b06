//! The tls phase: SNI and verification by the target's server name, and whatever is learned kept
//! also where the handshake fails.
//!
//! A failed verification fails the handshake, so that no byte of Redis ever goes over an unverified
//! stream. Which failure it is called, when several hold at once: a certificate that is not trusted
//! proves nothing of what it says, so trust comes first (another issuer's certificate is most often
//! a middlebox's); then the name, since a wrong name is another server; then the time.

mod alert;
mod certificate;
mod recorder;
mod trust_store;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, DigitallySignedStruct, Error, OtherError, PeerIncompatible, SignatureScheme,
};

pub(super) use self::alert::{alert_in, alert_name};
use self::recorder::{Received, Wire, iana_name, locked};
use self::trust_store::{Trust, TrustStores};
use super::budget::{Budget, StopReason};
use super::escape;
use crate::observation::tls::{CertificateChecks, TlsFacts, TlsFailure};
#[cfg(any(test, feature = "fuzzing"))]
use crate::observation::tls::{CertificateFacts, IntermediateFacts};
use crate::target::HostName;

/// A verified stream.
pub(super) type Stream<S> = TlsStream<Wire<S>>;

/// How much of what is not TLS is shown.
const SHOWN: usize = 32;

/// The longest that the extra look for plain Redis may take.
const PLAIN_LOOK: Duration = Duration::from_secs(1);

/// The client's side of TLS, shared by all targets.
#[derive(Clone)]
pub(super) struct Tls {
    stores: Arc<TrustStores>,
}

/// Why there is no verified stream.
pub(super) enum TlsError {
    /// The handshake failed.
    Failed(Box<TlsFailure>),
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
    pub(super) async fn trust(&self, ca_file: Option<&Path>, budget: &Budget) -> Result<Anchors, TlsError> {
        match budget.phase(self.stores.get(ca_file)).await {
            Ok(Ok(trust)) => Ok(Anchors(trust)),
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

/// Trust anchors that are ready for a handshake.
pub(super) struct Anchors(Arc<Trust>);

impl Anchors {
    /// The handshake with the server at the other end of `tcp`, and what it showed either way.
    pub(super) async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        server_name: &HostName,
        tcp: S,
        budget: &Budget,
    ) -> Handshake<S> {
        let trust = &self.0;
        let mut facts =
            TlsFacts { server_name: server_name.as_str().to_owned(), trust: Some(trust.source), ..TlsFacts::default() };
        let name = match ServerName::try_from(server_name.as_str().to_owned()) {
            Ok(name) => name,
            Err(error) => {
                let error = format!("\"{server_name}\" cannot be verified by TLS: {error}");
                let result = Err(TlsFailure::Other { error }.into());
                return Handshake { result, facts, begun: Instant::now(), took: Duration::ZERO };
            }
        };
        let seen = Arc::new(Mutex::new(HandshakeRecord::default()));
        let mut config = trust.config.clone();
        let verifier = RecordingVerifier { trust: Arc::clone(trust), seen: Arc::clone(&seen) };
        config.dangerous().set_certificate_verifier(Arc::new(verifier));
        config.client_auth_cert_resolver = Arc::new(NoCertificate { seen: Arc::clone(&seen) });
        let connector = TlsConnector::from(Arc::new(config));
        let wire = Wire::new(tcp, Arc::clone(&seen));
        let handshake = connector.connect(name.clone(), wire); // the ClientHello is made here, and sent by the first poll
        let begun = Instant::now();
        let result = budget.phase(handshake).await;
        let took = begun.elapsed();
        let seen = locked(&seen);
        seen.describe(trust, &name, &mut facts);
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
            Ok(Err(error)) => seen.failure(&error, trust, &facts),
            Err(StopReason::Timeout) => TlsFailure::Timeout { bytes_received: seen.received.bytes },
            Err(StopReason::Interrupt) => return Handshake { result: Err(TlsError::Interrupted), facts, begun, took },
        };
        Handshake { result: Err(seen.unless_not_tls(failure).into()), facts, begun, took }
    }
}

impl Anchors {
    /// What the record keeps of a chain that a server called `name` could show at that time, in seconds
    /// since 1970; `None` where the chain is empty, or no certificate can be for that name.
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
        let checks = certificate::checks(&self.0.roots, chain, &name, at);
        Some((certificate::facts(leaf), certificate::intermediates(others), checks))
    }
}

/// The failure of the tls phase where the server's alert came after the handshake was done here:
/// in TLS 1.3 the client is done before the server has judged it (RFC 8446, 4.4.2.4).
pub(super) fn refused_late<S>(stream: &Stream<S>, alert: AlertDescription) -> TlsFailure {
    stream.get_ref().0.seen().alert(alert)
}

/// A second look at a port that was silent to TLS, or answered something else: plain Redis waits
/// for the line end that a ClientHello need not have, and answers a plain `PING` at once. Nothing
/// else is ever sent there.
pub(super) async fn look_for_plain_redis(address: SocketAddr, failure: TlsFailure, budget: &Budget) -> TlsFailure {
    let worth_it = match &failure {
        TlsFailure::Timeout { bytes_received: 0 } | TlsFailure::NotTls { plain_redis: false, .. } => true,
        TlsFailure::Timeout { .. }
        | TlsFailure::NotTls { plain_redis: true, .. }
        | TlsFailure::Closed { .. }
        | TlsFailure::Reset { .. }
        | TlsFailure::NameMismatch { .. }
        | TlsFailure::CertificateExpired { .. }
        | TlsFailure::CertificateNotYetValid { .. }
        | TlsFailure::UntrustedIssuer { .. }
        | TlsFailure::BadCertificate { .. }
        | TlsFailure::NoSharedVersion
        | TlsFailure::NoSharedCipher
        | TlsFailure::ClientCertificateRequired
        | TlsFailure::Alert { .. }
        | TlsFailure::NoTrustAnchors { .. }
        | TlsFailure::Other { .. } => false,
    };
    if !worth_it {
        return failure;
    }
    let answer = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(b"PING\r\n").await.ok()?;
        let mut line = Vec::new();
        let mut limited = (&mut stream).take(256);
        while !line.ends_with(b"\r\n") && limited.read_buf(&mut line).await.is_ok_and(|count| count > 0) {}
        let _ = stream.shutdown().await;
        Some(line)
    };
    match budget.within(PLAIN_LOOK, answer).await {
        Ok(Some(line)) if is_redis_line(&line) => {
            TlsFailure::NotTls { received: escape::of_bytes(line.trim_ascii_end(), SHOWN), plain_redis: true }
        }
        Ok(_) | Err(StopReason::Timeout | StopReason::Interrupt) => failure,
    }
}

/// Whether `bytes` begin as Redis answers a `PING`: `+PONG`, or an error such as `-NOAUTH`.
fn is_redis_line(bytes: &[u8]) -> bool {
    bytes.starts_with(b"+PONG")
        || bytes.strip_prefix(b"-").is_some_and(|rest| {
            let word = rest.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
            word >= 3 && rest.get(word) == Some(&b' ')
        })
}

/// What was seen of a handshake while it ran.
#[derive(Default)]
struct HandshakeRecord {
    received: Received,
    chain: Vec<CertificateDer<'static>>,
    judged_at: Option<UnixTime>,
    verification: Option<Result<(), Error>>,
    certificate_wanted: bool,
}

impl HandshakeRecord {
    fn is_verified(&self) -> bool {
        matches!(self.verification, Some(Ok(())))
    }

    /// Whether the server, itself verified, asked for a certificate and was given none.
    fn wanted_in_vain(&self) -> bool {
        self.certificate_wanted && self.is_verified()
    }

    /// Writes down what the server showed of itself.
    fn describe(&self, trust: &Trust, name: &ServerName<'_>, facts: &mut TlsFacts) {
        if let Some((version, cipher)) = self.received.server_hello() {
            facts.version = Some(version);
            facts.cipher = Some(cipher);
        }
        let Some((leaf, others)) = self.chain.split_first() else { return };
        facts.certificate = Some(certificate::facts(leaf));
        facts.intermediates = certificate::intermediates(others);
        facts.verified = self.is_verified();
        facts.checks = Some(if self.is_verified() {
            CertificateChecks { trusted: true, in_date: true, name_matches: true }
        } else {
            certificate::checks(&trust.roots, &self.chain, name, self.judged_at.unwrap_or_else(UnixTime::now))
        });
    }

    fn failure(&self, error: &io::Error, trust: &Trust, facts: &TlsFacts) -> TlsFailure {
        let bytes_received = self.received.bytes;
        if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            return self.protocol_failure(error, trust, facts);
        }
        match error.kind() {
            // It asked, was given none, and hung up: the reset overtook the alert, or there was none.
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
                if self.wanted_in_vain() =>
            {
                TlsFailure::ClientCertificateRequired
            }
            io::ErrorKind::UnexpectedEof => TlsFailure::Closed { bytes_received },
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
                TlsFailure::Reset { bytes_received }
            }
            io::ErrorKind::TimedOut => TlsFailure::Timeout { bytes_received },
            _ => TlsFailure::Other { error: error.to_string() },
        }
    }

    fn protocol_failure(&self, error: &Error, trust: &Trust, facts: &TlsFacts) -> TlsFailure {
        match error {
            Error::AlertReceived(alert) => self.alert(*alert),
            Error::InvalidCertificate(error) => self.certificate_failure(error, trust, facts),
            Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                | PeerIncompatible::SupportedVersionsExtensionRequired,
            ) => TlsFailure::NoSharedVersion,
            Error::PeerIncompatible(
                PeerIncompatible::NoCipherSuitesInCommon | PeerIncompatible::NoKxGroupsInCommon,
            ) => TlsFailure::NoSharedCipher,
            other => TlsFailure::Other { error: escape::of_text(&other.to_string(), 256) },
        }
    }

    fn alert(&self, alert: AlertDescription) -> TlsFailure {
        match alert {
            AlertDescription::ProtocolVersion => TlsFailure::NoSharedVersion,
            AlertDescription::CertificateRequired => TlsFailure::ClientCertificateRequired,
            AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity if self.chain.is_empty() => {
                TlsFailure::NoSharedCipher
            }
            AlertDescription::HandshakeFailure
            | AlertDescription::BadCertificate
            | AlertDescription::NoCertificate
            | AlertDescription::CertificateUnknown
                if self.wanted_in_vain() =>
            {
                TlsFailure::ClientCertificateRequired
            }
            other => TlsFailure::Alert { alert: alert_name(other) },
        }
    }

    /// The deepest of the certificate's faults; the module's head has the order and its reason.
    fn certificate_failure(&self, error: &CertificateError, trust: &Trust, facts: &TlsFacts) -> TlsFailure {
        let broken = || TlsFailure::BadCertificate { error: escape::of_text(&fault(error), 256) };
        let (Some(checks), Some(certificate), Some(leaf)) = (facts.checks, &facts.certificate, self.chain.first())
        else {
            return broken();
        };
        if self.is_verified() {
            return broken(); // the chain is good and the handshake's signature is not
        }
        let untrusted = || TlsFailure::UntrustedIssuer { issuer: certificate.issuer.clone() };
        let of_time = certificate::is_validity_error(&Error::InvalidCertificate(error.clone()));
        match error {
            // An anchor's name over another key's signature is no anchor's certificate.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => untrusted(),
            CertificateError::Other(_) if !checks.trusted && !certificate::issuer_is_an_anchor(&trust.roots, leaf) => {
                untrusted()
            }
            _ if of_time && !checks.trusted => untrusted(),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TlsFailure::NameMismatch { expected: facts.server_name.clone(), presented: certificate.sans.clone() }
            }
            _ if of_time && !checks.name_matches => {
                TlsFailure::NameMismatch { expected: facts.server_name.clone(), presented: certificate.sans.clone() }
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                TlsFailure::CertificateExpired { not_after: certificate.not_after.filter(|end| self.is_over(*end)) }
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                let not_before = certificate.not_before.filter(|begin| !self.is_over(*begin));
                TlsFailure::CertificateNotYetValid { not_before }
            }
            _ => broken(),
        }
    }

    /// Whether `time` lay in the past when the certificate was judged.
    fn is_over(&self, time: crate::clock::Timestamp) -> bool {
        let now = self.judged_at.unwrap_or_else(UnixTime::now).as_secs();
        time.unix_seconds() < Duration::from_secs(now).as_secs_f64()
    }

    /// What came first decides: with no byte of TLS received, no failure is one of TLS.
    fn unless_not_tls(&self, failure: TlsFailure) -> TlsFailure {
        if self.received.may_be_tls() {
            return failure;
        }
        let head = &self.received.head;
        let line = head.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
        TlsFailure::NotTls { received: escape::of_bytes(line, SHOWN), plain_redis: is_redis_line(head) }
    }
}

/// What is wrong with a certificate, in the library's words without its punctuation.
fn fault(error: &CertificateError) -> String {
    match error {
        CertificateError::Other(OtherError(inner)) => inner.to_string(),
        other => other.to_string(),
    }
}

/// Delegates, and records. It never turns a failure into a success.
struct RecordingVerifier {
    trust: Arc<Trust>,
    seen: Arc<Mutex<HandshakeRecord>>,
}

impl ServerCertVerifier for RecordingVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let result = self.trust.verifier.verify_server_cert(leaf, others, name, ocsp, now);
        let mut seen = locked(&self.seen);
        seen.chain = std::iter::once(leaf).chain(others).map(|der| der.clone().into_owned()).collect();
        seen.judged_at = Some(now);
        seen.verification = Some(result.as_ref().map(|_| ()).map_err(Clone::clone));
        result
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust.verifier.verify_tls12_signature(message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust.verifier.verify_tls13_signature(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.verifier.supported_verify_schemes()
    }
}

/// Has no certificate to show, and records that one was asked for.
#[derive(Debug)]
struct NoCertificate {
    seen: Arc<Mutex<HandshakeRecord>>,
}

impl ResolvesClientCert for NoCertificate {
    fn resolve(&self, _issuers: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        locked(&self.seen).certificate_wanted = true;
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

impl std::fmt::Debug for RecordingVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordingVerifier").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for HandshakeRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HandshakeRecord").field("bytes", &self.received.bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_detects_plaintext_redis_reply() {
        for line in ["+PONG\r\n", "-NOAUTH Authentication required.\r\n", "-ERR max number of clients reached\r\n"] {
            assert!(is_redis_line(line.as_bytes()), "{line}");
        }
        for line in ["", "-", "+OK POP3 ready\r\n", "HTTP/1.1 400 Bad Request\r\n", "220 mail ESMTP\r\n", "-err\r\n"] {
            assert!(!is_redis_line(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn tls_non_tls_bytes_are_classified() {
        let mut seen = HandshakeRecord::default();
        let closed = TlsFailure::Closed { bytes_received: 0 };
        assert_eq!(seen.unless_not_tls(closed.clone()), closed);
        seen.received.head = b"220 mail.example.org ESMTP\r\n".to_vec();
        let expected = TlsFailure::NotTls { received: "220 mail.example.org ESMTP".into(), plain_redis: false };
        assert_eq!(seen.unless_not_tls(closed), expected);
    }

    #[tokio::test]
    async fn tls_reset_after_certificate_request() {
        let trust = Tls::new().stores.get(None).await.expect("trust anchors");
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        let mut seen = HandshakeRecord { certificate_wanted: true, ..HandshakeRecord::default() };
        let failure = seen.failure(&reset, &trust, &TlsFacts::default());
        assert_eq!(failure, TlsFailure::Reset { bytes_received: 0 }, "a server that was not verified");
        seen.verification = Some(Ok(()));
        let failure = seen.failure(&reset, &trust, &TlsFacts::default());
        assert_eq!(failure, TlsFailure::ClientCertificateRequired);
    }
}
