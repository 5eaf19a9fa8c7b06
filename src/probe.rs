//! Doing it: one probe of one target, which never fails but says what it saw.
//!
//! Nothing here decides what an observation means, and nothing but `dns` resolves the target's name: every
//! other phase is given addresses. The phases are functions called in order, each taking over the
//! live connection of the one before.

pub mod application;
mod blocking_fs;
pub mod budget;
mod cluster;
pub mod connection;
mod credential;
mod dns;
mod escape;
#[cfg(any(test, feature = "fuzzing"))] // in the tests so that it is compiled with every check
pub mod fuzzing;
mod posture;
mod redis;
mod socket_timestamps;
mod tcp;
mod tls;
mod token;

use std::net::IpAddr;

use futures_util::future::join_all;
use tokio::sync::oneshot;

use self::budget::{Budget, Interrupt};
use self::connection::Connector;
use crate::observation::{
    ClusterFacts, ClusterFailure, Connection, ConnectionPhases, Observation, OtherConnection, Phase, Phases, StoppedBy,
    ViewOutcome,
};
use crate::plan::{Addresses, ClusterMode, Plan};

/// The most addresses of one name that are connected to with `addresses: all`.
const MAX_CONNECTIONS: usize = 16;

/// What all probes of a process share: trust anchors, and the count of the C library's calls.
pub struct Prober {
    resolver: dns::Resolver,
    connector: Connector,
}

impl Default for Prober {
    fn default() -> Self {
        Self::new()
    }
}

impl Prober {
    /// A prober; a process needs one.
    pub fn new() -> Self {
        Self { resolver: dns::Resolver::new(), connector: Connector::new() }
    }

    /// Probes once. The views are asked side by side, and the connection begins as soon as the view
    /// in use has answered: a silent resolver beside it delays nothing.
    pub async fn probe(&self, plan: &Plan, interrupt: &Interrupt) -> Observation {
        let budget = Budget::new(plan.timeout, interrupt.clone());
        let (sender, answer) = oneshot::channel();
        let resolving = self.resolver.resolve(plan, &budget, sender);
        let connecting = async {
            let addresses = match plan.connect {
                Some(address) => Ok(vec![address]),
                None => match answer.await {
                    Ok(view) if view.outcome == ViewOutcome::Answered => {
                        Ok(view.ips().filter(|ip| plan.reaches(*ip)).collect())
                    }
                    Ok(view) if view.outcome == ViewOutcome::Interrupted => Err(StoppedBy::Interrupt),
                    Ok(_) | Err(_) => Err(StoppedBy::Resolve),
                },
            };
            match addresses {
                Ok(addresses) => self.connect(plan, &addresses, &budget).await,
                Err(stopped_by) => Connected::not_reached(plan, stopped_by),
            }
        };
        let token = self.connector.tokens().phase(plan, &budget);
        let ((resolution, resolve), connected, token) = tokio::join!(resolving, connecting, token);
        let (token, token_facts) = token.unzip();
        let (cluster, cluster_facts) = connected.cluster.unzip();
        let seen = posture::ProbeFacts {
            resolution: &resolution,
            phases: &connected.phases,
            connection: connected.connection.as_ref(),
        };
        let posture = posture::look(&self.connector, plan, &seen, &budget).await;
        Observation {
            resolution,
            phases: Phases { resolve, connection: connected.phases, token, cluster, posture },
            token: token_facts,
            connection: connected.connection,
            other_connections: connected.others,
            cluster: cluster_facts.flatten(),
        }
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
        let others = join_all(others.map(|address| self.connector.connect(plan, address, budget)));
        let in_use = async {
            let (phases, connection, asked) = self.connector.connect_in_use(plan, in_use, budget).await;
            let cluster = match plan.cluster {
                ClusterMode::Off => None,
                ClusterMode::Auto => {
                    Some(cluster::walk(&self.connector, plan, &phases, &connection, asked, budget).await)
                }
            };
            (phases, connection, cluster)
        };
        let ((phases, connection, cluster), others) = tokio::join!(in_use, others);
        let others = others.into_iter().map(|(phases, connection)| OtherConnection { phases, connection }).collect();
        Connected { phases, connection: Some(connection), others, cluster }
    }
}

/// What came of the connections.
struct Connected {
    phases: ConnectionPhases,
    connection: Option<Connection>,
    others: Vec<OtherConnection>,
    /// The walk over the cluster; absent where it was not wanted.
    cluster: Option<(Phase<ClusterFailure>, Option<ClusterFacts>)>,
}

impl Connected {
    fn not_reached(plan: &Plan, stopped_by: StoppedBy) -> Self {
        let cluster = match plan.cluster {
            ClusterMode::Auto => Some((Phase::NotReached { stopped_by }, None)),
            ClusterMode::Off => None,
        };
        Self { phases: ConnectionPhases::not_reached(stopped_by), connection: None, others: Vec::new(), cluster }
    }
}
