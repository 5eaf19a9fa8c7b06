//! What the TLS handshake means.

mod certificate;
mod handshake;

use std::net::SocketAddr;

use super::remediation;
use super::{Code, Context, Finding, Severity};
use crate::azure::Service;
use crate::observation::{Connection, ConnectionPhases, TlsFailure};

pub(super) fn diagnose(case: &Context<'_>, phases: &ConnectionPhases, connection: &Connection) -> Vec<Finding> {
    match phases.tls.failure() {
        Some(failure) => vec![failure_finding(case, failure, connection)],
        None => expiring(case, connection).into_iter().collect(),
    }
}

fn expiring(case: &Context<'_>, connection: &Connection) -> Option<Finding> {
    let facts = connection.tls.as_ref()?;
    let not_after = facts.certificate.as_ref()?.not_after?;
    let left = case.now.until(not_after)?;
    if left > case.expectation.certificate_warning_seconds.0 {
        return None;
    }
    let left = match left.as_secs() / 86_400 {
        0 => "in less than a day".to_owned(),
        1 => "tomorrow".to_owned(),
        days => format!("in {days} days"),
    };
    let detail = match case.target.service {
        Service::Other => "It was not renewed in time, or it was renewed and the server has not loaded it.",
        Service::AzureCacheForRedis | Service::AzureCacheForRedisEnterprise | Service::AzureManagedRedis => {
            "Azure renews its certificates weeks before that; one this old has missed its renewal, or something else presents it."
        }
    };
    Some(
        Finding::new(
            Code::TlsCertificateExpiring,
            Severity::Warning,
            format!("the certificate expires {left}, on {}", not_after.date()),
            detail,
        )
        .hint("see who presents the certificate; for Azure's own, open a support case")
        .commands([s_client(case, connection.address)]),
    )
}

fn s_client(case: &Context<'_>, address: SocketAddr) -> String {
    let address = remediation::socket(address);
    format!("openssl s_client -connect {address} -servername {} -showcerts </dev/null", case.target.server_name)
}

/// The failure of one handshake, and where it was.
#[derive(Clone, Copy)]
struct FailedHandshake<'a> {
    case: &'a Context<'a>,
    connection: &'a Connection,
    address: SocketAddr,
}

impl FailedHandshake<'_> {
    /// The command that shows what the server presents.
    fn look(self) -> [String; 1] {
        [s_client(self.case, self.address)]
    }
}

fn error(code: Code, summary: String, detail: String) -> Finding {
    Finding::new(code, Severity::Error, summary, detail)
}

fn failure_finding(case: &Context<'_>, failure: &TlsFailure, connection: &Connection) -> Finding {
    let failed = FailedHandshake { case, connection, address: connection.address };
    match failure {
        TlsFailure::Timeout { bytes_received } => handshake::timeout(failed, *bytes_received),
        TlsFailure::Closed { bytes_received } => handshake::closed(failed, *bytes_received),
        TlsFailure::Reset { bytes_received } => handshake::reset(failed, *bytes_received),
        TlsFailure::NotTls { plain_redis, received } => handshake::not_tls(failed, *plain_redis, received),
        TlsFailure::NoSharedVersion => handshake::no_shared_version(failed),
        TlsFailure::NoSharedCipher => handshake::no_shared_cipher(failed),
        TlsFailure::Alert { alert } => handshake::alert(failed, alert),
        TlsFailure::Other { error } => handshake::other(failed, error),
        TlsFailure::NameMismatch { expected, presented } => certificate::name_mismatch(failed, expected, presented),
        TlsFailure::CertificateExpired { not_after, intermediate: Some(subject) } => {
            certificate::intermediate_expired(failed, *not_after, subject)
        }
        TlsFailure::CertificateExpired { not_after, intermediate: None } => certificate::expired(failed, *not_after),
        TlsFailure::CertificateNotYetValid { not_before } => certificate::not_yet_valid(failed, *not_before),
        TlsFailure::UntrustedIssuer { issuer } => certificate::untrusted(failed, issuer),
        TlsFailure::BadCertificate { error } => certificate::refused(failed, error),
        TlsFailure::ClientCertificateRequired => certificate::client_certificate_required(failed),
        TlsFailure::NoTrustAnchors { error } => certificate::no_trust_anchors(error),
    }
}
