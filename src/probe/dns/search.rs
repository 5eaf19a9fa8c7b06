//! The names that the search list gives, in the order of glibc (`res_nsearch`, resolv/res_query.c).

use std::collections::VecDeque;

use super::chain::Answer;
use crate::observation::ViewOutcome;
use crate::target::HostName;

/// The names that are still to be queried, in order.
pub(super) struct SearchList {
    bare: String,
    left: VecDeque<Candidate>,
    last_was_bare: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Candidate {
    /// The name as it is.
    Bare,
    /// The name under a suffix of the search list.
    Suffixed(String),
}

impl SearchList {
    /// With at least `ndots` dots the bare name comes first; with fewer it comes last. A name with
    /// a trailing dot is queried as it is, once.
    pub(super) fn new(host: &HostName, search: &[String], ndots: u32) -> Self {
        let bare = host.as_str().to_owned();
        let dots = bare.bytes().filter(|byte| *byte == b'.').count();
        let bare_first = dots >= usize::try_from(ndots).unwrap_or(usize::MAX);
        let mut left = VecDeque::new();
        if host.is_absolute() {
            left.push_back(Candidate::Bare);
        } else {
            if bare_first {
                left.push_back(Candidate::Bare);
            }
            let mut root_on_list = false;
            for suffix in search {
                let suffix = suffix.trim_matches('.');
                if suffix.is_empty() {
                    root_on_list = true; // "." stands for the bare name, at that place
                    if !left.contains(&Candidate::Bare) {
                        left.push_back(Candidate::Bare);
                    }
                } else {
                    left.push_back(Candidate::Suffixed(format!("{bare}.{suffix}")));
                }
            }
            if !bare_first && !root_on_list {
                left.push_back(Candidate::Bare);
            }
        }
        Self { bare, left, last_was_bare: false }
    }

    /// The name as it was given.
    pub(super) fn bare_name(&self) -> &str {
        &self.bare
    }

    /// The next name to query.
    pub(super) fn next_name(&mut self) -> Option<String> {
        let candidate = self.left.pop_front()?;
        self.last_was_bare = candidate == Candidate::Bare;
        Some(match candidate {
            Candidate::Bare => self.bare.clone(),
            Candidate::Suffixed(name) => name,
        })
    }

    /// Whether another name may follow.
    pub(super) fn has_more(&self) -> bool {
        !self.left.is_empty()
    }

    /// Whether the last name was the bare one.
    pub(super) fn was_bare_name(&self) -> bool {
        self.last_was_bare
    }

    /// Removes the names that glibc does not query after these answers to the last one. Returns whether the
    /// last one was found.
    pub(super) fn apply(&mut self, answers: &[Answer]) -> bool {
        if answers.iter().any(is_found) {
            self.left.clear();
            return true;
        }
        let outcomes = || answers.iter().map(|answer| answer.question.outcome);
        if outcomes().all(|outcome| outcome == ViewOutcome::Unreachable) {
            self.left.clear(); // "if no server present, give up": ECONNREFUSED ends the search
            return false;
        }
        let continues = outcomes().any(|outcome| match outcome {
            // NXDOMAIN, NODATA and SERVFAIL: the next suffix.
            ViewOutcome::NameNotFound | ViewOutcome::NoData | ViewOutcome::ServerFailure => true,
            ViewOutcome::Answered
            | ViewOutcome::NoAddress
            | ViewOutcome::Refused
            | ViewOutcome::OtherRcode
            | ViewOutcome::TryAgain
            | ViewOutcome::Timeout
            | ViewOutcome::Unreachable
            | ViewOutcome::BadAnswer
            | ViewOutcome::Failed
            | ViewOutcome::NotReached
            | ViewOutcome::Interrupted => false,
        });
        if !continues {
            // After REFUSED, silence and the like, only the bare name is still queried.
            self.left.retain(|candidate| *candidate == Candidate::Bare);
        }
        false
    }
}

/// Whether glibc ends the search here: at the first NOERROR with a record in it, a lone CNAME included.
fn is_found(answer: &Answer) -> bool {
    let question = &answer.question;
    question.outcome == ViewOutcome::Answered || (question.outcome == ViewOutcome::NoData && question.answers > 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Seconds;
    use crate::observation::dns::{Question, Transport};
    use crate::probe::dns::authority::Origin;

    fn host(name: &str) -> HostName {
        HostName::parse(name).expect("a test name")
    }

    fn answers(outcome: ViewOutcome, answers: usize) -> Vec<Answer> {
        let question = Question {
            name: String::new(),
            record_type: "A".into(),
            outcome,
            rcode: None,
            transport: Transport::Udp,
            attempts: 1,
            truncated: false,
            udp_silent: false,
            edns_dropped: false,
            edns_refused: None,
            unexpected_datagrams: 0,
            answers,
            took_seconds: Seconds::default(),
        };
        vec![Answer { question, chain: Err(String::new()), origin: Origin::default() }]
    }

    fn queried(name: &str, search: &[&str], ndots: u32, outcome: ViewOutcome) -> Vec<String> {
        let search: Vec<String> = search.iter().map(ToString::to_string).collect();
        let mut list = SearchList::new(&host(name), &search, ndots);
        let mut names = Vec::new();
        while let Some(name) = list.next_name() {
            names.push(name);
            list.apply(&answers(outcome, 0));
        }
        names
    }

    #[test]
    fn search_ndots_decides_bare_name_first() {
        let search = ["ns.svc.cluster.local", "svc.cluster.local"];
        assert_eq!(
            queried("a.b", &search, 5, ViewOutcome::NameNotFound),
            ["a.b.ns.svc.cluster.local", "a.b.svc.cluster.local", "a.b"]
        );
        assert_eq!(
            queried("a.b", &search, 1, ViewOutcome::NameNotFound),
            ["a.b", "a.b.ns.svc.cluster.local", "a.b.svc.cluster.local"]
        );
        assert_eq!(queried("a.b.", &search, 5, ViewOutcome::NameNotFound), ["a.b"]);
        assert_eq!(queried("a", &["x", ".", "y"], 1, ViewOutcome::NoData), ["a.x", "a", "a.y"]);
    }

    #[test]
    fn search_stops_where_glibc_stops() {
        let search = ["x", "y"];
        for outcome in [ViewOutcome::Refused, ViewOutcome::Timeout, ViewOutcome::BadAnswer] {
            assert_eq!(queried("a", &search, 1, outcome), ["a.x", "a"], "{outcome}: the bare name is still queried");
        }
        assert_eq!(queried("a", &search, 1, ViewOutcome::Unreachable), ["a.x"]);
        assert_eq!(queried("a", &search, 1, ViewOutcome::ServerFailure), ["a.x", "a.y", "a"]);
        assert_eq!(queried("a", &search, 1, ViewOutcome::Answered), ["a.x"]);
    }

    #[test]
    fn search_cname_without_address_stops() {
        let mut list = SearchList::new(&host("a"), &["x".into()], 1);
        list.next_name();
        list.apply(&answers(ViewOutcome::NoData, 1));
        assert_eq!(list.next_name(), None);
    }

    proptest! {
        /// The bare name is always among them.
        #[test]
        fn search_asks_each_name_once(
            labels in prop::collection::vec("[a-z]{1,5}", 1..6),
            search in prop::collection::vec("[a-z.]{0,8}", 0..6),
            ndots in 0u32..16,
            absolute: bool,
        ) {
            let name = labels.join(".");
            let given = if absolute { format!("{name}.") } else { name.clone() };
            let mut list = SearchList::new(&host(&given), &search, ndots);
            let mut names = Vec::new();
            while let Some(next) = list.next_name() {
                prop_assert!(next.starts_with(&name));
                names.push(next);
                list.apply(&answers(ViewOutcome::NameNotFound, 0));
            }
            prop_assert_eq!(names.iter().filter(|queried| **queried == name).count(), 1);
            prop_assert!(names.len() <= search.len() + 1);
            if absolute { prop_assert_eq!(names.len(), 1); }
        }
    }
}
