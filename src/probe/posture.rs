//! The posture phase: checks endpoints that should be closed, each over its own connection.
//!
//! An attempt is a connection by a plan without credentials, so that none can ever be sent over it. All attempts run
//! concurrently, after the connection in use, whose times they must not disturb.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::budget::Budget;
use super::connection::{ConnectionOutcome, Connector};
use crate::address::AddressClass;
use crate::expectation::PublicAccess as Expected;
use crate::observation::posture::{Attempt, AttemptOutcome, PlaintextPort, PublicEndpoint};
use crate::observation::redis::PingReply;
use crate::observation::{Connection, ConnectionPhases, Phase, Posture, PostureFailure, PosturePhase};
use crate::observation::{Resolution, StoppedBy};
use crate::plan::{Auth, Plan, PublicAddress};

/// What the probe has seen so far.
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

/// Makes the checks of the plan; `None` where it has none.
pub(super) async fn check(
    connector: &Connector,
    plan: &Plan,
    facts: &ProbeFacts<'_>,
    budget: &Budget,
) -> Option<PosturePhase> {
    let wants_auth = plan.auth != Auth::None && !plan.posture.skip_auth_check;
    let plaintext_port = plan.posture.plaintext_port.filter(|_| plan.target.tls);
    let wants_public = plan.expectation.public_access != Expected::Ignore;
    if !wants_auth && plaintext_port.is_none() && !wants_public {
        return None;
    }
    let phase = |phase| Some(PosturePhase { phase, facts: Posture::default() });
    // Without accepted credentials, the connection in use has shown it already, or nothing can.
    let auth_at = facts.connection.filter(|_| wants_auth && facts.phases.auth.is_done() && facts.phases.ping.is_done());
    let plain_at = facts.connection.filter(|_| facts.phases.connect.is_done()).zip(plaintext_port);
    if auth_at.is_none() && plain_at.is_none() && !wants_public {
        return phase(not_reached(facts));
    }
    if budget.is_interrupted() {
        return phase(Phase::NotReached { stopped_by: StoppedBy::Interrupt });
    }
    let begun = Instant::now();
    let (budget, is_whole) = budget.posture();
    let probe = PostureProbe { connector, plan, budget: &budget, is_whole };
    // On the heap: most probes make no attempt, and need no room for it.
    let (auth_check, plaintext, public_access) = tokio::join!(
        async { Some(Box::pin(probe.attempt(auth_at?.address, plan.target.tls)).await) },
        async {
            let (connection, port) = plain_at?;
            let attempt = Box::pin(probe.attempt(SocketAddr::new(connection.address.ip(), port), false)).await;
            Some(PlaintextPort { port, state: attempt.state(), attempt })
        },
        async { if wants_public { Some(Box::pin(probe.public_access(facts)).await) } else { None } },
    );
    let outcomes = [
        auth_check.as_ref().map(|attempt| attempt.outcome),
        plaintext.as_ref().map(|port| port.attempt.outcome),
        public_access.as_ref().map(|access| access.attempt.outcome),
    ];
    let all = |outcome| outcomes.iter().flatten().all(|found| *found == outcome);
    let phase = if outcomes.contains(&Some(AttemptOutcome::Interrupted)) {
        Phase::NotReached { stopped_by: StoppedBy::Interrupt }
    } else if all(AttemptOutcome::OutOfTime) {
        Phase::failed(begun.elapsed(), PostureFailure::OutOfTime)
    } else {
        Phase::done(begun.elapsed())
    };
    let posture = Posture {
        auth_enforced: auth_check.as_ref().and_then(auth_enforced),
        auth_check,
        plaintext_port: plaintext,
        public_access,
    };
    Some(PosturePhase { phase, facts: posture })
}

/// What kept the connection in use from the state that the checks need.
fn not_reached(facts: &ProbeFacts<'_>) -> Phase<PostureFailure> {
    let ConnectionPhases { connect, tls, auth, ping } = facts.phases;
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

/// `None` where the reply is neither yes nor no: a user that may not `PING` is authenticated all the same.
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
    /// Connects, verifies the certificate where there is TLS, pings, and closes.
    async fn attempt(&self, address: SocketAddr, tls: bool) -> Attempt {
        let mut plan = Plan { auth: Auth::None, samples: 1, connect: None, ..self.plan.clone() };
        plan.target.port = address.port();
        plan.target.tls = tls;
        let ConnectionOutcome { phases, connection, .. } =
            self.connector.connect(&plan, &[address.ip()], self.budget).await;
        let reply = connection.ping.map(|facts| match facts.reply {
            PingReply::Pong => "PONG",
            PingReply::Noauth => "NOAUTH",
            PingReply::Noperm => "NOPERM",
        });
        let attempt = Attempt::of(&phases, reply);
        if attempt.outcome.is_timeout() && !self.is_whole { Attempt::ended(AttemptOutcome::OutOfTime) } else { attempt }
    }

    async fn public_access(&self, facts: &ProbeFacts<'_>) -> PublicEndpoint {
        let (ip, view) = match self.plan.posture.public_address {
            PublicAddress::Given(ip) => (Ok(ip), None),
            PublicAddress::Auto => self.public_answer(facts.resolution),
        };
        let address = ip.ok().map(|ip| SocketAddr::new(ip, self.plan.target.port));
        let attempt = match ip {
            Err(outcome) => Attempt::ended(outcome),
            Ok(ip) if facts.is_connected_to(ip) => Attempt::ended(AttemptOutcome::InUse),
            Ok(ip) => self.attempt(SocketAddr::new(ip, self.plan.target.port), self.plan.target.tls).await,
        };
        PublicEndpoint { address, view, state: attempt.state(), attempt }
    }

    /// The first public address in the answer of a public resolver, and its view. A record of the chain can send the
    /// probe nowhere else.
    fn public_answer(&self, resolution: &Resolution) -> (Result<IpAddr, AttemptOutcome>, Option<String>) {
        let expectation = &self.plan.expectation;
        let is_public = |ip| expectation.class(ip) == AddressClass::Public && self.plan.reaches(ip);
        let mut not_public = None;
        for view in resolution.views.iter().filter(|view| view.is_public_resolver(&expectation.private_ranges)) {
            if let Some(ip) = view.ips().find(|ip| is_public(*ip)) {
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
