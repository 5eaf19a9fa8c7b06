//! What is answered: who may ask, the routes, and the headers that every answer carries.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, RETRY_AFTER, VARY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{Request, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::body::{Body as _, Incoming};
use tokio::time::timeout;
use tower_service::Service;

use super::compression::{gzipped, written};
use super::cross_site::{self, RequestOrigin};
use super::limits::{Limits, MAX_BODY_BYTES};
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
use crate::record::Record;

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

/// The routes that are answered without credentials, so that kubelet can probe them.
const OPEN_TO_ALL: [&str; 2] = ["/-/healthy", "/-/ready"];

/// What stands between a connection and the routes.
pub(super) struct HttpService {
    pub(super) limits: Limits,
    backend: Arc<Backend>,
    router: Router,
    web_config: Option<WebConfigFile>,
    without_file: Arc<WebConfig>,
    doorkeeper: Authenticator,
}

impl HttpService {
    /// A door to the routes of `backend`.
    ///
    /// # Errors
    /// The operating system has no randomness.
    pub(super) fn new(backend: Arc<Backend>, web_config: Option<WebConfigFile>, limits: Limits) -> io::Result<Self> {
        let router = router(Arc::clone(&backend));
        Ok(Self {
            limits,
            backend,
            router,
            web_config,
            without_file: Arc::default(),
            doorkeeper: Authenticator::new()?,
        })
    }

    /// The web configuration in force.
    pub(super) async fn web_config(&self) -> Arc<WebConfig> {
        match &self.web_config {
            Some(file) => file.current().await,
            None => self.without_file.clone(),
        }
    }

    /// Answers a request.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response {
        let config = self.web_config().await;
        let mut response = self.admitted(&config, request).await;
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
        response
    }

    async fn admitted(&self, config: &WebConfig, request: Request<Incoming>) -> Response {
        if !OPEN_TO_ALL.contains(&request.uri().path()) {
            if let Some(why) = self.cross_site(config, &request) {
                return (StatusCode::FORBIDDEN, why).into_response();
            }
            let authorization = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
            match self.doorkeeper.authenticate(&config.users, authorization).await {
                AuthOutcome::Granted => {}
                AuthOutcome::Denied => {
                    let ask = [(WWW_AUTHENTICATE, "Basic realm=\"redpath\", charset=\"UTF-8\"")];
                    return (StatusCode::UNAUTHORIZED, ask, "unauthorized\n").into_response();
                }
                AuthOutcome::Busy => return busy(),
            }
        }
        let (head, body) = request.into_parts();
        let too_long = || {
            let why = format!("the request's body is longer than {MAX_BODY_BYTES} bytes, or broke off\n");
            (StatusCode::PAYLOAD_TOO_LARGE, why).into_response()
        };
        if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
            return too_long();
        }
        let body = match timeout(self.limits.body, to_bytes(Body::new(body), MAX_BODY_BYTES)).await {
            Ok(Ok(body)) => body,
            Ok(Err(_)) => return too_long(),
            Err(_) => return (StatusCode::REQUEST_TIMEOUT, "the request's body took too long\n").into_response(),
        };
        let request = Request::from_parts(head, Body::from(body));
        match timeout(self.limits.answer, self.router.clone().call(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(_) => (StatusCode::GATEWAY_TIMEOUT, "the answer took too long\n").into_response(),
        }
    }
}

impl HttpService {
    /// Before anybody is asked for a password: a browser sends it for any page.
    fn cross_site(&self, config: &WebConfig, request: &Request<Incoming>) -> Option<&'static str> {
        let state = self.backend.state.borrow();
        let site = RequestOrigin {
            hostname: &self.backend.vantage.hostname,
            allowed_hosts: &state.allowed_hosts,
            is_authenticated: config.tls.is_some() || !config.users.is_empty(),
        };
        cross_site::refusal(&site, request.uri().path(), request.headers())
    }
}

fn router(backend: Arc<Backend>) -> Router {
    Router::new()
        .route("/", get(root))
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
        .with_state(backend)
}

async fn root(State(backend): State<Arc<Backend>>, headers: HeaderMap, uri: Uri) -> Response {
    let only = match target(uri.query()) {
        Ok(only) => only,
        Err(why) => return (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
    };
    let page = StatusPage {
        vantage: &backend.vantage,
        state: &backend.state.borrow(),
        targets: backend.history.all(),
        only,
        refreshes: !parameters(uri.query()).any(|(key, value)| key == "refresh" && value == "off"),
        now: Timestamp::now(),
    };
    match page.render() {
        Some(page) => html(&headers, page),
        None => (StatusCode::NOT_FOUND, "no such target is configured: / shows all\n").into_response(),
    }
}

async fn code_index(headers: HeaderMap) -> Response {
    html(&headers, codes::html::index())
}

async fn code_page(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match Code::named(&name) {
        Some(code) => html(&headers, codes::html::page(code)),
        None => (StatusCode::NOT_FOUND, "no such code: /codes lists them\n").into_response(),
    }
}

/// A page of ours, with what it may do.
fn html(headers: &HeaderMap, page: String) -> Response {
    let mut response = body(headers, HTML, page.into_bytes());
    if let Ok(policy) = HeaderValue::from_str(&output::html::CONTENT_SECURITY_POLICY) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

async fn metrics(State(backend): State<Arc<Backend>>, headers: HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let format = ExpositionFormat::negotiate(accept);
    let Ok((page, is_gzip)) = written(accepted_encodings(&headers), |to| backend.metrics.write_to(to, format)) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response(); // memory does not refuse to be written to
    };
    let length = page.len();
    let pieces = page.into_iter().map(Ok::<_, Infallible>);
    let mut response = Body::from_stream(futures_util::stream::iter(pieces)).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, length.into());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    if is_gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

async fn probe(State(backend): State<Arc<Backend>>, headers: HeaderMap, uri: Uri) -> Response {
    let refused = |status: StatusCode, why: &str| (status, format!("{}\n", why.escape_debug())).into_response();
    let name = match target(uri.query()) {
        Ok(Some(name)) => name,
        Ok(None) => return refused(StatusCode::BAD_REQUEST, "the parameter target is missing: /probe?target=NAME"),
        Err(why) => return refused(StatusCode::BAD_REQUEST, why),
    };
    match (backend.probe)(name).await {
        Ok(record) => body(&headers, ExpositionFormat::Text.content_type(), blackbox_exposition(&record).into_bytes()),
        Err(ProbeRefused::UnknownTarget) => refused(
            StatusCode::NOT_FOUND,
            "no such target: only configured targets are probed, by their names, and hosts under the configured web.probe.allowed_suffixes",
        ),
        Err(ProbeRefused::Busy) => busy(),
        Err(ProbeRefused::BadTarget(why)) => refused(StatusCode::BAD_REQUEST, &why),
    }
}

async fn records(State(backend): State<Arc<Backend>>, headers: HeaderMap, uri: Uri) -> Response {
    let refused = |status, why: &str| {
        let mut response = json(&headers, Ok(format!("{}\n", serde_json::json!({ "error": why }))));
        *response.status_mut() = status;
        response
    };
    let histories = match target(uri.query()) {
        Ok(None) => backend.history.all().into_iter().map(|(_, history)| history).collect(),
        Ok(Some(name)) => match backend.history.get(&name) {
            Some(history) => vec![history],
            None => return refused(StatusCode::NOT_FOUND, "no such target is configured"),
        },
        Err(why) => return refused(StatusCode::BAD_REQUEST, why),
    };
    let records: Vec<&Record> = histories.iter().filter_map(|history| history.latest.as_deref()).collect();
    json(&headers, output::json::records(&records))
}

async fn ready(State(backend): State<Arc<Backend>>) -> Response {
    if *backend.ready.borrow() {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready yet\n").into_response()
    }
}

async fn reload(State(backend): State<Arc<Backend>>) -> Response {
    match (backend.reload)().await {
        Ok(()) => "reloaded\n".into_response(),
        Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{why}\n")).into_response(),
    }
}

/// The one `target` of a query; other parameters are none of ours.
fn target(query: Option<&str>) -> Result<Option<String>, &'static str> {
    let mut targets = parameters(query).filter(|(key, _)| key == "target").map(|(_, value)| value.into_owned());
    match (targets.next(), targets.next()) {
        (Some(_), Some(_)) => Err("the parameter target stands twice"),
        (Some(name), None) if name.is_empty() => Err("the parameter target is empty"),
        (name, _) => Ok(name),
    }
}

fn parameters(query: Option<&str>) -> url::form_urlencoded::Parse<'_> {
    url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
}

fn json(headers: &HeaderMap, written: serde_json::Result<String>) -> Response {
    match written {
        Ok(text) => body(headers, JSON, text.into_bytes()),
        Err(error) => {
            tracing::error!(%error, "a record could not be written as JSON");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn body(headers: &HeaderMap, content_type: &'static str, bytes: Vec<u8>) -> Response {
    let fixed = |name: HeaderName, value: &'static str| [(name, HeaderValue::from_static(value))];
    let response = match gzipped(accepted_encodings(headers), &bytes) {
        Some(smaller) => (fixed(CONTENT_ENCODING, "gzip"), smaller).into_response(),
        None => bytes.into_response(),
    };
    let mut response = (fixed(VARY, "Accept-Encoding"), response).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn accepted_encodings(headers: &HeaderMap) -> Option<&str> {
    headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok())
}

fn busy() -> Response {
    let wait = [(RETRY_AFTER, "5")];
    (StatusCode::SERVICE_UNAVAILABLE, wait, "too much is under way; try again in a few seconds\n").into_response()
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
