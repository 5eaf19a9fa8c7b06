//! Real Redis servers on loopback, each with a directory of its own, ended by their own process id.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::certificates::{Certificates, Directory, Files};

/// How long a server may take to start, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server.
pub(crate) struct Redis {
    child: Child,
    /// The port it listens on, with or without TLS.
    pub(crate) port: u16,
    directory: Directory,
    arguments: Vec<String>,
    until: &'static str,
}

impl Redis {
    /// A server without TLS.
    pub(crate) fn plain(settings: &[&str]) -> Self {
        Self::start("--port", settings, Directory::new("redis"), READY)
    }

    /// A server with TLS alone; it asks for no client certificate unless `settings` say so.
    pub(crate) fn tls(certificates: &Certificates, server: &Files, settings: &[&str]) -> Self {
        let settings = [tls_settings(certificates, server), owned(settings)].concat();
        Self::start("--tls-port", &borrowed(&settings), Directory::new("redis"), READY)
    }

    /// A server with TLS that loads its data for at least `seconds`.
    pub(crate) fn loading(certificates: &Certificates, server: &Files, seconds: u32) -> Self {
        let mut first = Self::plain(&["--enable-debug-command", "yes"]);
        first.cli(&["DEBUG", "POPULATE", &(seconds * 1_000).to_string()]);
        first.cli(&["SAVE"]);
        first.end();
        let directory = std::mem::replace(&mut first.directory, Directory::new("redis"));
        let slowly = ["--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024"];
        let settings = [tls_settings(certificates, server), owned(&slowly)].concat();
        Self::start("--tls-port", &borrowed(&settings), directory, "Loading RDB")
    }

    /// What `redis-cli` prints for a command, over the server's own socket and without credentials.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        let output = Command::new("redis-cli").arg("-s").arg(self.socket()).args(arguments).output();
        let output = output.expect("redis-cli is missing: apt-get install redis-tools");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The socket in the server's directory, where it listens without TLS.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("redis.sock")
    }

    /// Ends it, as a crash would.
    pub(crate) fn kill(&mut self) {
        self.end();
    }

    /// Starts it again, at the port that it had.
    pub(crate) fn start_again(&mut self) {
        self.end();
        self.child = spawn(&self.arguments, self.until).unwrap_or_else(|log| panic!("it does not start again:\n{log}"));
    }

    fn start(port_flag: &str, settings: &[&str], directory: Directory, until: &'static str) -> Self {
        let mut log = String::new();
        for _ in 0..5 {
            let port = free_port();
            let path = |path: &std::path::Path| path.to_str().expect("a UTF-8 path").to_owned();
            let mut arguments = owned(&["--port", "0", "--bind", "127.0.0.1", "--save", "", "--loglevel", "notice"]);
            arguments.extend([port_flag.to_owned(), port.to_string()]);
            arguments.extend(["--dir".to_owned(), path(directory.path())]);
            arguments.extend(["--unixsocket".to_owned(), path(&directory.path().join("redis.sock"))]);
            arguments.extend(owned(settings));
            // Where it ends at once, most often another took the port in between.
            match spawn(&arguments, until) {
                Ok(child) => return Self { child, port, directory, arguments, until },
                Err(said) => log = said,
            }
        }
        panic!("redis-server does not start with {settings:?}:\n{log}");
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.end();
    }
}

/// A server that has said `until`; what it said instead where it ends or hangs.
fn spawn(arguments: &[String], until: &str) -> Result<Child, String> {
    let mut child = Command::new("redis-server")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("redis-server is missing: apt-get install redis-server");
    let stdout = child.stdout.take().expect("a pipe");
    let (lines, log_lines) = mpsc::channel();
    // Reads to the end, so that the server never waits for a full pipe.
    std::thread::spawn(move || {
        BufReader::new(stdout).lines().map_while(Result::ok).for_each(|line| drop(lines.send(line)));
    });
    let mut log = String::new();
    while let Ok(line) = log_lines.recv_timeout(PATIENCE) {
        if line.contains(until) {
            return Ok(child);
        }
        log += &line;
        log.push('\n');
    }
    let _ = child.kill();
    let _ = child.wait();
    Err(log)
}

const READY: &str = "Ready to accept connections";

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

fn tls_settings(certificates: &Certificates, server: &Files) -> Vec<String> {
    let path = |path: &std::path::Path| path.to_str().expect("a UTF-8 path").to_owned();
    [
        ("--tls-cert-file", path(&server.certificate)),
        ("--tls-key-file", path(&server.key)),
        ("--tls-ca-cert-file", path(&certificates.ca_file())),
        ("--tls-auth-clients", "no".to_owned()),
    ]
    .into_iter()
    .flat_map(|(key, value)| [key.to_owned(), value])
    .collect()
}

fn owned(settings: &[&str]) -> Vec<String> {
    settings.iter().map(|setting| (*setting).to_owned()).collect()
}

fn borrowed(settings: &[String]) -> Vec<&str> {
    settings.iter().map(String::as_str).collect()
}
