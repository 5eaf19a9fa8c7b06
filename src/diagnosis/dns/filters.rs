//! DNS filters: a policy of Azure's resolver, and filters that answer with an address that no machine has.

use super::views::{Views, describe_answer, right_answers, view_label};
use super::wrong_address;
use crate::address::ReservedUse;
use crate::azure::AZURE_DNS;
use crate::diagnosis::remediation;
use crate::diagnosis::{Code, Context, Finding, Severity};
use crate::observation::View;

/// The name that Azure's resolver answers with where a DNS security policy blocks a name.
const BLOCK_POLICY: &str = "blockpolicy.azuredns.invalid";

/// The chain of a view in use ends in the name that stands for a DNS security policy.
pub(super) fn blocked_by_policy(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    let in_use = std::iter::once(views.in_use).chain(views.system.iter().copied());
    let mut asked = in_use.chain(views.configured.iter().copied().filter(|view| view.is_azure_dns()));
    let view = asked.find(|view| is_blocked(view))?;
    let host = &case.target.host;
    let network = if view.is_azure_dns() { "this virtual network" } else { "the virtual network that it asks from" };
    Some(
        Finding::new(
            Code::DnsBlockedByPolicy,
            Severity::Error,
            format!("a DNS security policy of Azure blocks {host}"),
            format!(
                "The chain that {} gives leads to {BLOCK_POLICY}: Azure's resolver answers so where a DNS security policy that is linked to {network} has a rule that blocks the name.{}",
                view_label(view),
                right_answers(views)
            ),
        )
        .hint(format!(
            "allow {} in the DNS security policy of {network} (a rule with action Allow and a lower priority number)",
            remediation::suffix_of(case)
        ))
        .commands([
            "az dns-resolver policy virtual-network list-dns-resolver-policy --virtual-network-name <vnet> --resource-group <resource-group>".to_owned(),
            "az dns-resolver policy dns-security-rule list --policy-name <policy> --resource-group <resource-group> --output table".to_owned(),
            remediation::ask(view, host.as_str()),
        ]),
    )
}

fn is_blocked(view: &View) -> bool {
    view.chain.iter().any(|record| record.record_type == "CNAME" && record.data.eq_ignore_ascii_case(BLOCK_POLICY))
}

/// The name leads to 0.0.0.0 or `::`.
pub(super) fn sinkhole(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    let is_sinkhole = |view: &View| view.ips().any(|ip| ReservedUse::of(ip) == Some(ReservedUse::Unspecified));
    if !is_sinkhole(views.in_use) {
        return None;
    }
    let host = &case.target.host;
    let server = views.system.iter().copied().find(|view| is_sinkhole(view)).unwrap_or(views.in_use);
    let decide = if views.dns().any(View::is_azure_dns) { None } else { Some(remediation::ask_azure(case)) };
    Some(
        Finding::new(
            Code::DnsSinkhole,
            Severity::Error,
            format!("{host} leads to {}: a DNS filter blocks the name", describe_answer(views.in_use)),
            format!(
                "No machine has that address. A DNS filter (response policy zone, blocklist) answers so for a name that it blocks. On Linux a connection to it goes to this machine itself, so nothing that answers there is the cache.{}{}",
                right_answers(views),
                wrong_address::connection_evidence(case)
            ),
        )
        .hint(format!(
            "allow {} in the DNS filter of {}; it must reach {AZURE_DNS} or the resolver that sees the private zone",
            remediation::suffix_of(case),
            view_label(server)
        ))
        .commands([remediation::ask(server, host.as_str())])
        .commands(decide),
    )
}
