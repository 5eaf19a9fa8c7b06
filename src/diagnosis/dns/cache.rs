//! Caches: what times to live show of an old answer, and when it will be gone.

use std::time::Duration;

use super::known_server::KnownServer;
use super::views::{Views, view_label};
use crate::clock::in_words;
use crate::diagnosis::Context;
use crate::observation::View;
use crate::observation::dns::ChainRecord;

/// What the times to live say of a wrong answer beside a right one: whether it outlives the zone's
/// own, and when it is gone if a cache keeps it.
pub(super) fn cache_evidence(case: &Context<'_>, views: &Views<'_>, bad: &View, good: &View) -> String {
    let over = outlives_ttl(bad).unwrap_or_else(|| expires_at_text(case, bad, good));
    format!("{}{over}{}", exceeds_zone_ttl(views, bad, good), stale_note(bad))
}

/// The same wrong answer long after any time to live that it had: no use to wait for it.
fn outlives_ttl(bad: &View) -> Option<String> {
    let unchanged = bad.same_answer?;
    let ttl = Duration::from_secs(unchanged.longest_ttl.into());
    // Twice, and a minute: a cache may have asked anew just before the zone was set right.
    if unchanged.for_seconds.0 <= ttl * 2 + Duration::from_secs(60) {
        return None;
    }
    Some(format!(
        " It has said so for {}, though no record of it lived longer than {}: this is not a cache that respects the time to live, but one that serves stale answers, a zone of its own, or a forwarder that asks elsewhere. Waiting will not fix it.",
        in_words(Duration::from_secs(unchanged.for_seconds.0.as_secs())),
        in_words(ttl)
    ))
}

/// A time to live only ever falls in a cache, so one that exceeds the zone's own was made up by it.
fn exceeds_zone_ttl(views: &Views<'_>, bad: &View, good: &View) -> String {
    if let (Some(kept), Some(own)) = (lowest_ttl(bad), lowest_ttl(good))
        && exceeds(kept, own)
    {
        return format!(
            " The wrong answer has {} left to live, and the right one's record lives {}: it looks like an old answer that is kept too long.",
            ttl_words(kept),
            ttl_words(own)
        );
    }
    for record in &bad.chain {
        // The longest that any other server gives is the closest to the zone's own.
        let seen = views
            .dns()
            .filter(|view| view.view != bad.view)
            .flat_map(|view| view.chain.iter().map(move |record| (view, record)))
            .filter(|(_, other)| same_record_set(record, other))
            .max_by_key(|(_, other)| other.ttl);
        if let Some((view, other)) = seen.filter(|(_, other)| exceeds(record.ttl, other.ttl)) {
            return format!(
                " It keeps the {} record of {} for {}, and {} gives it {}: a cache that keeps records longer than their zone says.",
                record.record_type,
                record.name,
                ttl_words(record.ttl),
                view_label(view),
                ttl_words(other.ttl)
            );
        }
    }
    String::new()
}

/// The longest that the records of Azure's names usually live, in seconds.
const USUAL_TTL: u32 = 300;

/// Another server's time to live may be half gone already, so it takes more than that.
fn exceeds(kept: u32, own: u32) -> bool {
    kept > own.saturating_mul(2).max(USUAL_TTL)
}

fn same_record_set(a: &ChainRecord, b: &ChainRecord) -> bool {
    a.name == b.name && a.record_type == b.record_type
}

/// When the first record that is not the right answer's runs out: a cache asks anew for that one,
/// and what follows it in the chain does not matter any more.
fn expires_at_text(case: &Context<'_>, bad: &View, good: &View) -> String {
    let strange = |record: &&ChainRecord| {
        !good.chain.iter().any(|other| same_record_set(record, other) && record.data == other.data)
    };
    let first = bad.chain.iter().find(strange).map(|record| record.ttl);
    let Some(left) = first.or_else(|| lowest_ttl(bad)) else { return String::new() };
    let Some(end) = case.now.end_of(Duration::from_secs(left.into())) else { return String::new() };
    format!(
        " If a cache keeps it, that lasts {end}; if {} says the same after that, it is no cache, but a zone of its own or a forwarder that asks elsewhere.",
        view_label(bad)
    )
}

fn stale_note(bad: &View) -> &'static str {
    match KnownServer::by_address(bad) {
        Some(KnownServer::LocalDnsDefault | KnownServer::LocalDnsClusterFirst) => {
            " LocalDNS may serve an answer for another 60 min after its time unless it is configured otherwise (serveStaleDurationInSeconds)."
        }
        Some(_) | None => "",
    }
}

pub(super) fn ttl_words(seconds: u32) -> String {
    in_words(Duration::from_secs(seconds.into()))
}

fn lowest_ttl(view: &View) -> Option<u32> {
    view.addresses.iter().filter_map(|address| address.ttl).min()
}
