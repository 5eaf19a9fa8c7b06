//! The posture phase: what should be closed is knocked at, each door on a connection of its own.
//!
//! A attempt is a connection by a plan without credentials, so that none can ever be sent on it. All
//! of them come after the connection in use, whose times they must not disturb, and side by side.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::budget::Budget;
use super::connection::Connector;
use crate::address::AddressClass;
use crate::expectation::PublicAccess as Expected;
use crate::observation::posture::{Attempt, AttemptOutcome, PlaintextPort, PublicEndpoint};
use crate::observation::redis::PingReply;
use crate::observation::{Connection, ConnectionPhases, Phase, Posture, PostureFailure, PosturePhase};
use crate::observation::{Resolution, StoppedBy};
use crate::plan::{Auth, Plan, PublicAddress};

/// What the probe has seen by now.
pub(super) struct ProbeFacts<'a> {
    pub(super) resolution: &'a Resolution,
    pub(super) phases: &'a ConnectionPhases,
    pub(super) connection: Option<&'a Connection>,
}

impl ProbeFacts<'_> {
    fn is_connected_to(&self, ip: IpAddr) -> bool {
        let in_use = self.connection.filter(|_| self.phases.connect.is_done());
        in_use.is_some_and(|connection| connection.address.ip().to_canonical() == ip.to_canonical())
    }
}

/// Makes the checks that are wanted; `None` where none is.
pub(super) async fn look(
    connector: &Connector,
    plan: &Plan,
    seen: &ProbeFacts<'_>,
    budget: &Budget,
) -> Option<PosturePhase> {
    let wants_auth = plan.auth != Auth::None && !plan.posture.without_auth;
    let plaintext_port = plan.posture.plaintext_port.filter(|_| plan.target.tls);
    let wants_public = plan.expectation.public_access != Expected::Ignore;
    if !wants_auth && plaintext_port.is_none() && !wants_public {
        return None;
    }
    let phase = |phase| Some(PosturePhase { phase, facts: Posture::default() });
    // Where no credentials were accepted, the connection in use has told already, or nothing could.
    let auth_at = seen.connection.filter(|_| wants_auth && seen.phases.auth.is_done() && seen.phases.ping.is_done());
    let plain_at = seen.connection.filter(|_| seen.phases.connect.is_done()).zip(plaintext_port);
    if auth_at.is_none() && plain_at.is_none() && !wants_public {
        return phase(not_reached(seen));
    }
    if budget.is_interrupted() {
        return phase(Phase::NotReached { stopped_by: StoppedBy::Interrupt });
    }
    let begun = Instant::now();
    let (budget, is_whole) = budget.of_posture();
    let door = PostureProbe { connector, plan, budget: &budget, is_whole };
    // Each on the heap: most probes attempt nowhere, and are not to have room for it.
    let (auth_check, plaintext, public_access) = tokio::join!(
        async { Some(Box::pin(door.attempt(auth_at?.address, plan.target.tls)).await) },
        async {
            let (connection, port) = plain_at?;
            let attempt = Box::pin(door.attempt(SocketAddr::new(connection.address.ip(), port), false)).await;
            Some(PlaintextPort { port, state: attempt.state(), attempt })
        },
        async { if wants_public { Some(Box::pin(door.public_access(seen)).await) } else { None } },
    );
    let ends = [
        auth_check.as_ref().map(|attempt| attempt.outcome),
        plaintext.as_ref().map(|port| port.attempt.outcome),
        public_access.as_ref().map(|access| access.attempt.outcome),
    ];
    let all = |how| ends.iter().flatten().all(|end| *end == how);
    let phase = if ends.contains(&Some(AttemptOutcome::Interrupted)) {
        Phase::NotReached { stopped_by: StoppedBy::Interrupt }
    } else if all(AttemptOutcome::OutOfTime) {
        Phase::failed(begun.elapsed(), PostureFailure::OutOfTime)
    } else {
        Phase::done(begun.elapsed())
    };
    let facts = Posture {
        auth_enforced: auth_check.as_ref().and_then(auth_enforced),
        auth_check,
        plaintext_port: plaintext,
        public_access,
    };
    Some(PosturePhase { phase, facts })
}

/// What kept the connection in use from showing what the checks begin from.
fn not_reached(seen: &ProbeFacts<'_>) -> Phase<PostureFailure> {
    let ConnectionPhases { connect, tls, auth, ping } = seen.phases;
    let failed = [
        (connect.failure().is_some(), StoppedBy::Connect),
        (tls.failure().is_some(), StoppedBy::Tls),
        (auth.failure().is_some(), StoppedBy::Auth),
        (ping.failure().is_some(), StoppedBy::Ping),
    ];
    let failed = failed.into_iter().find(|(failed, _)| *failed).map(|(_, phase)| phase);
    match (failed, connect, auth) {
        (Some(stopped_by), _, _) => Phase::NotReached { stopped_by },
        (None, Phase::NotReached { stopped_by }, _) => Phase::NotReached { stopped_by: *stopped_by },
        (None, _, Phase::Skipped { reason }) => Phase::Skipped { reason: *reason },
        (None, _, Phase::Done { .. } | Phase::Failed { .. } | Phase::NotReached { .. }) => {
            Phase::NotReached { stopped_by: StoppedBy::Interrupt }
        }
    }
}

/// `None` where the answer is neither yes nor no: a user that may not `PING` is still let in.
fn auth_enforced(attempt: &Attempt) -> Option<bool> {
    match (attempt.outcome, attempt.reply.as_deref()) {
        (AttemptOutcome::RedisAnswered, Some("NOAUTH")) => Some(true),
        (AttemptOutcome::RedisAnswered, Some("PONG")) => Some(false),
        _ => None,
    }
}

/// What every attempt has in common.
struct PostureProbe<'a> {
    connector: &'a Connector,
    plan: &'a Plan,
    budget: &'a Budget,
    is_whole: bool,
}

impl PostureProbe<'_> {
    /// Connects, verifies the certificate where there is TLS, pings, and leaves.
    async fn attempt(&self, address: SocketAddr, tls: bool) -> Attempt {
        let mut plan = Plan { auth: Auth::None, samples: 1, connect: None, ..self.plan.clone() };
        plan.target.port = address.port();
        plan.target.tls = tls;
        let (phases, connection) = self.connector.connect(&plan, &[address.ip()], self.budget).await;
        let reply = connection.ping.map(|facts| match facts.reply {
            PingReply::Pong => "PONG",
            PingReply::Noauth => "NOAUTH",
            PingReply::Noperm => "NOPERM",
        });
        let attempt = Attempt::of(&phases, reply);
        if attempt.outcome.is_silence() && !self.is_whole { Attempt::ended(AttemptOutcome::OutOfTime) } else { attempt }
    }

    async fn public_access(&self, seen: &ProbeFacts<'_>) -> PublicEndpoint {
        let (ip, view) = match self.plan.posture.public_address {
            PublicAddress::Given(ip) => (Ok(ip), None),
            PublicAddress::Auto => self.outside(seen.resolution),
        };
        let address = ip.ok().map(|ip| SocketAddr::new(ip, self.plan.target.port));
        let attempt = match ip {
            Err(end) => Attempt::ended(end),
            Ok(ip) if seen.is_connected_to(ip) => Attempt::ended(AttemptOutcome::InUse),
            Ok(ip) => self.attempt(SocketAddr::new(ip, self.plan.target.port), self.plan.target.tls).await,
        };
        PublicEndpoint { address, view, state: attempt.state(), attempt }
    }

    /// The first public address that a resolver in the internet gives, and its view. Nobody who
    /// holds a record of the chain may send the probe anywhere else.
    fn outside(&self, resolution: &Resolution) -> (Result<IpAddr, AttemptOutcome>, Option<String>) {
        let expectation = &self.plan.expectation;
        let mut not_public = None;
        for view in resolution.views.iter().filter(|view| view.is_public_resolver(&expectation.private_ranges)) {
            if let Some(ip) = view.ips().find(|ip| expectation.class(*ip) == AddressClass::Public) {
                return (Ok(ip.to_canonical()), Some(view.view.clone()));
            }
            if not_public.is_none() && !view.addresses.is_empty() {
                not_public = Some(view.view.clone());
            }
        }
        match not_public {
            Some(view) => (Err(AttemptOutcome::NotPublic), Some(view)),
            None => (Err(AttemptOutcome::NoAddress), None),
        }
    }
}
