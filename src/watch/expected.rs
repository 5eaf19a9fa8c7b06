//! The vantages that a watch of agents expects: those that no agent answers for, and those that are on no list.

use std::collections::{BTreeMap, BTreeSet};

use super::agents::vantage;
use super::state::State;
use crate::evidence::expected::{Unexpected, matches};

/// The most vantages that a watch can expect: it has a row for each that is missing.
pub const MAX_EXPECTED: usize = 1024;

type Labels = BTreeMap<String, String>;

impl State {
    /// Expected vantages that no agent has a record of, and expected targets that a vantage lacks: `subnet=app-b`,
    /// `subnet=app-a: carts`. One whose agent does not answer any more keeps its row, and is not among them.
    pub fn missing(&self) -> Vec<String> {
        let Some(expected) = &self.expected else { return Vec::new() };
        let seen = self.seen_by_labels();
        let mut missing = Vec::new();
        for entry in &expected.vantages {
            let mut members = seen.iter().filter(|(labels, _)| matches(entry, labels)).peekable();
            if members.peek().is_none() {
                missing.push(text(entry));
            }
            for (_, targets) in members {
                let lacking = expected.targets.iter().filter(|target| !targets.contains(target.as_str()));
                missing.extend(lacking.map(|target| format!("{}: {target}", text(entry))));
            }
        }
        missing
    }

    /// Vantages that are on no list, by the names of their rows.
    pub fn unexpected(&self) -> BTreeSet<String> {
        let Some(expected) = &self.expected else { return BTreeSet::new() };
        let is_listed = |labels: &Labels| expected.vantages.iter().any(|entry| matches(entry, labels));
        let vantages = self.targets.values().map(|target| &target.latest.vantage);
        vantages.filter(|seen| !is_listed(&seen.metric_labels())).map(vantage).collect()
    }

    /// Whether a vantage that is on no list is a failure.
    pub fn is_unexpected_a_failure(&self) -> bool {
        self.expected.as_ref().is_some_and(|expected| expected.unexpected == Unexpected::Fail)
    }

    /// The targets of each vantage.
    fn seen_by_labels(&self) -> BTreeMap<Labels, BTreeSet<&str>> {
        let mut seen: BTreeMap<Labels, BTreeSet<&str>> = BTreeMap::new();
        for record in self.targets.values().map(|target| &target.latest) {
            seen.entry(record.vantage.metric_labels()).or_default().insert(&record.target.name);
        }
        seen
    }
}

fn text(entry: &Labels) -> String {
    entry.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}
