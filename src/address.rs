//! What kind of address an answer holds, against the IANA special-purpose registries.
//!
//! Sources: the IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890, as maintained by IANA),
//! RFC 1918, RFC 4193, RFC 6598. The operator's own ranges outrank the built-in classes, since some
//! estates use public-looking or 100.64.0.0/10 addresses privately.

mod internal;
mod reserved;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, IntoStaticStr};

pub use self::internal::{embedded_v4, leads_to_platform_service};
pub use self::reserved::{ReservedUse, behind_nat64, reserved_range};

/// The class of an address, a closed list.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
    Display,
    EnumIter,
    IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum AddressClass {
    /// RFC 1918, RFC 4193 (ULA), or in the operator's own ranges.
    Private,
    /// 100.64.0.0/10, the shared space of RFC 6598.
    Shared,
    /// 169.254.0.0/16 and `fe80::/10`.
    LinkLocal,
    /// 127.0.0.0/8 and `::1`.
    Loopback,
    /// Globally reachable.
    Public,
    /// Every other special-purpose range: documentation, benchmarking, multicast, reserved.
    Special,
}

impl AddressClass {
    /// The name used in records and label values.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The class of `ip`; addresses inside `private_ranges` are private whatever the registries say.
pub fn classify(ip: IpAddr, private_ranges: &[IpNet]) -> AddressClass {
    let ip = ip.to_canonical(); // ::ffff:10.0.0.1 is 10.0.0.1 (RFC 4291, 2.5.5.2)
    if private_ranges.iter().any(|range| range.contains(&ip)) {
        return AddressClass::Private;
    }
    match ip {
        IpAddr::V4(ip) => classify_v4(ip),
        IpAddr::V6(ip) => classify_v6(ip),
    }
}

/// Whether `ranges` hold `ip`, an IPv4-mapped address counting as the IPv4 address.
pub fn contains(ranges: &[IpNet], ip: IpAddr) -> bool {
    ranges.iter().any(|range| range.contains(&ip.to_canonical()))
}

/// Reads `10.60.4.5` as a single address and `10.60.4.0/24` as a range.
///
/// # Errors
/// What would be accepted, to complete "TEXT is …".
pub fn parse_range(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    text.parse::<IpNet>()
        .map(|net| net.trunc())
        .or_else(|_| text.parse::<IpAddr>().map(|ip| IpNet::from(ip.to_canonical())))
        .map_err(|_| "not an IP address or CIDR range, such as 10.60.4.5 or 10.60.4.0/24".to_owned())
}

/// A range as people write it: a single address without its `/32` or `/128`.
pub fn display_range(range: &IpNet) -> String {
    if range.prefix_len() == range.max_prefix_len() { range.addr().to_string() } else { range.to_string() }
}

fn classify_v4(ip: Ipv4Addr) -> AddressClass {
    longest(V4, |net: &Ipv4Net| net.contains(&ip), Ipv4Net::prefix_len).unwrap_or(AddressClass::Public)
}

fn classify_v6(ip: Ipv6Addr) -> AddressClass {
    if NAT64.contains(&ip) {
        // RFC 6052: the IPv4 address is the last four bytes, and only a global one may be embedded.
        let [.., a, b, c, d] = ip.octets();
        return match classify_v4(Ipv4Addr::new(a, b, c, d)) {
            AddressClass::Public => AddressClass::Public,
            _ => AddressClass::Special,
        };
    }
    // Outside 2000::/3 nothing is allocated as global unicast (RFC 4291, 2.4).
    longest(V6, |net: &Ipv6Net| net.contains(&ip), Ipv6Net::prefix_len).unwrap_or(AddressClass::Special)
}

fn longest<N: Copy>(
    table: &[(N, AddressClass)],
    holds: impl Fn(&N) -> bool,
    length: impl Fn(&N) -> u8,
) -> Option<AddressClass> {
    table.iter().filter(|(net, _)| holds(net)).max_by_key(|(net, _)| length(net)).map(|(_, class)| *class)
}

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(a: u16, b: u16, c: u16, d: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), length)
}

const fn host(a: u16, b: u16, last: u16) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, last), 128)
}

/// IANA IPv4 Special-Purpose Address Registry, with multicast (RFC 5771); the rest is public.
const V4: &[(Ipv4Net, AddressClass)] = &[
    (v4(0, 0, 0, 0, 8), AddressClass::Special),        // this network
    (v4(10, 0, 0, 0, 8), AddressClass::Private),       // RFC 1918
    (v4(100, 64, 0, 0, 10), AddressClass::Shared),     // RFC 6598
    (v4(127, 0, 0, 0, 8), AddressClass::Loopback),     // RFC 1122
    (v4(169, 254, 0, 0, 16), AddressClass::LinkLocal), // RFC 3927
    (v4(172, 16, 0, 0, 12), AddressClass::Private),    // RFC 1918
    (v4(192, 0, 0, 0, 24), AddressClass::Special),     // IETF protocol assignments
    (v4(192, 0, 0, 9, 32), AddressClass::Public),      // PCP anycast, globally reachable
    (v4(192, 0, 0, 10, 32), AddressClass::Public),     // TURN anycast, globally reachable
    (v4(192, 0, 2, 0, 24), AddressClass::Special),     // TEST-NET-1
    (v4(192, 88, 99, 0, 24), AddressClass::Special),   // deprecated 6to4 relay anycast
    (v4(192, 168, 0, 0, 16), AddressClass::Private),   // RFC 1918
    (v4(198, 18, 0, 0, 15), AddressClass::Special),    // benchmarking
    (v4(198, 51, 100, 0, 24), AddressClass::Special),  // TEST-NET-2
    (v4(203, 0, 113, 0, 24), AddressClass::Special),   // TEST-NET-3
    (v4(224, 0, 0, 0, 4), AddressClass::Special),      // multicast
    (v4(240, 0, 0, 0, 4), AddressClass::Special),      // reserved, and limited broadcast
];

/// The well-known prefix of RFC 6052.
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 0, 0, 96);

/// IANA IPv6 Special-Purpose Address Registry, inside the one global unicast block.
const V6: &[(Ipv6Net, AddressClass)] = &[
    (v6(0x2000, 0, 0, 0, 3), AddressClass::Public),       // global unicast
    (host(0, 0, 1), AddressClass::Loopback),              // RFC 4291
    (v6(0x2001, 0, 0, 0, 23), AddressClass::Special),     // IETF protocol assignments, Teredo among them
    (host(0x2001, 1, 1), AddressClass::Public),           // PCP anycast
    (host(0x2001, 1, 2), AddressClass::Public),           // TURN anycast
    (host(0x2001, 1, 3), AddressClass::Public),           // DNS-SD SRP anycast
    (v6(0x2001, 3, 0, 0, 32), AddressClass::Public),      // AMT
    (v6(0x2001, 4, 0x112, 0, 48), AddressClass::Public),  // AS112
    (v6(0x2001, 0x20, 0, 0, 28), AddressClass::Public),   // ORCHIDv2
    (v6(0x2001, 0x30, 0, 0, 28), AddressClass::Public),   // drone remote ID
    (v6(0x2001, 0xdb8, 0, 0, 32), AddressClass::Special), // documentation
    (v6(0x2002, 0, 0, 0, 16), AddressClass::Special),     // 6to4
    (v6(0x3fff, 0, 0, 0, 20), AddressClass::Special),     // documentation
    (v6(0xfc00, 0, 0, 0, 7), AddressClass::Private),      // unique local, RFC 4193
    (v6(0xfe80, 0, 0, 0, 10), AddressClass::LinkLocal),   // RFC 4291
];

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation, reason = "any part of random bits will do")]

    use proptest::prelude::*;

    use super::*;

    fn class(ip: &str) -> AddressClass {
        classify(ip.parse().expect("a test address"), &[])
    }

    #[test]
    fn ip_class_follows_iana_registries() {
        for (ip, expected) in [
            ("10.60.4.5", AddressClass::Private),
            ("172.15.255.255", AddressClass::Public),
            ("172.16.0.0", AddressClass::Private),
            ("172.32.0.0", AddressClass::Public),
            ("192.168.1.1", AddressClass::Private),
            ("100.63.255.255", AddressClass::Public),
            ("100.64.0.1", AddressClass::Shared),
            ("100.128.0.0", AddressClass::Public),
            ("127.0.0.53", AddressClass::Loopback),
            ("169.254.10.10", AddressClass::LinkLocal),
            ("168.63.129.16", AddressClass::Public),
            ("20.50.1.10", AddressClass::Public),
            ("192.0.0.8", AddressClass::Special),
            ("192.0.0.9", AddressClass::Public),
            ("203.0.113.7", AddressClass::Special),
            ("224.0.0.1", AddressClass::Special),
            ("255.255.255.255", AddressClass::Special),
            ("0.0.0.0", AddressClass::Special),
            ("::", AddressClass::Special),
            ("::1", AddressClass::Loopback),
            ("fd10:10:1::4", AddressClass::Private),
            ("fe80::1", AddressClass::LinkLocal),
            ("2603:1030:50:1::10", AddressClass::Public),
            ("2001:db8::1", AddressClass::Special),
            ("2001:0:1::1", AddressClass::Special),
            ("2001:4:112::1", AddressClass::Public),
            ("2002:a3c:405::", AddressClass::Special),
            ("4000::1", AddressClass::Special),
            ("ff02::1", AddressClass::Special),
            ("::ffff:10.60.4.5", AddressClass::Private),
            ("::ffff:20.50.1.10", AddressClass::Public),
            ("64:ff9b::20.50.1.10", AddressClass::Public),
            ("64:ff9b::10.60.4.5", AddressClass::Special),
        ] {
            assert_eq!(class(ip), expected, "{ip}");
        }
    }

    proptest! {
        #[test]
        fn ip_class_ipv4_mapped_is_ipv4(bits: u32) {
            let ip = Ipv4Addr::from(bits);
            prop_assert_eq!(classify(ip.to_ipv6_mapped().into(), &[]), classify(ip.into(), &[]));
        }

        #[test]
        fn ip_class_own_range_outranks_registry(bits: u128, v4: bool, length in 0u8..=32) {
            let ip = if v4 { IpAddr::from((bits as u32).to_be_bytes()) } else { IpAddr::from(bits.to_be_bytes()) };
            let range = IpNet::new(ip, length).expect("a length of both families").trunc();
            prop_assert_eq!(classify(ip, &[range]), AddressClass::Private);
        }

        #[test]
        fn ip_class_private_is_rfc1918_and_rfc4193(bits: u128, v4: bool) {
            let ip = if v4 { IpAddr::from((bits as u32).to_be_bytes()) } else { IpAddr::from(bits.to_be_bytes()) };
            let private = match ip.to_canonical() {
                IpAddr::V4(ip) => ip.is_private(),
                IpAddr::V6(ip) => ip.is_unique_local(),
            };
            prop_assert_eq!(classify(ip, &[]) == AddressClass::Private, private);
        }
    }

    #[test]
    fn private_range_outranks_registry() {
        let own =
            [parse_range("20.50.0.0/16").expect("a range"), parse_range("::ffff:100.64.0.1").expect("an address")];
        for ip in ["20.50.1.10", "::ffff:20.50.1.10", "100.64.0.1"] {
            assert_eq!(classify(ip.parse().expect("an address"), &own), AddressClass::Private, "{ip}");
        }
        assert_eq!(classify("100.64.0.2".parse().expect("an address"), &own), AddressClass::Shared);
    }

    #[test]
    fn private_range_invalid_is_named() {
        let error = parse_range("10.60.4.300").expect_err("no such address");
        assert!(error.contains("10.60.4.0/24"), "{error}");
    }
}
