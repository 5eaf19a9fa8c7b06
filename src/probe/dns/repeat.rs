//! How often a view is queried again: once is enough where all views agree, and only several answers show a
//! server whose answers change.

use std::time::Duration;

use crate::expectation::Expectation;
use crate::observation::dns::{View, ViewKind, ViewOutcome};

/// How often a view is queried again, where the views disagree and no number was given.
const FURTHER_WHERE_VIEWS_DISAGREE: u8 = 2;

/// How often each view is queried again, whatever the first answers are.
pub(super) fn further_for_all(tries: Option<u8>) -> u8 {
    tries.map_or(0, |tries| tries.saturating_sub(1))
}

/// How often `view` is queried again, once the views disagree.
pub(super) fn further_for(view: &View) -> u8 {
    match view.kind {
        ViewKind::Libc | ViewKind::System => FURTHER_WHERE_VIEWS_DISAGREE,
        ViewKind::Resolver => 0,
    }
}

/// Whether two of the views that should agree gave different final answers.
pub(super) fn disagree<'a>(views: impl Iterator<Item = &'a View>, expectation: &Expectation) -> bool {
    let comparable: Vec<&View> =
        views.filter(|view| view.outcome.is_final() && !view.is_public_resolver(&expectation.private_ranges)).collect();
    comparable.iter().skip(1).any(|view| comparable.first().is_some_and(|first| !view.agrees_with(first)))
}

/// Whether a repeated try that had `allowed` of `limit` counts: a timeout does only after half of the limit.
pub(super) fn counts(view: &View, allowed: Duration, limit: Duration) -> bool {
    match view.outcome {
        ViewOutcome::NotReached | ViewOutcome::Interrupted => false,
        ViewOutcome::Timeout => allowed >= limit / 2,
        ViewOutcome::Answered
        | ViewOutcome::NoData
        | ViewOutcome::NameNotFound
        | ViewOutcome::NoAddress
        | ViewOutcome::ServerFailure
        | ViewOutcome::Refused
        | ViewOutcome::OtherRcode
        | ViewOutcome::TryAgain
        | ViewOutcome::Unreachable
        | ViewOutcome::BadAnswer
        | ViewOutcome::Failed => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::AddressClass;
    use crate::observation::dns::ResolvedAddress;

    fn view(name: &str, kind: ViewKind, server: &str, ips: &[&str]) -> View {
        let mut view = View::new(name, kind, server.parse().ok());
        view.outcome = ViewOutcome::Answered;
        view.addresses = ips
            .iter()
            .map(|ip| ResolvedAddress { ip: ip.parse().unwrap(), class: AddressClass::Private, ttl: None })
            .collect();
        view
    }

    #[test]
    fn repeat_differing_answers_cause_retry() {
        let expectation = Expectation::default();
        let libc = view("libc", ViewKind::Libc, "", &["10.60.4.5"]);
        let same = view("system:10.10.0.53", ViewKind::System, "10.10.0.53:53", &["10.60.4.5", "fd00::5"]);
        let other = view("system:10.10.0.54", ViewKind::System, "10.10.0.54:53", &["20.50.1.10"]);
        let public = view("quad9", ViewKind::Resolver, "9.9.9.9:53", &["20.50.1.10"]);
        assert!(!disagree([&libc, &same, &public].into_iter(), &expectation), "one family more is no difference");
        assert!(disagree([&libc, &same, &other].into_iter(), &expectation));
        let mut silent = other;
        silent.outcome = ViewOutcome::Timeout;
        assert!(!disagree([&libc, &silent].into_iter(), &expectation), "a timeout is no answer");
    }

    #[test]
    fn repeat_given_count_is_exact() {
        let libc = View::new("libc", ViewKind::Libc, None);
        let configured = View::new("hub", ViewKind::Resolver, None);
        assert_eq!((further_for_all(None), further_for_all(Some(1)), further_for_all(Some(20))), (0, 0, 19));
        assert_eq!((further_for(&libc), further_for(&configured)), (2, 0));
    }
}
