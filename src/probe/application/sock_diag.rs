//! TCP sockets of this network namespace, listed by the kernel over `NETLINK_SOCK_DIAG` (sock_diag(7)).
//!
//! It needs no privilege and tells nothing of the processes behind the sockets. The kernel filters by the peer's
//! port, so that foreign sockets cost no copy. Layouts are those of `linux/inet_diag.h` and `linux/tcp.h`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with, sockopt,
};

use super::{Filter, MAX_SOCKETS, PortRange, Socket, SocketInfo, SocketList, State};
use crate::observation::application::SocketSource;

/// The only reply buffer. The kernel fills at most 32 KiB a message batch (`NLMSG_GOODSIZE` of a dump).
const BUFFER_BYTES: usize = 32 * 1024;
const HEADER_BYTES: usize = 16;
const REQUEST_BYTES: usize = 56;
const MESSAGE_BYTES: usize = 72;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_DUMP: u16 = 0x300;
const IPPROTO_TCP: u8 = 6;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// Asks for `tcp_info`: bit `INET_DIAG_INFO - 1`.
const WITH_TCP_INFO: u8 = 1 << (INET_DIAG_INFO - 1);
const INET_DIAG_INFO: u16 = 2;
const INET_DIAG_REQ_BYTECODE: u16 = 1;
const BC_JMP: u8 = 1;
const BC_DPORT_GE: u8 = 4;
const BC_DPORT_LE: u8 = 5;

/// Lists the sockets that `filter` includes, IPv4 and IPv6, until `deadline`.
///
/// # Errors
/// What the kernel or a security policy refuses the socket or the request with, or a timeout.
pub(super) fn list(filter: &Filter, deadline: Instant) -> io::Result<SocketList> {
    let socket =
        socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG))?;
    let mut list =
        SocketList { source: SocketSource::Netlink, netlink_error: None, sockets: Vec::new(), complete: true };
    let mut buffer = vec![0; BUFFER_BYTES];
    for family in [AF_INET, AF_INET6] {
        send(&socket, &request(family, filter), SendFlags::empty())?;
        read_dump(&socket, &mut buffer, deadline, &mut list)?;
        if !list.complete {
            break;
        }
    }
    Ok(list)
}

fn read_dump(socket: &OwnedFd, buffer: &mut [u8], deadline: Instant, list: &mut SocketList) -> io::Result<()> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        sockopt::set_socket_timeout(socket, sockopt::Timeout::Recv, Some(left.max(Duration::from_millis(1))))?;
        let (length, _) = recv(socket, &mut *buffer, RecvFlags::empty())?;
        let datagram = buffer.get(..length).unwrap_or_default();
        if parse_datagram(datagram, list)? == Dump::Ended || !list.complete {
            return Ok(());
        }
    }
}

/// Whether more datagrams of a dump follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dump {
    Continues,
    Ended,
}

/// Adds the sockets of one datagram to `list`; what does not parse is left out.
///
/// # Errors
/// The error that the kernel reports, or `InvalidData` where a length leads out of the datagram.
pub(super) fn parse_datagram(datagram: &[u8], list: &mut SocketList) -> io::Result<Dump> {
    let mut rest = datagram;
    while !rest.is_empty() {
        let length = u32_at(rest, 0).and_then(|length| usize::try_from(length).ok()).ok_or_else(invalid)?;
        let message = rest.get(..length).filter(|message| message.len() >= HEADER_BYTES).ok_or_else(invalid)?;
        let payload = &message[HEADER_BYTES..];
        match u16_at(message, 4) {
            Some(NLMSG_DONE) => return Ok(Dump::Ended),
            Some(NLMSG_ERROR) => {
                let errno = u32_at(payload, 0).ok_or_else(invalid)?.cast_signed();
                return Err(io::Error::from_raw_os_error(errno.checked_neg().unwrap_or_default()));
            }
            Some(SOCK_DIAG_BY_FAMILY) => {
                if list.sockets.len() >= MAX_SOCKETS {
                    list.complete = false;
                    return Ok(Dump::Ended);
                }
                list.sockets.extend(socket(payload));
            }
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(Dump::Continues)
}

fn invalid() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a netlink message with a wrong length")
}

/// `struct inet_diag_msg` and its attributes.
fn socket(payload: &[u8]) -> Option<Socket> {
    let fixed = payload.get(..MESSAGE_BYTES)?;
    let family = fixed[0];
    let state = State::from_number(fixed[1])?;
    let address = |port: usize, ip: usize| {
        let port = u16::from_be_bytes(fixed.get(port..port + 2)?.try_into().ok()?);
        let ip = match family {
            AF_INET => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(fixed.get(ip..ip + 4)?).ok()?)),
            AF_INET6 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(fixed.get(ip..ip + 16)?).ok()?)),
            _ => return None,
        };
        Some(SocketAddr::new(ip.to_canonical(), port))
    };
    let info = tcp_info(&payload[MESSAGE_BYTES..]);
    Some(Socket {
        local: address(4, 8)?,
        peer: address(6, 24)?,
        state,
        retransmits: fixed[3],
        inode: u32_at(fixed, 68)?.into(),
        info,
    })
}

/// What `struct tcp_info` says; absent for sockets without it (TIME_WAIT) and for attributes that do not parse.
fn tcp_info(mut attributes: &[u8]) -> Option<SocketInfo> {
    while let (Some(length), Some(kind)) = (u16_at(attributes, 0), u16_at(attributes, 2)) {
        let value = attributes.get(4..usize::from(length))?;
        if kind == INET_DIAG_INFO {
            let millis = |at: usize| u32_at(value, at).map(|millis| Duration::from_millis(millis.into()));
            return Some(SocketInfo {
                // tcpi_last_data_sent and tcpi_last_data_recv: time since, in milliseconds.
                idle: millis(44)?.min(millis(52)?),
                // tcpi_rtt, in microseconds.
                round_trip: u32_at(value, 68).map(|micros| Duration::from_micros(micros.into()))?,
            });
        }
        attributes = attributes.get(usize::from(length).next_multiple_of(4)..)?;
    }
    None
}

/// A dump of one family, with the filter.
fn request(family: u8, filter: &Filter) -> Vec<u8> {
    let code = bytecode(&filter.ports);
    let attribute = if code.is_empty() { 0 } else { 4 + code.len() };
    let length = HEADER_BYTES + REQUEST_BYTES + attribute;
    let mut request = Vec::with_capacity(length);
    request.extend(u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
    request.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    request.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    request.extend([0; 8]); // sequence number and port: one request at a time on this socket
    request.extend([family, IPPROTO_TCP, WITH_TCP_INFO, 0]);
    request.extend(filter.states().to_ne_bytes());
    request.resize(HEADER_BYTES + REQUEST_BYTES, 0); // any address, any interface
    if attribute > 0 {
        request.extend(u16::try_from(attribute).unwrap_or(u16::MAX).to_ne_bytes());
        request.extend(INET_DIAG_REQ_BYTECODE.to_ne_bytes());
        request.extend(code);
    }
    request
}

/// The kernel's filter: the peer's port is in one of the ranges. Each operation is a code, the distance to go where
/// it holds, and where it does not; a socket is listed if the program ends exactly behind
/// its last byte, and not if it ends 4 bytes further.
fn bytecode(ports: &[PortRange]) -> Vec<u8> {
    const RANGE: usize = 20;
    const LAST: usize = 16;
    let total = (ports.len().saturating_sub(1)) * RANGE + if ports.is_empty() { 0 } else { LAST };
    let mut code = Vec::with_capacity(total);
    for (index, range) in ports.iter().enumerate() {
        let is_last = index + 1 == ports.len();
        let mut compare = |operation: u8, port: u16| {
            let left = total - code.len();
            let otherwise = if is_last { left + 4 } else { RANGE - code.len() % RANGE };
            push(&mut code, operation, 8, otherwise);
            push(&mut code, 0, 0, usize::from(port));
        };
        compare(BC_DPORT_GE, range.first);
        compare(BC_DPORT_LE, range.last);
        if !is_last {
            let left = total - code.len();
            push(&mut code, BC_JMP, 4, left);
        }
    }
    code
}

fn push(code: &mut Vec<u8>, operation: u8, yes: u8, no: usize) {
    code.extend([operation, yes]);
    code.extend(u16::try_from(no).unwrap_or(u16::MAX).to_ne_bytes());
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use proptest::prelude::*;

    use super::*;

    fn filter(ports: &[PortRange]) -> Filter {
        Filter { ports: ports.to_vec(), with_closing: true }
    }

    fn empty() -> SocketList {
        SocketList { source: SocketSource::Netlink, netlink_error: None, sockets: Vec::new(), complete: true }
    }

    #[test]
    fn list_real_connection_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let deadline = Instant::now() + Duration::from_secs(5);
        let others = [PortRange::one(1), PortRange { first: 2, last: 3 }, PortRange::one(port)];
        for ports in [&[PortRange::one(port)][..], &others] {
            let found = list(&filter(ports), deadline).unwrap();
            let [socket] = found.sockets.as_slice() else { panic!("{found:?}") };
            assert_eq!((socket.local, socket.peer), (stream.local_addr().unwrap(), stream.peer_addr().unwrap()));
            assert_eq!(socket.state, State::Established);
            assert!(socket.info.is_some_and(|info| info.idle < Duration::from_secs(60)), "{socket:?}");
        }
        assert_eq!(list(&filter(&[PortRange::one(1)]), deadline).unwrap().sockets, []);
    }

    #[test]
    fn list_mapped_address_is_ipv4() {
        let listener = TcpListener::bind("[::]:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let _stream = TcpStream::connect(("::ffff:127.0.0.1", port)).unwrap();
        let found = list(&filter(&[PortRange::one(port)]), Instant::now() + Duration::from_secs(5)).unwrap();
        assert!(found.sockets.iter().all(|socket| socket.peer.ip() == IpAddr::V4(Ipv4Addr::LOCALHOST)), "{found:?}");
        assert!(!found.sockets.is_empty());
    }

    #[test]
    fn parse_kernel_error_is_returned() {
        let mut message = Vec::new();
        message.extend(20_u32.to_ne_bytes());
        message.extend(NLMSG_ERROR.to_ne_bytes());
        message.extend([0; 10]);
        message.extend((-13_i32).to_ne_bytes());
        let error = parse_datagram(&message, &mut empty()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn parse_more_than_the_limit_is_incomplete() {
        let mut message = Vec::new();
        message.extend(88_u32.to_ne_bytes());
        message.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        message.extend([0; 10]);
        message.extend([AF_INET, 1]);
        message.resize(88, 0);
        let mut list = empty();
        for _ in 0..MAX_SOCKETS {
            assert_eq!(parse_datagram(&message, &mut list).unwrap(), Dump::Continues);
        }
        assert_eq!(parse_datagram(&message, &mut list).unwrap(), Dump::Ended);
        assert!(!list.complete);
        assert_eq!(list.sockets.len(), MAX_SOCKETS);
    }

    proptest! {
        #[test]
        fn parse_any_bytes_ends(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut list = empty();
            let _ = parse_datagram(&bytes, &mut list);
            prop_assert!(list.sockets.len() <= 400 / MESSAGE_BYTES);
        }
    }
}
