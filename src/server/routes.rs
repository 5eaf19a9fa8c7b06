//! The routes, and what every request passes before them: authentication, cross-site checks, headers.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Extension, Path, Request, State};
use axum::http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, RETRY_AFTER, VARY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri, Version};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::time::timeout;
use tokio_rustls::rustls::ServerConfig;

use super::connections::{Connection, Connections};
use super::cross_site::{self, RequestOrigin};
use super::limits::Limits;
use super::pages::{NoRoom, Pages, SharedPage, accepts_gzip};
use super::status_page::StatusPage;
use super::users::{AuthOutcome, Authenticator};
use super::web_config::{WebConfig, WebConfigFile};
use super::{Backend, ProbeRefused};
use crate::clock::Timestamp;
use crate::codes;
use crate::diagnosis::Code;
use crate::output;
use crate::output::metrics::ExpositionFormat;
use crate::output::prometheus::blackbox_exposition;
use crate::output::text::Style;
use crate::printable::printable;
use crate::record::{Record, Report};
use crate::vantage::Vantage;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

/// The routes without authentication, for the probes of kubelet.
const HEALTH: [&str; 2] = ["/-/healthy", "/-/ready"];

/// What the routes use.
pub(super) struct App {
    pub(super) limits: Limits,
    pub(super) connections: Arc<Connections>,
    backend: Arc<Backend>,
    pages: Arc<Pages>,
    web_config: Option<WebConfigFile>,
    default_web_config: Arc<WebConfig>,
    authenticator: Authenticator,
}

/// The connection of a request.
#[derive(Clone)]
pub(super) struct Peer {
    pub(super) connection: Arc<Connection>,
    /// The TLS configuration at the time of the handshake.
    pub(super) tls: Option<Arc<ServerConfig>>,
}

impl App {
    /// # Errors
    /// The operating system has no randomness.
    pub(super) fn new(backend: Arc<Backend>, web_config: Option<WebConfigFile>, limits: Limits) -> io::Result<Self> {
        let connections = Connections::new(limits);
        Ok(Self {
            limits,
            pages: Pages::new(&limits, Arc::clone(&connections)),
            connections,
            backend,
            web_config,
            default_web_config: Arc::default(),
            authenticator: Authenticator::new()?,
        })
    }

    /// The web configuration in force.
    pub(super) async fn web_config(&self) -> Arc<WebConfig> {
        match &self.web_config {
            Some(file) => file.current().await,
            None => Arc::clone(&self.default_web_config),
        }
    }

    /// The response to a request that no route may answer; `None` if one may.
    async fn refusal(&self, config: &WebConfig, peer: &Peer, request: &Parts) -> Option<Response> {
        // RFC 9112, 3.2: two hosts can mean one thing to a proxy and another to this server.
        let hosts = request.headers.get_all(HOST).iter().count();
        if hosts > 1 || (hosts == 0 && request.version == Version::HTTP_11) {
            return Some((StatusCode::BAD_REQUEST, "exactly one Host header is expected\n").into_response());
        }
        if HEALTH.contains(&request.uri.path()) {
            return None;
        }
        if peer.connection.health_only {
            return Some(unavailable("too many connections: only /-/healthy and /-/ready are answered\n"));
        }
        // Before authentication: a browser sends the password with requests of any page.
        if let Some(why) = self.cross_site(config, request) {
            return Some((StatusCode::FORBIDDEN, why).into_response());
        }
        let authorization = request.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        match self.authenticator.authenticate(&config.users, authorization).await {
            AuthOutcome::Granted => None,
            AuthOutcome::Denied => {
                let challenge = [(WWW_AUTHENTICATE, "Basic realm=\"redpath\", charset=\"UTF-8\"")];
                Some((StatusCode::UNAUTHORIZED, challenge, "unauthorized\n").into_response())
            }
            AuthOutcome::Busy => Some(unavailable(BUSY)),
        }
    }

    fn cross_site(&self, config: &WebConfig, request: &Parts) -> Option<&'static str> {
        let state = self.backend.state.borrow();
        let origin = RequestOrigin {
            hostname: &self.backend.vantage.hostname,
            allowed_hosts: &state.allowed_hosts,
            is_authenticated: config.tls.is_some() || !config.users.is_empty(),
        };
        cross_site::refusal(&origin, request.uri.path(), &request.headers)
    }

    /// A page that all clients share.
    async fn shared(
        &self,
        page: SharedPage,
        headers: &HeaderMap,
        render: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
    ) -> Response {
        let version = {
            let state = self.backend.state.borrow();
            (state.loaded, state.reload_error.as_ref().map(|(at, _)| *at))
        };
        let gzip = wants_gzip(headers);
        let bytes = self.pages.shared(page, gzip, version, render).await;
        content(page.content_type(), bytes.map(|bytes| (bytes, gzip)))
    }

    /// A page for this client.
    async fn single(
        &self,
        content_type: &'static str,
        headers: &HeaderMap,
        page: impl FnOnce() -> Vec<u8>,
    ) -> Response {
        content(content_type, self.pages.single(wants_gzip(headers), page).await)
    }
}

impl SharedPage {
    fn content_type(self) -> &'static str {
        match self {
            Self::Metrics(format) => format.content_type(),
            Self::Status { .. } => HTML,
            Self::Records => JSON,
        }
    }
}

/// Every route. Requests need the extension [`Peer`].
pub(super) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(status_page))
        .route("/metrics", get(metrics))
        .route("/probe", get(probe))
        .route("/api/v1/records", get(records))
        .route("/codes", get(code_index))
        .route("/codes/{code}", get(code_page))
        .route("/-/healthy", get(|| async { "healthy\n" }))
        .route("/-/ready", get(ready))
        .route("/-/reload", post(reload))
        .method_not_allowed_fallback(async || (StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n"))
        .fallback(async || {
            let why = "not found: /, /metrics, /probe?target=NAME, /api/v1/records, /codes, /codes/CODE, /-/healthy, /-/ready and /-/reload are served\n";
            (StatusCode::NOT_FOUND, why)
        })
        .layer(middleware::from_fn_with_state(Arc::clone(&app), respond))
        .with_state(app)
}

/// Refuses a request or passes it to its route, and sets the headers of every response.
async fn respond(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let config = app.web_config().await;
    let (head, body) = request.into_parts();
    let mut response = match app.refusal(&config, &peer, &head).await {
        Some(refusal) => refusal,
        None => timeout(app.limits.response, next.run(Request::from_parts(head, body)))
            .await
            .unwrap_or_else(|_| (StatusCode::GATEWAY_TIMEOUT, "the response took too long\n").into_response()),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    for (name, value) in &config.headers {
        headers.insert(name, value.clone());
    }
    // After a change of the TLS configuration, the client is to make a new handshake.
    let is_outdated = peer.tls.as_ref().map(Arc::as_ptr) != config.tls.as_ref().map(Arc::as_ptr);
    if is_outdated || peer.connection.health_only {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn status_page(State(app): State<Arc<App>>, headers: HeaderMap, uri: Uri) -> Response {
    let only = match target(uri.query()) {
        Ok(only) => only,
        Err(why) => return (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
    };
    let refreshes = !has(uri.query(), "refresh", "off");
    let backend = &app.backend;
    let is_one = only.is_some();
    if only.as_deref().is_some_and(|name| backend.history.get(name).is_none()) {
        return (StatusCode::NOT_FOUND, "no such target is configured: / shows all\n").into_response();
    }
    if has(uri.query(), "format", "text") {
        let chosen = |name: &String| only.as_ref().is_none_or(|only| only == name);
        let targets = backend.history.all().into_iter().filter(|(name, _)| chosen(name));
        let records: Vec<Record> = targets.filter_map(|(_, history)| Some((*history.latest?).clone())).collect();
        return app.single(TEXT, &headers, || as_text(&backend.vantage, records, false).into_bytes()).await;
    }
    let render = || {
        let page = StatusPage {
            vantage: &backend.vantage,
            state: &backend.state.borrow(),
            targets: backend.history.all(),
            only,
            refreshes,
            now: Timestamp::now(),
        };
        page.render().into_bytes()
    };
    with_style(match is_one {
        false => app.shared(SharedPage::Status { refreshes }, &headers, |to| to.write_all(&render())).await,
        true => app.single(HTML, &headers, render).await,
    })
}

/// The text output of `redpath check`, for a terminal whose properties are unknown.
fn as_text(vantage: &Vantage, records: Vec<Record>, verbose: bool) -> String {
    let style = Style { color: false, width: 100, unicode: false, verbose };
    output::text::render(&Report::new(vantage.clone(), Timestamp::now(), records), &style)
}

async fn code_index(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    with_style(app.single(HTML, &headers, || codes::html::index().into_bytes()).await)
}

async fn code_page(State(app): State<Arc<App>>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    match Code::named(&name) {
        Some(code) => with_style(app.single(HTML, &headers, || codes::html::page(code).into_bytes()).await),
        None => (StatusCode::NOT_FOUND, "no such code: /codes lists them\n").into_response(),
    }
}

/// An HTML page, with the policy that allows its style.
fn with_style(mut page: Response) -> Response {
    if let Ok(policy) = HeaderValue::from_str(&output::html::CONTENT_SECURITY_POLICY) {
        page.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    page
}

async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let format = app.backend.metrics.negotiate(accept);
    let render = |to: &mut dyn io::Write| {
        app.backend.metrics.http(app.connections.counts());
        app.backend.metrics.write_to(to, format)
    };
    let mut response = app.shared(SharedPage::Metrics(format), &headers, render).await;
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    response
}

async fn probe(State(app): State<Arc<App>>, headers: HeaderMap, uri: Uri) -> Response {
    let refused = |status: StatusCode, why: &str| (status, format!("{}\n", printable(why))).into_response();
    let name = match target(uri.query()) {
        Ok(Some(name)) => name,
        Ok(None) => return refused(StatusCode::BAD_REQUEST, "the parameter target is missing: /probe?target=NAME"),
        Err(why) => return refused(StatusCode::BAD_REQUEST, why),
    };
    match (app.backend.probe)(name).await {
        Ok(record) if has(uri.query(), "debug", "true") => {
            let metrics = blackbox_exposition(&record);
            let page = || {
                let text = as_text(&app.backend.vantage, vec![record], true);
                format!("Log of the probe:\n{text}\nMetrics that would have been returned:\n{metrics}").into_bytes()
            };
            app.single(TEXT, &headers, page).await
        }
        Ok(record) => {
            let page = || blackbox_exposition(&record).into_bytes();
            app.single(ExpositionFormat::Text.content_type(), &headers, page).await
        }
        Err(ProbeRefused::UnknownTarget) => refused(
            StatusCode::NOT_FOUND,
            "no such target: only configured targets are probed, by their names, and hosts under the configured web.probe.allowed_suffixes",
        ),
        Err(ProbeRefused::Busy) => unavailable(BUSY),
        Err(ProbeRefused::BadTarget(why)) => refused(StatusCode::BAD_REQUEST, &why),
    }
}

async fn records(State(app): State<Arc<App>>, headers: HeaderMap, uri: Uri) -> Response {
    let refused = |status: StatusCode, why: &str| {
        (status, [(CONTENT_TYPE, JSON)], format!("{}\n", serde_json::json!({ "error": why }))).into_response()
    };
    let history = &app.backend.history;
    match target(uri.query()) {
        Ok(None) => {
            let latest = || -> Vec<_> { history.all().into_iter().filter_map(|(_, history)| history.latest).collect() };
            app.shared(SharedPage::Records, &headers, |to| to.write_all(&records_json(&latest()))).await
        }
        Ok(Some(name)) => match history.get(&name) {
            Some(history) => {
                let latest: Vec<_> = history.latest.into_iter().collect();
                app.single(JSON, &headers, || records_json(&latest)).await
            }
            None => refused(StatusCode::NOT_FOUND, "no such target is configured"),
        },
        Err(why) => refused(StatusCode::BAD_REQUEST, why),
    }
}

fn records_json(records: &[Arc<Record>]) -> Vec<u8> {
    let records: Vec<&Record> = records.iter().map(Arc::as_ref).collect();
    // Records serialize: a test holds them to their schema.
    output::json::records(&records).unwrap_or_default().into_bytes()
}

async fn ready(State(app): State<Arc<App>>) -> Response {
    if *app.backend.ready.borrow() {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready yet\n").into_response()
    }
}

async fn reload(State(app): State<Arc<App>>) -> Response {
    match (app.backend.reload)().await {
        Ok(()) => "reloaded\n".into_response(),
        Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{why}\n")).into_response(),
    }
}

/// The one `target` of a query; other parameters are ignored.
fn target(query: Option<&str>) -> Result<Option<String>, &'static str> {
    let mut targets = parameters(query).filter(|(key, _)| key == "target").map(|(_, value)| value.into_owned());
    match (targets.next(), targets.next()) {
        (Some(_), Some(_)) => Err("the parameter target is repeated"),
        (Some(name), None) if name.is_empty() => Err("the parameter target is empty"),
        (name, _) => Ok(name),
    }
}

fn parameters(query: Option<&str>) -> url::form_urlencoded::Parse<'_> {
    url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
}

fn has(query: Option<&str>, key: &str, value: &str) -> bool {
    parameters(query).any(|(found_key, found)| found_key == key && found == value)
}

/// A page as a response.
fn content(content_type: &'static str, page: Result<(Bytes, bool), NoRoom>) -> Response {
    let Ok((bytes, gzip)) = page else {
        return unavailable("too many responses in progress; try again in a few seconds\n");
    };
    let fixed = |name: HeaderName, value: &'static str| (name, HeaderValue::from_static(value));
    let headers = [fixed(CONTENT_TYPE, content_type), fixed(VARY, "Accept-Encoding")];
    let mut response = (headers, bytes).into_response();
    if gzip {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn wants_gzip(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).is_some_and(accepts_gzip)
}

const BUSY: &str = "too many requests of this kind in progress; try again in a few seconds\n";

fn unavailable(why: &'static str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "5")], why).into_response()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn probe_query_gives_one_target() {
        assert_eq!(target(None), Ok(None));
        assert_eq!(target(Some("module=x")), Ok(None));
        assert_eq!(target(Some("module=x&target=a%20b%2Bc")), Ok(Some("a b+c".into())));
        assert!(target(Some("target=a&target=b")).is_err());
        assert!(target(Some("target=")).is_err());
    }

    proptest! {
        #[test]
        fn probe_query_any_text_does_not_panic(query in ".{0,100}", name in ".{1,40}") {
            let _ = target(Some(&query));
            let written: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("target", &name).finish();
            prop_assert_eq!(target(Some(&written)), Ok(Some(name)));
        }
    }
}
