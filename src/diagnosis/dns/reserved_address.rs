//! Addresses that no network has: a service mesh, a proxy or DNS64 made them up.

use std::net::IpAddr;

use super::views::{Views, right_answers, view_label};
use super::wrong_address;
use crate::address::{AddressClass, ReservedUse, behind_nat64, reserved_range};
use crate::diagnosis::remediation;
use crate::diagnosis::{Code, Context, Finding, Severity};
use crate::observation::View;

/// An address of the answer in use is reserved, and does not meet the expectation.
pub(super) fn unexpected(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    let wrong = |ip: &IpAddr| !case.expectation.allows(*ip);
    // A public address among the answers is a cause of its own.
    if views.in_use.ips().filter(wrong).any(|ip| case.expectation.class(ip) == AddressClass::Public) {
        return None;
    }
    views.in_use.ips().filter(wrong).find_map(|ip| finding(case, views, ip, Severity::Error))
}

/// An address of the answer in use is reserved, and was declared to be private or expected.
pub(super) fn declared(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    views.in_use.ips().find_map(|ip| finding(case, views, ip, Severity::Warning))
}

fn finding(case: &Context<'_>, views: &Views<'_>, ip: IpAddr, severity: Severity) -> Option<Finding> {
    let made_from = made_from(views.in_use, ip);
    match ReservedUse::of(ip) {
        Some(ReservedUse::Virtual) => Some(virtual_address(case, views, ip, severity)),
        Some(ReservedUse::Multicast) => Some(multicast(case, views, ip, severity)),
        Some(ReservedUse::Nat64) => Some(dns64(case, views, ip, severity)),
        None if made_from.is_some() => Some(dns64(case, views, ip, severity)),
        Some(ReservedUse::Unspecified) | None => None, // the sinkhole has a rule of its own
    }
}

/// The IPv4 address of the same answer whose bits end `ip`: a DNS64 prefix of the network's own.
fn made_from(view: &View, ip: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(ip) = ip.to_canonical() else { return None };
    let embedded = IpAddr::V4(behind_nat64(ip));
    view.ips().find(|other| other.to_canonical() == embedded)
}

fn virtual_address(case: &Context<'_>, views: &Views<'_>, ip: IpAddr, severity: Severity) -> Finding {
    let (host, port) = (&case.target.host, case.target.port);
    let range = reserved_range(ip).map_or_else(|| ip.to_string(), |range| range.to_string());
    let decide = if views.dns().any(View::is_azure_dns) { None } else { Some(remediation::ask_azure(case)) };
    Finding::new(
        Code::VirtualAddress,
        severity,
        format!("{host} leads to {ip}, an address that a service mesh or a proxy made up"),
        format!(
            "No network has addresses of {range}: they are reserved. The DNS proxy of a service mesh (Istio for a ServiceEntry, Consul, Kuma), a proxy or a VPN client answers with one, takes the connection and opens another one itself. Where that one leads cannot be seen from inside the mesh, so the path is unknown.{}{}",
            right_answers(views),
            wrong_address::connection_evidence(case)
        ),
    )
    .hint(format!(
        "probe from a pod without the sidecar, or exclude the port from it (annotation traffic.sidecar.istio.io/excludeOutboundPorts: \"{port}\", and no DNS capture); then look at the ServiceEntry for {host}"
    ))
    .commands(["kubectl get serviceentries --all-namespaces".to_owned()])
    .commands([remediation::ask(views.in_use, host.as_str())])
    .commands(decide)
}

fn dns64(case: &Context<'_>, views: &Views<'_>, ip: IpAddr, severity: Severity) -> Finding {
    let host = &case.target.host;
    let embedded = match ip.to_canonical() {
        IpAddr::V6(ip) => behind_nat64(ip).to_string(),
        IpAddr::V4(ip) => ip.to_string(),
    };
    let why = if ReservedUse::of(ip) == Some(ReservedUse::Nat64) {
        "The prefix is that of NAT64 (RFC 6052), and is not for private addresses."
    } else {
        "Its last 32 bits are the IPv4 address of the same answer, as DNS64 with a prefix of the network's own makes them (RFC 6147)."
    };
    let server = views.system.iter().copied().find(|view| view.ips().any(|other| other == ip)).unwrap_or(views.in_use);
    Finding::new(
        Code::Dns64Address,
        severity,
        format!("{host} leads to {ip}, which DNS64 made from {embedded}"),
        format!(
            "{why} A connection to it goes through a NAT64 gateway; whether that one reaches the private endpoint cannot be seen from here. Programs that prefer IPv6 take this address.{}{}",
            right_answers(views),
            wrong_address::connection_evidence(case)
        ),
    )
    .hint(format!(
        "have {} leave private addresses out of DNS64 (BIND: `mapped`), or have programs here ask for A records alone (options no-aaaa in resolv.conf)",
        view_label(server)
    ))
    .commands([format!("{} AAAA", remediation::ask(server, host.as_str())), format!("getent ahosts {host}")])
}

fn multicast(case: &Context<'_>, views: &Views<'_>, ip: IpAddr, severity: Severity) -> Finding {
    let host = &case.target.host;
    Finding::new(
        Code::UnexpectedAddress,
        severity,
        format!("{host} leads to {ip}, which is a multicast or broadcast address"),
        format!("No cache has such an address: the record is wrong, or a DNS filter answers.{}", right_answers(views)),
    )
    .hint("find the zone, server or hosts line that gives this address, and compare it with the private endpoint's")
    .commands([remediation::ask(views.in_use, host.as_str())])
}
