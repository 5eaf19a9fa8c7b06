//! Whether asking again may show more: once is enough where all views agree, and a server that
//! changes its mind shows in no single answer.

use std::time::Duration;

use crate::address::AddressClass;
use crate::expectation::Expectation;
use crate::observation::dns::{View, ViewKind, ViewOutcome};

/// How often a view is asked besides, where the views disagree and no number was given.
const FURTHER_WHERE_VIEWS_DISAGREE: u8 = 2;

/// How often each view is asked besides its first try, whatever comes of that.
pub(super) fn further_for_all(tries: Option<u8>) -> u8 {
    tries.map_or(0, |tries| tries.saturating_sub(1))
}

/// How often `view` is asked besides, once the views turned out to disagree.
pub(super) fn further_for(view: &View, tries: Option<u8>) -> u8 {
    match (tries, view.kind) {
        (None, ViewKind::Libc | ViewKind::System) => FURTHER_WHERE_VIEWS_DISAGREE,
        (None, ViewKind::Resolver) | (Some(_), _) => 0,
    }
}

/// Whether two of the views that should say the same gave different final words.
pub(super) fn disagree(views: &[View], expectation: &Expectation) -> bool {
    let comparable: Vec<&View> =
        views.iter().filter(|view| view.outcome.is_final() && !is_public_resolver(view, expectation)).collect();
    comparable.iter().skip(1).any(|view| comparable.first().is_some_and(|first| !view.agrees_with(first)))
}

/// A public resolver sees no private zone: that it differs is no surprise.
fn is_public_resolver(view: &View, expectation: &Expectation) -> bool {
    view.kind == ViewKind::Resolver
        && !view.is_azure_dns()
        && view.server.is_some_and(|server| expectation.class(server.ip()) == AddressClass::Public)
}

/// Whether a further try that had `allowed` of `limit` counts: silence does only where it was long.
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
        assert!(!disagree(&[libc.clone(), same.clone(), public], &expectation), "one family more is no difference");
        assert!(disagree(&[libc.clone(), same, other.clone()], &expectation));
        let mut silent = other;
        silent.outcome = ViewOutcome::Timeout;
        assert!(!disagree(&[libc, silent], &expectation), "silence is no answer");
    }

    #[test]
    fn repeat_given_count_is_exact() {
        let libc = View::new("libc", ViewKind::Libc, None);
        let configured = View::new("hub", ViewKind::Resolver, None);
        assert_eq!((further_for_all(None), further_for_all(Some(1)), further_for_all(Some(20))), (0, 0, 19));
        assert_eq!((further_for(&libc, None), further_for(&configured, None)), (2, 0));
        assert_eq!(further_for(&libc, Some(1)), 0);
    }
}
