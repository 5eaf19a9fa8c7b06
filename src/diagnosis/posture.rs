//! Endpoints that are open and should be closed. What is open from here may be closed from other vantages.

use super::remediation::Resource;
use super::{Code, Context, Finding, Severity, redis};
use crate::expectation::PublicAccess as Expected;
use crate::observation::posture::{Attempt, AttemptOutcome, PlaintextPort, PublicEndpoint};
use crate::observation::{Connection, OpenState, Posture, PosturePhase};
use crate::phase::PhaseName;

/// What the checks say about the peer in use.
pub(super) fn server_findings(case: &Context<'_>) -> Vec<Finding> {
    let Some((facts, connection)) = facts(case).zip(case.observation.connection.as_ref()) else { return Vec::new() };
    let mut findings = Vec::new();
    if facts.auth_enforced == Some(false) {
        let seen = "PING on a connection of its own, before any AUTH, was answered with PONG. AUTH was accepted on the connection in use all the same: a user `default` without a password (nopass) takes any.";
        findings.push(redis::auth_not_enforced(case, seen).phase(PhaseName::Posture));
    }
    findings.extend(facts.plaintext_port.as_ref().and_then(|port| plaintext_port(case, connection, port)));
    findings.into_iter().map(|finding| with_age(case, finding)).collect()
}

/// What the check of the public address says; it stands beside whatever the path in use is.
pub(super) fn public_address_finding(case: &Context<'_>) -> Option<Finding> {
    public_address(case).map(|finding| with_age(case, finding))
}

/// Says how old the result is, where an earlier probe made the check.
fn with_age(case: &Context<'_>, mut finding: Finding) -> Finding {
    if let Some(age) = case.observation.phases.posture.as_ref().and_then(PosturePhase::age) {
        let text = format!(" The check was made {age} before this probe; redpath check makes it at once.");
        finding.detail.push_str(&text);
    }
    finding
}

fn public_address(case: &Context<'_>) -> Option<Finding> {
    let access = facts(case)?.public_access.as_ref()?;
    match case.expectation.public_access {
        Expected::Ignore | Expected::Open => None,
        Expected::Closed => match access.state {
            OpenState::Closed => None,
            OpenState::Open => Some(public_access_open(case, access)),
            OpenState::Unknown if access.attempt.outcome == AttemptOutcome::InUse => in_use(case, access),
            OpenState::Unknown => Some(not_checked("unknown: whether the public address is closed", &access.attempt)),
        },
    }
}

fn facts<'a>(case: &Context<'a>) -> Option<&'a Posture> {
    case.observation.phases.posture.as_ref().map(|posture| &posture.facts)
}

fn plaintext_port(case: &Context<'_>, connection: &Connection, port: &PlaintextPort) -> Option<Finding> {
    let address = std::net::SocketAddr::new(connection.address.ip(), port.port);
    match port.state {
        OpenState::Closed => None,
        OpenState::Unknown => Some(not_checked(
            &format!("unknown: whether {address} answers without TLS"),
            &port.attempt,
        )),
        OpenState::Open => Some(
            Finding::new(
                Code::PlaintextPortOpen,
                Severity::Error,
                format!("{address} answers Redis without TLS ({})", reply_text(&port.attempt)),
                "A PING in plain text, without credentials, was answered. A client that is configured with this port sends its password and its data readable to everyone on the path.",
            )
            .hint("move the clients that still use this port to TLS, then disable the non-TLS port")
            .commands(Resource::of(case).iter().map(Resource::disable_plaintext_port)),
        ),
    }
}

fn public_access_open(case: &Context<'_>, access: &PublicEndpoint) -> Finding {
    let address = access.address.map_or_else(|| "the public address".to_owned(), |address| address.to_string());
    let answered = match access.attempt.outcome {
        AttemptOutcome::RedisAnsweredWithoutTls => "Redis answered there, without TLS".to_owned(),
        _ if !case.target.tls => format!("Redis answered there ({})", reply_text(&access.attempt)),
        _ => {
            format!(
                "TLS, verified as {}, and Redis answered there ({})",
                case.target.server_name,
                reply_text(&access.attempt)
            )
        }
    };
    let source = match &access.view {
        Some(view) => format!(" The address is what the resolver {view} gives."),
        None => String::new(),
    };
    open_finding(
        case,
        format!("the public address {address} is open"),
        format!("{answered}, without credentials.{source}"),
    )
}

/// The connection of the probe is the proof, where it was meant to go there; where it was not, the
/// resolution has given the cause.
fn in_use(case: &Context<'_>, access: &PublicEndpoint) -> Option<Finding> {
    let answers = case.observation.phases.connection.ping.is_done();
    let address = access.address.filter(|_| answers && case.is_at_expected_address())?;
    Some(open_finding(
        case,
        format!("the public address {address} is open"),
        "It is the address in use, and Redis answers there.".to_owned(),
    ))
}

fn open_finding(case: &Context<'_>, summary: String, seen: String) -> Finding {
    let phases = &case.observation.phases.connection;
    let works_privately = case.is_at_expected_address() && phases.ping.is_done();
    let (here, hint) = if works_privately {
        (
            "This vantage itself passes on the expected path, so it would not miss the public address. redpath knows only its own vantage: what other subnets use is not seen from here.",
            "once every subnet that uses the cache passes on the private path, it is safe to disable public network access",
        )
    } else {
        (
            "This vantage itself does not pass on the expected path, and may depend on the public address.",
            "do not disable public network access yet: fix the private path first, from every subnet that uses the cache",
        )
    };
    Finding::new(Code::PublicAccessOpen, Severity::Error, summary, format!("{seen} {here}"))
        .hint(hint)
        .commands(Resource::of(case).iter().filter(|_| works_privately).map(Resource::disable_public_access))
}

/// It was asked for and not answered, so the verdict is no pass.
fn not_checked(what: &str, attempt: &Attempt) -> Finding {
    let (why, hint) = match attempt.outcome {
        AttemptOutcome::NoAddress => (
            "No public address was given, and no configured resolver in the internet gave one. 168.63.129.16 is none: it sees the private zones.",
            "give the address with --public-address (posture.public_address), or a resolver in the internet with --resolver NAME=ADDRESS",
        ),
        AttemptOutcome::NotPublic => (
            "The resolver in the internet gave no public address, and nothing is sent to another one on the word of a record.",
            "give the address with --public-address (posture.public_address), or look at what that resolver answers",
        ),
        AttemptOutcome::OutOfTime => (
            "The probe's time was up before silence would have meant something.",
            "allow the probe more time with --timeout (timeout)",
        ),
        AttemptOutcome::Interrupted => ("The probe was interrupted.", "probe again"),
        AttemptOutcome::CouldNotTry => (
            "This machine could not try it: it has no route of that kind, or the system refused.",
            "check this machine's routes, and whether it has an address of that family",
        ),
        AttemptOutcome::InUse => ("The connection in use went there.", "fix the path in use first"),
        AttemptOutcome::RedisAnswered
        | AttemptOutcome::RedisAnsweredWithoutTls
        | AttemptOutcome::Refused
        | AttemptOutcome::ConnectTimeout
        | AttemptOutcome::ConnectFailed
        | AttemptOutcome::ClosedBeforeTls
        | AttemptOutcome::TlsTimeout
        | AttemptOutcome::TlsAlert
        | AttemptOutcome::TlsNameMismatch
        | AttemptOutcome::TlsCertificateRefused
        | AttemptOutcome::NotTls
        | AttemptOutcome::TlsFailed
        | AttemptOutcome::RedisTimeout
        | AttemptOutcome::RedisClosed
        | AttemptOutcome::NotRedis => ("The record has no further reason.", "probe again"),
    };
    let detail = match &attempt.reply {
        Some(said) => format!("{why} ({said})"),
        None => why.to_owned(),
    };
    Finding::new(Code::NotChecked, Severity::Warning, what, detail).hint(hint)
}

fn reply_text(attempt: &Attempt) -> &str {
    attempt.reply.as_deref().unwrap_or("a reply")
}
