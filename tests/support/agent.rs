//! The agent as a process of its own, looked at from outside: its log, its pages, its exit status.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::{interval, timeout};

/// Nothing here takes a tenth as long, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn agent(config: &Path) -> Command {
    agent_logging("json", config)
}

pub(crate) fn agent_logging(format: &str, config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redpath"));
    command.args(["agent", "--config"]).arg(config).args(["--log-format", format]);
    for variable in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// A running agent, and the lines of its log so far.
pub(crate) struct Agent {
    pub(crate) child: Child,
    pub(crate) stderr: Option<Lines<BufReader<ChildStderr>>>,
    pub(crate) lines: Vec<Value>,
    pub(crate) listen: String,
}

impl Agent {
    pub(crate) async fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the agent starts");
        let stderr = child.stderr.take().map(|stderr| BufReader::new(stderr).lines());
        let mut agent = Self { child, stderr, lines: Vec::new(), listen: String::new() };
        let line = agent.next_line("agent started").await;
        line["listen"].as_str().expect("it says where it listens").clone_into(&mut agent.listen);
        agent
    }

    /// The next line of its log with this message.
    pub(crate) async fn next_line(&mut self, message: &str) -> Value {
        let stderr = self.stderr.as_mut().expect("the log is read");
        loop {
            let line = timeout(PATIENCE, stderr.next_line()).await.unwrap_or_else(|_| panic!("no {message:?}"));
            let line = line.expect("it can be read").unwrap_or_else(|| panic!("the log ends without {message:?}"));
            let line: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
            self.lines.push(line.clone());
            if line["message"] == message {
                return line;
            }
        }
    }

    pub(crate) async fn signal(&self, name: &str) {
        let pid = self.child.id().expect("it runs").to_string();
        let kill = format!("kill -{name} {pid}");
        let status = Command::new("sh").args(["-c", &kill]).status().await.expect("a shell runs");
        assert!(status.success());
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        timeout(PATIENCE, self.child.wait()).await.expect("it ends").expect("it can be waited for")
    }

    pub(crate) async fn request(&self, method: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.listen).await.expect("it listens");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            self.listen
        );
        stream.write_all(head.as_bytes()).await.expect("the request is sent");
        let mut reply = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut reply)).await.expect("it replies").expect("the reply can be read");
        String::from_utf8(reply).expect("the reply is UTF-8")
    }

    /// Waits until the page at `path` has this in it.
    pub(crate) async fn page_with(&self, path: &str, text: &str) {
        self.page_where(path, |page| page.contains(text)).await;
    }

    /// Waits until the target has been probed so many times or more.
    pub(crate) async fn has_probed(&self, target: &str, times: u32) {
        let series = format!("redpath_probes_total{{target=\"{target}\"}} ");
        let count = |page: &str| page.lines().find_map(|line| line.strip_prefix(&series)?.parse::<u32>().ok());
        self.page_where("/metrics", |page| count(page).is_some_and(|count| count >= times)).await;
    }

    pub(crate) async fn page_where(&self, path: &str, holds: impl Fn(&str) -> bool) {
        let mut looks = interval(Duration::from_millis(50));
        let found = async {
            while !holds(&self.request("GET", path).await) {
                looks.tick().await;
            }
        };
        timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("{path} never has what is waited for"));
    }
}

/// A directory of one test alone, removed at its end.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("redpath-agent-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory is made");
        Self(path)
    }

    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).expect("a file is written");
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
