//! A certificate that was refused, or that the server missed: which check failed, and which others would have.

use super::{FailedHandshake, error};
use crate::clock::Timestamp;
use crate::diagnosis::remediation::{self, Resource};
use crate::diagnosis::text::{is_plain_word, listed};
use crate::diagnosis::{Code, Finding};
use crate::observation::TlsFacts;
use crate::observation::tls::{IntermediateFacts, TrustSource};

pub(super) fn name_mismatch(failed: FailedHandshake<'_>, expected: &str, presented: &[String]) -> Finding {
    let (address, issuer, also) = (failed.address, subject_and_issuer(failed), also_wrong(failed, Check::Name));
    let resource = Resource::of(failed.case);
    let own = resource.as_ref().map(Resource::host).filter(|own| own != expected);
    let is_covered = |name: &String| presented.iter().any(|pattern| covers(pattern, name));
    let (why, hint, commands) = if let Some(own) = own.filter(is_covered) {
        (
            format!(
                "That is the certificate of {own}, to which {expected} leads: an alias, which no certificate of Azure covers. The address is right as far as this shows."
            ),
            format!(
                "configure {own} in the application; where the alias has to stay, have the client verify by that name (--server-name {own} here); do not switch verification off"
            ),
            Vec::new(),
        )
    } else if let Some(other) = presented.iter().find(|name| is_of_another_service(name)) {
        (
            format!(
                "\"{other}\" is a name of another service of Azure: by likelihood, the record has the address of that service's private endpoint."
            ),
            "compare the address with the private endpoints', and correct the record of this cache".to_owned(),
            resource
                .iter()
                .map(Resource::show_record)
                .chain([remediation::LIST_ENDPOINTS.to_owned()])
                .collect::<Vec<String>>(),
        )
    } else {
        (
            "By likelihood: another server behind that address (a wrong record or endpoint), a middlebox that inspects TLS, or a client that uses an alias of the cache's name.".to_owned(),
            "find what presents that certificate; if the name is an alias, verify against the cache's own with --server-name; do not switch verification off".to_owned(),
            Vec::new(),
        )
    };
    error(
        Code::TlsNameMismatch,
        format!("the certificate at {address} is not for {expected}"),
        format!("It covers {}.{issuer}{also} {why}", names(presented)),
    )
    .hint(hint)
    .commands(commands)
    .commands(failed.look())
}

/// Whether a name of a certificate covers a host name (RFC 6125, 6.4.3).
fn covers(pattern: &str, name: &str) -> bool {
    let parent = name.split_once('.').map(|(_, parent)| parent);
    let wildcard = pattern.strip_prefix("*.");
    pattern.eq_ignore_ascii_case(name)
        || wildcard.is_some_and(|rest| parent.is_some_and(|parent| rest.eq_ignore_ascii_case(parent)))
}

/// Whether it is a name of Azure, and of no Redis service.
fn is_of_another_service(name: &str) -> bool {
    const OF_AZURE: [&str; 5] = [".windows.net", ".azure.net", ".azure.com", ".azurewebsites.net", ".azurecr.io"];
    let name = name.strip_prefix("*.").unwrap_or(name).to_ascii_lowercase();
    let is_redis = name.contains("redis.") || name.contains("redisenterprise.");
    is_plain_word(&name) && !is_redis && OF_AZURE.iter().any(|suffix| name.ends_with(suffix))
}

pub(super) fn intermediate_expired(
    failed: FailedHandshake<'_>,
    not_after: Option<Timestamp>,
    subject: &str,
) -> Finding {
    let (address, issuer) = (failed.address, subject_and_issuer(failed));
    error(
        Code::TlsCertificateExpired,
        format!("an intermediate certificate that {address} sends has expired{}", not_after.map_or_else(String::new, |time| format!(" on {}", time.date()))),
        format!("It is \"{subject}\". The server's own certificate is in date.{issuer} Clients that do not have a newer certificate of this issuer fail."),
    )
    .hint("have the server send the present intermediate certificate; check this machine's clock, too")
    .commands(["date -u".to_owned()])
    .commands(failed.look())
}

pub(super) fn expired(failed: FailedHandshake<'_>, not_after: Option<Timestamp>) -> Finding {
    let (address, issuer, also) = (failed.address, subject_and_issuer(failed), also_wrong(failed, Check::Dates));
    error(
        Code::TlsCertificateExpired,
        format!(
            "the certificate at {address} has expired{}",
            not_after.map_or_else(String::new, |time| format!(" on {}", time.date()))
        ),
        format!("Held against this machine's clock, {}.{issuer}{also}", failed.case.now),
    )
    .hint("check this machine's clock first; then renew the certificate, or find what presents an old one")
    .commands(["date -u".to_owned()])
    .commands(failed.look())
}

pub(super) fn not_yet_valid(failed: FailedHandshake<'_>, not_before: Option<Timestamp>) -> Finding {
    let (address, issuer, also) = (failed.address, subject_and_issuer(failed), also_wrong(failed, Check::Dates));
    error(
        Code::TlsCertificateNotYetValid,
        format!(
            "the certificate at {address} is not valid yet{}",
            not_before.map_or_else(String::new, |time| format!(", not before {}", time.date()))
        ),
        format!("Held against this machine's clock, {}.{issuer}{also}", failed.case.now),
    )
    .hint("check this machine's clock: it is probably slow")
    .commands(["date -u".to_owned()])
    .commands(failed.look())
}

/// A certificate that this TLS library cannot verify.
pub(super) fn refused(failed: FailedHandshake<'_>, reason: &str) -> Finding {
    let (address, issuer) = (failed.address, subject_and_issuer(failed));
    error(
        Code::TlsFailed,
        format!("redpath does not accept the certificate at {address}: {reason}"),
        format!("This is a statement about this client (rustls with ring). Other clients, such as those with OpenSSL, may accept the certificate.{issuer}"),
    )
    .hint("give the server a certificate that it can verify: an X.509 version 3 leaf (CA:FALSE) with an RSA, P-256 or P-384 key; see what the application's own client makes of the present one")
    .commands(failed.look())
}

pub(super) fn client_certificate_required(failed: FailedHandshake<'_>) -> Finding {
    let address = failed.address;
    error(
        Code::TlsClientCertificateRequired,
        format!("{address} wants a client certificate"),
        "Azure Redis asks for none by default, so this is another server, a proxy, or a cache with certificate authentication.".to_owned(),
    )
    .hint("find what answers there; this version of redpath presents no client certificate")
    .commands(failed.look())
}

pub(super) fn no_trust_anchors(reason: &str) -> Finding {
    error(
        Code::TlsFailed,
        format!("there is nothing to verify a certificate with: {reason}"),
        "No byte was sent beyond TCP.".to_owned(),
    )
    .hint("give a readable PEM file with --ca-file (tls.ca_file), or install the platform's CA certificates")
}

/// A chain that leads to no trust anchor: where it ends decides what is likely.
pub(super) fn untrusted(failed: FailedHandshake<'_>, issuer: &str) -> Finding {
    let address = failed.address;
    let facts = failed.connection.tls.as_ref();
    let also = also_wrong(failed, Check::Issuer);
    let intermediates = facts.map(|facts| facts.intermediates.as_slice()).unwrap_or_default();
    let subject = facts.and_then(|facts| facts.certificate.as_ref()).map_or("", |leaf| leaf.subject.as_str());
    let store = store(facts);
    let (end, detail, hint) = if intermediates.is_empty() && subject == issuer {
        (
            issuer.to_owned(),
            format!(
                "The certificate is its own issuer (self-signed), and is not among {store}. By likelihood: a server of your own; a middlebox that inspects TLS."
            ),
            "find what presents it; if it is yours, trust it with --ca-file".to_owned(),
        )
    } else if intermediates.is_empty() {
        (
            issuer.to_owned(),
            format!("The server sent its own certificate alone, and \"{issuer}\" is not among {store}. By likelihood: the chain is incomplete, the intermediate certificate of that issuer is not sent; the issuer is a private CA; a middlebox inspects TLS."),
            "have the server send its whole chain (leaf, then intermediate); for a private CA, trust its root with --ca-file".to_owned(),
        )
    } else {
        let end = end_of_chain(issuer, intermediates);
        let (detail, hint) = incomplete_store(&end, facts);
        (end, detail, hint)
    };
    error(
        Code::TlsUntrustedIssuer,
        format!("the certificate at {address} leads to \"{end}\", which is not trusted here"),
        format!("{detail}{also}"),
    )
    .hint(hint)
    .commands(failed.look())
}

/// Detail and hint for a whole chain whose root is not in the store.
fn incomplete_store(end: &str, facts: Option<&TlsFacts>) -> (String, String) {
    let store = store(facts);
    let is_public = ["DigiCert", "Microsoft", "Baltimore", "GlobalSign"].iter().any(|name| end.contains(name));
    let detail = if is_public {
        format!(
            "The chain ends at \"{end}\", which is not among {store}. By likelihood: that trust store is old or incomplete (Azure's roots are DigiCert Global Root G2 and Microsoft RSA and ECC Root 2017); a middlebox imitates the name."
        )
    } else {
        format!(
            "The chain ends at \"{end}\", which is not among {store}. By likelihood: that root is missing in the trust store; a private CA; a middlebox that inspects TLS."
        )
    };
    let hint = match facts.and_then(|facts| facts.trust) {
        Some(TrustSource::CaFile) => format!(
            "add the root \"{end}\" to the CA file, which replaces the platform's store; or find what presents this chain"
        ),
        _ => format!(
            "bring the trust store up to date if \"{end}\" is a public root; give a private root with --ca-file"
        ),
    };
    (detail, hint)
}

/// The issuer of the last certificate that was sent on the way from the leaf.
fn end_of_chain(issuer: &str, intermediates: &[IntermediateFacts]) -> String {
    let mut end = issuer;
    for _ in intermediates {
        match intermediates.iter().find(|other| other.subject == end && other.issuer != end) {
            Some(next) => end = &next.issuer,
            None => break,
        }
    }
    end.to_owned()
}

/// The trust store in words.
fn store(facts: Option<&TlsFacts>) -> String {
    let count = facts.and_then(|facts| facts.trust_anchors).map_or_else(String::new, |count| format!("{count} "));
    match facts.and_then(|facts| facts.trust) {
        Some(TrustSource::CaFile) => format!("the {count}authorities of the CA file"),
        Some(TrustSource::CompiledIn) => format!("the {count}authorities compiled into redpath"),
        Some(TrustSource::Platform) | None => format!("the {count}authorities of this machine's trust store"),
    }
}

/// Subject and issuer of the server's own certificate, as a sentence.
fn subject_and_issuer(failed: FailedHandshake<'_>) -> String {
    let certificate = failed.connection.tls.as_ref().and_then(|facts| facts.certificate.as_ref());
    certificate.map_or_else(String::new, |certificate| {
        format!(" Its subject is \"{}\", its issuer \"{}\".", certificate.subject, certificate.issuer)
    })
}

/// A verification of the server's own certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Check {
    Issuer,
    Dates,
    Name,
}

/// The other verifications that would have failed too, so that the next fault is no surprise.
fn also_wrong(failed: FailedHandshake<'_>, reported: Check) -> String {
    let (connection, now) = (failed.connection, failed.case.now);
    let Some(checks) = connection.tls.as_ref().and_then(|facts| facts.checks) else { return String::new() };
    let mut also = Vec::new();
    if !checks.trusted && reported != Check::Issuer {
        also.push("its issuer is not trusted here");
    }
    let own_is_out_of_date = connection.tls.as_ref().and_then(|facts| facts.certificate.as_ref()).is_some_and(|leaf| {
        leaf.not_after.is_some_and(|end| end < now) || leaf.not_before.is_some_and(|begin| begin > now)
    });
    if own_is_out_of_date && reported != Check::Dates {
        also.push("it is out of date");
    }
    if !checks.name_matches && reported != Check::Name {
        also.push("it is for another name");
    }
    if also.is_empty() { String::new() } else { format!(" Besides, {}.", also.join(" and ")) }
}

fn names(presented: &[String]) -> String {
    if presented.is_empty() { "no DNS name".to_owned() } else { listed(presented) }
}
