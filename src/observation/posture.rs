//! Checks of what should be closed, each over its own connection without credentials.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::{ConnectFailure, ConnectionPhases, Phase, RedisFailure, StoppedBy, TlsFailure};
use crate::clock::{Seconds, in_words};

/// The phase and its facts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PosturePhase {
    /// Its outcome. It is done as soon as one check was made, whatever the result.
    #[serde(flatten)]
    pub phase: Phase<PostureFailure>,
    /// The age of the results at this probe, in seconds; absent where this probe made the checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<Seconds>,
    /// The results of the checks.
    #[serde(flatten)]
    pub facts: Posture,
}

impl PosturePhase {
    /// How old the results are, in words, to the second; `None` where this probe made the checks.
    pub fn age(&self) -> Option<String> {
        let age = self.age_seconds?;
        Some(in_words(Duration::from_secs(age.0.as_secs())))
    }
}

/// How the phase failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PostureFailure {
    /// The probe's time was over before a check could be made.
    OutOfTime,
}

impl fmt::Display for PostureFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfTime => f.write_str("the probe's time was over before a check could be made"),
        }
    }
}

/// The result of each check; absent where the plan leaves it out.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Posture {
    /// Whether Redis requires authentication of a connection that offers none; absent where it was not checked, or
    /// the reply does not show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_enforced: Option<bool>,
    /// The attempt that checked it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_check: Option<Attempt>,
    /// The port for Redis without TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plaintext_port: Option<PlaintextPort>,
    /// The public address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_access: Option<PublicEndpoint>,
}

/// The port for Redis without TLS, at the address in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlaintextPort {
    /// The port.
    pub port: u16,
    /// Whether Redis answered there.
    pub state: OpenState,
    /// The attempt to reach it.
    #[serde(flatten)]
    pub attempt: Attempt,
}

/// The public address, as seen from here: another vantage may see another state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PublicEndpoint {
    /// The address and port; absent where none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
    /// The view that gave the address; absent where the operator did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<String>,
    /// Whether TLS, verified by the target's server name, and Redis answered there.
    pub state: OpenState,
    /// The attempt to reach it.
    #[serde(flatten)]
    pub attempt: Attempt,
}

/// Whether something is open. An accepted TCP connection alone is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum OpenState {
    /// Redis answered.
    Open,
    /// It did not; `outcome` has what happened instead.
    Closed,
    /// Unknown.
    Unknown,
}

impl OpenState {
    /// The name used in records.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// One attempt to reach a Redis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Redis' reply by its first word (`PONG`, `NOAUTH`), or the failure in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
}

/// How an attempt to reach a Redis ended, a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum AttemptOutcome {
    /// Redis answered, with `PONG` or an error.
    RedisAnswered,
    /// Redis answered without TLS, where TLS was asked for.
    RedisAnsweredWithoutTls,
    /// A RST in answer to the SYN.
    Refused,
    /// No answer to the SYN.
    ConnectTimeout,
    /// A RST later than that, or ICMP: no route to the host.
    ConnectFailed,
    /// TCP was accepted, and closed or reset before a byte of TLS.
    ClosedBeforeTls,
    /// TCP was accepted, and the ClientHello was not answered.
    TlsTimeout,
    /// The peer ended the handshake with an alert.
    TlsAlert,
    /// The certificate is for another name, so another server answered.
    TlsNameMismatch,
    /// The certificate was refused for another reason.
    TlsCertificateRefused,
    /// What answered is not TLS.
    NotTls,
    /// TLS failed for another reason.
    TlsFailed,
    /// TCP, and TLS where it was asked for, and then no reply to `PING`.
    RedisTimeout,
    /// TCP, and TLS where it was asked for, and then the peer closed or reset.
    RedisClosed,
    /// What answered is not Redis.
    NotRedis,
    /// The probe's time was over before a timeout could count as closed.
    OutOfTime,
    /// The probe was interrupted.
    Interrupted,
    /// This machine could not try: no route, no trust anchors, or a limit of the system.
    CouldNotTry,
    /// No public address is known: none was given, and no public resolver answered with one.
    NoAddress,
    /// The address that DNS gave is not a public one, so nothing was sent to it.
    NotPublic,
    /// The connection in use goes to this address, so no other was made.
    InUse,
}

impl AttemptOutcome {
    /// The name used in records.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The state that it proves: open only by a reply of Redis, closed only by what came from outside this machine.
    pub fn state(self) -> OpenState {
        match self {
            Self::RedisAnswered | Self::RedisAnsweredWithoutTls => OpenState::Open,
            Self::Refused
            | Self::ConnectTimeout
            | Self::ConnectFailed
            | Self::ClosedBeforeTls
            | Self::TlsTimeout
            | Self::TlsAlert
            | Self::TlsNameMismatch
            | Self::TlsCertificateRefused
            | Self::NotTls
            | Self::TlsFailed
            | Self::RedisTimeout
            | Self::RedisClosed
            | Self::NotRedis => OpenState::Closed,
            Self::OutOfTime
            | Self::Interrupted
            | Self::CouldNotTry
            | Self::NoAddress
            | Self::NotPublic
            | Self::InUse => OpenState::Unknown,
        }
    }

    /// Whether there was no answer in time.
    pub fn is_timeout(self) -> bool {
        matches!(self, Self::ConnectTimeout | Self::TlsTimeout | Self::RedisTimeout)
    }
}

impl Attempt {
    /// An attempt without a reply.
    pub fn ended(outcome: AttemptOutcome) -> Self {
        Self { outcome, reply: None }
    }

    /// The attempt that a connection without credentials was; `reply` is the one to `PING` where it does not fail the
    /// phase.
    pub fn of(phases: &ConnectionPhases, reply: Option<&str>) -> Self {
        let failed =
            |outcome: AttemptOutcome, failure: &dyn fmt::Display| Self { outcome, reply: Some(failure.to_string()) };
        if let Some(failure) = phases.connect.failure() {
            return failed(connect_outcome(failure), failure);
        }
        if let Some(failure) = phases.tls.failure() {
            return failed(tls_outcome(failure), failure);
        }
        if phases.is_stopped_by(StoppedBy::LocalLimit) {
            return Self::ended(AttemptOutcome::CouldNotTry);
        }
        match (&phases.ping, reply) {
            (Phase::Done { .. }, reply) => {
                Self { outcome: AttemptOutcome::RedisAnswered, reply: reply.map(str::to_owned) }
            }
            (Phase::Failed { failure: RedisFailure::ErrorReply { code, .. }, .. }, _) => {
                Self { outcome: AttemptOutcome::RedisAnswered, reply: Some(code.clone()) }
            }
            (Phase::Failed { failure, .. }, _) => failed(redis_outcome(failure), failure),
            (Phase::Skipped { .. } | Phase::NotReached { .. }, _) => Self::ended(AttemptOutcome::Interrupted),
        }
    }

    /// The state that it proves.
    pub fn state(&self) -> OpenState {
        self.outcome.state()
    }
}

fn connect_outcome(failure: &ConnectFailure) -> AttemptOutcome {
    match failure {
        ConnectFailure::Timeout => AttemptOutcome::ConnectTimeout,
        ConnectFailure::Refused => AttemptOutcome::Refused,
        ConnectFailure::Reset | ConnectFailure::HostUnreachable => AttemptOutcome::ConnectFailed,
        // No route of this machine, or no address of that family: nothing was sent.
        ConnectFailure::NetworkUnreachable | ConnectFailure::Other { .. } => AttemptOutcome::CouldNotTry,
    }
}

fn tls_outcome(failure: &TlsFailure) -> AttemptOutcome {
    match failure {
        TlsFailure::Timeout { .. } => AttemptOutcome::TlsTimeout,
        TlsFailure::Closed { bytes_received: 0 } | TlsFailure::Reset { bytes_received: 0 } => {
            AttemptOutcome::ClosedBeforeTls
        }
        TlsFailure::NotTls { plain_redis: true, .. } => AttemptOutcome::RedisAnsweredWithoutTls,
        TlsFailure::NotTls { plain_redis: false, .. } => AttemptOutcome::NotTls,
        TlsFailure::NameMismatch { .. } => AttemptOutcome::TlsNameMismatch,
        TlsFailure::CertificateExpired { .. }
        | TlsFailure::CertificateNotYetValid { .. }
        | TlsFailure::UntrustedIssuer { .. }
        | TlsFailure::BadCertificate { .. } => AttemptOutcome::TlsCertificateRefused,
        TlsFailure::ClientCertificateRequired | TlsFailure::Alert { .. } => AttemptOutcome::TlsAlert,
        TlsFailure::NoTrustAnchors { .. } => AttemptOutcome::CouldNotTry,
        TlsFailure::Closed { .. }
        | TlsFailure::Reset { .. }
        | TlsFailure::NoSharedVersion
        | TlsFailure::NoSharedCipher
        | TlsFailure::Other { .. } => AttemptOutcome::TlsFailed,
    }
}

fn redis_outcome(failure: &RedisFailure) -> AttemptOutcome {
    match failure {
        RedisFailure::ErrorReply { .. } => AttemptOutcome::RedisAnswered,
        RedisFailure::UnexpectedReply { .. } | RedisFailure::NotRedis { .. } | RedisFailure::TooLong { .. } => {
            AttemptOutcome::NotRedis
        }
        RedisFailure::Timeout => AttemptOutcome::RedisTimeout,
        RedisFailure::Closed | RedisFailure::Reset | RedisFailure::Other { .. } => AttemptOutcome::RedisClosed,
    }
}
