//! The results of the posture checks, one line per check, and the pre-check's own line.

use crate::expectation::PublicAccess as Expected;
use crate::observation::posture::{Attempt, AttemptOutcome, PlaintextPort, PublicEndpoint};
use crate::observation::{Connection, OpenState};
use crate::record::Record;

/// One line per check that was made, in plain words.
pub(super) fn posture(record: &Record) -> Vec<String> {
    let Some(posture) = &record.observation.phases.posture else { return Vec::new() };
    let facts = &posture.facts;
    let auth = facts.auth_check.as_ref().map(|attempt| match facts.auth_enforced {
        Some(true) => "authentication is enforced (NOAUTH without a credential)".to_owned(),
        Some(false) => "authentication is not enforced (PONG without a credential)".to_owned(),
        None => format!("authentication: unknown ({})", describe_attempt(attempt)),
    });
    let plaintext = facts.plaintext_port.as_ref().map(plaintext_port);
    let public = facts.public_access.as_ref().map(|access| public_access(access, record.expectation.public_access));
    let age = posture.age().map(|age| format!(", checked {age} ago")).unwrap_or_default();
    [auth, plaintext, public].into_iter().flatten().map(|line| line + &age).collect()
}

/// Why the verdict is unknown, where a limit of this process or machine is the reason.
pub(crate) fn local_limit(record: &Record) -> Option<String> {
    let limit = record.observation.local_limit?;
    let (sentence, hint) = (limit.sentence(), limit.hint());
    Some(format!("unknown because of this machine, not of the target: {sentence}; {hint}"))
}

/// That an address was given in place of the DNS answer, where one was.
pub(crate) fn precheck(record: &Record) -> Option<String> {
    let connection = record.observation.connection.as_ref().filter(|connection| connection.address_given)?;
    let Connection { address, .. } = connection;
    Some(format!("pre-check by address: connected to {} as given, without its DNS answer", address.ip()))
}

fn plaintext_port(port: &PlaintextPort) -> String {
    let (number, ended) = (port.port, describe_attempt(&port.attempt));
    match port.state {
        OpenState::Open => format!("plain-text port {number} is open ({ended})"),
        OpenState::Closed => format!("plain-text port {number} is closed ({ended})"),
        OpenState::Unknown => format!("plain-text port {number}: unknown ({ended})"),
    }
}

fn public_access(access: &PublicEndpoint, expected: Expected) -> String {
    let address = access.address.map(|address| format!(" {address}")).unwrap_or_default();
    let ended = describe_attempt(&access.attempt);
    let unexpected = match (expected, access.state) {
        (Expected::Closed, OpenState::Open) => ", expected: closed",
        (Expected::Open, OpenState::Closed) => ", expected: open",
        (Expected::Closed | Expected::Open | Expected::Ignore, _) => "",
    };
    match access.state {
        OpenState::Open => format!("public address{address} is open ({ended}){unexpected}"),
        OpenState::Closed => format!("public address{address} is closed as seen from here ({ended}){unexpected}"),
        OpenState::Unknown => format!("public address{address}: unknown ({ended})"),
    }
}

fn describe_attempt(attempt: &Attempt) -> String {
    let words = match attempt.outcome {
        AttemptOutcome::RedisAnswered => "Redis answered",
        AttemptOutcome::RedisAnsweredWithoutTls => "Redis answered without TLS",
        AttemptOutcome::Refused => "refused",
        AttemptOutcome::ConnectTimeout => "silent",
        AttemptOutcome::ConnectFailed => "no connection",
        AttemptOutcome::ClosedBeforeTls => "closed before TLS",
        AttemptOutcome::TlsTimeout => "silent to TLS",
        AttemptOutcome::TlsAlert => "ended by a TLS alert",
        AttemptOutcome::TlsNameMismatch => "another server's certificate",
        AttemptOutcome::TlsCertificateRefused => "a certificate that is not accepted here",
        AttemptOutcome::NotTls => "not TLS",
        AttemptOutcome::TlsFailed => "TLS failed",
        AttemptOutcome::RedisTimeout => "no reply to PING",
        AttemptOutcome::RedisClosed => "closed in place of a reply to PING",
        AttemptOutcome::NotRedis => "not Redis",
        AttemptOutcome::OutOfTime => "out of time",
        AttemptOutcome::Interrupted => "interrupted",
        AttemptOutcome::CouldNotTry => "this machine could not try",
        AttemptOutcome::NoAddress => "no public address is known",
        AttemptOutcome::NotPublic => "DNS gave no public address, so nothing was sent",
        AttemptOutcome::InUse => "it is the address in use",
    };
    match (&attempt.reply, attempt.outcome) {
        // The words say as much as the failure does.
        (
            Some(said),
            AttemptOutcome::RedisAnswered
            | AttemptOutcome::TlsAlert
            | AttemptOutcome::TlsNameMismatch
            | AttemptOutcome::TlsCertificateRefused
            | AttemptOutcome::TlsFailed
            | AttemptOutcome::NotRedis
            | AttemptOutcome::CouldNotTry
            | AttemptOutcome::ConnectFailed,
        ) => format!("{words}: {said}"),
        (Some(_) | None, _) => words.to_owned(),
    }
}
