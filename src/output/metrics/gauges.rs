//! What one record says in gauges: a pure function, so that nothing of an older record can linger.
//!
//! A phase that did not run has no number here, and where a probe could not see something, there is
//! no series that claims it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;

use strum::IntoEnumIterator;

use super::family::{self, Family};
use crate::address::{self, AddressClass};
use crate::diagnosis::Status;
use crate::observation::cluster::NodeState;
use crate::observation::{Observation, OpenState, Resolution, Usability, View};
use crate::phase::{PhaseName, PhaseOutcome};
use crate::record::Record;

/// The most series of `redpath_resolution_info` of one target: an answer's length is the server's choice.
pub(crate) const RESOLUTION_INFO_LIMIT: usize = 32;

/// The most labels that a gauge has beside `target`.
const MAX_LABELS: usize = 4;

/// A gauge of a target, without the label `target`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample<'r> {
    pub(crate) family: &'static Family,
    labels: [Option<(&'static str, Cow<'r, str>)>; MAX_LABELS],
    pub(crate) value: f64,
}

impl<'r> Sample<'r> {
    fn new(family: &'static Family, value: f64) -> Self {
        Self { family, labels: [const { None }; MAX_LABELS], value }
    }

    /// The labels, in their order.
    pub(crate) fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().flatten().map(|(name, value)| (*name, value.as_ref()))
    }

    fn truth(family: &'static Family, holds: bool) -> Self {
        Self::new(family, f64::from(u8::from(holds)))
    }

    fn with(mut self, label: &'static str, value: impl Into<Cow<'r, str>>) -> Self {
        let free = self.labels.iter_mut().find(|place| place.is_none());
        debug_assert!(free.is_some(), "no gauge has more than {MAX_LABELS} labels");
        if let Some(place) = free {
            *place = Some((label, value.into()));
        }
        self
    }
}

/// Whether the probe counts as a success.
pub(crate) fn is_success(record: &Record) -> bool {
    match record.verdict.status {
        Status::Pass | Status::Warn => true,
        Status::Unknown | Status::Fail => false,
    }
}

/// The facts of a target that has not been probed yet: every state is there, and none holds.
pub(crate) fn before_the_first_probe(phases: impl IntoIterator<Item = PhaseName>) -> Vec<Sample<'static>> {
    verdict(None).chain(outcomes(phases, |_| None)).collect()
}

/// The phases that a record alone gives an outcome to: those of every probe, and the others that ran.
pub(crate) fn phases_of(record: &Record) -> Vec<PhaseName> {
    let ran = |phase: &PhaseName| record.observation.phases.get(*phase).took.is_some();
    PhaseName::iter().filter(|phase| PhaseName::ALWAYS.contains(phase) || ran(phase)).collect()
}

/// The facts of a record: the outcomes of these phases, `redpath_resolution_info` left out unless wanted.
pub(crate) fn of(
    record: &Record,
    phases: impl IntoIterator<Item = PhaseName>,
    resolution_info: bool,
) -> Vec<Sample<'_>> {
    let observation = &record.observation;
    let connected_to = observation.connection.as_ref();
    let tls = connected_to.and_then(|connection| connection.tls.as_ref());
    let not_after = tls.and_then(|tls| tls.certificate.as_ref()?.not_after);

    let mut facts = vec![
        Sample::truth(&family::PROBE_SUCCESS, is_success(record)),
        Sample::new(&family::LAST_PROBE, record.started_at.unix_seconds()),
        // No address is no private path: an alert on 0 must not fall silent with the name.
        Sample::truth(&family::PATH_PRIVATE, connected_to.is_some_and(|to| to.class == AddressClass::Private)),
        Sample::truth(
            &family::ADDRESS_EXPECTED,
            connected_to.is_some_and(|to| record.expectation.allows(to.address.ip())),
        ),
    ];
    facts.extend(usable(record));
    facts.extend(verdict(Some(record.verdict.status)));
    facts.extend(outcomes(phases, |phase| Some(observation.phases.get(phase).outcome)));
    facts.extend(public_access(observation));
    facts.extend(not_after.map(|time| Sample::new(&family::CERTIFICATE_NOT_AFTER, time.unix_seconds())));
    if let Some((version, cipher)) = tls.and_then(|tls| tls.version.as_ref().zip(tls.cipher.as_ref())) {
        facts.push(Sample::new(&family::TLS_INFO, 1.0).with("version", version).with("cipher", cipher));
    }
    for finding in &record.findings {
        let fact = Sample::new(&family::FINDING_ACTIVE, 1.0).with("code", finding.code.as_str());
        facts.push(fact.with("severity", finding.severity.as_str()));
    }
    if let Some(cluster) = observation.cluster.as_ref().filter(|cluster| cluster.command.is_some()) {
        facts.extend(NodeState::ALL.map(|state| {
            let nodes = cluster.in_state(state).count();
            let left_out = if state == NodeState::NotTried { cluster.nodes_left_out as usize } else { 0 };
            // At most some thousands, far within what is exact.
            Sample::new(&family::CLUSTER_NODES, (nodes + left_out) as f64).with("state", state.as_str())
        }));
    }
    if let Some(agree) = agreement(record) {
        facts.push(Sample::truth(&family::RESOLVER_AGREEMENT, agree));
    }
    for view in &observation.resolution.views {
        facts.extend(ttl(view));
        facts.extend(classes(view));
    }
    if resolution_info {
        facts.extend(addresses(&observation.resolution));
    }
    without_duplicates(facts)
}

fn verdict<'r>(status: Option<Status>) -> impl Iterator<Item = Sample<'r>> {
    Status::ALL
        .into_iter()
        .map(move |each| Sample::truth(&family::VERDICT, status == Some(each)).with("status", each.as_str()))
}

/// Whether the cache could be used, where that is known.
fn usable(record: &Record) -> Option<Sample<'_>> {
    let usable = match record.usable.value {
        Usability::Yes => true,
        Usability::No => false,
        Usability::Unknown => return None,
    };
    Some(Sample::truth(&family::USABLE, usable))
}

/// Whether the public address is open, where that could be told.
fn public_access(observation: &Observation) -> Option<Sample<'_>> {
    let open = match observation.phases.posture.as_ref()?.facts.public_access.as_ref()?.state {
        OpenState::Open => true,
        OpenState::Closed => false,
        OpenState::Unknown => return None,
    };
    Some(Sample::truth(&family::PUBLIC_ACCESS_OPEN, open))
}

fn outcomes<'r>(
    phases: impl IntoIterator<Item = PhaseName>,
    of: impl Fn(PhaseName) -> Option<PhaseOutcome>,
) -> impl Iterator<Item = Sample<'r>> {
    phases.into_iter().flat_map(move |phase| {
        let outcome = of(phase);
        PhaseOutcome::iter().map(move |each| {
            let fact = Sample::truth(&family::PHASE_OUTCOME, outcome == Some(each));
            fact.with("phase", phase.as_str()).with("outcome", each.as_str())
        })
    })
}

fn ttl(view: &View) -> Option<Sample<'_>> {
    let of_chain = view.chain.iter().map(|record| record.ttl);
    let lowest = of_chain.chain(view.addresses.iter().filter_map(|address| address.ttl)).min()?;
    Some(Sample::new(&family::RESOLUTION_TTL, f64::from(lowest)).with("view", view.view.as_str()))
}

fn classes(view: &View) -> impl Iterator<Item = Sample<'_>> {
    AddressClass::iter().filter(|class| view.addresses.iter().any(|address| address.class == *class)).map(|class| {
        Sample::new(&family::ADDRESS_CLASS, 1.0).with("view", view.view.as_str()).with("class", class.as_str())
    })
}

fn addresses(resolution: &Resolution) -> impl Iterator<Item = Sample<'_>> {
    let each = resolution.views.iter().flat_map(|view| {
        view.addresses.iter().map(|address| {
            Sample::new(&family::RESOLUTION_INFO, 1.0)
                .with("view", view.view.as_str())
                .with("path", path(view))
                .with("address", address.ip.to_string())
                .with("address_class", address.class.as_str())
        })
    });
    each.take(RESOLUTION_INFO_LIMIT)
}

/// The kind of path that a view's addresses lead to, taken together.
fn path(view: &View) -> &'static str {
    let is = |class| view.addresses.iter().filter(|address| address.class == class).count();
    let (private, public, all) = (is(AddressClass::Private), is(AddressClass::Public), view.addresses.len());
    if private == all {
        "private"
    } else if public == all {
        "public"
    } else if private > 0 && public > 0 {
        "mixed"
    } else {
        "other"
    }
}

/// Whether every view that gave a final answer agrees with the view in use; `None` where that one
/// gave none, since there is nothing to compare with then.
fn agreement(record: &Record) -> Option<bool> {
    let resolution = &record.observation.resolution;
    let in_use = resolution.in_use().filter(|view| view.outcome.is_final())?;
    let compared = resolution.views.iter().filter(|view| view.outcome.is_final() && !is_outside(record, view));
    Some(compared.filter(|view| view.view != in_use.view).all(|view| view.agrees_with(in_use)))
}

/// Whether a view's server stands in the public internet, where a private zone is never seen, so
/// that another answer is no disagreement. Azure's own resolver has a public-looking address.
fn is_outside(record: &Record, view: &View) -> bool {
    let private_ranges = &record.expectation.private_ranges;
    !view.is_azure_dns()
        && view.server.is_some_and(|server| address::classify(server.ip(), private_ranges) == AddressClass::Public)
}

/// A view's addresses, in no order.
pub(crate) fn addresses_of(view: &View) -> BTreeSet<IpAddr> {
    view.ips().map(|ip| ip.to_canonical()).collect()
}

/// One series each: an answer may repeat an address, and resolv.conf a name server.
fn without_duplicates(facts: Vec<Sample<'_>>) -> Vec<Sample<'_>> {
    let mut each: Vec<Sample<'_>> = Vec::with_capacity(facts.len());
    for fact in facts {
        let is_same = |known: &Sample<'_>| std::ptr::eq(known.family, fact.family) && known.labels == fact.labels;
        if !each.iter().any(is_same) {
            each.push(fact);
        }
    }
    each
}
