//! Whether the cache can be used from here, by whatever path: TCP, TLS and a reply of Redis.
//!
//! It is a fact beside the verdict: a target can be on the wrong path and work, or on the right path
//! and be down. It follows from the observation alone.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::{ConnectFailure, Observation, RedisFailure, ResolveFailure, TlsFailure};
use crate::phase::{PhaseName, PhaseOutcome};

/// Whether the cache could be used, and the phase that decided where it could not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usable {
    /// Whether TCP, TLS and a reply of Redis succeeded, by whatever path.
    pub value: Usability,
    /// The phase that failed or was not reached; absent where the value is `yes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<PhaseName>,
    /// Why, in words; absent where the value is `yes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Whether a cache can be used from here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, IntoStaticStr, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Usability {
    /// Redis replied. Whether it accepts the application's own credential is another question.
    Yes,
    /// A client here gets no service.
    No,
    /// The probe was interrupted, or the fault is this machine's own.
    #[default]
    Unknown,
}

impl Usability {
    /// The name used in records and log lines.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Observation {
    /// Whether the cache could be used over the connection in use.
    pub fn usable(&self) -> Usable {
        let connection = &self.phases.connection;
        if connection.ping.is_done() {
            return Usable { value: Usability::Yes, phase: None, reason: None };
        }
        if let Some(failure) = connection.connect.failure() {
            return usable(of_connect(failure), PhaseName::Connect, failure);
        }
        if let Some(failure) = connection.tls.failure() {
            return usable(of_tls(failure), PhaseName::Tls, failure);
        }
        for (phase, failure) in
            [(PhaseName::Auth, connection.auth.failure()), (PhaseName::Ping, connection.ping.failure())]
        {
            if let Some(failure) = failure {
                return usable(of_redis(failure), phase, failure);
            }
        }
        if let Some(failure) = self.phases.resolve.failure() {
            return usable(self.of_resolve(failure), PhaseName::Resolve, failure);
        }
        let not_reached = |phase: &PhaseName| self.phases.get(*phase).outcome == PhaseOutcome::NotReached;
        let phase = [PhaseName::Resolve, PhaseName::Connect, PhaseName::Ping].into_iter().find(not_reached);
        Usable { value: Usability::Unknown, phase, reason: Some("the probe did not get as far".to_owned()) }
    }

    /// Without a name server in resolv.conf, the lookup says nothing about the name.
    fn of_resolve(&self, failure: &ResolveFailure) -> Usability {
        match failure {
            ResolveFailure::NoView => Usability::Unknown,
            ResolveFailure::NoAddress { view_outcome, .. }
                if self.resolution.resolv_conf_error.is_some() && !view_outcome.is_final() =>
            {
                Usability::Unknown
            }
            ResolveFailure::NoAddress { .. } => Usability::No,
        }
    }
}

fn usable(value: Usability, phase: PhaseName, reason: impl fmt::Display) -> Usable {
    match value {
        Usability::Yes => Usable { value, phase: None, reason: None },
        Usability::No | Usability::Unknown => Usable { value, phase: Some(phase), reason: Some(reason.to_string()) },
    }
}

fn of_connect(failure: &ConnectFailure) -> Usability {
    match failure {
        ConnectFailure::Timeout
        | ConnectFailure::Refused
        | ConnectFailure::Reset
        | ConnectFailure::HostUnreachable
        | ConnectFailure::NetworkUnreachable => Usability::No,
        // An error of this machine's own (open files, ephemeral ports).
        ConnectFailure::Other { .. } => Usability::Unknown,
    }
}

fn of_tls(failure: &TlsFailure) -> Usability {
    match failure {
        // What this probe lacks, the application may have.
        TlsFailure::NoTrustAnchors { .. } => Usability::Unknown,
        TlsFailure::Timeout { .. }
        | TlsFailure::Closed { .. }
        | TlsFailure::Reset { .. }
        | TlsFailure::NotTls { .. }
        | TlsFailure::NameMismatch { .. }
        | TlsFailure::CertificateExpired { .. }
        | TlsFailure::CertificateNotYetValid { .. }
        | TlsFailure::UntrustedIssuer { .. }
        | TlsFailure::BadCertificate { .. }
        | TlsFailure::NoSharedVersion
        | TlsFailure::NoSharedCipher
        | TlsFailure::ClientCertificateRequired
        | TlsFailure::Alert { .. }
        | TlsFailure::Other { .. } => Usability::No,
    }
}

/// An error reply about the caller is a reply; one about the server is no service.
fn of_redis(failure: &RedisFailure) -> Usability {
    match failure {
        RedisFailure::ErrorReply { code, message } => match code.as_str() {
            "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "BUSY" | "MISCONF" => Usability::No,
            "ERR" if message.contains("max number of clients") => Usability::No,
            _ => Usability::Yes,
        },
        RedisFailure::UnexpectedReply { .. }
        | RedisFailure::NotRedis { .. }
        | RedisFailure::TooLong { .. }
        | RedisFailure::Timeout
        | RedisFailure::Closed
        | RedisFailure::Reset
        | RedisFailure::Other { .. } => Usability::No,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::observation::{ConnectionPhases, Phase, StoppedBy, ViewOutcome};

    const TOOK: Duration = Duration::from_millis(1);

    fn connected(change: impl FnOnce(&mut ConnectionPhases)) -> Usable {
        let mut observation = Observation::default();
        let phases = &mut observation.phases;
        phases.resolve = Phase::done(TOOK);
        phases.connection.connect = Phase::done(TOOK);
        phases.connection.tls = Phase::done(TOOK);
        change(&mut phases.connection);
        observation.usable()
    }

    #[test]
    fn a_reply_of_redis_is_usable_without_reason() {
        let usable = connected(|phases| phases.ping = Phase::done(TOOK));
        assert_eq!(usable, Usable { value: Usability::Yes, phase: None, reason: None });
    }

    #[test]
    fn failed_phase_is_named_with_its_reason() {
        let usable = connected(|phases| {
            *phases = ConnectionPhases::not_reached(StoppedBy::Connect);
            phases.connect = Phase::failed(TOOK, ConnectFailure::Refused);
        });
        assert_eq!((usable.value, usable.phase), (Usability::No, Some(PhaseName::Connect)));
        assert_eq!(usable.reason.as_deref(), Some("connection refused"));
        let usable = connected(|phases| phases.tls = Phase::failed(TOOK, TlsFailure::Closed { bytes_received: 0 }));
        assert_eq!((usable.value, usable.phase), (Usability::No, Some(PhaseName::Tls)));
    }

    #[test]
    fn error_reply_about_the_server_is_not_usable() {
        let reply = |code: &str, message: &str| RedisFailure::ErrorReply { code: code.into(), message: message.into() };
        let of = |failure: RedisFailure| connected(|phases| phases.ping = Phase::failed(TOOK, failure)).value;
        assert_eq!(of(reply("LOADING", "")), Usability::No);
        assert_eq!(of(reply("ERR", "max number of clients reached")), Usability::No);
        assert_eq!(of(RedisFailure::Timeout), Usability::No);
        assert_eq!(of(reply("ERR", "unknown command")), Usability::Yes);
        let rejected = connected(|phases| phases.auth = Phase::failed(TOOK, reply("WRONGPASS", "")));
        assert_eq!(rejected.value, Usability::Yes, "the path works; the credential is another question");
    }

    #[test]
    fn no_address_is_not_usable_and_no_view_unknown() {
        let mut observation = Observation::default();
        let absent = |view_outcome| ResolveFailure::NoAddress { view: "libc".into(), view_outcome, detail: None };
        observation.phases.resolve = Phase::failed(TOOK, absent(ViewOutcome::NameNotFound));
        assert_eq!(observation.usable().value, Usability::No);
        observation.phases.resolve = Phase::failed(TOOK, absent(ViewOutcome::TryAgain));
        assert_eq!(observation.usable().value, Usability::No);
        observation.resolution.resolv_conf_error = Some("it names no server".into());
        assert_eq!(observation.usable().value, Usability::Unknown);
        observation.phases.resolve = Phase::failed(TOOK, ResolveFailure::NoView);
        assert_eq!(observation.usable().value, Usability::Unknown);
    }

    #[test]
    fn interrupted_probe_is_unknown() {
        let usable = Observation::default().usable();
        assert_eq!((usable.value, usable.phase), (Usability::Unknown, Some(PhaseName::Resolve)));
        assert_eq!(connected(|_| {}).phase, Some(PhaseName::Ping));
    }
}
