//! The walk along the search list, as glibc does it (`res_nsearch`, resolv/res_query.c).

use std::collections::VecDeque;

use super::NameAnswer;
use crate::observation::ViewOutcome;
use crate::target::HostName;

/// The names still to be asked, in order, and what has been learned on the way.
pub(super) struct SearchList {
    bare: String,
    left: VecDeque<Candidate>,
    asked_bare: bool,
    done: bool,
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
    /// a trailing dot is asked as it is, once.
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
                    root_on_list = true; // "." on the list is the bare name, at that place
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
        Self { bare, left, asked_bare: false, done: false }
    }

    /// The name as it was given.
    pub(super) fn bare_name(&self) -> &str {
        &self.bare
    }

    /// The next name to ask for.
    pub(super) fn next_name(&mut self) -> Option<String> {
        if self.done {
            return None;
        }
        let candidate = self.left.pop_front()?;
        self.asked_bare = candidate == Candidate::Bare;
        Some(match candidate {
            Candidate::Bare => self.bare.clone(),
            Candidate::Suffixed(name) => name,
        })
    }

    /// Whether another name may follow.
    pub(super) fn has_more(&self) -> bool {
        !self.left.is_empty()
    }

    /// Whether the name asked last was the bare one.
    pub(super) fn was_bare_name(&self) -> bool {
        self.asked_bare
    }

    /// Takes note of what the last name gave, which decides what is asked next; says whether the
    /// name was found, which ends the walk.
    pub(super) fn note(&mut self, asked: &NameAnswer) -> bool {
        if asked.is_found() {
            self.done = true;
            return true;
        }
        let outcomes = || asked.questions.iter().map(|question| question.outcome);
        if outcomes().all(|outcome| outcome == ViewOutcome::Unreachable) {
            self.done = true; // "if no server present, give up": ECONNREFUSED ends it all
            return false;
        }
        let goes_on = outcomes().any(|outcome| match outcome {
            // NXDOMAIN, NODATA and SERVFAIL: the next element of the list.
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
        if !goes_on {
            // REFUSED, silence and the like end the list, and the bare name is still tried.
            self.left.retain(|candidate| *candidate == Candidate::Bare);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::host;
    use super::*;
    use crate::clock::Seconds;
    use crate::observation::dns::{Question, Transport};

    fn asked(outcome: ViewOutcome, answers: usize) -> NameAnswer {
        let question = Question {
            name: String::new(),
            record_type: "A".into(),
            outcome,
            rcode: None,
            transport: Transport::Udp,
            attempts: 1,
            truncated: false,
            udp_silent: false,
            unexpected_datagrams: 0,
            answers,
            took_seconds: Seconds::default(),
        };
        NameAnswer { questions: vec![question], sections: Vec::new() }
    }

    fn walked(name: &str, search: &[&str], ndots: u32, outcome: ViewOutcome) -> Vec<String> {
        let search: Vec<String> = search.iter().map(ToString::to_string).collect();
        let mut walk = SearchList::new(&host(name), &search, ndots);
        let mut names = Vec::new();
        while let Some(name) = walk.next_name() {
            names.push(name);
            walk.note(&asked(outcome, 0));
        }
        names
    }

    #[test]
    fn search_ndots_decides_bare_name_first() {
        let search = ["ns.svc.cluster.local", "svc.cluster.local"];
        assert_eq!(
            walked("a.b", &search, 5, ViewOutcome::NameNotFound),
            ["a.b.ns.svc.cluster.local", "a.b.svc.cluster.local", "a.b"]
        );
        assert_eq!(
            walked("a.b", &search, 1, ViewOutcome::NameNotFound),
            ["a.b", "a.b.ns.svc.cluster.local", "a.b.svc.cluster.local"]
        );
        assert_eq!(walked("a.b.", &search, 5, ViewOutcome::NameNotFound), ["a.b"]);
        assert_eq!(walked("a", &["x", ".", "y"], 1, ViewOutcome::NoData), ["a.x", "a", "a.y"]);
    }

    #[test]
    fn search_stops_where_glibc_stops() {
        let search = ["x", "y"];
        for outcome in [ViewOutcome::Refused, ViewOutcome::Timeout, ViewOutcome::BadAnswer] {
            assert_eq!(walked("a", &search, 1, outcome), ["a.x", "a"], "{outcome}: the bare name is still tried");
        }
        assert_eq!(walked("a", &search, 1, ViewOutcome::Unreachable), ["a.x"]);
        assert_eq!(walked("a", &search, 1, ViewOutcome::ServerFailure), ["a.x", "a.y", "a"]);
        assert_eq!(walked("a", &search, 1, ViewOutcome::Answered), ["a.x"]);
    }

    #[test]
    fn search_cname_without_address_stops() {
        let mut walk = SearchList::new(&host("a"), &["x".into()], 1);
        walk.next_name();
        walk.note(&asked(ViewOutcome::NoData, 1));
        assert_eq!(walk.next_name(), None);
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
            let mut walk = SearchList::new(&host(&given), &search, ndots);
            let mut names = Vec::new();
            while let Some(next) = walk.next_name() {
                prop_assert!(next.starts_with(&name));
                names.push(next);
                walk.note(&asked(ViewOutcome::NameNotFound, 0));
            }
            prop_assert_eq!(names.iter().filter(|asked| **asked == name).count(), 1);
            prop_assert!(names.len() <= search.len() + 1);
            if absolute { prop_assert_eq!(names.len(), 1); }
        }
    }
}
