//! Facts of the TLS handshake, whether or not it succeeded.

use std::fmt;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// Facts of the handshake. They include the certificate also where its verification failed.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TlsFacts {
    /// The name sent as SNI, for which the certificate is verified.
    pub server_name: String,
    /// The version, `TLSv1.3`; absent where none was agreed on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The cipher suite, by its IANA name; absent where none was agreed on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cipher: Option<String>,
    /// The server's own certificate; absent where it sent none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateFacts>,
    /// The further certificates that the server sent, without the leaf, in its order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub intermediates: Vec<IntermediateFacts>,
    /// Whether the certificate was verified for name, time and trust anchors.
    pub verified: bool,
    /// Each verification by itself; absent where there was no certificate to verify.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checks: Option<CertificateChecks>,
    /// Where the trust anchors came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust: Option<TrustSource>,
    /// How many trust anchors there were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_anchors: Option<usize>,
    /// What the kernel had counted on the connection when the handshake timed out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpCounters>,
}

/// What the kernel counted on a TCP connection (`TCP_INFO`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TcpCounters {
    /// Bytes sent here that the peer has acknowledged.
    pub bytes_acknowledged: u64,
    /// Segments of the peer that came while an earlier one was missing.
    pub segments_out_of_order: u32,
}

/// Facts of a certificate, as it states them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CertificateFacts {
    /// The subject's distinguished name.
    pub subject: String,
    /// The subject alternative names: DNS names as they are, others with their type in front.
    #[serde(default)]
    pub sans: Vec<String>,
    /// The issuer's distinguished name.
    pub issuer: String,
    /// The beginning of its validity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// The end of its validity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// SHA-256 of the DER form, in lower-case hex.
    pub sha256: String,
    /// Why the certificate could not be read further, where it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}

impl CertificateFacts {
    /// Whether one of the alternative names is this IP address (RFC 9110, 4.3.5: a DNS name covers none).
    pub fn covers_ip(&self, ip: IpAddr) -> bool {
        let name = format!("IP:{}", ip.to_canonical());
        self.sans.contains(&name)
    }
}

/// A certificate between the leaf and a trust anchor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IntermediateFacts {
    /// The subject's distinguished name.
    pub subject: String,
    /// The issuer's distinguished name.
    pub issuer: String,
    /// The beginning of its validity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// The end of its validity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
}

/// The verifications of a certificate, each by itself, so that one failure does not hide another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CertificateChecks {
    /// Whether it leads to a trust anchor.
    pub trusted: bool,
    /// Whether now lies within the validity of the whole chain.
    pub in_date: bool,
    /// Whether it covers the server name.
    pub name_matches: bool,
}

/// Where the trust anchors came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrustSource {
    /// The configured file, and nothing else.
    CaFile,
    /// The platform's certificate store.
    Platform,
    /// The Mozilla roots compiled in, where the platform has no store.
    CompiledIn,
}

/// How the handshake failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TlsFailure {
    /// No answer within the limit of the phase.
    Timeout {
        /// How many bytes were received.
        bytes_received: u64,
    },
    /// The peer closed the connection.
    Closed {
        /// How many bytes were received.
        bytes_received: u64,
    },
    /// The peer reset the connection.
    Reset {
        /// How many bytes were received.
        bytes_received: u64,
    },
    /// The bytes received are not TLS.
    NotTls {
        /// Their beginning, escaped; or the reply to a plain `PING`.
        received: String,
        /// Whether plain Redis was recognized.
        plain_redis: bool,
    },
    /// The certificate does not cover the name.
    NameMismatch {
        /// The name expected.
        expected: String,
        /// The names the certificate covers.
        presented: Vec<String>,
    },
    /// The certificate has expired.
    CertificateExpired {
        /// The end of its validity.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_after: Option<Timestamp>,
        /// The subject of the intermediate certificate that has expired, where it is not the server's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        intermediate: Option<String>,
    },
    /// The certificate is not valid yet.
    CertificateNotYetValid {
        /// The beginning of its validity.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_before: Option<Timestamp>,
    },
    /// The certificate leads to no trust anchor.
    UntrustedIssuer {
        /// The issuer as the certificate names it.
        issuer: String,
    },
    /// The certificate is invalid for another reason.
    BadCertificate {
        /// What is wrong with it.
        error: String,
    },
    /// The peer has no TLS version in common with this client (1.2 and 1.3).
    NoSharedVersion,
    /// The peer has no cipher suite in common with this client.
    NoSharedCipher,
    /// The peer requires a client certificate.
    ClientCertificateRequired,
    /// Another alert of the peer.
    Alert {
        /// Its name (RFC 8446, 6).
        alert: String,
    },
    /// There are no trust anchors to verify a certificate with.
    NoTrustAnchors {
        /// Why.
        error: String,
    },
    /// Anything else.
    Other {
        /// The error of the TLS library.
        error: String,
    },
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout { bytes_received: 0 } => f.write_str("no answer to the ClientHello in time"),
            Self::Timeout { bytes_received } => write!(f, "the handshake stalled after {bytes_received} bytes"),
            Self::Closed { bytes_received: 0 } => f.write_str("the peer closed before a byte of TLS"),
            Self::Closed { bytes_received } => {
                write!(f, "the peer closed after {bytes_received} bytes of the handshake")
            }
            Self::Reset { bytes_received } => write!(f, "the peer reset after {bytes_received} bytes of the handshake"),
            Self::NotTls { plain_redis: true, .. } => f.write_str("the port answers Redis without TLS"),
            Self::NotTls { received, .. } => write!(f, "the peer does not speak TLS: it sent \"{received}\""),
            Self::NameMismatch { expected, presented } => {
                write!(f, "the certificate covers {}, not {expected}", listed(presented))
            }
            Self::CertificateExpired { not_after: Some(time), intermediate: Some(subject) } => {
                write!(f, "the intermediate certificate \"{subject}\" expired on {}", time.date())
            }
            Self::CertificateExpired { not_after: Some(time), intermediate: None } => {
                write!(f, "the certificate expired on {}", time.date())
            }
            Self::CertificateExpired { not_after: None, .. } => f.write_str("a certificate of the chain has expired"),
            Self::CertificateNotYetValid { not_before: Some(time) } => {
                write!(f, "the certificate is not valid before {}", time.date())
            }
            Self::CertificateNotYetValid { not_before: None } => {
                f.write_str("a certificate of the chain is not valid yet")
            }
            Self::UntrustedIssuer { issuer } => write!(f, "the issuer \"{issuer}\" is not trusted here"),
            Self::BadCertificate { error } => write!(f, "the certificate is invalid: {error}"),
            Self::NoSharedVersion => f.write_str("no TLS version in common (1.2 and 1.3 are offered)"),
            Self::NoSharedCipher => f.write_str("no cipher suite in common"),
            Self::ClientCertificateRequired => f.write_str("the peer wants a client certificate"),
            Self::Alert { alert } => write!(f, "the peer sent the alert {alert}"),
            Self::NoTrustAnchors { error } => write!(f, "no trust anchors: {error}"),
            Self::Other { error } => f.write_str(error),
        }
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "no name at all".to_owned() } else { names.join(", ") }
}
