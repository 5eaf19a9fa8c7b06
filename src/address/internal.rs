//! Addresses that serve a cloud's own machines, and IPv6 addresses that lead to an IPv4 one.
//!
//! A name under another's control must lead to neither: metadata services hand out credentials.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::Ipv6Net;

use super::{NAT64, v6};

/// Metadata and platform services outside the link-local ranges.
const SERVICES_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(168, 63, 129, 16),   // Azure: DNS, DHCP, the guest agent
    Ipv4Addr::new(100, 100, 100, 200), // Alibaba Cloud: metadata
    Ipv4Addr::new(192, 0, 0, 192),     // Oracle Cloud: metadata, older images
];

const SERVICES_V6: [Ipv6Net; 4] = [
    v6(0xfd00, 0xec2, 0, 0, 32), // AWS: metadata (fd00:ec2::254), DNS, NTP
    Ipv6Net::new_assert(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), 128), // Google Cloud: metadata
    Ipv6Net::new_assert(Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe), 128), // Oracle Cloud: metadata
    Ipv6Net::new_assert(Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42), 128), // Scaleway: metadata
];

/// Whether a cloud's metadata or platform service is behind `ip`, in whatever form.
///
/// The translation prefix of a network cannot be known, so that every place is read at which RFC 6052 (2.2) has the
/// IPv4 address. That a host has one of these few addresses there by chance is unlikely enough.
pub fn leads_to_platform_service(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => is_service(ip),
        IpAddr::V6(ip) => {
            let [_, _, _, _, a, b, c, d, zero, e, f, g, h, ..] = ip.octets();
            let by_prefix = [[a, b, c, d], [b, c, d, e], [c, d, e, f], [d, e, f, g], [e, f, g, h]];
            SERVICES_V6.iter().any(|range| range.contains(&ip))
                || zero == 0 && by_prefix.into_iter().any(|octets| is_service(octets.into()))
                || is_service(super::behind_nat64(ip))
                || embedded_v4(ip).is_some_and(is_service)
        }
    }
}

/// The IPv4 address that `ip` leads to by its prefix alone: NAT64 (RFC 6052), 6to4 (RFC 3056), IPv4-compatible
/// (RFC 4291, 2.5.5.1).
pub fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [_, _, a, b, c, d, ..] = ip.octets();
    if v6(0x2002, 0, 0, 0, 16).contains(&ip) {
        return Some(Ipv4Addr::new(a, b, c, d));
    }
    (NAT64.contains(&ip) || v6(0, 0, 0, 0, 96).contains(&ip)).then(|| super::behind_nat64(ip))
}

fn is_service(ip: Ipv4Addr) -> bool {
    SERVICES_V4.contains(&ip) || ip == Ipv4Addr::new(169, 254, 169, 254)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platform_service_is_found_in_every_form() {
        for ip in [
            "168.63.129.16",
            "169.254.169.254",
            "100.100.100.200",
            "192.0.0.192",
            "::ffff:168.63.129.16",
            "::168.63.129.16",
            "64:ff9b::168.63.129.16",
            "64:ff9b:1::a83f:8110",
            "2002:a83f:8110::1",
            "2001:db8:a83f:8110::",            // /32
            "2001:db8:1a8:3f81:10::",          // /40
            "2001:db8:122:a83f:81:1000::",     // /48
            "2001:db8:122:3a8:3f:8110::",      // /56
            "2001:db8:122:344:a8:3f81:1000:0", // /64
            "2001:db8:122:344::a83f:8110",     // /96
            "fd00:ec2::254",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            "fd00:42::42",
        ] {
            let parsed = ip.parse().unwrap_or_else(|error| panic!("{ip}: {error}"));
            assert!(leads_to_platform_service(parsed), "{ip}");
        }
    }

    #[test]
    fn other_addresses_are_no_platform_service() {
        for ip in ["10.60.4.5", "168.63.129.17", "20.50.1.10", "fd10:10:1::4", "2603:1030:50:1::10", "64:ff9b::a3c:405"]
        {
            assert!(!leads_to_platform_service(ip.parse().expect("an address")), "{ip}");
        }
    }

    #[test]
    fn embedded_address_is_read_by_prefix() {
        let embedded = |ip: &str| embedded_v4(ip.parse().expect("an address"));
        let expected = Some(Ipv4Addr::new(10, 60, 4, 5));
        for ip in ["64:ff9b::10.60.4.5", "2002:a3c:405::1", "::10.60.4.5"] {
            assert_eq!(embedded(ip), expected, "{ip}");
        }
        assert_eq!(embedded("2603:1030:50:1::10"), None);
    }
}
