//! How long each view has given the same addresses, for a process that asks again and again.
//!
//! A cache that keeps to the time to live forgets a changed record soon; one that says the same long
//! after it does not. Nothing is ever answered from here.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::lock::lock;
use crate::observation::dns::{SameAnswer, View, ViewKind, ViewOutcome};

/// The most answers that are remembered: the views of thousands of targets.
const MAX_ANSWERS: usize = 20_000;

/// What has not been asked for this long is forgotten where there is no more room.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);

#[derive(Default)]
pub(super) struct Memory(Mutex<HashMap<Key, LastAnswer>>);

#[derive(PartialEq, Eq, Hash)]
struct Key {
    host: String,
    view: String,
    server: Option<SocketAddr>,
}

struct LastAnswer {
    addresses: BTreeSet<IpAddr>,
    since: Instant,
    last: Instant,
    longest_ttl: u32,
}

impl Memory {
    /// Takes note of a DNS view's answer, and writes into it for how long it has been the same. A
    /// failure in between changes nothing: it says nothing of the addresses.
    pub(super) fn note(&self, host: &str, view: &mut View, now: Instant) {
        if view.kind == ViewKind::Libc || view.outcome != ViewOutcome::Answered {
            return;
        }
        let addresses: BTreeSet<IpAddr> = view.ips().collect();
        let ttl = view.addresses.iter().filter_map(|address| address.ttl).max().unwrap_or_default();
        let key = Key { host: host.to_owned(), view: view.view.clone(), server: view.server };
        let mut answers = lock(&self.0);
        if let Some(known) = answers.get_mut(&key).filter(|known| known.addresses == addresses) {
            known.last = now;
            known.longest_ttl = known.longest_ttl.max(ttl);
            let for_seconds = now.saturating_duration_since(known.since).into();
            view.same_answer = Some(SameAnswer { for_seconds, longest_ttl: known.longest_ttl });
            return;
        }
        if answers.len() >= MAX_ANSWERS && !answers.contains_key(&key) {
            answers.retain(|_, known| now.saturating_duration_since(known.last) < FORGOTTEN_AFTER);
        }
        if answers.len() < MAX_ANSWERS || answers.contains_key(&key) {
            answers.insert(key, LastAnswer { addresses, since: now, last: now, longest_ttl: ttl });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::AddressClass;
    use crate::observation::dns::ResolvedAddress;

    fn view(ip: &str, ttl: u32) -> View {
        let mut view = View::new("azure", ViewKind::Resolver, None);
        view.outcome = ViewOutcome::Answered;
        let ip = ip.parse().expect("an address");
        view.addresses = vec![ResolvedAddress { ip, class: AddressClass::Public, ttl: Some(ttl) }];
        view
    }

    #[test]
    fn answer_history_counts_equal_addresses() {
        let memory = Memory::default();
        let began = Instant::now();
        let note = |ip: &str, ttl: u32, after: u64| {
            let mut view = view(ip, ttl);
            memory.note("cache1.example", &mut view, began + Duration::from_secs(after));
            view.same_answer.map(|unchanged| (unchanged.for_seconds.0.as_secs(), unchanged.longest_ttl))
        };
        assert_eq!(note("20.50.1.10", 30, 0), None);
        assert_eq!(note("20.50.1.10", 60, 10), Some((10, 60)));
        assert_eq!(note("20.50.1.10", 5, 500), Some((500, 60)));
        assert_eq!(note("10.60.4.5", 10, 510), None, "another answer begins anew");
        assert_eq!(note("10.60.4.5", 10, 520), Some((10, 10)));
    }

    #[test]
    fn answer_history_ignores_failures_is_bounded() {
        let memory = Memory::default();
        let now = Instant::now();
        for host in 0..MAX_ANSWERS + 10 {
            memory.note(&host.to_string(), &mut view("10.0.0.1", 1), now);
        }
        assert_eq!(memory.0.lock().expect("no panic").len(), MAX_ANSWERS);
        let mut failed = View::new("azure", ViewKind::Resolver, None);
        memory.note("0", &mut failed, now);
        assert_eq!(failed.same_answer, None);
        let later = now + 2 * FORGOTTEN_AFTER;
        memory.note("new", &mut view("10.0.0.1", 1), later);
        assert_eq!(memory.0.lock().expect("no panic").len(), 1, "what is not asked any more makes room");
    }
}
