//! AnswerClass a view against the expectation, and comparing views.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::known_server::KnownServer;
use crate::address::{AddressClass, classify};
use crate::diagnosis::Context;
use crate::diagnosis::text::capitalized;
use crate::expectation::{Expectation, ExpectedPath};
use crate::observation::dns::{RepeatGroup, ViewKind};
use crate::observation::{View, ViewOutcome};

/// What a view's answer is, held against the expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerClass {
    /// Every address meets it.
    Expected,
    /// Every address is of the expected kind, and not every one is an expected endpoint.
    WrongEndpoint,
    /// Some addresses are of the expected kind, and some are not.
    Mixed,
    /// No address is of the expected kind, and at least one is public.
    Public,
    /// No address is of the expected kind, and none is public; `private` counts here where public is expected.
    OtherKind,
    /// A final word that there is no address.
    Absent,
    /// No word at all.
    Failed,
    /// It was not asked, or interrupted.
    NotReached,
}

impl AnswerClass {
    pub(super) fn of(view: &View, expectation: &Expectation) -> Self {
        Self::of_answer(view.outcome, &view.ips().collect::<Vec<_>>(), expectation)
    }

    fn of_answer(outcome: ViewOutcome, ips: &[IpAddr], expectation: &Expectation) -> Self {
        match outcome {
            ViewOutcome::Answered => Self::of_addresses(ips, expectation),
            ViewOutcome::NoData | ViewOutcome::NameNotFound | ViewOutcome::NoAddress => Self::Absent,
            ViewOutcome::ServerFailure
            | ViewOutcome::Refused
            | ViewOutcome::OtherRcode
            | ViewOutcome::TryAgain
            | ViewOutcome::Timeout
            | ViewOutcome::Unreachable
            | ViewOutcome::BadAnswer
            | ViewOutcome::Failed => Self::Failed,
            ViewOutcome::NotReached | ViewOutcome::Interrupted => Self::NotReached,
        }
    }

    fn of_addresses(ips: &[IpAddr], expectation: &Expectation) -> Self {
        let of_kind = |ip: &IpAddr| match expectation.path {
            ExpectedPath::Private => expectation.class(*ip) == AddressClass::Private,
            ExpectedPath::Public => expectation.class(*ip) == AddressClass::Public,
            ExpectedPath::Any => true,
        };
        let fitting = ips.iter().filter(|ip| of_kind(ip)).count();
        if ips.is_empty() {
            Self::Absent
        } else if ips.iter().all(|ip| expectation.allows(*ip)) {
            Self::Expected
        } else if fitting == ips.len() {
            Self::WrongEndpoint
        } else if fitting > 0 {
            Self::Mixed
        } else if ips.iter().any(|ip| expectation.class(*ip) == AddressClass::Public) {
            Self::Public
        } else {
            Self::OtherKind
        }
    }

    /// Addresses, and not the expected ones.
    pub(super) fn is_wrong(self) -> bool {
        matches!(self, Self::WrongEndpoint | Self::Mixed | Self::Public | Self::OtherKind)
    }
}

/// The views of a case, by what they are for.
pub(super) struct Views<'a> {
    pub(super) in_use: &'a View,
    /// Every name server of resolv.conf.
    pub(super) system: Vec<&'a View>,
    /// The configured resolvers.
    pub(super) configured: Vec<&'a View>,
    expectation: &'a Expectation,
}

impl<'a> Views<'a> {
    pub(super) fn of(case: &Context<'a>) -> Option<Self> {
        let resolution = &case.observation.resolution;
        let of_kind = |kind| resolution.views.iter().filter(move |view| view.kind == kind).collect();
        Some(Self {
            in_use: resolution.in_use()?,
            system: of_kind(ViewKind::System),
            configured: of_kind(ViewKind::Resolver),
            expectation: case.expectation,
        })
    }

    pub(super) fn classify(&self, view: &View) -> AnswerClass {
        AnswerClass::of(view, self.expectation)
    }

    pub(super) fn classify_group(&self, tries: &RepeatGroup) -> AnswerClass {
        let ips: Vec<IpAddr> = tries.addresses.iter().map(|address| address.ip).collect();
        AnswerClass::of_answer(tries.outcome, &ips, self.expectation)
    }

    /// The views that asked a DNS server, system first.
    pub(super) fn dns(&self) -> impl Iterator<Item = &'a View> + '_ {
        self.system.iter().chain(&self.configured).copied()
    }

    /// The configured resolvers other than the one in use, the one that Azure runs first.
    pub(super) fn reference_resolvers(&self) -> Vec<&'a View> {
        let mut reference_resolvers: Vec<&View> =
            self.configured.iter().copied().filter(|view| view.view != self.in_use.view).collect();
        reference_resolvers.sort_by_key(|view| !view.is_azure_dns());
        reference_resolvers
    }

    /// The configured resolvers whose answers count: those that can see a private zone.
    pub(super) fn comparable(&self) -> impl Iterator<Item = &'a View> + '_ {
        self.reference_resolvers().into_iter().filter(|view| !self.is_public_resolver(view))
    }

    /// A public resolver rightly answers with the public address: its answer is compared with nothing.
    pub(super) fn is_public_resolver(&self, view: &View) -> bool {
        view.is_public_resolver(&self.expectation.private_ranges)
    }

    /// Whether the server has a public address, which no private zone is served from.
    pub(super) fn is_public_server(&self, view: &View) -> bool {
        !view.is_azure_dns()
            && view
                .server
                .is_some_and(|server| classify(server.ip(), &self.expectation.private_ranges) == AddressClass::Public)
    }

    /// The DNS view whose chain explains the addresses in use: one that gave the same ones, else
    /// the first that gave a chain at all.
    pub(super) fn explaining(&self) -> Option<&'a View> {
        let ips = addresses(self.in_use);
        self.dns()
            .find(|view| !view.chain.is_empty() && !ips.is_empty() && addresses(view) == ips)
            .or_else(|| self.dns().find(|view| !view.chain.is_empty() && !self.is_public_resolver(view)))
    }

    /// Whether the C library's answer stands in no name server's answer, though one gave a final word.
    pub(super) fn libc_differs_from_servers(&self) -> bool {
        if self.in_use.kind != ViewKind::Libc || self.in_use.outcome != ViewOutcome::Answered {
            return false;
        }
        let tried = |view: &'a View| view.tries.iter().flat_map(|tries| &tries.addresses).map(|address| address.ip);
        let known: BTreeSet<IpAddr> =
            self.system.iter().flat_map(|view| view.ips().chain(tried(view))).map(|ip| ip.to_canonical()).collect();
        let asked = self.system.iter().any(|view| view.outcome.is_final());
        // A family that only the C library has is no difference by itself, unless the hosts file adds it.
        let has_family = |ip: &IpAddr| known.iter().any(|known| known.is_ipv4() == ip.is_ipv4());
        let mut compared = addresses(self.in_use);
        if !self.answered_by_hosts_file() && compared.iter().any(has_family) {
            compared.retain(has_family);
        }
        asked && !compared.is_subset(&known)
    }

    /// The lines of the hosts file that gave the C library its answer.
    pub(super) fn answered_by_hosts_file(&self) -> bool {
        self.in_use.outcome == ViewOutcome::Answered
            && self.in_use.hosts_file.iter().any(|entry| self.in_use.ips().any(|ip| ip == entry.ip))
    }
}

/// ` The resolver azure (168.63.129.16) answers 10.60.4.5 (private).` of each view with a right answer.
pub(super) fn right_answers(views: &Views<'_>) -> String {
    views
        .dns()
        .filter(|view| view.view != views.in_use.view && views.classify(view) == AnswerClass::Expected)
        .filter(|view| addresses(view) != addresses(views.in_use))
        .map(|view| format!(" {} answers {}.", capitalized(&view_label(view)), describe_answer(view)))
        .collect()
}

/// A server's word that there is no address.
pub(super) fn is_negative(view: &View) -> bool {
    matches!(view.outcome, ViewOutcome::NoData | ViewOutcome::NameNotFound)
}

/// The addresses of a view as a set.
pub(super) fn addresses(view: &View) -> BTreeSet<IpAddr> {
    view.ips().map(|ip| ip.to_canonical()).collect()
}

/// `10.60.4.5 (private)`, or what the view says in place of addresses.
pub(super) fn describe_answer(view: &View) -> String {
    if view.addresses.is_empty() {
        return match view.outcome {
            ViewOutcome::Answered | ViewOutcome::NoAddress => "no address".to_owned(),
            ViewOutcome::NoData => "NOERROR without an address".to_owned(),
            ViewOutcome::NameNotFound => "NXDOMAIN".to_owned(),
            ViewOutcome::ServerFailure
            | ViewOutcome::Refused
            | ViewOutcome::OtherRcode
            | ViewOutcome::TryAgain
            | ViewOutcome::Timeout
            | ViewOutcome::Unreachable
            | ViewOutcome::BadAnswer
            | ViewOutcome::Failed
            | ViewOutcome::NotReached
            | ViewOutcome::Interrupted => {
                view.rcode.clone().or_else(|| view.reason.clone()).unwrap_or_else(|| view.outcome.to_string())
            }
        };
    }
    const MAX_SHOWN: usize = 4;
    let mut parts: Vec<String> =
        view.addresses.iter().take(MAX_SHOWN).map(|address| format!("{} ({})", address.ip, address.class)).collect();
    if view.addresses.len() > MAX_SHOWN {
        parts.push(format!("{} more", view.addresses.len() - MAX_SHOWN));
    }
    parts.join(", ")
}

/// `answers 10.60.4.5 (private)`, or `gives no answer (SERVFAIL)`.
pub(super) fn answer_word(view: &View) -> String {
    if view.outcome.is_final() {
        format!("answers {}", describe_answer(view))
    } else {
        format!("gives no answer ({})", describe_answer(view))
    }
}

/// `system:10.10.0.53` as a person says it.
pub(super) fn view_label(view: &View) -> String {
    match view.kind {
        ViewKind::Libc => "the C library".to_owned(),
        ViewKind::System => {
            let server = view.view.trim_start_matches("system:");
            match KnownServer::by_address(view).and_then(KnownServer::name) {
                Some(name) => format!("the name server {server} ({name})"),
                None => format!("the name server {server}"),
            }
        }
        ViewKind::Resolver => {
            let server = view.server.map_or_else(String::new, |server| format!(" ({})", server.ip()));
            format!("the resolver {}{server}", view.view)
        }
    }
}
