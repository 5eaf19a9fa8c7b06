//! What an observation means: a pure function of it and of the expectation.
//!
//! It touches no network and no clock, so that a saved record can be diagnosed again and every
//! rule has a story (`tests/stories/`). Connection errors support a verdict; the DNS
//! chain, the class of the address and the comparison of the views decide it.

pub mod code;
pub mod command;

mod application;
mod az;
mod client_info;
mod clients;
mod cluster;
mod dns;
mod held;
mod latency;
mod migration;
pub mod pair;
mod pod;
mod posture;
mod precheck;
mod public_endpoint;
mod redis;
mod remediation;
pub mod service;
mod suppression;
mod tcp;
mod text;
mod tls;
mod token;

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use strum::{Display, IntoStaticStr};

use crate::address::AddressClass;
use crate::clock::Timestamp;
use crate::expectation::Expectation;
use crate::observation::Observation;
use crate::phase::{PhaseName, PhaseOutcome};
use crate::plan::arguments::CheckArguments;
use crate::printable::{is_printable, printable};
use crate::target::Target;

pub use code::Code;
pub use command::{Command, CommandKind};
use pair::Migration;
use suppression::suppress_consequences;

/// The findings and the verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// Errors, then warnings, then remarks; in the order of the phases within each.
    pub findings: Vec<Finding>,
    /// The verdict.
    pub verdict: Verdict,
    /// What a migration shows, where the old name was probed too.
    pub migration: Option<Box<Migration>>,
}

/// Something found, with what it rests on and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Its stable name.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// The phase it was found in.
    pub phase: PhaseName,
    /// One sentence: what is wrong.
    pub summary: String,
    /// What that rests on, and what the client cannot know.
    pub detail: String,
    /// What to do next; empty for a remark that asks for nothing.
    pub hint: String,
    /// Commands that decide or fix it, ready to paste; `<…>` marks what only the operator knows.
    pub commands: Vec<Command>,
}

/// How bad a finding is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, IntoStaticStr, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Severity {
    /// The target fails.
    Error,
    /// The target passes, and somebody should look.
    Warning,
    /// Worth knowing.
    Info,
}

impl Severity {
    /// The name used in records and label values.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The verdict on a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// Pass or fail.
    pub status: Status,
    /// The code of the first error in phase order, else of the first warning, else `healthy`.
    pub cause: Cause,
}

/// `fail (private_zone_not_seen)`.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.status.as_str(), self.cause.as_str())
    }
}

/// Pass or fail. The order is from good to bad.
#[derive(
    Clone, Copy, Debug, Display, PartialEq, Eq, Hash, PartialOrd, Ord, IntoStaticStr, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Status {
    /// Everything is as expected.
    Pass,
    /// It passes, and somebody should look.
    Warn,
    /// It is inconclusive.
    Unknown,
    /// It is not as expected.
    Fail,
}

impl Status {
    /// Every status, from good to bad.
    pub const ALL: [Self; 4] = [Self::Pass, Self::Warn, Self::Unknown, Self::Fail];

    /// The name used in records and label values.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The cause of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// Nothing is wrong.
    Healthy,
    /// The probe was interrupted, or nothing could be looked at.
    Unknown,
    /// This.
    Code(Code),
}

impl Cause {
    /// The name used in records and label values.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unknown => "unknown",
            Self::Code(code) => code.as_str(),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Cause {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "healthy" => Ok(Self::Healthy),
            "unknown" => Ok(Self::Unknown),
            code => Code::named(code)
                .map(Self::Code)
                .ok_or_else(|| serde::de::Error::custom(format!("{code:?} is no cause that this version knows"))),
        }
    }
}

impl JsonSchema for Cause {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Cause".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> =
            ["healthy", "unknown"].into_iter().chain(Code::ALL.iter().map(|code| code.as_str())).collect();
        schemars::json_schema!({
            "description": "`healthy`, `unknown`, or the code of the finding that decides",
            "type": "string",
            "enum": names,
        })
    }
}

/// Diagnoses `observation`; `now` is the wall-clock time of the observation, for certificates.
pub fn diagnose(target: &Target, expectation: &Expectation, observation: &Observation, now: Timestamp) -> Diagnosis {
    let case = Context { target, expectation, observation, now };
    let mut findings = dns::diagnose(&case);
    let given = observation.connection.as_ref().filter(|connection| connection.address_given);
    let not_moved = given.and_then(|given| precheck::diagnose(&case, given.address.ip(), &mut findings));
    findings.extend(connection_findings(&case));
    findings.extend(token::diagnose(&case));
    suppress_consequences(&case, &mut findings);
    findings.extend(migration::migrated_name(&case, &findings));
    az::apply_az_facts(&case, &mut findings);
    findings.extend(posture::public_address_finding(&case));
    findings.extend(application::diagnose(&case));
    findings.extend(clients::diagnose(&case));
    findings.extend(held::diagnose(&case));
    let migration = observation.old.as_deref().map(|old| {
        let alone = verdict(&case, &sorted(findings.clone(), not_moved));
        let (of_pair, migration) = pair::diagnose(&case, old, &alone);
        of_pair.into_iter().for_each(|finding| merge(&mut findings, finding));
        Box::new(migration)
    });
    withhold_closing_commands(&case, &mut findings);
    let mut findings = sorted(findings, not_moved);
    for finding in &mut findings {
        finding.clean();
    }
    let verdict = verdict(&case, &findings);
    Diagnosis { findings, verdict, migration }
}

/// Adds a finding of the old name; each code stands once, so that one of the same code is its evidence.
fn merge(findings: &mut Vec<Finding>, finding: Finding) {
    match findings.iter_mut().find(|known| known.code == finding.code) {
        Some(known) => {
            known.severity = known.severity.min(finding.severity);
            known.detail.push_str(&format!(" Besides, {}.", finding.summary));
        }
        None => findings.push(finding),
    }
}

/// Errors first, in the order of the phases.
fn sorted(mut findings: Vec<Finding>, not_moved: Option<Code>) -> Vec<Finding> {
    // That DNS has not moved is what a pre-check warns of first.
    findings.sort_by_key(|finding| (finding.severity, finding.phase, not_moved != Some(finding.code), finding.code));
    findings
}

/// What is diagnosed: one observation and what was expected of it.
#[derive(Clone, Copy)]
struct Context<'a> {
    target: &'a Target,
    expectation: &'a Expectation,
    observation: &'a Observation,
    now: Timestamp,
}

impl Context<'_> {
    /// Whether the connection in use went to an address that meets the expectation, and no configured
    /// resolver gives another one.
    fn is_at_expected_address(&self) -> bool {
        self.observation.connection.as_ref().is_some_and(|connection| {
            self.expectation.allows(connection.address.ip())
                && (connection.address_given || self.observation.resolution.contradicting(self.expectation).is_none())
        })
    }

    /// What repeats this probe on a command line.
    fn arguments(&self) -> CheckArguments {
        self.observation.arguments(self.target)
    }

    /// What an answer of Redis proves, and no more.
    fn proven(&self) -> &'static str {
        match (self.is_at_expected_address(), self.target.tls) {
            (true, true) => {
                "The path is proven: TCP, TLS and Redis are right, at an address that meets the expectation."
            }
            (true, false) => {
                "The path is proven: TCP and Redis are right, at an address that meets the expectation; without TLS nothing proves who answers."
            }
            (false, _) => {
                "A Redis answers, and not at an address that is known to be the expected one: nothing is proven about the path."
            }
        }
    }
}

impl Finding {
    /// A finding in its code's own phase; what to do about it is added to it.
    fn new(code: Code, severity: Severity, summary: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            code,
            severity,
            phase: code.phase(),
            summary: summary.into(),
            detail: detail.into(),
            hint: String::new(),
            commands: Vec::new(),
        }
    }

    /// With more evidence at the end of its detail.
    fn more(mut self, evidence: &str) -> Self {
        self.detail.push_str(evidence);
        self
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    fn commands(mut self, commands: impl IntoIterator<Item = String>) -> Self {
        self.commands.extend(commands.into_iter().map(Command::from));
        self
    }

    fn phase(mut self, phase: PhaseName) -> Self {
        self.phase = phase;
        self
    }

    /// Escapes the sentences, and omits commands that would need it.
    fn clean(&mut self) {
        for text in [&mut self.summary, &mut self.detail, &mut self.hint] {
            *text = printable(text).into_owned();
        }
        self.commands.retain(|command| is_printable(&command.command));
    }
}

fn connection_findings(case: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let in_use = case.observation.connection.iter().map(|connection| (&case.observation.phases.connection, connection));
    let others = case
        .observation
        .other_connections
        .iter()
        .filter(|other| case.expectation.allows(other.connection.address.ip()))
        .map(|other| (&other.phases, &other.connection));
    for (index, (phases, connection)) in in_use.chain(others).enumerate() {
        let mut here = tcp::diagnose(case, phases, connection);
        here.extend(tls::diagnose(case, phases, connection));
        here.extend(redis::diagnose(case, phases, connection));
        public_endpoint::setting_first(case, connection, &mut here);
        if index > 0 {
            for finding in &mut here {
                let address = connection.address.to_string();
                let at = if finding.summary.contains(&address) { String::new() } else { format!("at {address}, ") };
                finding.summary = format!("{} ({at}another address of the name)", finding.summary);
            }
        }
        for finding in here {
            // The same finding at every address is reported once.
            if !findings.iter().any(|known: &Finding| known.code == finding.code && known.severity <= finding.severity)
            {
                findings.push(finding);
            }
        }
    }
    findings.extend(client_info::diagnose(case));
    findings.extend(cluster::diagnose(case));
    findings.extend(posture::server_findings(case));
    findings.extend(latency::diagnose(case));
    findings
}

/// A command that closes the public path is offered only where this vantage does not use that path and
/// would pass otherwise.
fn withhold_closing_commands(case: &Context<'_>, findings: &mut [Finding]) {
    let about_public_access = |code| matches!(code, Code::PublicAccessOpen | Code::PublicNetworkAccessEnabled);
    let passes_otherwise =
        findings.iter().all(|finding| finding.severity == Severity::Info || about_public_access(finding.code));
    let connection = case.observation.connection.as_ref();
    let uses_public = connection.is_some_and(|connection| connection.class == AddressClass::Public);
    if uses_public || !passes_otherwise || !reached_redis(case) {
        for finding in findings {
            finding.commands.retain(|command| !command.closes_public_access());
        }
    }
}

fn verdict(case: &Context<'_>, findings: &[Finding]) -> Verdict {
    let first = |severity| findings.iter().find(|finding| finding.severity == severity).map(|finding| finding.code);
    if !dns::has_usable_view(case) {
        let cause = first(Severity::Error).map_or(Cause::Unknown, Cause::Code);
        return Verdict { status: Status::Unknown, cause };
    }
    if case.observation.local_limit.is_some() {
        return Verdict { status: Status::Unknown, cause: Cause::Unknown };
    }
    if let Some(code) = first(Severity::Error) {
        return Verdict { status: Status::Fail, cause: Cause::Code(code) };
    }
    if case.observation.phases.is_interrupted() || !reached_redis(case) {
        return Verdict { status: Status::Unknown, cause: Cause::Unknown };
    }
    if findings.iter().any(|finding| finding.code == Code::NotChecked) {
        return Verdict { status: Status::Unknown, cause: Cause::Code(Code::NotChecked) };
    }
    match first(Severity::Warning) {
        Some(code) => Verdict { status: Status::Warn, cause: Cause::Code(code) },
        None => Verdict { status: Status::Pass, cause: Cause::Healthy },
    }
}

/// Whether the connection went to an expected address and as far as an answer of Redis: without
/// that, nothing found is not the same as nothing wrong.
fn reached_redis(case: &Context<'_>) -> bool {
    let phases = &case.observation.phases;
    let answered = phases.get(PhaseName::Ping).outcome != PhaseOutcome::NotReached
        || phases.get(PhaseName::Auth).outcome == PhaseOutcome::Failed;
    case.is_at_expected_address() && answered
}
