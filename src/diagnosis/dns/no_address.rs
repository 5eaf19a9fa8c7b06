//! The view in use gave a final word: there is no address.

use super::views::{AnswerClass, Views, describe_answer, is_negative, view_label};
use super::{authority, disagree, known_server, local_override};
use crate::azure::{AZURE_DNS, NameShape};
use crate::diagnosis::remediation::{self, Resource};
use crate::diagnosis::text::capitalized;
use crate::diagnosis::{Code, Context, Finding, Severity};
use crate::expectation::ExpectedPath;
use crate::observation::dns::ViewKind;
use crate::observation::{View, ViewOutcome};

pub(super) fn diagnose(case: &Context<'_>, views: &Views<'_>) -> Finding {
    servers_split(case, views)
        .or_else(|| library_alone(case, views))
        .or_else(|| authority::answer_stripped(case, views))
        .or_else(|| authority::zone_shadowed(case, views))
        .or_else(|| elsewhere_present(case, views))
        .or_else(|| record_missing(case, views))
        .unwrap_or_else(|| nothing_there(case, views))
}

/// One name server has the right address, another says that there is none; glibc believes the first.
fn servers_split(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    let good = views.system.iter().copied().find(|view| views.classify(view) == AnswerClass::Expected)?;
    let bad = views.system.iter().copied().find(|view| is_negative(view))?;
    let host = case.target.host.as_str();
    Some(
        Finding::new(
            Code::ResolverDisagreement,
            Severity::Error,
            disagree::summary(bad, good),
            "The file resolv.conf names both. The C library takes the first final word, and \"no such address\" is one: it does not ask the next server.",
        )
        .hint(format!("make {} serve the same zones as {}", view_label(bad), view_label(good)))
        .commands([remediation::ask(bad, host), remediation::ask(good, host)]),
    )
}

/// Every name server has an address, and programs get none.
fn library_alone(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    if views.in_use.kind != ViewKind::Libc || views.system.iter().any(|view| is_negative(view)) {
        return None;
    }
    let server = views.system.iter().copied().find(|view| view.outcome == ViewOutcome::Answered)?;
    Some(local_override::address_missing_locally(case, views, server))
}

/// The servers in use have no address, and a configured resolver gives the expected one.
fn elsewhere_present(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    let good = views.comparable().find(|view| views.classify(view) == AnswerClass::Expected)?;
    let bad = views.system.iter().copied().find(|view| is_negative(view)).unwrap_or(views.in_use);
    let host = case.target.host.as_str();
    let (what, hint, commands) = disagree::set_right(case, bad, good);
    let (why, hint, commands) = if bad.is_azure_dns() {
        (
            format!(
                "{AZURE_DNS} is Azure's own resolver: a zone or a DNS forwarding ruleset that is linked to this virtual network says so"
            ),
            format!(
                "look at the zones and rulesets that are linked to this virtual network, or set its DNS servers to {}",
                good.server.map_or_else(|| view_label(good), |server| server.ip().to_string())
            ),
            vec![known_server::NETWORK_SERVERS.to_owned(), known_server::RULESETS.to_owned()],
        )
    } else {
        (
            format!(
                "Between here and there stands a server with an old negative answer or an own zone of that name without the record, or {what}"
            ),
            hint,
            commands,
        )
    };
    Some(
        Finding::new(
            Code::ResolverDisagreement,
            Severity::Error,
            disagree::summary(bad, good),
            format!("The record exists where {} looks.{} {why}.", view_label(good), authority::origin_note(case, bad)),
        )
        .hint(hint)
        .commands([remediation::ask(bad, host), remediation::ask(good, host)])
        .commands(commands),
    )
}

/// The chain goes into the privatelink zone and ends there: the zone is linked, and has no record.
fn record_missing(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    let own = std::iter::once(views.in_use).chain(views.system.iter().copied());
    let view = own
        .chain(views.configured.iter().copied().filter(|view| !views.is_public_resolver(view)))
        .find(|view| is_negative(view) && view.privatelink_zone.is_some())?;
    let host = &case.target.host;
    let zone = view.privatelink_zone.clone().unwrap_or_default();
    let name = view.privatelink_name().unwrap_or("the privatelink name").to_owned();
    let record = name.strip_suffix(&format!(".{zone}")).unwrap_or(&name).to_owned();
    let what = match view.outcome {
        ViewOutcome::NoData => "exists without an address",
        _ => "does not exist",
    };
    let resource = Resource::of(case).map(|resource| resource.seen_as(&zone, &record));
    if case.expectation.path != ExpectedPath::Private {
        return Some(public_address_hidden(case, views, view, resource.as_ref()));
    }
    let others: String = views
        .dns()
        .filter(|other| views.classify(other).is_wrong() && !views.is_public_resolver(other))
        .map(|other| {
            format!(
                " {} answers {}: it does not see that zone at all.",
                capitalized(&view_label(other)),
                describe_answer(other)
            )
        })
        .collect();
    let create = format!("create the private endpoint's DNS zone group, or the A record \"{record}\" in {zone}");
    let not_linked = views.dns().any(|other| other.is_azure_dns() && views.classify(other) == AnswerClass::Public);
    let own_copy = authority::own_copy_note(view);
    let (linked, hint) = if not_linked {
        (
            "So the zone that lacks the record is the one that this server sees, and not one that is linked to this virtual network.",
            format!(
                "{create}, in the zone that {} sees; or link this virtual network and have that server forward to {AZURE_DNS}",
                view_label(view)
            ),
        )
    } else if !own_copy.is_empty() {
        ("The record belongs into the zone that this server sees.", create)
    } else {
        ("A network without the zone would get the public address instead, so the zone link is right.", create)
    };
    Some(
        Finding::new(
            Code::PrivateRecordMissing,
            Severity::Error,
            format!("{name} {what}: the private zone is seen from here, and has no record for {host}"),
            format!(
                "The name {host} is a CNAME to {name}, and {} answers {} for that.{own_copy} {linked} By likelihood: the DNS zone group of the private endpoint is missing; the record was deleted; it has another name (it must be \"{record}\"); an older zone of a longer name shadows the right one; the cache and its private endpoint are another tenant's, and this zone hides the public address (a link with NxDomainRedirect asks public DNS for names that the zone lacks).{others}",
                view_label(view),
                describe_answer(view),
            ),
        )
        .hint(hint)
        .commands(
            resource
                .iter()
                .flat_map(|resource| [resource.show_record(), resource.list_zone_groups(), resource.create_zone_group()]),
        ),
    )
}

/// No private path is expected, and the private zone that is seen from here has no record for the name:
/// the cache is another network's or tenant's, and a record of one's own would lead nowhere.
fn public_address_hidden(case: &Context<'_>, views: &Views<'_>, view: &View, resource: Option<&Resource>) -> Finding {
    let host = &case.target.host;
    let zone = view.privatelink_zone.as_deref().unwrap_or("the private zone");
    let name = view.privatelink_name().unwrap_or("the privatelink name");
    let public: String = views
        .dns()
        .filter(|other| other.outcome == ViewOutcome::Answered)
        .map(|other| format!(" {} answers {}.", capitalized(&view_label(other)), describe_answer(other)))
        .collect();
    let expected = match case.expectation.path {
        ExpectedPath::Private | ExpectedPath::Public => "a public address is expected",
        ExpectedPath::Any => "any address is expected",
    };
    Finding::new(
        Code::PrivateRecordMissing,
        Severity::Error,
        format!("{name} does not exist: the private zone {zone} hides the public address of {host}"),
        format!(
            "The name {host} is a CNAME to {name}, so the cache has a private endpoint, and {} answers {} for that: a private zone that is seen from here has no record for it. Since {expected}, the endpoint is likely that of another network or tenant.{public}",
            view_label(view),
            describe_answer(view)
        ),
    )
    .hint(
        "set the resolution policy of the zone's link to NxDomainRedirect, so that public DNS is asked for names that the zone lacks; or give this network a private endpoint of its own to that cache",
    )
    .commands(
        resource
            .iter()
            .flat_map(|resource| [resource.list_links(), resource.fall_back_to_internet(), resource.create_endpoint()]),
    )
}

/// Nobody in use has an address, and no privatelink name is in sight.
fn nothing_there(case: &Context<'_>, views: &Views<'_>) -> Finding {
    let host = &case.target.host;
    let view = views.dns().find(|view| is_negative(view)).unwrap_or(views.in_use);
    let (code, summary) = match view.outcome {
        ViewOutcome::NameNotFound => (Code::NameNotFound, format!("{host} does not exist")),
        _ => (Code::NoAddress, format!("{host} has no address")),
    };
    let finding = |detail: String| Finding::new(code, Severity::Error, summary.clone(), detail);
    if let Some(other) = views.dns().find(|other| other.outcome == ViewOutcome::Answered) {
        return hidden_by_a_zone(case, view, other, finding);
    }
    let resource = Resource::of(case);
    let ask = remediation::ask(view, host.as_str());
    let (causes, hint, commands) = match NameShape::of(host.as_str()) {
        Some(NameShape::LacksRegion { right }) => (
            format!("A name of {} carries its region: {right}.", service_title(case)),
            format!("write the name as the resource has it: {right}"),
            resource.map(|resource| resource.show()).into_iter().collect(),
        ),
        Some(NameShape::HasRegion { classic, managed }) => (
            format!(
                "A name of Azure Cache for Redis has no region: {classic}. A name with a region belongs to Azure Managed Redis: {managed}."
            ),
            "write the name as the resource has it".to_owned(),
            resource.map(|resource| [resource.show(), resource.show_managed()]).into_iter().flatten().collect(),
        ),
        Some(NameShape::Classic { managed }) => (
            format!(
                "{} A cache that was moved to Azure Managed Redis has another name and port: {managed}, 10000.",
                unknown_name()
            ),
            "compare the name with the resource's host name".to_owned(),
            resource.map(|resource| [resource.show(), resource.show_managed()]).into_iter().flatten().collect(),
        ),
        Some(NameShape::LacksName { right }) => (
            format!("It is the suffix that all names of {} share; a cache's own name stands in front: {right}.", service_title(case)),
            format!("write the name as the resource has it: {right}"),
            Vec::new(),
        ),
        Some(NameShape::OneLabel) => (
            "A host name of Azure has several labels: NAME.redis.cache.windows.net, or NAME.REGION.redis.azure.net. A name of one label is looked up along the search list of resolv.conf.".to_owned(),
            format!("write the whole host name, such as {host}.redis.cache.windows.net"),
            Vec::new(),
        ),
        Some(NameShape::NearSuffix { suffix }) => (
            format!("The suffix is none of an Azure Redis service; the nearest one is {suffix}."),
            format!("compare the name with the resource's host name, which may end in {suffix}"),
            Vec::new(),
        ),
        None => (
            unknown_name(),
            "compare the name with the resource's host name".to_owned(),
            resource.map(|resource| format!("{} --query hostName", resource.show())).into_iter().collect::<Vec<_>>(),
        ),
    };
    let detail = match view.kind {
        ViewKind::Libc => format!(
            "The C library says that there is no address; it does not tell a name that does not exist from one without an address, and no DNS server was asked. {causes}"
        ),
        ViewKind::System | ViewKind::Resolver => {
            format!(
                "{} answers {}.{} {causes}",
                capitalized(&view_label(view)),
                describe_answer(view),
                authority::origin_note(case, view)
            )
        }
    };
    finding(detail).hint(hint).commands(commands).commands([ask])
}

fn unknown_name() -> String {
    "The name is misspelt, the resource was deleted, or an own copy of its parent zone lacks it.".to_owned()
}

fn service_title(case: &Context<'_>) -> &'static str {
    case.target.service.title()
}

/// Another resolver has the name, so it is neither misspelt nor deleted.
fn hidden_by_a_zone(case: &Context<'_>, view: &View, other: &View, finding: impl Fn(String) -> Finding) -> Finding {
    let host = &case.target.host;
    let suffix = remediation::suffix_of(case);
    let through = other.privatelink_name().map(|name| format!(", through {name}")).unwrap_or_default();
    let zone = Resource::of(case).map_or_else(|| "the privatelink zone".to_owned(), |resource| resource.zone);
    finding(format!(
        "{} answers {}. The name exists: {} answers {}{through}. So an own copy of a parent zone hides it from here: a private zone {suffix} that is linked to this virtual network, a zone of that server, or a DNS filter.",
        capitalized(&view_label(view)),
        describe_answer(view),
        view_label(other),
        describe_answer(other)
    ))
    .hint(format!("unlink or delete the zone {suffix} that answers here, and use {zone} alone for private records"))
    .commands([
        remediation::ask(view, host.as_str()),
        remediation::ask(other, host.as_str()),
        "az network private-dns zone list --query '[].[name,resourceGroup,numberOfRecordSets,numberOfVirtualNetworkLinks]' --output tsv".to_owned(),
    ])
}
