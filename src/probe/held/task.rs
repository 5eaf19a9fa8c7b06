//! The task that holds one connection: opens it when it is asked to, pings it, and keeps how it ended.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::mpsc;

use crate::clock::{Seconds, Timestamp};
use crate::lock::lock;
use crate::observation::{HeldEndKind, RedisFailure};
use crate::plan::{Auth, Plan};
use crate::probe::budget::{Budget, Interrupt};
use crate::probe::connection::{Connector, OpenedConnection};
use crate::probe::redis::{HeldSession, RespConnection, SessionEnd};

/// The commands of one probe: a `PING`, and the opening where the connection is closed.
const QUEUE: usize = 2;

/// What a task is asked to do.
pub(super) enum Command {
    /// Pings the connection, where it is open.
    Ping,
    /// Opens it, where it is closed.
    Open {
        /// The address that a probe could use.
        address: IpAddr,
        /// What the probe authenticated with.
        auth: Auth,
    },
}

/// The state of a connection, shared with the probes.
#[derive(Default)]
pub(super) struct Status {
    /// The open connection.
    pub(super) open: Option<OpenConnection>,
    /// The last one that was lost.
    pub(super) last: Option<LostConnection>,
    /// How many were lost.
    pub(super) losses: u64,
    /// Why the last attempt to open it failed.
    pub(super) not_opened: Option<String>,
}

/// An open connection.
#[derive(Clone, Copy)]
pub(super) struct OpenConnection {
    /// The peer.
    pub(super) address: SocketAddr,
    /// When it was opened.
    pub(super) opened_at: Timestamp,
    /// The same by the monotonic clock.
    pub(super) since: Instant,
    /// Whether a `PING` waits for its reply.
    pub(super) is_waiting: bool,
}

/// A connection that was lost.
pub(super) struct LostConnection {
    /// The peer.
    pub(super) address: SocketAddr,
    /// When it was opened.
    pub(super) opened_at: Timestamp,
    /// When the end was noticed.
    pub(super) ended_at: Timestamp,
    /// The same by the monotonic clock.
    pub(super) ended: Instant,
    /// How old it was.
    pub(super) age: Seconds,
    /// How it ended.
    pub(super) how: HeldEndKind,
    /// The same in words.
    pub(super) reason: String,
}

/// The task of one target.
pub(super) struct HoldTask {
    connector: Arc<Connector>,
    plan: Plan,
    interrupt: Interrupt,
    commands: mpsc::Receiver<Command>,
    status: Arc<Mutex<Status>>,
}

impl HoldTask {
    /// A task that holds nothing yet. It ends when the sender is dropped.
    pub(super) fn new(
        connector: Arc<Connector>,
        plan: Plan,
        interrupt: Interrupt,
    ) -> (Self, mpsc::Sender<Command>, Arc<Mutex<Status>>) {
        let (sender, commands) = mpsc::channel(QUEUE);
        let status = Arc::default();
        (Self { connector, plan, interrupt, commands, status: Arc::clone(&status) }, sender, status)
    }

    /// Handles commands until the target is removed, or the interrupt is raised.
    pub(super) async fn run(mut self) {
        let interrupt = self.interrupt.clone();
        loop {
            let command = tokio::select! {
                command = self.commands.recv() => command,
                () = interrupt.raised() => None,
            };
            match command {
                None => return,
                Some(Command::Ping) => {}
                Some(Command::Open { address, auth }) => {
                    let plan = Plan { auth, ..self.plan.clone() };
                    if self.hold(&plan, address).await.is_none() {
                        return;
                    }
                }
            }
        }
    }

    /// Opens a connection and holds it until it ends; `None` where the task is to end.
    async fn hold(&mut self, plan: &Plan, address: IpAddr) -> Option<()> {
        let connector = Arc::clone(&self.connector);
        let budget = self.budget(plan);
        let mut opened = match connector.open(plan, address, &budget).await {
            Ok(opened) => opened,
            Err(reason) => {
                lock(&self.status).not_opened = reason;
                return Some(());
            }
        };
        let OpenedConnection { peer, stream, last_received } = &mut opened;
        let mut session = HeldSession::new(RespConnection::new(&mut **stream, last_received.clone()));
        if let Err(end) = session.begin(&connector.context(plan, &budget), address).await {
            lock(&self.status).not_opened = words(&end, plan).map(|(_, reason)| reason);
            session.close(false, &budget).await;
            return Some(());
        }
        let open =
            OpenConnection { address: *peer, opened_at: Timestamp::now(), since: Instant::now(), is_waiting: false };
        {
            let mut status = lock(&self.status);
            (status.open, status.not_opened) = (Some(open), None);
        }
        let end = self.until_end(&mut session, plan).await;
        let lost = end.as_ref().and_then(|end| words(end, plan));
        match lost {
            Some((how, reason)) => self.lost(&open, how, reason),
            None => lock(&self.status).open = None,
        }
        session.close(end.is_none(), &self.budget(plan)).await;
        end.map(|_| ())
    }

    /// Pings on command; why the session ended, `None` where the task is to end.
    async fn until_end(&mut self, session: &mut HeldSession<'_>, plan: &Plan) -> Option<SessionEnd> {
        let (connector, interrupt) = (Arc::clone(&self.connector), self.interrupt.clone());
        loop {
            tokio::select! {
                command = self.commands.recv() => match command {
                    None => return None,
                    Some(Command::Open { .. }) => {}
                    Some(Command::Ping) => {
                        self.set_waiting(true);
                        let budget = self.budget(plan);
                        let answered = session.ping(&connector.context(plan, &budget)).await;
                        self.set_waiting(false);
                        match answered {
                            Ok(()) => {}
                            Err(SessionEnd::Interrupted) => return None,
                            Err(end) => return Some(end),
                        }
                    }
                },
                failure = session.wait_for_end() => return Some(SessionEnd::Failed(failure)),
                () = interrupt.raised() => return None,
            }
        }
    }

    fn budget(&self, plan: &Plan) -> Budget {
        Budget::new(plan.timeout, self.interrupt.clone())
    }

    fn set_waiting(&self, is_waiting: bool) {
        if let Some(open) = &mut lock(&self.status).open {
            open.is_waiting = is_waiting;
        }
    }

    fn lost(&self, open: &OpenConnection, how: HeldEndKind, reason: String) {
        let ended = Instant::now();
        let mut status = lock(&self.status);
        status.open = None;
        status.losses = status.losses.saturating_add(1);
        status.last = Some(LostConnection {
            address: open.address,
            opened_at: open.opened_at,
            ended_at: Timestamp::now(),
            ended,
            age: ended.duration_since(open.since).into(),
            how,
            reason,
        });
    }
}

/// How a session ended, in words, too; `None` for the interrupt.
fn words(end: &SessionEnd, plan: &Plan) -> Option<(HeldEndKind, String)> {
    let limit = Seconds(plan.timeout / 2);
    Some(match end {
        SessionEnd::Interrupted => return None,
        SessionEnd::NotAuthenticated(reason) => (HeldEndKind::ErrorReply, format!("AUTH: {reason}")),
        SessionEnd::Silent(Some(unacknowledged)) if unacknowledged.segments == 0 => (
            HeldEndKind::NoReply,
            format!("the peer's kernel acknowledged the PING, and Redis did not reply within {limit}"),
        ),
        SessionEnd::Silent(Some(unacknowledged)) => (
            HeldEndKind::Silence,
            format!(
                "no acknowledgement of the PING within {limit}; retransmissions by the kernel: {}",
                unacknowledged.retransmits
            ),
        ),
        SessionEnd::Silent(None) => (HeldEndKind::Silence, format!("no reply to the PING within {limit}")),
        SessionEnd::Failed(RedisFailure::Closed) => (HeldEndKind::Fin, "the peer closed it (FIN)".to_owned()),
        SessionEnd::Failed(RedisFailure::Reset) => (HeldEndKind::Rst, "it was reset (RST)".to_owned()),
        SessionEnd::Failed(failure @ RedisFailure::ErrorReply { .. }) => {
            (HeldEndKind::ErrorReply, format!("Redis replied with the error {failure}"))
        }
        SessionEnd::Failed(
            failure @ (RedisFailure::UnexpectedReply { .. }
            | RedisFailure::NotRedis { .. }
            | RedisFailure::TooLong { .. }
            | RedisFailure::Timeout
            | RedisFailure::Other { .. }),
        ) => (HeldEndKind::Other, failure.to_string()),
    })
}
