//! The line between a client and the servers: two TUN devices, and threads that carry each packet from one to the
//! other after a delay. The client's end is in a network namespace of its own, where its packets can be captured.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fd::AsFd;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tappers::{Interface, Tun};

/// The client's address.
pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 10, 3, 4);
/// The device at the client's end.
pub(crate) const NEAR: &str = "near";
const FAR: &str = "far";

/// A line; it is cut when dropped, with the client's namespace.
pub(crate) struct Line {
    namespace: File,
    holder: Child,
    /// In nanoseconds, for each packet to the servers.
    delay: Arc<AtomicU64>,
}

impl Line {
    pub(crate) fn new() -> Self {
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", "ip link set lo up && echo ready && exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare of util-linux");
        let mut said = String::new();
        let _ = BufReader::new(holder.stdout.take().expect("a pipe")).read_line(&mut said);
        assert_eq!(said, "ready\n", "no network namespace for the client");
        let namespace = File::open(format!("/proc/{}/ns/net", holder.id())).expect("the client's namespace");
        let line = Self { namespace, holder, delay: Arc::default() };
        let far = Arc::new(tun(FAR));
        ip(&["route", "add", &format!("{CLIENT}/32"), "dev", FAR]);
        let near = Arc::new(line.at_client(|| {
            let near = tun(NEAR);
            ip(&["address", "add", &format!("{CLIENT}/32"), "dev", NEAR]);
            ip(&["route", "add", "default", "dev", NEAR]);
            near
        }));
        carry(&near, &far, &line.delay);
        carry(&far, &near, &Arc::default());
        line
    }

    /// From now on each packet to the servers is held for that long, which a round trip takes longer.
    pub(crate) fn delay(&self, delay: Duration) {
        self.delay.store(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Does it in the client's namespace, where the threads and programs that it starts are as well.
    pub(crate) fn at_client<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                move_into_link_name_space(self.namespace.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("the client's namespace is our own");
                work()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn tun(name: &str) -> Tun {
    let interface = Interface::new(name).expect("a short name");
    let tun = Tun::new_named(interface).expect("a TUN device: /dev/net/tun is needed");
    ip(&["link", "set", name, "up"]);
    tun
}

fn ip(arguments: &[&str]) {
    let status = Command::new("ip").args(arguments).status().expect("ip of iproute2");
    assert!(status.success(), "ip {}", arguments.join(" "));
}

/// Carries the packets of one direction, in their order, for as long as the program runs.
fn carry(from: &Arc<Tun>, to: &Arc<Tun>, delay: &Arc<AtomicU64>) {
    const MTU: usize = 1500;
    let (sender, held) = mpsc::channel::<(Instant, Vec<u8>)>();
    let (from, at_once, to, delay) = (Arc::clone(from), Arc::clone(to), Arc::clone(to), Arc::clone(delay));
    thread::spawn(move || {
        let mut packet = [0; MTU];
        while let Ok(length) = from.recv(&mut packet) {
            match delay.load(Ordering::Relaxed) {
                0 => drop(at_once.send(&packet[..length])),
                nanos => {
                    let due = Instant::now() + Duration::from_nanos(nanos);
                    let _ = sender.send((due, packet[..length].to_vec()));
                }
            }
        }
    });
    thread::spawn(move || {
        for (due, packet) in held {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let _ = to.send(&packet);
        }
    });
}
