//! Stand-ins of the token endpoint (TLS, on loopback) and of the metadata service (plain HTTP, behind a Unix socket
//! that a namespace reaches through socat), and the tokens that they hand out.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::certificates::Files;

/// The identity that the tokens are for.
pub(crate) const OBJECT_ID: &str = "0b1dc0de-1111-2222-3333-444455556666";

/// What every token and every service account token of the tests holds, and no output may.
pub(crate) const CANARY: &str = "CanaryToken7f3a";

/// A token that was issued `age` seconds ago and lives for `life`: the `number`th one.
pub(crate) fn token(number: u32, age: i64, life: i64) -> String {
    let issued = now() - age;
    let payload = format!(r#"{{"oid":"{OBJECT_ID}","iat":{issued},"nbf":{issued},"exp":{}}}"#, issued + life);
    let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let header = part(r#"{"alg":"RS256","typ":"JWT"}"#);
    format!("{header}.{}.{}{CANARY}{number:04}", part(&payload), CANARY.repeat(8))
}

pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
    i64::try_from(since.as_secs()).expect("a time")
}

/// What the stand-in does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Answers with this status and body.
    Answer(u16, String),
    /// Answers with these bytes.
    Raw(Vec<u8>),
    /// Never answers.
    Hang,
}

impl Reply {
    /// As Entra answers.
    pub(crate) fn token(token: &str, expires_in: i64) -> Self {
        Self::Answer(
            200,
            format!(
                r#"{{"token_type":"Bearer","expires_in":{expires_in},"ext_expires_in":{expires_in},"access_token":"{token}"}}"#
            ),
        )
    }

    /// As the metadata service answers: numbers are text.
    pub(crate) fn metadata(token: &str, expires_on: i64) -> Self {
        Self::Answer(
            200,
            format!(
                r#"{{"access_token":"{token}","client_id":"c","expires_in":"3599","expires_on":"{expires_on}","ext_expires_in":"3599","not_before":"1","resource":"https://redis.azure.com","token_type":"Bearer"}}"#
            ),
        )
    }

    pub(crate) fn refusal(status: u16, error: &str, description: &str) -> Self {
        Self::Answer(status, serde_json::json!({"error": error, "error_description": description}).to_string())
    }

    fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Answer(status, body) => Some(
                format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                )
                .into_bytes(),
            ),
            Self::Raw(bytes) => Some(bytes.clone()),
            Self::Hang => None,
        }
    }
}

/// A stand-in: its replies in turn, the last one for ever, and the requests it was sent.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) port: u16,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    replies: VecDeque<Reply>,
    requests: Vec<String>,
}

impl Endpoint {
    /// The token endpoint, on loopback over TLS.
    pub(crate) async fn tls(server: &Files, replies: Vec<Reply>) -> Self {
        let certificates = CertificateDer::pem_file_iter(&server.certificate).expect("a file");
        let certificates = certificates.collect::<Result<Vec<_>, _>>().expect("certificates");
        let key = PrivateKeyDer::from_pem_file(&server.key).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(certificates, key)
            .expect("a certificate and its key");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = Self::new(listener.local_addr().expect("an address").port(), replies);
        let serving = endpoint.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, serving) = (acceptor.clone(), serving.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serving.serve(stream).await;
                    }
                });
            }
        });
        endpoint
    }

    /// The metadata service, behind the socket at `path`.
    pub(crate) fn unix(path: &Path, replies: Vec<Reply>) -> Self {
        let listener = UnixListener::bind(path).expect("a socket");
        let endpoint = Self::new(0, replies);
        let serving = endpoint.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move { serving.serve(stream).await });
            }
        });
        endpoint
    }

    fn new(port: u16, replies: Vec<Reply>) -> Self {
        Self { port, shared: Arc::new(Mutex::new(Shared { replies: replies.into(), requests: Vec::new() })) }
    }

    async fn serve(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let request = request(&mut stream).await;
        if request.is_empty() {
            return; // somebody looks whether it listens
        }
        let reply = {
            let mut shared = self.shared.lock().expect("no test panicked");
            shared.requests.push(request);
            if shared.replies.len() > 1 { shared.replies.pop_front() } else { shared.replies.front().cloned() }
        };
        match reply.expect("a reply").bytes() {
            Some(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
            }
            None => drop(stream.read_to_end(&mut Vec::new()).await),
        }
    }

    /// The requests so far, head and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.lock().expect("no test panicked").requests.clone()
    }

    /// What it answers from now on.
    pub(crate) fn now_answers(&self, replies: Vec<Reply>) {
        self.shared.lock().expect("no test panicked").replies = replies.into();
    }

    /// Waits until it was asked so many times or more.
    pub(crate) async fn was_asked(&self, times: usize) {
        let asked = async {
            while self.requests().len() < times {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let patience = Duration::from_secs(60);
        assert!(tokio::time::timeout(patience, asked).await.is_ok(), "asked {} times", self.requests().len());
    }
}

async fn request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return text;
        }
    }
}

/// A stand-in of `az` in a folder of its own, which is to come first on PATH.
pub(crate) fn az(folder: &Path, script: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let bin = folder.join("bin");
    std::fs::create_dir_all(&bin).expect("a folder");
    let file = bin.join("az");
    std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).expect("a script");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("a script that runs");
    bin
}
