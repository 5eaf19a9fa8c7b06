//! What the operator expects of a target; diagnosis holds the observation against it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use clap::ValueEnum;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::Display;

use crate::address::{self, AddressClass};
use crate::azure::facts::AzFacts;
use crate::clock::Seconds;
use crate::phase::PhaseName;

/// The kind of path that is expected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Display, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ExpectedPath {
    /// A private address
    #[default]
    Private,
    /// A public address
    Public,
    /// Any address
    Any,
}

/// What is expected of the public address, as seen from here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Display, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum PublicAccess {
    /// Redis must not answer there
    Closed,
    /// Report only
    Open,
    /// Skip the check
    #[default]
    Ignore,
}

impl PublicAccess {
    fn is_ignored(&self) -> bool {
        *self == Self::Ignore
    }
}

/// What is expected of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Expectation {
    /// The kind of path.
    pub path: ExpectedPath,
    /// The addresses or ranges that the name must lead to; empty where any of the path's kind will do.
    #[schemars(with = "Vec<String>")]
    pub endpoints: Vec<IpNet>,
    /// Ranges that are private here whatever the registries say.
    #[schemars(with = "Vec<String>")]
    pub private_ranges: Vec<IpNet>,
    /// Whether a server that answers without credentials is a failure.
    pub require_auth: bool,
    /// Whether the nodes of a cluster are to be looked at: the verdict is unknown where the probe cannot.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cluster_nodes: bool,
    /// What is expected of the public address.
    #[serde(skip_serializing_if = "PublicAccess::is_ignored")]
    pub public_access: PublicAccess,
    /// The longest time that each phase may take before it is worth a warning.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub latency: BTreeMap<PhaseName, Seconds>,
    /// A certificate that expires sooner than this is worth a warning.
    pub certificate_warning_seconds: Seconds,
    /// What files of `az` say about the target; what they set is part of the other fields already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub az: Option<Box<AzFacts>>,
}

impl Default for Expectation {
    fn default() -> Self {
        Self {
            path: ExpectedPath::Private,
            endpoints: Vec::new(),
            private_ranges: Vec::new(),
            require_auth: true,
            cluster_nodes: false,
            public_access: PublicAccess::Ignore,
            latency: BTreeMap::new(),
            certificate_warning_seconds: Seconds(Duration::from_secs(14 * 24 * 3600)),
            az: None,
        }
    }
}

impl Expectation {
    /// The class of `ip` here: the operator's ranges and expected addresses outrank the registries.
    pub fn class(&self, ip: IpAddr) -> AddressClass {
        if self.path == ExpectedPath::Private && address::contains(&self.endpoints, ip) {
            return AddressClass::Private;
        }
        address::classify(ip, &self.private_ranges)
    }

    /// `10.60.4.5 or 10.60.5.0/24`, or the kind of address where no endpoint is named.
    pub fn wanted_addresses(&self) -> String {
        match (self.endpoints.is_empty(), self.path) {
            (false, _) => self.endpoint_texts().join(" or "),
            (true, ExpectedPath::Any) => "any address".to_owned(),
            (true, path @ (ExpectedPath::Private | ExpectedPath::Public)) => format!("a {path} address"),
        }
    }

    /// `path private, to 10.60.4.5`.
    pub fn path_and_endpoints(&self) -> String {
        match self.endpoint_texts().as_slice() {
            [] => format!("path {}", self.path),
            endpoints => format!("path {}, to {}", self.path, endpoints.join(", ")),
        }
    }

    /// The endpoints as people write them.
    pub fn endpoint_texts(&self) -> Vec<String> {
        self.endpoints.iter().map(address::display_range).collect()
    }

    /// Whether `ip` is one of the expected endpoints, or none are named.
    pub fn is_expected_endpoint(&self, ip: IpAddr) -> bool {
        self.endpoints.is_empty() || address::contains(&self.endpoints, ip)
    }

    /// Whether `ip` is of the expected kind and, where endpoints are named, one of them. Only such
    /// an address is ever given credentials.
    pub fn allows(&self, ip: IpAddr) -> bool {
        let kind = match self.path {
            ExpectedPath::Private => self.class(ip) == AddressClass::Private,
            ExpectedPath::Public => self.class(ip) == AddressClass::Public,
            ExpectedPath::Any => true,
        };
        // A connection to 0.0.0.0 goes to this machine itself.
        kind && self.is_expected_endpoint(ip) && !ip.to_canonical().is_unspecified()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expected_endpoint_outranks_registry() {
        let ip = |text: &str| text.parse().expect("an address");
        let expectation = Expectation {
            endpoints: vec![address::parse_range("20.50.1.10").expect("an address")],
            ..Expectation::default()
        };
        assert!(expectation.allows(ip("20.50.1.10")));
        assert!(!expectation.allows(ip("10.60.4.5")), "private, and not the expected one");
        assert_eq!(expectation.class(ip("20.50.1.11")), AddressClass::Public);
        assert!(!Expectation::default().allows(ip("100.64.0.1")));
    }
}
