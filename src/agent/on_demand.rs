//! Probes that somebody asks for over HTTP: of configured targets, and of host names under the
//! suffixes that the operator allows. Of nothing else: the agent is no port scanner for others.
//!
//! They count in no metric and no history, which belong to the schedule.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use super::reload::Current;
use crate::check::check;
use crate::plan::Plan;
use crate::probe::Prober;
use crate::probe::budget::Interrupt;
use crate::record::Record;
use crate::server::{ProbeOnDemand, ProbeRefused};
use crate::target::{Target, TargetArgument};

/// The most of them at a time, beside those of the schedule.
const CONCURRENT: usize = 8;

/// Probes on demand.
pub(super) struct OnDemand {
    prober: Arc<Prober>,
    current: watch::Receiver<Arc<Current>>,
    interrupt: Interrupt,
    permits: Semaphore,
}

impl OnDemand {
    pub(super) fn new(prober: Arc<Prober>, current: watch::Receiver<Arc<Current>>, interrupt: Interrupt) -> Self {
        Self { prober, current, interrupt, permits: Semaphore::new(CONCURRENT) }
    }

    /// As the server calls it.
    pub(super) fn into_function(self) -> ProbeOnDemand {
        let this = Arc::new(self);
        Arc::new(move |name| {
            let this = Arc::clone(&this);
            Box::pin(async move { this.probe(&name).await })
        })
    }

    async fn probe(&self, name: &str) -> Result<Record, ProbeRefused> {
        let current = Arc::clone(&self.current.borrow());
        let plan = plan_for(&current, name)?;
        let _permit = self.permits.try_acquire().map_err(|_| ProbeRefused::Busy)?;
        Ok(check(&self.prober, &plan, &current.vantage, &self.interrupt).await)
    }
}

/// The plan of the configured target called `name`, or a plan with every default for the
/// `HOST[:PORT]` that it is.
fn plan_for(current: &Current, name: &str) -> Result<Plan, ProbeRefused> {
    if let Some(plan) = current.plans.get(name) {
        return Ok(plan.clone());
    }
    if current.allowed_suffixes.is_empty() {
        return Err(ProbeRefused::UnknownTarget);
    }
    if name.contains(['/', '@']) {
        let error = "a target's name or HOST[:PORT] is expected: a URL could carry a secret into logs on the way";
        return Err(ProbeRefused::BadTarget(error.to_owned()));
    }
    let TargetArgument { host, port, .. } = TargetArgument::parse(name).map_err(ProbeRefused::BadTarget)?;
    if !current.allowed_suffixes.iter().any(|suffix| is_under(host.as_str(), suffix)) {
        return Err(ProbeRefused::UnknownTarget);
    }
    Ok(Plan::new(Target::new(host, port, true)))
}

/// Whether the host name ends in `suffix`, at the border of a label.
fn is_under(host: &str, suffix: &str) -> bool {
    let suffix = suffix.trim_matches('.').to_ascii_lowercase();
    !suffix.is_empty()
        && host.strip_suffix(suffix.as_str()).is_some_and(|front| front.len() > 1 && front.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::plan::Auth;
    use crate::target::HostName;
    use crate::vantage::Vantage;

    fn current(allowed_suffixes: &[&str]) -> Current {
        let target = Target::new(HostName::parse("localhost").expect("a host name"), Some(7), true);
        let plan = Plan::new(Target { name: "sessions".to_owned(), ..target });
        Current {
            vantage: Vantage::default(),
            plans: BTreeMap::from([("sessions".to_owned(), plan)]),
            allowed_suffixes: allowed_suffixes.iter().map(ToString::to_string).collect(),
        }
    }

    fn refusal(current: &Current, name: &str) -> ProbeRefused {
        plan_for(current, name).err().unwrap_or_else(|| panic!("{name} is probed"))
    }

    #[test]
    fn only_configured_targets_are_probed() {
        let current = current(&[]);
        assert_eq!(plan_for(&current, "sessions").map(|plan| plan.target.port).ok(), Some(7));
        for name in ["localhost", "localhost:7", "10.0.0.1", "cache1.redis.cache.windows.net", "", "SESSIONS", "a/b"] {
            assert_eq!(refusal(&current, name), ProbeRefused::UnknownTarget, "{name}");
        }
    }

    #[test]
    fn host_names_under_an_allowed_suffix_are_probed_without_a_credential() {
        let current = current(&[".Redis.cache.windows.net"]);
        let plan =
            plan_for(&current, "Cache1.redis.cache.windows.net:7000").unwrap_or_else(|_| panic!("it is refused"));
        assert!(matches!(plan.auth, Auth::None));
        assert_eq!((plan.target.port, plan.target.tls), (7000, true));
        for name in [
            "redis.cache.windows.net",
            "evilredis.cache.windows.net",
            "a.redis.cache.windows.net.evil.org",
            "localhost",
        ] {
            assert_eq!(refusal(&current, name), ProbeRefused::UnknownTarget, "{name}");
        }
        for name in ["10.0.0.1", "a b", "a.redis.cache.windows.net:0", "rediss://u:p@a.redis.cache.windows.net"] {
            assert!(matches!(refusal(&current, name), ProbeRefused::BadTarget(_)), "{name}");
        }
        assert!(matches!(refusal(&self::current(&["."]), "localhost"), ProbeRefused::UnknownTarget));
    }

    #[tokio::test]
    async fn there_is_a_limit_of_their_own() {
        let sender = watch::Sender::new(Arc::new(current(&[])));
        let (_handle, interrupt) = Interrupt::new();
        let on_demand = OnDemand::new(Arc::new(Prober::new()), sender.subscribe(), interrupt);
        let held = on_demand.permits.acquire_many(8).await.expect("nobody closes it");
        assert_eq!(on_demand.probe("sessions").await.err(), Some(ProbeRefused::Busy));
        assert_eq!(on_demand.probe("other").await.err(), Some(ProbeRefused::UnknownTarget));
        drop(held);
        assert!(on_demand.probe("sessions").await.is_ok());
    }
}
