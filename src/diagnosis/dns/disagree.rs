//! Servers that should say the same and do not.

use super::cache;
use super::known_server::{KnownServer, NETWORK_SERVERS, RULESETS};
use super::views::{AnswerClass, Views, addresses, describe_answer, view_label};
use super::{local_override, wrong_address};
use crate::azure::AZURE_DNS;
use crate::diagnosis::pod;
use crate::diagnosis::remediation::{self, Resource};
use crate::diagnosis::text::capitalized;
use crate::diagnosis::{Code, Context, Finding, Severity};
use crate::expectation::ExpectedPath;
use crate::observation::View;
use crate::observation::dns::ViewKind;

/// The name servers of resolv.conf give different answers, and programs got a wrong one.
pub(super) fn servers_disagree(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    let good = views.system.iter().copied().find(|view| views.classify(view) == AnswerClass::Expected)?;
    let bad = views.system.iter().copied().find(|view| views.classify(view).is_wrong()).unwrap_or(views.in_use);
    let more = format!(
        " Programs ask the next server when the first is slow, so what they get changes from one question to the next. Those of musl (Alpine images) ask all servers at once and take the first answer.{}",
        wrong_address::connection_evidence(case)
    );
    Some(disagreement(case, views, bad, good).more(&more))
}

/// Every name server in use gives the wrong answer, and another resolver the right one: the zone is fine, and what
/// stands between is not. A resolver that nobody configured shows why the answer is wrong; the code stays that of the
/// wrong answer.
pub(super) fn stale_forwarder(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    let good = views.comparable().find(|view| views.classify(view) == AnswerClass::Expected)?;
    let bad = views.system.iter().copied().find(|view| views.classify(view).is_wrong()).unwrap_or(views.in_use);
    let finding = disagreement(case, views, bad, good).more(&wrong_address::connection_evidence(case));
    let code = match (good.automatic, views.classify(views.in_use)) {
        (false, _) => finding.code,
        (true, AnswerClass::Public) => Code::PrivateZoneNotSeen,
        (true, _) => Code::UnexpectedAddress,
    };
    Some(Finding { code, ..finding })
}

/// The path is right, and would not be from another name server of resolv.conf.
pub(super) fn another_server_is_wrong(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    let is_bad = |view: &&View| views.classify(view).is_wrong() || views.classify(view) == AnswerClass::Absent;
    let bad = views.system.iter().copied().find(is_bad)?;
    if let Some(good) = views.system.iter().copied().find(|view| views.classify(view) == AnswerClass::Expected) {
        return Some(disagreement(case, views, bad, good).more(
            " Programs got the right answer this time; they ask the next server of resolv.conf when one is slow, so the next lookup may get the wrong one. Those of musl (Alpine images) ask all servers at once and take the first answer.",
        ));
    }
    let subset = addresses(views.in_use).is_subset(&addresses(bad));
    if views.classify(bad) == AnswerClass::Mixed && subset && !views.answered_by_hosts_file() {
        return Some(wrong_address::mixed_answer(case, views, bad));
    }
    Some(local_override::right_by_override(case, views, bad))
}

/// Name servers give different addresses that all meet the expectation as far as it goes.
pub(super) fn servers_differ(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    let mut expected = views.system.iter().copied().filter(|view| views.classify(view) == AnswerClass::Expected);
    let first = expected.next()?;
    let other = expected.find(|view| addresses(view).is_disjoint(&addresses(first)))?;
    let host = case.target.host.as_str();
    Some(
        Finding::new(
            Code::ResolverDisagreement,
            Severity::Warning,
            summary(first, other),
            "Both meet the expectation as far as it goes. Unknown: which is the endpoint's. One may hold a stale record, or an endpoint of another network.",
        )
        .hint("say which address is expected with --endpoint, and compare the two servers' zones")
        .commands([remediation::ask(first, host), remediation::ask(other, host)]),
    )
}

/// The view in use and a configured resolver give two private addresses, and no endpoint is named.
pub(super) fn reference_contradicts(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    if case.observation.connection.as_ref().is_some_and(|connection| connection.address_given) {
        return None; // the address that was given is the one that is judged
    }
    let reference = case.observation.resolution.contradicting(case.expectation)?;
    let same = |view: &&View| !addresses(view).is_disjoint(&addresses(views.in_use));
    let view = views.system.iter().copied().find(same).unwrap_or(views.in_use);
    let host = case.target.host.as_str();
    let sees = if reference.is_azure_dns() {
        format!(
            "{AZURE_DNS} answers from the zone that this virtual network is linked to, so the other one likely keeps a copy of the zone, an old answer, or the block page of a DNS filter."
        )
    } else {
        "One of the two keeps a copy of the zone, an old answer, or another network's zone.".to_owned()
    };
    let ttl = |view: &View| view.addresses.iter().filter_map(|address| address.ttl).min();
    let lives = match (ttl(view), ttl(reference)) {
        (Some(ours), Some(theirs)) if ours > theirs.saturating_mul(2) => {
            format!(
                " Its record has {} left to live, and the other one's {}.",
                cache::ttl_words(ours),
                cache::ttl_words(theirs)
            )
        }
        _ => String::new(),
    };
    Some(
        Finding::new(
            Code::ResolverDisagreement,
            Severity::Error,
            summary(view, reference),
            format!(
                "Both are private, and no endpoint is named, so which of them is the endpoint's is unknown. {sees}{lives} Credentials go to neither while they differ: a wildcard certificate covers other caches too.{}",
                wrong_address::connection_evidence(case)
            ),
        )
        .hint(format!(
            "compare both with the private endpoint's address, and name that one with --endpoint; then remove the copy at {}, or empty its cache",
            view_label(view)
        ))
        .commands([remediation::ask(view, host), remediation::ask(reference, host)])
        .commands(Resource::of(case).map(|resource| resource.show_record()))
        .commands(["az network private-endpoint show --name <private-endpoint> --resource-group <resource-group> --query 'customDnsConfigs[].ipAddresses'".to_owned()]),
    )
}

/// `A answers X, and B answers Y`.
pub(super) fn summary(bad: &View, good: &View) -> String {
    format!(
        "{} answers {}, and {} answers {}",
        view_label(bad),
        describe_answer(bad),
        view_label(good),
        describe_answer(good)
    )
}

/// `bad` gives a wrong answer, and `good` the right one.
fn disagreement(case: &Context<'_>, views: &Views<'_>, bad: &View, good: &View) -> Finding {
    let host = case.target.host.as_str();
    let finding = |detail: String| {
        Finding::new(Code::ResolverDisagreement, Severity::Error, summary(bad, good), detail)
            .commands([remediation::ask(bad, host), remediation::ask(good, host)])
    };
    if case.expectation.path != ExpectedPath::Private {
        let cached = cache::cache_evidence(case, views, bad, good);
        return finding(format!(
            "Both were asked the same question from here: one of them has an old answer, or a zone of its own.{cached}"
        ))
        .hint(format!(
            "make {} answer as {} does: flush its cache, or compare its zones",
            view_label(bad),
            view_label(good)
        ));
    }
    if views.is_public_server(bad) {
        let at = bad.server.map(|server| server.ip().to_string());
        return finding(format!(
            "Both were asked the same question from here. {} is a public server: it sees no private zone, and cannot be made to.",
            at.as_deref().unwrap_or("The first")
        ))
        .hint(format!(
            "put {} in place of {} in resolv.conf (the network's or the machine's DNS settings)",
            good.server.map_or_else(|| view_label(good), |server| server.ip().to_string()),
            at.as_deref().unwrap_or("it")
        ));
    }
    if bad.is_azure_dns() {
        return azure_dns_differs(case, views, bad, good);
    }
    let (what, hint, commands) = set_right(case, bad, good);
    let cached = cache::cache_evidence(case, views, bad, good);
    let outside = if good.is_azure_dns() && KnownServer::of(case, bad).is_none() {
        " A server outside Azure cannot ask 168.63.129.16: it forwards to the inbound endpoint of a DNS Private Resolver, or to a DNS server in a linked network."
    } else {
        ""
    };
    finding(format!(
        "Both were asked the same question from here, so the zone and its link are right and what stands between is not: {what}.{cached}{}{outside}",
        pod::note(case)
    ))
    .hint(hint)
    .commands(commands)
}

/// What may be wrong with the server of `bad`, what to do about it so that it answers as `good` does,
/// and the commands for that.
pub(super) fn set_right(case: &Context<'_>, bad: &View, good: &View) -> (String, String, Vec<String>) {
    let host = case.target.host.as_str();
    let zone = zone(case, bad, good);
    let to = good.server.map_or(AZURE_DNS, |server| server.ip()).to_string();
    let elsewhere = format!("a stale cache, an own copy of the zone, or a forwarder that does not ask {to} for it");
    let leave = "leave the zone link alone";
    match KnownServer::of(case, bad) {
        Some(server @ (KnownServer::NodeLocal | KnownServer::LocalDnsDefault | KnownServer::LocalDnsClusterFirst)) => (
            elsewhere,
            format!(
                "flush that cache, then see whether the server it asks gives what {to} gives; if not, have that one {}; {leave} ({})",
                remediation::forward(&zone, "", &to),
                server.behind()
            ),
            server.commands(host),
        ),
        Some(server @ KnownServer::Resolved) => (
            elsewhere,
            format!(
                "flush that cache, then see whether the server it asks gives what {to} gives; {leave} ({})",
                server.behind()
            ),
            server.commands(host),
        ),
        Some(server @ (KnownServer::CoreDns | KnownServer::Docker | KnownServer::Loopback)) => (
            format!(
                "{} only passes questions on. {}",
                capitalized(server.name().unwrap_or("it")),
                capitalized(&server.behind())
            ),
            format!(
                "have the servers that {} asks {}; {leave}",
                called_known(bad, server),
                remediation::forward(&zone, "", &to)
            ),
            server.commands(host),
        ),
        Some(KnownServer::AzureDns) | None => {
            let at = bad.server.map_or_else(
                || if bad.kind == ViewKind::Libc { "the name server in use".to_owned() } else { view_label(bad) },
                |server| server.ip().to_string(),
            );
            let hint = if good.is_azure_dns() {
                format!("{}, and flush its cache; {leave}", remediation::forward(&zone, &format!(" at {at}"), &to))
            } else {
                format!(
                    "make {} answer as {} does: {} or where the other one forwards it, and flush its cache",
                    view_label(bad),
                    view_label(good),
                    remediation::forward(&zone, "", &to)
                )
            };
            (elsewhere, hint, Vec::new())
        }
    }
}

fn called_known(view: &View, server: KnownServer) -> String {
    let at = view.server.map_or_else(|| view_label(view), |server| server.ip().to_string());
    server.name().map_or_else(|| format!("the program at {at}"), |name| format!("{name} ({at})"))
}

/// Azure's own resolver is in use, and gives the wrong answer: it is no forwarder, and has no cache to
/// empty. What it answers is what this virtual network is linked to.
fn azure_dns_differs(case: &Context<'_>, views: &Views<'_>, azure: &View, good: &View) -> Finding {
    let host = &case.target.host;
    let zone = zone(case, azure, good);
    let resource = Resource::of(case);
    let alone = views.system.iter().all(|view| view.is_azure_dns());
    let unlinked = views.classify(azure) == AnswerClass::Public;
    let (what, link) = if unlinked {
        ("this virtual network is not linked to the zone", format!("link this virtual network to {zone}"))
    } else {
        (
            "this virtual network is linked to another zone of that name, or to one with another record",
            format!(
                "compare the record of {zone} that is linked to this virtual network with the private endpoint's address"
            ),
        )
    };
    let (code, summary) = if unlinked && alone {
        (
            Code::PrivateZoneNotSeen,
            format!("{host} leads to {}: this virtual network is not linked to {zone}", describe_answer(views.in_use)),
        )
    } else {
        (Code::ResolverDisagreement, summary(azure, good))
    };
    Finding::new(
        code,
        Severity::Error,
        summary,
        format!(
            "{AZURE_DNS} is Azure's own resolver, and answers {}: {what}, or a DNS forwarding ruleset that is linked to it sends the name elsewhere (a ruleset outranks a zone). {} answers {}, so the zone and its record exist.",
            describe_answer(azure),
            capitalized(&view_label(good)),
            describe_answer(good)
        ),
    )
    .hint(format!(
        "{link}, or set its DNS servers to {}{}",
        good.server.map_or_else(|| view_label(good), |server| server.ip().to_string()),
        if alone { "" } else { " alone" }
    ))
    .commands([remediation::ask(azure, host.as_str()), remediation::ask(good, host.as_str())])
    .commands(resource.iter().flat_map(|resource| [resource.list_links(), resource.create_link()]))
    .commands([NETWORK_SERVERS.to_owned(), RULESETS.to_owned()])
}

fn zone(case: &Context<'_>, bad: &View, good: &View) -> String {
    good.privatelink_zone
        .clone()
        .or_else(|| bad.privatelink_zone.clone())
        .or_else(|| Resource::of(case).map(|resource| resource.zone))
        .unwrap_or_else(|| "the zone".to_owned())
}
