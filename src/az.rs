//! Files of JSON that `az` printed: what they say about a target, and what is expected of it for that.
//!
//! They are recognized by content, in the command line's flattened form and in ARM's nested one, and any
//! mix of them makes one [`AzFiles`]. Only keys that are known are kept: an access key never gets past
//! the reader. What a fact means is the diagnosis' to say.

mod classify;
pub mod client_log;
mod migration;
mod object;
mod read;
mod select;
mod tree;

use std::path::Path;

use crate::azure::facts::{
    AzCache, AzConnection, AzDatabase, AzEndpoint, AzLink, AzMigration, AzMigrationValidation, AzRecord, AzZone,
    AzZoneGroup,
};
use crate::bounded_read::FileKind;
use crate::expectation::{Expectation, ExpectedPath};
use crate::printable::printable;
use crate::secret::quote;
use crate::target::{HostName, Target};

pub use read::MAX_BYTES;

/// Everything that some files say, about whatever resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AzFiles {
    caches: Vec<AzCache>,
    databases: Vec<AzDatabase>,
    endpoints: Vec<AzEndpoint>,
    connections: Vec<AzConnection>,
    zone_groups: Vec<AzZoneGroup>,
    zones: Vec<AzZone>,
    links: Vec<AzLink>,
    records: Vec<AzRecord>,
    migrations: Vec<AzMigration>,
    validations: Vec<AzMigrationValidation>,
    empty_files: Vec<String>,
}

impl AzFiles {
    /// Reads one file, at most 16 MiB of it.
    ///
    /// # Errors
    /// One sentence: which file, where in it, and what is expected.
    pub fn read(path: &Path, kind: FileKind) -> Result<Self, String> {
        let file = printable(&path.display().to_string()).into_owned();
        read::bytes(path, kind)
            .and_then(|bytes| Self::decode(bytes, &file))
            .map_err(|error| format!("{}: {error}", quote::path(path)))
    }

    /// Reads the bytes of a file, UTF-8 or, with its mark, UTF-16; `file` as in [`AzFiles::parse`].
    ///
    /// # Errors
    /// As for [`AzFiles::parse`].
    pub fn decode(bytes: Vec<u8>, file: &str) -> Result<Self, String> {
        read::decoded(bytes).and_then(|text| Self::parse(&text, file))
    }

    /// Reads text; `file` is what its facts are said to rest on.
    ///
    /// # Errors
    /// One sentence: where in it, and what is expected.
    pub fn parse(text: &str, file: &str) -> Result<Self, String> {
        classify::facts(&tree::parse(text)?, file)
    }

    /// These facts and those.
    pub fn extend(&mut self, other: Self) {
        self.caches.extend(other.caches);
        self.databases.extend(other.databases);
        self.endpoints.extend(other.endpoints);
        self.connections.extend(other.connections);
        self.zone_groups.extend(other.zone_groups);
        self.zones.extend(other.zones);
        self.links.extend(other.links);
        self.records.extend(other.records);
        self.migrations.extend(other.migrations);
        self.validations.extend(other.validations);
        self.empty_files.extend(other.empty_files);
    }

    /// Sets what is not given: the port, and the addresses of a private path. What is given stays, and
    /// the diagnosis tells where the files say otherwise.
    pub fn expect(&self, target: &mut Target, is_port_given: bool, expectation: &mut Expectation) {
        let facts = self.about(&target.host);
        if let Some(port) = facts.port(target.tls).filter(|_| !is_port_given) {
            target.port = port;
        }
        if expectation.endpoints.is_empty() && expectation.path == ExpectedPath::Private {
            expectation.endpoints =
                facts.addresses(target.host.as_str()).into_iter().map(|(ip, _)| ip.to_canonical().into()).collect();
        }
        expectation.az = Some(Box::new(facts));
    }

    /// The host names of the caches that the files are about, each once.
    pub fn hosts(&self) -> Vec<HostName> {
        let of_caches = self.caches.iter().map(|cache| cache.host.as_str());
        let names = self.endpoints.iter().flat_map(|endpoint| &endpoint.names);
        let of_endpoints = names
            .filter_map(|name| name.fqdn.as_deref())
            .filter(|fqdn| crate::azure::endpoint(fqdn).is_some_and(|endpoint| !endpoint.is_privatelink_name));
        let mut hosts: Vec<HostName> = Vec::new();
        for host in of_caches.chain(of_endpoints).filter_map(|host| HostName::parse(host).ok()) {
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        hosts
    }
}
