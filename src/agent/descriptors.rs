//! The limit of open files: raised at start, and compared with what the configuration needs.
//!
//! Without a free descriptor no probe can be made, and its failure would look like one of the target.

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::config::Config;
use crate::plan::MAX_CONCURRENT_PROBES;
use crate::server::Limits;

/// Standard streams, epoll, signals, listener, configuration files.
const BASE: u64 = 32;

/// A connection, those of posture, and what `getaddrinfo` opens.
const PER_PROBE: u64 = 8;

/// Raises the soft limit to the hard one, and returns it; `u64::MAX` if there is none.
pub(super) fn raise_limit() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => limit.current = limit.maximum,
            Err(error) => tracing::warn!(%error, "cannot raise the limit of open files"),
        }
    }
    limit.current.unwrap_or(u64::MAX)
}

/// Limits the concurrent probes to what fits into `limit`: the default is lowered, with a warning.
///
/// # Errors
/// A sentence with the numbers, if `max_concurrent_probes` is configured and does not fit.
pub(super) fn fit(mut config: Config, limit: u64) -> Result<Config, String> {
    let Limits { connections, health_connections, .. } = Limits::default();
    let held = config.targets.iter().filter(|target| target.plan.held_connection).count();
    let reserved = BASE + u64::try_from(connections + health_connections + held).unwrap_or(u64::MAX);
    // A and AAAA of each resolver; resolv.conf names at most three.
    let per_probe = PER_PROBE + 2 * (3 + u64::try_from(config.resolvers.len()).unwrap_or(u64::MAX));
    let probes = u64::try_from(config.max_concurrent_probes).unwrap_or(u64::MAX);
    let needed = reserved.saturating_add(probes.saturating_mul(per_probe));
    if needed <= limit {
        return Ok(config);
    }
    let fitting = usize::try_from(limit.saturating_sub(reserved) / per_probe).unwrap_or(usize::MAX).max(1);
    if config.max_concurrent_probes != MAX_CONCURRENT_PROBES {
        return Err(format!(
            "max_concurrent_probes: {probes} probes need {needed} open files ({per_probe} each, {reserved} for the \
             agent), and the limit is {limit}: raise the limit (ulimit -n, LimitNOFILE), or set at most {fitting}"
        ));
    }
    tracing::warn!(limit, needed, probes = fitting, "few open files are allowed: fewer probes run concurrently");
    config.max_concurrent_probes = fitting;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn parsed(more: &str) -> Config {
        config::parse(&format!("targets: [{{host: localhost}}]\n{more}")).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn descriptors_too_few_refuse_or_lower_concurrency() {
        let concurrent = |more: &str, limit| fit(parsed(more), limit).map(|config| config.max_concurrent_probes);
        assert_eq!(concurrent("", 4096), Ok(MAX_CONCURRENT_PROBES));
        assert_eq!(concurrent("", 256), Ok(5));
        assert_eq!(concurrent("", 16), Ok(1));
        assert_eq!(concurrent("max_concurrent_probes: 100", u64::MAX), Ok(100));
        let held = concurrent("defaults: {held_connection: true}", 256);
        assert_eq!(held, Ok(5), "one more is reserved");
        let error = concurrent("max_concurrent_probes: 100", 1024).expect_err("it does not fit");
        for part in ["max_concurrent_probes: 100 probes", "need 1576", "limit is 1024", "at most 60"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn descriptors_soft_limit_is_raised() {
        let limit = raise_limit();
        let now = getrlimit(Resource::Nofile);
        assert_eq!((now.current, limit), (now.maximum, now.maximum.unwrap_or(u64::MAX)));
    }
}
