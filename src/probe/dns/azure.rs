//! Azure's own resolver, asked without being configured: it knows whether the virtual network is linked to the
//! private DNS zone, so that the first `check` of an Azure name can say where the resolution goes wrong.

use std::net::SocketAddr;
use std::time::Duration;

use super::lookup::{Lookup, Source};
use super::query::QueryOptions;
use super::search::SearchList;
use super::views::Views;
use crate::azure::{AZURE_DNS, Service};
use crate::expectation::ExpectedPath;
use crate::observation::dns::ViewKind;
use crate::observation::{View, ViewOutcome};
use crate::plan::{AddressPolicy, AzureDns, Plan, Resolver, ViewSelection};
use crate::probe::budget::Budget;

/// How long it is waited for. Within Azure it answers at once; elsewhere nobody does.
const MAX_WAIT: Duration = Duration::from_millis(500);

/// Its view, after one question for A, where the plan allows it, the view in use has an address that is not
/// expected, and no other view has asked it. Absent where it does not answer: then this is no virtual network.
pub(super) async fn view(plan: &Plan, views: &Views<'_>, budget: &Budget, left: Duration) -> Option<View> {
    if !is_wanted(plan, views) {
        return None;
    }
    let Resolver { name, address } = Resolver::azure();
    let lookup = Lookup {
        source: Source::Server(address),
        search: SearchList::new(&plan.target.host, &[], 1),
        options: QueryOptions { tcp_only: false, with_aaaa: false, without_edns: false },
        expectation: &plan.expectation,
    };
    let unasked = View { automatic: true, ..View::new(name, ViewKind::Resolver, Some(address)) };
    let view = Box::pin(lookup.run(unasked, budget, left.min(MAX_WAIT))).await;
    let has_answered = matches!(view.outcome, ViewOutcome::Answered | ViewOutcome::NoData | ViewOutcome::NameNotFound);
    has_answered.then_some(view)
}

fn is_wanted(plan: &Plan, views: &Views<'_>) -> bool {
    let azure = Resolver::azure();
    let is_allowed = plan.azure_dns == AzureDns::Auto
        && plan.views == ViewSelection::All
        && plan.connect.is_none()
        && plan.reach == AddressPolicy::Any
        && plan.expectation.path == ExpectedPath::Private
        && plan.target.service != Service::Other;
    let is_asked =
        |view: &View| view.server.map(|server: SocketAddr| server.ip()) == Some(AZURE_DNS) || view.view == azure.name;
    let leads_elsewhere = |view: &View| view.ips().any(|ip| !plan.expectation.allows(ip));
    is_allowed && !views.iter().any(is_asked) && views.in_use().is_some_and(leads_elsewhere)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::dns::ResolvedAddress;
    use crate::target::{HostName, Target};

    fn is_wanted_for(plan: &Plan, server: &str, ip: &str) -> bool {
        let unasked = View::new("system", ViewKind::System, Some(server.parse().expect("an address")));
        let mut views = Views::new(plan, vec![unasked.clone()]);
        let ip = ip.parse().expect("an address");
        let addresses = vec![ResolvedAddress { ip, class: plan.expectation.class(ip), ttl: None }];
        views.take_due();
        views.add(0, View { outcome: ViewOutcome::Answered, addresses, ..unasked }, |_| true);
        is_wanted(plan, &views)
    }

    fn plan(host: &str) -> Plan {
        Plan::new(Target::new(HostName::parse(host).expect("a name"), None, true))
    }

    #[test]
    fn azure_asked_for_unexpected_address_alone() {
        const HUB: &str = "10.10.0.53:53";
        let plan = plan("cache1.redis.cache.windows.net");
        assert!(is_wanted_for(&plan, HUB, "20.50.1.10"));
        assert!(!is_wanted_for(&plan, HUB, "10.60.4.5"), "the address is expected");
        assert!(!is_wanted_for(&plan, "168.63.129.16:53", "20.50.1.10"), "it was asked");
        let named = Plan { azure_dns: AzureDns::Off, ..plan.clone() };
        assert!(!is_wanted_for(&named, HUB, "20.50.1.10"), "switched off");
        let chosen = Plan { views: ViewSelection::Only(vec!["system".into()]), ..plan.clone() };
        assert!(!is_wanted_for(&chosen, HUB, "20.50.1.10"), "the views are chosen");
        let precheck = Plan { connect: Some("10.60.4.5".parse().expect("an address")), ..plan.clone() };
        assert!(!is_wanted_for(&precheck, HUB, "20.50.1.10"), "the address is given");
        let on_demand = Plan { reach: AddressPolicy::NoInternal, ..plan };
        assert!(!is_wanted_for(&on_demand, HUB, "20.50.1.10"), "the name is not configured");
        assert!(!is_wanted_for(&self::plan("cache1.example"), HUB, "20.50.1.10"), "no name of Azure");
    }
}
