//! How the server sees the probe, in one line.

use crate::observation::Connection;
use crate::observation::RedisFailure;
use crate::observation::client_info::Via;

/// `sees fd40:…a03:1a06, a private link from 10.3.26.6`; `None` where the server was not asked.
pub(super) fn server_sees(connection: &Connection) -> Option<String> {
    let seen = connection.server_sees.as_ref()?;
    let mut line = match (seen.via, seen.address, &seen.failure) {
        (Via::PrivateLink, Some(address), _) => format!("sees {address}, a private link"),
        (Via::Address, Some(address), _) => format!("sees {address}"),
        (_, _, Some(failure)) => return Some(format!("the address that it sees is unknown: {}", reason(failure))),
        _ => return Some("the address that it sees is unknown".to_owned()),
    };
    if let Some(client) = seen.client_address {
        line.push_str(&format!(" from {client}"));
        if let Some(source) = connection.source.map(|source| source.to_canonical()).filter(|source| *source != client) {
            line.push_str(&format!(", not {source}, the address here: it is translated on the way (NAT)"));
        }
    }
    match seen.agrees {
        Some(true) => line.push_str("; agrees with the path"),
        Some(false) => line.push_str("; contradicts the path"),
        None => {}
    }
    Some(line)
}

/// Whether the server sees the probe come by a private link, from an address that agrees with the path.
pub(crate) fn is_seen_by_private_link(connection: &Connection) -> bool {
    connection.server_sees.as_ref().is_some_and(|seen| seen.via == Via::PrivateLink && seen.agrees == Some(true))
}

fn reason(failure: &RedisFailure) -> String {
    match failure {
        RedisFailure::ErrorReply { code, .. } if code == "NOPERM" => {
            "the user may not run CLIENT INFO; +client|info allows it".to_owned()
        }
        RedisFailure::ErrorReply { code, .. } if code == "ERR" => {
            format!("CLIENT INFO, of Redis 6.2 and later, is not supported ({failure})")
        }
        other => other.to_string(),
    }
}
