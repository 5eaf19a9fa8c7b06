//! The name leads to an address, and to the wrong one: the chain says whether the search list, a
//! zone, a record or the endpoint is at fault.

use std::net::IpAddr;

use super::known_server::KnownServer;
use super::views::{AnswerClass, Views, addresses, describe_answer, view_label};
use crate::address::{AddressClass, ReservedUse};
use crate::azure::{self, AZURE_DNS, PRIVATELINK};
use crate::diagnosis::migration;
use crate::diagnosis::pod;
use crate::diagnosis::remediation::{self, Resource};
use crate::diagnosis::text::{capitalized, listed};
use crate::diagnosis::{Code, Context, Finding, Severity};
use crate::expectation::ExpectedPath;
use crate::observation::{Connection, Phase, SkipReason, View, ViewOutcome};

/// The address is that of another name, which the walk along the search list came upon first.
pub(super) fn answered_by_search_list(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    let ips = addresses(views.in_use);
    let view = std::iter::once(views.in_use)
        .chain(views.system.iter().copied())
        .find(|view| view.answered_name.is_some() && view.outcome == ViewOutcome::Answered && addresses(view) == ips)?;
    let answered = view.answered_name.as_deref()?;
    let expected = views.classify(views.in_use) == AnswerClass::Expected;
    // An address named as the expected one is right by whatever name it was found.
    if expected && !case.expectation.endpoints.is_empty() {
        return None;
    }
    let host = case.target.host.as_str();
    let domain = answered.strip_prefix(host).map_or(answered, |rest| rest.trim_start_matches('.'));
    Some(
        Finding::new(
            Code::UnexpectedAddress,
            if expected { Severity::Warning } else { Severity::Error },
            format!("the search list answers for {host}: {answered} leads to {}", describe_answer(views.in_use)),
            format!(
                "A name with fewer dots than ndots is asked under the domains of the search list before it is asked as it is, any other name after that; {answered} has an address, often by a wildcard."
            ),
        )
        .hint(format!("take the record (often a wildcard) out of {domain}, or lower ndots for these programs"))
        .commands([remediation::ask(view, answered), remediation::ask(view, host)]),
    )
}

/// The answer itself holds addresses of both kinds.
pub(super) fn mixed(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    (views.classify(views.in_use) == AnswerClass::Mixed).then(|| mixed_answer(case, views, views.in_use))
}

pub(super) fn mixed_answer(case: &Context<'_>, views: &Views<'_>, view: &View) -> Finding {
    let host = &case.target.host;
    let others: Vec<String> = views
        .comparable()
        .filter(|view| views.classify(view) == AnswerClass::Expected)
        .map(|view| format!(" {} answers {} only.", capitalized(&view_label(view)), describe_answer(view)))
        .collect();
    Finding::new(
        Code::MixedAddresses,
        Severity::Error,
        format!("{host} leads to addresses of both kinds: {}", describe_answer(view)),
        format!(
            "So {} answers. Which one a client takes is its own choice (family, order, the first that answers), so some connections leave the {} path.{}",
            view_label(view),
            case.expectation.path,
            others.concat()
        ),
    )
    .hint("find the server or hosts line that adds the other address, often an AAAA record beside a private A record, and remove it")
    .commands([format!("dig {host} A"), format!("dig {host} AAAA"), format!("getent ahosts {host}")])
}

/// All views that count agree: the chain says whether a zone, a record or the endpoint is at fault.
pub(super) fn zone_or_endpoint(case: &Context<'_>, views: &Views<'_>) -> Finding {
    let reading = views.classify(views.in_use);
    match (case.expectation.path, reading) {
        (ExpectedPath::Public, AnswerClass::OtherKind) => return private_path(case, views),
        (ExpectedPath::Private, AnswerClass::Public | AnswerClass::OtherKind) => {}
        (ExpectedPath::Private | ExpectedPath::Public | ExpectedPath::Any, _) => {
            return unexpected_address(case, views);
        }
    }
    let explaining = views.explaining();
    if let Some(view) = explaining.filter(|view| view.privatelink_zone.is_some()) {
        return if reading == AnswerClass::Public || leads_beyond_privatelink(view) {
            zone_not_seen(case, views, view)
        } else {
            unexpected_address(case, views)
        };
    }
    if reading == AnswerClass::OtherKind {
        return unexpected_address(case, views);
    }
    // Azure shows the privatelink name to everybody, so one chain that has it is enough.
    if let Some(view) = views.dns().find(|view| view.privatelink_zone.is_some()) {
        return zone_not_seen(case, views, view);
    }
    // Azure's names always have a CNAME: an answer without one is no word of Azure on the resource.
    let with_cname = explaining.filter(|view| has_cname(view)).or_else(|| views.dns().find(|view| has_cname(view)));
    match (with_cname, Resource::of(case)) {
        (Some(view), Some(resource)) => migration::endpoint_removed(case, views.in_use)
            .map(|finding| finding.more(&connection_evidence(case)))
            .unwrap_or_else(|| no_private_endpoint(case, views, view, &resource)),
        _ => public_path(case, views),
    }
}

fn has_cname(view: &View) -> bool {
    view.chain.iter().any(|record| record.record_type == "CNAME")
}

/// A private zone answers the privatelink name with an address; public DNS leads on from it.
fn leads_beyond_privatelink(view: &View) -> bool {
    let label = format!(".{PRIVATELINK}.");
    view.chain
        .iter()
        .any(|record| record.record_type == "CNAME" && record.name.contains(&label) && !record.data.contains(&label))
}

fn zone_not_seen(case: &Context<'_>, views: &Views<'_>, view: &View) -> Finding {
    let host = &case.target.host;
    let zone = view.privatelink_zone.clone().unwrap_or_default();
    let name = view.privatelink_name().unwrap_or("the privatelink name");
    let azure = views.dns().find(|view| view.is_azure_dns());
    let (knows, hint) = azure_dns_evidence(views, azure, &zone);
    let own = views.in_use.ips().next().map(|ip| private_range(case, ip)).unwrap_or_default();
    let lacking = views.explaining().is_some_and(|explaining| explaining.privatelink_zone.is_none());
    let chain = if lacking {
        format!(
            "The chain that {} gives goes through {name}, so the resource has a private endpoint; the answer in use lacks that name, so it is old or comes from an own copy of the parent zone.",
            view_label(view)
        )
    } else if leads_beyond_privatelink(view) {
        format!(
            "The chain goes through {name}, so the resource has a private endpoint, and on to an address outside it."
        )
    } else {
        format!(
            "The chain goes to {name}, so the resource has a private endpoint, and that name itself has the address: either public DNS answers, or the private zone's record holds it{own}."
        )
    };
    let resource = Resource::of(case).map(|resource| {
        let record = name.strip_suffix(&format!(".{zone}")).unwrap_or(name).to_owned();
        resource.seen_as(&zone, &record)
    });
    let decide = if azure.is_none() { Some(remediation::ask_azure(case)) } else { None };
    let behind = views.system.first().and_then(|view| KnownServer::of(case, view));
    let asks = behind
        .filter(|server| *server != KnownServer::AzureDns)
        .map_or_else(|| pod::note(case).to_owned(), |server| format!(" {}.", capitalized(&server.behind())));
    Finding::new(
        Code::PrivateZoneNotSeen,
        Severity::Error,
        format!("{host} leads to {}: the private zone {zone} is not seen from here", describe_answer(views.in_use)),
        format!("{chain}{knows}{asks}{}", connection_evidence(case)),
    )
    .hint(hint)
    .commands(decide)
    .commands(resource.iter().flat_map(|resource| [resource.list_links(), resource.create_link()]))
    .commands(behind.into_iter().flat_map(|server| server.commands(host.as_str())))
}

/// What Azure's own resolver adds to a public answer, and what is to be done then.
fn azure_dns_evidence(views: &Views<'_>, azure: Option<&View>, zone: &str) -> (String, String) {
    let forward = format!(
        "have the resolver in use {}",
        remediation::forward(zone, "", "a resolver inside a virtual network that is linked to the zone")
    );
    let Some(azure) = azure else {
        return (
            format!(
                " {AZURE_DNS} was not asked, so the cause is ambiguous: a missing zone link, or a forwarder that does not ask it. The link is the likelier."
            ),
            format!(
                "ask {AZURE_DNS} from here: if it answers publicly too, link this virtual network to {zone}; if it answers privately, set the forwarder right"
            ),
        );
    };
    match views.classify(azure) {
        AnswerClass::WrongEndpoint | AnswerClass::Mixed | AnswerClass::Expected => (
            format!(
                " {AZURE_DNS}, asked from here, answers {}: it sees a private zone, and the resolver in use does not ask it.",
                describe_answer(azure)
            ),
            format!(
                "have the resolver in use {}; compare the zone's record with the private endpoint's address",
                remediation::forward(zone, "", &AZURE_DNS.to_string())
            ),
        ),
        AnswerClass::Public | AnswerClass::OtherKind => unlinked(views, azure, zone),
        AnswerClass::Absent if azure.privatelink_zone.is_some() => (
            format!(
                " {AZURE_DNS}, asked from here, answers {} for the privatelink name: this virtual network is linked to the zone, and the zone lacks the record. The resolver in use does not ask it. So there are two faults.",
                describe_answer(azure)
            ),
            format!(
                "create the private endpoint's DNS zone group or record in {zone} first; then have the resolver in use {}",
                remediation::forward(zone, "", &AZURE_DNS.to_string())
            ),
        ),
        AnswerClass::Absent => (
            format!(
                " {AZURE_DNS}, asked from here, answers {}, without a privatelink name: a zone of the parent's name is linked to this virtual network and shadows it.",
                describe_answer(azure)
            ),
            format!("list the private zones that are linked to this virtual network; keep {zone} alone"),
        ),
        AnswerClass::Failed if matches!(azure.outcome, ViewOutcome::Timeout | ViewOutcome::Unreachable) => (
            format!(
                " {AZURE_DNS}, asked from here, gives no answer ({}): this is no Azure virtual network, or it is blocked. The cause is ambiguous: the zone is not linked to the network whose resolver answers; a forwarder that does not ask {AZURE_DNS}; a stale cache; a zone of another name.",
                describe_answer(azure)
            ),
            forward,
        ),
        AnswerClass::Failed | AnswerClass::NotReached => (
            format!(
                " {AZURE_DNS}, asked from here, gives no usable answer ({}), so whether the zone is linked here is unknown.",
                describe_answer(azure)
            ),
            format!("ask {AZURE_DNS} again; {forward}"),
        ),
    }
}

/// Azure's resolver answers publicly, too: this network is not linked. Whether that is what counts
/// depends on where the name server in use stands.
fn unlinked(views: &Views<'_>, azure: &View, zone: &str) -> (String, String) {
    let causes = "By likelihood: this virtual network is not linked to the zone; the linked zone has another name; it is linked with fallback to internet (NxDomainRedirect) and lacks the record; a DNS forwarding ruleset that is linked to this network sends the name elsewhere (a ruleset outranks a zone).";
    let answer = describe_answer(azure);
    let Some(server) = views.system.first().filter(|_| !views.system.iter().any(|view| view.is_azure_dns())) else {
        return (
            format!(" {AZURE_DNS}, asked from here, answers {answer} too: the resolver is not to blame. {causes}"),
            format!(
                "link this virtual network to {zone}; if it is linked, look at the link's resolution policy and at the zone's record"
            ),
        );
    };
    let server = view_label(server);
    (
        format!(
            " {AZURE_DNS}, asked from here, answers {answer} too. {causes} That counts where {server} asks {AZURE_DNS} from this same network, as CoreDNS and node-local caches do by default; where it stands in another network, that network's link decides, or what it forwards to."
        ),
        format!("link this virtual network to {zone}, or the one from which {server} asks {AZURE_DNS}"),
    )
}

fn no_private_endpoint(case: &Context<'_>, views: &Views<'_>, view: &View, resource: &Resource) -> Finding {
    let host = &case.target.host;
    let agreeing = views
        .dns()
        .filter(|other| other.view != view.view && !other.chain.is_empty())
        .map(view_label)
        .collect::<Vec<_>>();
    let alone = if agreeing.is_empty() {
        format!(
            "the chain that {} gives has none. A stale answer from before the approval looks the same, and so does a copy of the parent zone kept by hand.",
            view_label(view)
        )
    } else {
        format!(
            "the chains that {} and {} give have none. A copy of the parent zone kept by hand would look the same.",
            view_label(view),
            listed(&agreeing)
        )
    };
    Finding::new(
        Code::NoPrivateEndpoint,
        Severity::Error,
        format!(
            "{host} leads to {} without a privatelink name: DNS knows of no approved private endpoint",
            describe_answer(views.in_use)
        ),
        format!(
            "Azure adds a CNAME that leads into {} as soon as a private endpoint is approved, in public DNS too; {alone}{}",
            resource.zone,
            connection_evidence(case)
        ),
    )
    .hint(format!(
        "list the private endpoint connections of {}; create one (group ID {}) or approve the pending one",
        resource.name(),
        resource.service.group_id().unwrap_or("redisCache")
    ))
    .commands([resource.list_connections(), resource.create_endpoint()])
}

fn public_path(case: &Context<'_>, views: &Views<'_>) -> Finding {
    let host = &case.target.host;
    let flattened = views.explaining().filter(|_| azure::endpoint(host.as_str()).is_some());
    let (why, hint) = match (flattened, views.explaining()) {
        (Some(view), _) => (
            format!(
                "{} gives the address alone, without the CNAME that Azure's names always have: it flattens the chain, or has a record of its own. So whether the cache has a private endpoint is unknown.",
                capitalized(&view_label(view))
            ),
            format!("ask {AZURE_DNS} or a public resolver for the whole chain, before anything is created"),
        ),
        (None, None) => (
            "No DNS view gave a chain, so the cause is unknown from here: an unlinked zone, a forwarder, a resource without a private endpoint.".to_owned(),
            COMPARE_CHAINS.to_owned(),
        ),
        (None, Some(_)) => (
            "The chain shows no name of an Azure Redis service, so whether a private endpoint exists is unknown.".to_owned(),
            COMPARE_CHAINS.to_owned(),
        ),
    };
    Finding::new(
        Code::PublicPath,
        Severity::Error,
        format!("{host} leads to {}, and a private path is expected", describe_answer(views.in_use)),
        format!("{why}{}", connection_evidence(case)),
    )
    .hint(hint)
    .commands([format!("dig {host}"), remediation::ask_azure(case)])
}

const COMPARE_CHAINS: &str = "look at the chain from here and from a network that is known to be right, and compare";

fn private_path(case: &Context<'_>, views: &Views<'_>) -> Finding {
    let host = &case.target.host;
    let answer = describe_answer(views.in_use);
    Finding::new(
        Code::PrivatePath,
        Severity::Error,
        format!("{host} leads to {answer}, and a public path is expected"),
        "A private zone, an own copy of the zone or a hosts file answers here.",
    )
    .hint("expect the private path if that is right (--expect private); otherwise unlink the zone from this network")
    .commands([format!("dig {host}"), format!("getent ahosts {host}")])
}

fn unexpected_address(case: &Context<'_>, views: &Views<'_>) -> Finding {
    let host = &case.target.host;
    let explained = views.explaining();
    let name = explained.and_then(View::privatelink_name);
    let resource = Resource::of(case);
    let odd = views.in_use.ips().find(|ip| !case.expectation.allows(*ip));
    let loopback = odd.is_some_and(|ip| case.expectation.class(ip) == AddressClass::Loopback);
    let through = match name {
        Some(name) => format!(
            "The chain goes through {name}, so it is the zone's record that holds the address: a stale record, a second private endpoint that overwrote it, or an endpoint of another network."
        ),
        None if loopback => "The address is this machine's own: a stub, a tunnel or a local proxy stands in for the cache, and where that leads cannot be seen from here.".to_owned(),
        None if explained.is_some_and(|view| !has_cname(view)) => {
            "The answer has the address alone, without the CNAME of Azure's names: a record of an own zone, a server that flattens the chain, the block page of a DNS filter, or a cache that was injected into a virtual network.".to_owned()
        }
        None if explained.is_some() => {
            "The chain goes through no privatelink name: an own copy of the zone, or a cache that was injected into a virtual network.".to_owned()
        }
        None => "No DNS view gave a chain that would say where it comes from.".to_owned(),
    };
    let range =
        odd.filter(|_| case.expectation.endpoints.is_empty()).map(|ip| private_range(case, ip)).unwrap_or_default();
    let hint = if name.is_some() {
        "compare the zone's record and its metadata.creator with the private endpoint's address"
    } else if loopback {
        "find what listens there and what made the name lead to it"
    } else {
        "find the zone, server or hosts line that gives this address, and compare it with the private endpoint's"
    };
    Finding::new(
        Code::UnexpectedAddress,
        Severity::Error,
        format!(
            "{host} leads to {}, and {} is expected",
            describe_answer(views.in_use),
            case.expectation.wanted_addresses()
        ),
        format!("{through}{}", connection_evidence(case)),
    )
    .hint(format!("{hint}{range}"))
    .commands([remediation::ask(explained.unwrap_or(views.in_use), host.as_str())])
    .commands(
        name.and(resource.as_ref())
            .into_iter()
            .flat_map(|resource| [resource.show_record(), resource.list_zone_groups()]),
    )
}

/// Some estates use such addresses privately; they have to say so.
fn private_range(case: &Context<'_>, ip: IpAddr) -> String {
    if ReservedUse::of(ip).is_some() {
        return String::new(); // no network has such an address
    }
    match (case.expectation.path, case.expectation.class(ip)) {
        (ExpectedPath::Private, AddressClass::Shared | AddressClass::Public | AddressClass::Special) => {
            format!("; if {ip} is private in your network, say so with --private-range")
        }
        (ExpectedPath::Private | ExpectedPath::Public | ExpectedPath::Any, _) => String::new(),
    }
}

/// The connection went to an address that does not meet the expectation, and no answer explains
/// it: the address was given, or the record is not whole.
pub(super) fn address_in_use(case: &Context<'_>, connection: &Connection) -> Finding {
    let ip = connection.address.ip();
    let class = case.expectation.class(ip);
    let code = match (case.expectation.path, class) {
        (ExpectedPath::Private, AddressClass::Public) => Code::PublicPath,
        (ExpectedPath::Public, AddressClass::Private) => Code::PrivatePath,
        (ExpectedPath::Private | ExpectedPath::Public | ExpectedPath::Any, _) => Code::UnexpectedAddress,
    };
    let (who, hint) = if connection.address_given {
        (
            "the address given",
            "give an address that is expected, or say that this one is (--endpoint, --private-range, --expect)",
        )
    } else {
        ("the address in use", "probe again; no answer of this probe explains the address")
    };
    Finding::new(
        code,
        Severity::Error,
        format!("{who} is {ip} ({class}), and {} is expected", case.expectation.wanted_addresses()),
        format!("What answers there says nothing about the path that is meant.{}", connection_evidence(case)),
    )
    .hint(hint)
}

/// What the connection to the wrong address showed: it supports the verdict, and decides nothing.
pub(super) fn connection_evidence(case: &Context<'_>) -> String {
    let observation = case.observation;
    let Some(connection) = &observation.connection else { return String::new() };
    let address = connection.address.ip();
    if case.is_at_expected_address() {
        return String::new();
    }
    let public = !connection.address_given
        && case.expectation.class(address) == AddressClass::Public
        && case.expectation.path == ExpectedPath::Private;
    let phases = &observation.phases.connection;
    let broken = phases
        .connect
        .failure()
        .map(ToString::to_string)
        .or_else(|| phases.tls.failure().map(ToString::to_string))
        .or_else(|| phases.auth.failure().map(ToString::to_string))
        .or_else(|| phases.ping.failure().map(ToString::to_string));
    let withheld = match phases.auth {
        Phase::Skipped { reason: SkipReason::WithheldUnexpectedAddress | SkipReason::WithheldResolverDisagreement } => {
            " The credentials were withheld from it."
        }
        Phase::Done { .. } | Phase::Failed { .. } | Phase::Skipped { .. } | Phase::NotReached { .. } => "",
    };
    match (broken, &phases.ping) {
        (Some(reason), _) if public => {
            format!(
                " The connection to {address} fails ({reason}), as it may once public access is disabled.{withheld}"
            )
        }
        (Some(reason), _) => format!(" The connection to {address} fails ({reason}).{withheld}"),
        (None, Phase::Done { .. }) if public => {
            format!(
                " Redis answers at {address}, so the application works and hides the fault until public access is disabled.{withheld}"
            )
        }
        (None, Phase::Done { .. }) => format!(" A Redis answers at {address}.{withheld}"),
        (None, Phase::Failed { .. } | Phase::Skipped { .. } | Phase::NotReached { .. }) => String::new(),
    }
}
