//! Runs `az account get-access-token`: limits its output, and kills its process group when the fetch ends.

use std::ffi::{OsStr, OsString};
use std::io;
use std::process::{Output, Stdio};

use azure_identity::Executor;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::redact::{FailureSlot, redact};
use crate::lock::lock;
use crate::observation::TokenFailure;
use crate::secret;

/// The most bytes of stdout, and of stderr.
const MAX_OUTPUT: u64 = 1 << 20;

/// Runs the command of the SDK in a process group of its own.
#[derive(Debug)]
pub(super) struct Az {
    pub(super) failure: FailureSlot,
}

#[async_trait::async_trait]
impl Executor for Az {
    async fn run(&self, program: &OsStr, args: &[&OsStr]) -> io::Result<Output> {
        self.check_output(run(program, args).await)
    }
}

impl Az {
    /// The output for the SDK; otherwise leaves the failure in the slot.
    pub(super) fn check_output(&self, output: io::Result<Output>) -> io::Result<Output> {
        let failure = match &output {
            Ok(output) if output.status.success() => match is_json(&output.stdout) {
                true => return Ok(without_stderr(output)),
                false => TokenFailure::BadAnswer { endpoint: "az".to_owned(), error: "it is not JSON".to_owned() },
            },
            Ok(output) => failure_of(output),
            Err(error) => TokenFailure::AzFailed { message: redact(&error.to_string(), None) },
        };
        *lock(&self.failure) = Some(failure);
        Err(io::Error::other("az gave no token"))
    }
}

fn without_stderr(output: &Output) -> Output {
    Output { status: output.status, stdout: output.stdout.clone(), stderr: Vec::new() }
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}

async fn run(program: &OsStr, args: &[&OsStr]) -> io::Result<Output> {
    let mut command = Command::new(program);
    for variable in secret::variables() {
        command.env_remove(variable); // `az` needs no password of Redis
    }
    let mut child = command
        .args(args.iter().map(OsString::from))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let mut group = ProcessGroup::of(&child);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = tokio::try_join!(read_all(stdout), read_all(stderr))?;
    let status = child.wait().await?;
    group.0 = None; // from here on its id may belong to another group
    Ok(Output { status, stdout, stderr })
}

async fn read_all(stream: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        stream.take(MAX_OUTPUT + 1).read_to_end(&mut bytes).await?;
    }
    if bytes.len() as u64 > MAX_OUTPUT { Err(io::Error::other("it prints more than 1 MiB")) } else { Ok(bytes) }
}

/// The child and its own children: `az` is a shell script that runs Python. Dropping it kills them.
struct ProcessGroup(Option<Pid>);

impl ProcessGroup {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::KILL); // an error means that it has ended already
        }
    }
}

fn failure_of(output: &Output) -> TokenFailure {
    const NOT_FOUND: i32 = 127;
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(NOT_FOUND) {
        return TokenFailure::AzNotFound;
    }
    let line =
        stderr.lines().find(|line| line.starts_with("ERROR:")).or_else(|| stderr.lines().next()).unwrap_or_default();
    let mut message = redact(line.trim_start_matches("ERROR:").trim(), None);
    if message.is_empty() {
        message = format!("no error output ({})", output.status);
    }
    if stderr.contains("az login") {
        TokenFailure::AzNotLoggedIn { message }
    } else {
        TokenFailure::AzFailed { message }
    }
}
