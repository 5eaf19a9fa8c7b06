//! The agent's HTTP server: accepts connections, within limits, with or without TLS. HTTP/1.1 only.
//!
//! It has a thread of its own, so that requests do not delay probes.

mod connections;
mod cross_site;
mod limits;
mod pages;
mod routes;
mod status_page;
mod tls;
mod users;
mod web_config;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::Response;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tower_service::Service as _;

use crate::clock::Timestamp;
use crate::history::History;
use crate::output::metrics::Metrics;
use crate::record::Record;
use crate::vantage::Vantage;
use connections::Request;
use routes::{App, Peer};

pub use limits::Limits;
pub use web_config::WebConfigFile;

/// The parts of the agent that the server uses.
pub struct Backend {
    /// The latest records and changes of the targets.
    pub history: Arc<History>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Where the agent runs.
    pub vantage: Vantage,
    /// The state of the agent.
    pub state: watch::Receiver<AgentState>,
    /// Probes a target now.
    pub probe: ProbeOnDemand,
    /// Reloads the configuration.
    pub reload: ReloadRequest,
    /// Whether the agent is probing.
    pub ready: watch::Receiver<bool>,
}

/// The state of the agent, for the status page.
#[derive(Clone, Debug)]
pub struct AgentState {
    /// When it started.
    pub started: Timestamp,
    /// When the configuration in force was loaded.
    pub loaded: Timestamp,
    /// When the last reload failed and why, until one succeeds.
    pub reload_error: Option<(Timestamp, String)>,
    /// How often each target is probed.
    pub intervals: BTreeMap<String, Duration>,
    /// Host names that browsers may use for the agent; names below them are allowed as well.
    pub allowed_hosts: Vec<String>,
}

/// Probes the target with that name now, within limits of its own on time and concurrency.
pub type ProbeOnDemand =
    Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = Result<Record, ProbeRefused>> + Send>> + Send + Sync>;

/// Reloads the configuration; the error is a sentence for the operator.
pub type ReloadRequest = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// Why a target is not probed on demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeRefused {
    /// It is neither configured nor under an allowed suffix.
    UnknownTarget,
    /// The maximum number of probes on demand is running.
    Busy,
    /// It is not a valid target, and why.
    BadTarget(String),
}

/// Serves on a thread and runtime of its own until `shutdown` completes, then waits for requests in progress.
pub fn spawn(
    listener: std::net::TcpListener,
    backend: Backend,
    web_config: Option<WebConfigFile>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> JoinHandle<io::Result<()>> {
    tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let served = runtime.block_on(async {
            serve(Limits::default(), TcpListener::from_std(listener)?, Arc::new(backend), web_config, shutdown).await
        });
        runtime.shutdown_background();
        served
    })
}

/// Serves until `shutdown` completes, then waits for requests in progress, within limits.
///
/// # Errors
/// It cannot start: the operating system has no randomness.
pub async fn serve(
    limits: Limits,
    listener: TcpListener,
    backend: Arc<Backend>,
    web_config: Option<WebConfigFile>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let server = Server::new(limits, backend, web_config)?;
    let (drain, draining) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let (stream, peer) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = accept(&listener) => accepted,
        };
        connections.spawn(server.clone().serve_tcp(stream, peer, draining.clone()));
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    drain.send_replace(true);
    let ended = timeout(limits.drain, async { while connections.join_next().await.is_some() {} }).await;
    if ended.is_err() {
        tracing::warn!(connections = connections.len(), "aborting connections whose requests exceed the drain timeout");
        connections.shutdown().await;
    }
    Ok(())
}

/// Serves the requests of one stream, without TLS, as [`serve`] does those of a connection.
///
/// # Errors
/// As for [`serve`].
pub async fn serve_stream<S>(
    limits: Limits,
    stream: S,
    backend: Arc<Backend>,
    web_config: Option<WebConfigFile>,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let server = Server::new(limits, backend, web_config)?;
    let connection = server.app.connections.add(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let (_drain, draining) = watch::channel(false);
    server.serve_http(stream, Peer { connection, tls: None }, draining).await;
    Ok(())
}

/// Accepts a connection. An error of `accept` concerns that connection, or the machine (no free file
/// descriptor): the server continues, in the second case after a pause.
async fn accept(listener: &TcpListener) -> (TcpStream, IpAddr) {
    const PAUSE: Duration = Duration::from_secs(1);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer.ip()),
            Err(error) => match error.kind() {
                io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted => {}
                _ => {
                    tracing::warn!(%error, "cannot accept a connection; trying again in a second");
                    sleep(PAUSE).await;
                }
            },
        }
    }
}

/// The routes, and what they use.
#[derive(Clone)]
struct Server {
    app: Arc<App>,
    router: Router,
}

impl Server {
    fn new(limits: Limits, backend: Arc<Backend>, web_config: Option<WebConfigFile>) -> io::Result<Self> {
        let app = Arc::new(App::new(backend, web_config, limits)?);
        Ok(Self { router: routes::router(Arc::clone(&app)), app })
    }

    async fn serve_tcp(self, stream: TcpStream, peer: IpAddr, draining: watch::Receiver<bool>) {
        let connection = self.app.connections.add(peer);
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "the connection was closed at once");
            return;
        }
        let Some(tls) = self.app.web_config().await.tls.clone() else {
            return self.serve_http(stream, Peer { connection, tls: None }, draining).await;
        };
        let mut drained = draining.clone();
        let handshake = TlsAcceptor::from(Arc::clone(&tls)).accept(stream);
        let handshake = tokio::select! {
            handshake = timeout(self.app.limits.handshake, handshake) => handshake,
            () = connection.must_close() => return,
            () = until_true(&mut drained) => return,
        };
        match handshake {
            Ok(Ok(stream)) => self.serve_http(stream, Peer { connection, tls: Some(tls) }, draining).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    /// Serves the requests of one connection, one after the other.
    async fn serve_http<S>(self, stream: S, peer: Peer, mut draining: watch::Receiver<bool>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Limits { write, response, .. } = self.app.limits;
        let connection = Arc::clone(&peer.connection);
        let service = service_fn(move |request| self.clone().respond(request, peer.clone()));
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(write));
        let mut http = pin!(
            http1::Builder::new()
                .max_headers(limits::MAX_HEADERS)
                .max_buf_size(limits::MAX_HEAD_BYTES)
                .serve_connection(TokioIo::new(Box::pin(stream)), service)
        );
        let ended = tokio::select! {
            ended = http.as_mut() => ended,
            () = connection.must_close() => return tracing::debug!("closed a connection at its limit, or for another"),
            () = until_true(&mut draining) => {
                http.as_mut().graceful_shutdown();
                match timeout(response + write, http).await {
                    Ok(ended) => ended,
                    Err(_) => return tracing::debug!("a connection exceeded the drain timeout"),
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended with an error");
        }
    }

    /// Responds to a request. The connection counts as busy until the client has received the response.
    async fn respond(mut self, mut request: hyper::Request<Incoming>, peer: Peer) -> Result<Response, Infallible> {
        let in_progress = Arc::new(peer.connection.begin_request());
        request.extensions_mut().insert(peer);
        let response = self.router.call(request).await?;
        in_progress.deliver();
        Ok(response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                frame.map_data(|bytes| Bytes::from_owner(InDelivery { bytes, _request: Arc::clone(&in_progress) }))
            }))
        }))
    }
}

/// Bytes of a response; dropped once they are sent.
struct InDelivery {
    bytes: Bytes,
    _request: Arc<Request>,
}

impl AsRef<[u8]> for InDelivery {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Waits until it is true; for ever if the sender is dropped.
async fn until_true(flag: &mut watch::Receiver<bool>) {
    if flag.wait_for(|flag| *flag).await.is_err() {
        std::future::pending::<()>().await;
    }
}
