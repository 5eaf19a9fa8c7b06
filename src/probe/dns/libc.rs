//! The C library's view: `getaddrinfo` in this process, hosts file and nsswitch included.
//!
//! A call cannot be cancelled, so it runs on a thread of its own, and a call that hangs must not be
//! followed by ever more of them.

use std::io::Read;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use dns_lookup::{AddrInfoHints, LookupErrorKind, getaddrinfo};

use crate::address::AddressClass;
use crate::clock::Seconds;
use crate::observation::ViewOutcome;
use crate::observation::dns::{HostsEntry, ResolvedAddress, View};
use crate::target::HostName;

/// The most calls under way at once; a silent name server blocks each for up to 30 s and more.
pub(crate) const MAX_CALLS: usize = 48;

const HOSTS_FILE: &str = "/etc/hosts";

/// The most of the hosts file that is read.
const MAX_HOSTS_BYTES: u64 = 1024 * 1024;

/// As much as is read of nearly every such file.
const USUAL_HOSTS_BYTES: usize = 4 * 1024;

/// `AI_CANONNAME` of netdb.h, the same on every Linux C library.
const AI_CANONNAME: i32 = 0x0002;
/// `SOCK_STREAM`: one entry per address.
const SOCK_STREAM: i32 = 1;

/// How many calls go on at once while they return as they should: many targets that are due in the same moment would
/// have a thread each, with a stack and an arena of the allocator, for the fraction of a millisecond that a call takes.
const MAX_CONCURRENT_LOOKUPS: usize = 8;

/// How long a call waits for its turn among them, and then goes on besides: others may hang.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Counts the calls under way.
pub(super) struct LibcPool {
    calls: Arc<AtomicUsize>,
    turns: Arc<Semaphore>,
}

struct Call(Arc<AtomicUsize>);

impl Drop for Call {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl LibcPool {
    pub(super) fn new() -> Self {
        Self { calls: Arc::default(), turns: Arc::new(Semaphore::new(MAX_CONCURRENT_LOOKUPS)) }
    }

    /// Asks, and writes what came into `view`. Dropping the future leaves the call to end by itself.
    pub(super) async fn ask(&self, view: &mut View, host: &HostName) {
        let turn = timeout(POLL_INTERVAL, Arc::clone(&self.turns).acquire_owned()).await;
        let call = Call(Arc::clone(&self.calls));
        if self.calls.fetch_add(1, Ordering::Relaxed) >= MAX_CALLS {
            view.outcome = ViewOutcome::Timeout;
            view.reason = Some(format!("{MAX_CALLS} earlier calls of getaddrinfo have not returned yet"));
            view.took_seconds = Some(Seconds::default());
            return;
        }
        let name = String::from(host.clone());
        let (sender, asked) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            let answer = look_up(&name);
            let took = begun.elapsed();
            let answered = (answer, took, hosts_entries(name.trim_end_matches('.')));
            drop(call);
            let _ = sender.send(answered); // it may not be waited for any more
            drop(turn);
        });
        let Ok((answer, took, hosts_file)) = asked.await else {
            view.outcome = ViewOutcome::Failed;
            view.reason = Some("getaddrinfo did not return".into());
            return;
        };
        view.took_seconds = Some(took.into());
        view.hosts_file = hosts_file;
        match answer {
            Ok((addresses, canonical_name)) => {
                view.outcome = ViewOutcome::Answered;
                view.addresses = addresses
                    .into_iter()
                    .map(|ip| ResolvedAddress { ip, class: AddressClass::Public, ttl: None })
                    .collect();
                view.canonical_name = canonical_name;
            }
            Err((outcome, reason)) => {
                view.outcome = outcome;
                view.reason = Some(reason);
            }
        }
    }
}

type Found = (Vec<IpAddr>, Option<String>);

fn look_up(name: &str) -> Result<Found, (ViewOutcome, String)> {
    let hints = AddrInfoHints { flags: AI_CANONNAME, socktype: SOCK_STREAM, ..AddrInfoHints::default() };
    let entries = getaddrinfo(Some(name), None, Some(hints)).map_err(|error| {
        let (outcome, code) = match error.kind() {
            LookupErrorKind::NoName => (ViewOutcome::NoAddress, "EAI_NONAME"),
            LookupErrorKind::NoData => (ViewOutcome::NoAddress, "EAI_NODATA"),
            LookupErrorKind::Again => (ViewOutcome::TryAgain, "EAI_AGAIN"),
            LookupErrorKind::Fail => (ViewOutcome::ServerFailure, "EAI_FAIL"),
            LookupErrorKind::System | LookupErrorKind::IO => (ViewOutcome::Failed, "EAI_SYSTEM"),
            LookupErrorKind::Memory => (ViewOutcome::Failed, "EAI_MEMORY"),
            LookupErrorKind::Badflags
            | LookupErrorKind::Family
            | LookupErrorKind::Socktype
            | LookupErrorKind::Service
            | LookupErrorKind::Unknown => (ViewOutcome::Failed, "another error"),
        };
        (outcome, format!("getaddrinfo: {code} ({})", error.error_num()))
    })?;
    let mut addresses = Vec::new();
    let mut canonical_name = None;
    for entry in entries.flatten().take(1024) {
        let ip = entry.sockaddr.ip();
        if !addresses.contains(&ip) {
            addresses.push(ip);
        }
        canonical_name = canonical_name.or(entry.canonname);
    }
    if addresses.is_empty() {
        return Err((ViewOutcome::NoAddress, "getaddrinfo: success without an address".into()));
    }
    Ok((addresses, canonical_name.map(|name| name.trim_end_matches('.').to_ascii_lowercase())))
}

fn hosts_entries(name: &str) -> Vec<HostsEntry> {
    let mut bytes = Vec::with_capacity(USUAL_HOSTS_BYTES);
    let read = std::fs::File::open(HOSTS_FILE).and_then(|file| file.take(MAX_HOSTS_BYTES).read_to_end(&mut bytes));
    if read.is_err() {
        return Vec::new();
    }
    parse_hosts(&String::from_utf8_lossy(&bytes), name)
}

/// The lines of hosts(5) that name `name`.
pub(super) fn parse_hosts(text: &str, name: &str) -> Vec<HostsEntry> {
    const MAX_ENTRIES: usize = 16;
    text.lines()
        .enumerate()
        .filter_map(|(index, line)| {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let ip = words.next()?.parse().ok()?;
            words.any(|word| word.trim_end_matches('.').eq_ignore_ascii_case(name)).then(|| HostsEntry {
                file: HOSTS_FILE.to_owned(),
                line: index + 1,
                ip,
            })
        })
        .take(MAX_ENTRIES)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::dns::ViewKind;

    #[test]
    fn nsswitch_hosts_line_is_found() {
        let text = "127.0.0.1 localhost\n# 10.0.0.1 cache1.example\n\n20.50.1.10\tother Cache1.example. # pinned\n";
        let found = parse_hosts(text, "cache1.example");
        assert_eq!(found.len(), 1);
        assert_eq!(found.first().map(|entry| (entry.line, entry.ip.to_string())), Some((4, "20.50.1.10".into())));
    }

    #[tokio::test]
    async fn libc_localhost_comes_from_hosts_file() {
        let pool = LibcPool::new();
        let mut view = View::new("libc", ViewKind::Libc, None);
        pool.ask(&mut view, &super::super::host("localhost")).await;
        assert_eq!(view.outcome, ViewOutcome::Answered, "{view:?}");
        assert!(view.ips().all(|ip| ip.is_loopback()));
        assert!(view.took_seconds.is_some());
        assert_eq!(pool.calls.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn libc_hung_calls_leave_permits_for_others() {
        let pool = LibcPool::new();
        let hanging =
            Arc::clone(&pool.turns).acquire_many_owned(MAX_CONCURRENT_LOOKUPS.try_into().expect("a few")).await;
        let mut view = View::new("libc", ViewKind::Libc, None);
        let begun = Instant::now();
        pool.ask(&mut view, &super::super::host("localhost")).await;
        assert_eq!(view.outcome, ViewOutcome::Answered, "{view:?}");
        assert!(
            begun.elapsed() >= POLL_INTERVAL && view.took_seconds.is_some_and(|took| took.0 < POLL_INTERVAL),
            "waiting is no resolving"
        );
        drop(hanging);
    }
}
