//! The sockets of this process itself, which are no application's: by inode while they are open, by local address
//! after they were closed (`TIME_WAIT` has no inode).

use std::collections::{HashSet, VecDeque};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::Socket;
use crate::lock::lock;

/// How long a local address is remembered: longer than `TIME_WAIT` and the states before it usually last.
const REMEMBERED_FOR: Duration = Duration::from_secs(5 * 60);

/// The most local addresses that are remembered.
const MAX_REMEMBERED: usize = 65_536;

/// The local addresses of the process's connections, the earliest first.
static NOTED: Mutex<VecDeque<(Instant, SocketAddr)>> = Mutex::new(VecDeque::new());

/// Takes note of the local address of a connection that this process opened.
pub(crate) fn note(local: SocketAddr) {
    let mut noted = lock(&NOTED);
    while noted.front().is_some_and(|(at, _)| at.elapsed() > REMEMBERED_FOR) || noted.len() >= MAX_REMEMBERED {
        noted.pop_front();
    }
    noted.push_back((Instant::now(), SocketAddr::new(local.ip().to_canonical(), local.port())));
}

/// The sockets that this process has open, and those it had.
pub(super) struct OwnSockets {
    inodes: HashSet<u64>,
    locals: HashSet<SocketAddr>,
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
        Ok(Self { inodes, locals: lock(&NOTED).iter().map(|(_, local)| *local).collect() })
    }

    /// Whether the socket is one of them.
    pub(super) fn contains(&self, socket: &Socket) -> bool {
        // An application may reuse the port of a closed connection; its open socket has an inode of its own.
        if socket.inode == 0 { self.locals.contains(&socket.local) } else { self.inodes.contains(&socket.inode) }
    }
}

/// `socket:[12345]`, as the link of a socket's descriptor reads (proc(5)).
fn inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::super::{PortRange, list_sockets};
    use super::*;

    #[test]
    fn own_open_socket_is_recognized() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let _stream = TcpStream::connect(address).expect("a connection");
        let ports = [PortRange::one(address.port())];
        let list = list_sockets(&ports, Instant::now() + Duration::from_secs(5)).expect("a list");
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
