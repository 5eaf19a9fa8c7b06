//! The agent over HTTP: accepting connections, within bounds, with or without TLS.
//!
//! It serves what others know (history, metrics) and asks others to act (a probe, a reload); it
//! decides nothing about targets. HTTP/1.1 alone is spoken.

mod compression;
mod cross_site;
mod limits;
mod routes;
mod status_page;
mod tls;
mod users;
mod web_config;
mod write_timeout;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::clock::Timestamp;
use crate::history::History;
use crate::output::metrics::Metrics;
use crate::record::Record;
use crate::vantage::Vantage;

pub use limits::Limits;
pub use web_config::WebConfigFile;

/// What the server serves and whom it asks.
pub struct Backend {
    /// What is known of the targets.
    pub history: Arc<History>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Where the agent looks from.
    pub vantage: Vantage,
    /// What the agent says of itself.
    pub state: watch::Receiver<AgentState>,
    /// Probes a target now.
    pub probe: ProbeOnDemand,
    /// Reads the configuration again.
    pub reload: ReloadRequest,
    /// Whether the agent has begun its work.
    pub ready: watch::Receiver<bool>,
}

/// What the agent says of itself on the status page.
#[derive(Clone, Debug)]
pub struct AgentState {
    /// When it started.
    pub started: Timestamp,
    /// When the configuration in force was taken up.
    pub loaded: Timestamp,
    /// When the last reload failed and why, until one succeeds.
    pub reload_error: Option<(Timestamp, String)>,
    /// How often each target is probed.
    pub intervals: BTreeMap<String, Duration>,
    /// Host names by which the agent may be asked, and those below them.
    pub allowed_hosts: Vec<String>,
}

/// Probes the target of that name now. It bounds its own time and concurrency.
pub type ProbeOnDemand =
    Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = Result<Record, ProbeRefused>> + Send>> + Send + Sync>;

/// Reads the configuration again; the error is a sentence for the operator.
pub type ReloadRequest = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// Why a target is not probed on demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeRefused {
    /// It is neither configured nor under an allowed suffix.
    UnknownTarget,
    /// As many probes as are allowed are under way.
    Busy,
    /// It is no target at all, and why.
    BadTarget(String),
}

/// Serves until `shutdown` completes, then lets the requests under way end, within bounds.
///
/// # Errors
/// The server could not begin: the operating system has no randomness.
pub async fn serve(
    listener: TcpListener,
    backend: Arc<Backend>,
    web_config: Option<WebConfigFile>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    serve_within(Limits::default(), listener, backend, web_config, shutdown).await
}

/// Serves as [`serve`] does, within other bounds.
///
/// # Errors
/// As for [`serve`].
pub async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    backend: Arc<Backend>,
    web_config: Option<WebConfigFile>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let door = Arc::new(routes::HttpService::new(backend, web_config, limits)?);
    let (drain, draining) = watch::channel(false);
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accept = async {
            let place = places.clone().acquire_owned().await;
            (place, accepted(&listener).await)
        };
        let (place, stream) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = accept => accepted,
        };
        let (door, draining) = (door.clone(), draining.clone());
        connections.spawn(async move {
            let _place = place;
            connection(stream, door, draining).await;
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    drain.send_replace(true);
    let ended = timeout(limits.drain, async { while connections.join_next().await.is_some() {} }).await;
    if ended.is_err() {
        tracing::warn!(connections = connections.len(), "ended connections whose requests outlasted the shutdown");
        connections.shutdown().await;
    }
    Ok(())
}

/// Answers the requests that come over a stream that is open already, without TLS of its own, as
/// [`serve`] does those of one connection.
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
    let door = Arc::new(routes::HttpService::new(backend, web_config, limits)?);
    let (_drain, draining) = watch::channel(false);
    requests(stream, door, draining).await;
    Ok(())
}

/// The next connection. An error of `accept` is of one connection, or of this machine (no file
/// descriptor left): neither ends the server, and the latter is not met by trying at once again.
async fn accepted(listener: &TcpListener) -> TcpStream {
    const PAUSE: Duration = Duration::from_secs(1);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
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

async fn connection(stream: TcpStream, door: Arc<routes::HttpService>, draining: watch::Receiver<bool>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "the connection went as it came");
        return;
    }
    match door.web_config().await.tls.clone() {
        None => requests(stream, door, draining).await,
        Some(config) => {
            let mut drained = draining.clone();
            let shaken = tokio::select! {
                shaken = timeout(door.limits.handshake, TlsAcceptor::from(config).accept(stream)) => shaken,
                () = until_true(&mut drained) => return,
            };
            match shaken {
                Ok(Ok(stream)) => requests(stream, door, draining).await,
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            }
        }
    }
}

/// Waits until it is true; for ever where its sender is gone.
async fn until_true(flag: &mut watch::Receiver<bool>) {
    if flag.wait_for(|flag| *flag).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Answers the requests of one connection, one after the other.
async fn requests<S>(stream: S, door: Arc<routes::HttpService>, mut draining: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = door.limits;
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let door = door.clone();
        async move { Ok::<_, Infallible>(door.answer(request).await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_headers(limits::MAX_HEADERS)
            .max_buf_size(limits::MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(write_timeout::WriteTimeout::new(stream, limits.write)), service)
    );
    let over = async {
        tokio::select! {
            () = until_true(&mut draining) => {}
            () = sleep(limits.connection) => {}
        }
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = over => {
            connection.as_mut().graceful_shutdown();
            match timeout(limits.answer + limits.write, connection).await {
                Ok(ended) => ended,
                Err(_) => return tracing::debug!("a connection outlasted its time"),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}
