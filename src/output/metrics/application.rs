//! Gauges of the applications' own connections, by path. Absent where they were not listed.

use super::sample::Sample;
use crate::clock::Seconds;
use crate::observation::application::{ApplicationFacts, ApplicationPath, ApplicationPeer};
use crate::record::Record;

pub(crate) fn connections(record: &Record) -> Vec<Sample<'_>> {
    let Some(facts) = facts(record) else { return Vec::new() };
    let count = |path| u64::from(facts.established(path));
    ApplicationPath::ALL.into_iter().map(|path| Sample::count(count(path)).with("path", label(path))).collect()
}

pub(crate) fn connecting(record: &Record) -> Vec<Sample<'_>> {
    let count = |facts: &ApplicationFacts| facts.peers.iter().map(|peer| u64::from(peer.connecting)).sum();
    facts(record).map(|facts| Sample::count(count(facts))).into_iter().collect()
}

pub(crate) fn round_trip(record: &Record) -> Vec<Sample<'_>> {
    longest(record, |peer| peer.worst_round_trip_seconds)
}

pub(crate) fn idle(record: &Record) -> Vec<Sample<'_>> {
    longest(record, |peer| peer.longest_idle_seconds)
}

fn longest(record: &Record, of: fn(&ApplicationPeer) -> Option<Seconds>) -> Vec<Sample<'_>> {
    let Some(facts) = facts(record) else { return Vec::new() };
    let of_path = |path| Some((path, facts.by_path(path).filter_map(of).max()?));
    let longest = ApplicationPath::ALL.into_iter().filter_map(of_path);
    longest.map(|(path, seconds)| Sample::new(seconds.as_f64()).with("path", label(path))).collect()
}

fn facts(record: &Record) -> Option<&ApplicationFacts> {
    record.observation.application.as_ref()
}

fn label(path: ApplicationPath) -> &'static str {
    match path {
        ApplicationPath::Public => "public",
        ApplicationPath::Old => "old",
        ApplicationPath::Unknown => "unknown",
        ApplicationPath::LocalProxy => "local_proxy",
        ApplicationPath::Expected => "expected",
    }
}
