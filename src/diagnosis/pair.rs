//! A migration as a pair: the new name, the old name, what differs, and what is left to do.

mod differences;
mod steps;

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;

use super::command::Command;
use super::migration::TRAP;
use super::service::{self, Certainty, ServiceBehind};
use super::{Code, Context, Diagnosis, Finding, Severity, Status, Verdict};
use crate::address::AddressClass;
use crate::azure::facts::name_in_id;
use crate::observation::application::ApplicationPeer;
use crate::observation::{Observation, OldName, Usability};
use crate::phase::PhaseName;
use crate::target::{HostName, Target};

pub use self::differences::{Aspect, Comparison, Difference};

/// What a migration shows from here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Migration {
    /// The new name, which is the target.
    pub new: MigrationSide,
    /// The old name.
    pub old: MigrationSide,
    /// What is compared, differences and equal parts alike, in a fixed order.
    pub differences: Vec<Difference>,
    /// Whether clients still use the old name.
    pub old_use: OldUse,
    /// What files of `az` say of the migration tool.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool: Vec<String>,
    /// What is left to do, in order; empty where nothing is known to be left.
    pub left_to_do: Vec<Step>,
}

/// One of the two names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MigrationSide {
    /// The host name.
    pub host: HostName,
    /// The port.
    pub port: u16,
    /// The verdict on this name alone.
    pub verdict: Verdict,
    /// The address in use; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// Its class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<AddressClass>,
    /// Whether the path is the expected one; absent where that is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_expected: Option<bool>,
    /// Whether it can be used from here.
    pub usable: Usability,
    /// Which product answers.
    pub behind: ServiceBehind,
    /// The commands that decide which product answers, where nothing shows it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub decide: Vec<Command>,
}

/// Whether clients still use the old name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OldUse {
    /// How many connections of applications in this network namespace lead to the old name; absent where they were not
    /// listed, or no connection to either name was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections_here: Option<u32>,
    /// What that says, and what it does not.
    pub text: String,
    /// The commands that list the clients of every network.
    pub commands: Vec<Command>,
}

/// Something left to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Step {
    /// What.
    pub text: String,
    /// Commands for it, ready to paste.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<Command>,
}

/// The findings that the old name adds, and the judgement. `new` is the verdict on the new name alone.
pub(super) fn diagnose(case: &Context<'_>, old: &OldName, new: &Verdict) -> (Vec<Finding>, Migration) {
    let old_diagnosis = super::diagnose(&old.target, &old.expectation, &old.observation, case.now);
    let mut findings = of_old_name(case, old, &old_diagnosis);
    findings.extend(old_name_still_used(case, old));
    let new_side = side(case.target, case.observation, new.clone(), case);
    let old_case =
        Context { target: &old.target, expectation: &old.expectation, observation: &old.observation, ..*case };
    let old_side = side(&old.target, &old.observation, old_diagnosis.verdict, &old_case);
    let differences = differences::all(case, &old_case, (&new_side, &old_side));
    let old_use = old_use(case, old);
    let mut migration =
        Migration { new: new_side, old: old_side, differences, old_use, tool: tool(case, old), left_to_do: Vec::new() };
    migration.left_to_do = steps::left_to_do(&migration);
    (findings, migration)
}

fn side(target: &Target, observation: &Observation, verdict: Verdict, case: &Context<'_>) -> MigrationSide {
    let connection = observation.connection.as_ref();
    let behind = service::identify(target, case.expectation.az.as_deref(), observation);
    let decide = if behind.certainty == Certainty::Shown { Vec::new() } else { service::decide(target) };
    MigrationSide {
        host: target.host.clone(),
        port: target.port,
        verdict,
        address: connection.map(|connection| connection.address.ip()),
        class: connection.map(|connection| connection.class),
        path_expected: connection.map(|connection| case.expectation.allows(connection.address.ip())),
        usable: observation.usable().value,
        behind,
        decide: decide.into_iter().map(Command::from).collect(),
    }
}

/// What is wrong with the old name. A wrong path is an error, since clients still take it; that the old name does not
/// answer, or is gone, is what the end of a migration looks like.
fn of_old_name(case: &Context<'_>, old: &OldName, diagnosis: &Diagnosis) -> Vec<Finding> {
    let host = &old.target.host;
    let connection = old.observation.connection.as_ref();
    let is_wrong_path = connection.is_some_and(|connection| !old.expectation.allows(connection.address.ip()));
    let mut findings: Vec<Finding> = diagnosis
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error || finding.code == Code::MigratedName)
        .map(|finding| {
            let is_path = finding.phase == PhaseName::Resolve && finding.severity == Severity::Error;
            let is_gone = matches!(finding.code, Code::NameNotFound | Code::NoAddress);
            let severity = match (is_path && is_wrong_path, is_gone) {
                (true, _) => Severity::Error,
                (false, true) => Severity::Info,
                (false, false) => finding.severity.max(Severity::Warning),
            };
            let summary = format!("the old name: {}", finding.summary);
            Finding { severity, summary, ..finding.clone() }
        })
        .collect();
    let was_interrupted = case.observation.phases.is_interrupted();
    if diagnosis.verdict.status == Status::Unknown && findings.is_empty() && !was_interrupted {
        findings.push(
            Finding::new(
                Code::NotChecked,
                Severity::Warning,
                format!("unknown: which path the old name {host} takes"),
                "The probe of the old name did not get as far as an answer of Redis, and nothing says why.",
            )
            .phase(PhaseName::Resolve)
            .hint("probe the old name by itself")
            .commands([format!("redpath check {host}:{}", old.target.port)]),
        );
    }
    findings
}

/// The peers that only the old name leads to.
fn old_peers<'a>(case: &Context<'a>) -> Option<Vec<&'a ApplicationPeer>> {
    let facts = case.observation.application.as_ref()?;
    Some(facts.peers.iter().filter(|peer| peer.of_old_name && peer.established > 0).collect())
}

fn old_name_still_used(case: &Context<'_>, old: &OldName) -> Option<Finding> {
    let peers = old_peers(case).filter(|peers| !peers.is_empty())?;
    let count = peers.iter().fold(0_u32, |sum, peer| sum.saturating_add(peer.established));
    let (connections, lead) = if count == 1 { ("connection", "leads") } else { ("connections", "lead") };
    let addresses: Vec<String> = peers.iter().take(5).map(|peer| peer.address.to_string()).collect();
    let host = &old.target.host;
    let find = peers.iter().take(1).map(|peer| {
        let address = if peer.address.is_ipv6() { format!("'[{}]'", peer.address) } else { peer.address.to_string() };
        format!("ss -tnp dst {address}")
    });
    Some(
        Finding::new(
            Code::OldNameStillUsed,
            Severity::Warning,
            format!("{count} {connections} of applications here {lead} to {}, the address of the old name {host}", addresses.join(", ")),
            "The list has the connections of this network namespace alone. Clients elsewhere, and clients that are not connected now, are not in it. A connection stays until its client closes it: a client that was configured anew may still hold an old one.",
        )
        .hint(format!("configure {} in these applications and restart them; keep {host} until no client is left", case.target.host))
        .commands(find)
        .commands([format!("redpath clients {host}:{}", old.target.port)])
        .commands([
            "kubectl --namespace <namespace> rollout restart deployment <application>".to_owned(),
            "systemctl restart <application>".to_owned(),
        ]),
    )
}

/// The most differences of a validation that are named.
const MAX_NAMED: usize = 8;

/// What files of `az` say of the migration tool: the state, and what its validation refuses.
fn tool(case: &Context<'_>, old: &OldName) -> Vec<String> {
    let of_both = [case.expectation.az.as_deref(), old.expectation.az.as_deref()];
    let mut lines: Vec<String> = Vec::new();
    let mut add = |line: String| {
        if !lines.contains(&line) {
            lines.push(line);
        }
    };
    for facts in of_both.into_iter().flatten() {
        for one in &facts.migrations {
            let state = one.state.as_deref().unwrap_or("unknown");
            let id = |id: &Option<String>| id.as_deref().map_or("unknown", name_in_id).to_owned();
            add(format!("{}: the migration from {} to {}: {state}", one.file, id(&one.source_id), id(&one.target_id)));
        }
        for one in &facts.validations {
            match one.is_valid {
                Some(true) => add(format!("{}: the validation accepts the migration", one.file)),
                Some(false) => add(format!("{}: the validation refuses the migration. {TRAP}", one.file)),
                None => add(format!("{}: whether the validation accepts is unknown", one.file)),
            }
            for (word, disparities) in [("error", &one.errors), ("warning", &one.warnings)] {
                for disparity in disparities.iter().take(MAX_NAMED) {
                    let category = disparity.category.as_deref().unwrap_or("without a category");
                    add(format!("{}: {word}, {category}: {}", one.file, disparity.message));
                }
            }
        }
    }
    lines
}

fn old_use(case: &Context<'_>, old: &OldName) -> OldUse {
    let (host, port) = (&old.target.host, old.target.port);
    let connections_here =
        old_peers(case).map(|peers| peers.iter().fold(0_u32, |sum, peer| sum.saturating_add(peer.established)));
    let text = match connections_here {
        None => "unknown: no connection of an application to either name was found in this network namespace, or none was listed".to_owned(),
        Some(0) => format!("no connection of applications here leads to {host}; clients elsewhere are unknown"),
        Some(1) => format!("1 connection of applications here leads to {host}; clients elsewhere are unknown"),
        Some(count) => format!("{count} connections of applications here lead to {host}; clients elsewhere are unknown"),
    };
    let commands = [format!("redpath clients {host}:{port}")].map(Command::from).to_vec();
    OldUse { connections_here, text, commands }
}
