//! The same list from `/proc/self/net/tcp` and `tcp6` (proc(5)), where netlink is refused: without times.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use super::{Filter, MAX_SOCKETS, Socket, SocketList, State};
use crate::observation::application::SocketSource;

/// The longest line that is read; the kernel pads its own to 149 characters.
const MAX_LINE_BYTES: u64 = 512;

/// Lists the sockets that `filter` includes, until `deadline`.
///
/// # Errors
/// Why `/proc/self/net/tcp` cannot be read. A kernel without IPv6 has no `tcp6`, which is no error.
pub(super) fn list(filter: &Filter, deadline: Instant) -> io::Result<SocketList> {
    let mut list = SocketList { source: SocketSource::Proc, netlink_error: None, sockets: Vec::new(), complete: true };
    read(File::open("/proc/self/net/tcp")?, filter, deadline, &mut list)?;
    match File::open("/proc/self/net/tcp6") {
        Ok(file) => read(file, filter, deadline, &mut list)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(list)
}

/// Adds the sockets of one such table to `list`. Lines that do not parse are left out.
///
/// # Errors
/// Those of reading, and a timeout.
pub(super) fn read(table: impl Read, filter: &Filter, deadline: Instant, list: &mut SocketList) -> io::Result<()> {
    let mut lines = BufReader::new(table);
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let Some(socket) = std::str::from_utf8(&line).ok().and_then(parse_line) else { continue };
        if !filter.includes(&socket) {
            continue;
        }
        if list.sockets.len() >= MAX_SOCKETS {
            list.complete = false;
            return Ok(());
        }
        list.sockets.push(socket);
        if Instant::now() >= deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
}

/// `  0: 0100007F:1F90 0200007F:C001 01 tx:rx tr:when retransmits …`: number, local, peer, state.
fn parse_line(line: &str) -> Option<Socket> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (local, peer) = (address(fields.next()?)?, address(fields.next()?)?);
    let state = State::from_number(u8::from_str_radix(fields.next()?, 16).ok()?)?;
    let retransmits = fields.nth(2).and_then(|number| u8::from_str_radix(number, 16).ok()).unwrap_or_default();
    let inode = fields.nth(2).and_then(|number| number.parse().ok()).unwrap_or_default();
    Some(Socket { local, peer, state, retransmits, inode, info: None })
}

/// Hexadecimal words of 32 bits in the byte order of the machine, a colon, and the port in hexadecimal.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| Some(u32::from_str_radix(ip.get(at * 8..at * 8 + 8)?, 16).ok()?.to_ne_bytes());
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for (index, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(index)?);
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::PortRange;
    use super::*;

    #[test]
    fn list_real_connection_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let ports = vec![PortRange::one(listener.local_addr().unwrap().port())];
        let found = list(&Filter { ports, with_closing: false }, Instant::now() + Duration::from_secs(5)).unwrap();
        let [socket] = found.sockets.as_slice() else { panic!("{found:?}") };
        assert_eq!((socket.local, socket.peer), (stream.local_addr().unwrap(), stream.peer_addr().unwrap()));
        assert_eq!((socket.state, socket.info), (State::Established, None));
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn parse_line_mapped_address_is_ipv4() {
        let line =
            "   0: 0000000000000000FFFF00000401000A:D2B4 0000000000000000FFFF000005043C0A:18EC 01 00000000:00000000 02";
        let socket = parse_line(line).unwrap();
        assert_eq!(socket.local, "10.0.1.4:53940".parse().unwrap());
        assert_eq!(socket.peer, "10.60.4.5:6380".parse().unwrap());
    }

    proptest! {
        #[test]
        fn read_any_text_ends(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let mut list = SocketList { source: SocketSource::Proc, netlink_error: None, sockets: Vec::new(), complete: true };
            let every = Filter { ports: vec![PortRange { first: 0, last: u16::MAX }], with_closing: true };
            let _ = read(bytes.as_slice(), &every, Instant::now() + Duration::from_secs(5), &mut list);
        }
    }
}
