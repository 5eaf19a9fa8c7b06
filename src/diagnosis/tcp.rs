//! What the TCP connection means. From the client's side several causes look alike, and it is said so.

use std::net::SocketAddr;

use super::pod::Pod;
use super::remediation::{self, Resource};
use super::{Code, Context, Finding, Severity};
use crate::azure::Service;
use crate::expectation::ExpectedPath;
use crate::observation::tcp::FailedAttempt;
use crate::observation::{ConnectFailure, Connection, ConnectionPhases};
use crate::target::Target;

pub(super) fn diagnose(case: &Context<'_>, phases: &ConnectionPhases, connection: &Connection) -> Vec<Finding> {
    if let Some(failure) = phases.connect.failure() {
        return vec![failure_finding(case, failure, connection.address, Severity::Error)];
    }
    let expected = |attempt: &&FailedAttempt| case.expectation.allows(attempt.address.ip());
    connection.earlier_attempts.iter().filter(expected).map(|attempt| earlier(case, attempt)).collect()
}

/// Another address of the name did not answer, and a client that takes it first waits.
fn earlier(case: &Context<'_>, attempt: &FailedAttempt) -> Finding {
    let mut finding = failure_finding(case, &attempt.failure, attempt.address, Severity::Warning);
    finding.detail.push_str(" A later address of the name answered; clients that take this one first wait or fail.");
    finding
}

fn failure_finding(case: &Context<'_>, failure: &ConnectFailure, address: SocketAddr, severity: Severity) -> Finding {
    let resource = Resource::of(case);
    let route = format!("ip route get {}", address.ip());
    match failure {
        ConnectFailure::Timeout => connect_timeout(case, resource.as_ref(), address, severity),
        ConnectFailure::Refused => Finding::new(
            Code::ConnectRefused,
            severity,
            format!("{address} refuses the connection"),
            format!(
                "A RST came back: nothing listens on port {} at that address, or a firewall rejects it.{}",
                address.port(),
                usual_port(case, address.port())
            ),
        )
        .hint(match wrong_port(case, address.port()) {
            Some(_) => format!("set the port to {}, here and in the application", usual_of(case)),
            None => "check the port against the resource, then the firewalls on the way".to_owned(),
        })
        .commands(resource.iter().map(Resource::show)),
        ConnectFailure::Reset => Finding::new(
            Code::ConnectReset,
            severity,
            format!("{address} resets the connection"),
            "A RST came during or right after the handshake: a firewall or proxy on the way ends it, or the server has no room for another client.",
        )
        .hint("look for a firewall, proxy or load balancer on the way, and at the server's connected clients against its limit"),
        ConnectFailure::HostUnreachable => Finding::new(
            Code::HostUnreachable,
            severity,
            format!("there is no route to {address}"),
            "A router said so (ICMP), or nobody answered to ARP: the route table sends it astray, the network is not peered, or no machine has that address any more.",
        )
        .hint("check the route table and the peering between this network and the endpoint's")
        .commands([
            route,
            "az network nic show-effective-route-table --name <nic-of-this-vm> --resource-group <resource-group> --output table".to_owned(),
        ]),
        ConnectFailure::NetworkUnreachable => Finding::new(
            Code::NetworkUnreachable,
            severity,
            format!("the network of {address} cannot be reached from here"),
            "This machine has no route for that address, or no address of its family; nothing was sent.",
        )
        .hint("check this machine's routes, and whether it has an address of that family")
        .commands([route]),
        ConnectFailure::Other { error } => Finding::new(
            Code::ConnectFailed,
            severity,
            format!("the connection to {address} failed: {error}"),
            "The operating system refused it; this says more about this machine than about the path.",
        )
        .hint("check this machine's limits (open files, ephemeral ports) and local firewall"),
    }
}

/// From the client, a connection that is not approved and a packet that is dropped look alike.
fn connect_timeout(
    case: &Context<'_>,
    resource: Option<&Resource>,
    address: SocketAddr,
    severity: Severity,
) -> Finding {
    let port = address.port();
    let (detail, hint, commands) = match case.expectation.path {
        ExpectedPath::Private => private_silence(case, resource, address),
        ExpectedPath::Public | ExpectedPath::Any => (
            format!(
                "{} By likelihood: a network security group or firewall drops TCP {port} from this subnet; the route is missing. From the client these look alike.",
                how_found(case)
            ),
            format!("look at the rules for TCP {port} from this subnet, and at the resource's firewall rules"),
            resource.map(Resource::show).into_iter().collect(),
        ),
    };
    let (detail, hint) = match wrong_port(case, port) {
        Some(wrong) => (format!("{detail}{wrong}"), format!("set the port to {} first; then {hint}", usual_of(case))),
        None => (detail, hint),
    };
    let outside = outside_azure(case);
    Finding::new(
        Code::ConnectTimeout,
        severity,
        format!("{address} does not answer: nothing comes back to the SYN"),
        detail,
    )
    .more(outside.0)
    .hint(format!("{hint}{}", outside.1))
    .commands(commands)
    .commands([match outside {
        ("", _) => remediation::effective_nsg(),
        _ => format!("tracepath -n {}", address.ip()),
    }])
}

/// What differs outside Azure, where 168.63.129.16 was asked and is silent.
fn outside_azure(case: &Context<'_>) -> (&'static str, &'static str) {
    match case.observation.resolution.is_azure_dns_silent() {
        true => (
            " 168.63.129.16 is silent here, as outside an Azure virtual network: there, a firewall of your own or the route through VPN or ExpressRoute is as likely.",
            "; from outside Azure, look at your own firewalls and at the route to the endpoint's network, too",
        ),
        false => ("", ""),
    }
}

/// Why the address is tried, and what that says of it.
fn how_found(case: &Context<'_>) -> &'static str {
    if case.observation.connection.as_ref().is_some_and(|connection| connection.address_given) {
        "The address was given (--connect), so DNS has no part in it."
    } else if case.expectation.endpoints.is_empty() {
        "The name leads there, and the address is of the expected kind; whether it is the right one is unknown without --endpoint."
    } else {
        "The address is the expected one."
    }
}

/// The causes, what to look at first, and the commands that decide.
fn private_silence(
    case: &Context<'_>,
    resource: Option<&Resource>,
    address: SocketAddr,
) -> (String, String, Vec<String>) {
    let port = address.port();
    let found = how_found(case);
    let policy = match Pod::of(case) {
        Some(_) => {
            " a network policy of the cluster does not allow it (one that allows names, such as Cilium's toFQDNs, lets addresses through only once its DNS proxy has answered with them);"
        }
        None => "",
    };
    let path = format!(
        "the private endpoint connection is pending, rejected or disconnected;{policy} a network security group or firewall drops TCP {port} from this subnet; the route back is missing"
    );
    let state = format!("the state of the private endpoint connection, then the rules for TCP {port} from this subnet");
    let connections = resource.map(Resource::list_connections);
    let given = case.observation.connection.as_ref().is_some_and(|connection| connection.address_given);
    if given || !case.expectation.endpoints.is_empty() {
        return (
            format!(
                "{found} By likelihood: {path}; the endpoint was deleted and its record was not. From the client these look alike. If every subnet is affected it is the endpoint; if only this one, it is its own rules or routes."
            ),
            format!("look at {state}"),
            connections.into_iter().collect(),
        );
    }
    // Without an expected address, the record is the first suspect: it is the one that can be read.
    let answered = case.observation.resolution.in_use().map_or(0, |view| view.addresses.len());
    let (record, first) = if answered > 1 {
        (
            format!(
                "the record set holds {answered} addresses, those of several private endpoints (two regions share the zone, or one endpoint is gone), and this network reaches not all of them"
            ),
            "the zone's record set, and which private endpoint has which of its addresses",
        )
    } else {
        (
            "the record holds the address of a second private endpoint, which wrote it last and which this network does not reach, or of an endpoint that was deleted".to_owned(),
            "the zone's record, and whether the private endpoint of this network has its address",
        )
    };
    (
        format!("{found} By likelihood: {record}; {path}. From the client these look alike."),
        format!("look at {first}; then at {state}"),
        resource
            .map(Resource::show_record)
            .into_iter()
            .chain([remediation::LIST_ENDPOINTS.to_owned()])
            .chain(connections)
            .collect(),
    )
}

fn usual_of(case: &Context<'_>) -> u16 {
    let service = case.target.service;
    if case.target.tls { service.tls_port() } else { service.plaintext_port() }
}

/// The port kept after a move to another service is a common mistake; it is silent or refused.
fn wrong_port(case: &Context<'_>, port: u16) -> Option<String> {
    let Target { service, tls, .. } = *case.target;
    if service.listens_on(port, tls) {
        return None;
    }
    let other = match service {
        Service::AzureCacheForRedis => Service::AzureManagedRedis,
        Service::AzureCacheForRedisEnterprise | Service::AzureManagedRedis => Service::AzureCacheForRedis,
        Service::Other => return None,
    };
    let kept = if other.listens_on(port, true) || other.listens_on(port, false) {
        format!(" That is a port of {}, as it is kept after a move from one to the other.", other.title())
    } else {
        String::new()
    };
    Some(format!(" {} listens on {}, and {port} was tried.{kept}", service.title(), usual_of(case)))
}

/// What the port says by itself.
fn usual_port(case: &Context<'_>, port: u16) -> String {
    let service = case.target.service;
    match (service, case.target.tls) {
        (Service::Other, _) => {
            " Azure Cache for Redis listens on 6380, Enterprise and Managed Redis on 10000.".to_owned()
        }
        (_, tls) if !service.listens_on(port, tls) => wrong_port(case, port).unwrap_or_default(),
        (Service::AzureCacheForRedis, false) => {
            " The port without TLS is off by default at Azure Cache for Redis.".to_owned()
        }
        (Service::AzureCacheForRedis | Service::AzureCacheForRedisEnterprise | Service::AzureManagedRedis, _) => {
            format!(" {port} is the usual port of {}, so a wrong port is the less likely.", service.title())
        }
    }
}
