//! GO or NO-GO: what still holds the next step of a cutover back, as seen from here, and when that may end.

use std::collections::BTreeMap;

use super::lane::Lane;
use super::state::TargetState;
use crate::clock::Timestamp;
use crate::diagnosis::Status;

/// Whether the next step can be made, as far as this vantage shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// The answer.
    pub decision: Decision,
    /// What holds it back, or what is unknown; empty for GO.
    pub holds: Vec<String>,
    /// The earliest moment from which wrong answers may be gone: the longest of their TTLs. `None` where there is no
    /// wrong answer, and where no TTL bounds it.
    pub earliest: Option<Timestamp>,
}

/// The answer, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decision {
    /// Nothing that can be seen from here holds it back.
    Go,
    /// Something that was to be looked at is unknown.
    Unknown,
    /// Something is not as expected.
    NoGo,
}

impl Decision {
    /// As it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Go => "GO",
            Self::Unknown => "UNKNOWN",
            Self::NoGo => "NO-GO",
        }
    }
}

impl Readiness {
    /// Of one target.
    pub fn of(target: &TargetState) -> Self {
        let mut wrong = Vec::new();
        let mut unknown = Vec::new();
        let verdict = &target.latest.verdict;
        match verdict.status {
            Status::Fail => wrong.push(verdict.cause.to_string()),
            Status::Unknown => unknown.push(format!("the verdict is unknown ({})", verdict.cause)),
            Status::Pass | Status::Warn => {}
        }
        wrong.extend(by_answer(target, |lane| lane.is_wrong()));
        let left = target.application().map(super::event::Counts::left).unwrap_or_default();
        if left > 0 {
            let s = if left == 1 { "" } else { "s" };
            wrong.push(format!("{left} connection{s} of applications on the old path, until their clients reconnect"));
        }
        // Azure's resolver, asked without being configured, is out of reach outside Azure.
        unknown.extend(by_answer(target, |lane| {
            !lane.is_wrong() && !lane.is_right() && !lane.is_public_resolver() && !lane.automatic
        }));
        let decision = match (wrong.is_empty(), unknown.is_empty()) {
            (true, true) => Decision::Go,
            (true, false) => Decision::Unknown,
            (false, _) => Decision::NoGo,
        };
        let ttls = target.lanes.iter().filter(|lane| lane.is_asked && lane.is_wrong()).filter_map(|lane| lane.ttl);
        let earliest = ttls.filter_map(super::lane::Ttl::over_at).max();
        wrong.extend(unknown);
        Self { decision, holds: wrong, earliest }
    }

    /// One line, `NO-GO: libc: 20.50.1.10 public; wrong answers may be gone from 07:13:40`.
    pub fn line(&self) -> String {
        let text = match (self.decision, self.holds.is_empty()) {
            (Decision::Go, _) => "nothing that is seen from here holds the next step back".to_owned(),
            (_, false) => self.holds.join("; "),
            (_, true) => "nothing is known".to_owned(),
        };
        match self.earliest {
            Some(at) => {
                format!("{}: {text}; wrong answers may be gone from {}", self.decision.as_str(), at.time_of_day())
            }
            None => format!("{}: {text}", self.decision.as_str()),
        }
    }
}

/// The views of the last probe that `selects` is true for, those of one answer together: `libc, hub: 20.50.1.10 public`.
fn by_answer(target: &TargetState, selects: impl Fn(&Lane) -> bool) -> Vec<String> {
    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for lane in target.lanes.iter().filter(|lane| lane.is_asked && selects(lane)) {
        names.entry(&lane.answer.text).or_default().push(&lane.view);
    }
    names.into_iter().map(|(answer, names)| format!("{}: {answer}", names.join(", "))).collect()
}
