//! The agent over HTTP.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use tokio::sync::watch;

use crate::history::History;
use crate::output::metrics::{ExpositionFormat, Metrics};
use crate::record::Record;
use crate::vantage::Vantage;

/// What is served.
pub struct Backend {
    /// What has become of each target.
    pub history: Arc<History>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Where from.
    pub vantage: Vantage,
    /// Probes on demand.
    pub probe: ProbeOnDemand,
    /// Asks for a reload.
    pub reload: ReloadRequest,
    /// Whether the agent is ready.
    pub ready: watch::Receiver<bool>,
}

/// Probes a target that somebody asks for.
pub type ProbeOnDemand =
    Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = Result<Record, ProbeRefused>> + Send>> + Send + Sync>;

/// Why a target is not probed on demand.
#[derive(Debug, PartialEq, Eq)]
pub enum ProbeRefused {
    /// Nothing that may be probed goes by that name.
    UnknownTarget,
    /// Too many are under way.
    Busy,
    /// It is no host name; with the sentence that says so.
    BadTarget(String),
}

/// Asks for a reload and waits for what becomes of it.
pub type ReloadRequest = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// The web configuration.
pub struct WebConfigFile;

impl WebConfigFile {
    /// Reads it.
    ///
    /// # Errors
    /// A sentence.
    pub fn load(path: &Path) -> Result<Self, String> {
        std::fs::read(path).map(|_| Self).map_err(|error| format!("{}: {error}", path.display()))
    }
}

#[derive(serde::Deserialize)]
struct ProbeQuery {
    target: String,
}

/// Serves until `shutdown`.
///
/// # Errors
/// The listener's.
pub async fn serve(
    listener: tokio::net::TcpListener,
    backend: Arc<Backend>,
    _: Option<WebConfigFile>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    type Shared = State<Arc<Backend>>;
    let app = axum::Router::new()
        .route("/metrics", get(|State(b): Shared| async move { b.metrics.encode(ExpositionFormat::Text) }))
        .route(
            "/-/ready",
            get(|State(b): Shared| async move {
                if *b.ready.borrow() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
            }),
        )
        .route(
            "/-/reload",
            post(|State(b): Shared| async move {
                (b.reload)().await.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error))
            }),
        )
        .route(
            "/probe",
            get(|State(b): Shared, Query(query): Query<ProbeQuery>| async move {
                match (b.probe)(query.target).await {
                    Ok(_) => StatusCode::OK,
                    Err(ProbeRefused::UnknownTarget) => StatusCode::NOT_FOUND,
                    Err(ProbeRefused::Busy) => StatusCode::TOO_MANY_REQUESTS,
                    Err(ProbeRefused::BadTarget(_)) => StatusCode::BAD_REQUEST,
                }
            }),
        )
        .with_state(backend);
    axum::serve(listener, app).with_graceful_shutdown(shutdown).await
}
