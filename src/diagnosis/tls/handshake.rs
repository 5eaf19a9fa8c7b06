//! A handshake that ended before a certificate was verified: silence, a closed connection, another protocol, an alert.

use super::{FailedHandshake, error};
use crate::diagnosis::remediation::{self, Resource};
use crate::diagnosis::{Code, Finding};
use crate::observation::tls::TcpCounters;

pub(super) fn closed(failed: FailedHandshake<'_>, bytes_received: u64) -> Finding {
    let address = failed.address;
    error(
        Code::TlsClosed,
        format!("{address} closes the connection during the TLS handshake"),
        format!("{} came before. By likelihood: a proxy or endpoint in front that has nothing behind it or does not admit this client; a firewall; a server with no room for another client, which closes before TLS and gives no reason.{}", bytes(bytes_received), proxy_protocol(bytes_received)),
    )
    .hint("look at the private endpoint connection's state and at the server's connected clients against its limit")
    .commands(failed.look())
    .commands(Resource::of(failed.case).iter().map(Resource::list_connections))
}

pub(super) fn reset(failed: FailedHandshake<'_>, bytes_received: u64) -> Finding {
    let address = failed.address;
    let came = bytes(bytes_received);
    let (why, hint) = if bytes_received == 0 {
        (
            "By likelihood: a firewall that reads the name in the ClientHello (SNI) and resets what no rule allows; the server, or a proxy in front of it, does not admit this client.",
            "look at the firewalls on the way for rules on names (SNI, FQDN), then at the server",
        )
    } else {
        (
            "By likelihood: the server or a proxy in front of it ended the handshake; a firewall did, after it had read the beginning.",
            "look at the server's and the proxy's log, then at the firewalls on the way",
        )
    };
    error(
        Code::TlsReset,
        format!("{address} resets the connection during the TLS handshake"),
        format!("{came} came before. {why}{}", proxy_protocol(bytes_received)),
    )
    .hint(hint)
    .commands(failed.look())
}

pub(super) fn not_tls(failed: FailedHandshake<'_>, is_plain_redis: bool, received: &str) -> Finding {
    let address = failed.address;
    if is_plain_redis {
        return error(
            Code::TlsNotSpoken,
            format!("{address} is Redis without TLS"),
            format!("It does not answer a TLS handshake, and answers a plain PING with \"{received}\"."),
        )
        .hint("use the TLS port, or declare the target plain (--plaintext, or redis://) if that is meant");
    }
    error(
        Code::TlsNotSpoken,
        format!("{address} does not speak TLS"),
        format!("It answered the handshake with \"{received}\"."),
    )
    .hint("check the port; something else than a TLS endpoint listens there")
}

pub(super) fn no_shared_version(failed: FailedHandshake<'_>) -> Finding {
    let address = failed.address;
    error(
        Code::TlsNoSharedVersion,
        format!("{address} speaks neither TLS 1.2 nor 1.3"),
        "Those are offered. Azure Redis speaks both, so an old server or middlebox answers there.".to_owned(),
    )
    .hint("find what answers there; raise its minimum TLS version to 1.2")
    .commands(failed.look())
}

pub(super) fn no_shared_cipher(failed: FailedHandshake<'_>) -> Finding {
    let (address, name) = (failed.address, &failed.case.target.server_name);
    error(
        Code::TlsNoSharedCipher,
        format!("{address} shares no cipher suite with this client"),
        "Offered are the suites of TLS 1.3 and those of TLS 1.2 with ECDHE and AEAD. A server that has only CBC suites fails here and may still serve other clients: the path is right as far as TCP.".to_owned(),
    )
    .hint("compare with what the application's library offers; add an ECDHE-GCM suite at the server if you can")
    .commands([format!("openssl s_client -connect {} -servername {name} -tls1_2 </dev/null", remediation::socket(address))])
}

pub(super) fn alert(failed: FailedHandshake<'_>, alert: &str) -> Finding {
    let (address, name) = (failed.address, &failed.case.target.server_name);
    if alert == "unrecognized_name" {
        return error(
            Code::TlsFailed,
            format!("{address} does not serve the name {name}: it sent the alert {alert}"),
            "A server or proxy that chooses by the name in the ClientHello (SNI) has none like this. By likelihood: the address belongs to another service; the name is an alias that the server does not know.".to_owned(),
        )
        .hint("compare the address with the private endpoint's; send the cache's own name with --server-name")
        .commands(failed.look());
    }
    error(
        Code::TlsFailed,
        format!("{address} ended the TLS handshake with the alert {alert}"),
        "The alert is all that the peer says.".to_owned(),
    )
    .hint("look into the server's log")
    .commands(failed.look())
}

pub(super) fn other(failed: FailedHandshake<'_>, reason: &str) -> Finding {
    let address = failed.address;
    error(
        Code::TlsFailed,
        format!("TLS with {address} failed: {reason}"),
        "The TLS library gives no closer reason.".to_owned(),
    )
    .hint("try the handshake by hand")
    .commands(failed.look())
}

/// Silence in the handshake: what the kernel counted tells a lost packet from a server that hangs.
pub(super) fn timeout(failed: FailedHandshake<'_>, bytes_received: u64) -> Finding {
    let address = failed.address;
    let came = bytes(bytes_received);
    let counters = failed.connection.tls.as_ref().and_then(|facts| facts.tcp);
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
    error(Code::TlsTimeout, format!("{address} accepts the connection and does not complete the TLS handshake"), detail)
        .hint(hint)
        .commands(commands)
        .commands(failed.look())
}

/// A peer that expects the PROXY protocol ends a connection that begins with a ClientHello.
fn proxy_protocol(bytes_received: u64) -> &'static str {
    if bytes_received > 0 {
        return "";
    }
    " Also possible: the peer expects the PROXY protocol before TLS (a Private Link Service or load balancer with it switched on)."
}

fn bytes(count: u64) -> String {
    match count {
        0 => "No byte".to_owned(),
        1 => "1 byte".to_owned(),
        count => format!("{count} bytes"),
    }
}
