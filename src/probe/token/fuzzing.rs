//! Fuzzing: tokens from given responses, by the code that reads those of an endpoint and of `az`.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Output};
use std::sync::{Arc, Mutex};

use azure_core::credentials::TokenCredential;
use azure_core::http::request::Request;
use azure_core::http::{AsyncRawResponse, HttpClient};
use azure_identity::Executor;
use tokio::io::{AsyncRead, AsyncWrite};

use super::REDIS_SCOPE;
use super::az::Az;
use super::fetch;
use super::http::{self, Client};
use super::redact::FailureSlot;
use super::{FetchStage, Token};
use crate::lock::lock;
use crate::observation::TokenFailure;
use crate::probe::tls::Tls;
use crate::secret::Secret;

/// The name of the endpoint.
const ENDPOINT: &str = "login.example";

/// A client with one open stream; `None` once it was used.
struct OpenStream<S> {
    stream: Mutex<Option<S>>,
    client: Client,
    failure: FailureSlot,
}

impl<S> fmt::Debug for OpenStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenStream")
    }
}

#[async_trait::async_trait]
impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> HttpClient for OpenStream<S> {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let stream = lock(&self.stream).take();
        let answer = match stream {
            Some(stream) => self.client.exchange(ENDPOINT, request, stream).await,
            None => Err(TokenFailure::NotConfigured { error: "the SDK sent a second request".to_owned() }),
        };
        http::to_sdk_response(answer, &self.failure)
    }
}

/// The token from the endpoint at the other end of `stream`, whose request holds `secret`.
pub(in crate::probe) async fn from_endpoint<S>(stream: S, secret: Option<Arc<Secret>>) -> Result<Token, TokenFailure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failure = FailureSlot::default();
    let client = Client::new(&Tls::new(), &Arc::new(FetchStage::default()), &failure, secret);
    let open = OpenStream { stream: Mutex::new(Some(stream)), client, failure: Arc::clone(&failure) };
    let fetched = fetch::managed_identity(None, open)?.get_token(&[REDIS_SCOPE], None).await;
    fetch::token_of(fetched, &failure, ENDPOINT)
}

/// An `az` that has ended.
#[derive(Debug)]
struct FinishedAz {
    status: i32,
    streams: (Vec<u8>, Vec<u8>),
    az: Az,
}

#[async_trait::async_trait]
impl Executor for FinishedAz {
    async fn run(&self, _: &OsStr, _: &[&OsStr]) -> io::Result<Output> {
        let (stdout, stderr) = self.streams.clone();
        self.az.check_output(Ok(Output { status: ExitStatus::from_raw(self.status), stdout, stderr }))
    }
}

/// The token from an `az` that ended with this wait status (wait(2)) and printed this.
pub(in crate::probe) async fn from_az(status: i32, stdout: Vec<u8>, stderr: Vec<u8>) -> Result<Token, TokenFailure> {
    let failure = FailureSlot::default();
    let az = FinishedAz { status, streams: (stdout, stderr), az: Az { failure: Arc::clone(&failure) } };
    let fetched = fetch::azure_cli(az)?.get_token(&[REDIS_SCOPE], None).await;
    fetch::token_of(fetched, &failure, "az")
}
