//! The latest record and the last changes of each target.
//!
//! Memory is limited by the number of configured targets. A change is a difference between two records.

mod path_times;

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::clock::Timestamp;
use crate::diagnosis::Verdict;
use crate::observation::{Connection, Usability};
use crate::record::Record;
use crate::record::held::HeldChange;
use path_times::PathTimes;

pub use path_times::PathChange;

/// The maximum number of changes stored for one target.
pub const MAX_CHANGES: usize = 20;

/// The targets' histories, shared between the schedule and the server.
#[derive(Default)]
pub struct History {
    targets: RwLock<BTreeMap<String, TargetHistory>>,
}

/// The history of one target.
#[derive(Clone, Default)]
pub struct TargetHistory {
    /// Its latest record; `None` before the first.
    pub latest: Option<Arc<Record>>,
    /// When the record was begun with which the present verdict began.
    pub since: Option<Timestamp>,
    /// The last changes, newest first, at most [`MAX_CHANGES`].
    pub changes: VecDeque<Change>,
    /// The last record before a restart, which the first one of this run is compared with.
    restored: Option<Arc<Record>>,
    path_times: PathTimes,
}

/// A change of the verdict (its status or its cause), of the usability, of the address in use, or of the held
/// connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When the record was begun that shows it.
    pub at: Timestamp,
    /// The verdict before; `None` for the first record.
    pub from: Option<Verdict>,
    /// The verdict since.
    pub to: Verdict,
    /// Whether the cache could be used before; `None` for the first record.
    pub usable_from: Option<Usability>,
    /// Whether it can be used since.
    pub usable: Usability,
    /// What changed of the held connection; the summary has it, too.
    pub held_connection: Option<HeldChange>,
    /// One sentence: `pass (healthy) -> fail (private_zone_not_seen): 20.50.1.10 public`.
    pub summary: String,
}

impl Change {
    /// Whether the verdict changed.
    pub fn is_of_verdict(&self) -> bool {
        self.from.as_ref() != Some(&self.to)
    }

    /// Whether the cache became usable or ceased to be.
    pub fn is_of_usability(&self) -> bool {
        self.usable_from != Some(self.usable)
    }

    /// Whether only the address changed.
    pub fn is_of_address_alone(&self) -> bool {
        !self.is_of_verdict() && !self.is_of_usability() && self.held_connection.is_none()
    }
}

impl History {
    /// A history of no targets.
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers these targets from now on: known ones keep their history, others are forgotten.
    pub fn set_targets(&self, names: &[String]) {
        let mut targets = self.write();
        targets.retain(|name, _| names.contains(name));
        for name in names {
            targets.entry(name.clone()).or_default();
        }
    }

    /// Takes a record in and says what it changed. The record of a target that is not remembered
    /// (a reload removed it while it was probed) is dropped.
    pub fn observe(&self, record: Arc<Record>) -> Option<Change> {
        let mut targets = self.write();
        let target = targets.get_mut(&record.target.name)?;
        let before = target.latest.take().or_else(|| target.restored.take());
        let change = target.change(before.as_deref(), &record);
        target.path_times.add(&record);
        target.latest = Some(record);
        change
    }

    /// Takes in a record that was made before a restart, the oldest first. Its changes are kept; the present state
    /// remains unknown until the next probe.
    pub fn restore(&self, record: Arc<Record>) {
        let mut targets = self.write();
        if let Some(target) = targets.get_mut(&record.target.name).filter(|target| target.latest.is_none()) {
            let before = target.restored.take();
            target.change(before.as_deref(), &record);
            target.restored = Some(record);
        }
    }

    /// The verdicts before the restart and since when they held, by target; only those that no probe has followed yet.
    pub fn restored(&self) -> Vec<(String, Verdict, Timestamp)> {
        let targets = self.read();
        let restored = targets.iter().filter_map(|(name, target)| {
            Some((name.clone(), target.restored.as_ref()?.verdict.clone(), target.since?))
        });
        restored.collect()
    }

    /// The history of one target; `None` where it is not remembered.
    pub fn get(&self, name: &str) -> Option<TargetHistory> {
        self.read().get(name).cloned()
    }

    /// Every target's history, in the order of the names.
    pub fn all(&self) -> Vec<(String, TargetHistory)> {
        self.read().iter().map(|(name, target)| (name.clone(), target.clone())).collect()
    }

    // A panic elsewhere leaves the map whole: every write is a single insertion.
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, TargetHistory>> {
        self.targets.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, TargetHistory>> {
        self.targets.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TargetHistory {
    /// The last change of the path since the start, with what it changed.
    pub fn path_change(&self) -> Option<PathChange> {
        self.path_times.change()
    }

    /// What a record changes, which is kept.
    fn change(&mut self, before: Option<&Record>, now: &Record) -> Option<Change> {
        let change = change(before, now)?;
        if change.is_of_verdict() {
            self.since = Some(now.started_at);
        }
        self.remember(change.clone());
        Some(change)
    }

    /// Makes room by the oldest change of address, so that a name whose addresses rotate does not
    /// push the other changes out.
    fn remember(&mut self, change: Change) {
        if self.changes.len() >= MAX_CHANGES {
            let last = self.changes.len() - 1;
            let of_address = self.changes.iter().rposition(Change::is_of_address_alone);
            self.changes.remove(of_address.unwrap_or(last));
        }
        self.changes.push_front(change);
    }
}

fn change(before: Option<&Record>, now: &Record) -> Option<Change> {
    let to = &now.verdict;
    let state = state(now);
    let held_connection = before.and_then(|before| HeldChange::between(before, now));
    let mut summary = match before {
        None => format!("first verdict: {}{state}", verdict(to)),
        Some(before) if before.verdict != *to => format!("{} -> {}{state}", verdict(&before.verdict), verdict(to)),
        Some(before) if before.usable.value != now.usable.value => {
            format!("{}, {}{state}", verdict(to), usability_change(now))
        }
        Some(before) => match (address(before), address(now)) {
            (Some(old), Some(new)) if old != new => {
                let path = |record| path(record).unwrap_or_default();
                format!("{}, path changed: {} -> {}", verdict(to), path(before), path(now))
            }
            (Some(_) | None, Some(_) | None) if held_connection.is_some() => verdict(to),
            (Some(_) | None, Some(_) | None) => return None,
        },
    };
    if let Some(change) = &held_connection {
        summary = format!("{summary}; {}", change.as_str());
    }
    Some(Change {
        at: now.started_at,
        from: before.map(|before| before.verdict.clone()),
        to: to.clone(),
        usable_from: before.map(|before| before.usable.value),
        usable: now.usable.value,
        held_connection,
        summary,
    })
}

/// `: 20.50.1.10 public, works`, as far as it is known.
fn state(record: &Record) -> String {
    let usable = match record.usable.value {
        Usability::Yes => Some("works".to_owned()),
        Usability::No => Some("does not work".to_owned()),
        Usability::Unknown => None,
    };
    let known: Vec<String> = path(record).into_iter().chain(usable).collect();
    if known.is_empty() { String::new() } else { format!(": {}", known.join(", ")) }
}

fn usability_change(record: &Record) -> String {
    let reason = record.usable.reason.as_deref().unwrap_or("no reason given");
    match (record.usable.value, record.usable.phase) {
        (Usability::Yes, _) => "became usable".to_owned(),
        (Usability::No, Some(phase)) => format!("stopped working at {phase} ({reason})"),
        (Usability::No, None) => "stopped working".to_owned(),
        (Usability::Unknown, _) => "usability unknown".to_owned(),
    }
}

fn verdict(verdict: &Verdict) -> String {
    format!("{} ({})", verdict.status, verdict.cause)
}

fn path(record: &Record) -> Option<String> {
    let Connection { address, class, .. } = record.observation.connection.as_ref()?;
    Some(format!("{} {class}", address.ip()))
}

fn address(record: &Record) -> Option<IpAddr> {
    record.observation.connection.as_ref().map(|connection| connection.address.ip())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use super::*;
    use crate::address::{AddressClass, classify};
    use crate::diagnosis::{Cause, Code, Status};
    use crate::expectation::Expectation;
    use crate::observation::dns::{ResolvedAddress, ViewKind};
    use crate::observation::{Observation, Resolution, View, ViewOutcome};
    use crate::target::{HostName, Target};
    use crate::vantage::Vantage;

    const HEALTHY: (Status, Cause) = (Status::Pass, Cause::Healthy);
    const NOT_SEEN: (Status, Cause) = (Status::Fail, Cause::Code(Code::PrivateZoneNotSeen));

    fn record(at: i64, ip: &str, (status, cause): (Status, Cause)) -> Arc<Record> {
        let address: SocketAddr = format!("{ip}:6380").parse().expect("an address");
        let mut target = Target::new(HostName::parse("cache1.redis.cache.windows.net").expect("a name"), None, true);
        target.name = "sessions".into();
        let observation = Observation {
            connection: Some(Connection::new(address, classify(address.ip(), &[]))),
            ..Observation::default()
        };
        let mut record = Record::new(
            Timestamp::from_unix(at).expect("a time"),
            Duration::from_millis(1),
            target,
            Vantage::default(),
            Expectation::default(),
            observation,
        );
        record.verdict = Verdict { status, cause };
        Arc::new(record)
    }

    fn history() -> History {
        let history = History::new();
        history.set_targets(&["sessions".into()]);
        history
    }

    #[test]
    fn history_verdict_change_sets_since() {
        let history = history();
        let first = history.observe(record(10, "10.60.4.5", HEALTHY)).expect("the first verdict is a change");
        assert_eq!(first.summary, "first verdict: pass (healthy): 10.60.4.5 private");
        assert_eq!(first.from, None);
        assert_eq!(history.observe(record(20, "10.60.4.5", HEALTHY)), None);
        let change = history.observe(record(30, "20.50.1.10", NOT_SEEN)).expect("a change");
        assert_eq!(change.summary, "pass (healthy) -> fail (private_zone_not_seen): 20.50.1.10 public");
        assert_eq!(history.observe(record(40, "20.50.1.10", NOT_SEEN)), None);

        let target = history.get("sessions").expect("a known target");
        assert_eq!(target.since, Timestamp::from_unix(30));
        assert_eq!(target.latest.expect("a record").started_at, Timestamp::from_unix(40).expect("a time"));
        assert_eq!(target.changes.iter().map(|change| change.at).collect::<Vec<_>>(), [change.at, first.at]);
    }

    #[test]
    fn history_goes_on_after_restart() {
        let history = history();
        for (at, ip, verdict) in [(10, "20.50.1.10", NOT_SEEN), (20, "10.60.4.5", HEALTHY)] {
            history.restore(record(at, ip, verdict));
        }
        let restored = history.get("sessions").expect("known");
        assert!(restored.latest.is_none(), "what is true now is not known yet");
        assert_eq!((restored.since, restored.changes.len()), (Timestamp::from_unix(20), 2));
        assert_eq!(history.observe(record(100, "10.60.4.5", HEALTHY)), None, "as before the restart");
        let target = history.get("sessions").expect("known");
        assert_eq!((target.since, target.changes.len()), (Timestamp::from_unix(20), 2));
        history.restore(record(50, "20.50.1.10", NOT_SEEN));
        assert_eq!(history.get("sessions").expect("known").changes.len(), 2, "too late: a probe has ended");
    }

    #[test]
    fn history_cause_change_is_verdict_change() {
        let history = history();
        history.observe(record(10, "20.50.1.10", NOT_SEEN));
        let change = history
            .observe(record(20, "20.50.1.10", (Status::Fail, Cause::Code(Code::PublicPath))))
            .expect("another cause");
        assert_eq!(change.summary, "fail (private_zone_not_seen) -> fail (public_path): 20.50.1.10 public");
        assert_eq!(history.get("sessions").expect("known").since, Timestamp::from_unix(20));
    }

    #[test]
    fn usability_change_under_one_verdict_is_kept() {
        let history = history();
        let with = |at, value| {
            let mut record = Record::clone(&record(at, "20.50.1.10", NOT_SEEN));
            record.usable.value = value;
            Arc::new(record)
        };
        history.observe(with(10, Usability::Yes));
        assert_eq!(history.observe(with(20, Usability::Yes)), None);
        let change = history.observe(with(30, Usability::No)).expect("it stopped working");
        assert!(change.is_of_usability() && !change.is_of_verdict());
        assert!(change.summary.starts_with("fail (private_zone_not_seen), stopped working at "), "{}", change.summary);
        let target = history.get("sessions").expect("known");
        assert_eq!((target.since, target.changes.len()), (Timestamp::from_unix(10), 2));
    }

    #[test]
    fn history_address_change_keeps_since() {
        let history = history();
        history.observe(record(10, "10.60.4.5", HEALTHY));
        let change = history.observe(record(20, "10.60.4.6", HEALTHY)).expect("another address");
        assert!(!change.is_of_verdict());
        assert_eq!(change.summary, "pass (healthy), path changed: 10.60.4.5 private -> 10.60.4.6 private");
        assert_eq!(history.get("sessions").expect("known").since, Timestamp::from_unix(10));
    }

    /// A loss and another path than DNS gives are changes under the same verdict, each once.
    #[test]
    fn history_held_connection_changes_are_kept() {
        let with = |at, held: &str, ended: serde_json::Value| {
            let mut record = Record::clone(&record(at, "10.60.4.5", HEALTHY));
            let mut view = View::new("libc", ViewKind::Libc, None);
            view.outcome = ViewOutcome::Answered;
            let ip = "10.60.4.5".parse().expect("an address");
            view.addresses = vec![ResolvedAddress { ip, class: AddressClass::Private, ttl: None }];
            record.observation.resolution =
                Resolution { views: vec![view], view_in_use: Some("libc".to_owned()), ..Resolution::default() };
            let is_public = held.starts_with("20.");
            let facts = serde_json::json!({
                "state": "open", "address": held, "class": if is_public { "public" } else { "private" },
                "path": if is_public { "public" } else { "expected" }, "in_dns_answer": !is_public,
                "opened_at": "2026-11-18T09:00:00Z", "age_seconds": 60.0, "losses": 0, "ended": ended
            });
            record.observation.held_connection = Some(serde_json::from_value(facts).expect("a held connection"));
            Arc::new(record)
        };
        let none = serde_json::Value::Null;
        let end = serde_json::json!({
            "address": "20.50.1.10:6380", "class": "public", "at": "2026-11-18T09:01:00Z", "ago_seconds": 1.0,
            "age_seconds": 60.0, "how": "rst", "reason": "it was reset (RST)"
        });
        let history = history();
        history.observe(record(10, "10.60.4.5", HEALTHY));
        let change = history.observe(with(20, "20.50.1.10:6380", none.clone()));
        assert_eq!(change, None, "nothing is known of the time before");
        history.observe(with(30, "10.60.4.5:6380", none.clone()));
        let change = history.observe(with(40, "20.50.1.10:6380", none.clone())).expect("another path");
        assert!(!change.is_of_address_alone() && !change.is_of_verdict());
        let stays = "held connection stays on 20.50.1.10:6380 public, while DNS gives 10.60.4.5";
        assert_eq!(change.summary, format!("pass (healthy); {stays}"));
        assert_eq!(history.observe(with(50, "20.50.1.10:6380", none)), None, "said once");
        let change = history.observe(with(60, "10.60.4.5:6380", end.clone())).expect("a loss");
        let lost = "held connection to 20.50.1.10:6380 public, lost after 60 s: it was reset (RST)";
        assert_eq!(change.summary, format!("pass (healthy); {lost}"));
        assert!(matches!(change.held_connection, Some(HeldChange::Lost(_))));
        assert_eq!(history.observe(with(70, "10.60.4.5:6380", end)), None, "said once");
    }

    /// Rotating addresses do not displace changes of the verdict.
    #[test]
    fn history_is_bounded_and_keeps_verdicts() {
        let history = history();
        history.observe(record(0, "20.50.1.1", NOT_SEEN));
        history.observe(record(1, "10.60.4.1", HEALTHY));
        for at in 2..100 {
            history.observe(record(at, if at % 2 == 0 { "10.60.4.2" } else { "10.60.4.1" }, HEALTHY));
        }
        let changes = history.get("sessions").expect("known").changes;
        assert_eq!(changes.len(), MAX_CHANGES);
        assert_eq!(changes.iter().filter(|change| change.is_of_verdict()).count(), 2);
        assert_eq!(changes[0].at, Timestamp::from_unix(99).expect("a time"), "newest first");

        for at in 100..200 {
            history.observe(record(at, "10.60.4.1", if at % 2 == 0 { NOT_SEEN } else { HEALTHY }));
        }
        let changes = history.get("sessions").expect("known").changes;
        assert_eq!(changes.len(), MAX_CHANGES);
        assert!(changes.iter().all(|change| change.at >= Timestamp::from_unix(180).expect("a time")));
    }

    #[test]
    fn history_reload_drops_removed_targets() {
        let history = history();
        history.observe(record(10, "10.60.4.5", HEALTHY));
        history.set_targets(&["sessions".into(), "carts".into()]);
        assert!(history.get("sessions").expect("kept").latest.is_some());
        assert!(history.get("carts").expect("new").latest.is_none());
        history.set_targets(&["carts".into()]);
        assert!(history.get("sessions").is_none());
        assert_eq!(history.observe(record(20, "10.60.4.5", HEALTHY)), None, "its last probe came too late");
        assert_eq!(history.all().len(), 1);
    }
}
