//! What the TLS handshake means.

use std::net::SocketAddr;

use super::remediation::{self, Resource};
use super::text::listed;
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
        Service::Other => "Whoever renews it is late, or it is renewed without the server having taken it up.",
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

fn failure_finding(case: &Context<'_>, failure: &TlsFailure, connection: &Connection) -> Finding {
    let address = connection.address;
    let name = &case.target.server_name;
    let issuer =
        connection.tls.as_ref().and_then(|facts| facts.certificate.as_ref()).map_or_else(String::new, |certificate| {
            format!(" Its subject is \"{}\", its issuer \"{}\".", certificate.subject, certificate.issuer)
        });
    let also = also_wrong(failure, connection);
    let look = [s_client(case, address)];
    let error = |code: Code, summary: String, detail: String| Finding::new(code, Severity::Error, summary, detail);
    match failure {
        TlsFailure::Timeout { bytes_received } => error(
            Code::TlsTimeout,
            format!("{address} takes the connection and does not answer the TLS handshake"),
            format!("{} came before the limit. By likelihood: a firewall that lets the SYN through and drops what follows, or a proxy with nothing behind it; a server that hangs; a path that loses large packets (MTU).", bytes(*bytes_received)),
        )
        .hint("try from another subnet; if it hangs there too, look at the server, otherwise at the firewalls in between")
        .commands(look),
        TlsFailure::Closed { bytes_received } => error(
            Code::TlsClosed,
            format!("{address} closes the connection during the TLS handshake"),
            format!("{} came before. By likelihood: a proxy or endpoint in front that has nothing behind it or does not admit this client; a firewall; a server with no room for another client, which closes before TLS and says nothing.", bytes(*bytes_received))
        )
        .hint("look at the private endpoint connection's state and at the server's connected clients against its limit")
        .commands(look)
        .commands(Resource::of(case).iter().map(Resource::list_connections)),
        TlsFailure::Reset { bytes_received } => error(
            Code::TlsReset,
            format!("{address} resets the connection during the TLS handshake"),
            format!("{} came before. A firewall that inspects TLS, or the server, ended it.", bytes(*bytes_received)),
        )
        .hint("look for a firewall or proxy that inspects TLS on the way")
        .commands(look),
        TlsFailure::NotTls { plain_redis: true, received } => error(
            Code::TlsNotSpoken,
            format!("{address} is Redis without TLS"),
            format!("It does not answer a TLS handshake, and answers a plain PING with \"{received}\"."),
        )
        .hint("use the TLS port, or declare the target plain (--plaintext, or redis://) if that is meant"),
        TlsFailure::NotTls { received, plain_redis: false } => error(
            Code::TlsNotSpoken,
            format!("{address} does not speak TLS"),
            format!("It answered the handshake with \"{received}\"."),
        )
        .hint("check the port; something else than a TLS endpoint listens there"),
        TlsFailure::NameMismatch { expected, presented } => error(
            Code::TlsNameMismatch,
            format!("the certificate at {address} is not for {expected}"),
            format!(
                "It covers {}.{issuer}{also} By likelihood: another server behind that address (a wrong record or endpoint), a middlebox that inspects TLS, or a client that uses an alias of the cache's name.",
                names(presented)
            ),
        )
        .hint("find what presents that certificate; if the name is an alias, verify against the cache's own with --server-name; do not switch verification off")
        .commands(look),
        TlsFailure::CertificateExpired { not_after } => error(
            Code::TlsCertificateExpired,
            format!("the certificate at {address} has expired{}", not_after.map_or_else(String::new, |time| format!(" on {}", time.date()))),
            format!("Held against this machine's clock, {}.{issuer}{also}", case.now),
        )
        .hint("check this machine's clock first; then renew the certificate, or find what presents an old one")
        .commands(["date -u".to_owned()])
        .commands(look),
        TlsFailure::CertificateNotYetValid { not_before } => error(
            Code::TlsCertificateNotYetValid,
            format!("the certificate at {address} is not valid yet{}", not_before.map_or_else(String::new, |time| format!(", not before {}", time.date()))),
            format!("Held against this machine's clock, {}.{issuer}{also}", case.now),
        )
        .hint("check this machine's clock: it is probably slow")
        .commands(["date -u".to_owned()])
        .commands(look),
        TlsFailure::UntrustedIssuer { issuer } => error(
            Code::TlsUntrustedIssuer,
            format!("the certificate at {address} is from \"{issuer}\", which is not trusted here"),
            format!("By likelihood: a middlebox that inspects TLS; a server of your own with a private CA; a trust store here that lacks Azure's roots (DigiCert Global Root G2, Microsoft RSA and ECC 2017).{also}"),
        )
        .hint("find what presents it; give a private CA with --ca-file; bring an old trust store up to date")
        .commands(look),
        TlsFailure::BadCertificate { error: reason } => error(
            Code::TlsFailed,
            format!("the certificate at {address} is invalid: {reason}"),
            format!("No client that verifies will accept it.{issuer}{also}"),
        )
        .hint("find what presents it")
        .commands(look),
        TlsFailure::NoSharedVersion => error(
            Code::TlsNoSharedVersion,
            format!("{address} speaks neither TLS 1.2 nor 1.3"),
            "Those are offered. Azure Redis speaks both, so an old server or middlebox answers there.".to_owned(),
        )
        .hint("find what answers there; raise its minimum TLS version to 1.2")
        .commands(look),
        TlsFailure::NoSharedCipher => error(
            Code::TlsNoSharedCipher,
            format!("{address} shares no cipher suite with this client"),
            "Offered are the suites of TLS 1.3 and those of TLS 1.2 with ECDHE and AEAD. A server that has only CBC suites fails here and may still serve other clients: the path is right as far as TCP.".to_owned(),
        )
        .hint("compare with what the application's library offers; add an ECDHE-GCM suite at the server if you can")
        .commands([format!("openssl s_client -connect {} -servername {name} -tls1_2 </dev/null", remediation::socket(address))]),
        TlsFailure::ClientCertificateRequired => error(
            Code::TlsClientCertificateRequired,
            format!("{address} wants a client certificate"),
            "Azure Redis asks for none by default, so this is another server, a proxy, or a cache with certificate authentication.".to_owned(),
        )
        .hint("find what answers there; this version of redpath presents no client certificate")
        .commands(look),
        TlsFailure::Alert { alert } => error(
            Code::TlsFailed,
            format!("{address} ended the TLS handshake with the alert {alert}"),
            "The alert is all that the peer says.".to_owned(),
        )
        .hint("look into the server's log")
        .commands(look),
        TlsFailure::NoTrustAnchors { error: reason } => error(
            Code::TlsFailed,
            format!("there is nothing to verify a certificate with: {reason}"),
            "No byte was sent beyond TCP.".to_owned(),
        )
        .hint("give a readable PEM file with --ca-file (tls.ca_file), or install the platform's CA certificates"),
        TlsFailure::Other { error: reason } => error(
            Code::TlsFailed,
            format!("TLS with {address} failed: {reason}"),
            "The TLS library gives no closer reason.".to_owned(),
        )
        .hint("try the handshake by hand")
        .commands(look),
    }
}

/// The other verifications that would have failed too, so that the next fault is no surprise.
fn also_wrong(failure: &TlsFailure, connection: &Connection) -> String {
    let Some(checks) = connection.tls.as_ref().and_then(|facts| facts.checks) else { return String::new() };
    let mut also = Vec::new();
    if !checks.trusted && !matches!(failure, TlsFailure::UntrustedIssuer { .. }) {
        also.push("its issuer is not trusted here");
    }
    if !checks.in_date
        && !matches!(failure, TlsFailure::CertificateExpired { .. } | TlsFailure::CertificateNotYetValid { .. })
    {
        also.push("it is out of date");
    }
    if !checks.name_matches && !matches!(failure, TlsFailure::NameMismatch { .. }) {
        also.push("it is for another name");
    }
    if also.is_empty() { String::new() } else { format!(" Besides, {}.", also.join(" and ")) }
}

fn bytes(count: u64) -> String {
    match count {
        0 => "No byte".to_owned(),
        1 => "1 byte".to_owned(),
        count => format!("{count} bytes"),
    }
}

fn names(presented: &[String]) -> String {
    if presented.is_empty() { "no DNS name".to_owned() } else { listed(presented) }
}
