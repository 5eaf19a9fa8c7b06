//! What a record says of the path, condition by condition: what the journal calls a change, and what a gate judges.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, IntoStaticStr};

use super::Record;
use crate::address::AddressClass;
use crate::diagnosis::Verdict;
use crate::expectation::ExpectedPath;
use crate::observation::application::ApplicationPath;
use crate::observation::{Observation, Usability, View};

/// The path of a record, and each condition on it. Two records of the same standing differ in times alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The kind of path that was found.
    pub path: PathKind,
    /// The address in use; absent where there was none.
    pub address: Option<IpAddr>,
    /// Whether the address is of the expected kind and, where endpoints are named, one of them.
    pub address_expected: bool,
    /// Whether the cache could be used.
    pub usable: Usability,
    /// Whether all views gave the same answer; absent where the view in use gave no final one.
    pub views_agree: Option<bool>,
    /// Whether an application's connection is on the public path; absent where nobody looked.
    pub application_public: Option<bool>,
    /// Whether the probe was to expect another path than a private one.
    pub expects: ExpectedPath,
    /// The verdict.
    pub verdict: Verdict,
}

/// The kind of path that a probe found.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
    Display,
    IntoStaticStr,
    EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum PathKind {
    /// The address is private.
    Private,
    /// The address is public.
    Public,
    /// The address is of another kind, such as loopback.
    Other,
    /// There was no address.
    NoAddress,
    /// The probe could not see it: it was interrupted, or stopped by a limit of its machine.
    Unknown,
}

impl Standing {
    /// Of a record.
    pub fn of(record: &Record) -> Self {
        let seen = &record.observation;
        let address = seen.connection.as_ref().map(|connection| connection.address.ip().to_canonical());
        Self {
            path: path(seen),
            address,
            address_expected: address.is_some_and(|ip| record.expectation.allows(ip)),
            usable: record.usable.value,
            views_agree: views_agree(record),
            application_public: seen
                .application
                .as_ref()
                .map(|application| application.established(ApplicationPath::Public) > 0),
            expects: record.expectation.path,
            verdict: record.verdict.clone(),
        }
    }
}

fn path(seen: &Observation) -> PathKind {
    match seen.connection.as_ref().map(|connection| connection.class) {
        Some(AddressClass::Private) => PathKind::Private,
        Some(AddressClass::Public) => PathKind::Public,
        Some(_) => PathKind::Other,
        None if seen.local_limit.is_some() || seen.phases.is_interrupted() => PathKind::Unknown,
        None => PathKind::NoAddress,
    }
}

/// Whether every view that gave a final answer agrees with the view in use. Absent where that one gave none:
/// there is nothing to compare with. A public resolver never sees a private zone: its answer does not count.
pub fn views_agree(record: &Record) -> Option<bool> {
    let resolution = &record.observation.resolution;
    let in_use = resolution.in_use().filter(|view| view.outcome.is_final())?;
    let counts = |view: &&View| view.outcome.is_final() && !view.is_public_resolver(&record.expectation.private_ranges);
    let mut compared = resolution.views.iter().filter(counts);
    Some(compared.all(|view| view.view == in_use.view || view.agrees_with(in_use)))
}
