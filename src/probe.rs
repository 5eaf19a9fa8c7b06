//! Runs one probe of one target. Infallible: failures are part of the observation.
//!
//! Nothing here decides what an observation means, and nothing but `dns` resolves the target's name: every
//! other phase is given addresses. The phases are functions called in order, each taking over the
//! open connection of the one before.

pub mod application;
mod blocking_fs;
pub mod budget;
mod clients;
mod cluster;
pub mod connection;
mod context;
mod credential;
mod dns;
#[cfg(any(test, feature = "fuzzing"))] // in the tests so that it is compiled with every check
pub mod fuzzing;
mod held;
pub mod http;
mod posture;
mod redis;
mod socket_timestamps;
mod tcp;
mod tls;
mod token;
mod withhold;

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::OwnedSemaphorePermit;

use self::application::{ApplicationPhase, SeenByProbe};
use self::budget::{Budget, Interrupt};
use self::cluster::ClusterOutcome;
use self::connection::{ConnectionOutcome, Connector};
use self::held::{FoundByProbe, HeldConnections};
use crate::clock::Timestamp;
use crate::observation::cluster::NotTried;
use crate::observation::{
    Connection, ConnectionPhases, LocalLimit, Observation, OldName, OtherConnection, Phases, Resolution, StoppedBy,
};
use crate::plan::arguments::CheckArguments;
use crate::plan::{Addresses, ClusterMode, Plan};

/// The most addresses of one name that are connected to with `addresses: all`.
const MAX_CONNECTIONS: usize = 16;

/// What all probes of a process share: trust anchors, tokens, and the count of the C library's calls.
pub struct Prober {
    resolver: Arc<dns::Resolver>,
    connector: Arc<Connector>,
    origin: dns::Origin,
    /// The last results of the checks of posture; absent where each probe makes them.
    last_posture: Option<posture::LastResults>,
    /// The application phase, with what earlier probes found.
    application: Arc<ApplicationPhase>,
    /// The connections that are held open from probe to probe; absent where probes do not repeat.
    held: Option<HeldConnections>,
}

impl Default for Prober {
    fn default() -> Self {
        Self::new()
    }
}

impl Prober {
    /// Takes up what views gave for a name before a restart, so that a connection opened then is still named.
    pub fn restore_addresses(&self, host: &str, resolution: &Resolution, at: Timestamp) {
        self.application.restore_addresses(host, resolution, at);
    }

    /// A prober; a process needs one. Every probe makes the checks of posture.
    pub fn new() -> Self {
        let (resolver, connector) = (Arc::new(dns::Resolver::new()), Arc::new(Connector::new()));
        let (origin, application) = (dns::Origin::Schedule, Arc::default());
        Self { resolver, connector, origin, last_posture: None, application, held: None }
    }

    /// A prober whose probes repeat, so that the checks of posture have an interval of their own.
    pub fn for_schedule() -> Self {
        let (last_posture, held) = (Some(posture::LastResults::default()), Some(HeldConnections::default()));
        Self { last_posture, held, ..Self::new() }
    }

    /// Closes the held connections of all plans but these.
    pub fn hold_only(&self, keep: impl Fn(&Plan) -> bool) {
        if let Some(held) = &self.held {
            held.retain(keep);
        }
    }

    /// Closes all held connections in order, within half a second: the process ends.
    pub async fn close_held(&self) {
        if let Some(held) = &self.held {
            held.close().await;
        }
    }

    /// The same for one probe on demand: its calls of the C library hold `permit` until they return, and it
    /// leaves no trace in what is known of earlier answers. It makes every check of posture itself.
    pub fn on_demand(&self, permit: OwnedSemaphorePermit) -> Self {
        let (resolver, connector) = (Arc::clone(&self.resolver), Arc::clone(&self.connector));
        let origin = dns::Origin::OnDemand(Arc::new(permit));
        Self { resolver, connector, origin, last_posture: None, application: Arc::default(), held: None }
    }

    /// Probes once. All views are queried concurrently, and the connection starts as soon as the view in use has
    /// answered: another, silent resolver delays nothing, unless credentials wait for it.
    pub async fn probe(&self, plan: &Plan, interrupt: &Interrupt) -> Observation {
        let budget = Budget::new(plan.timeout, interrupt.clone());
        let held = self.held.as_ref().filter(|_| plan.held_connection);
        if let Some(held) = held {
            held.ping(&self.connector, plan, interrupt);
        }
        let (addresses, resolving) = self.resolver.resolve(plan, &self.origin, &budget);
        let resolve_and_connect = async {
            if !withhold::waits_for_resolvers(plan) {
                return tokio::join!(resolving, self.connect_to_answer(plan, addresses, &budget));
            }
            let resolved = resolving.await;
            if resolved.resolution.contradicting(&plan.expectation).is_none() {
                return (resolved, self.connect_to_answer(plan, addresses, &budget).await);
            }
            let without = withhold::without_credentials(plan);
            let connected = self.connect_to_answer(&without, addresses, &budget).await;
            (resolved, withhold::with_reason(plan, connected))
        };
        let token = self.connector.tokens().phase(plan, &budget);
        let old_name = self.probe_old_name(plan, interrupt);
        let ((resolved, connected), token, old) = tokio::join!(resolve_and_connect, token, old_name);
        let dns::Resolved { resolution, phase: resolve, local_limit } = resolved;
        let local_limit = local_limit.or_else(|| connected.local_limit());
        let (token, token_facts) = token.unzip();
        let facts = posture::ProbeFacts {
            resolution: &resolution,
            phases: &connected.phases,
            connection: connected.connection.as_ref(),
        };
        let checker = posture::Checker { connector: &self.connector, last_results: self.last_posture.as_ref() };
        let posture = checker.check(plan, &facts, &budget).await;
        let nodes = connected.cluster.as_ref().and_then(|cluster| cluster.facts.as_ref());
        let seen = SeenByProbe { resolution: &resolution, cluster: nodes, old: old.as_deref() };
        let (application, application_facts) = self.application.run(plan, &seen, &budget).await.unzip();
        let found = FoundByProbe {
            resolution: &resolution,
            phases: &connected.phases,
            connection: connected.connection.as_ref(),
        };
        let held_connection = held.and_then(|held| held.after_probe(plan, &found));
        let overloaded = budget.is_overloaded().then_some(LocalLimit::Overloaded);
        let local_limit = local_limit.or_else(|| connected.local_limit()).or(overloaded);
        let (cluster, cluster_facts) = connected.cluster.map(|cluster| (cluster.phase, cluster.facts)).unzip();
        let connection = connected.connection;
        let connection = connection.map(|connection| connection.with_client_info_compared(&plan.expectation));
        Observation {
            resolution,
            phases: Phases { resolve, connection: connected.phases, token, cluster, posture, application },
            token: token_facts,
            connection,
            other_connections: connected.others,
            cluster: cluster_facts.flatten(),
            application: application_facts.flatten(),
            held_connection,
            clients: None,
            old,
            local_limit,
            check_arguments: CheckArguments::of(plan),
        }
    }

    /// Probes the old name of a migration, where the plan has one.
    async fn probe_old_name(&self, plan: &Plan, interrupt: &Interrupt) -> Option<Box<OldName>> {
        let old = plan.old.as_deref()?;
        let observation = Box::pin(self.probe(old, interrupt)).await;
        let (target, expectation) = (old.target.clone(), old.expectation.clone());
        Some(Box::new(OldName { target, expectation, observation }))
    }

    /// Connects to the address given, or else to those of the view in use as soon as it has answered.
    async fn connect_to_answer(
        &self,
        plan: &Plan,
        answer: impl Future<Output = dns::Addresses>,
        budget: &Budget,
    ) -> Connected {
        let addresses = match plan.connect {
            Some(address) => Ok(vec![address]),
            None => answer.await,
        };
        match addresses.map(|addresses| addresses.into_iter().filter(|ip| plan.reaches(*ip)).collect::<Vec<_>>()) {
            Ok(addresses) => self.connect(plan, &addresses, budget).await,
            Err(stopped_by) => Connected::not_reached(plan, stopped_by),
        }
    }

    /// Resolves the name by every view, and connects to nothing.
    pub async fn resolve(&self, plan: &Plan, interrupt: &Interrupt) -> Resolution {
        let budget = Budget::new(plan.timeout, interrupt.clone());
        let (_, resolved) = self.resolver.resolve(plan, &self.origin, &budget);
        resolved.await.resolution
    }

    async fn connect(&self, plan: &Plan, addresses: &[IpAddr], budget: &Budget) -> Connected {
        let (in_use, others) = match plan.addresses {
            Addresses::First => (addresses, &[][..]),
            Addresses::All => addresses.split_at(addresses.len().min(1)),
        };
        if in_use.is_empty() {
            return Connected::not_reached(plan, StoppedBy::Resolve);
        }
        let others = others.chunks(1).take(MAX_CONNECTIONS - 1);
        let others = others.map(async |address| {
            let ConnectionOutcome { phases, connection, .. } = self.connector.connect(plan, address, budget).await;
            OtherConnection { phases, connection }
        });
        let in_use = async {
            let in_use = self.connector.connect_in_use(plan, in_use, budget).await;
            let cluster = match plan.cluster {
                ClusterMode::Off => None,
                ClusterMode::Auto | ClusterMode::On => {
                    Some(cluster::check_nodes(&self.connector, plan, &in_use, budget).await)
                }
            };
            (in_use, cluster)
        };
        let ((ConnectionOutcome { phases, connection, .. }, cluster), others) = tokio::join!(in_use, join_all(others));
        Connected { phases, connection: Some(connection), others, cluster }
    }
}

/// What came of the connections.
struct Connected {
    phases: ConnectionPhases,
    connection: Option<Connection>,
    others: Vec<OtherConnection>,
    /// Absent where the plan leaves the cluster out.
    cluster: Option<ClusterOutcome>,
}

impl Connected {
    /// The limit of this machine that kept a connection from being made.
    fn local_limit(&self) -> Option<LocalLimit> {
        let others = self.others.iter().any(|other| other.phases.is_stopped_by(StoppedBy::LocalLimit));
        let nodes = self.cluster.as_ref().and_then(|cluster| cluster.facts.as_ref());
        let nodes =
            nodes.is_some_and(|facts| facts.nodes.iter().any(|node| node.not_tried == Some(NotTried::LocalLimit)));
        // Where the resolution was stopped, its limit is known already.
        let in_use = self.connection.is_some() && self.phases.is_stopped_by(StoppedBy::LocalLimit);
        (in_use || others || nodes).then_some(LocalLimit::Descriptors)
    }

    fn not_reached(plan: &Plan, stopped_by: StoppedBy) -> Self {
        let cluster = match plan.cluster {
            ClusterMode::Auto | ClusterMode::On => Some(ClusterOutcome::not_reached(stopped_by)),
            ClusterMode::Off => None,
        };
        Self { phases: ConnectionPhases::not_reached(stopped_by), connection: None, others: Vec::new(), cluster }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{Attempt, AttemptOutcome};

    #[test]
    fn missing_descriptor_is_a_local_limit() {
        let phases = ConnectionPhases::not_reached(StoppedBy::LocalLimit);
        let address = ([10, 60, 4, 5], 6380).into();
        let connection = Connection::new(address, crate::address::AddressClass::Private);
        let attempt = Attempt::of(&phases, None);
        assert_eq!(attempt.outcome, AttemptOutcome::CouldNotTry, "an attempt of posture proves nothing");
        let connected = Connected { phases, connection: Some(connection), others: Vec::new(), cluster: None };
        assert_eq!(connected.local_limit(), Some(LocalLimit::Descriptors));
        for (error, expected) in [(24, Some(LocalLimit::Descriptors)), (23, Some(LocalLimit::Descriptors)), (111, None)]
        {
            assert_eq!(LocalLimit::of(&std::io::Error::from_raw_os_error(error)), expected, "{error}");
        }
    }
}
