//! What a handshake showed while it ran, and which failure that is.
//!
//! Several failures may hold at once. Trust comes first: an untrusted certificate proves nothing, and is most often a
//! middlebox's. Then the name, since a wrong name is another server; then the time.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, DigitallySignedStruct, Error, OtherError, PeerIncompatible, RootCertStore,
    SignatureScheme,
};

use super::plain_redis::is_redis_line;
use super::received::Received;
use super::{MAX_EXCERPT, alert_name, certificate};
use crate::clock::Timestamp;
use crate::lock::lock;
use crate::observation::tls::{CertificateChecks, TlsFacts, TlsFailure};
use crate::printable::{excerpt, excerpt_of_bytes};

/// The most characters of an error of the TLS library that are recorded.
const MAX_ERROR: usize = 256;

/// What a handshake showed while it ran.
#[derive(Default)]
pub(super) struct HandshakeRecord {
    pub(super) received: Received,
    chain: Vec<CertificateDer<'static>>,
    verified_at: Option<UnixTime>,
    verification: Option<Result<(), Error>>,
    certificate_requested: bool,
}

impl HandshakeRecord {
    fn is_verified(&self) -> bool {
        matches!(self.verification, Some(Ok(())))
    }

    /// Whether the server, itself verified, requested a certificate, which it did not get.
    fn lacks_client_certificate(&self) -> bool {
        self.certificate_requested && self.is_verified()
    }

    /// `facts`, with what the server showed.
    pub(super) fn facts(&self, roots: &RootCertStore, name: &ServerName<'_>, facts: TlsFacts) -> TlsFacts {
        let (version, cipher) = self.received.server_hello().unzip();
        let facts = TlsFacts { version, cipher, ..facts };
        let Some((leaf, others)) = self.chain.split_first() else { return facts };
        let checks = if self.is_verified() {
            CertificateChecks { trusted: true, in_date: true, name_matches: true }
        } else {
            certificate::checks(roots, &self.chain, name, self.verified_at.unwrap_or_else(UnixTime::now))
        };
        TlsFacts {
            certificate: Some(certificate::facts(leaf)),
            intermediates: certificate::intermediates(others),
            verified: self.is_verified(),
            checks: Some(checks),
            ..facts
        }
    }

    /// The failure of a handshake that ended with `error`.
    pub(super) fn failure(&self, error: &io::Error, roots: &RootCertStore, facts: &TlsFacts) -> TlsFailure {
        if let Some(failure) = self.not_tls() {
            return failure;
        }
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(error) => self.protocol_failure(error, roots, facts),
            None => self.stream_failure(error),
        }
    }

    /// The failure of a handshake that was not done in time.
    pub(super) fn timeout(&self) -> TlsFailure {
        self.not_tls().unwrap_or(TlsFailure::Timeout { bytes_received: self.received.bytes })
    }

    /// Where the first byte is not of TLS, no failure is one of TLS.
    fn not_tls(&self) -> Option<TlsFailure> {
        if self.received.may_be_tls() {
            return None;
        }
        let head = &self.received.head;
        let line = head.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
        Some(TlsFailure::NotTls { received: excerpt_of_bytes(line, MAX_EXCERPT), plain_redis: is_redis_line(head) })
    }

    fn stream_failure(&self, error: &io::Error) -> TlsFailure {
        let bytes_received = self.received.bytes;
        match error.kind() {
            // It requested a certificate, got none, and closed: the reset overtook the alert, or there was none.
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
                if self.lacks_client_certificate() =>
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

    fn protocol_failure(&self, error: &Error, roots: &RootCertStore, facts: &TlsFacts) -> TlsFailure {
        match error {
            Error::AlertReceived(alert) => self.alert(*alert),
            Error::InvalidCertificate(error) => self.certificate_failure(error, roots, facts),
            Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                | PeerIncompatible::SupportedVersionsExtensionRequired,
            ) => TlsFailure::NoSharedVersion,
            Error::PeerIncompatible(
                PeerIncompatible::NoCipherSuitesInCommon | PeerIncompatible::NoKxGroupsInCommon,
            ) => TlsFailure::NoSharedCipher,
            other => TlsFailure::Other { error: excerpt(&other.to_string(), MAX_ERROR) },
        }
    }

    /// The failure that an alert of the server stands for.
    pub(super) fn alert(&self, alert: AlertDescription) -> TlsFailure {
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
                if self.lacks_client_certificate() =>
            {
                TlsFailure::ClientCertificateRequired
            }
            other => TlsFailure::Alert { alert: alert_name(other) },
        }
    }

    /// The deepest of the certificate's failures; the module's documentation has the order and its reason.
    fn certificate_failure(&self, error: &CertificateError, roots: &RootCertStore, facts: &TlsFacts) -> TlsFailure {
        let bad = || {
            let text = certificate_error(error);
            let text = match certificate::unsupported_key(&self.chain) {
                Some(key) if text.contains("nsupported") || text.contains("unsupported") => {
                    format!("its chain uses {key}, which this client does not support")
                }
                _ => text,
            };
            TlsFailure::BadCertificate { error: excerpt(&text, MAX_ERROR) }
        };
        let (Some(checks), Some(certificate), Some(leaf)) = (facts.checks, &facts.certificate, self.chain.first())
        else {
            return bad();
        };
        if self.is_verified() {
            return bad(); // the chain is good and the handshake's signature is not
        }
        let now = self.verified_at.unwrap_or_else(UnixTime::now);
        if !checks.trusted
            && let Some(expired) = certificate::expired_intermediate(roots, &self.chain, now)
                .and_then(|place| facts.intermediates.get(place))
        {
            let (not_after, intermediate) = (expired.not_after, Some(expired.subject.clone()));
            return TlsFailure::CertificateExpired { not_after, intermediate };
        }
        let untrusted = || TlsFailure::UntrustedIssuer { issuer: certificate.issuer.clone() };
        let of_time = certificate::is_validity_error(&Error::InvalidCertificate(error.clone()));
        match error {
            // An anchor's name over another key's signature is no anchor's certificate.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => untrusted(),
            CertificateError::Other(_) if !checks.trusted && !certificate::issuer_is_an_anchor(roots, leaf) => {
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
                let not_after = certificate.not_after.filter(|end| self.is_past(*end));
                let expired =
                    facts.intermediates.iter().find(|other| other.not_after.is_some_and(|end| self.is_past(end)));
                match (not_after, expired) {
                    (None, Some(expired)) => TlsFailure::CertificateExpired {
                        not_after: expired.not_after,
                        intermediate: Some(expired.subject.clone()),
                    },
                    _ => TlsFailure::CertificateExpired { not_after, intermediate: None },
                }
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                let not_before = certificate.not_before.filter(|begin| !self.is_past(*begin));
                TlsFailure::CertificateNotYetValid { not_before }
            }
            _ => bad(),
        }
    }

    /// Whether `time` lay in the past when the certificate was verified.
    fn is_past(&self, time: Timestamp) -> bool {
        let now = self.verified_at.unwrap_or_else(UnixTime::now).as_secs();
        time.unix_seconds() < Duration::from_secs(now).as_secs_f64()
    }
}

/// The library's text of an error, without its punctuation.
fn certificate_error(error: &CertificateError) -> String {
    match error {
        CertificateError::Other(OtherError(inner)) => match inner.to_string() {
            text if text.starts_with("CaUsedAsEndEntity") => {
                "a CA certificate (CA:TRUE) is used as the server's own".to_owned()
            }
            text if text.starts_with("UnsupportedCertVersion") => "it is an X.509 certificate of version 1".to_owned(),
            text => text,
        },
        other => other.to_string(),
    }
}

/// Delegates, and records. It never turns a failure into a success.
pub(super) struct RecordingVerifier {
    verifier: Arc<WebPkiServerVerifier>,
    record: Arc<Mutex<HandshakeRecord>>,
}

impl RecordingVerifier {
    /// Records there what `verifier` is given, and its results.
    pub(super) fn new(verifier: Arc<WebPkiServerVerifier>, record: Arc<Mutex<HandshakeRecord>>) -> Self {
        Self { verifier, record }
    }
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
        let result = self.verifier.verify_server_cert(leaf, others, name, ocsp, now);
        let mut record = lock(&self.record);
        record.chain = std::iter::once(leaf).chain(others).map(|der| der.clone().into_owned()).collect();
        record.verified_at = Some(now);
        record.verification = Some(result.as_ref().map(|_| ()).map_err(Clone::clone));
        result
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Has no client certificate, and records that one was requested.
#[derive(Debug)]
pub(super) struct NoCertificate {
    record: Arc<Mutex<HandshakeRecord>>,
}

impl NoCertificate {
    /// Records the request there.
    pub(super) fn new(record: Arc<Mutex<HandshakeRecord>>) -> Self {
        Self { record }
    }
}

impl ResolvesClientCert for NoCertificate {
    fn resolve(&self, _issuers: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        lock(&self.record).certificate_requested = true;
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
    fn tls_non_tls_bytes_are_classified() {
        let closed = io::Error::from(io::ErrorKind::UnexpectedEof);
        let roots = RootCertStore::empty();
        let mut record = HandshakeRecord::default();
        let failure = record.failure(&closed, &roots, &TlsFacts::default());
        assert_eq!(failure, TlsFailure::Closed { bytes_received: 0 });
        record.received.head = b"220 mail.example.org ESMTP\r\n".to_vec();
        let expected = TlsFailure::NotTls { received: "220 mail.example.org ESMTP".into(), plain_redis: false };
        assert_eq!(record.failure(&closed, &roots, &TlsFacts::default()), expected);
        assert_eq!(record.timeout(), expected);
    }

    #[test]
    fn tls_reset_after_certificate_request() {
        let (roots, facts) = (RootCertStore::empty(), TlsFacts::default());
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        let mut record = HandshakeRecord { certificate_requested: true, ..HandshakeRecord::default() };
        let unverified = record.failure(&reset, &roots, &facts);
        assert_eq!(unverified, TlsFailure::Reset { bytes_received: 0 }, "a server that was not verified");
        record.verification = Some(Ok(()));
        assert_eq!(record.failure(&reset, &roots, &facts), TlsFailure::ClientCertificateRequired);
    }
}
