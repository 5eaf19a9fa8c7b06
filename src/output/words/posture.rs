//! What was found of that which should be closed, one line per check, and the pre-check's own line.

use crate::expectation::PublicAccess as Expected;
use crate::observation::posture::{Knock, KnockEnd, PlaintextPort, PublicEndpoint};
use crate::observation::{Connection, OpenState};
use crate::record::Record;

/// One line per check that was made, in plain words.
pub(crate) fn posture(record: &Record) -> Vec<String> {
    let Some(posture) = &record.observation.phases.posture else { return Vec::new() };
    let facts = &posture.facts;
    let auth = facts.auth_check.as_ref().map(|knock| match facts.auth_enforced {
        Some(true) => "authentication is enforced (NOAUTH without a credential)".to_owned(),
        Some(false) => "authentication is not enforced (PONG without a credential)".to_owned(),
        None => format!("authentication: not told ({})", ended(knock)),
    });
    let plaintext = facts.plaintext_port.as_ref().map(plaintext_port);
    let public = facts.public_access.as_ref().map(|access| public_access(access, record.expectation.public_access));
    [auth, plaintext, public].into_iter().flatten().collect()
}

/// That an address was given in place of what DNS says, where one was.
pub(crate) fn precheck(record: &Record) -> Option<String> {
    let connection = record.observation.connection.as_ref().filter(|connection| connection.address_given)?;
    let Connection { address, .. } = connection;
    Some(format!("pre-check by address: connected to {} as given, whatever DNS says", address.ip()))
}

fn plaintext_port(port: &PlaintextPort) -> String {
    let (number, ended) = (port.port, ended(&port.knock));
    match port.state {
        OpenState::Open => format!("plain-text port {number} is open ({ended})"),
        OpenState::Closed => format!("plain-text port {number} is closed ({ended})"),
        OpenState::Unknown => format!("plain-text port {number}: not told ({ended})"),
    }
}

fn public_access(access: &PublicEndpoint, expected: Expected) -> String {
    let address = access.address.map(|address| format!(" {address}")).unwrap_or_default();
    let ended = ended(&access.knock);
    let unexpected = match (expected, access.state) {
        (Expected::Closed, OpenState::Open) => ", expected: closed",
        (Expected::Open, OpenState::Closed) => ", expected: open",
        (Expected::Closed | Expected::Open | Expected::Ignore, _) => "",
    };
    match access.state {
        OpenState::Open => format!("public address{address} is open ({ended}){unexpected}"),
        OpenState::Closed => format!("public address{address} is closed as seen from here ({ended}){unexpected}"),
        OpenState::Unknown => format!("public address{address}: not told ({ended})"),
    }
}

fn ended(knock: &Knock) -> String {
    let words = match knock.how {
        KnockEnd::RedisAnswered => "Redis answered",
        KnockEnd::RedisAnsweredWithoutTls => "Redis answered without TLS",
        KnockEnd::Refused => "refused",
        KnockEnd::ConnectTimeout => "silent",
        KnockEnd::ConnectFailed => "no connection",
        KnockEnd::ClosedBeforeTls => "closed before TLS",
        KnockEnd::TlsTimeout => "silent to TLS",
        KnockEnd::TlsAlert => "ended by a TLS alert",
        KnockEnd::TlsNameMismatch => "another server's certificate",
        KnockEnd::TlsCertificateRefused => "a certificate that is not accepted here",
        KnockEnd::NotTls => "not TLS",
        KnockEnd::TlsFailed => "TLS failed",
        KnockEnd::RedisTimeout => "no reply to PING",
        KnockEnd::RedisClosed => "closed in place of a reply to PING",
        KnockEnd::NotRedis => "not Redis",
        KnockEnd::OutOfTime => "out of time",
        KnockEnd::Interrupted => "interrupted",
        KnockEnd::CouldNotTry => "this machine could not try",
        KnockEnd::NoAddress => "no public address is known",
        KnockEnd::NotPublic => "DNS gave no public address, so nothing was sent",
        KnockEnd::InUse => "it is the address in use",
    };
    match (&knock.said, knock.how) {
        // The words say as much as the failure does.
        (
            Some(said),
            KnockEnd::RedisAnswered
            | KnockEnd::TlsAlert
            | KnockEnd::TlsNameMismatch
            | KnockEnd::TlsCertificateRefused
            | KnockEnd::TlsFailed
            | KnockEnd::NotRedis
            | KnockEnd::CouldNotTry
            | KnockEnd::ConnectFailed,
        ) => format!("{words}: {said}"),
        (Some(_) | None, _) => words.to_owned(),
    }
}
