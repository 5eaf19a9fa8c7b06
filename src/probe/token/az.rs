//! `az account get-access-token`, run with an end: bounded output, and nothing of it left behind.

use std::ffi::{OsStr, OsString};
use std::io;
use std::process::{Output, Stdio};

use azure_identity::Executor;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::fetch::{Cause, scrubbed};
use super::locked;
use crate::observation::TokenFailure;
use crate::secret;

/// The most bytes that are read of either stream.
const MAX_OUTPUT: u64 = 1 << 20;

/// Runs what the SDK wants run, in a process group that ends with it.
#[derive(Debug)]
pub(super) struct Az {
    pub(super) cause: Cause,
}

#[async_trait::async_trait]
impl Executor for Az {
    async fn run(&self, program: &OsStr, args: &[&OsStr]) -> io::Result<Output> {
        self.judged(run(program, args).await)
    }
}

impl Az {
    /// What may go on to the SDK; of anything else, the cause is left.
    pub(super) fn judged(&self, output: io::Result<Output>) -> io::Result<Output> {
        let failure = match &output {
            Ok(output) if output.status.success() => match is_json(&output.stdout) {
                true => return Ok(output_of(output)),
                false => TokenFailure::BadAnswer { endpoint: "az".to_owned(), error: "it is not JSON".to_owned() },
            },
            Ok(output) => failure(output),
            Err(error) => TokenFailure::AzFailed { message: scrubbed(&error.to_string(), None) },
        };
        *locked(&self.cause) = Some(failure);
        Err(io::Error::other("az gave no token"))
    }
}

fn output_of(output: &Output) -> Output {
    Output { status: output.status, stdout: output.stdout.clone(), stderr: Vec::new() }
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}

async fn run(program: &OsStr, args: &[&OsStr]) -> io::Result<Output> {
    let mut command = Command::new(program);
    for variable in secret::variables() {
        command.env_remove(variable); // Redis' passwords are none of its business
    }
    let mut child = command
        .args(args.iter().map(OsString::from))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let mut group = Group::of(&child);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = tokio::try_join!(whole(stdout), whole(stderr))?;
    let status = child.wait().await?;
    group.0 = None; // its number may be another's from here on
    Ok(Output { status, stdout, stderr })
}

async fn whole(stream: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        stream.take(MAX_OUTPUT + 1).read_to_end(&mut bytes).await?;
    }
    if bytes.len() as u64 > MAX_OUTPUT { Err(io::Error::other("it prints more than 1 MiB")) } else { Ok(bytes) }
}

/// The child and whatever it started: `az` is a shell script around Python.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::KILL); // an error: it has ended by itself
        }
    }
}

fn failure(output: &Output) -> TokenFailure {
    const NOT_FOUND: i32 = 127;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(NOT_FOUND) {
        return TokenFailure::AzNotFound;
    }
    let line = said.lines().find(|line| line.starts_with("ERROR:")).or_else(|| said.lines().next()).unwrap_or_default();
    let mut message = scrubbed(line.trim_start_matches("ERROR:").trim(), None);
    if message.is_empty() {
        message = format!("it says nothing ({})", output.status);
    }
    if said.contains("az login") { TokenFailure::AzNotLoggedIn { message } } else { TokenFailure::AzFailed { message } }
}
