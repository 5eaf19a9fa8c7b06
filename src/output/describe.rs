//! Outcomes in the words of the outputs for people, each closed list matched in full.

mod application;
mod client_info;
mod cluster;
mod held;
mod kept_answer;
mod migration;
mod posture;

use strum::IntoEnumIterator;

use crate::clock::{Seconds, Timestamp};
use crate::diagnosis::Status;
use crate::observation::dns::{RepeatGroup, Resolution, ResolvedAddress, View, ViewKind, ViewOutcome};
use crate::observation::redis::{PingFacts, PingReply};
use crate::observation::tls::{CertificateFacts, TlsFacts};
use crate::observation::{Connection, ConnectionPhases, Phase, PhaseName, Phases, SkipReason, StoppedBy, Usability};
use crate::record::Record;
use crate::target::Target;

pub(crate) use client_info::is_seen_by_private_link;
pub(crate) use held::{held_connection, is_held_connection_noteworthy};
pub(crate) use kept_answer::{kept_answer, ttl};
pub(crate) use migration::{migration, steps_left};
pub(crate) use posture::{local_limit, precheck};

/// The verdict's first word.
pub(crate) fn status(status: Status) -> &'static str {
    match status {
        Status::Pass => "PASS",
        Status::Warn => "WARN",
        Status::Unknown => "UNKNOWN",
        Status::Fail => "FAIL",
    }
}

/// `HOST:PORT`, with the configured name in front where there is one.
pub(crate) fn target(target: &Target) -> String {
    let place = format!("{}:{}", target.host, target.port);
    if target.name == target.host.as_str() { place } else { format!("{} ({place})", target.name) }
}

/// Where the target's connection went and whether it works: `20.50.1.10 public, works`.
pub(crate) fn destination(record: &Record) -> String {
    let address = match &record.observation.connection {
        Some(connection) => format!("{} {}", connection.address.ip(), connection.class),
        None => "no address".to_owned(),
    };
    match usability(record) {
        Some(usability) => format!("{address}, {usability}"),
        None => address,
    }
}

/// Whether the cache could be used; `None` where that is unknown.
pub(crate) fn usability(record: &Record) -> Option<&'static str> {
    match record.usable.value {
        Usability::Yes => Some("works"),
        Usability::No => Some("does not work"),
        Usability::Unknown => None,
    }
}

/// What was observed beside path, views and phases, under one heading.
pub(crate) struct Section {
    pub(crate) heading: &'static str,
    /// The heading in the text output, at most seven letters.
    pub(crate) label: &'static str,
    /// One sentence each, at least one.
    pub(crate) lines: Vec<String>,
}

/// The sections of a record, in the order in which every output shows them.
pub(crate) fn sections(record: &Record) -> Vec<Section> {
    let observation = &record.observation;
    let sections = [
        ("Lag", "lag", kept_answer(record).into_iter().collect()),
        ("Server", "server", observation.connection.as_ref().and_then(client_info::server_sees).into_iter().collect()),
        ("Cluster", "cluster", observation.cluster.as_ref().map(cluster::cluster).unwrap_or_default()),
        ("Posture", "posture", posture::posture(record)),
        ("Application", "app", application::application(record)),
        ("Held connection", "held", held_connection(record).into_iter().collect()),
        ("Migration", "pair", migration(record)),
    ];
    sections
        .into_iter()
        .filter(|(.., lines): &(_, _, Vec<String>)| !lines.is_empty())
        .map(|(heading, label, lines)| Section { heading, label, lines })
        .collect()
}

/// How a view's answer compares with the expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerMark {
    /// Every address meets it.
    Right,
    /// An address does not meet it.
    Wrong,
    /// A public resolver rightly gives the public address, so its answer is compared with nothing.
    PublicResolver,
    /// It gave no address.
    NoAddress,
}

/// How the answer of `view` compares with what is expected of the target.
pub(crate) fn answer_mark(record: &Record, view: &View) -> AnswerMark {
    let tries = view.tries.iter().flat_map(|tries| &tries.addresses).map(|address| address.ip);
    if view.addresses.is_empty() {
        AnswerMark::NoAddress
    } else if view.ips().chain(tries).all(|ip| record.expectation.allows(ip)) {
        AnswerMark::Right
    } else if view.is_public_resolver(&record.expectation.private_ranges) {
        AnswerMark::PublicResolver
    } else {
        AnswerMark::Wrong
    }
}

/// `3 targets: 1 pass, 2 fail`.
pub(crate) fn counts(records: &[Record]) -> String {
    let count = |status: Status| records.iter().filter(|record| record.verdict.status == status).count();
    let counts: Vec<_> = Status::ALL
        .into_iter()
        .map(|status| (count(status), status))
        .filter(|(count, _)| *count > 0)
        .map(|(count, status)| format!("{count} {status}"))
        .collect();
    let targets = if records.len() == 1 { "1 target".to_owned() } else { format!("{} targets", records.len()) };
    format!("{targets}: {}", if counts.is_empty() { "nothing probed".to_owned() } else { counts.join(", ") })
}

/// A phase, whatever its kind of failure.
pub(crate) enum PhaseState<'a> {
    Done(Seconds),
    Failed(Seconds, &'a str),
    Skipped(SkipReason),
    NotReached(StoppedBy),
}

impl PhaseState<'_> {
    /// How long it took, if it ran.
    pub(crate) fn took(&self) -> Option<Seconds> {
        match self {
            Self::Done(took) | Self::Failed(took, _) => Some(*took),
            Self::Skipped(_) | Self::NotReached(_) => None,
        }
    }

    /// What is said of it in place of a time.
    pub(crate) fn outcome(&self) -> String {
        match self {
            Self::Done(_) => "done".into(),
            Self::Failed(_, reason) => format!("failed: {reason}"),
            Self::Skipped(reason) => format!("skipped: {}", skipped(*reason)),
            Self::NotReached(StoppedBy::LocalLimit) => "not reached: a limit of this machine".into(),
            Self::NotReached(StoppedBy::Interrupt) => "not reached: interrupted".into(),
            Self::NotReached(stopped_by) => format!("not reached: stopped by {}", stopped_by.as_str()),
        }
    }
}

/// The phases that are worth a line: those of every probe, and the others where they were to run.
pub(crate) fn shown_phases(phases: &Phases) -> Vec<PhaseName> {
    let is_shown = |phase: &PhaseName| {
        PhaseName::ALWAYS.contains(phase)
            || match phase_state(phases, *phase) {
                PhaseState::Done(_) | PhaseState::Failed(..) => true,
                PhaseState::Skipped(reason) => reason != SkipReason::NotApplicable,
                PhaseState::NotReached(_) => false,
            }
    };
    PhaseName::iter().filter(is_shown).collect()
}

/// The state of one phase of the connection in use.
pub(crate) fn phase_state(phases: &Phases, phase: PhaseName) -> PhaseState<'_> {
    match phase {
        PhaseName::Resolve => state(&phases.resolve),
        PhaseName::Connect => state(&phases.connection.connect),
        PhaseName::Tls => state(&phases.connection.tls),
        PhaseName::Auth => state(&phases.connection.auth),
        PhaseName::Ping => state(&phases.connection.ping),
        PhaseName::Token => phases.token.as_ref().map_or(PhaseState::Skipped(SkipReason::NotApplicable), state),
        PhaseName::Cluster => phases.cluster.as_ref().map_or(PhaseState::Skipped(SkipReason::NotApplicable), state),
        PhaseName::Application => {
            phases.application.as_ref().map_or(PhaseState::Skipped(SkipReason::NotApplicable), state)
        }
        PhaseName::Posture => phases
            .posture
            .as_ref()
            .map_or(PhaseState::Skipped(SkipReason::NotApplicable), |posture| state(&posture.phase)),
    }
}

fn state<F>(phase: &Phase<F>) -> PhaseState<'_> {
    match phase {
        Phase::Done { took_seconds } => PhaseState::Done(*took_seconds),
        Phase::Failed { took_seconds, reason, .. } => PhaseState::Failed(*took_seconds, reason),
        Phase::Skipped { reason } => PhaseState::Skipped(*reason),
        Phase::NotReached { stopped_by } => PhaseState::NotReached(*stopped_by),
    }
}

fn skipped(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::NotApplicable => "not for this target",
        SkipReason::Plaintext => "plaintext target",
        SkipReason::NoCredentials => "no credentials",
        SkipReason::WithheldUnexpectedAddress => "credentials withheld, the address is not the expected one",
        SkipReason::WithheldResolverDisagreement => "credentials withheld, resolvers disagree on the address",
        SkipReason::CredentialUnavailable => "the credential cannot be read",
        SkipReason::NoPermission => "the user may not",
        SkipReason::NotDue => "not due, the last results hold",
    }
}

/// What a phase that is done is worth saying beside its time.
pub(crate) fn phase_note(phase: PhaseName, connection: Option<&Connection>) -> Option<String> {
    match phase {
        PhaseName::Resolve
        | PhaseName::Connect
        | PhaseName::Tls
        | PhaseName::Token
        | PhaseName::Cluster
        | PhaseName::Posture
        | PhaseName::Application => None,
        PhaseName::Auth => {
            let username = connection?.auth.as_ref()?.username.as_deref();
            Some(format!("as {}", username.unwrap_or("default")))
        }
        PhaseName::Ping => connection?.ping.as_ref().map(ping),
    }
}

fn ping(facts: &PingFacts) -> String {
    let reply = match facts.reply {
        PingReply::Pong => "PONG",
        PingReply::Noauth => "NOAUTH",
        PingReply::Noperm => "NOPERM",
    };
    if facts.samples <= 1 {
        return reply.into();
    }
    let PingFacts { samples, min_seconds, median_seconds, max_seconds, .. } = facts;
    format!("{reply} {samples}x: min {min_seconds}, median {median_seconds}, max {max_seconds}")
}

/// A connection's phases in a row: `connect 40.1 ms, tls 82.0 ms, ping 40.2 ms`.
pub(crate) fn phase_list(phases: &ConnectionPhases) -> String {
    let phases = Phases { connection: phases.clone(), ..Phases::default() };
    let mut words = Vec::new();
    for phase in PhaseName::ALWAYS.into_iter().skip(1) {
        match phase_state(&phases, phase) {
            PhaseState::Done(took) => words.push(format!("{phase} {took}")),
            failed @ PhaseState::Failed(..) => words.push(format!("{phase} {}", failed.outcome())),
            PhaseState::Skipped(_) | PhaseState::NotReached(_) => {}
        }
    }
    if words.is_empty() { "not reached".into() } else { words.join(", ") }
}

/// The probe's phases in a row, without those that were skipped: `resolve 940 µs, ping 40.2 ms (NOAUTH)`. Phases
/// that share one reason for not being reached stand together.
pub(crate) fn phase_row(record: &Record) -> String {
    let phases = &record.observation.phases;
    let mut parts: Vec<String> = Vec::new();
    let mut last_outcome = String::new();
    for phase in shown_phases(phases) {
        let state = phase_state(phases, phase);
        if matches!(state, PhaseState::Skipped(_)) {
            continue;
        }
        let outcome = state.outcome();
        let note = phase_note(phase, record.observation.connection.as_ref());
        match (state.took(), note) {
            (Some(took), Some(note)) => parts.push(format!("{phase} {took} ({note})")),
            (Some(took), None) => parts.push(format!("{phase} {took}")),
            (None, _) if outcome == last_outcome => {
                if let Some(part) = parts.last_mut() {
                    *part = part.replacen(&format!(" {outcome}"), &format!(" and {phase} {outcome}"), 1);
                }
            }
            (None, _) => parts.push(format!("{phase} {outcome}")),
        }
        last_outcome = outcome;
    }
    parts.join(", ")
}

/// The view's name, with its server where the name does not say it.
pub(crate) fn view_name(view: &View) -> String {
    match (view.kind, view.server) {
        (ViewKind::Resolver, Some(server)) if server.port() == 53 => format!("{} ({})", view.view, server.ip()),
        (ViewKind::Resolver, Some(server)) => format!("{} ({server})", view.view),
        (ViewKind::Libc | ViewKind::System | ViewKind::Resolver, _) => view.view.clone(),
    }
}

/// What a view gave: `10.60.4.5 private`, or why there is no address; after several tries how often
/// it gave what: `3x 10.60.4.5 private, 2x 20.50.1.10 public`.
pub(crate) fn view_answer(view: &View) -> String {
    let answer = match view.tries.as_slice() {
        [] => first_answer(view),
        [only] => format!("{}, {}x", first_answer(view), only.count),
        several => {
            let counts: Vec<_> =
                several.iter().map(|tries| format!("{}x {}", tries.count, try_answer(tries))).collect();
            counts.join(", ")
        }
    };
    match view {
        View { udp_silent: true, .. } => format!("{answer}, over TCP only"),
        view if view.is_without_edns() => format!("{answer}, without EDNS only"),
        _ => answer,
    }
}

fn try_answer(tries: &RepeatGroup) -> String {
    match (tries.addresses.is_empty(), tries.rcode.as_deref()) {
        (false, _) => addresses(&tries.addresses),
        (true, Some(rcode)) if rcode != "NOERROR" => rcode.into(),
        (true, _) => tries.outcome.as_str().replace('_', " "),
    }
}

fn first_answer(view: &View) -> String {
    if !view.addresses.is_empty() {
        return addresses(&view.addresses);
    }
    let rcode = view.rcode.as_deref();
    let words = match view.outcome {
        ViewOutcome::Answered => "answered, without an address".into(),
        ViewOutcome::NoData => "NODATA, the name has no address".into(),
        ViewOutcome::NameNotFound => format!("{}, the name does not exist", rcode.unwrap_or("NXDOMAIN")),
        ViewOutcome::NoAddress => "no address".into(),
        ViewOutcome::ServerFailure => rcode.unwrap_or("SERVFAIL").into(),
        ViewOutcome::Refused => rcode.unwrap_or("REFUSED").into(),
        ViewOutcome::OtherRcode => format!("response code {}", rcode.unwrap_or("unknown")),
        ViewOutcome::TryAgain => "no server gave a usable answer".into(),
        ViewOutcome::Timeout => "no answer in time".into(),
        ViewOutcome::Unreachable => "unreachable".into(),
        ViewOutcome::BadAnswer => "an invalid answer".into(),
        ViewOutcome::Failed => "could not be asked".into(),
        ViewOutcome::NotReached => "not asked".into(),
        ViewOutcome::Interrupted => "interrupted".into(),
    };
    match view.reason.as_deref() {
        Some(reason) if reason != words => format!("{words} ({reason})"),
        Some(_) | None => words,
    }
}

/// Addresses in order, each run of one class said once, the first few only.
fn addresses(addresses: &[ResolvedAddress]) -> String {
    const SHOWN: usize = 4;
    let mut words = String::new();
    for (at, address) in addresses.iter().take(SHOWN).enumerate() {
        if at > 0 {
            words.push_str(", ");
        }
        words.push_str(&address.ip.to_string());
        let next = addresses.get(at + 1).filter(|_| at + 1 < SHOWN);
        if next.is_none_or(|next| next.class != address.class) {
            words.push(' ');
            words.push_str(address.class.as_str());
        }
    }
    if addresses.len() > SHOWN {
        words.push_str(&format!(", and {} more", addresses.len() - SHOWN));
    }
    words
}

/// How a view stands to the one in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agreement {
    /// It is the one in use.
    InUse,
    /// It gives the same.
    Agrees,
    /// It gives something else.
    Differs,
    /// It gave no final word, or there is nothing to hold it against.
    Unknown,
}

/// How `view` stands to the view in use.
pub(crate) fn agreement(resolution: &Resolution, view: &View) -> Agreement {
    let Some(in_use) = resolution.in_use() else { return Agreement::Unknown };
    if in_use.view == view.view {
        return Agreement::InUse;
    }
    if !view.outcome.is_final() || !in_use.outcome.is_final() {
        return Agreement::Unknown;
    }
    if view.agrees_with(in_use) { Agreement::Agrees } else { Agreement::Differs }
}

/// The view whose chain shows how the name leads to the addresses in use: a DNS view that agrees
/// with the one in use, else the first DNS view that has a chain, since `libc` shows none.
pub(crate) fn chain_view(resolution: &Resolution) -> Option<&View> {
    let shows = |view: &&View| !view.chain.is_empty();
    resolution.in_use().filter(shows).or_else(|| {
        let mut dns = resolution.views.iter().filter(shows);
        dns.clone().find(|view| agreement(resolution, view) == Agreement::Agrees).or_else(|| dns.next())
    })
}

/// What TLS showed: version, suite, certificate; and what failed of its verification.
pub(crate) fn tls(facts: &TlsFacts, at: Timestamp) -> Option<String> {
    let agreed: Vec<_> = [&facts.version, &facts.cipher].into_iter().flatten().map(String::as_str).collect();
    let mut parts = Vec::new();
    if !agreed.is_empty() {
        parts.push(agreed.join(" "));
    }
    if let Some(certificate) = &facts.certificate {
        parts.push(certificate_name(certificate, &facts.server_name));
        if let Some(not_after) = certificate.not_after {
            parts.push(match at.until(not_after).map(|left| left.as_secs() / 86_400) {
                Some(1) => format!("expires {} (in 1 day)", not_after.date()),
                Some(days) => format!("expires {} (in {days} days)", not_after.date()),
                None => format!("expired {}", not_after.date()),
            });
        }
        if !facts.verified {
            parts.push(format!("not verified{}", failed_checks(facts)));
        }
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn failed_checks(facts: &TlsFacts) -> String {
    let Some(checks) = facts.checks else { return String::new() };
    let failed: Vec<_> =
        [(checks.trusted, "untrusted issuer"), (checks.in_date, "out of date"), (checks.name_matches, "another name")]
            .into_iter()
            .filter(|(passed, _)| !passed)
            .map(|(_, words)| words)
            .collect();
    if failed.is_empty() { String::new() } else { format!(" ({})", failed.join(", ")) }
}

/// The name of the certificate that covers `server_name`, else the first of its names.
fn certificate_name(certificate: &CertificateFacts, server_name: &str) -> String {
    let covers = |san: &&String| {
        let parent = server_name.split_once('.').map(|(_, parent)| parent);
        san.eq_ignore_ascii_case(server_name)
            || san.strip_prefix("*.").is_some_and(|rest| parent.is_some_and(|parent| rest.eq_ignore_ascii_case(parent)))
    };
    let sans = &certificate.sans;
    match sans.iter().find(covers) {
        Some(san) => san.clone(),
        None => match sans.as_slice() {
            [] => certificate.subject.clone(),
            [only] => only.clone(),
            [first, rest @ ..] => format!("{first} and {} more", rest.len()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expectation::Expectation;

    fn answered(ip: &str) -> View {
        let mut view = View::new("system:10.10.0.53", ViewKind::System, "10.10.0.53:53".parse().ok());
        let ip = ip.parse().unwrap();
        view.outcome = ViewOutcome::Answered;
        view.addresses = vec![ResolvedAddress { ip, class: Expectation::default().class(ip), ttl: Some(10) }];
        view
    }

    #[test]
    fn describe_repeats_with_counts() {
        let mut view = answered("10.60.4.5");
        assert_eq!(view_answer(&view), "10.60.4.5 private");
        for _ in 0..3 {
            RepeatGroup::count_in(&mut view.tries, &answered("10.60.4.5"));
        }
        assert_eq!(view_answer(&view), "10.60.4.5 private, 3x");
        RepeatGroup::count_in(&mut view.tries, &answered("20.50.1.10"));
        let mut silent = answered("10.60.4.5");
        (silent.outcome, silent.addresses) = (ViewOutcome::Timeout, Vec::new());
        RepeatGroup::count_in(&mut view.tries, &silent);
        assert_eq!(view_answer(&view), "3x 10.60.4.5 private, 1x 20.50.1.10 public, 1x timeout");
    }

    #[test]
    fn describe_answer_over_tcp_only() {
        let mut view = answered("10.60.4.5");
        view.udp_silent = true;
        assert_eq!(view_answer(&view), "10.60.4.5 private, over TCP only");
    }
}
