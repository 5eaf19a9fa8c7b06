//! What Redis' answers mean.

mod error_reply;

use self::error_reply::ErrorReply;
use super::remediation::Resource;
use super::{Code, Context, Finding, Severity};
use crate::azure::Service;
use crate::observation::redis::{AuthFacts, PingReply, SecretForm, Surroundings};
use crate::observation::{Connection, ConnectionPhases, Phase, RedisFailure, SkipReason};
use crate::phase::PhaseName;

pub(super) fn diagnose(case: &Context<'_>, phases: &ConnectionPhases, connection: &Connection) -> Vec<Finding> {
    let mut findings = Vec::new();
    let auth = connection.auth.as_ref();
    if let Some(error) = auth.and_then(|auth| auth.credential_error.as_deref()) {
        findings.push(credential_unavailable(error));
    }
    if let Some(failure) = phases.auth.failure() {
        findings.push(auth_failure(case, failure, auth));
    }
    if let Some(failure) = phases.ping.failure() {
        findings.push(failure_finding(case, failure, PhaseName::Ping));
    }
    if let Some(ping) = &connection.ping {
        findings.extend(reply_finding(case, ping.reply, phases));
    }
    findings
}

fn credential_unavailable(error: &str) -> Finding {
    Finding::new(
        Code::CredentialUnavailable,
        Severity::Error,
        format!("the credential cannot be read: {error}"),
        "The probe went on without it, so the other phases show how far the path goes; whether Redis would take the credential is not known.".to_owned(),
    )
    .hint("set the file, the variable or its permissions right")
}

fn auth_failure(case: &Context<'_>, failure: &RedisFailure, auth: Option<&AuthFacts>) -> Finding {
    let RedisFailure::ErrorReply { code, message } = failure else {
        return failure_finding(case, failure, PhaseName::Auth);
    };
    let who = auth.and_then(|auth| auth.username.as_deref()).unwrap_or("default");
    let none_configured = message.contains("without any password configured") || message.contains("no password is set");
    match code.as_str() {
        "ERR" if message.contains("invalid password") => auth_rejected(case, who, "ERR invalid password"),
        "ERR" if none_configured => auth_not_enforced(case, "The server says that no password is set."),
        "WRONGPASS" => auth_rejected(case, who, "WRONGPASS"),
        _ => failure_finding(case, failure, PhaseName::Auth),
    }
}

fn auth_rejected(case: &Context<'_>, who: &str, reply: &str) -> Finding {
    if let Some(facts) = &case.observation.token {
        return super::token::rejected(case, facts, who, reply);
    }
    let auth = case.observation.connection.as_ref().and_then(|connection| connection.auth.as_ref());
    let surrounded = match auth.and_then(|auth| auth.surrounded_by) {
        Some(Surroundings::WhiteSpace) => " The password begins or ends with white space, which is sent with it.",
        Some(Surroundings::Quotes) => " The password stands in quotes, which are sent with it.",
        None => "",
    };
    let (form, hint) = match auth.and_then(|auth| auth.looks_like) {
        Some(form) => form_text(form),
        None => ("", "give the probe the present key, or check the user name"),
    };
    let is_azure = case.target.service != Service::Other;
    let other_user = match who {
        "default" => String::new(),
        _ if is_azure => format!(
            " Access keys belong to the user default, and \"{who}\" is another one: with an access key, leave the user name out."
        ),
        _ => String::new(),
    };
    Finding::new(
        Code::AuthRejected,
        Severity::Error,
        format!("Redis rejects the credential of user \"{who}\" ({reply})"),
        format!(
            "{}{surrounded}{form}{other_user} By likelihood: the key was rotated and the probe has the old one; the user name is not the one the password belongs to; access keys are disabled (Managed Redis does so by default), or the identity is not assigned; the address belongs to another cache.",
            case.proven(),
        ),
    )
    .hint(hint)
    .commands(Resource::of(case).iter().map(Resource::list_keys))
}

/// What the password is in place of a key, and what to give.
fn form_text(form: SecretForm) -> (&'static str, &'static str) {
    match form {
        SecretForm::ConnectionString => (
            " The password is a whole connection string or URL.",
            "give the key alone as the password, or the whole string as the TARGET",
        ),
        SecretForm::PercentEncoded => (
            " The password has percent-encoding, as a key in a URL has it (%3D for =).",
            "decode the key: percent-encoding belongs in a URL alone",
        ),
        SecretForm::Base64OfKey => (
            " The password is base64 of what looks like an access key: it was encoded once too often.",
            "give the key as it is: in a Kubernetes Secret under stringData, or encoded once under data",
        ),
        SecretForm::ByteOrderMark => (
            " The password begins with a byte order mark (U+FEFF), which is sent with it.",
            "write the file without a byte order mark, as printf does",
        ),
        SecretForm::Reference => (
            " The password is a reference or a placeholder that nobody has put the key in place of.",
            "look at what was to put the key there: the Key Vault reference, the template or the variable",
        ),
    }
}

fn reply_finding(case: &Context<'_>, reply: PingReply, phases: &ConnectionPhases) -> Option<Finding> {
    match (reply, &phases.auth) {
        (PingReply::Pong, Phase::Skipped { reason: SkipReason::NoCredentials }) => {
            Some(auth_not_enforced(case, "PING was answered with PONG, and no credentials were sent."))
        }
        (
            PingReply::Pong,
            Phase::Skipped {
                reason:
                    SkipReason::CredentialUnavailable
                    | SkipReason::WithheldUnexpectedAddress
                    | SkipReason::WithheldResolverDisagreement
                    | SkipReason::Plaintext
                    | SkipReason::NotApplicable
                    | SkipReason::NoPermission
                    | SkipReason::NotDue,
            },
        ) => Some(auth_not_enforced(case, "PING was answered with PONG although the credentials were not sent.")),
        (PingReply::Pong, Phase::Done { .. } | Phase::Failed { .. } | Phase::NotReached { .. }) => None,
        (PingReply::Noauth, Phase::Done { .. }) => Some(
            Finding::new(
                Code::AuthRequired,
                Severity::Error,
                "Redis demands authentication although AUTH succeeded",
                "NOAUTH came in reply to PING after an accepted AUTH: a proxy in between spreads commands over several connections, or the reply is not the server's.",
            )
            .hint("look for a proxy between here and the cache"),
        ),
        (PingReply::Noauth, Phase::Failed { .. }) => Some(
            Finding::new(
                Code::AuthRequired,
                Severity::Error,
                "Redis demands authentication, and AUTH failed",
                "NOAUTH came in reply to PING after an AUTH that was not accepted.",
            )
            .hint("set right what AUTH failed for"),
        ),
        (PingReply::Noauth, Phase::Skipped { reason }) => Some(auth_enforced(case, *reason)),
        (PingReply::Noauth, Phase::NotReached { .. }) => Some(auth_enforced(case, SkipReason::NoCredentials)),
        (PingReply::Noperm, _) => Some(
            Finding::new(
                Code::PermissionDenied,
                Severity::Warning,
                "Redis knows the user and does not allow it to PING (NOPERM)",
                format!(
                    "{} The credential is accepted; the user's access policy is narrower than a probe needs.",
                    case.proven()
                ),
            )
            .hint("allow the probe's user the command PING (+ping)"),
        ),
    }
}

fn auth_enforced(case: &Context<'_>, reason: SkipReason) -> Finding {
    let detail = match reason {
        SkipReason::NoCredentials => {
            "It shows that authentication is enforced, without any secret; it does not show that the application's own credential is accepted. NOAUTH comes before other errors: a server that is blocked, loading or unable to save (BUSY, LOADING, MISCONF) looks the same to a probe without credentials."
        }
        SkipReason::WithheldUnexpectedAddress => {
            "The credentials were withheld, since they go to an expected address only."
        }
        SkipReason::WithheldResolverDisagreement => {
            "The credentials were withheld, since a configured resolver gives another private address."
        }
        SkipReason::CredentialUnavailable => "No credential was sent, since it could not be read.",
        SkipReason::Plaintext => "The credentials were withheld, since they do not go over a connection without TLS.",
        SkipReason::NotApplicable | SkipReason::NoPermission | SkipReason::NotDue => "No credential was sent.",
    };
    Finding::new(
        Code::AuthEnforced,
        Severity::Info,
        "Redis answers and demands authentication (NOAUTH)",
        format!("{} {detail}", case.proven()),
    )
}

pub(super) fn auth_not_enforced(case: &Context<'_>, seen: &str) -> Finding {
    let finding = |severity| {
        Finding::new(
            Code::AuthNotEnforced,
            severity,
            "Redis answers without authentication",
            format!(
                "{seen} Anyone who reaches the address can read and change the data: a private endpoint restricts the network path, and authenticates nobody."
            ),
        )
    };
    if !case.expectation.require_auth {
        return finding(Severity::Info);
    }
    finding(Severity::Error)
        .hint("switch authentication on; if an open server is meant, say so with posture.require_auth: false (--require-auth false)")
        .commands(Resource::of(case).iter().map(Resource::show))
}

pub(super) fn failure_finding(case: &Context<'_>, failure: &RedisFailure, phase: PhaseName) -> Finding {
    let error = |code: Code, summary: String, detail: &str, hint: &str| {
        Finding::new(code, Severity::Error, summary, detail).hint(hint).phase(phase)
    };
    match failure {
        RedisFailure::Timeout | RedisFailure::Closed | RedisFailure::Reset | RedisFailure::NotRedis { .. }
            if !case.target.tls =>
        {
            plain_connection_failure(case, failure, phase)
        }
        RedisFailure::ErrorReply { code, message } => ErrorReply { case, code, message, phase }.diagnose(),
        RedisFailure::UnexpectedReply { reply } => error(
            Code::NotRedis,
            format!("the peer answers {} with {reply}, which Redis does not", command(phase)),
            "It speaks the protocol, and is not the server that is meant.",
            "find what answers at that address and port",
        ),
        RedisFailure::NotRedis { error: reason } => error(
            Code::NotRedis,
            format!("the peer does not speak Redis: {reason}"),
            "What came in reply is not the Redis protocol.",
            "find what answers at that address and port",
        ),
        RedisFailure::TooLong { limit } => error(
            Code::NotRedis,
            format!("the reply to {} is longer than {limit} bytes", command(phase)),
            "No reply to this command is nearly that long; the rest was not read.",
            "find what answers at that address and port",
        ),
        RedisFailure::Timeout => error(
            Code::RedisTimeout,
            format!("Redis does not reply to {}", command(phase)),
            "The connection is open, and nothing comes back. By likelihood: the server is blocked by a slow command, overloaded or failing over; TLS ends at a proxy in front, and nothing behind it answers; a firewall drops the established connection.",
            "look at the server's load, slow log and failover events",
        ),
        RedisFailure::Closed => error(
            Code::RedisClosed,
            format!("the peer closes the connection in place of a reply to {}", command(phase)),
            "By likelihood: the server is restarting or failing over; it has no room for another client; TLS ends at a proxy in front, and nothing behind it answers.",
            "look at the server's connected clients against its limit, and at its restart and failover events",
        ),
        RedisFailure::Reset => error(
            Code::RedisClosed,
            format!("the peer resets the connection in place of a reply to {}", command(phase)),
            "By likelihood: the server is restarting or failing over; a proxy in front lost the server behind it; a firewall ends the connection.",
            "look at the server's restart and failover events, and at the firewalls in between",
        ),
        RedisFailure::Other { error: reason } => error(
            Code::RedisError,
            format!("the connection failed during {}: {reason}", command(phase)),
            "The operating system or the TLS library gives no closer reason.",
            "probe again; if it stays, capture the connection",
        ),
    }
}

/// A target without TLS whose peer does not answer in plain text: the port may be one of TLS.
fn plain_connection_failure(case: &Context<'_>, failure: &RedisFailure, phase: PhaseName) -> Finding {
    let port = case.target.port;
    let service = case.target.service;
    let is_tls_port = (service != Service::Other && service.listens_on(port, true)) || matches!(port, 6380 | 10_000);
    let first = if is_tls_port {
        format!("The port {port} is one of TLS, and this target is plain (redis:// or --plaintext).")
    } else {
        format!("By likelihood: the port {port} is one of TLS, and this target is plain (redis:// or --plaintext).")
    };
    let (code, what) = match failure {
        RedisFailure::Timeout => (Code::RedisTimeout, "does not reply to"),
        RedisFailure::Reset => (Code::RedisClosed, "resets the connection in place of a reply to"),
        RedisFailure::NotRedis { .. } => (Code::NotRedis, "gives a reply that is not of Redis to"),
        _ => (Code::RedisClosed, "closes the connection in place of a reply to"),
    };
    Finding::new(
        code,
        Severity::Error,
        format!("the peer {what} a plain {}", command(phase)),
        format!("{first} Otherwise: the server is restarting or failing over; it has no room for another client; a firewall or proxy ends the connection. The peer gave: {failure}."),
    )
    .hint("use TLS: rediss:// in place of redis://, without --plaintext")
    .phase(phase)
}

fn command(phase: PhaseName) -> &'static str {
    match phase {
        PhaseName::Auth => "AUTH",
        PhaseName::Cluster => "CLUSTER",
        PhaseName::Resolve
        | PhaseName::Connect
        | PhaseName::Tls
        | PhaseName::Token
        | PhaseName::Ping
        | PhaseName::Posture
        | PhaseName::Application => "PING",
    }
}
