//! Sums a timeline up over a period.

use super::before_after;
use super::document::{EvidenceCell, StandingChange};
use super::timeline::{Labels, Segment, Timeline};
use super::times::{Period, Times, is_unusable};
use crate::clock::{Seconds, Timestamp};
use crate::record::standing::{PathKind, Standing};

/// The most changes that are listed of one vantage and target.
const MAX_LISTED: usize = 100;

/// What a vantage saw of a target in the period; `None` where no probe lies in it.
pub fn cell(vantage: &Labels, target: &str, timeline: &Timeline, period: Period) -> Option<EvidenceCell> {
    let segments: Vec<&Segment> =
        timeline.segments.iter().filter(|segment| segment.overlaps(period.from, period.to)).collect();
    let (first, last) = (segments.first()?, segments.last()?);
    let about = &timeline.about;
    let times = Times::of(&segments, timeline, period);
    let changes = changes(&segments);
    let silent = period.from.until(period.to).unwrap_or_default().saturating_sub(times.known());
    let not_written = last.to.until(period.to).unwrap_or_default().min(timeline.delay()).min(silent);
    Some(EvidenceCell {
        vantage: (**vantage).clone(),
        target: target.to_owned(),
        endpoint: about.endpoint.clone(),
        expectation: about.expectation.clone(),
        found: found(&last.standing),
        verdict: last.standing.verdict.to_string(),
        since: changes.last().map_or(first.from, |change| change.at),
        first: first.from.max(period.from),
        last: last.to.min(period.to),
        probes: total(segments.iter().copied()),
        unusable: total(segments.iter().copied().filter(|segment| is_unusable(segment))),
        unusable_seconds: times.unusable.into(),
        silent_seconds: silent.saturating_sub(not_written).into(),
        not_written_seconds: not_written.into(),
        seconds_on_path: times.on_path.iter().map(|(path, time)| (*path, Seconds(*time))).collect(),
        gaps: times.gaps,
        changes_total: changes.len(),
        changes: changes.into_iter().take(MAX_LISTED).collect(),
        bands: times.bands,
        worst_connect_seconds: segments.iter().filter_map(|segment| segment.connect.longest()).max(),
        worst_ping_seconds: segments.iter().filter_map(|segment| segment.ping.longest()).max(),
        findings: about.findings.iter().map(|code| code.as_str().to_owned()).collect(),
        before_after: before_after::of(timeline, period),
    })
}

/// How many probes they have; the counts are from outside.
fn total<'s>(segments: impl Iterator<Item = &'s Segment>) -> u64 {
    segments.fold(0, |sum, segment| segment.probes.saturating_add(sum))
}

/// `private 10.60.4.5`.
pub fn found(standing: &Standing) -> String {
    let path = match standing.path {
        PathKind::NoAddress => "no address".to_owned(),
        path => path.to_string(),
    };
    standing.address.map_or_else(|| path.clone(), |address| format!("{path} {address}"))
}

/// The moment of the first change from another path to a private one, over all timelines.
pub fn first_change<'t>(timelines: impl Iterator<Item = &'t Timeline>) -> Option<Timestamp> {
    let of = |timeline: &Timeline| {
        let mut pairs = timeline.segments.windows(2);
        let became_private =
            pairs.find(|pair| pair[0].standing.path != PathKind::Private && pair[1].standing.path == PathKind::Private);
        became_private.map(|pair| pair[1].from)
    };
    timelines.filter_map(of).min()
}

/// Where the path, the address, the usability or the verdict differs from the segment before.
fn changes(segments: &[&Segment]) -> Vec<StandingChange> {
    let differ = segments.windows(2).filter(|pair| pair[0].standing != pair[1].standing);
    let change = |segment: &Segment| StandingChange {
        at: segment.from,
        found: format!("{}, {}", found(&segment.standing), segment.standing.verdict),
    };
    differ.map(|pair| change(pair[1])).collect()
}
