//! What the TLS handshake means.

use std::net::SocketAddr;

use super::remediation::{self, Resource};
use super::text::listed;
use super::{Code, Context, Finding, Severity};
use crate::azure::Service;
use crate::clock::Timestamp;
use crate::observation::tls::{IntermediateFacts, TcpCounters, TrustSource};
use crate::observation::{Connection, ConnectionPhases, TlsFacts, TlsFailure};

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

fn failure_finding(case: &Context<'_>, failure: &TlsFailure, connection: &Connection) -> Finding {
    let address = connection.address;
    let name = &case.target.server_name;
    let issuer =
        connection.tls.as_ref().and_then(|facts| facts.certificate.as_ref()).map_or_else(String::new, |certificate| {
            format!(" Its subject is \"{}\", its issuer \"{}\".", certificate.subject, certificate.issuer)
        });
    let also = also_wrong(failure, connection, case.now);
    let look = [s_client(case, address)];
    let error = |code: Code, summary: String, detail: String| Finding::new(code, Severity::Error, summary, detail);
    match failure {
        TlsFailure::Timeout { bytes_received } => timeout(connection, *bytes_received).commands(look),
        TlsFailure::Closed { bytes_received } => error(
            Code::TlsClosed,
            format!("{address} closes the connection during the TLS handshake"),
            format!("{} came before. By likelihood: a proxy or endpoint in front that has nothing behind it or does not admit this client; a firewall; a server with no room for another client, which closes before TLS and gives no reason.{}", bytes(*bytes_received), proxy_protocol(*bytes_received))
        )
        .hint("look at the private endpoint connection's state and at the server's connected clients against its limit")
        .commands(look)
        .commands(Resource::of(case).iter().map(Resource::list_connections)),
        TlsFailure::Reset { bytes_received } => error(
            Code::TlsReset,
            format!("{address} resets the connection during the TLS handshake"),
            format!("{} came before. A firewall that inspects TLS, or the server, ended it.{}", bytes(*bytes_received), proxy_protocol(*bytes_received)),
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
        TlsFailure::CertificateExpired { not_after, intermediate: Some(subject) } => error(
            Code::TlsCertificateExpired,
            format!("an intermediate certificate that {address} sends has expired{}", not_after.map_or_else(String::new, |time| format!(" on {}", time.date()))),
            format!("It is \"{subject}\". The server's own certificate is in date.{issuer} Clients that do not have a newer certificate of this issuer fail."),
        )
        .hint("have the server send the present intermediate certificate; check this machine's clock, too")
        .commands(["date -u".to_owned()])
        .commands(look),
        TlsFailure::CertificateExpired { not_after, intermediate: None } => error(
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
        TlsFailure::UntrustedIssuer { issuer } => untrusted(connection, issuer, &also).commands(look),
        TlsFailure::BadCertificate { error: reason } => error(
            Code::TlsFailed,
            format!("redpath does not accept the certificate at {address}: {reason}"),
            format!("This is a statement about this client (rustls with ring). Other clients, such as those with OpenSSL, may accept the certificate.{issuer}"),
        )
        .hint("give the server a certificate that it can verify: an X.509 version 3 leaf (CA:FALSE) with an RSA, P-256 or P-384 key; see what the application's own client makes of the present one")
        .commands(look),
        TlsFailure::Alert { alert } if alert == "unrecognized_name" => error(
            Code::TlsFailed,
            format!("{address} does not serve the name {name}: it sent the alert {alert}"),
            "A server or proxy that chooses by the name in the ClientHello (SNI) has none like this. By likelihood: the address belongs to another service; the name is an alias that the server does not know.".to_owned(),
        )
        .hint("compare the address with the private endpoint's; send the cache's own name with --server-name")
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

/// Silence in the handshake: what the kernel counted tells a lost packet from a server that hangs.
fn timeout(connection: &Connection, bytes_received: u64) -> Finding {
    let address = connection.address;
    let came = bytes(bytes_received);
    let counters = connection.tls.as_ref().and_then(|facts| facts.tcp);
    let (detail, hint, commands) = match counters {
        Some(TcpCounters { bytes_acknowledged: 1.., segments_out_of_order: 1.. }) => (
            format!(
                "The ClientHello was acknowledged, and segments of the answer came while an earlier one is missing ({came} could be read): a large packet is lost on the way, as where the path has a smaller MTU and ICMP is dropped."
            ),
            "find the largest packet that passes, and lower the MSS or allow ICMP \"fragmentation needed\" on the way",
            vec![format!("ping -c 3 -M do -s 1372 {}", address.ip()), format!("tracepath -n {}", address.ip())],
        ),
        Some(TcpCounters { bytes_acknowledged: 1.., segments_out_of_order: 0 }) => (
            format!(
                "The ClientHello was acknowledged, and {} came. By likelihood: a server that hangs; a proxy with nothing behind it; a path that loses large packets (MTU).",
                came.to_lowercase()
            ),
            "look at the server, or at the proxy in front of it",
            Vec::new(),
        ),
        Some(TcpCounters { bytes_acknowledged: 0, .. }) => (
            format!(
                "The ClientHello was not acknowledged, and {} came. By likelihood: a firewall that lets the SYN through and drops what follows; a path that loses packets.",
                came.to_lowercase()
            ),
            "look at the firewalls in between",
            Vec::new(),
        ),
        None => (
            format!(
                "{came} came before the limit. By likelihood: a firewall that lets the SYN through and drops what follows, or a proxy with nothing behind it; a server that hangs; a path that loses large packets (MTU)."
            ),
            "try from another subnet; if it hangs there too, look at the server, otherwise at the firewalls in between",
            Vec::new(),
        ),
    };
    Finding::new(
        Code::TlsTimeout,
        Severity::Error,
        format!("{address} accepts the connection and does not complete the TLS handshake"),
        detail,
    )
    .hint(hint)
    .commands(commands)
}

/// A peer that expects the PROXY protocol ends a connection that begins with a ClientHello.
fn proxy_protocol(bytes_received: u64) -> &'static str {
    if bytes_received > 0 {
        return "";
    }
    " Also possible: the peer expects the PROXY protocol before TLS (a Private Link Service or load balancer with it switched on)."
}

/// A chain that leads to no trust anchor: where it ends decides what is likely.
fn untrusted(connection: &Connection, issuer: &str, also: &str) -> Finding {
    let address = connection.address;
    let facts = connection.tls.as_ref();
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
        (end, detail, hint)
    };
    Finding::new(
        Code::TlsUntrustedIssuer,
        Severity::Error,
        format!("the certificate at {address} leads to \"{end}\", which is not trusted here"),
        format!("{detail}{also}"),
    )
    .hint(hint)
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

/// The other verifications that would have failed too, so that the next fault is no surprise.
fn also_wrong(failure: &TlsFailure, connection: &Connection, now: Timestamp) -> String {
    let Some(checks) = connection.tls.as_ref().and_then(|facts| facts.checks) else { return String::new() };
    let mut also = Vec::new();
    if !checks.trusted && !matches!(failure, TlsFailure::UntrustedIssuer { .. }) {
        also.push("its issuer is not trusted here");
    }
    let own_is_out_of_date = connection.tls.as_ref().and_then(|facts| facts.certificate.as_ref()).is_some_and(|leaf| {
        leaf.not_after.is_some_and(|end| end < now) || leaf.not_before.is_some_and(|begin| begin > now)
    });
    if own_is_out_of_date
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
