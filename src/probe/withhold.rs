//! Credentials that wait for the configured resolvers: where one of these gives another private address
//! than the view in use, which is the endpoint's is unknown, and the connection is made without them.

use super::Connected;
use crate::address::{AddressClass, classify};
use crate::azure::AZURE_DNS;
use crate::expectation::ExpectedPath;
use crate::observation::redis::AuthMethod;
use crate::observation::{Phase, SkipReason};
use crate::plan::{Auth, Plan};

/// Whether credentials may go out only once the resolvers have answered. Where the endpoint is named, or the
/// address is given, no resolver is needed to judge it.
pub(super) fn waits_for_resolvers(plan: &Plan) -> bool {
    let ranges = &plan.expectation.private_ranges;
    let sees_private_zones = |ip| ip == AZURE_DNS || classify(ip, ranges) != AddressClass::Public;
    plan.auth != Auth::None
        && plan.connect.is_none()
        && plan.expectation.path == ExpectedPath::Private
        && plan.expectation.endpoints.is_empty()
        && plan.resolvers.iter().any(|resolver| sees_private_zones(resolver.address.ip()))
}

/// The same plan without its credentials, so that no part of the probe can send them.
pub(super) fn without_credentials(plan: &Plan) -> Plan {
    Plan { auth: Auth::None, ..plan.clone() }
}

/// `connected`, which was made without credentials, with those of `plan` as withheld.
pub(super) fn with_reason(plan: &Plan, connected: Connected) -> Connected {
    let Connected { mut phases, mut connection, .. } = connected;
    if matches!(phases.auth, Phase::Skipped { reason: SkipReason::NoCredentials }) {
        phases.auth = Phase::Skipped { reason: SkipReason::WithheldResolverDisagreement };
    }
    if let Some(facts) = connection.as_mut().and_then(|connection| connection.auth.as_mut()) {
        facts.method = match plan.auth {
            Auth::None => AuthMethod::None,
            Auth::Password { .. } => AuthMethod::Password,
            Auth::Entra(_) => AuthMethod::Entra,
        };
    }
    Connected { phases, connection, ..connected }
}
