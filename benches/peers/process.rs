//! A program that is measured: its CPU time and memory as the kernel counts them, and what it answers over HTTP.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A running program; it is ended when dropped.
pub(crate) struct Process {
    child: Child,
    /// Where it serves HTTP.
    pub(crate) http: SocketAddr,
    /// The last CPU time seen of each of its threads, those included that have ended.
    threads: Mutex<HashMap<u32, u64>>,
}

/// What a program has used so far, or uses now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// Resident, in bytes.
    pub(crate) resident: u64,
    /// The part of it that is the program's own, and not pages of a file.
    pub(crate) anonymous: u64,
}

impl Process {
    /// Starts `command`, which will serve HTTP at `port`, without waiting for that.
    pub(crate) fn spawn(mut command: Command, port: u16) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        if std::env::var_os("BENCH_VERBOSE").is_none() {
            command.stderr(Stdio::null());
        }
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        Self { child, http: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), threads: Mutex::default() }
    }

    /// Starts it, and waits until it serves.
    pub(crate) fn start(command: Command, port: u16) -> Self {
        let process = Self::spawn(command, port);
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(process.http).is_err() {
            assert!(Instant::now() < until, "nothing serves at port {port}");
            thread::sleep(Duration::from_millis(1));
        }
        process
    }

    /// The CPU time of all its threads so far. To be asked often enough that a thread which ends
    /// has been seen near its end.
    pub(crate) fn cpu(&self) -> Duration {
        let mut threads = self.threads.lock().expect("no panic");
        let folder = format!("/proc/{}/task", self.child.id());
        for thread in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Some(id) = thread.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            // schedstat(5): nanoseconds on a CPU, nanoseconds waiting for one, times it was given one.
            let Ok(text) = fs::read_to_string(thread.path().join("schedstat")) else { continue };
            if let Some(nanos) = text.split(' ').next().and_then(|nanos| nanos.parse().ok()) {
                threads.insert(id, nanos);
            }
        }
        Duration::from_nanos(threads.values().sum())
    }

    /// Its memory now.
    pub(crate) fn memory(&self) -> Memory {
        let path = format!("/proc/{}/smaps_rollup", self.child.id());
        let text = fs::read_to_string(path).unwrap_or_default();
        let kib = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default()
        };
        Memory { resident: kib("Rss:") * 1024, anonymous: kib("Anonymous:") * 1024 }
    }

    /// How many entries a folder of it under `/proc` has: its threads are in `task`, its open files in `fd`.
    pub(crate) fn count(&self, folder: &str) -> usize {
        fs::read_dir(format!("/proc/{}/{folder}", self.child.id())).map_or(0, Iterator::count)
    }

    /// What it answers to a GET of `path`.
    pub(crate) fn get(&self, path: &str) -> String {
        Client::new(self.http).get(path)
    }

    /// Adds up its CPU time in the background, so that threads which come and go are counted.
    pub(crate) fn watched<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> (Duration, T) {
        let before = self.cpu();
        let done = Arc::new(Mutex::new(false));
        let watcher = thread::spawn({
            let (process, done) = (Arc::clone(self), Arc::clone(&done));
            move || {
                while !*done.lock().expect("no panic") {
                    process.cpu();
                    thread::sleep(Duration::from_millis(100));
                }
            }
        });
        let result = work();
        let used = self.cpu() - before;
        *done.lock().expect("no panic") = true;
        watcher.join().expect("no panic");
        (used, result)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Asked first, so that a profiler around it can write down what it found.
        let asked = Command::new("kill").arg(self.child.id().to_string()).status().is_ok_and(|status| status.success());
        let until = Instant::now() + Duration::from_secs(if asked { 10 } else { 0 });
        while Instant::now() < until && !matches!(self.child.try_wait(), Ok(Some(_))) {
            thread::sleep(Duration::from_millis(1));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An HTTP client that keeps its connection, as Prometheus does.
pub(crate) struct Client {
    server: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
    gzip: bool,
}

impl Client {
    pub(crate) fn new(server: SocketAddr) -> Self {
        Self { server, stream: None, gzip: false }
    }

    /// A client that takes gzip, as Prometheus does; the answers are not unpacked.
    pub(crate) fn with_gzip(server: SocketAddr) -> Self {
        Self { gzip: true, ..Self::new(server) }
    }

    /// The body of the answer.
    pub(crate) fn get(&mut self, path: &str) -> String {
        String::from_utf8_lossy(&self.bytes(path)).into_owned()
    }

    /// The body of the answer as it came.
    pub(crate) fn bytes(&mut self, path: &str) -> Vec<u8> {
        for _ in 0..3 {
            match self.try_get(path) {
                Ok(body) => return body,
                Err(_) => self.stream = None, // the server has closed it, or is not there yet
            }
        }
        Vec::new()
    }

    fn try_get(&mut self, path: &str) -> std::io::Result<Vec<u8>> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(self.server)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(Duration::from_secs(20)))?;
            self.stream = Some(BufReader::new(stream));
        }
        let Some(stream) = self.stream.as_mut() else { return Ok(Vec::new()) };
        let gzip = if self.gzip { "accept-encoding: gzip\r\n" } else { "" };
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n{gzip}\r\n", self.server);
        stream.get_mut().write_all(request.as_bytes())?;
        let (mut length, mut chunked) = (0, false);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end().to_ascii_lowercase();
            match line.split_once(':') {
                Some(("content-length", value)) => length = value.trim().parse().unwrap_or_default(),
                Some(("transfer-encoding", _)) => chunked = true,
                _ if line.is_empty() => break,
                _ => {}
            }
        }
        let mut body = Vec::new();
        if !chunked {
            stream.by_ref().take(length).read_to_end(&mut body)?;
            return Ok(body);
        }
        loop {
            let mut line = String::new();
            stream.read_line(&mut line)?;
            let size = u64::from_str_radix(line.trim(), 16).unwrap_or_default();
            stream.by_ref().take(size).read_to_end(&mut body)?;
            stream.read_line(&mut String::new())?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
}
