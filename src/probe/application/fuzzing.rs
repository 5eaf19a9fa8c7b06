//! The parsers of the kernel's socket lists by themselves, for the fuzz targets.

use std::time::{Duration, Instant};

use super::{Filter, PortRange, Socket, SocketList, proc_net, sock_diag};
use crate::observation::application::SocketSource;

fn empty(source: SocketSource) -> SocketList {
    SocketList { source, netlink_error: None, sockets: Vec::new(), complete: true }
}

/// The sockets of these netlink datagrams, up to the first that ends the dump or does not parse.
pub fn netlink(datagrams: &[&[u8]]) -> Vec<Socket> {
    let mut list = empty(SocketSource::Netlink);
    for datagram in datagrams {
        if sock_diag::parse_datagram(datagram, &mut list).ok() != Some(sock_diag::Dump::Continues) {
            break;
        }
    }
    list.sockets
}

/// The sockets of `/proc/net/tcp` whose peer's port is in one of `ports`.
pub fn proc_net(table: &[u8], ports: &[PortRange]) -> Vec<Socket> {
    let mut list = empty(SocketSource::Proc);
    let filter = Filter { ports: ports.to_vec(), with_closing: true };
    let _ = proc_net::read(table, &filter, Instant::now() + Duration::from_secs(60), &mut list);
    list.sockets
}
