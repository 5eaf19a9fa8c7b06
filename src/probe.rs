//! Doing it: one probe of one target, which never fails but says what it saw.
//!
//! Nothing here decides what an observation means, and nothing but `dns` resolves a name: every
//! other phase is given addresses. The phases are functions called in order, each taking over the
//! live connection of the one before.

pub mod budget;
pub mod connection;
mod credential;
mod dns;
mod excerpt;
mod redis;
mod tcp;
mod tls;

use std::net::IpAddr;

use futures_util::future::join_all;
use tokio::sync::oneshot;

use self::budget::{Budget, Interrupt};
use self::connection::Connector;
use crate::observation::{ConnectionPhases, Observation, OtherConnection, Phases, StoppedBy, ViewOutcome};
use crate::plan::{Addresses, Plan};

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
                    Ok(view) if view.outcome == ViewOutcome::Answered => Ok(view.ips().collect()),
                    Ok(view) if view.outcome == ViewOutcome::Interrupted => Err(StoppedBy::Interrupt),
                    Ok(_) | Err(_) => Err(StoppedBy::Resolve),
                },
            };
            match addresses {
                Ok(addresses) => self.connect(plan, &addresses, &budget).await,
                Err(stopped_by) => (ConnectionPhases::not_reached(stopped_by), None, Vec::new()),
            }
        };
        let ((resolution, resolve), (connection_phases, connection, other_connections)) =
            tokio::join!(resolving, connecting);
        Observation {
            resolution,
            phases: Phases { resolve, connection: connection_phases, cluster: None, posture: None },
            connection,
            other_connections,
        }
    }

    async fn connect(
        &self,
        plan: &Plan,
        addresses: &[IpAddr],
        budget: &Budget,
    ) -> (ConnectionPhases, Option<crate::observation::Connection>, Vec<OtherConnection>) {
        let single: Vec<&[IpAddr]> = match plan.addresses {
            Addresses::First => vec![addresses],
            Addresses::All => addresses.chunks(1).take(MAX_CONNECTIONS).collect(),
        };
        let mut done =
            join_all(single.into_iter().map(|some| self.connector.connect(plan, some, budget))).await.into_iter();
        match done.next() {
            None => (ConnectionPhases::not_reached(StoppedBy::Resolve), None, Vec::new()),
            Some((phases, connection)) => {
                let others = done.map(|(phases, connection)| OtherConnection { phases, connection }).collect();
                (phases, Some(connection), others)
            }
        }
    }
}
