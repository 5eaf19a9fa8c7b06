//! The C library's view: `getaddrinfo` in this process, hosts file and nsswitch included.
//!
//! A call cannot be cancelled, and with a silent name server it takes 20 s and more. So each runs on a thread of its
//! own, their number is limited, and names that are slow leave half of the threads to others.

use std::collections::HashMap;
use std::fs::File;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dns_lookup::{AddrInfoHints, LookupErrorKind, getaddrinfo};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

use super::Origin;
use crate::lock::lock;
use crate::observation::{LocalLimit, ViewOutcome};
use crate::target::HostName;

/// The most calls in flight. tokio has 512 threads for blocking work; file reads take at most half of them.
const MAX_CALLS: usize = 128;

/// The most calls in flight before one for a slow name: one whose last call did not return in time.
const MAX_CALLS_FOR_SLOW_NAMES: usize = MAX_CALLS / 2;

/// The most calls in flight for one name.
const MAX_CALLS_PER_NAME: usize = 2;

/// The most names in the table before slow ones without a call in flight are removed.
const MAX_NAMES: usize = 4096;

/// How many calls run at once while they return quickly: many targets that are due at the same moment would
/// otherwise each start a thread for a fraction of a millisecond.
const MAX_CONCURRENT_LOOKUPS: usize = 8;

/// How long a call waits for others to return before it runs as well: they may hang.
const MAX_QUEUE_TIME: Duration = Duration::from_millis(10);

/// `AI_CANONNAME` of netdb.h, the same on every Linux C library.
const AI_CANONNAME: i32 = 0x0002;
/// `SOCK_STREAM`: one entry per address.
const SOCK_STREAM: i32 = 1;

/// The calls of the process.
pub(super) struct LibcPool {
    calls: Arc<Mutex<Calls>>,
    concurrency: Arc<Semaphore>,
}

/// What a call returned.
#[derive(Clone, Debug)]
pub(super) struct LibcAnswer {
    /// The addresses with the canonical name, or the outcome with the reason.
    pub(super) result: Result<(Vec<IpAddr>, Option<String>), (ViewOutcome, String)>,
    /// The time of the call.
    pub(super) took: Duration,
}

#[derive(Default)]
struct Calls {
    in_flight: usize,
    started: u64,
    names: HashMap<String, NameCalls>,
}

#[derive(Default)]
struct NameCalls {
    /// The calls that have not returned, oldest first.
    in_flight: Vec<Call>,
    /// Whether the last call did not return in time.
    is_slow: bool,
}

struct Call {
    id: u64,
    answer: watch::Receiver<Option<LibcAnswer>>,
}

/// A call on its thread; dropped when it has returned, or its thread panicked.
struct RunningCall {
    calls: Arc<Mutex<Calls>>,
    name: String,
    id: u64,
    origin: Origin,
    _queue: Option<OwnedSemaphorePermit>,
}

/// Dropped when the lookup no longer waits: a call that is still in flight makes its name a slow one.
struct WaitGuard {
    calls: Arc<Mutex<Calls>>,
    name: String,
    id: u64,
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        let mut calls = lock(&self.calls);
        calls.in_flight -= 1;
        let Some(name) = calls.names.get_mut(&self.name) else { return };
        name.in_flight.retain(|call| call.id != self.id);
        // Names of probes on demand are chosen by others, so they leave no trace.
        let is_done = !name.is_slow || matches!(self.origin, Origin::OnDemand(_));
        if name.in_flight.is_empty() && is_done {
            calls.names.remove(&self.name);
        }
    }
}

impl Drop for WaitGuard {
    fn drop(&mut self) {
        if let Some(name) = lock(&self.calls).names.get_mut(&self.name) {
            name.is_slow = name.in_flight.iter().any(|call| call.id == self.id);
        }
    }
}

impl LibcPool {
    pub(super) fn new() -> Self {
        Self { calls: Arc::default(), concurrency: Arc::new(Semaphore::new(MAX_CONCURRENT_LOOKUPS)) }
    }

    /// Looks a name up. Dropping the future leaves the call to return by itself. With two calls for the name in
    /// flight, it waits for the newer one.
    ///
    /// # Errors
    /// No call was made: too many have not returned.
    pub(super) async fn look_up(&self, host: &HostName, origin: &Origin) -> Result<LibcAnswer, LocalLimit> {
        let began = Instant::now();
        let queue = timeout(MAX_QUEUE_TIME, Arc::clone(&self.concurrency).acquire_owned()).await;
        let queue = queue.ok().and_then(Result::ok);
        let name = String::from(host.clone());
        let (mut answer, _guard) = match lock(&self.calls).admit(&name) {
            Admission::Refused => return Err(LocalLimit::Lookups),
            Admission::Join(answer) => (answer, None),
            Admission::Start { id, answer, sender } => {
                let calls = Arc::clone(&self.calls);
                let guard = WaitGuard { calls: Arc::clone(&calls), name: name.clone(), id };
                let running = RunningCall { calls, name, id, origin: origin.clone(), _queue: queue };
                tokio::task::spawn_blocking(move || {
                    let answer = call(&running.name);
                    drop(running);
                    sender.send_replace(Some(answer));
                });
                (answer, Some(guard))
            }
        };
        let lost = || LibcAnswer {
            result: Err((ViewOutcome::Failed, "getaddrinfo did not return".to_owned())),
            took: began.elapsed(),
        };
        let answer = answer.wait_for(Option::is_some).await.ok().and_then(|answer| answer.clone());
        Ok(answer.unwrap_or_else(lost))
    }
}

enum Admission {
    Start { id: u64, answer: watch::Receiver<Option<LibcAnswer>>, sender: watch::Sender<Option<LibcAnswer>> },
    Join(watch::Receiver<Option<LibcAnswer>>),
    Refused,
}

impl Calls {
    fn admit(&mut self, name: &str) -> Admission {
        if self.names.len() >= MAX_NAMES {
            self.names.retain(|_, name| !name.in_flight.is_empty());
        }
        let known = self.names.get(name);
        let limit = if known.is_some_and(|known| known.is_slow) { MAX_CALLS_FOR_SLOW_NAMES } else { MAX_CALLS };
        let of_name = known.map_or(0, |known| known.in_flight.len());
        if of_name >= MAX_CALLS_PER_NAME || self.in_flight >= limit {
            let newest = known.and_then(|known| known.in_flight.last());
            return newest.map_or(Admission::Refused, |call| Admission::Join(call.answer.clone()));
        }
        let (sender, answer) = watch::channel(None);
        let id = self.started;
        self.started += 1;
        self.in_flight += 1;
        self.names.entry(name.to_owned()).or_default().in_flight.push(Call { id, answer: answer.clone() });
        Admission::Start { id, answer, sender }
    }
}

fn call(name: &str) -> LibcAnswer {
    let began = Instant::now();
    let result = resolve(name);
    let took = began.elapsed();
    // Without a free descriptor the C library fails in several ways, and no code says so reliably.
    let limit = result.is_err().then(|| LocalLimit::of(&File::open("/").err()?)).flatten();
    match limit {
        Some(limit) => LibcAnswer { result: Err((ViewOutcome::NotReached, limit.reason())), took },
        None => LibcAnswer { result, took },
    }
}

fn resolve(name: &str) -> Result<(Vec<IpAddr>, Option<String>), (ViewOutcome, String)> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn localhost() -> HostName {
        HostName::parse("localhost").expect("a name")
    }

    #[tokio::test]
    async fn libc_localhost_comes_from_hosts_file() {
        let pool = LibcPool::new();
        let answer = pool.look_up(&localhost(), &Origin::Schedule).await.expect("a free place");
        assert!(answer.result.is_ok_and(|(addresses, _)| addresses.iter().all(IpAddr::is_loopback)));
        assert!(answer.took > Duration::ZERO);
        let calls = lock(&pool.calls);
        assert_eq!((calls.in_flight, calls.names.len()), (0, 0));
    }

    #[tokio::test]
    async fn libc_hung_calls_leave_permits_for_others() {
        let pool = LibcPool::new();
        let permits = MAX_CONCURRENT_LOOKUPS.try_into().expect("a few");
        let hung = Arc::clone(&pool.concurrency).acquire_many_owned(permits).await;
        let began = Instant::now();
        let answer = pool.look_up(&localhost(), &Origin::Schedule).await.expect("a free place");
        assert!(answer.result.is_ok());
        assert!(began.elapsed() >= MAX_QUEUE_TIME && answer.took < MAX_QUEUE_TIME, "waiting is not resolving");
        drop(hung);
    }

    /// A call that is in flight, as if its thread hung.
    fn start(pool: &LibcPool, name: &str) -> Option<RunningCall> {
        let Admission::Start { id, .. } = lock(&pool.calls).admit(name) else { return None };
        let (calls, name) = (Arc::clone(&pool.calls), name.to_owned());
        Some(RunningCall { calls, name, id, origin: Origin::Schedule, _queue: None })
    }

    /// The lookup of a running call gives up.
    fn give_up(call: &RunningCall) {
        drop(WaitGuard { calls: Arc::clone(&call.calls), name: call.name.clone(), id: call.id });
    }

    #[test]
    fn libc_name_has_at_most_two_calls() {
        let pool = LibcPool::new();
        let calls: Vec<_> = (0..MAX_CALLS_PER_NAME).filter_map(|_| start(&pool, "a.example")).collect();
        assert_eq!(calls.len(), MAX_CALLS_PER_NAME);
        assert!(matches!(lock(&pool.calls).admit("a.example"), Admission::Join(_)));
        let other = start(&pool, "b.example");
        assert!(other.is_some());
        drop((calls, other));
        assert!(lock(&pool.calls).names.is_empty());
    }

    #[test]
    fn libc_slow_names_leave_half_to_others() {
        let pool = LibcPool::new();
        let calls: Vec<_> =
            (0..MAX_CALLS_FOR_SLOW_NAMES).filter_map(|name| start(&pool, &format!("silent{name}"))).collect();
        calls.iter().for_each(give_up);
        let slow = start(&pool, "slow.example").expect("not known to be slow");
        give_up(&slow);
        drop(slow);
        assert!(matches!(lock(&pool.calls).admit("slow.example"), Admission::Refused));
        assert!(matches!(lock(&pool.calls).admit("silent0"), Admission::Join(_)), "it waits for its own call");
        let others: Vec<_> = (0..MAX_CALLS).map_while(|name| start(&pool, &format!("ok{name}"))).collect();
        assert_eq!(others.len(), MAX_CALLS - MAX_CALLS_FOR_SLOW_NAMES);
        drop((calls, others));
        assert!(start(&pool, "slow.example").is_some(), "their calls have returned");
    }
}
