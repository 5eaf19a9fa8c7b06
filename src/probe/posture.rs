//! The posture phase: checks endpoints that should be closed, each over its own connection.
//!
//! An attempt is a connection by a plan without credentials, so that none can ever be sent over it. All attempts run
//! concurrently, after the connection in use, whose times they must not disturb. Between the checks of
//! `posture.interval`, the last results hold.

mod last_results;

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

pub(super) use self::last_results::LastResults;
use self::last_results::{Checks, PublicTarget};
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

/// Makes the checks, with what all probes of a process share.
pub(super) struct Checker<'a> {
    pub(super) connector: &'a Connector,
    /// The last results; absent for a probe that makes every check itself.
    pub(super) last_results: Option<&'a LastResults>,
}

impl Checker<'_> {
    /// Makes the checks of the plan, or gives their last results where they are not due; `None` where it has none.
    pub(super) async fn check(&self, plan: &Plan, facts: &ProbeFacts<'_>, budget: &Budget) -> Option<PosturePhase> {
        let wants_auth = plan.auth != Auth::None && !plan.posture.skip_auth_check;
        let plaintext_port = plan.posture.plaintext_port.filter(|_| plan.target.tls);
        let wants_public = plan.expectation.public_access != Expected::Ignore;
        if !wants_auth && plaintext_port.is_none() && !wants_public {
            return None;
        }
        let phase = |phase| Some(PosturePhase { phase, age_seconds: None, facts: Posture::default() });
        // Without accepted credentials, the connection in use has shown it already, or nothing can.
        let auth_at =
            facts.connection.filter(|_| wants_auth && facts.phases.auth.is_done() && facts.phases.ping.is_done());
        let in_use = facts.connection.filter(|_| facts.phases.connect.is_done()).map(|connection| connection.address);
        let plain_at = in_use.zip(plaintext_port).map(|(address, port)| SocketAddr::new(address.ip(), port));
        if auth_at.is_none() && plain_at.is_none() && !wants_public {
            return phase(not_reached(facts));
        }
        if budget.is_interrupted() {
            return phase(Phase::NotReached { stopped_by: StoppedBy::Interrupt });
        }
        let checks = Checks {
            in_use,
            auth: auth_at.map(|connection| connection.address),
            plaintext: plain_at,
            public: wants_public.then(|| public_target(plan, facts)),
        };
        if let Some(last) = self.last_results.and_then(|results| results.get(plan, &checks)) {
            return Some(last);
        }
        let (budget, is_whole) = budget.posture();
        let made = PostureProbe { connector: self.connector, plan, budget: &budget, is_whole }.make(&checks).await;
        if let Some(results) = self.last_results
            && made.phase.is_done()
            && !budget.is_overloaded()
        {
            results.keep(plan, checks, &made.facts, random_fraction());
        }
        Some(made)
    }
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
    async fn make(&self, checks: &Checks) -> PosturePhase {
        let begun = Instant::now();
        // On the heap: most probes make no attempt, and need no room for it.
        let (auth_check, plaintext, public_access) = tokio::join!(
            async { Some(Box::pin(self.attempt(checks.auth?, self.plan.target.tls)).await) },
            async {
                let address = checks.plaintext?;
                let attempt = Box::pin(self.attempt(address, false)).await;
                Some(PlaintextPort { port: address.port(), state: attempt.state(), attempt })
            },
            async { Some(Box::pin(self.public_access(checks.public.as_ref()?)).await) },
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
        PosturePhase { phase, age_seconds: None, facts: posture }
    }

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

    async fn public_access(&self, target: &PublicTarget) -> PublicEndpoint {
        let PublicTarget { address, view, not_tried } = target;
        let attempt = match (address, not_tried) {
            (_, Some(outcome)) => Attempt::ended(*outcome),
            (None, None) => Attempt::ended(AttemptOutcome::NoAddress),
            (Some(address), None) => self.attempt(*address, self.plan.target.tls).await,
        };
        PublicEndpoint { address: *address, view: view.clone(), state: attempt.state(), attempt }
    }
}

fn public_target(plan: &Plan, facts: &ProbeFacts<'_>) -> PublicTarget {
    let (ip, view) = match plan.posture.public_address {
        PublicAddress::Given(ip) => (Ok(ip), None),
        PublicAddress::Auto => public_answer(plan, facts.resolution),
    };
    let not_tried = match ip {
        Err(outcome) => Some(outcome),
        Ok(ip) => facts.is_connected_to(ip).then_some(AttemptOutcome::InUse),
    };
    PublicTarget { address: ip.ok().map(|ip| SocketAddr::new(ip, plan.target.port)), view, not_tried }
}

/// The first public address in the answer of a public resolver, and its view. A record of the chain can send the
/// probe nowhere else.
fn public_answer(plan: &Plan, resolution: &Resolution) -> (Result<IpAddr, AttemptOutcome>, Option<String>) {
    let expectation = &plan.expectation;
    let is_public = |ip| expectation.class(ip) == AddressClass::Public && plan.reaches(ip);
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

/// From 0 to 1.
fn random_fraction() -> f64 {
    let mut byte = [0];
    if getrandom::fill(&mut byte).is_err() {
        return 0.5;
    }
    f64::from(byte[0]) / 255.0
}
