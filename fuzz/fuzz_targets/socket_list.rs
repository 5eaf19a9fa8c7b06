//! The TCP sockets that the kernel lists: netlink datagrams, and lines of `/proc/net/tcp`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redpath::probe::application::{PortRange, fuzzing};
use redpath_fuzz::parts::parts;

/// The least that one socket takes: a netlink header with `inet_diag_msg`, and a line with two addresses and a state.
const NETLINK_BYTES: usize = 16 + 72;
const LINE_BYTES: usize = 24;

fuzz_target!(|bytes: &[u8]| match bytes.split_first() {
    Some((0, rest)) => {
        let datagrams = parts(rest, 4);
        let sockets = fuzzing::netlink(&datagrams);
        assert!(sockets.len() <= bytes.len() / NETLINK_BYTES, "{sockets:?}");
        assert_eq!(sockets, fuzzing::netlink(&datagrams), "the same datagrams, the same sockets");
    }
    _ => {
        let ports = [PortRange::one(6380), PortRange { first: 15_000, last: 15_009 }];
        let sockets = fuzzing::proc_net(bytes, &ports);
        assert!(sockets.len() <= bytes.len() / LINE_BYTES, "{sockets:?}");
        for socket in &sockets {
            let port = socket.peer.port();
            assert!(ports.iter().any(|range| range.contains(port)), "{socket:?}");
            assert!(
                !matches!(socket.peer.ip(), std::net::IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some()),
                "{socket:?}"
            );
        }
        let all = fuzzing::proc_net(bytes, &[PortRange { first: 0, last: u16::MAX }]);
        assert!(sockets.len() <= all.len());
    }
});
