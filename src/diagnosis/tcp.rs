//! What the TCP connection means. From the client's side several causes look alike, and it is said so.

use super::advice::Resource;
use super::{Case, Code, Finding, Severity};
use crate::observation::tcp::EarlierAttempt;
use crate::observation::{ConnectFailure, Connection, ConnectionPhases};

pub(super) fn diagnose(case: &Case<'_>, phases: &ConnectionPhases, connection: &Connection) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(failure) = phases.connect.failure() {
        findings.push(of_failure(case, failure, &connection.address.to_string(), Severity::Error));
    } else {
        findings.extend(connection.earlier_attempts.iter().map(|attempt| earlier(case, attempt)));
    }
    findings
}

/// Another address of the name did not answer, and a client that takes it first waits.
fn earlier(case: &Case<'_>, attempt: &EarlierAttempt) -> Finding {
    let mut finding = of_failure(case, &attempt.failure, &attempt.address.to_string(), Severity::Warning);
    finding.detail.push_str(" A later address of the name answered; clients that take this one first wait or fail.");
    finding
}

fn of_failure(case: &Case<'_>, failure: &ConnectFailure, address: &str, severity: Severity) -> Finding {
    let port = case.target.port;
    let resource = Resource::of(case);
    let list_connections = resource.iter().map(Resource::list_connections);
    match failure {
        ConnectFailure::Timeout => Finding::new(
            Code::ConnectTimeout,
            severity,
            format!("{address} does not answer: the address is right, and nothing comes back"),
            format!("By likelihood: the private endpoint connection is pending, rejected or disconnected; a network security group or firewall drops TCP {port} from this subnet; the route back is missing. From the client these look alike. If every subnet is affected it is the endpoint; if only this one, it is its own rules or routes."),
        )
        .hint(format!("look at the state of the private endpoint connection first, then at the rules for TCP {port} from this subnet"))
        .commands(list_connections)
        .commands(["az network nic list-effective-nsg --name <nic-of-this-vm> --resource-group <resource-group>".to_owned()]),
        ConnectFailure::Refused => Finding::new(
            Code::ConnectRefused,
            severity,
            format!("{address} refuses the connection"),
            format!("A RST came back: nothing listens on port {port} at that address, or a firewall rejects it. Azure Cache for Redis listens on 6380, Enterprise and Managed Redis on 10000."),
        )
        .hint("check the port against the resource, then the firewalls on the way")
        .commands(resource.iter().map(Resource::show)),
        ConnectFailure::Reset => Finding::new(
            Code::ConnectReset,
            severity,
            format!("{address} resets the connection"),
            "A RST came during or right after the handshake: a firewall or proxy on the way ends it, or the server has no room.".to_owned(),
        )
        .hint("look for a firewall, proxy or load balancer on the way, and at the server's client limit"),
        ConnectFailure::HostUnreachable => Finding::new(
            Code::HostUnreachable,
            severity,
            format!("there is no route to {address}"),
            "A router said so (ICMP), or nobody answered to ARP: the route table sends it astray, or the network is not peered.".to_owned(),
        )
        .hint("check the route table and the peering between this network and the endpoint's")
        .commands([format!("ip route get {}", ip_of(address))])
        .commands(["az network nic show-effective-route-table --name <nic-of-this-vm> --resource-group <resource-group> --output table".to_owned()]),
        ConnectFailure::NetworkUnreachable => Finding::new(
            Code::NetworkUnreachable,
            severity,
            format!("the network of {address} cannot be reached from here"),
            "This machine has no route for that address, or no address of its family.".to_owned(),
        )
        .hint("check this machine's routes, and whether it has an address of that family")
        .commands([format!("ip route get {}", ip_of(address))]),
        ConnectFailure::Other { error } => Finding::new(
            Code::ConnectFailed,
            severity,
            format!("the connection to {address} failed: {error}"),
            "The operating system refused it; this says more about this machine than about the path.".to_owned(),
        )
        .hint("check this machine's limits (open files, ephemeral ports) and local firewall"),
    }
}

fn ip_of(address: &str) -> String {
    address.parse::<std::net::SocketAddr>().map_or_else(|_| address.to_owned(), |address| address.ip().to_string())
}
