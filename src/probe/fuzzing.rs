//! The probe's readings by themselves: bytes that a peer could send in, the facts that a record would keep
//! of them out. For the fuzz targets in `fuzz/`, and for everyone who has a capture.
//!
//! Everything goes through the code that a probe goes through. Nothing is connected to, and no name is resolved.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::rustls::pki_types::CertificateDer;

use super::budget::{Budget, Interrupt};
use super::cluster::ClusterOutcome;
use super::connection::{ConnectionOutcome, Connector};
use super::context::ProbeContext;
pub use super::socket_timestamps::CountersOfStream;
use super::socket_timestamps::LastReceived;
use super::tls::{Handshake, Tls, TlsError, TrustAnchors};
#[cfg(feature = "entra")]
use super::token;
use super::token::Tokens;
use super::{cluster, dns, redis};
use crate::expectation::Expectation;
use crate::observation::clients::ClientList;
use crate::observation::dns::{HostsEntry, View};
use crate::observation::tls::{CertificateChecks, CertificateFacts, IntermediateFacts, TlsFacts, TlsFailure};
use crate::observation::{ClusterFacts, ClusterFailure, Connection, ConnectionPhases, Phase, SkipReason};
#[cfg(feature = "entra")]
use crate::observation::{TokenFacts, TokenFailure};
use crate::plan::Plan;
#[cfg(feature = "entra")]
use crate::plan::TokenSource;
#[cfg(feature = "entra")]
use crate::secret::Secret;
use crate::target::HostName;

/// What a name server is asked.
#[derive(Clone, Copy, Debug)]
pub struct DnsQuestions<'a> {
    /// The name, walked along `search` as the C library does.
    pub host: &'a HostName,
    /// The suffixes of the search list.
    pub search: &'a [String],
    /// From how many dots on a name is asked as it is first.
    pub ndots: u32,
    /// The id of each name's question for A; that for AAAA has the next one.
    pub first_id: u16,
}

/// The view of a name server that sends these messages: each a datagram, but for the one after a
/// truncated one, which comes over TCP.
pub async fn dns_view(questions: &DnsQuestions<'_>, expectation: &Expectation, messages: &[&[u8]]) -> View {
    dns::fuzzing::view(questions, expectation, messages).await
}

/// The configuration of the system's resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemResolver {
    /// The name servers, at most three.
    pub servers: Vec<SocketAddr>,
    /// The search list, at most 32 suffixes.
    pub search: Vec<String>,
    /// From how many dots on a name is asked as it is first, at most 15.
    pub ndots: u32,
}

/// Reads a resolv.conf on a machine of that host name; `variable` says what stands in the environment.
pub fn resolv_conf(file: &[u8], hostname: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> SystemResolver {
    dns::fuzzing::system_resolver(file, hostname, variable)
}

/// The sums of a `CLIENT LIST` that arrives in pieces of this many bytes.
pub fn client_list(bytes: &[u8], piece: usize) -> ClientList {
    redis::client_list(bytes, piece)
}

/// What came of a conversation with a Redis.
#[derive(Clone, Debug, PartialEq)]
pub struct RedisSeen {
    /// The phases; of them auth and ping are new.
    pub phases: ConnectionPhases,
    /// The facts of both.
    pub connection: Connection,
    /// The cluster phase, without its connections to the nodes: none of them is tried.
    pub cluster: Phase<ClusterFailure>,
    /// The nodes, as announced.
    pub cluster_facts: Option<ClusterFacts>,
}

/// Authenticates, pings, and asks for the nodes of the cluster, over a stream that is open to `peer`
/// and counts as verified. It takes as long as `plan.timeout`, and no longer.
pub async fn redis<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, plan: &Plan, peer: SocketAddr) -> RedisSeen {
    let (_handle, interrupt) = Interrupt::new();
    let budget = Budget::new(plan.timeout, interrupt);
    let tokens = Tokens::new(Tls::new());
    let context = ProbeContext {
        plan,
        tokens: &tokens,
        budget: &budget,
        query_cluster: true,
        query_client_info: true,
        query_server_info: true,
        list_clients: None,
        detect_plain_redis: false,
    };
    let stream = redis::RespConnection::new(stream, LastReceived::default());
    let redis = redis::run_session(stream, &context, peer.ip()).await;
    let outcome = ConnectionOutcome {
        phases: ConnectionPhases {
            connect: Phase::done(Duration::ZERO),
            tls: Phase::Skipped { reason: SkipReason::Plaintext },
            auth: redis.auth,
            ping: redis.ping,
        },
        connection: Connection {
            auth: redis.auth_facts,
            ping: redis.ping_facts,
            server_sees: redis.server_sees,
            server_info: redis.server_info,
            ..Connection::new(peer, plan.expectation.class(peer.ip()))
        },
        cluster: redis.cluster,
        clients: redis.clients,
    };
    // Without time, no node is connected to.
    let no_time = budget.part(Duration::ZERO);
    let ClusterOutcome { phase: cluster, facts: cluster_facts } =
        cluster::check_nodes(&Connector::new(), plan, &outcome, &no_time).await;
    let ConnectionOutcome { phases, connection, .. } = outcome;
    RedisSeen { phases, connection, cluster, cluster_facts }
}

/// What hands out a token, and has said all that it will say.
#[cfg(feature = "entra")]
pub enum TokenAnswer<S> {
    /// An endpoint, asked over a stream that is open; the secret was sent to it.
    Endpoint(S, Option<Arc<Secret>>),
    /// An `az` with its wait status (wait(2)), its output, and what it complained of.
    Az(i32, Vec<u8>, Vec<u8>),
}

/// The token phase of one answer, without a duration; and the token, where there is one.
#[cfg(feature = "entra")]
pub async fn token<S>(answer: TokenAnswer<S>) -> (Phase<TokenFailure>, TokenFacts, Option<Arc<Secret>>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (source, token) = match answer {
        TokenAnswer::Endpoint(stream, secret) => {
            (TokenSource::ManagedIdentity, token::fuzzing::from_endpoint(stream, secret).await)
        }
        TokenAnswer::Az(status, stdout, stderr) => {
            (TokenSource::AzureCli, token::fuzzing::from_az(status, stdout, stderr).await)
        }
    };
    let mut facts = TokenFacts::of(source);
    match token {
        Ok(token) => {
            token.describe(&mut facts);
            (Phase::done(Duration::ZERO), facts, Some(token.secret()))
        }
        Err(failure) => (Phase::failed(Duration::ZERO, failure), facts, None),
    }
}

/// The lines of a hosts file, hosts(5), that name `name`.
pub fn hosts(file: &[u8], name: &HostName) -> Vec<HostsEntry> {
    dns::fuzzing::hosts(file, name)
}

/// Reads what TLS servers show, with the trust anchors of one file.
pub struct TlsReader(Arc<TrustAnchors>);

impl TlsReader {
    /// Reads the anchors, PEM.
    ///
    /// # Errors
    /// Why they cannot be read.
    pub async fn load(ca_file: &Path) -> Result<Self, TlsFailure> {
        let (_handle, interrupt) = Interrupt::new();
        match Tls::new().trust_anchors(Some(ca_file), &Budget::new(Duration::from_secs(60), interrupt)).await {
            Ok(anchors) => Ok(Self(anchors)),
            Err(TlsError::Failed(failure)) => Err(*failure),
            Err(TlsError::LocalLimit | TlsError::Interrupted) => {
                Err(TlsFailure::Other { error: "interrupted".to_owned() })
            }
        }
    }

    /// The leaf's facts, those of the others, and how each verification would end, of a chain of DER that
    /// a server called `name` shows at the time `at`, in seconds since 1970. `None` where the chain is
    /// empty, or no certificate can be for that name.
    pub fn certificates(
        &self,
        chain: Vec<Vec<u8>>,
        name: &HostName,
        at: u64,
    ) -> Option<(CertificateFacts, Vec<IntermediateFacts>, CertificateChecks)> {
        let chain: Vec<CertificateDer<'static>> = chain.into_iter().map(CertificateDer::from).collect();
        self.0.read_chain(&chain, name, at)
    }

    /// A handshake over a stream that is open, for at most half of `timeout`: why it failed, where it
    /// did, and what the server showed either way.
    pub async fn handshake<S: AsyncRead + AsyncWrite + CountersOfStream + Unpin>(
        &self,
        stream: S,
        name: &HostName,
        timeout: Duration,
    ) -> (Option<TlsFailure>, TlsFacts) {
        let (_handle, interrupt) = Interrupt::new();
        let Handshake { result, facts, .. } = self.0.handshake(name, stream, &Budget::new(timeout, interrupt)).await;
        let failure = match result {
            Err(TlsError::Failed(failure)) => Some(*failure),
            Ok(_) | Err(TlsError::LocalLimit | TlsError::Interrupted) => None,
        };
        (failure, facts)
    }
}
