//! The name leads to an address, and to the wrong one, or would from another of the servers.

use super::views::{Reading, Views, addresses, called, said};
use crate::azure::{AZURE_DNS, PRIVATELINK};
use crate::diagnosis::advice::{self, Resource};
use crate::diagnosis::{Case, Code, Finding, Severity};
use crate::expectation::ExpectedPath;
use crate::observation::{Phase, View};

/// This machine answers its programs otherwise than its name servers do.
pub(super) fn overridden(case: &Case<'_>, views: &Views<'_>) -> Option<Finding> {
    let stands_alone = views.libc_stands_alone();
    let pinned = views.hosts_file_decides();
    // A pin that says what DNS says is no cause; without DNS to compare with, a pin is one.
    let dns_agrees = views.dns().any(|view| view.outcome.is_final() && !disjoint(view, views.in_use));
    if !(stands_alone || (pinned && !dns_agrees)) {
        return None;
    }
    let host = &case.target.host;
    let server = views.system.iter().copied().find(|view| view.outcome.is_final()).or_else(|| views.dns().next());
    let dns = server
        .map_or_else(|| "no DNS view was asked".to_owned(), |view| format!("{} answers {}", called(view), said(view)));
    let finding = Finding::new(
        Code::OverriddenLocally,
        Severity::Error,
        format!("programs here get {} for {host}, which is not what DNS says", said(views.in_use)),
        format!("The C library answers {}; {dns}. {}{}", said(views.in_use), evidence(views), on_the_wire(case)),
    );
    Some(if pinned {
        finding
            .hint(format!("remove {} for {host}, then probe again", lines(views)))
            .commands([format!("grep -n -i {host} /etc/hosts"), format!("getent ahosts {host}")])
    } else {
        finding
            .hint("compare what programs get with what the server says, a few times each; then look at the hosts file, nsswitch.conf, nscd or sssd")
            .commands(
                [format!("getent ahosts {host}")]
                    .into_iter()
                    .chain(server.map(|view| advice::ask(view, host.as_str())))
                    .chain(["grep ^hosts: /etc/nsswitch.conf".to_owned()]),
            )
    })
}

fn disjoint(a: &View, b: &View) -> bool {
    addresses(a).is_disjoint(&addresses(b))
}

fn evidence(views: &Views<'_>) -> String {
    if views.hosts_file_decides() {
        return format!("It comes from {}.", lines(views));
    }
    "The hosts file does not name it, so it is a cache or another source of nsswitch.conf, or a server that answers differently from one question to the next; one probe cannot tell which.".to_owned()
}

/// `/etc/hosts, line 7`.
pub(super) fn lines(views: &Views<'_>) -> String {
    let entries = &views.in_use.hosts_file;
    let numbers: Vec<String> = entries.iter().map(|entry| entry.line.to_string()).collect();
    let file = entries.first().map_or("/etc/hosts", |entry| entry.file.as_str());
    let word = if numbers.len() == 1 { "line" } else { "lines" };
    format!("{file}, {word} {}", numbers.join(" and "))
}

/// The answer itself holds addresses of both kinds.
pub(super) fn mixed(case: &Case<'_>, views: &Views<'_>) -> Option<Finding> {
    if views.reading(views.in_use) != Reading::Mixed {
        return None;
    }
    let host = &case.target.host;
    let others: Vec<String> = views
        .references()
        .into_iter()
        .filter(|view| views.reading(view) == Reading::Expected)
        .map(|view| format!(" {} answers {} only.", capitalized(&called(view)), said(view)))
        .collect();
    Some(
        Finding::new(
            Code::MixedAddresses,
            Severity::Error,
            format!("{host} leads to addresses of both kinds: {}", said(views.in_use)),
            format!(
                "Which one a client takes is its own choice (family, order, the first that answers), so some connections leave the {} path.{}",
                case.expectation.path,
                others.concat()
            ),
        )
        .hint("find the server or hosts line that adds the other address, often an AAAA record beside a private A record, and remove it")
        .commands([format!("dig {host} A"), format!("dig {host} AAAA"), format!("getent ahosts {host}")]),
    )
}

/// The name servers of resolv.conf give different answers, and programs got a wrong one.
pub(super) fn servers_disagree(case: &Case<'_>, views: &Views<'_>) -> Option<Finding> {
    let good = views.system.iter().copied().find(|view| views.reading(view) == Reading::Expected)?;
    let bad = views.system.iter().copied().find(|view| views.reading(view).is_wrong()).unwrap_or(views.in_use);
    Some(disagreement(
        case,
        bad,
        good,
        format!(
            "resolv.conf names both. A program asks the next one when the first is slow, so the answer changes with the weather.{}",
            on_the_wire(case)
        ),
    ))
}

/// Every name server in use gives the wrong answer, and a configured resolver the right one: the
/// zone is fine, and what stands between is not.
pub(super) fn stale_forwarder(case: &Case<'_>, views: &Views<'_>) -> Option<Finding> {
    let good = views.references().into_iter().find(|view| views.reading(view) == Reading::Expected)?;
    let bad = views.system.first().copied().unwrap_or(views.in_use);
    Some(disagreement(case, bad, good, on_the_wire(case)))
}

/// The path is right, and would not be from another name server of resolv.conf.
pub(super) fn another_server_is_wrong(case: &Case<'_>, views: &Views<'_>) -> Option<Finding> {
    let bad = views.system.iter().copied().find(|view| views.reading(view).is_wrong())?;
    match views.system.iter().copied().find(|view| views.reading(view) == Reading::Expected) {
        Some(good) => Some(disagreement(
            case,
            bad,
            good,
            " Programs got the right answer this time; they ask the next server of resolv.conf when one is slow, so it will not stay so.".to_owned(),
        )),
        None => Some(pinned_right(case, views, bad)),
    }
}

/// The hosts file pins the right address while DNS still says another.
fn pinned_right(case: &Case<'_>, views: &Views<'_>, dns: &View) -> Finding {
    let host = &case.target.host;
    Finding::new(
        Code::OverriddenLocally,
        Severity::Warning,
        format!("programs here get the expected address for {host} although DNS says otherwise"),
        format!(
            "The C library answers {}; {} answers {}. {}",
            said(views.in_use),
            called(dns),
            said(dns),
            evidence(views)
        ),
    )
    .hint("set DNS right, then remove the override: it will not follow the endpoint when its address changes")
    .commands([format!("grep -n -i {host} /etc/hosts"), advice::ask(dns, host.as_str())])
}

fn disagreement(case: &Case<'_>, bad: &View, good: &View, more: String) -> Finding {
    let host = case.target.host.as_str();
    let cached = match (lowest_ttl(bad), lowest_ttl(good)) {
        (Some(kept), Some(own)) if kept > own.saturating_mul(2).max(own + 30) => format!(
            " The wrong answer has {kept} s left to live, and the right one's record lives {own} s: an old answer is kept too long."
        ),
        _ => String::new(),
    };
    let zone = case_zone(case, bad, good);
    let finding = Finding::new(
        Code::ResolverDisagreement,
        Severity::Error,
        format!("{} answers {}, and {} answers {}", called(bad), said(bad), called(good), said(good)),
        format!(
            "Both were asked the same question from here, so the zone link is right and what stands between is not: a stale cache, or a forwarder that does not ask {AZURE_DNS} for the zone.{cached}{more}"
        ),
    );
    let finding = if good.is_azure_dns() {
        finding.hint(format!(
            "forward {zone} at {} to {AZURE_DNS} and flush its cache; leave the zone link alone",
            bad.server.map_or_else(|| "the name server".to_owned(), |server| server.ip().to_string())
        ))
    } else {
        finding.hint(format!(
            "make {} answer as {} does: flush its cache, or forward {zone} where the other one does",
            called(bad),
            called(good)
        ))
    };
    finding.commands([advice::ask(bad, host), advice::ask(good, host)])
}

fn case_zone(case: &Case<'_>, bad: &View, good: &View) -> String {
    good.privatelink_zone
        .clone()
        .or_else(|| bad.privatelink_zone.clone())
        .or_else(|| Resource::of(case).map(|resource| resource.zone))
        .unwrap_or_else(|| "the zone".to_owned())
}

fn lowest_ttl(view: &View) -> Option<u32> {
    view.addresses.iter().filter_map(|address| address.ttl).min()
}

/// All views that count agree: the chain says whether a zone, a record or the endpoint is at fault.
pub(super) fn zone_or_endpoint(case: &Case<'_>, views: &Views<'_>) -> Finding {
    let reading = views.reading(views.in_use);
    match case.expectation.path {
        ExpectedPath::Private => {}
        ExpectedPath::Public if matches!(reading, Reading::OtherKind) => return private_path(case, views),
        ExpectedPath::Public | ExpectedPath::Any => return unexpected_address(case, views),
    }
    let explaining = views.explaining();
    let beyond = explaining.is_some_and(leads_beyond_privatelink);
    match reading {
        Reading::Public | Reading::OtherKind => {}
        Reading::Expected
        | Reading::WrongEndpoint
        | Reading::Mixed
        | Reading::Absent
        | Reading::Failed
        | Reading::Interrupted => return unexpected_address(case, views),
    }
    if let Some(view) = explaining.filter(|view| view.privatelink_zone.is_some()) {
        if reading == Reading::Public || beyond {
            return zone_not_seen(case, views, view);
        }
        return unexpected_address(case, views);
    }
    if reading == Reading::OtherKind
        && !explaining.is_some_and(|view| view.chain.iter().any(|record| record.record_type == "CNAME"))
    {
        return unexpected_address(case, views);
    }
    match (explaining, Resource::of(case)) {
        (Some(view), Some(resource)) => no_private_endpoint(case, views, view, &resource),
        _ => public_path(case, views),
    }
}

/// A private zone answers the privatelink name with an address; only public DNS leads on from it.
fn leads_beyond_privatelink(view: &View) -> bool {
    let label = format!(".{PRIVATELINK}.");
    view.chain
        .iter()
        .any(|record| record.record_type == "CNAME" && record.name.contains(&label) && !record.data.contains(&label))
}

fn zone_not_seen(case: &Case<'_>, views: &Views<'_>, view: &View) -> Finding {
    let host = &case.target.host;
    let zone = view.privatelink_zone.clone().unwrap_or_default();
    let azure = views.dns().find(|view| view.is_azure_dns());
    let (knows, hint) = match azure.map(|azure| (azure, views.reading(azure))) {
        Some((azure, reading)) if reading.is_wrong() => (
            format!(
                " {AZURE_DNS}, asked from here, answers {} too: the resolver is not to blame. This virtual network is not linked to the zone, or the linked zone has another name.",
                said(azure)
            ),
            format!("link this virtual network to {zone}"),
        ),
        Some((azure, _)) => (
            format!(
                " {AZURE_DNS}, asked from here, gives no answer ({}): this is no Azure virtual network, or it is blocked. The cause is one of: the zone is not linked to the network whose resolver answers; a forwarder that does not ask {AZURE_DNS}; a stale cache; a zone of another name.",
                said(azure)
            ),
            format!(
                "have the resolver in use forward {zone} to a resolver inside a virtual network that is linked to it"
            ),
        ),
        None => (
            format!(
                " {AZURE_DNS} was not asked, so a missing zone link cannot be told from a forwarder that does not ask it; the link is the likelier."
            ),
            format!(
                "ask {AZURE_DNS} from here: if it answers publicly too, link this virtual network to {zone}; if it answers privately, mend the forwarder"
            ),
        ),
    };
    let resource = Resource::of(case);
    let finding = Finding::new(
        Code::PrivateZoneNotSeen,
        Severity::Error,
        format!("{host} leads to {}: the private zone {zone} is not seen from here", said(views.in_use)),
        format!(
            "The chain goes through {}, so the resource has a private endpoint, and on to an address outside it.{knows}{}",
            view.privatelink_name().unwrap_or("the privatelink name"),
            on_the_wire(case)
        ),
    )
    .hint(hint);
    let decide = if azure.is_none() { Some(advice::ask_azure(case)) } else { None };
    finding.commands(decide).commands(
        resource
            .map(|resource| Resource { zone, ..resource })
            .iter()
            .flat_map(|resource| [resource.list_links(), resource.create_link()]),
    )
}

fn no_private_endpoint(case: &Case<'_>, views: &Views<'_>, view: &View, resource: &Resource) -> Finding {
    let host = &case.target.host;
    Finding::new(
        Code::NoPrivateEndpoint,
        Severity::Error,
        format!("{host} leads to {} without a privatelink name: the resource has no approved private endpoint", said(views.in_use)),
        format!(
            "Azure puts a CNAME into {} as soon as a private endpoint is approved, in public DNS too; the chain that {} gives has none. A copy of the parent zone kept by hand would look the same.{}",
            resource.zone,
            called(view),
            on_the_wire(case)
        ),
    )
    .hint(format!(
        "list the private endpoint connections of {}; create one (group ID {}) or approve the pending one",
        resource.name(),
        resource.service.group_id().unwrap_or("redisCache")
    ))
    .commands([resource.list_connections(), resource.create_endpoint()])
}

fn public_path(case: &Case<'_>, views: &Views<'_>) -> Finding {
    let host = &case.target.host;
    let why = match views.explaining() {
        None => {
            "No DNS view gave a chain, so the cause cannot be told from here: an unlinked zone, a forwarder, a resource without a private endpoint."
        }
        Some(_) => {
            "The chain shows no name of an Azure Redis service, so it cannot be told whether a private endpoint exists."
        }
    };
    Finding::new(
        Code::PublicPath,
        Severity::Error,
        format!("{host} leads to {}, and a private path is expected", said(views.in_use)),
        format!("{why}{}", on_the_wire(case)),
    )
    .hint("look at the chain from here and from a network that is known to be right, and compare")
    .commands([format!("dig {host}"), advice::ask_azure(case)])
}

fn private_path(case: &Case<'_>, views: &Views<'_>) -> Finding {
    let host = &case.target.host;
    Finding::new(
        Code::PrivatePath,
        Severity::Error,
        format!("{host} leads to {}, and a public path is expected", said(views.in_use)),
        "A private zone, an own copy of the zone or a hosts file answers here.".to_owned(),
    )
    .hint("expect `private` if that is right; otherwise unlink the zone from this network")
    .commands([format!("dig {host}")])
}

fn unexpected_address(case: &Case<'_>, views: &Views<'_>) -> Finding {
    let host = &case.target.host;
    let expected: Vec<String> = case.expectation.endpoints.iter().map(|net| advice_net(*net)).collect();
    let wanted =
        if expected.is_empty() { format!("a {} address", case.expectation.path) } else { expected.join(" or ") };
    let explained = views.explaining();
    let through = match explained.and_then(|view| view.privatelink_name()) {
        Some(name) => format!(
            "The chain goes through {name}, so it is the zone's record that holds the address: a stale record, a second private endpoint that overwrote it, or an endpoint of another network."
        ),
        None if explained.is_some() => "The chain goes through no privatelink name: an own copy of the zone, or a cache that was injected into a virtual network.".to_owned(),
        None => "No DNS view gave a chain that would say where it comes from.".to_owned(),
    };
    let range = views
        .in_use
        .addresses
        .iter()
        .find(|address| !case.expectation.is_met_by(address.ip) && expected.is_empty())
        .map(|address| format!("; if {} is private in your network, say so with --private-range", address.ip))
        .unwrap_or_default();
    let resource = Resource::of(case);
    Finding::new(
        Code::UnexpectedAddress,
        Severity::Error,
        format!("{host} leads to {}, and {wanted} is expected", said(views.in_use)),
        format!("{through}{}", on_the_wire(case)),
    )
    .hint(format!("compare the zone's record and its metadata.creator with the private endpoint's address{range}"))
    .commands(resource.iter().flat_map(|resource| [resource.show_record(), resource.list_zone_groups()]))
    .commands(resource.is_none().then(|| format!("dig {host}")))
}

fn advice_net(net: ipnet::IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}

/// What the connection to the wrong address showed: it supports the verdict, and decides nothing.
fn on_the_wire(case: &Case<'_>) -> String {
    let observation = case.observation;
    let Some(connection) = &observation.connection else { return String::new() };
    if case.expectation.is_met_by(connection.address.ip()) || connection.address_given {
        return String::new();
    }
    let address = connection.address.ip();
    let phases = &observation.phases.connection;
    let broken = phases
        .connect
        .failure()
        .map(ToString::to_string)
        .or_else(|| phases.tls.failure().map(ToString::to_string))
        .or_else(|| phases.ping.failure().map(ToString::to_string));
    match (broken, &phases.ping) {
        (Some(reason), _) => {
            format!(" The connection to {address} fails ({reason}), as it may once public access is disabled.")
        }
        (None, Phase::Done { .. }) => {
            format!(
                " Redis answers at {address}, so the application works and hides the fault until public access is disabled."
            )
        }
        (None, _) => String::new(),
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + chars.as_str())
}
