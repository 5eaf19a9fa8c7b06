//! What `redpath connections` found: the applications' own connections to each target, by path.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::diagnosis::Status;
use crate::expectation::{Expectation, ExpectedPath};
use crate::observation::application::{ApplicationFacts, ApplicationPath};
use crate::target::Target;
use crate::vantage::Vantage;

/// The schema, as it stands in the document's field `schema`.
pub const CONNECTIONS_SCHEMA: &str = "redpath.connections/v1";

/// The connections of the applications in one network namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionsReport {
    /// `redpath.connections/v1`.
    #[schemars(extend("const" = CONNECTIONS_SCHEMA))]
    pub schema: String,
    /// Where from.
    pub vantage: Vantage,
    /// When the list was read.
    pub generated_at: Timestamp,
    /// The targets, in the order given.
    pub targets: Vec<TargetConnections>,
}

/// The connections to one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TargetConnections {
    /// The target.
    pub target: Target,
    /// Fail where a connection takes the public path and a private one is expected, warn where one leads to an old
    /// address, unknown where the list or the names of the addresses are missing.
    pub status: Status,
    /// The connections; absent where the list could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<ApplicationFacts>,
    /// Why there is no list, or why its addresses could not be named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl TargetConnections {
    /// Connections whose peers were named by what the views gave.
    pub fn new(target: Target, expectation: &Expectation, application: ApplicationFacts) -> Self {
        let status = status(expectation, &application);
        Self { target, status, application: Some(application), error: None }
    }

    /// Nothing can be said of the target's connections.
    pub fn unknown(target: Target, error: String) -> Self {
        Self { target, status: Status::Unknown, application: None, error: Some(error) }
    }
}

fn status(expectation: &Expectation, application: &ApplicationFacts) -> Status {
    let established = |path| application.established(path) > 0;
    if expectation.path == ExpectedPath::Private && established(ApplicationPath::Public) {
        Status::Fail
    } else if application.peers.iter().any(|peer| peer.unanswered > 0) || established(ApplicationPath::Old) {
        Status::Warn
    } else {
        Status::Pass
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::AddressClass;
    use crate::observation::application::{ApplicationPeer, SocketSource};

    fn facts(path: ApplicationPath, established: u32, unanswered: u32) -> ApplicationFacts {
        let peer = ApplicationPeer {
            path,
            address: "20.50.1.10".parse().expect("an address"),
            class: AddressClass::Public,
            view: None,
            given_at: None,
            of_old_name: false,
            label: None,
            established,
            connecting: unanswered,
            unanswered,
            closing: 3,
            longest_idle_seconds: None,
            median_round_trip_seconds: None,
            worst_round_trip_seconds: None,
        };
        ApplicationFacts {
            source: SocketSource::Netlink,
            netlink_error: None,
            truncated: false,
            peers: vec![peer],
            omitted_peers: 0,
            opened: None,
            opened_last_minute: None,
        }
    }

    #[test]
    fn status_follows_established_connections() {
        let expectation = Expectation::default();
        let of = |path, established, unanswered| status(&expectation, &facts(path, established, unanswered));
        assert_eq!(of(ApplicationPath::Public, 1, 0), Status::Fail);
        assert_eq!(of(ApplicationPath::Public, 0, 0), Status::Pass, "those in TIME_WAIT are over");
        assert_eq!(of(ApplicationPath::Old, 1, 0), Status::Warn);
        assert_eq!(of(ApplicationPath::Expected, 2, 1), Status::Warn, "a SYN is not answered");
        assert_eq!(of(ApplicationPath::Unknown, 5, 0), Status::Pass, "never an accusation");
        let any = Expectation { path: ExpectedPath::Any, ..Expectation::default() };
        assert_eq!(status(&any, &facts(ApplicationPath::Public, 1, 0)), Status::Pass);
    }
}
