//! The facts of the server's certificates, and each of their verifications by itself.
//!
//! Certificates may be hostile: the facts are bounded, and that one cannot be read is a fact, too.

use std::net::IpAddr;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio_rustls::rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{CertificateError, Error, RootCertStore};
use x509_parser::certificate::{Validity, X509Certificate};
use x509_parser::extensions::GeneralName;

use crate::clock::Timestamp;
use crate::observation::tls::{CertificateChecks, CertificateFacts, IntermediateFacts};
use crate::printable::{excerpt, excerpt_of_bytes};

/// The most names of one certificate that are recorded.
const MAX_NAMES: usize = 100;

/// The most characters of one name.
const MAX_TEXT: usize = 256;

/// The most intermediates that are recorded.
const MAX_INTERMEDIATES: usize = 10;

/// The facts of the leaf.
pub(super) fn facts(der: &CertificateDer<'_>) -> CertificateFacts {
    let mut facts = CertificateFacts {
        subject: String::new(),
        sans: Vec::new(),
        issuer: String::new(),
        not_before: None,
        not_after: None,
        sha256: hex(&Sha256::digest(der)),
        unreadable: None,
    };
    let certificate = match x509_parser::parse_x509_certificate(der) {
        Ok((_, certificate)) => certificate,
        Err(error) => {
            facts.unreadable = Some(excerpt(&error.to_string(), MAX_TEXT));
            return facts;
        }
    };
    facts.subject = display(&certificate.subject());
    facts.issuer = display(&certificate.issuer());
    facts.not_before = Timestamp::from_unix(certificate.validity().not_before.timestamp());
    facts.not_after = Timestamp::from_unix(certificate.validity().not_after.timestamp());
    match certificate.subject_alternative_name() {
        Ok(Some(names)) => {
            facts.sans = names.value.general_names.iter().take(MAX_NAMES).map(name).collect();
        }
        Ok(None) => {}
        Err(error) => facts.unreadable = Some(excerpt(&error.to_string(), MAX_TEXT)),
    }
    facts
}

/// The facts of the intermediates.
pub(super) fn intermediates(chain: &[CertificateDer<'_>]) -> Vec<IntermediateFacts> {
    chain
        .iter()
        .take(MAX_INTERMEDIATES)
        .map(|der| match x509_parser::parse_x509_certificate(der) {
            Ok((_, certificate)) => IntermediateFacts {
                subject: display(&certificate.subject()),
                issuer: display(&certificate.issuer()),
                not_before: Timestamp::from_unix(certificate.validity().not_before.timestamp()),
                not_after: Timestamp::from_unix(certificate.validity().not_after.timestamp()),
            },
            Err(_) => IntermediateFacts {
                subject: "(unreadable)".to_owned(),
                issuer: "(unreadable)".to_owned(),
                not_before: None,
                not_after: None,
            },
        })
        .collect()
}

/// As other tools write a fingerprint, without colons.
fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]).collect()
}

/// Verifies trust, time and name, each independently of the others.
pub(super) fn checks(
    roots: &RootCertStore,
    chain: &[CertificateDer<'static>],
    name: &ServerName<'_>,
    now: UnixTime,
) -> CertificateChecks {
    let none = CertificateChecks { trusted: false, in_date: false, name_matches: false };
    let Some((leaf, others)) = chain.split_first() else { return none };
    let Ok(parsed) = ParsedCertificate::try_from(leaf) else { return none };
    let algorithms = ring::default_provider().signature_verification_algorithms.all;
    let leads_to_anchor = |when| verify_server_cert_signed_by_trust_anchor(&parsed, roots, others, when, algorithms);
    let today = leads_to_anchor(now);
    CertificateChecks {
        trusted: today.is_ok() || trial_times(chain).into_iter().any(|when| leads_to_anchor(when).is_ok()),
        in_date: match &today {
            Ok(()) => true,
            Err(error) if is_validity_error(error) => false,
            // Without a chain, the leaf's own validity decides.
            Err(_) => validity(leaf, |validity| contains(validity, now)).unwrap_or(false),
        },
        name_matches: verify_server_name(&parsed, name).is_ok(),
    }
}

/// Whether `error` is that a certificate has expired, or is not valid yet.
pub(super) fn is_validity_error(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(
            CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. }
        )
    )
}

/// Whether `chain`'s leaf names an issuer that has one of the anchors' names.
pub(super) fn issuer_is_an_anchor(roots: &RootCertStore, leaf: &CertificateDer<'_>) -> bool {
    let Ok((_, certificate)) = x509_parser::parse_x509_certificate(leaf) else { return false };
    roots.subjects().iter().any(|subject| subject.as_ref() == certificate.issuer().as_raw())
}

/// A kind of key in the chain that the TLS library's provider (ring) does not verify with, in words.
pub(super) fn unsupported_key(chain: &[CertificateDer<'_>]) -> Option<&'static str> {
    chain.iter().take(MAX_INTERMEDIATES).find_map(|der| {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
        let algorithm = &certificate.public_key().algorithm;
        let parameter = || algorithm.parameters.as_ref()?.as_oid().ok().map(|oid| oid.to_id_string());
        match algorithm.algorithm.to_id_string().as_str() {
            "1.2.840.10045.2.1" => match parameter()?.as_str() {
                "1.3.132.0.35" => Some("ECDSA with P-521"),
                "1.2.840.10045.3.1.7" | "1.3.132.0.34" => None,
                _ => Some("ECDSA with another curve than P-256 and P-384"),
            },
            "1.3.101.113" => Some("Ed448"),
            "1.2.840.10040.4.1" => Some("DSA"),
            _ => None,
        }
    })
}

/// The place in `chain` of an intermediate that has expired, where the leaf leads to it by valid signatures and it
/// names a trust anchor as its issuer: with a certificate in date in its place, the chain would be good.
pub(super) fn expired_intermediate(
    roots: &RootCertStore,
    chain: &[CertificateDer<'_>],
    now: UnixTime,
) -> Option<usize> {
    let (leaf, others) = chain.split_first()?;
    let parsed = ParsedCertificate::try_from(leaf).ok()?;
    let algorithms = ring::default_provider().signature_verification_algorithms.all;
    let now_seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    others.iter().take(MAX_INTERMEDIATES).position(|intermediate| {
        let is_expired = validity(intermediate, |validity| validity.not_after.timestamp() < now_seconds);
        if is_expired != Some(true) || !issuer_is_an_anchor(roots, intermediate) {
            return false;
        }
        // As an anchor its own validity does not count.
        let mut anchor = RootCertStore::empty();
        anchor.add(intermediate.clone().into_owned()).is_ok()
            && verify_server_cert_signed_by_trust_anchor(&parsed, &anchor, others, now, algorithms).is_ok()
    })
}

/// Times at which trust can be verified independently of the validity: one at which every certificate is valid, where
/// there is one, and the middle of the leaf's validity.
fn trial_times(chain: &[CertificateDer<'_>]) -> Vec<UnixTime> {
    let spans: Vec<(i64, i64)> =
        chain.iter().filter_map(|der| validity(der, |v| (v.not_before.timestamp(), v.not_after.timestamp()))).collect();
    let common = (spans.iter().map(|span| span.0).max(), spans.iter().map(|span| span.1).min());
    let middle = |from: i64, to: i64| from.saturating_add(to.saturating_sub(from) / 2);
    let mut times = Vec::new();
    if let (Some(from), Some(to)) = common
        && from <= to
    {
        times.push(middle(from, to));
    }
    times.extend(spans.first().map(|&(from, to)| middle(from, to)));
    times.into_iter().filter_map(unix).collect()
}

fn validity<T>(der: &CertificateDer<'_>, read: impl FnOnce(&Validity) -> T) -> Option<T> {
    let (_, certificate): (_, X509Certificate<'_>) = x509_parser::parse_x509_certificate(der).ok()?;
    Some(read(certificate.validity()))
}

fn contains(validity: &Validity, now: UnixTime) -> bool {
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    (validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&now)
}

fn unix(seconds: i64) -> Option<UnixTime> {
    u64::try_from(seconds).ok().map(|seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
}

fn display(text: &impl ToString) -> String {
    excerpt(&text.to_string(), MAX_TEXT)
}

/// A name as a record has it: DNS names as they are, others with their type in front.
fn name(name: &GeneralName<'_>) -> String {
    let text = match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(bytes) => match ip(bytes) {
            Some(ip) => format!("IP:{ip}"),
            None => format!("IP:{}", excerpt_of_bytes(bytes, 32)),
        },
        GeneralName::URI(uri) => format!("URI:{uri}"),
        GeneralName::RFC822Name(address) => format!("email:{address}"),
        GeneralName::DirectoryName(name) => format!("directory:{name}"),
        GeneralName::RegisteredID(id) => format!("id:{id}"),
        GeneralName::OtherName(id, _) => format!("other:{id}"),
        GeneralName::X400Address(_) => "x400".to_owned(),
        GeneralName::EDIPartyName(_) => "edi".to_owned(),
        GeneralName::Invalid(_, bytes) => format!("invalid:{}", excerpt_of_bytes(bytes, 64)),
    };
    excerpt(&text, MAX_TEXT)
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes).map(IpAddr::from).or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn certificate(names: Vec<String>, subject: &str) -> CertificateDer<'static> {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(names).expect("names");
        params.distinguished_name.push(rcgen::DnType::CommonName, subject);
        params.self_signed(&key).expect("a certificate").der().clone()
    }

    #[test]
    fn certificate_names_have_type_prefix() {
        let facts = facts(&certificate(vec!["*.example.org".into(), "10.60.4.5".into(), "fd00::1".into()], "cache"));
        assert_eq!(facts.sans, ["*.example.org", "IP:10.60.4.5", "IP:fd00::1"]);
        assert_eq!((facts.subject.as_str(), facts.unreadable, facts.sha256.len()), ("CN=cache", None, 64));
    }

    #[test]
    fn certificate_hostile_input_is_bounded() {
        let names = (0..3_000).map(|number| format!("{number}.example.org")).collect();
        let facts = facts(&certificate(names, &format!("{}\u{1b}[2J", "x".repeat(2_000))));
        assert_eq!(facts.sans.len(), MAX_NAMES);
        assert!(facts.subject.chars().count() <= MAX_TEXT + 1 && !facts.subject.contains('\u{1b}'));
    }

    proptest! {
        #[test]
        fn certificate_any_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(facts(&CertificateDer::from(bytes)).unreadable.is_some());
        }

        #[test]
        fn certificate_damaged_does_not_panic(place in 0_usize..300, byte in any::<u8>()) {
            let mut der = certificate(vec!["a.example.org".into()], "cache").to_vec();
            let place = place % der.len();
            der[place] = byte;
            let _ = (facts(&CertificateDer::from(der.clone())), intermediates(&[CertificateDer::from(der)]));
        }
    }
}
