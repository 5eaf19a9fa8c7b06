//! What is probed: a host name, a port, and how it is spoken to.

mod argument;

use std::fmt;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::azure::{self, Service};

pub use argument::TargetArgument;

/// A host name that DNS can hold, in lower case and without the trailing dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct HostName {
    name: String,
    absolute: bool,
}

impl HostName {
    /// Reads a host name: labels of letters, digits, `-` and `_`, at most 63 characters each and
    /// 253 in all (RFC 1035, 2.3.4), with or without the trailing dot.
    ///
    /// # Errors
    /// What it is instead and what would be accepted, to complete "TEXT is …".
    pub fn parse(text: &str) -> Result<Self, String> {
        let refuse = |why: &str| Err(format!("not a host name: {why}"));
        let (name, absolute) = match text.strip_suffix('.') {
            Some(name) => (name, true),
            None => (text, false),
        };
        if name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            return refuse(
                "it is an address, and redpath proves where a name leads; give the host name, and --connect ADDRESS to go to an address of your choice",
            );
        }
        if name.is_empty() {
            return refuse("it is empty; a name such as cache1.redis.cache.windows.net is expected");
        }
        if name.len() > 253 {
            return refuse("it is longer than the 253 characters that DNS allows");
        }
        for label in name.split('.') {
            if label.is_empty() {
                return refuse("it has an empty label (two dots in a row, or one in front)");
            }
            if label.len() > 63 {
                return refuse("one label is longer than the 63 characters that DNS allows");
            }
            if !label.is_ascii() {
                return refuse("it has characters beyond ASCII; give the xn-- form");
            }
            if let Some(bad) = label.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_')) {
                return refuse(&format!("{bad:?} cannot stand in one; letters, digits, '-' and '.' can"));
            }
            if label.starts_with('-') || label.ends_with('-') {
                return refuse("a label begins or ends with '-'");
            }
        }
        Ok(Self { name: name.to_ascii_lowercase(), absolute })
    }

    /// The name without the trailing dot, in lower case.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// Whether it was written with a trailing dot, so that no search list applies.
    pub fn is_absolute(&self) -> bool {
        self.absolute
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl From<HostName> for String {
    fn from(host: HostName) -> Self {
        if host.absolute { host.name + "." } else { host.name }
    }
}

impl TryFrom<String> for HostName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

/// What is probed, as it stands in a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    /// The name it goes by in metrics and reports; the host name unless configured.
    pub name: String,
    /// The host name that is resolved.
    pub host: HostName,
    /// The port that is connected to.
    pub port: u16,
    /// The service, known from the host name's suffix.
    pub service: Service,
    /// Whether it is spoken to over TLS.
    pub tls: bool,
    /// The name for SNI and for the verification of the certificate; the host name unless configured.
    pub server_name: HostName,
}

impl Target {
    /// A target with all that the host name says by itself.
    pub fn new(host: HostName, port: Option<u16>, tls: bool) -> Self {
        let service = azure::endpoint(host.as_str()).map_or(Service::Other, |endpoint| endpoint.service);
        let usual = if tls { service.tls_port() } else { service.plaintext_port() };
        Self {
            name: host.as_str().to_owned(),
            port: port.unwrap_or(usual),
            service,
            tls,
            server_name: host.clone(),
            host,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_port_is_that_of_the_service() {
        let host = HostName::parse("cache1.redis.cache.windows.net").expect("a host name");
        assert_eq!(Target::new(host.clone(), None, true).port, 6380);
        assert_eq!(Target::new(host.clone(), None, false).port, 6379);
        assert_eq!(Target::new(host, Some(7), true).port, 7);
    }
}
