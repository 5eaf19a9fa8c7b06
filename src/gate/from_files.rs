//! What journals and records say of the window.

use std::collections::BTreeMap;

use strum::IntoEnumIterator;

use super::condition::Condition;
use super::seen::{Cutover, Fault, Held, Seen, SeenTarget, SeenVantage, Window};
use crate::clock::Timestamp;
use crate::evidence::before_after;
use crate::evidence::summary::{first_change, found};
use crate::evidence::timeline::{Segment, Timeline, max_gap};
use crate::evidence::times::Period;
use crate::evidence::{Evidence, files::JournalRead};
use crate::observation::Usability;
use crate::record::standing::{PathKind, Standing};
use crate::secret::quote;

/// What the files say of the window.
pub fn seen(evidence: &Evidence, window: Window) -> Seen {
    let mut seen = Seen::default();
    let period = period(evidence, window);
    if let Some((at, period)) = period.and_then(|period| Some((period.cutover?, period))) {
        let overall = before_after::overall(evidence.timelines.iter(), period);
        seen.cutover = Some(Cutover { at, overall });
    }
    for (labels, targets) in evidence.timelines.iter() {
        let seen_target = |timeline: &Timeline| {
            let before_after = period.and_then(|period| before_after::of(timeline, period));
            Some(SeenTarget { before_after, ..target(timeline, window)? })
        };
        let targets = targets.iter().filter_map(|(name, timeline)| Some((name.clone(), seen_target(timeline)?)));
        let targets: BTreeMap<String, SeenTarget> = targets.collect();
        if !targets.is_empty() {
            seen.vantages.push(SeenVantage { labels: labels.clone(), targets });
        }
    }
    for journal in &evidence.journals {
        journal_notes(&mut seen, journal);
    }
    if evidence.records > 0 {
        seen.sources.push(format!("{} records of files", evidence.records));
    }
    let left_out = evidence.timelines.left_out();
    if left_out.is_of_probes() {
        seen.faults.extend(left_out.sentences().into_iter().map(|sentence| Fault { condition: None, sentence }));
    } else {
        seen.notes.extend(left_out.sentences());
    }
    let is_waited_for = |timeline: &Timeline| {
        timeline.is_open
            && timeline.segments.iter().map(|segment| segment.to).max().is_some_and(|last| last < window.to)
    };
    let open = evidence.timelines.iter().flat_map(|(_, targets)| targets.values()).filter(|one| is_waited_for(one));
    let open = open.count();
    if open > 0 {
        seen.notes.push(format!(
            "the journals of {open} vantages and targets do not end in order: a running agent writes unchanged results once a minute, so a last minute that is missing is no gap"
        ));
    }
    seen
}

/// All that the files have, up to the moment of the judgement: a cutover lies before the window.
fn period(evidence: &Evidence, window: Window) -> Option<Period> {
    let timelines = || evidence.timelines.iter().flat_map(|(_, targets)| targets.values());
    let from = timelines().flat_map(|timeline| &timeline.segments).map(|segment| segment.from).min()?;
    Some(Period { from, to: window.to, cutover: first_change(timelines()) })
}

fn journal_notes(seen: &mut Seen, journal: &JournalRead) {
    let name = match journal.paths.as_slice() {
        [only] => quote::path(only),
        [first, ..] => format!("{} and {} files more", quote::path(first), journal.paths.len() - 1),
        [] => return,
    };
    let faults = journal.faults().count() as u64 + journal.verified.more_faults;
    if let Some(first) = journal.faults().next() {
        let path = journal.paths.get(first.file).map(|path| quote::path(path)).unwrap_or_default();
        let sentence = format!("{path}:{}: {} ({faults} faults in all)", first.at, first.kind);
        seen.faults.push(Fault { condition: Some(Condition::Chain), sentence });
    }
    if journal.lost > 0 {
        seen.notes.push(format!("{name}: the results of {} probes could not be written", journal.lost));
    }
    if journal.clock_steps > 0 {
        seen.notes.push(format!("{name}: the clock was set {} times", journal.clock_steps));
    }
    let head = journal.head().map(|head| format!(", head: entry {} {}", head.number, head.digest)).unwrap_or_default();
    seen.sources.push(format!("{name}: {} lines{head}", journal.verified.lines));
}

fn target(timeline: &Timeline, window: Window) -> Option<SeenTarget> {
    let before_end = |segment: &&Segment| segment.from <= window.to;
    let latest = timeline.segments.iter().filter(before_end).max_by_key(|segment| segment.to)?;
    let judged: Vec<&Segment> = if window.is_moment() {
        vec![latest]
    } else {
        timeline.segments.iter().filter(|segment| segment.overlaps(window.from, window.to)).collect()
    };
    let standing = &latest.standing;
    let looked_at = Condition::iter().filter(|condition| is_of_path(*condition));
    let conditions = looked_at.map(|condition| (condition, held(condition, &judged)));
    Some(SeenTarget {
        last: Some(latest.to.min(window.to)),
        interval: timeline.interval,
        delay: timeline.delay(),
        covered: if window.is_moment() { Vec::new() } else { covered(timeline, window) },
        coverage_unknown: None,
        conditions: conditions.collect(),
        now: found(standing),
        verdict: Some(standing.verdict.to_string()),
        before_after: None,
    })
}

fn is_of_path(condition: Condition) -> bool {
    match condition {
        Condition::Application | Condition::Views | Condition::Usable | Condition::Address | Condition::Path => true,
        Condition::Heard | Condition::Gaps | Condition::Chain => false,
    }
}

/// Whether the standing meets the condition; `None` where the probe could not tell.
pub fn is_met(condition: Condition, standing: &Standing) -> Option<bool> {
    let is_known = standing.path != PathKind::Unknown;
    match condition {
        Condition::Path => is_known.then_some(standing.path == PathKind::Private),
        Condition::Address => is_known.then_some(standing.address_expected),
        Condition::Usable => match standing.usable {
            Usability::Yes => Some(true),
            Usability::No => Some(false),
            Usability::Unknown => None,
        },
        Condition::Views => standing.views_agree,
        Condition::Application => standing.application_public.map(|public| !public),
        Condition::Heard | Condition::Gaps | Condition::Chain => None,
    }
}

fn held(condition: Condition, segments: &[&Segment]) -> Held {
    let known = || segments.iter().filter_map(|segment| Some((is_met(condition, &segment.standing)?, segment)));
    let broken = known().filter(|(met, _)| !met).max_by_key(|(_, segment)| segment.to);
    match (broken, known().max_by_key(|(_, segment)| segment.to)) {
        (Some((_, broken)), latest) => Held::Broken {
            met_now: latest.is_some_and(|(met, _)| met),
            last: Some(broken.to),
            seen: instead(condition, &broken.standing),
        },
        (None, Some(_)) => Held::Throughout,
        (None, None) if condition == Condition::Application => Held::NotLookedAt,
        (None, None) => Held::Unknown,
    }
}

fn instead(condition: Condition, standing: &Standing) -> String {
    match condition {
        Condition::Views => "the views disagree".to_owned(),
        Condition::Application => "an application has a connection on the public path".to_owned(),
        Condition::Usable => format!("not usable, {}", standing.verdict),
        _ => format!("{}, {}", found(standing), standing.verdict),
    }
}

/// The parts of the window that probes cover which could tell path and usability.
fn covered(timeline: &Timeline, window: Window) -> Vec<(Timestamp, Timestamp)> {
    let tells = |standing: &Standing| {
        is_met(Condition::Path, standing).is_some() && is_met(Condition::Usable, standing).is_some()
    };
    let mut spans: Vec<(Timestamp, Timestamp)> = Vec::new();
    for segment in timeline.segments.iter().filter(|segment| tells(&segment.standing)) {
        let joins = |end: Timestamp| match end.until(segment.from) {
            Some(gap) => timeline.interval.is_some_and(|interval| gap <= max_gap(interval)),
            None => true, // it overlaps
        };
        match spans.last_mut() {
            Some((_, end)) if joins(*end) => *end = segment.to.max(*end),
            _ => spans.push((segment.from, segment.to)),
        }
    }
    // What is not written yet: no gap, where the program may still run.
    let last = timeline.segments.iter().map(|segment| segment.to).max();
    if let Some((_, end)) = spans.last_mut().filter(|(_, end)| Some(*end) == last) {
        *end = end.after(timeline.delay()).unwrap_or(*end);
    }
    let inside = spans.into_iter().filter(|(from, to)| *from <= window.to && *to >= window.from);
    inside.map(|(from, to)| (from.max(window.from), to.min(window.to))).collect()
}
