//! The last results of the checks of each target, which hold until `posture.interval` is over.
//!
//! Each check is a connection of its own: made in every probe, they would double what the server accepts.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::lock::lock;
use crate::observation::{AttemptOutcome, Phase, Posture, PosturePhase, SkipReason};
use crate::plan::Plan;

/// The most targets whose results are kept: as many as a configuration may have.
const MAX_TARGETS: usize = 10_000;

/// The addresses that the checks of one probe go to. Results for others say nothing about these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checks {
    /// The address in use, where TCP succeeded.
    pub(super) in_use: Option<SocketAddr>,
    /// Where it is checked whether authentication is enforced.
    pub(super) auth: Option<SocketAddr>,
    /// Where Redis without TLS must not answer.
    pub(super) plaintext: Option<SocketAddr>,
    /// The public address, where it is to be checked.
    pub(super) public: Option<PublicTarget>,
}

/// The public address to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PublicTarget {
    /// Absent where none is known.
    pub(super) address: Option<SocketAddr>,
    /// The view that gave it; absent where the operator did.
    pub(super) view: Option<String>,
    /// Why no connection is made, where none is.
    pub(super) not_tried: Option<AttemptOutcome>,
}

/// The last results, by the target's name.
#[derive(Default)]
pub(in crate::probe) struct LastResults(Mutex<HashMap<String, LastResult>>);

struct LastResult {
    plan: Plan,
    checks: Checks,
    facts: Posture,
    made: Instant,
    due: Instant,
}

impl LastResults {
    /// The last result, with its age; `None` where the checks are due, or the plan or an address has changed.
    pub(super) fn get(&self, plan: &Plan, checks: &Checks) -> Option<PosturePhase> {
        let results = lock(&self.0);
        let now = Instant::now();
        let last = results.get(&plan.target.name)?;
        let holds = now < last.due && last.checks == *checks && last.plan == *plan;
        holds.then(|| PosturePhase {
            phase: Phase::Skipped { reason: SkipReason::NotDue },
            age_seconds: Some((now - last.made).into()),
            facts: last.facts.clone(),
        })
    }

    /// Keeps results that were made now, and removes those that are due. `jitter` (0 to 1) keeps the checks of many
    /// targets and agents from being made at the same moment.
    pub(super) fn keep(&self, plan: &Plan, checks: Checks, facts: &Posture, jitter: f64) {
        let made = Instant::now();
        let mut results = lock(&self.0);
        results.retain(|name, last| made < last.due && *name != plan.target.name);
        if results.len() < MAX_TARGETS && is_conclusive(facts) {
            let due = made + jittered(plan.posture.interval, jitter);
            let last = LastResult { plan: plan.clone(), checks, facts: facts.clone(), made, due };
            results.insert(plan.target.name.clone(), last);
        }
    }
}

/// The interval, or up to a tenth less.
fn jittered(interval: Duration, jitter: f64) -> Duration {
    interval.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 10.0)
}

/// Whether every check has an answer. The next probe repeats them otherwise.
fn is_conclusive(facts: &Posture) -> bool {
    let auth = facts.auth_check.as_ref().is_none_or(|attempt| {
        // The user `default` may not PING: a repetition would show no more.
        facts.auth_enforced.is_some() || attempt.reply.as_deref() == Some("NOPERM")
    });
    let others = [
        facts.plaintext_port.as_ref().map(|port| port.attempt.outcome),
        facts.public_access.as_ref().map(|access| access.attempt.outcome),
    ];
    let is_open = |outcome: &AttemptOutcome| {
        matches!(outcome, AttemptOutcome::OutOfTime | AttemptOutcome::Interrupted | AttemptOutcome::CouldNotTry)
    };
    auth && !others.iter().flatten().any(is_open)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::Attempt;
    use crate::target::{HostName, Target};

    fn plan() -> Plan {
        Plan::new(Target::new(HostName::parse("cache1.example.org").expect("a host name"), Some(6380), true))
    }

    fn checks(ip: [u8; 4]) -> Checks {
        let address = Some((ip, 6380).into());
        Checks { in_use: address, auth: address, plaintext: None, public: None }
    }

    fn facts(enforced: Option<bool>) -> Posture {
        let auth_check = Some(Attempt::ended(AttemptOutcome::RedisAnswered));
        Posture { auth_enforced: enforced, auth_check, ..Posture::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn last_result_holds_for_the_interval() {
        let (results, plan, there) = (LastResults::default(), plan(), checks([10, 60, 4, 5]));
        assert_eq!(results.get(&plan, &there), None);
        results.keep(&plan, there.clone(), &facts(Some(true)), 1.0);
        tokio::time::advance(Duration::from_secs(539)).await;
        let last = results.get(&plan, &there).expect("it holds for nine minutes at least");
        assert_eq!((last.age_seconds, last.facts), (Some(Duration::from_secs(539).into()), facts(Some(true))));
        assert_eq!(last.phase, Phase::Skipped { reason: SkipReason::NotDue });
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(results.get(&plan, &there), None, "up to a tenth earlier");
        results.keep(&plan, there.clone(), &facts(Some(true)), 0.0);
        tokio::time::advance(Duration::from_secs(599)).await;
        assert!(results.get(&plan, &there).is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(results.get(&plan, &there), None, "never later");
    }

    #[tokio::test(start_paused = true)]
    async fn last_result_ends_with_address_or_plan() {
        let (results, plan, there) = (LastResults::default(), plan(), checks([10, 60, 4, 5]));
        results.keep(&plan, there.clone(), &facts(Some(true)), 0.0);
        assert_eq!(results.get(&plan, &checks([10, 60, 4, 6])), None);
        assert_eq!(results.get(&Plan { samples: 2, ..plan.clone() }, &there), None);
        assert!(results.get(&plan, &there).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn inconclusive_result_is_not_kept() {
        let (results, plan, there) = (LastResults::default(), plan(), checks([10, 60, 4, 5]));
        results.keep(&plan, there.clone(), &facts(Some(true)), 0.0);
        results.keep(&plan, there.clone(), &facts(None), 0.0);
        assert_eq!(results.get(&plan, &there), None);
    }

    #[tokio::test(start_paused = true)]
    async fn results_that_are_due_are_removed() {
        let (results, mut plan, there) = (LastResults::default(), plan(), checks([10, 60, 4, 5]));
        for name in ["one", "two"] {
            plan.target.name = name.to_owned();
            results.keep(&plan, there.clone(), &facts(Some(true)), 0.0);
        }
        assert_eq!(lock(&results.0).len(), 2);
        tokio::time::advance(Duration::from_secs(600)).await;
        plan.target.name = "three".to_owned();
        results.keep(&plan, there.clone(), &facts(Some(true)), 0.0);
        assert_eq!(lock(&results.0).len(), 1);
    }
}
