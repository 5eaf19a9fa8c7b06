//! Compares what was seen with what is expected.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::condition::Condition;
use super::judgement::{Answer, Cell, GATE_SCHEMA, Judgement, Reason};
use super::seen::{Held, Seen, SeenTarget, SeenVantage, Window};
use crate::clock::Timestamp;
use crate::evidence::expected::{Expected, Unexpected, matches};
use crate::evidence::timeline::max_gap;
use crate::record::Tool;

/// The age up to which a result counts where the interval of the probes is not known.
pub const DEFAULT_MAX_AGE: Duration = Duration::from_secs(300);

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The time that is judged.
    pub window: Window,
    /// The vantages that must be heard; without a list, those that were seen.
    pub expected: Option<Expected>,
    /// The conditions that are left out.
    pub waived: BTreeSet<Condition>,
    /// The age up to which a last result counts; two intervals where none is given.
    pub max_age: Option<Duration>,
}

/// Judges what was seen.
pub fn judge(seen: &Seen, rules: &Rules) -> Judgement {
    let mut judging = Judging {
        seen,
        rules,
        reasons: Vec::new(),
        silent: Vec::new(),
        judged: BTreeMap::new(),
        conditions_judged: BTreeSet::new(),
        own_reasons: BTreeSet::new(),
    };
    let (targets, entries) = (judging.targets(), judging.entries());
    for (entry, members) in &entries {
        judging.judge_entry(entry, members, &targets);
    }
    let vantages_ready = entries.iter().filter(|(entry, members)| judging.is_ready(entry, members)).count();
    let unexpected = judging.judge_unexpected();
    judging.judge_sources();
    let Judging { mut reasons, silent, judged, .. } = judging;
    reasons.sort_by(|a, b| order(a).cmp(&order(b)));
    Judgement {
        schema: GATE_SCHEMA.to_owned(),
        tool: Tool::this(),
        at: rules.window.to,
        hold_seconds: rules.window.length().into(),
        answer: answer(&reasons, judged.is_empty()),
        has_list: rules.expected.is_some(),
        vantages: entries.len(),
        vantages_ready,
        cells: judged.into_iter().flat_map(|(index, answers)| cells(&seen.vantages[index], answers)).collect(),
        reasons,
        silent,
        unexpected,
        waived: rules.waived.iter().copied().collect(),
        cutover: seen.cutover.as_ref().map(|cutover| cutover.at),
        overall: seen.cutover.iter().flat_map(|cutover| cutover.overall.clone()).collect(),
        notes: notes(seen, rules),
        sources: seen.sources.clone(),
    }
}

/// By what they cost to repair: what only has to be waited for comes first, what is unknown last.
fn order(reason: &Reason) -> (bool, bool, Option<Condition>, &BTreeMap<String, String>, &Option<String>) {
    (!reason.is_known, !reason.wait, reason.condition, &reason.vantage, &reason.target)
}

/// Without any vantage, nothing is known.
fn answer(reasons: &[Reason], nothing_seen: bool) -> Answer {
    if nothing_seen {
        Answer::CannotTell
    } else if reasons.iter().any(|reason| reason.is_known) {
        Answer::NotReady
    } else if reasons.is_empty() {
        Answer::Ready
    } else {
        Answer::CannotTell
    }
}

fn notes(seen: &Seen, rules: &Rules) -> Vec<String> {
    let mut notes = seen.notes.clone();
    if rules.expected.is_none() {
        notes.push(
            "no list of expected vantages was given: a subnet that nothing was heard of is not missed (--expected)"
                .to_owned(),
        );
    }
    if !rules.waived.is_empty() {
        let waived: Vec<String> = rules.waived.iter().map(ToString::to_string).collect();
        notes.push(format!("waived: {}", waived.join(", ")));
    }
    notes
}

struct Judging<'s> {
    seen: &'s Seen,
    rules: &'s Rules,
    reasons: Vec<Reason>,
    silent: Vec<BTreeMap<String, String>>,
    /// The vantages that belong to an entry, with the answer for each target that is not ready.
    judged: BTreeMap<usize, BTreeMap<String, Answer>>,
    conditions_judged: BTreeSet<(usize, String)>,
    /// The entries and vantages that a reason is about.
    own_reasons: BTreeSet<BTreeMap<String, String>>,
}

/// Whom a reason is about.
#[derive(Clone, Copy)]
struct Subject<'a> {
    labels: &'a BTreeMap<String, String>,
    members: &'a [usize],
    target: Option<&'a str>,
}

impl Judging<'_> {
    fn targets(&self) -> Vec<String> {
        match &self.rules.expected {
            Some(expected) if !expected.targets.is_empty() => expected.targets.clone(),
            _ => {
                let names = self.seen.vantages.iter().flat_map(|vantage| vantage.targets.keys());
                names.cloned().collect::<BTreeSet<String>>().into_iter().collect()
            }
        }
    }

    /// Each entry with the vantages that meet it; without a list, each vantage.
    fn entries(&self) -> Vec<(BTreeMap<String, String>, Vec<usize>)> {
        let vantages = self.seen.vantages.iter().enumerate();
        match &self.rules.expected {
            None => vantages.map(|(index, vantage)| ((*vantage.labels).clone(), vec![index])).collect(),
            Some(expected) => {
                let members = |entry: &BTreeMap<String, String>| {
                    let all = self.seen.vantages.iter().enumerate();
                    all.filter(|(_, vantage)| matches(entry, &vantage.labels)).map(|(index, _)| index).collect()
                };
                expected.vantages.iter().map(|entry| (entry.clone(), members(entry))).collect()
            }
        }
    }

    fn judge_entry(&mut self, entry: &BTreeMap<String, String>, members: &[usize], targets: &[String]) {
        let sees = |index: usize, target: &str| {
            let seen = self.seen.vantages[index].targets.get(target);
            seen.is_some_and(|seen| self.is_heard(seen) || !seen.covered.is_empty())
        };
        let of_target =
            |target: &String| -> Vec<usize> { members.iter().copied().filter(|index| sees(*index, target)).collect() };
        let by_target: Vec<(&String, Vec<usize>)> = targets.iter().map(|name| (name, of_target(name))).collect();
        if by_target.iter().all(|(_, members)| members.is_empty()) {
            self.silent.push(entry.clone());
            let sentence = match self.last_heard(members, None) {
                Some(last) => format!("silent: last heard at {last}"),
                None => "silent: nothing was heard of it".to_owned(),
            };
            self.not_met(Condition::Heard, Subject { labels: entry, members, target: None }, sentence, None);
            return;
        }
        for (target, members) in by_target {
            self.judge_target(Subject { labels: entry, members: &members, target: Some(target) }, target);
        }
    }

    /// Whether nothing keeps this entry and its vantages back.
    fn is_ready(&self, entry: &BTreeMap<String, String>, members: &[usize]) -> bool {
        let answers = members.iter().filter_map(|index| self.judged.get(index)).flat_map(BTreeMap::values);
        answers.copied().all(|answer| answer == Answer::Ready)
            && !self.own_reasons.contains(entry)
            && members.iter().any(|index| self.judged.contains_key(index))
    }

    fn judge_target(&mut self, subject: Subject<'_>, target: &str) {
        let seen = self.seen;
        let of = |index: &usize| &seen.vantages[*index].targets[target];
        if !subject.members.iter().any(|index| self.is_heard(of(index))) {
            let sentence = match self.last_heard(subject.members, Some(target)) {
                Some(last) => format!("the last probe is too old: it began at {last}"),
                None => "no probe of this target was heard".to_owned(),
            };
            self.not_met(Condition::Heard, subject, sentence, None);
        }
        if !self.rules.window.is_moment() && !subject.members.is_empty() {
            let members: Vec<&SeenTarget> = subject.members.iter().map(of).collect();
            self.judge_coverage(subject, &members);
        }
        for index in subject.members {
            self.judged.entry(*index).or_default().entry(target.to_owned()).or_insert(Answer::Ready);
            if !self.conditions_judged.insert((*index, target.to_owned())) {
                continue; // as a member of another entry
            }
            let labels = &seen.vantages[*index].labels;
            self.judge_conditions(Subject { labels, members: &[*index], target: Some(target) }, of(index));
        }
    }

    /// The vantages of an entry may replace each other, as pods do: together they must cover the window.
    fn judge_coverage(&mut self, subject: Subject<'_>, members: &[&SeenTarget]) {
        if let Some(why) = members.iter().find_map(|seen| seen.coverage_unknown.as_ref()) {
            self.unknown(Some(Condition::Gaps), subject, format!("whether there is a gap is not known: {why}"));
            return;
        }
        let window = self.rules.window;
        let interval = members.iter().filter_map(|seen| seen.interval).max();
        let limit = interval.map_or(DEFAULT_MAX_AGE, max_gap);
        let Some((from, to)) = latest_gap(members, window, limit) else { return };
        let length = humantime::format_duration(Duration::from_secs(from.until(to).unwrap_or_default().as_secs()));
        let sentence = match from == window.from {
            true => format!("no probe before {to}"),
            false => format!("a gap of {length} without a probe that could tell, from {from} to {to}"),
        };
        let earliest = to.after(window.length()).filter(|_| to < window.to);
        self.not_met(Condition::Gaps, subject, sentence, earliest);
    }

    fn judge_conditions(&mut self, subject: Subject<'_>, seen: &SeenTarget) {
        let is_public_now = matches!(seen.conditions.get(&Condition::Path), Some(Held::Broken { met_now: false, .. }))
            && !self.rules.waived.contains(&Condition::Path);
        for (condition, held) in &seen.conditions {
            match held {
                Held::Broken { .. } if *condition == Condition::Address && is_public_now => {} // the path says it
                Held::Throughout | Held::NotLookedAt => {}
                Held::Unknown => {
                    self.unknown(Some(*condition), subject, format!("{condition} is not known: no probe could tell"));
                }
                Held::Broken { met_now: false, seen, .. } => {
                    self.not_met(*condition, subject, format!("{condition}: {seen}"), None);
                }
                Held::Broken { met_now: true, last, seen } => {
                    let until = last.map(|last| format!(" until {last}")).unwrap_or_default();
                    let earliest = last.and_then(|last| last.after(self.rules.window.length()));
                    self.not_met(*condition, subject, format!("{condition}: it was {seen}{until}"), earliest);
                }
            }
        }
    }

    fn judge_unexpected(&mut self) -> Vec<BTreeMap<String, String>> {
        let Some(expected) = &self.rules.expected else { return Vec::new() };
        let is_heard = |vantage: &SeenVantage| vantage.targets.values().any(|seen| self.is_heard(seen));
        let is_listed = |vantage: &SeenVantage| expected.vantages.iter().any(|entry| matches(entry, &vantage.labels));
        let vantages = self.seen.vantages.iter().enumerate();
        let others = vantages
            .filter(|(index, vantage)| !self.judged.contains_key(index) && is_heard(vantage) && !is_listed(vantage));
        let unexpected: Vec<BTreeMap<String, String>> = others.map(|(_, other)| (*other.labels).clone()).collect();
        if expected.unexpected == Unexpected::Fail {
            for labels in &unexpected {
                let subject = Subject { labels, members: &[], target: None };
                self.not_met(Condition::Heard, subject, "not on the list of expected vantages".to_owned(), None);
            }
        }
        unexpected
    }

    fn judge_sources(&mut self) {
        let none = BTreeMap::new();
        let subject = Subject { labels: &none, members: &[], target: None };
        for fault in &self.seen.faults {
            self.unknown(fault.condition, subject, fault.sentence.clone());
        }
        if self.judged.is_empty() && self.seen.faults.is_empty() {
            self.unknown(None, subject, "no vantage was heard at all".to_owned());
        }
    }

    fn is_heard(&self, seen: &SeenTarget) -> bool {
        let limit = self
            .rules
            .max_age
            .unwrap_or_else(|| seen.interval.map_or(DEFAULT_MAX_AGE, |interval| interval.saturating_mul(2)))
            .saturating_add(seen.delay);
        seen.last.is_some_and(|last| last.until(self.rules.window.to).is_none_or(|age| age <= limit))
    }

    fn last_heard(&self, members: &[usize], target: Option<&str>) -> Option<Timestamp> {
        let targets = members.iter().flat_map(|index| &self.seen.vantages[*index].targets);
        targets.filter(|(name, _)| target.is_none_or(|of| of == *name)).filter_map(|(_, seen)| seen.last).max()
    }

    /// A condition is not met: now, or not for long enough.
    fn not_met(&mut self, condition: Condition, subject: Subject<'_>, sentence: String, earliest: Option<Timestamp>) {
        let fix = match earliest {
            Some(time) => format!("wait: it is met at {time} if nothing changes"),
            None => condition.fix().to_owned(),
        };
        self.push(
            Reason { condition: Some(condition), is_known: true, earliest, fix, ..subject.reason(sentence) },
            subject,
        );
    }

    /// What would decide is not known.
    fn unknown(&mut self, condition: Option<Condition>, subject: Subject<'_>, sentence: String) {
        let fix = condition.map_or("read the source again", Condition::fix).to_owned();
        self.push(Reason { condition, fix, ..subject.reason(sentence) }, subject);
    }

    fn push(&mut self, reason: Reason, subject: Subject<'_>) {
        if reason.condition.is_some_and(|condition| self.rules.waived.contains(&condition)) {
            return;
        }
        let answer = if reason.is_known { Answer::NotReady } else { Answer::CannotTell };
        for index in subject.members {
            let answers = self.judged.entry(*index).or_default();
            let targets = self.seen.vantages[*index].targets.keys();
            for target in targets.filter(|name| subject.target.is_none_or(|of| of == *name)) {
                let worst = answers.entry(target.clone()).or_insert(answer);
                *worst = answer.max(*worst);
            }
        }
        self.own_reasons.insert(subject.labels.clone());
        self.reasons.push(Reason { wait: reason.earliest.is_some(), ..reason });
    }
}

impl Subject<'_> {
    fn reason(self, sentence: String) -> Reason {
        Reason {
            condition: None,
            wait: false,
            is_known: false,
            vantage: self.labels.clone(),
            target: self.target.map(str::to_owned),
            sentence,
            fix: String::new(),
            earliest: None,
        }
    }
}

/// The last part of the window, longer than `limit`, that none of them covers.
fn latest_gap(members: &[&SeenTarget], window: Window, limit: Duration) -> Option<(Timestamp, Timestamp)> {
    let mut spans: Vec<(Timestamp, Timestamp)> = members.iter().flat_map(|seen| seen.covered.iter().copied()).collect();
    spans.sort_unstable();
    let mut end = window.from;
    let mut gap = None;
    let is_gap = |from: Timestamp, to: Timestamp| from.until(to).is_some_and(|length| length > limit);
    for (from, to) in spans {
        if is_gap(end, from) {
            gap = Some((end, from));
        }
        end = end.max(to);
    }
    if is_gap(end, window.to) { Some((end, window.to)) } else { gap }
}

fn cells(vantage: &SeenVantage, answers: BTreeMap<String, Answer>) -> impl Iterator<Item = Cell> + '_ {
    answers.into_iter().filter_map(|(target, answer)| {
        let seen = vantage.targets.get(&target)?;
        let application = seen.conditions.get(&Condition::Application);
        Some(Cell {
            vantage: (*vantage.labels).clone(),
            target,
            answer,
            found: seen.now.clone(),
            verdict: seen.verdict.clone(),
            last: seen.last,
            application_looked_at: application.is_some_and(|held| *held != Held::NotLookedAt),
            before_after: seen.before_after.clone(),
        })
    })
}
