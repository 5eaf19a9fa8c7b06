//! Since when each view has given the same addresses, for an agent that probes again and again.
//!
//! A cache that respects the time to live drops a changed record in that time; an older answer shows one that does not.
//! No lookup is ever answered from here.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::lock::lock;
use crate::observation::dns::{SameAnswer, View, ViewKind, ViewOutcome};

/// The most answers in it: the views of thousands of targets.
const MAX_ANSWERS: usize = 20_000;

/// Where it is full, answers older than this are removed.
const MAX_AGE: Duration = Duration::from_secs(3600);

#[derive(Default)]
pub(super) struct AnswerHistory(Mutex<HashMap<Key, LastAnswer>>);

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

impl LastAnswer {
    fn same_answer(&self, now: Instant) -> SameAnswer {
        SameAnswer { for_seconds: now.saturating_duration_since(self.since).into(), longest_ttl: self.longest_ttl }
    }
}

impl AnswerHistory {
    /// For how long the view has given this answer, as far as it was recorded.
    pub(super) fn get(&self, host: &str, view: &View, now: Instant) -> Option<SameAnswer> {
        let key = Key::of(host, view)?;
        let answers = lock(&self.0);
        answers.get(&key).filter(|known| known.addresses == addresses(view)).map(|known| known.same_answer(now))
    }

    /// Records a DNS view's answer, and returns for how long it has been the same. A failure in
    /// between changes nothing: it says nothing about the addresses.
    pub(super) fn record(&self, host: &str, view: &View, now: Instant) -> Option<SameAnswer> {
        let key = Key::of(host, view)?;
        let addresses = addresses(view);
        let ttl = view.addresses.iter().filter_map(|address| address.ttl).max().unwrap_or_default();
        let mut answers = lock(&self.0);
        if let Some(known) = answers.get_mut(&key).filter(|known| known.addresses == addresses) {
            known.last = now;
            known.longest_ttl = known.longest_ttl.max(ttl);
            return Some(known.same_answer(now));
        }
        if answers.len() >= MAX_ANSWERS && !answers.contains_key(&key) {
            answers.retain(|_, known| now.saturating_duration_since(known.last) < MAX_AGE);
        }
        if answers.len() < MAX_ANSWERS || answers.contains_key(&key) {
            answers.insert(key, LastAnswer { addresses, since: now, last: now, longest_ttl: ttl });
        }
        None
    }
}

impl Key {
    /// The key of an answer of a name server; the C library's has no time to live.
    fn of(host: &str, view: &View) -> Option<Self> {
        let has_ttl = view.kind != ViewKind::Libc && view.outcome == ViewOutcome::Answered;
        has_ttl.then(|| Self { host: host.to_owned(), view: view.view.clone(), server: view.server })
    }
}

fn addresses(view: &View) -> BTreeSet<IpAddr> {
    view.ips().collect()
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
        let history = AnswerHistory::default();
        let began = Instant::now();
        let seconds_and_ttl = |same: SameAnswer| (same.for_seconds.0.as_secs(), same.longest_ttl);
        let note = |ip: &str, ttl: u32, after: u64| {
            let (view, now) = (view(ip, ttl), began + Duration::from_secs(after));
            let known = history.get("cache1.example", &view, now).map(|same| same.for_seconds);
            let same = history.record("cache1.example", &view, now);
            assert_eq!(known, same.map(|same| same.for_seconds));
            same.map(seconds_and_ttl)
        };
        assert_eq!(note("20.50.1.10", 30, 0), None);
        assert_eq!(note("20.50.1.10", 60, 10), Some((10, 60)));
        assert_eq!(note("20.50.1.10", 5, 500), Some((500, 60)));
        assert_eq!(note("10.60.4.5", 10, 510), None, "another answer starts again");
        assert_eq!(note("10.60.4.5", 10, 520), Some((10, 10)));
    }

    #[test]
    fn answer_history_ignores_failures_is_bounded() {
        let history = AnswerHistory::default();
        let now = Instant::now();
        for host in 0..MAX_ANSWERS + 10 {
            history.record(&host.to_string(), &view("10.0.0.1", 1), now);
        }
        assert_eq!(lock(&history.0).len(), MAX_ANSWERS);
        let failed = View::new("azure", ViewKind::Resolver, None);
        assert_eq!(history.record("0", &failed, now), None);
        let later = now + 2 * MAX_AGE;
        history.record("new", &view("10.0.0.1", 1), later);
        assert_eq!(lock(&history.0).len(), 1, "old answers are removed");
    }
}
