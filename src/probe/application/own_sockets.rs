//! The sockets of this process itself, which are no application's: by inode while they are open, by local address
//! after they were closed (`TIME_WAIT` has no inode).

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Socket;
use crate::lock::lock;

/// How long a local address is remembered, so that a socket is known which was open while a list was made.
const REMEMBERED_FOR: Duration = Duration::from_secs(5);

/// How long, where closed sockets are listed, too: `TIME_WAIT` lasts 60 s (`TCP_TIMEWAIT_LEN`).
const REMEMBERED_CLOSED_FOR: Duration = Duration::from_secs(75);

/// The most local addresses that are remembered.
const MAX_REMEMBERED: usize = 16_384;

/// Whether a probe of this process lists closed sockets.
static LISTS_CLOSED: AtomicBool = AtomicBool::new(false);

/// The local addresses of the process's connections.
static NOTED: Mutex<Noted> = Mutex::new(Noted { order: VecDeque::new(), latest: BTreeMap::new() });

/// Local addresses, the earliest first, and when each was last noted.
struct Noted {
    order: VecDeque<(Instant, SocketAddr)>,
    latest: BTreeMap<SocketAddr, Instant>,
}

/// Remembers the addresses of closed sockets for as long as the kernel does.
pub(super) fn remember_closed() {
    LISTS_CLOSED.store(true, Ordering::Relaxed);
}

/// Takes note of the local address of a connection that this process opened.
pub(crate) fn note(local: SocketAddr) {
    let kept = if LISTS_CLOSED.load(Ordering::Relaxed) { REMEMBERED_CLOSED_FOR } else { REMEMBERED_FOR };
    let (now, local) = (Instant::now(), SocketAddr::new(local.ip().to_canonical(), local.port()));
    let mut noted = lock(&NOTED);
    while noted.order.front().is_some_and(|(at, _)| now.duration_since(*at) > kept)
        || noted.order.len() >= MAX_REMEMBERED
    {
        let Some((at, address)) = noted.order.pop_front() else { break };
        if noted.latest.get(&address) == Some(&at) {
            noted.latest.remove(&address);
        }
    }
    noted.order.push_back((now, local));
    noted.latest.insert(local, now);
}

/// The sockets that this process has open, and those it had.
pub(super) struct OwnSockets {
    inodes: HashSet<u64>,
}

impl OwnSockets {
    /// Those of now.
    ///
    /// # Errors
    /// Why `/proc/self/fd` cannot be read.
    pub(super) fn read() -> io::Result<Self> {
        let mut inodes = HashSet::new();
        for entry in fs::read_dir("/proc/self/fd")? {
            // A descriptor may be closed between the two calls.
            if let Ok(link) = fs::read_link(entry?.path()) {
                inodes.extend(link.to_str().and_then(inode));
            }
        }
        Ok(Self { inodes })
    }

    /// Whether the socket is one of them.
    pub(super) fn contains(&self, socket: &Socket) -> bool {
        // An application may reuse the port of a closed connection, but not within seconds.
        let noted = |within| lock(&NOTED).latest.get(&socket.local).is_some_and(|at| at.elapsed() <= within);
        if socket.inode == 0 {
            noted(REMEMBERED_CLOSED_FOR)
        } else {
            self.inodes.contains(&socket.inode) || noted(REMEMBERED_FOR)
        }
    }
}

/// `socket:[12345]`, as the link of a socket's descriptor reads (proc(5)).
fn inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::super::{Filter, PortRange, list_sockets};
    use super::*;

    #[test]
    fn own_open_socket_is_recognized() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let _stream = TcpStream::connect(address).expect("a connection");
        let filter = Filter { ports: vec![PortRange::one(address.port())], with_closing: false };
        let list = list_sockets(&filter, Instant::now() + Duration::from_secs(5)).expect("a list");
        let own = OwnSockets::read().expect("the descriptors");
        assert!(!list.sockets.is_empty() && list.sockets.iter().all(|socket| own.contains(socket)), "{list:?}");
        let foreign = Socket { inode: u64::MAX, ..list.sockets[0] };
        assert!(!own.contains(&foreign));
    }

    #[test]
    fn own_closed_socket_is_known_by_address() {
        let local: SocketAddr = "192.0.2.7:40000".parse().expect("an address");
        note(local);
        let own = OwnSockets::read().expect("the descriptors");
        let peer = "10.60.4.5:6380".parse().expect("an address");
        let closed = Socket { local, peer, state: super::super::State::Closing, retransmits: 0, inode: 0, info: None };
        assert!(own.contains(&closed));
        assert!(!own.contains(&Socket { local: "192.0.2.7:40001".parse().expect("an address"), ..closed }));
        assert_eq!((inode("socket:[12]"), inode("pipe:[12]"), inode("socket:[x]")), (Some(12), None, None));
    }
}
