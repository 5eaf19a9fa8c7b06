//! What has become of each target lately.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};

use crate::clock::Timestamp;
use crate::diagnosis::Verdict;
use crate::record::Record;

/// The latest record and the changes of verdict of every target.
#[derive(Default)]
pub struct History(RwLock<BTreeMap<String, TargetHistory>>);

/// One target's.
#[derive(Clone, Default)]
pub struct TargetHistory {
    /// The latest record.
    pub latest: Option<Arc<Record>>,
    /// Since when the verdict holds.
    pub since: Option<Timestamp>,
    /// The changes of verdict, newest first.
    pub changes: VecDeque<Change>,
}

/// A change of verdict.
#[derive(Clone)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// What it was.
    pub from: Option<Verdict>,
    /// What it became.
    pub to: Verdict,
    /// Why, in a sentence.
    pub summary: String,
}

impl History {
    /// No target yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps these targets and no other.
    pub fn set_targets(&self, names: &[String]) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|name, _| names.contains(name));
        for name in names {
            all.entry(name.clone()).or_default();
        }
    }

    /// Keeps a record; says where it changes the verdict.
    pub fn observe(&self, record: Arc<Record>) -> Option<Change> {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let target = all.get_mut(&record.target.name)?;
        let from = target.latest.as_ref().map(|record| record.verdict.clone());
        let (at, to) = (record.started_at, record.verdict.clone());
        target.latest = Some(record);
        if from.as_ref() == Some(&to) {
            return None;
        }
        target.since = Some(at);
        let change = Change { at, from, to, summary: String::new() };
        target.changes.push_front(change.clone());
        target.changes.truncate(20);
        Some(change)
    }

    /// One target's.
    pub fn get(&self, name: &str) -> Option<TargetHistory> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Every target's, by name.
    pub fn all(&self) -> Vec<(String, TargetHistory)> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(name, history)| (name.clone(), history.clone())).collect()
    }
}
