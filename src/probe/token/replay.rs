//! Tokens of answers that are already there, through the same code as those of an endpoint and of `az`.

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

use super::az::Az;
use super::fetch::{self, Cause, SCOPE};
use super::http::{self, Client};
use super::{FetchStage, Token, locked};
use crate::observation::TokenFailure;
use crate::probe::tls::Tls;
use crate::secret::Secret;

/// What the endpoint is called.
const ENDPOINT: &str = "login.example";

/// A client with one stream, which is open; `None` once it was used.
struct Open<S> {
    stream: Mutex<Option<S>>,
    client: Client,
    cause: Cause,
}

impl<S> fmt::Debug for Open<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Open")
    }
}

#[async_trait::async_trait]
impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> HttpClient for Open<S> {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let stream = locked(&self.stream).take();
        let answer = match stream {
            Some(stream) => self.client.exchange(ENDPOINT, request, stream).await,
            None => Err(TokenFailure::NotConfigured { error: "it was asked twice".to_owned() }),
        };
        http::handed_over(answer, &self.cause)
    }
}

/// What the endpoint at the other end of `stream` hands out, `secret` having been sent to it.
pub(in crate::probe) async fn of_endpoint<S>(stream: S, secret: Option<Arc<Secret>>) -> Result<Token, TokenFailure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let cause = Cause::default();
    let client = Client::new(&Tls::new(), &Arc::new(FetchStage::default()), &cause, secret);
    let open = Open { stream: Mutex::new(Some(stream)), client, cause: Arc::clone(&cause) };
    let fetched = fetch::managed_identity(None, open)?.get_token(&[SCOPE], None).await;
    fetch::token_of(fetched, &cause, ENDPOINT)
}

/// An `az` that has said it all.
#[derive(Debug)]
struct Said {
    status: i32,
    streams: (Vec<u8>, Vec<u8>),
    az: Az,
}

#[async_trait::async_trait]
impl Executor for Said {
    async fn run(&self, _: &OsStr, _: &[&OsStr]) -> io::Result<Output> {
        let (stdout, stderr) = self.streams.clone();
        self.az.judged(Ok(Output { status: ExitStatus::from_raw(self.status), stdout, stderr }))
    }
}

/// What an `az` hands out that ends with this wait status (wait(2)), and has printed this.
pub(in crate::probe) async fn of_az(status: i32, stdout: Vec<u8>, stderr: Vec<u8>) -> Result<Token, TokenFailure> {
    let cause = Cause::default();
    let said = Said { status, streams: (stdout, stderr), az: Az { cause: Arc::clone(&cause) } };
    let fetched = fetch::azure_cli(said)?.get_token(&[SCOPE], None).await;
    fetch::token_of(fetched, &cause, "az")
}
