//! Addresses that no machine of a network has: they are reserved for another use, so no private
//! endpoint is ever there, whatever range an operator declares private.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{NAT64, v4, v6};

/// What an address is reserved for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReservedUse {
    /// 0.0.0.0/8 and `::`, "this network" (RFC 791, RFC 4291): what DNS filters answer.
    Unspecified,
    /// 240.0.0.0/4 (RFC 1112), 198.18.0.0/15 (RFC 2544), `2001:2::/48` (RFC 5180): what service
    /// meshes and proxies make up.
    Virtual,
    /// `64:ff9b::/96` (RFC 6052) and `64:ff9b:1::/48` (RFC 8215): an IPv4 address behind NAT64.
    Nat64,
    /// 224.0.0.0/4, `ff00::/8` and 255.255.255.255: many machines at once.
    Multicast,
}

impl ReservedUse {
    /// What `ip` is reserved for, if it is.
    pub fn of(ip: IpAddr) -> Option<Self> {
        match ip.to_canonical() {
            IpAddr::V4(ip) => RANGES_V4.iter().find(|(net, _)| net.contains(&ip)).map(|(_, reserved)| *reserved),
            IpAddr::V6(ip) => RANGES_V6.iter().find(|(net, _)| net.contains(&ip)).map(|(_, reserved)| *reserved),
        }
    }

    /// That a range declared private has a reserved part, which stays reserved.
    pub fn remark(range: &IpNet) -> Option<String> {
        let (part, _) = Self::within(range)?;
        Some(format!(
            "{range} has addresses of {part}, which is reserved: no endpoint is there, whatever is declared private"
        ))
    }

    /// The same of every range that a flag or key of this name has.
    pub fn remarks(name: &str, ranges: &[IpNet]) -> Vec<String> {
        ranges.iter().filter_map(Self::remark).map(|remark| format!("{name}: {remark}")).collect()
    }

    /// What a part of `range` is reserved for, if one is, and that part.
    pub fn within(range: &IpNet) -> Option<(IpNet, Self)> {
        let v4 = RANGES_V4.iter().map(|(net, reserved)| (IpNet::V4(*net), *reserved));
        let v6 = RANGES_V6.iter().map(|(net, reserved)| (IpNet::V6(*net), *reserved));
        let mut all = v4.chain(v6);
        all.clone().find(|(net, _)| net.contains(range)).or_else(|| all.find(|(net, _)| range.contains(net)))
    }
}

/// The range of the list that holds `ip`.
pub fn reserved_range(ip: IpAddr) -> Option<IpNet> {
    ReservedUse::within(&IpNet::from(ip.to_canonical())).map(|(range, _)| range)
}

/// The IPv4 address that a NAT64 gateway translates `ip` to (RFC 6052, 2.2: the last 32 bits of a /96).
pub fn behind_nat64(ip: Ipv6Addr) -> Ipv4Addr {
    let [.., a, b, c, d] = ip.octets();
    Ipv4Addr::new(a, b, c, d)
}

/// The first that holds an address counts.
const RANGES_V4: &[(Ipv4Net, ReservedUse)] = &[
    (v4(0, 0, 0, 0, 8), ReservedUse::Unspecified),
    (v4(198, 18, 0, 0, 15), ReservedUse::Virtual),
    (v4(224, 0, 0, 0, 4), ReservedUse::Multicast),
    (v4(255, 255, 255, 255, 32), ReservedUse::Multicast),
    (v4(240, 0, 0, 0, 4), ReservedUse::Virtual),
];

const RANGES_V6: &[(Ipv6Net, ReservedUse)] = &[
    (v6(0, 0, 0, 0, 128), ReservedUse::Unspecified),
    (NAT64, ReservedUse::Nat64),
    (v6(0x64, 0xff9b, 1, 0, 48), ReservedUse::Nat64),
    (v6(0x2001, 2, 0, 0, 48), ReservedUse::Virtual),
    (v6(0xff00, 0, 0, 0, 8), ReservedUse::Multicast),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_use_follows_the_ranges() {
        for (ip, reserved) in [
            ("0.0.0.0", Some(ReservedUse::Unspecified)),
            ("::", Some(ReservedUse::Unspecified)),
            ("::ffff:0.0.0.0", Some(ReservedUse::Unspecified)),
            ("240.240.0.7", Some(ReservedUse::Virtual)),
            ("198.19.255.255", Some(ReservedUse::Virtual)),
            ("2001:2::f0f0:6366", Some(ReservedUse::Virtual)),
            ("255.255.255.255", Some(ReservedUse::Multicast)),
            ("224.0.0.1", Some(ReservedUse::Multicast)),
            ("ff02::1", Some(ReservedUse::Multicast)),
            ("64:ff9b::10.60.4.5", Some(ReservedUse::Nat64)),
            ("64:ff9b:1::10.60.4.5", Some(ReservedUse::Nat64)),
            ("10.60.4.5", None),
            ("100.64.0.1", None),
            ("198.20.0.1", None),
            ("20.50.1.10", None),
            ("::1", None),
            ("fd00::5", None),
        ] {
            assert_eq!(ReservedUse::of(ip.parse().expect("an address")), reserved, "{ip}");
        }
    }

    #[test]
    fn reserved_part_of_a_range_is_found() {
        for (range, part) in [
            ("240.240.0.0/16", Some("240.0.0.0/4")),
            ("0.0.0.0/0", Some("0.0.0.0/8")),
            ("::/0", Some("::/128")),
            ("10.0.0.0/8", None),
            ("20.50.0.0/16", None),
        ] {
            let found = ReservedUse::within(&range.parse().expect("a range")).map(|(part, _)| part.to_string());
            assert_eq!(found.as_deref(), part, "{range}");
        }
    }

    #[test]
    fn nat64_address_holds_an_ipv4_address() {
        let ip = "64:ff9b::a3c:405".parse().expect("an address");
        assert_eq!(behind_nat64(ip), Ipv4Addr::new(10, 60, 4, 5));
        assert_eq!(reserved_range(ip.into()).map(|range| range.to_string()).as_deref(), Some("64:ff9b::/96"));
    }
}
