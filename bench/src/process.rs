//! A measured process: its CPU time and memory as the kernel counts them.

use std::collections::HashMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A running process; dropping it kills it.
pub(crate) struct Process {
    child: Child,
    /// Where it serves HTTP.
    pub(crate) http: SocketAddr,
    /// CPU nanoseconds of each thread when it was last seen; threads that have ended stay.
    threads: Mutex<HashMap<u32, u64>>,
}

/// In bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// With the pages of files, which processes share.
    pub(crate) resident: u64,
    /// Heap and stacks.
    pub(crate) anonymous: u64,
}

impl Process {
    /// Starts `command`, and waits until it serves HTTP at `port`.
    pub(crate) fn start(mut command: Command, port: u16) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let http = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let process = Self { child, http, threads: Mutex::default() };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(process.http).is_err() {
            assert!(Instant::now() < deadline, "{command:?} does not listen at port {port}");
            thread::sleep(Duration::from_millis(5));
        }
        process
    }

    /// Its memory now.
    pub(crate) fn memory(&self) -> Memory {
        let path = format!("/proc/{}/smaps_rollup", self.child.id());
        let text = fs::read_to_string(path).expect("smaps_rollup of a child");
        let kib = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).expect("a number of kB")
        };
        Memory { resident: kib("Rss:") * 1024, anonymous: kib("Anonymous:") * 1024 }
    }

    /// How many files and threads it has now.
    pub(crate) fn files_and_threads(&self) -> (usize, usize) {
        let count = |folder| fs::read_dir(format!("/proc/{}/{folder}", self.child.id())).map_or(0, Iterator::count);
        (count("fd"), count("task"))
    }

    /// Runs `work`; returns its result, and the CPU time of this process meanwhile.
    pub(crate) fn cpu_during<T>(&self, work: impl FnOnce() -> T) -> (T, Duration) {
        let before = self.cpu();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            // Often enough that a thread which ends has been seen near its end.
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    self.cpu();
                    thread::sleep(Duration::from_millis(100));
                }
            });
            let result = work();
            let used = self.cpu() - before;
            done.store(true, Ordering::Relaxed);
            (result, used)
        })
    }

    /// The CPU time of all its threads so far.
    fn cpu(&self) -> Duration {
        let mut threads = self.threads.lock().expect("no panic");
        let folder = format!("/proc/{}/task", self.child.id());
        for thread in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Some(id) = thread.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            // The first field is the nanoseconds on a CPU (Documentation/scheduler/sched-stats.rst).
            let Ok(text) = fs::read_to_string(thread.path().join("schedstat")) else { continue };
            if let Some(nanoseconds) = text.split(' ').next().and_then(|text| text.parse().ok()) {
                threads.insert(id, nanoseconds);
            }
        }
        Duration::from_nanos(threads.values().sum())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
