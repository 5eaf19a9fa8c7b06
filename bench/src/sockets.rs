//! What the list of the applications' connections costs beside foreign sockets: the CPU time of a probe with the list
//! less that of a probe without, while 10,000 connections of other processes, with two sockets each, are open.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::environment::Environment;
use super::probing::metric;
use super::process::Process;
use super::programs;
use super::table::{Summary, Table, milliseconds};

/// How many sockets there are; a connection on loopback has two.
const SOCKETS: usize = 20_000;
/// How many processes hold them: an ordinary limit of open files has room for the part of one.
const HOLDERS: u16 = 4;
/// The port of the first holder; the others follow it.
const PORT: u16 = 7000;
const ROUNDS: usize = 5;
const WARM_UP: Duration = Duration::from_secs(2);
const MEASURED: Duration = Duration::from_secs(5);
/// The most that one list may cost, in seconds.
const BOUND: f64 = 0.005;

pub(crate) fn measure(environment: &Environment, builds: &[PathBuf], table: &mut Table) {
    let foreign = Foreign::start();
    let measured = |build: &PathBuf| {
        let lists = (0..ROUNDS).map(|_| {
            let with = cpu_of_a_probe(environment, build, "on");
            with - cpu_of_a_probe(environment, build, "off")
        });
        Summary::of(lists)
    };
    let summaries: Vec<Summary> = builds.iter().map(measured).collect();
    drop(foreign);
    table.add(
        &format!("CPU of a list of applications' connections, {SOCKETS} foreign sockets"),
        &summaries.iter().map(|summary| milliseconds(*summary)).collect::<Vec<_>>(),
        "",
        "at most 5 ms",
        summaries.first().is_some_and(|first| first.median <= BOUND),
    );
}

/// CPU seconds of a probe of one target, each fifth of a second.
fn cpu_of_a_probe(environment: &Environment, build: &Path, application: &str) -> f64 {
    let text = programs::defaults(environment, "200ms")
        .replace("cluster: off", &format!("cluster: off\n  application: {application}"));
    let text = text
        + &format!("  - {{name: cache0, host: {}, port: {}}}\n", super::environment::host(0), super::environment::PORT);
    let process = Process::start(programs::agent(environment, build, &text), programs::REDPATH_PORT);
    thread::sleep(WARM_UP);
    let before = metric(&process, "redpath_probes_total{");
    let ((), cpu) = process.cpu_during(|| thread::sleep(MEASURED));
    let probes = metric(&process, "redpath_probes_total{") - before;
    assert!(probes > 0.8 * MEASURED.as_secs_f64() * 5.0, "redpath made only {probes} probes");
    cpu.as_secs_f64() / probes
}

/// The processes that hold the sockets open.
struct Foreign(Vec<Child>);

impl Foreign {
    fn start() -> Self {
        let program = std::env::current_exe().expect("this program");
        let holder = |number: u16| {
            let mut command = Command::new("sh");
            command.args(["-c", "ulimit -n 8192 && exec \"$@\"", "sh"]).arg(&program).arg("hold-sockets");
            command.arg((PORT + number).to_string()).stdin(Stdio::piped()).stdout(Stdio::null());
            command.spawn().expect("sh")
        };
        let foreign = Self((0..HOLDERS).map(holder).collect());
        let deadline = Instant::now() + Duration::from_secs(60);
        while open_sockets() < SOCKETS {
            assert!(Instant::now() < deadline, "only {} of {SOCKETS} sockets are open", open_sockets());
            thread::sleep(Duration::from_millis(50));
        }
        foreign
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        for holder in &mut self.0 {
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }
}

/// The sockets of TCP in use in this namespace.
fn open_sockets() -> usize {
    let text = std::fs::read_to_string("/proc/net/sockstat").expect("sockstat");
    let line = text.lines().find_map(|line| line.strip_prefix("TCP: inuse "));
    line.and_then(|rest| rest.split(' ').next()?.parse().ok()).expect("a number of sockets")
}

/// Holds the part of one holder open until its standard input ends.
pub(crate) fn hold(port: u16) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = TcpListener::bind(address).expect("a free port");
    let mut held = Vec::new();
    for _ in 0..SOCKETS / 2 / usize::from(HOLDERS) {
        held.push(TcpStream::connect(address).expect("a connection"));
        held.push(listener.accept().expect("a client").0);
    }
    let _ = std::io::read_to_string(std::io::stdin());
}
