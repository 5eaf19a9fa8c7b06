//! Gauges of the last probe: each a pure function of its record, so that no value of an older one remains.
//!
//! A phase that did not run has no number here. Where a probe could not see something, no series claims it.

use strum::IntoEnumIterator as _;

use super::sample::Sample;
use crate::address::AddressClass;
use crate::diagnosis::Status;
use crate::observation::client_info::Via;
use crate::observation::cluster::NodeState;
use crate::observation::{HeldConnectionFacts, OpenState, TlsFacts, Usability, View};
use crate::record::Record;
use crate::record::standing::views_agree;

/// The most series of `redpath_resolution_info` of one target: an answer's length is the server's choice.
const MAX_RESOLUTION_INFO: usize = 32;

/// Whether the probe counts as a success.
pub(crate) fn is_success(record: &Record) -> bool {
    match record.verdict.status {
        Status::Pass | Status::Warn => true,
        Status::Unknown | Status::Fail => false,
    }
}

pub(crate) fn probe_success(record: &Record) -> Vec<Sample<'_>> {
    vec![Sample::flag(is_success(record))]
}

pub(crate) fn last_probe(record: &Record) -> Vec<Sample<'_>> {
    vec![Sample::new(record.started_at.unix_seconds())]
}

/// One series: the one before goes with its record.
pub(crate) fn verdict_info(record: &Record) -> Vec<Sample<'_>> {
    let verdict = &record.verdict;
    vec![Sample::new(1.0).with("status", verdict.status.as_str()).with("cause", verdict.cause.as_str())]
}

/// Absent where there was no address.
pub(crate) fn connection_info(record: &Record) -> Vec<Sample<'_>> {
    let connection = record.observation.connection.iter();
    let sample = connection.map(|to| {
        let address = to.address.ip().to_canonical();
        Sample::new(1.0).with_display("address", address).with("address_class", to.class.as_str())
    });
    sample.collect()
}

/// 0 where there was no address: an alert on 0 must not fall silent with the name.
pub(crate) fn path_private(record: &Record) -> Vec<Sample<'_>> {
    let connection = record.observation.connection.as_ref();
    vec![Sample::flag(connection.is_some_and(|to| to.class == AddressClass::Private))]
}

pub(crate) fn address_expected(record: &Record) -> Vec<Sample<'_>> {
    let connection = record.observation.connection.as_ref();
    vec![Sample::flag(connection.is_some_and(|to| record.expectation.allows(to.address.ip())))]
}

pub(crate) fn usable(record: &Record) -> Vec<Sample<'_>> {
    match record.usable.value {
        Usability::Yes => vec![Sample::flag(true)],
        Usability::No => vec![Sample::flag(false)],
        Usability::Unknown => Vec::new(),
    }
}

pub(crate) fn public_access_open(record: &Record) -> Vec<Sample<'_>> {
    let posture = record.observation.phases.posture.as_ref();
    match posture.and_then(|posture| posture.facts.public_access.as_ref()).map(|public| public.state) {
        Some(OpenState::Open) => vec![Sample::flag(true)],
        Some(OpenState::Closed) => vec![Sample::flag(false)],
        Some(OpenState::Unknown) | None => Vec::new(),
    }
}

pub(crate) fn certificate_not_after(record: &Record) -> Vec<Sample<'_>> {
    let certificate = tls(record).and_then(|tls| tls.certificate.as_ref());
    certificate
        .and_then(|certificate| certificate.not_after)
        .map(|time| Sample::new(time.unix_seconds()))
        .into_iter()
        .collect()
}

pub(crate) fn tls_info(record: &Record) -> Vec<Sample<'_>> {
    let agreed = tls(record).and_then(|tls| tls.version.as_ref().zip(tls.cipher.as_ref()));
    agreed
        .map(|(version, cipher)| Sample::new(1.0).with("version", version).with("cipher", cipher))
        .into_iter()
        .collect()
}

/// What TLS showed on the connection in use.
pub(crate) fn tls(record: &Record) -> Option<&TlsFacts> {
    record.observation.connection.as_ref()?.tls.as_ref()
}

pub(crate) fn findings(record: &Record) -> Vec<Sample<'_>> {
    let findings = record.findings.iter();
    findings
        .map(|finding| Sample::new(1.0).with("code", finding.code.as_str()).with("severity", finding.severity.as_str()))
        .collect()
}

pub(crate) fn cluster_nodes(record: &Record) -> Vec<Sample<'_>> {
    let Some(cluster) = record.observation.cluster.as_ref().filter(|cluster| cluster.command.is_some()) else {
        return Vec::new();
    };
    let count = |state| {
        let omitted = if state == NodeState::NotTried { u64::from(cluster.nodes_omitted) } else { 0 };
        cluster.in_state(state).count() as u64 + omitted
    };
    NodeState::iter().map(|state| Sample::count(count(state)).with("state", state.as_str())).collect()
}

/// Absent where the server was not asked: a probe without a credential does not ask.
pub(crate) fn server_sees(record: &Record) -> Vec<Sample<'_>> {
    let connection = record.observation.connection.as_ref();
    let Some(seen) = connection.and_then(|connection| connection.server_sees.as_ref()) else {
        return Vec::new();
    };
    Via::iter().map(|via| Sample::flag(via == seen.via).with("via", via.as_str())).collect()
}

pub(crate) fn held_connection_age(record: &Record) -> Vec<Sample<'_>> {
    let open = record.observation.held_connection.as_ref().and_then(HeldConnectionFacts::open);
    open.map(|held| Sample::new(held.age_seconds.as_f64())).into_iter().collect()
}

/// Absent where the view in use gave no final answer.
pub(crate) fn resolver_agreement(record: &Record) -> Vec<Sample<'_>> {
    views_agree(record).map(Sample::flag).into_iter().collect()
}

pub(crate) fn resolution_ttl(record: &Record) -> Vec<Sample<'_>> {
    let lowest = |view: &View| {
        let of_chain = view.chain.iter().map(|record| record.ttl);
        of_chain.chain(view.addresses.iter().filter_map(|address| address.ttl)).min()
    };
    let views = record.observation.resolution.views.iter();
    views.filter_map(|view| Some(Sample::new(f64::from(lowest(view)?)).with("view", &view.view))).collect()
}

pub(crate) fn address_classes(record: &Record) -> Vec<Sample<'_>> {
    let has = |view: &View, class| view.addresses.iter().any(|address| address.class == class);
    let views = record.observation.resolution.views.iter();
    let classes = views
        .flat_map(|view| AddressClass::iter().filter(move |class| has(view, *class)).map(move |class| (view, class)));
    classes.map(|(view, class)| Sample::new(1.0).with("view", &view.view).with("class", class.as_str())).collect()
}

pub(crate) fn resolution_info(record: &Record) -> Vec<Sample<'_>> {
    let views = record.observation.resolution.views.iter();
    let addresses = views.flat_map(|view| view.addresses.iter().map(move |address| (view, address)));
    let samples = addresses.take(MAX_RESOLUTION_INFO).map(|(view, address)| {
        Sample::new(1.0)
            .with("view", &view.view)
            .with("path", path(view))
            .with_display("address", address.ip)
            .with("address_class", address.class.as_str())
    });
    samples.collect()
}

/// The kind of path that a view's addresses lead to, taken together.
fn path(view: &View) -> &'static str {
    let count = |class| view.addresses.iter().filter(|address| address.class == class).count();
    let (private, public, all) = (count(AddressClass::Private), count(AddressClass::Public), view.addresses.len());
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
