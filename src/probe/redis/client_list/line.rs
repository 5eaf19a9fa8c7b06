//! One line of `CLIENT LIST`: fields `key=value`, separated by spaces, whose order and number differ by version.

use std::net::IpAddr;

use super::super::client_info::parse_address;

/// What is read of a line. A field that is missing or does not parse is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::probe) struct ClientLine<'a> {
    pub(in crate::probe) id: Option<u64>,
    pub(in crate::probe) address: Option<IpAddr>,
    pub(in crate::probe) name: &'a str,
    pub(in crate::probe) user: &'a str,
    pub(in crate::probe) library: &'a str,
    pub(in crate::probe) library_version: &'a str,
    pub(in crate::probe) age_seconds: Option<u64>,
    pub(in crate::probe) idle_seconds: Option<u64>,
    pub(in crate::probe) flags: &'a str,
    pub(in crate::probe) command: &'a str,
}

impl<'a> ClientLine<'a> {
    /// Reads a line; the first field of a name counts, so that a name with spaces in it changes nothing before it.
    /// `None` where it has no field at all.
    pub(in crate::probe) fn parse(line: &'a [u8]) -> Option<Self> {
        let mut parsed = Self::default();
        let mut seen = 0_u16;
        for field in line.split(|byte| byte.is_ascii_whitespace()) {
            let Some((key, value)) = std::str::from_utf8(field).ok().and_then(|field| field.split_once('=')) else {
                continue;
            };
            let position = match key {
                "id" => 0,
                "addr" => 1,
                "name" => 2,
                "user" => 3,
                "lib-name" => 4,
                "lib-ver" => 5,
                "age" => 6,
                "idle" => 7,
                "flags" => 8,
                "cmd" => 9,
                _ => continue,
            };
            if seen & (1 << position) != 0 {
                continue;
            }
            seen |= 1 << position;
            match position {
                0 => parsed.id = value.parse().ok(),
                1 => parsed.address = parse_address(value).map(|address| address.to_canonical()),
                2 => parsed.name = value,
                3 => parsed.user = value,
                4 => parsed.library = value,
                5 => parsed.library_version = value,
                6 => parsed.age_seconds = value.parse().ok(),
                7 => parsed.idle_seconds = value.parse().ok(),
                8 => parsed.flags = value,
                _ => parsed.command = value,
            }
        }
        (seen != 0).then_some(parsed)
    }

    /// Whether it is a connection of replication: to a replica (`S`) or to the master (`M`); `O` is a monitor.
    pub(in crate::probe) fn is_replication(&self) -> bool {
        self.flags.contains('M') || (self.flags.contains('S') && !self.flags.contains('O'))
    }

    /// Whether the client runs a command `CLIENT` at this moment, as redpath does.
    pub(in crate::probe) fn may_be_own(&self) -> bool {
        matches!(self.command, "client|list" | "client") && self.idle_seconds == Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_line_of_each_version_is_read() {
        let line = b"id=3 addr=[fd40:1481:21:dbe0:7021:300:a03:1a06%eth0]:55949 laddr=10.0.0.4:6380 fd=8 name=web age=12 idle=0 flags=N db=0 cmd=client|list user=app redir=-1 resp=2 lib-name=redis-py lib-ver=5.0.1";
        let parsed = ClientLine::parse(line).expect("a client");
        assert_eq!((parsed.id, parsed.name, parsed.user, parsed.age_seconds), (Some(3), "web", "app", Some(12)));
        assert_eq!(parsed.address, "fd40:1481:21:dbe0:7021:300:a03:1a06".parse().ok());
        assert_eq!((parsed.library, parsed.library_version), ("redis-py", "5.0.1"));
        assert!(parsed.may_be_own() && !parsed.is_replication());
        let old = b"id=4 addr=10.3.26.6:44426 fd=9 name= age=3 idle=1 flags=S db=0 cmd=replconf";
        let parsed = ClientLine::parse(old).expect("a client");
        assert_eq!((parsed.address, parsed.user), (Some([10, 3, 26, 6].into()), ""));
        assert!(parsed.is_replication() && !parsed.may_be_own());
    }

    #[test]
    fn client_line_hostile_fields_change_nothing() {
        let line = b"id=x addr=20.1.1.1:5 name=a addr=[fd40::1]:5 user=\xff age=-1 flags=OS id=7";
        let parsed = ClientLine::parse(line).expect("a client");
        assert_eq!((parsed.id, parsed.name, parsed.user, parsed.age_seconds), (None, "a", "", None));
        assert_eq!(parsed.address, Some([20, 1, 1, 1].into()));
        assert!(!parsed.is_replication(), "a monitor");
        for nothing in [&b""[..], b"   ", b"\xff\xfe", b"=x", b"addr", b"laddr=1.2.3.4:5"] {
            assert_eq!(ClientLine::parse(nothing), None, "{nothing:?}");
        }
    }
}
