//! One connection: TCP, TLS, `AUTH`, `PING`, in this order, each phase handing its stream to the next.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use super::budget::Budget;
use super::context::ProbeContext;
use super::redis::{self, ClientListReply, ClusterQuery, RedisOutcome, RespConnection};
use super::socket_timestamps::{LastReceived, SessionStream, TimestampGuard, TimestampedStream};
use super::tcp::{self, ConnectError, TcpConnected};
use super::tls::{self, Handshake, Tls, TlsError};
use super::token::Tokens;
use crate::observation::{Connection, ConnectionPhases, Phase, SkipReason, StoppedBy, TlsFacts, TlsFailure};
use crate::plan::{ClientNames, ClusterMode, Plan};

/// Connects for every target, with what all probes share: trust anchors and tokens.
pub struct Connector {
    tls: Tls,
    tokens: Tokens,
    #[expect(dead_code, reason = "the kernel timestamps packets while it is open")]
    timestamps: TimestampGuard,
}

/// What came of one connection.
pub struct ConnectionOutcome {
    /// What became of its phases.
    pub phases: ConnectionPhases,
    /// Its addresses, and what the peer showed.
    pub connection: Connection,
    /// The query for the nodes of the cluster; `None` where it was not sent.
    pub(super) cluster: Option<ClusterQuery>,
    /// The clients of the server; `None` where it was not asked.
    pub(super) clients: Option<ClientListReply>,
}

/// A connection whose peer is verified, where the target is with TLS.
pub(super) struct OpenedConnection {
    /// The peer.
    pub(super) peer: SocketAddr,
    /// The stream.
    pub(super) stream: Box<dyn SessionStream>,
    /// When its last bytes were received.
    pub(super) last_received: LastReceived,
}

impl ConnectionOutcome {
    fn not_reached(stopped_by: StoppedBy, connection: Connection) -> Self {
        Self { phases: ConnectionPhases::not_reached(stopped_by), connection, cluster: None, clients: None }
    }
}

impl Default for Connector {
    fn default() -> Self {
        Self::new()
    }
}

impl Connector {
    /// A connector that has read nothing yet.
    pub fn new() -> Self {
        let tls = Tls::new();
        Self { tokens: Tokens::new(tls.clone()), tls, timestamps: TimestampGuard::new() }
    }

    /// The tokens that its connections authenticate with.
    pub(super) fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Connects to the first of `addresses` that answers, and runs the phases on it. It ends with the budget,
    /// whatever the peer does.
    ///
    /// Credentials are sent over this one connection alone, after the certificate was verified, and only
    /// where the address meets the plan's expectation; otherwise the probe goes on without.
    pub async fn connect(&self, plan: &Plan, addresses: &[IpAddr], budget: &Budget) -> ConnectionOutcome {
        let context = ProbeContext { detect_plain_redis: true, ..self.context(plan, budget) };
        self.run(&context, addresses).await
    }

    /// The same by a single TCP connection: a port that does not speak TLS is not tried again without.
    pub(super) async fn connect_once(&self, plan: &Plan, addresses: &[IpAddr], budget: &Budget) -> ConnectionOutcome {
        self.run(&self.context(plan, budget), addresses).await
    }

    /// The same for the connection in use, which is also queried for the nodes of the cluster, if the plan says so.
    pub(super) async fn connect_in_use(&self, plan: &Plan, addresses: &[IpAddr], budget: &Budget) -> ConnectionOutcome {
        let query_cluster = plan.cluster != ClusterMode::Off;
        let context = ProbeContext {
            query_cluster,
            query_client_info: true,
            query_server_info: plan.server_info,
            detect_plain_redis: true,
            ..self.context(plan, budget)
        };
        self.run(&context, addresses).await
    }

    /// The same by a single TCP connection that also asks the server for all its clients.
    pub(super) async fn connect_and_list_clients(
        &self,
        plan: &Plan,
        address: IpAddr,
        (names, budget): (ClientNames, &Budget),
    ) -> ConnectionOutcome {
        let context = ProbeContext { list_clients: Some(names), ..self.context(plan, budget) };
        self.run(&context, &[address]).await
    }

    /// Opens a connection to `address` and verifies the peer, and leaves the session to the caller.
    ///
    /// # Errors
    /// Why there is none, in words; `None` where the interrupt or a limit of this machine stopped it.
    pub(super) async fn open(
        &self,
        plan: &Plan,
        address: IpAddr,
        budget: &Budget,
    ) -> Result<OpenedConnection, Option<String>> {
        let connected = match tcp::open(plan, &[address], budget).await {
            Ok(connected) => connected,
            Err(ConnectError::Failed(failed, _)) => return Err(Some(failed.failure.to_string())),
            Err(ConnectError::Interrupted(_) | ConnectError::LocalLimit(_)) => return Err(None),
        };
        let (peer, stream) = (connected.address, TimestampedStream::new(connected.stream));
        let last_received = stream.last_received();
        if !plan.target.tls {
            return Ok(OpenedConnection { peer, stream: Box::new(stream), last_received });
        }
        let reason = |error| match error {
            TlsError::Failed(failure) => Some(failure.to_string()),
            TlsError::LocalLimit | TlsError::Interrupted => None,
        };
        let anchors = self.tls.trust_anchors(plan.ca_file.as_deref(), budget).await.map_err(reason)?;
        let handshake = anchors.handshake(&plan.target.server_name, stream, budget).await;
        let stream = Box::new(handshake.result.map_err(reason)?);
        Ok(OpenedConnection { peer, stream, last_received })
    }

    /// What a session with this plan shares.
    pub(super) fn context<'a>(&'a self, plan: &'a Plan, budget: &'a Budget) -> ProbeContext<'a> {
        ProbeContext {
            plan,
            tokens: &self.tokens,
            budget,
            query_cluster: false,
            query_client_info: false,
            query_server_info: false,
            list_clients: None,
            detect_plain_redis: false,
        }
    }

    async fn run(&self, context: &ProbeContext<'_>, addresses: &[IpAddr]) -> ConnectionOutcome {
        let plan = context.plan;
        let Some(&first) = addresses.first() else {
            let unspecified = connection(plan, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            return ConnectionOutcome::not_reached(StoppedBy::Resolve, unspecified);
        };
        match tcp::open(plan, addresses, context.budget).await {
            Ok(connected) => self.after_connect(context, connected).await,
            Err(ConnectError::Failed(failed, others)) => {
                let connection = Connection { earlier_attempts: others, ..connection(plan, failed.address.ip()) };
                let connect = Phase::failed(failed.took_seconds, failed.failure);
                let phases = ConnectionPhases { connect, ..ConnectionPhases::not_reached(StoppedBy::Connect) };
                ConnectionOutcome { phases, connection, cluster: None, clients: None }
            }
            Err(ConnectError::Interrupted(earlier_attempts)) => {
                let connection = Connection { earlier_attempts, ..connection(plan, first) };
                ConnectionOutcome::not_reached(StoppedBy::Interrupt, connection)
            }
            Err(ConnectError::LocalLimit(earlier_attempts)) => {
                let connection = Connection { earlier_attempts, ..connection(plan, first) };
                ConnectionOutcome::not_reached(StoppedBy::LocalLimit, connection)
            }
        }
    }

    async fn after_connect(&self, context: &ProbeContext<'_>, connected: TcpConnected) -> ConnectionOutcome {
        let TcpConnected { stream, address, source, took, earlier } = connected;
        let mut tcp = TimestampedStream::new(stream);
        let TlsOutcome { phase: tls, facts: tls_facts, redis } = if context.plan.target.tls {
            self.over_tls(context, tcp, address).await
        } else {
            let last_received = tcp.last_received();
            let stream: &mut dyn SessionStream = &mut tcp;
            let stream = RespConnection::new(stream, last_received);
            let redis = redis::run_session(stream, context, address.ip()).await;
            TlsOutcome { phase: Phase::Skipped { reason: SkipReason::Plaintext }, facts: None, redis }
        };
        ConnectionOutcome {
            phases: ConnectionPhases { connect: Phase::done(took), tls, auth: redis.auth, ping: redis.ping },
            connection: Connection {
                source,
                earlier_attempts: earlier,
                tls: tls_facts,
                auth: redis.auth_facts,
                ping: redis.ping_facts,
                server_sees: redis.server_sees,
                server_info: redis.server_info,
                ..connection(context.plan, address.ip())
            },
            cluster: redis.cluster,
            clients: redis.clients,
        }
    }

    async fn over_tls(&self, context: &ProbeContext<'_>, tcp: TimestampedStream, address: SocketAddr) -> TlsOutcome {
        let (plan, budget) = (context.plan, context.budget);
        let last_received = tcp.last_received();
        let begun = Instant::now();
        let anchors = match self.tls.trust_anchors(plan.ca_file.as_deref(), budget).await {
            Ok(anchors) => anchors,
            Err(TlsError::Failed(failure)) => return TlsOutcome::failed(None, begun.elapsed(), *failure),
            Err(TlsError::LocalLimit) => return TlsOutcome::not_reached(StoppedBy::LocalLimit, None),
            Err(TlsError::Interrupted) => return TlsOutcome::not_reached(StoppedBy::Interrupt, None),
        };
        let handshake = anchors.handshake(&plan.target.server_name, tcp, budget).await;
        let Handshake { result, facts, begun, took } = handshake;
        let mut stream = match result {
            Ok(stream) => stream,
            Err(TlsError::Failed(failure)) => {
                let plain = if context.detect_plain_redis {
                    tls::detect_plain_redis(address, &failure, budget).await
                } else {
                    None
                };
                let failure = plain.unwrap_or(*failure);
                return TlsOutcome::failed(Some(facts), took, failure);
            }
            Err(TlsError::LocalLimit) => return TlsOutcome::not_reached(StoppedBy::LocalLimit, Some(facts)),
            Err(TlsError::Interrupted) => return TlsOutcome::not_reached(StoppedBy::Interrupt, Some(facts)),
        };
        let session: &mut dyn SessionStream = &mut stream;
        let session = RespConnection::new(session, last_received);
        let redis = redis::run_session(session, context, address.ip()).await;
        match redis.tls_alert {
            Some(alert) => TlsOutcome::failed(Some(facts), begun.elapsed(), tls::late_alert(&stream, alert)),
            None => TlsOutcome { phase: Phase::done(took), facts: Some(facts), redis },
        }
    }
}

/// The tls phase, and the session over the stream.
struct TlsOutcome {
    phase: Phase<TlsFailure>,
    facts: Option<TlsFacts>,
    redis: RedisOutcome,
}

impl TlsOutcome {
    fn failed(facts: Option<TlsFacts>, took: Duration, failure: TlsFailure) -> Self {
        Self { phase: Phase::failed(took, failure), facts, redis: RedisOutcome::not_reached(StoppedBy::Tls) }
    }

    fn not_reached(stopped_by: StoppedBy, facts: Option<TlsFacts>) -> Self {
        Self { phase: Phase::NotReached { stopped_by }, facts, redis: RedisOutcome::not_reached(stopped_by) }
    }
}

fn connection(plan: &Plan, ip: IpAddr) -> Connection {
    let connection = Connection::new(SocketAddr::new(ip, plan.target.port), plan.expectation.class(ip));
    Connection { address_given: plan.connect.is_some(), ..connection }
}
