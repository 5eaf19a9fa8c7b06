//! The address under which the server sees the probe against the path: a warning, since a proxy may explain it.

use super::{Code, Context, Finding, Severity};
use crate::expectation::ExpectedPath;
use crate::observation::client_info::Via;

/// The finding, where the server's address for this probe contradicts the path.
pub(super) fn diagnose(case: &Context<'_>) -> Option<Finding> {
    let connection = case.observation.connection.as_ref()?;
    let seen = connection.server_sees.as_ref().filter(|seen| seen.agrees == Some(false))?;
    let (to, from) = (connection.address.ip(), seen.address?);
    let severity = match case.expectation.path {
        ExpectedPath::Any => Severity::Info,
        ExpectedPath::Private | ExpectedPath::Public => Severity::Warning,
    };
    let (summary, detail, hint) = match seen.via {
        Via::PrivateLink => (
            format!("{to} is public, and the server sees this probe as {from}, by a private link"),
            "Only a client of a private link has an address of fd40:. So the connection ends at a private endpoint, though its address is of a public range: most likely a range that this network uses privately.".to_owned(),
            "if the range is used privately here, declare it: --private-range, private_ranges",
        ),
        Via::Address | Via::Unknown => (
            format!("{to} is private, and the server sees this probe as {from}, not by a private link"),
            format!(
                "A client of a private endpoint has an address of fd40: with its IPv4 address at the end. {from} is a plain one. By likelihood: a proxy, load balancer or firewall at {to} forwards to the public endpoint; {to} is another kind of front. A client cannot tell these apart."
            ),
            "find what has the private address: a network interface without a private endpoint is the front",
        ),
    };
    let commands = match seen.via {
        Via::PrivateLink => Vec::new(),
        Via::Address | Via::Unknown => vec![
            "az network private-endpoint list --query '[].[name,resourceGroup,location,customDnsConfigs]' --output json"
                .to_owned(),
            "az network nic list --query '[].[name,privateEndpoint.id,ipConfigurations]' --output json".to_owned(),
        ],
    };
    Some(Finding::new(Code::ServerSeesOtherPath, severity, summary, detail).hint(hint).commands(commands))
}
