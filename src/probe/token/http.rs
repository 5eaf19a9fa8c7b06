//! The HTTP client of the token phase: one request per token, over verified TLS; in plain HTTP to the metadata
//! service alone. No proxy, no redirect, no retry, a bounded answer, and errors in words of our own.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::Headers;
use azure_core::http::request::{Body, Request};
use azure_core::http::{AsyncRawResponse, HttpClient, StatusCode, Url};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::FetchStage;
use super::redact::{FailureSlot, redact};
use crate::lock::lock;
use crate::observation::LocalLimit;
use crate::observation::TokenFailure;
use crate::observation::token::TokenStep;
use crate::printable::{excerpt, excerpt_of_bytes};
use crate::probe::budget::{Budget, Interrupt};
use crate::probe::tls::{Tls, TlsError};
use crate::secret::Secret;
use crate::target::HostName;

/// The most bytes of a response's body, and of its head.
const MAX_BODY: usize = 1 << 20;
const MAX_HEAD: usize = 64 << 10;

/// The metadata service of a virtual machine: plain HTTP, at this address alone.
pub(super) const METADATA_SERVICE: &str = "169.254.169.254";

/// The limits of connecting to one address, and of the whole request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// A client for one request.
pub(super) struct Client {
    tls: Tls,
    stage: Arc<FetchStage>,
    failure: FailureSlot,
    /// The secret in the request, which is removed from error texts.
    secret: Option<Arc<Secret>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let response = timeout(REQUEST_TIMEOUT, self.send(request)).await.unwrap_or_else(|_| Err(self.stage.timeout()));
        to_sdk_response(response, &self.failure)
    }
}

/// The body as a response of the SDK; otherwise leaves the failure in the slot.
pub(super) fn to_sdk_response(
    body: Result<Bytes, TokenFailure>,
    slot: &FailureSlot,
) -> azure_core::Result<AsyncRawResponse> {
    body.map(|body| AsyncRawResponse::from_bytes(StatusCode::Ok, Headers::new(), body)).map_err(|failure| {
        *lock(slot) = Some(failure);
        // The SDK does not retry an error of this kind.
        Error::with_message(ErrorKind::Credential, "the request failed")
    })
}

impl Client {
    pub(super) fn new(tls: &Tls, stage: &Arc<FetchStage>, failure: &FailureSlot, secret: Option<Arc<Secret>>) -> Self {
        Self { tls: tls.clone(), stage: Arc::clone(stage), failure: Arc::clone(failure), secret }
    }

    /// Host and port, without the default port.
    pub(super) fn endpoint(url: &Url) -> String {
        let host = excerpt(url.host_str().unwrap_or_default(), 253);
        url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
    }

    /// Sends the request; returns the body of a response with status 200 and JSON that has a token.
    async fn send(&self, request: &Request) -> Result<Bytes, TokenFailure> {
        let url = request.url();
        let endpoint = Self::endpoint(url);
        match (url.scheme(), url.host_str(), url.port_or_known_default()) {
            ("http", Some(METADATA_SERVICE), Some(80)) => {
                let addresses = [SocketAddr::from(([169, 254, 169, 254], 80))];
                let stream = self.connect(&endpoint, &addresses).await?;
                self.exchange(&endpoint, request, stream).await
            }
            ("https", Some(host), Some(port)) => {
                let name = HostName::parse(host).map_err(|why| TokenFailure::NotConfigured {
                    error: format!("the host of the token endpoint is {why}"),
                })?;
                self.stage.set(&endpoint, TokenStep::Resolve);
                let addresses = tokio::net::lookup_host((name.as_str(), port)).await;
                let addresses: Vec<SocketAddr> = addresses
                    .map_err(|error| unreachable(&endpoint, TokenStep::Resolve, &error.to_string()))?
                    .collect();
                let stream = self.connect(&endpoint, &addresses).await?;
                self.stage.set(&endpoint, TokenStep::Tls);
                let stream = self.handshake(&endpoint, &name, stream).await?;
                self.exchange(&endpoint, request, stream).await
            }
            _ => Err(TokenFailure::NotConfigured {
                error: format!(
                    "{endpoint} is not allowed as a token endpoint: it must be https, or {METADATA_SERVICE} over http"
                ),
            }),
        }
    }

    async fn connect(&self, endpoint: &str, addresses: &[SocketAddr]) -> Result<TcpStream, TokenFailure> {
        self.stage.set(endpoint, TokenStep::Connect);
        let mut last = unreachable(endpoint, TokenStep::Connect, "its name has no address");
        for address in addresses {
            last = match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => {
                    unreachable(endpoint, TokenStep::Connect, &format!("{address}: {}", without_errno(&error)))
                }
                Err(_) => TokenFailure::Timeout { endpoint: endpoint.to_owned(), step: TokenStep::Connect },
            };
        }
        Err(last)
    }

    async fn handshake(
        &self,
        endpoint: &str,
        name: &HostName,
        tcp: TcpStream,
    ) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + use<>, TokenFailure> {
        let budget = Budget::new(REQUEST_TIMEOUT, Interrupt::new().1); // the timeout of the request ends it earlier
        let stream = match self.tls.trust_anchors(None, &budget).await {
            Ok(anchors) => anchors.handshake(name, tcp, &budget).await.result,
            Err(error) => Err(error),
        };
        stream.map_err(|error| match error {
            TlsError::Failed(failure) => unreachable(endpoint, TokenStep::Tls, &failure.to_string()),
            TlsError::LocalLimit => unreachable(endpoint, TokenStep::Tls, LocalLimit::Descriptors.sentence()),
            TlsError::Interrupted => unreachable(endpoint, TokenStep::Tls, "interrupted"),
        })
    }

    /// Sends the request over an open stream, as `send`.
    pub(super) async fn exchange(
        &self,
        endpoint: &str,
        request: &Request,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send,
    ) -> Result<Bytes, TokenFailure> {
        self.stage.set(endpoint, TokenStep::Answer);
        let bad = |error: &str| TokenFailure::BadAnswer { endpoint: endpoint.to_owned(), error: error.to_owned() };
        let broken = |error: hyper::Error| match error.is_parse() {
            true => bad("it is not HTTP"),
            false => unreachable(endpoint, TokenStep::Answer, "the connection ended before the answer did"),
        };
        let request = to_hyper_request(request).ok_or_else(|| bad("the request cannot be built"))?;
        let (mut sender, connection) =
            http1::Builder::new().max_buf_size(MAX_HEAD).handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let response = async {
            let response = sender.send_request(request).await.map_err(broken)?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_BODY).collect().await;
            let body = body.map_err(|error| match error.downcast::<hyper::Error>() {
                Ok(error) => broken(*error),
                Err(_) => bad("it is longer than 1 MiB"),
            })?;
            Ok((head.status.as_u16(), body.to_bytes()))
        };
        let mut response = pin!(response);
        let (status, body) = tokio::select! {
            response = &mut response => response?,
            _ = connection => response.await?, // the connection has read all of it
        };
        self.check_status(endpoint, status, body)
    }

    fn check_status(&self, endpoint: &str, status: u16, body: Bytes) -> Result<Bytes, TokenFailure> {
        let bad = |error: String| Err(TokenFailure::BadAnswer { endpoint: endpoint.to_owned(), error });
        match status {
            200 => match serde_json::from_slice::<TokenResponse>(&body) {
                Ok(TokenResponse { access_token: Some(_) }) => Ok(body),
                Ok(_) => bad("it has no access_token".to_owned()),
                Err(_) => bad("it is not JSON".to_owned()),
            },
            300..400 => bad(format!("HTTP {status}, a redirect, which is never followed")),
            _ => {
                let (code, message) = parse_error(&body, self.secret.as_deref());
                Err(TokenFailure::Rejected { endpoint: endpoint.to_owned(), status, code, message })
            }
        }
    }
}

#[derive(Deserialize)]
struct TokenResponse {
    access_token: Option<serde::de::IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorResponse {
    error: String,
    error_description: String,
}

/// The code and the message of an error response (RFC 6749, 5.2). Entra's own code is in the message.
fn parse_error(body: &[u8], secret: Option<&Secret>) -> (Option<String>, String) {
    let Ok(ErrorResponse { error, error_description }) = serde_json::from_slice(body) else {
        return (None, redact(&excerpt_of_bytes(body, 120), secret));
    };
    // The trace IDs that follow differ each time.
    let description = error_description.split("Trace ID:").next().unwrap_or_default();
    let message = redact(description, secret);
    let is_code =
        |text: &str| (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let entra = message.split(':').next().filter(|word| word.starts_with("AADSTS") && is_code(word));
    let own = Some(error.as_str()).filter(|word| is_code(word) && !secret.is_some_and(|s| s.is_repeated_in(word)));
    (entra.or(own).map(str::to_owned), message)
}

fn to_hyper_request(request: &Request) -> Option<hyper::Request<Full<Bytes>>> {
    let url = request.url();
    let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let Body::Bytes(body) = request.body() else { return None };
    let mut builder = hyper::Request::builder()
        .method(request.method().as_ref())
        .uri(target)
        .header("host", Client::endpoint(url))
        .header("connection", "close");
    for (name, value) in request.headers().iter() {
        builder = builder.header(name.as_str(), value.as_str());
    }
    builder.body(Full::new(body.clone())).ok()
}

fn unreachable(endpoint: &str, step: TokenStep, error: &str) -> TokenFailure {
    TokenFailure::Unreachable { endpoint: endpoint.to_owned(), step, error: excerpt(error, 256) }
}

fn without_errno(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_response_gives_code_and_message() {
        let entra = br#"{"error":"unauthorized_client","error_description":"AADSTS700016: Application with identifier '1' was not found in the directory. Trace ID: 5 Correlation ID: 6","error_codes":[700016]}"#;
        let (code, message) = parse_error(entra, None);
        assert_eq!(code.as_deref(), Some("AADSTS700016"));
        assert_eq!(message, "AADSTS700016: Application with identifier '1' was not found in the directory");
        let (code, message) =
            parse_error(br#"{"error":"invalid_request","error_description":"Identity not found"}"#, None);
        assert_eq!((code.as_deref(), message.as_str()), (Some("invalid_request"), "Identity not found"));
        let secret = Secret::new("canary-assertion".into());
        let (code, message) =
            parse_error(br#"{"error":"canary","error_description":"you sent canary-assertion"}"#, Some(&secret));
        assert!(code.is_none() && message.starts_with("(withheld"), "{code:?} {message}");
        assert_eq!(parse_error(b"<html>", None), (None, "<html>".into()));
    }
}
