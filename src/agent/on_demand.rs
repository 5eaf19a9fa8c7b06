//! Probes requested over HTTP: of configured targets, and of host names under the suffixes that the
//! configuration allows, at the ports of Redis. Nothing else, so that the agent is not a port scanner for others.
//!
//! They are not counted in the metrics and the history, which belong to the schedule.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::reload::RunningConfig;
use crate::config::Config;
use crate::pipeline;
use crate::plan::Plan;
use crate::probe::Prober;
use crate::probe::budget::Interrupt;
use crate::record::Record;
use crate::secret::quote::quoted;
use crate::server::{ProbeOnDemand, ProbeRefused};
use crate::target::TargetArgument;

/// The maximum number of concurrent probes on demand, in addition to those of the schedule.
const MAX_CONCURRENT: usize = 8;

/// How long a request waits for a permit: as long as a probe takes at most by default.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);

/// Probes on demand.
pub(super) struct OnDemand {
    prober: Arc<Prober>,
    current: watch::Receiver<Arc<RunningConfig>>,
    interrupt: Interrupt,
    permits: Arc<Semaphore>,
}

impl OnDemand {
    pub(super) fn new(prober: Arc<Prober>, current: watch::Receiver<Arc<RunningConfig>>, interrupt: Interrupt) -> Self {
        Self { prober, current, interrupt, permits: Arc::new(Semaphore::new(MAX_CONCURRENT)) }
    }

    /// The function that the server calls. It probes in the present runtime, wherever it is called.
    pub(super) fn into_function(self) -> ProbeOnDemand {
        let (this, runtime) = (Arc::new(self), Handle::current());
        Arc::new(move |name| {
            let this = Arc::clone(&this);
            let probe = runtime.spawn(async move { this.probe(&name).await });
            // An error: it panicked, or the runtime ends.
            Box::pin(async move { probe.await.unwrap_or(Err(ProbeRefused::Busy)) })
        })
    }

    async fn probe(&self, name: &str) -> Result<Record, ProbeRefused> {
        let current = Arc::clone(&self.current.borrow());
        let plan = plan_for(&current.config, name)?;
        let Ok(Ok(permit)) = timeout(QUEUE_TIMEOUT, Arc::clone(&self.permits).acquire_owned()).await else {
            return Err(ProbeRefused::Busy);
        };
        let prober = self.prober.on_demand(permit);
        Ok(pipeline::run(&prober, &plan, &current.vantage, &self.interrupt).await)
    }
}

/// The plan for the configured target called `name`, or for `name` as `HOST[:PORT]`.
///
/// # Errors
/// Why it must not be probed.
pub fn plan_for(config: &Config, name: &str) -> Result<Plan, ProbeRefused> {
    if let Some(target) = config.targets.iter().find(|target| target.plan.target.name == name) {
        return Ok(target.plan.clone());
    }
    if config.web.probe_allowed_suffixes.is_empty() {
        return Err(ProbeRefused::UnknownTarget);
    }
    if name.contains(['/', '@', ',', ';']) {
        let error = "a target's name or HOST[:PORT] is expected: a URL could carry a secret into logs on the way";
        return Err(ProbeRefused::BadTarget(error.to_owned()));
    }
    let TargetArgument { host, port, .. } =
        TargetArgument::parse(name).map_err(|why| ProbeRefused::BadTarget(format!("{} is {why}", quoted(name))))?;
    if !config.web.allows(&host) {
        return Err(ProbeRefused::UnknownTarget);
    }
    let plan = config.on_demand(host, port);
    let service = plan.target.service;
    let usual = if plan.target.tls { service.tls_port() } else { service.plaintext_port() };
    let port = plan.target.port;
    if port != usual && config.targets.iter().all(|target| target.plan.target.port != port) {
        let error = format!("port {port} is neither the service's own ({usual}) nor that of a configured target");
        return Err(ProbeRefused::BadTarget(error));
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::plan::Auth;

    fn config(web: &str) -> Config {
        let text = format!("targets: [{{name: sessions, host: localhost, port: 7}}]\n{web}");
        config::parse(&text).unwrap_or_else(|error| panic!("{error}"))
    }

    fn refusal(config: &Config, name: &str) -> ProbeRefused {
        plan_for(config, name).err().unwrap_or_else(|| panic!("{name} is probed"))
    }

    #[test]
    fn name_leads_to_no_special_address() {
        let suffix = "web: {probe: {allowed_suffixes: [example.org]}}\n";
        let plan = |more: &str| plan_for(&config(&format!("{suffix}{more}")), "a.example.org");
        let reaches = |more: &str, ip: &str| plan(more).is_ok_and(|plan| plan.reaches(ip.parse().expect("an address")));
        const EMBEDDED: [&str; 9] = [
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b::a83f:8110",
            "2002:a83f:8110::1",
            "::168.63.129.16",
            "2001:db8:0:1::a83f:8110",
            "fd00:ec2::254",
            "100.100.100.200",
        ];
        let special = ["127.0.0.1", "::1", "169.254.169.254", "fe80::1", "0.0.0.0", "::", "224.0.0.1", "168.63.129.16"];
        for ip in special.into_iter().chain(EMBEDDED) {
            assert!(!reaches("", ip) && !reaches("defaults: {expect: {path: any}}", ip), "{ip}");
            let configured =
                plan_for(&config(suffix), "sessions").map(|plan| plan.reaches(ip.parse().expect("an address")));
            assert!(configured.is_ok_and(|reaches| reaches), "{ip}: the target is configured");
        }
        for ip in ["10.60.4.5", "fd10::5", "100.64.0.1", "20.50.1.10"] {
            assert!(reaches("", ip), "{ip}");
        }
        assert!(reaches("private_ranges: [127.0.0.0/8]", "127.0.0.1"), "configured as private");
        assert!(!reaches("private_ranges: [168.63.129.16]", "168.63.129.16"), "in whatever range");
    }

    #[test]
    fn on_demand_default_probes_configured_only() {
        let config = config("");
        assert_eq!(plan_for(&config, "sessions").map(|plan| plan.target.port).ok(), Some(7));
        for name in ["localhost", "localhost:7", "10.0.0.1", "cache1.redis.cache.windows.net", "", "SESSIONS", "a/b"] {
            assert_eq!(refusal(&config, name), ProbeRefused::UnknownTarget, "{name}");
        }
    }

    #[test]
    fn allowed_suffix_is_probed_without_credentials() {
        let config = config(
            "web: {probe: {allowed_suffixes: [redis.cache.windows.net]}}\n\
             defaults: {auth: {method: password, password_env: KEY}}",
        );
        for (name, port) in [
            ("Cache1.redis.cache.windows.net", 6380),
            ("cache1.redis.cache.windows.net:6380", 6380),
            ("cache1.redis.cache.windows.net:7", 7),
        ] {
            let plan = plan_for(&config, name).unwrap_or_else(|_| panic!("{name} is refused"));
            assert_eq!((plan.target.host.as_str(), plan.target.port), ("cache1.redis.cache.windows.net", port));
            assert!(plan.auth == Auth::None);
        }
        for port in [22, 443, 6379, 9736] {
            let name = format!("cache1.redis.cache.windows.net:{port}");
            let ProbeRefused::BadTarget(error) = refusal(&config, &name) else { panic!("{name} is accepted") };
            assert!(error.contains(&port.to_string()) && error.contains("6380"), "{error}");
        }
        for name in
            ["evilredis.cache.windows.net", "redis.cache.windows.net.evil.example", "localhost", "other.example"]
        {
            assert_eq!(refusal(&config, name), ProbeRefused::UnknownTarget, "{name}");
        }
        for name in
            ["cache 1.redis.cache.windows.net", "rediss://:hunter2@cache1.redis.cache.windows.net", "10.0.0.1", ""]
        {
            let ProbeRefused::BadTarget(error) = refusal(&config, name) else { panic!("{name} is accepted") };
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
