//! One connection: TCP, TLS, `AUTH`, `PING`, in this order, each phase handing its stream to the next.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use super::budget::Budget;
use super::redis::{self, ClusterQuery, RespConnection};
use super::socket_timestamps::{TimestampGuard, TimestampedStream};
use super::tcp::{self, ConnectError, TcpConnected};
use super::tls::{self, Handshake, Tls, TlsError};
use super::token::Tokens;
use crate::observation::{Connection, ConnectionPhases, Phase, SkipReason, StoppedBy};
use crate::plan::{ClusterMode, Plan};

/// Connects for every target: what is worth keeping between probes is kept here.
pub struct Connector {
    tls: Tls,
    tokens: Tokens,
    #[expect(dead_code, reason = "while it is there, packets are stamped")]
    stamping: TimestampGuard,
}

/// Where the nodes of the cluster go, if they are wanted.
type ClusterSlot<'a> = Option<&'a mut Option<ClusterQuery>>;

impl Default for Connector {
    fn default() -> Self {
        Self::new()
    }
}

impl Connector {
    /// A connector that has read nothing yet.
    pub fn new() -> Self {
        let tls = Tls::new();
        Self { tokens: Tokens::new(tls.clone()), tls, stamping: TimestampGuard::new() }
    }

    /// The tokens that its connections authenticate with.
    pub(super) fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Connects to the first of `addresses` that answers, and goes through the phases on it. It
    /// ends with the budget, whatever the peer does.
    ///
    /// Credentials are sent over this one connection alone, after the certificate was verified, and only
    /// where the address meets the plan's expectation; otherwise the probe goes on without.
    pub async fn connect(&self, plan: &Plan, addresses: &[IpAddr], budget: &Budget) -> (ConnectionPhases, Connection) {
        self.run(plan, addresses, budget, None).await
    }

    /// The same for the connection in use. Where the plan wants it, asks a server that says `PONG` for the nodes of
    /// its cluster; `None` where it did not come to that.
    pub(super) async fn connect_in_use(
        &self,
        plan: &Plan,
        addresses: &[IpAddr],
        budget: &Budget,
    ) -> (ConnectionPhases, Connection, Option<ClusterQuery>) {
        let mut asked = None;
        let wanted = (plan.cluster == ClusterMode::Auto).then_some(&mut asked);
        let (phases, connection) = self.run(plan, addresses, budget, wanted).await;
        (phases, connection, asked)
    }

    async fn run(
        &self,
        plan: &Plan,
        addresses: &[IpAddr],
        budget: &Budget,
        cluster: ClusterSlot<'_>,
    ) -> (ConnectionPhases, Connection) {
        let Some(&first) = addresses.first() else {
            let nowhere = connection(plan, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            return (ConnectionPhases::not_reached(StoppedBy::Resolve), nowhere);
        };
        match tcp::open(plan, addresses, budget).await {
            Ok(opened) => self.after_connect(plan, opened, budget, cluster).await,
            Err(ConnectError::Failed(failed, others)) => {
                let mut connection = connection(plan, failed.address.ip());
                connection.earlier_attempts = others;
                let mut phases = ConnectionPhases::not_reached(StoppedBy::Connect);
                phases.connect = Phase::failed(failed.took_seconds, failed.failure);
                (phases, connection)
            }
            Err(ConnectError::Interrupted(earlier)) => {
                let mut connection = connection(plan, first);
                connection.earlier_attempts = earlier;
                (ConnectionPhases::not_reached(StoppedBy::Interrupt), connection)
            }
        }
    }

    async fn after_connect(
        &self,
        plan: &Plan,
        opened: TcpConnected,
        budget: &Budget,
        cluster: ClusterSlot<'_>,
    ) -> (ConnectionPhases, Connection) {
        let mut connection = connection(plan, opened.address.ip());
        connection.source = opened.source;
        connection.earlier_attempts = opened.earlier;
        let mut phases = ConnectionPhases::not_reached(StoppedBy::Interrupt);
        phases.connect = Phase::done(opened.took);
        let mut tcp = TimestampedStream::new(opened.stream);
        if plan.target.tls {
            self.over_tls(plan, tcp, cluster, budget, &mut phases, &mut connection).await;
        } else {
            phases.tls = Phase::Skipped { reason: SkipReason::Plaintext };
            let arrival = tcp.arrival();
            let talk = RespConnection::new(&mut tcp, arrival);
            redis::run_session(talk, plan, &self.tokens, budget, &mut phases, &mut connection, cluster).await;
        }
        (phases, connection)
    }

    async fn over_tls(
        &self,
        plan: &Plan,
        tcp: TimestampedStream,
        cluster: ClusterSlot<'_>,
        budget: &Budget,
        phases: &mut ConnectionPhases,
        connection: &mut Connection,
    ) {
        let arrival = tcp.arrival();
        let reading = Instant::now();
        let (result, begun, took) = match self.tls.trust(plan.ca_file.as_deref(), budget).await {
            Ok(anchors) => {
                let Handshake { result, facts, begun, took } =
                    anchors.handshake(&plan.target.server_name, tcp, budget).await;
                connection.tls = Some(facts);
                (result, begun, took)
            }
            Err(unverified) => (Err(unverified), reading, reading.elapsed()),
        };
        let failure = match result {
            Ok(mut stream) => {
                phases.tls = Phase::done(took);
                let talk = RespConnection::new(&mut stream, arrival);
                let Some(alert) =
                    redis::run_session(talk, plan, &self.tokens, budget, phases, connection, cluster).await
                else {
                    return;
                };
                (begun.elapsed(), tls::refused_late(&stream, alert))
            }
            Err(TlsError::Failed(failure)) => {
                (took, tls::look_for_plain_redis(connection.address, *failure, budget).await)
            }
            Err(TlsError::Interrupted) => return,
        };
        phases.tls = Phase::failed(failure.0, failure.1);
        phases.auth = Phase::NotReached { stopped_by: StoppedBy::Tls };
        phases.ping = Phase::NotReached { stopped_by: StoppedBy::Tls };
        connection.auth = None;
    }
}

fn connection(plan: &Plan, ip: IpAddr) -> Connection {
    let mut connection = Connection::new(SocketAddr::new(ip, plan.target.port), plan.expectation.class(ip));
    connection.address_given = plan.connect.is_some();
    connection
}
