//! The addresses that views gave for each name, with the time, so that a connection opened long ago is still named.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use super::peers::GivenAddress;
use crate::clock::Timestamp;
use crate::observation::Resolution;

/// The most addresses of one name that are remembered; the one given longest ago makes room.
const MAX_ADDRESSES: usize = 256;

/// The most names.
const MAX_NAMES: usize = 4096;

/// How long an address is remembered after a view last gave it: longer than any connection is usually kept.
const REMEMBERED_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// The addresses by host name.
#[derive(Debug, Default)]
pub struct AddressHistory(HashMap<String, BTreeMap<IpAddr, GivenAddress>>);

impl AddressHistory {
    /// Takes note of what every view gave, and returns all that was given for the name.
    pub fn note(&mut self, host: &str, resolution: &Resolution, now: Timestamp) -> BTreeMap<IpAddr, GivenAddress> {
        if self.0.len() >= MAX_NAMES && !self.0.contains_key(host) {
            return current(resolution, now); // nothing is remembered of a name too many
        }
        let known = self.0.entry(host.to_owned()).or_default();
        known.retain(|_, given| given.at.until(now).is_none_or(|age| age < REMEMBERED_FOR));
        // A view that gave no final answer takes nothing back: during an outage of DNS no address becomes an old one.
        let is_silent = |name: &str| resolution.views.iter().any(|view| view.view == name && !view.outcome.is_final());
        for given in known.values_mut() {
            given.is_current &= is_silent(&given.view);
        }
        known.extend(current(resolution, now));
        drop_oldest(known);
        known.clone()
    }

    /// The addresses that were given for other names, and not for this one.
    pub fn of_others(&self, host: &str) -> BTreeSet<IpAddr> {
        let others = self.0.iter().filter(|(name, _)| name.as_str() != host).flat_map(|(_, known)| known.keys());
        let own = self.0.get(host);
        others.filter(|ip| own.is_none_or(|own| !own.contains_key(ip))).copied().collect()
    }

    /// Takes up an address from a journal.
    pub fn restore(&mut self, host: &str, ip: IpAddr, given: GivenAddress) {
        if self.0.len() >= MAX_NAMES && !self.0.contains_key(host) {
            return;
        }
        let known = self.0.entry(host.to_owned()).or_default();
        if known.get(&ip).is_none_or(|present| present.at < given.at) {
            known.insert(ip, GivenAddress { is_current: false, ..given });
            drop_oldest(known);
        }
    }
}

fn drop_oldest(known: &mut BTreeMap<IpAddr, GivenAddress>) {
    while known.len() > MAX_ADDRESSES {
        let oldest = known.iter().min_by_key(|(_, given)| given.at).map(|(ip, _)| *ip);
        oldest.and_then(|ip| known.remove(&ip));
    }
}

fn current(resolution: &Resolution, now: Timestamp) -> BTreeMap<IpAddr, GivenAddress> {
    let views = resolution.views.iter();
    views
        .flat_map(|view| view.ips().map(|ip| (ip, GivenAddress { view: view.view.clone(), at: now, is_current: true })))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::AddressClass;
    use crate::observation::dns::{ResolvedAddress, View, ViewKind, ViewOutcome};

    fn resolution(ips: &[&str]) -> Resolution {
        let mut view = View::new("libc", ViewKind::Libc, None);
        view.outcome = ViewOutcome::Answered;
        let address = |ip: &&str| ResolvedAddress {
            ip: ip.parse().expect("an address"),
            class: AddressClass::Private,
            ttl: None,
        };
        view.addresses = ips.iter().map(address).collect();
        Resolution { views: vec![view], ..Resolution::default() }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(1_700_000_000 + seconds).expect("a time")
    }

    #[test]
    fn note_earlier_answer_is_remembered() {
        let mut history = AddressHistory::default();
        history.note("cache1", &resolution(&["20.50.1.10"]), at(0));
        let known = history.note("cache1", &resolution(&["10.60.4.5"]), at(60));
        let public = &known[&"20.50.1.10".parse::<IpAddr>().expect("an address")];
        assert!(!public.is_current && public.at == at(0), "{public:?}");
        assert!(known[&"10.60.4.5".parse::<IpAddr>().expect("an address")].is_current);
        assert_eq!(history.note("cache2", &resolution(&[]), at(60)).len(), 0, "names are kept apart");
        let later = 31 * 24 * 3600;
        assert_eq!(history.note("cache1", &resolution(&["10.60.4.5"]), at(later)).len(), 1, "and not for ever");
    }

    #[test]
    fn note_silent_view_takes_nothing_back() {
        let (mut history, address) = (AddressHistory::default(), "10.60.4.5".parse().expect("an address"));
        history.note("cache1", &resolution(&["10.60.4.5"]), at(0));
        let mut silent = resolution(&[]);
        silent.views[0].outcome = ViewOutcome::Timeout;
        assert!(history.note("cache1", &silent, at(60))[&address].is_current);
        assert!(!history.note("cache1", &resolution(&["10.60.4.6"]), at(120))[&address].is_current);
    }

    #[test]
    fn note_many_addresses_is_bounded() {
        let mut history = AddressHistory::default();
        for number in 0..300 {
            let known =
                history.note("cache1", &resolution(&[&format!("10.0.{}.{}", number / 250, number % 250)]), at(number));
            assert!(known.len() <= MAX_ADDRESSES);
            assert!(known.values().any(|given| given.is_current));
        }
    }
}
