//! One HTTP request at a time, for the API of a metrics server or a time-stamp authority: over verified TLS, or in plain text without a credential.
//!
//! No proxy, no redirect, no retry, a bounded answer, and errors in words of our own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{HeaderName, HeaderValue};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use url::Url;

use super::budget::{Budget, Interrupt};
use super::tls::{Tls, TlsError};
use crate::bounded_read::{self, FileKind};
use crate::observation::LocalLimit;
use crate::plan::TokenSource;
use crate::printable::excerpt;
use crate::secret::{Secret, quote};
use crate::target::HostName;

/// The most bytes of a response's head.
const MAX_HEAD: usize = 64 << 10;

/// The most bytes of a file with a certificate or a key.
const MAX_PEM: usize = 1 << 20;

/// The limit of connecting to one address.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks one server.
pub struct HttpClient {
    tls: Tls,
    ca_file: Option<PathBuf>,
    certificate: Option<Arc<dyn ResolvesClientCert>>,
    /// The most bytes of a body.
    max_body: usize,
}

/// A header of a request. Its value may be secret.
pub struct Header {
    /// Its name.
    pub name: HeaderName,
    /// Its value.
    pub value: Arc<Secret>,
}

/// What a server answered.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The `Content-Type`, bounded and printable.
    pub content_type: String,
    /// The body.
    pub body: Bytes,
}

impl HttpClient {
    /// A client that trusts the certificates of `ca_file`, or those of the platform.
    pub fn new(ca_file: Option<PathBuf>, max_body: usize) -> Self {
        Self { tls: Tls::new(), ca_file, certificate: None, max_body }
    }

    /// The same with a client certificate, from PEM files.
    ///
    /// # Errors
    /// One sentence that names the file.
    pub fn with_certificate(mut self, chain: &Path, key: &Path) -> Result<Self, String> {
        let read = |path: &Path| {
            bounded_read::read(path, FileKind::FileOrPipe, MAX_PEM).map_err(|error| refuse(path, &error.to_string()))
        };
        let certificates: Result<Vec<CertificateDer<'static>>, _> =
            CertificateDer::pem_slice_iter(&read(chain)?).collect();
        let certificates = certificates.map_err(|_| refuse(chain, "it is no PEM file of certificates"))?;
        if certificates.is_empty() {
            return Err(refuse(chain, "it holds no PEM certificate (-----BEGIN CERTIFICATE-----)"));
        }
        let secret = zeroize::Zeroizing::new(read(key)?);
        let private = PrivateKeyDer::from_pem_slice(&secret).map_err(|_| refuse(key, "it holds no PEM private key"))?;
        let provider = ring::default_provider();
        let certified = CertifiedKey::from_der(certificates, private, &provider)
            .map_err(|_| refuse(key, "it is not the key of the certificate"))?;
        self.certificate = Some(Arc::new(SingleCertAndKey::from(certified)));
        Ok(self)
    }

    /// A token of Entra ID for the query endpoint of an Azure Monitor workspace.
    ///
    /// # Errors
    /// One sentence without secrets.
    pub async fn monitor_token(&self, source: TokenSource) -> Result<Arc<Secret>, String> {
        let token = super::token::monitor_token(&self.tls, source).await;
        token.map(|token| token.secret()).map_err(|failure| format!("no token of Entra ID: {failure}"))
    }

    /// Asks for `url`, within `limit`. A status other than 200 is no error.
    ///
    /// # Errors
    /// One sentence that names the server and the step that failed.
    pub async fn get(&self, url: &Url, headers: &[Header], limit: Duration) -> Result<Response, String> {
        let endpoint = endpoint(url);
        let request = request(url, &endpoint, headers, None)?;
        self.within(url, &endpoint, request, limit).await
    }

    /// Sends a body of that media type to `url`; otherwise as `get`.
    ///
    /// # Errors
    /// As for `get`.
    pub async fn post(&self, url: &Url, media_type: &str, body: Vec<u8>, limit: Duration) -> Result<Response, String> {
        let endpoint = endpoint(url);
        let request = request(url, &endpoint, &[], Some((media_type, body)))?;
        self.within(url, &endpoint, request, limit).await
    }

    async fn within(
        &self,
        url: &Url,
        endpoint: &str,
        request: hyper::Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<Response, String> {
        let within = timeout(limit, self.send(url, endpoint, request)).await;
        within.unwrap_or_else(|_| Err(format!("{endpoint}: no answer within {}", humantime::format_duration(limit))))
    }

    async fn send(&self, url: &Url, endpoint: &str, request: hyper::Request<Full<Bytes>>) -> Result<Response, String> {
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(format!("{endpoint}: it has no host"));
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let addresses = tokio::net::lookup_host((host, port)).await;
        let addresses: Vec<SocketAddr> = addresses
            .map_err(|error| format!("{endpoint}: its name cannot be resolved: {}", without_errno(&error)))?
            .collect();
        let stream = connect(endpoint, &addresses).await?;
        match url.scheme() {
            "http" => self.exchange(endpoint, request, stream).await,
            _ => {
                let stream = self.handshake(endpoint, host, stream).await?;
                self.exchange(endpoint, request, stream).await
            }
        }
    }

    async fn handshake(&self, endpoint: &str, host: &str, tcp: TcpStream) -> Result<Box<dyn Stream>, String> {
        let failed = |why: &str| format!("{endpoint}: TLS failed: {why}");
        let budget = Budget::new(Duration::from_secs(60), Interrupt::new().1); // the request's own limit ends it earlier
        let sentence = |error: TlsError| match error {
            TlsError::Failed(failure) => failed(&failure.to_string()),
            TlsError::LocalLimit => failed(LocalLimit::Descriptors.sentence()),
            TlsError::Interrupted => failed("interrupted"),
        };
        let anchors = self.tls.trust_anchors(self.ca_file.as_deref(), &budget).await.map_err(sentence)?;
        let Some(certificate) = &self.certificate else {
            let name = HostName::parse(host).map_err(|why| failed(&format!("the host is {why}")))?;
            let stream = anchors.handshake(&name, tcp, &budget).await.result.map_err(sentence)?;
            return Ok(Box::new(stream));
        };
        let name = ServerName::try_from(host.to_owned()).map_err(|error| failed(&error.to_string()))?;
        let connector = TlsConnector::from(Arc::new(anchors.config_with_certificate(Arc::clone(certificate))));
        let stream = connector.connect(name, tcp).await.map_err(|error| failed(&excerpt(&error.to_string(), 256)))?;
        Ok(Box::new(stream))
    }

    async fn exchange(
        &self,
        endpoint: &str,
        request: hyper::Request<Full<Bytes>>,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send,
    ) -> Result<Response, String> {
        let broken = |error: hyper::Error| match error.is_parse() {
            true => format!("{endpoint}: the answer is not HTTP"),
            false => format!("{endpoint}: the connection ended before the answer did"),
        };
        let (mut sender, connection) =
            http1::Builder::new().max_buf_size(MAX_HEAD).handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let response = async {
            let response = sender.send_request(request).await.map_err(broken)?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, self.max_body).collect().await;
            let body = body.map_err(|error| match error.downcast::<hyper::Error>() {
                Ok(error) => broken(*error),
                Err(_) => format!("{endpoint}: the answer is longer than {} MiB", self.max_body >> 20),
            })?;
            let content_type = head.headers.get("content-type").and_then(|value| value.to_str().ok());
            let content_type = excerpt(content_type.unwrap_or_default(), 64);
            Ok(Response { status: head.status.as_u16(), content_type, body: body.to_bytes() })
        };
        let mut response = pin!(response);
        tokio::select! {
            response = &mut response => response,
            _ = connection => response.await, // the connection has read all of it
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

async fn connect(endpoint: &str, addresses: &[SocketAddr]) -> Result<TcpStream, String> {
    let mut last = format!("{endpoint}: its name has no address");
    for address in addresses {
        last = match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => format!("{endpoint}: {address}: {}", without_errno(&error)),
            Err(_) => format!("{endpoint}: {address}: the connection timed out"),
        };
    }
    Err(last)
}

fn request(
    url: &Url,
    endpoint: &str,
    headers: &[Header],
    body: Option<(&str, Vec<u8>)>,
) -> Result<hyper::Request<Full<Bytes>>, String> {
    let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let mut builder = hyper::Request::builder()
        .method(if body.is_some() { "POST" } else { "GET" })
        .uri(target)
        .header("host", endpoint)
        .header("user-agent", concat!("redpath/", env!("CARGO_PKG_VERSION")))
        .header("connection", "close");
    for header in headers {
        let mut value = HeaderValue::from_str(header.value.expose())
            .map_err(|_| format!("the value of the header {} has characters that no header may have", header.name))?;
        value.set_sensitive(true);
        builder = builder.header(header.name.clone(), value);
    }
    if let Some((media_type, _)) = &body {
        builder = builder.header("content-type", *media_type);
    }
    let body = body.map(|(_, body)| Bytes::from(body)).unwrap_or_default();
    builder.body(Full::new(body)).map_err(|_| format!("{endpoint}: the request cannot be built"))
}

/// Host and port, without the default port.
fn endpoint(url: &Url) -> String {
    let host = excerpt(url.host_str().unwrap_or_default(), 253);
    url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
}

fn refuse(path: &Path, why: &str) -> String {
    format!("{}: {why}", quote::path(path))
}

fn without_errno(error: &std::io::Error) -> String {
    let text = error.to_string();
    excerpt(text.split(" (os error").next().unwrap_or_default(), 256).to_ascii_lowercase()
}
