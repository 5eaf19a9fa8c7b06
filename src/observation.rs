//! What a probe observed: facts alone, no verdict.
//!
//! The types are the record's own shape, so that a saved record can be read back and diagnosed
//! again. A phase that did not run has no duration anywhere.

pub mod application;
pub mod client_info;
pub mod clients;
pub mod cluster;
pub mod dns;
pub mod held;
pub mod local_limit;
pub mod posture;
pub mod redis;
pub mod server_info;
pub mod tcp;
pub mod tls;
pub mod token;
pub mod usable;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use strum::IntoEnumIterator;

use crate::clock::Seconds;
use crate::expectation::Expectation;
use crate::plan::arguments::CheckArguments;
use crate::target::Target;

pub use crate::phase::{PhaseName, PhaseOutcome};
pub use application::{ApplicationFacts, ApplicationFailure};
pub use clients::ClientsFacts;
pub use cluster::{ClusterFacts, ClusterFailure};
pub use dns::{Resolution, ResolveFailure, View, ViewOutcome};
pub use held::{HeldConnectionFacts, HeldEndKind, HeldState};
pub use local_limit::LocalLimit;
pub use posture::{Attempt, AttemptOutcome, OpenState, Posture, PostureFailure, PosturePhase};
pub use redis::{PingFacts, RedisFailure};
pub use server_info::ServerInfo;
pub use tcp::{ConnectFailure, Connection};
pub use tls::{TlsFacts, TlsFailure};
pub use token::{TokenFacts, TokenFailure};
pub use usable::{Usability, Usable};

/// Everything that one probe of one target observed.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Observation {
    /// How each view resolved the name.
    #[serde(default)]
    pub resolution: Resolution,
    /// The outcome of each phase, for the connection in use.
    #[serde(default)]
    pub phases: Phases,
    /// A limit of this process or machine that stopped a part of the probe: the verdict is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_limit: Option<LocalLimit>,
    /// Facts of the token; absent where none is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenFacts>,
    /// The connection in use; absent where there was no address to connect to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
    /// The connections to the further addresses of the name, with `addresses: all`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_connections: Vec<OtherConnection>,
    /// What the server in use announced of its cluster; absent where it was not queried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterFacts>,
    /// The applications' own connections; absent where they were not listed, and where `auto` found none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<ApplicationFacts>,
    /// The connection that is held open; absent where the plan has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_connection: Option<HeldConnectionFacts>,
    /// The clients of the cache, as its nodes list them; absent unless `redpath clients` asked for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<ClientsFacts>,
    /// The old name of a migration, as it was seen in the same probe; absent where none is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Box<OldName>>,
    /// What repeats the probe behind `redpath check`, word by word and without credentials.
    #[serde(default, skip_serializing_if = "CheckArguments::is_empty")]
    pub check_arguments: CheckArguments,
}

impl Observation {
    /// What repeats the probe of `target`; for an older or a foreign record, the target alone.
    pub fn arguments(&self, target: &Target) -> CheckArguments {
        match self.check_arguments.are_of(target.host.as_str(), target.port) {
            true => self.check_arguments.clone(),
            false => CheckArguments::of_target(target.host.as_str(), target.port, target.tls),
        }
    }
}

/// The old name of a migration: what was expected of it, and what was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OldName {
    /// The old name and its port.
    pub target: Target,
    /// What was expected of it.
    pub expectation: Expectation,
    /// What was seen of it.
    pub observation: Observation,
}

/// A connection beside the one in use, with phases of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OtherConnection {
    /// The outcomes of its phases.
    pub phases: ConnectionPhases,
    /// Its addresses and facts.
    #[serde(flatten)]
    pub connection: Connection,
}

/// The outcome of each phase.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Phases {
    /// The resolution by the view in use.
    pub resolve: Phase<ResolveFailure>,
    /// The phases of the connection in use.
    #[serde(flatten)]
    pub connection: ConnectionPhases,
    /// The token, which every connection of the probe shares; absent where none is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Phase<TokenFailure>>,
    /// The connections to the nodes of the cluster; absent where the plan leaves them out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Phase<ClusterFailure>>,
    /// The checks of what should be closed; absent where the plan has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub posture: Option<PosturePhase>,
    /// The list of the applications' own connections; absent where the plan leaves it out, and where `auto` found none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<Phase<ApplicationFailure>>,
}

/// A phase that this probe or connection does not have.
const ABSENT: PhaseSummary<'static> = PhaseSummary { outcome: PhaseOutcome::Skipped, took: None, reason: None };

/// The outcomes of the phases of one connection.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ConnectionPhases {
    /// TCP.
    pub connect: Phase<ConnectFailure>,
    /// TLS.
    pub tls: Phase<TlsFailure>,
    /// `AUTH`.
    pub auth: Phase<RedisFailure>,
    /// `PING`.
    pub ping: Phase<RedisFailure>,
}

impl Phases {
    /// The phases of this probe, in order: those of every probe, and the others where they apply.
    pub fn names(&self) -> impl Iterator<Item = PhaseName> + Clone {
        let (token, cluster, posture) = (self.token.is_some(), self.cluster.is_some(), self.posture.is_some());
        let application = self.application.is_some();
        PhaseName::iter().filter(move |phase| match phase {
            PhaseName::Resolve | PhaseName::Connect | PhaseName::Tls | PhaseName::Auth | PhaseName::Ping => true,
            PhaseName::Token => token,
            PhaseName::Cluster => cluster,
            PhaseName::Posture => posture,
            PhaseName::Application => application,
        })
    }

    /// Whether an interrupt kept a phase of this probe from running.
    pub fn is_interrupted(&self) -> bool {
        let optional = [
            self.token.as_ref().and_then(Phase::stopped_by),
            self.cluster.as_ref().and_then(Phase::stopped_by),
            self.posture.as_ref().and_then(|posture| posture.phase.stopped_by()),
            self.application.as_ref().and_then(Phase::stopped_by),
        ];
        self.connection.is_stopped_by(StoppedBy::Interrupt)
            || self.resolve.stopped_by() == Some(StoppedBy::Interrupt)
            || optional.contains(&Some(StoppedBy::Interrupt))
    }

    /// The outcome and duration of one phase, whatever its kind of failure.
    pub fn get(&self, phase: PhaseName) -> PhaseSummary<'_> {
        match phase {
            PhaseName::Resolve => self.resolve.summary(),
            PhaseName::Token => self.token.as_ref().map_or(ABSENT, Phase::summary),
            PhaseName::Cluster => self.cluster.as_ref().map_or(ABSENT, Phase::summary),
            PhaseName::Posture => self.posture.as_ref().map_or(ABSENT, |posture| posture.phase.summary()),
            PhaseName::Application => self.application.as_ref().map_or(ABSENT, Phase::summary),
            other => self.connection.get(other),
        }
    }
}

impl ConnectionPhases {
    /// No phase was reached, because `stopped_by` came before.
    pub fn not_reached(stopped_by: StoppedBy) -> Self {
        Self {
            connect: Phase::NotReached { stopped_by },
            tls: Phase::NotReached { stopped_by },
            auth: Phase::NotReached { stopped_by },
            ping: Phase::NotReached { stopped_by },
        }
    }

    /// Whether this kept a phase from being reached.
    pub fn is_stopped_by(&self, reason: StoppedBy) -> bool {
        let Self { connect, tls, auth, ping } = self;
        [connect.stopped_by(), tls.stopped_by(), auth.stopped_by(), ping.stopped_by()].contains(&Some(reason))
    }

    /// The outcome and duration of one phase; those of the whole probe belong to no connection.
    pub fn get(&self, phase: PhaseName) -> PhaseSummary<'_> {
        match phase {
            PhaseName::Resolve
            | PhaseName::Token
            | PhaseName::Cluster
            | PhaseName::Posture
            | PhaseName::Application => ABSENT,
            PhaseName::Connect => self.connect.summary(),
            PhaseName::Tls => self.tls.summary(),
            PhaseName::Auth => self.auth.summary(),
            PhaseName::Ping => self.ping.summary(),
        }
    }
}

/// The outcome of one phase. Only a phase that ran has a duration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Phase<F> {
    /// It ran and succeeded.
    Done {
        /// How long it took.
        took_seconds: Seconds,
    },
    /// It ran and failed.
    Failed {
        /// How long it took to fail.
        took_seconds: Seconds,
        /// The failure in words.
        reason: String,
        /// The failure in facts.
        failure: F,
    },
    /// It did not apply, or was left out.
    Skipped {
        /// Why.
        reason: SkipReason,
    },
    /// Another phase, or an interrupt, came before it.
    NotReached {
        /// What came before.
        stopped_by: StoppedBy,
    },
}

impl<F> Default for Phase<F> {
    fn default() -> Self {
        Self::NotReached { stopped_by: StoppedBy::Interrupt }
    }
}

impl<F: fmt::Display> Phase<F> {
    /// A failure, put into words once.
    pub fn failed(took: impl Into<Seconds>, failure: F) -> Self {
        Self::Failed { took_seconds: took.into(), reason: failure.to_string(), failure }
    }
}

impl<F> Phase<F> {
    /// It ran and succeeded.
    pub fn done(took: impl Into<Seconds>) -> Self {
        Self::Done { took_seconds: took.into() }
    }

    /// The failure, if it failed.
    pub fn failure(&self) -> Option<&F> {
        match self {
            Self::Failed { failure, .. } => Some(failure),
            Self::Done { .. } | Self::Skipped { .. } | Self::NotReached { .. } => None,
        }
    }

    /// What kept it from being reached, if it was not.
    pub fn stopped_by(&self) -> Option<StoppedBy> {
        match self {
            Self::NotReached { stopped_by } => Some(*stopped_by),
            Self::Done { .. } | Self::Failed { .. } | Self::Skipped { .. } => None,
        }
    }

    /// Whether it ran and succeeded.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done { .. })
    }

    /// The part that is the same for every phase.
    pub fn summary(&self) -> PhaseSummary<'_> {
        let (outcome, took, reason) = match self {
            Self::Done { took_seconds } => (PhaseOutcome::Done, Some(*took_seconds), None),
            Self::Failed { took_seconds, reason, .. } => {
                (PhaseOutcome::Failed, Some(*took_seconds), Some(reason.as_str()))
            }
            Self::Skipped { reason } => (PhaseOutcome::Skipped, None, Some(reason.as_str())),
            Self::NotReached { stopped_by } => (PhaseOutcome::NotReached, None, Some(stopped_by.as_str())),
        };
        PhaseSummary { outcome, took, reason }
    }
}

/// The part of a phase that is the same for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhaseSummary<'a> {
    /// The outcome.
    pub outcome: PhaseOutcome,
    /// How long it took, if it ran.
    pub took: Option<Seconds>,
    /// The failure, the reason for skipping it, or the phase that stopped it.
    pub reason: Option<&'a str>,
}

/// Why a phase was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum SkipReason {
    /// It does not apply to this target.
    NotApplicable,
    /// The target is without TLS.
    Plaintext,
    /// No credentials are configured: keyless mode.
    NoCredentials,
    /// The credentials were withheld: the address does not meet the expectation.
    WithheldUnexpectedAddress,
    /// The credentials were withheld: a configured resolver gives another private address.
    WithheldResolverDisagreement,
    /// The credentials could not be read; the probe went on without.
    CredentialUnavailable,
    /// The user may not run the command of the phase.
    NoPermission,
    /// Its interval is not over: the last results hold, and their age is given.
    NotDue,
}

impl SkipReason {
    /// The name used in records.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Why a phase was not reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum StoppedBy {
    /// The resolution gave no address.
    Resolve,
    /// TCP failed.
    Connect,
    /// TLS failed.
    Tls,
    /// `AUTH` failed.
    Auth,
    /// `PING` failed.
    Ping,
    /// A limit of this process or machine, which the observation names.
    LocalLimit,
    /// The probe was interrupted.
    Interrupt,
}

impl StoppedBy {
    /// The name used in records.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
