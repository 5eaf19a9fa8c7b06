//! Held connections: one of each target that has it, kept open by a task of its own across changes of DNS.
//!
//! Each probe pings it, and opens it again, where it was lost, to the address that the probe itself could use.

mod task;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use self::task::{Command, HoldTask, Status};
use super::application::peers::{GivenAddress, KnownAddresses};
use super::budget::Interrupt;
use super::connection::Connector;
use crate::clock::Timestamp;
use crate::expectation::Expectation;
use crate::lock::lock;
use crate::observation::application::ApplicationPath;
use crate::observation::held::{HeldConnection, HeldEnd};
use crate::observation::{Connection, ConnectionPhases, HeldConnectionFacts, HeldState, Resolution};
use crate::plan::{Auth, Plan};

/// How long the connections may take to close when the process ends.
const CLOSE_LIMIT: Duration = Duration::from_millis(500);

/// The connections of a process, by the name and the port of their targets.
#[derive(Default)]
pub(super) struct HeldConnections(Mutex<BTreeMap<(String, u16), Held>>);

/// The task of one target, which ends when this is dropped.
struct Held {
    plan: Plan,
    commands: mpsc::Sender<Command>,
    status: Arc<Mutex<Status>>,
    task: JoinHandle<()>,
}

/// What a probe found.
pub(super) struct FoundByProbe<'a> {
    /// The answers of the views.
    pub(super) resolution: &'a Resolution,
    /// The phases of the connection in use.
    pub(super) phases: &'a ConnectionPhases,
    /// The connection in use.
    pub(super) connection: Option<&'a Connection>,
}

impl HeldConnections {
    /// Pings the target's connection, which takes nothing of the probe's time. The first call starts the task.
    pub(super) fn ping(&self, connector: &Arc<Connector>, plan: &Plan, interrupt: &Interrupt) {
        let mut held = lock(&self.0);
        match held.get(&key(plan)).filter(|held| held.plan == *plan) {
            // Where the queue is full, the task still waits for an earlier reply.
            Some(held) => drop(held.commands.try_send(Command::Ping)),
            None => {
                let (task, commands, status) = HoldTask::new(Arc::clone(connector), plan.clone(), interrupt.clone());
                let task = tokio::spawn(task.run());
                held.insert(key(plan), Held { plan: plan.clone(), commands, status, task });
            }
        }
    }

    /// The state of the target's connection; opens it where it is closed, and the probe could use the cache.
    pub(super) fn after_probe(&self, plan: &Plan, found: &FoundByProbe<'_>) -> Option<HeldConnectionFacts> {
        let held = lock(&self.0);
        let held = held.get(&key(plan))?;
        let status = lock(&held.status);
        if status.open.is_none()
            && let Some(connection) = found.connection.filter(|_| found.phases.ping.is_done())
        {
            // As the probe did: without credentials where it withheld them.
            let auth = if found.phases.auth.is_done() { plan.auth.clone() } else { Auth::None };
            let _ = held.commands.try_send(Command::Open { address: connection.address.ip(), auth });
        }
        Some(facts(&status, plan, found.resolution))
    }

    /// Closes the connections of all plans that are not to be kept.
    pub(super) fn retain(&self, keep: impl Fn(&Plan) -> bool) {
        lock(&self.0).retain(|_, held| keep(&held.plan));
    }

    /// Closes all of them in order, within [`CLOSE_LIMIT`].
    pub(super) async fn close(&self) {
        let all = std::mem::take(&mut *lock(&self.0));
        let tasks: Vec<JoinHandle<()>> = all.into_values().map(|held| held.task).collect();
        let _ = timeout(CLOSE_LIMIT, join_all(tasks)).await;
    }
}

fn key(plan: &Plan) -> (String, u16) {
    (plan.target.name.clone(), plan.target.port)
}

fn facts(status: &Status, plan: &Plan, resolution: &Resolution) -> HeldConnectionFacts {
    let now = Instant::now();
    let connection = match (&status.open, &status.last) {
        (Some(open), _) => Some((open.address, open.opened_at, now.duration_since(open.since).into())),
        (None, Some(last)) => Some((last.address, last.opened_at, last.age)),
        (None, None) => None,
    };
    let connection = connection.map(|(address, opened_at, age_seconds)| HeldConnection {
        address,
        class: plan.expectation.class(address.ip()),
        path: path(address.ip(), opened_at, &plan.expectation),
        in_dns_answer: if plan.connect.is_some() { None } else { in_dns_answer(address.ip(), resolution) },
        opened_at,
        age_seconds,
    });
    let ended = status.last.as_ref().map(|last| HeldEnd {
        address: last.address,
        class: plan.expectation.class(last.address.ip()),
        at: last.ended_at,
        ago_seconds: now.duration_since(last.ended).into(),
        age_seconds: last.age,
        how: last.how,
        reason: last.reason.clone(),
    });
    let state = match (&status.open, &status.last) {
        (Some(open), _) if open.is_waiting => HeldState::Waiting,
        (Some(_), _) => HeldState::Open,
        (None, Some(_)) => HeldState::Closed,
        (None, None) => HeldState::NotOpened,
    };
    let not_opened = status.not_opened.clone();
    HeldConnectionFacts { state, connection, losses: status.losses, not_opened, ended }
}

/// The same words as for the applications' connections. An address that meets the expectation is as expected here
/// whatever DNS gives now, which the record says apart from it.
fn path(ip: IpAddr, at: Timestamp, expectation: &Expectation) -> ApplicationPath {
    let given = GivenAddress { view: String::new(), at, is_current: true };
    KnownAddresses { given: BTreeMap::from([(ip, given)]), ..KnownAddresses::default() }.path(ip, expectation)
}

fn in_dns_answer(ip: IpAddr, resolution: &Resolution) -> Option<bool> {
    let view = resolution.in_use().filter(|view| view.outcome.is_final())?;
    Some(view.ips().any(|given| given.to_canonical() == ip.to_canonical()))
}

#[cfg(test)]
mod tests;
