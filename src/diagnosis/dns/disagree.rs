//! Servers that should say the same and do not.

use super::cache::{self, LocalCache};
use super::local_override;
use super::views::{AnswerClass, Views, addresses, called, said};
use super::wrong_address;
use crate::azure::AZURE_DNS;
use crate::diagnosis::remediation::{self, Resource};
use crate::diagnosis::{Code, Context, Finding, Severity};
use crate::expectation::ExpectedPath;
use crate::observation::View;
use crate::observation::dns::ViewKind;

/// The name servers of resolv.conf give different answers, and programs got a wrong one.
pub(super) fn servers_disagree(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    let good = views.system.iter().copied().find(|view| views.reading(view) == AnswerClass::Expected)?;
    let bad = views.system.iter().copied().find(|view| views.reading(view).is_wrong()).unwrap_or(views.in_use);
    let more = format!(
        " Programs ask the next server when the first is slow, so what they get changes from one question to the next.{}",
        wrong_address::connection_evidence(case)
    );
    Some(disagreement(case, views, bad, good, &more))
}

/// Every name server in use gives the wrong answer, and a configured resolver the right one: the
/// zone is fine, and what stands between is not.
pub(super) fn stale_forwarder(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    let good = views.comparable().find(|view| views.reading(view) == AnswerClass::Expected)?;
    let bad = views.system.iter().copied().find(|view| views.reading(view).is_wrong()).unwrap_or(views.in_use);
    Some(disagreement(case, views, bad, good, &wrong_address::connection_evidence(case)))
}

/// The path is right, and would not be from another name server of resolv.conf.
pub(super) fn another_server_is_wrong(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    let is_bad = |view: &&View| views.reading(view).is_wrong() || views.reading(view) == AnswerClass::Absent;
    let bad = views.system.iter().copied().find(is_bad)?;
    if let Some(good) = views.system.iter().copied().find(|view| views.reading(view) == AnswerClass::Expected) {
        return Some(disagreement(
            case,
            views,
            bad,
            good,
            " Programs got the right answer this time; they ask the next server of resolv.conf when one is slow, so it will not stay so.",
        ));
    }
    let subset = addresses(views.in_use).is_subset(&addresses(bad));
    if views.reading(bad) == AnswerClass::Mixed && subset && !views.hosts_file_decides() {
        return Some(wrong_address::mixed_answer(case, views, bad));
    }
    Some(local_override::pinned_right(case, views, bad))
}

/// Name servers give different addresses that all meet the expectation as far as it goes.
pub(super) fn servers_differ(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    let mut expected = views.system.iter().copied().filter(|view| views.reading(view) == AnswerClass::Expected);
    let first = expected.next()?;
    let other = expected.find(|view| addresses(view).is_disjoint(&addresses(first)))?;
    let host = case.target.host.as_str();
    Some(
        Finding::new(
            Code::ResolverDisagreement,
            Severity::Warning,
            summary(first, other),
            "Both meet the expectation as far as it goes, so it cannot be told which is the endpoint's: one may hold a stale record, or an endpoint of another network.",
        )
        .hint("say which address is expected with --endpoint, and compare the two servers' zones")
        .commands([remediation::ask(first, host), remediation::ask(other, host)]),
    )
}

fn summary(bad: &View, good: &View) -> String {
    format!("{} answers {}, and {} answers {}", called(bad), said(bad), called(good), said(good))
}

fn disagreement(case: &Context<'_>, views: &Views<'_>, bad: &View, good: &View, more: &str) -> Finding {
    let host = case.target.host.as_str();
    let cached = cache::cache_evidence(case, views, bad, good);
    let finding = |detail: String| {
        Finding::new(Code::ResolverDisagreement, Severity::Error, summary(bad, good), detail)
            .commands([remediation::ask(bad, host), remediation::ask(good, host)])
    };
    if case.expectation.path != ExpectedPath::Private {
        return finding(format!(
            "Both were asked the same question from here: one of them has an old answer, or a zone of its own.{cached}{more}"
        ))
        .hint(format!("make {} answer as {} does: flush its cache, or compare its zones", called(bad), called(good)));
    }
    let zone = zone(case, bad, good);
    let at = bad.server.map(|server| server.ip().to_string());
    if views.is_public_server(bad) {
        return finding(format!(
            "Both were asked the same question from here. {} is a public server: it sees no private zone, and cannot be made to.{more}",
            at.as_deref().unwrap_or("The first")
        ))
        .hint(format!(
            "put {} in place of {} in resolv.conf (the network's or the machine's DNS settings)",
            good.server.map_or_else(|| called(good), |server| server.ip().to_string()),
            at.as_deref().unwrap_or("it")
        ));
    }
    let finding = finding(format!(
        "Both were asked the same question from here, so the zone and its link are right and what stands between is not: a stale cache, an own copy of the zone, or a forwarder that does not ask {AZURE_DNS} for it.{cached}{more}"
    ));
    if let Some(cache) = LocalCache::of(bad) {
        finding
            .hint(format!(
                "flush that cache, then see whether the server it forwards to asks {} for {zone}; leave the zone link alone ({})",
                good.server.map_or(AZURE_DNS, |server| server.ip()),
                cache.hint()
            ))
            .commands(cache.commands(host))
    } else if good.is_azure_dns() {
        let server = at.unwrap_or_else(|| {
            if bad.kind == ViewKind::Libc { "the name server in use".to_owned() } else { called(bad) }
        });
        finding
            .hint(format!("forward {zone} at {server} to {AZURE_DNS} and flush its cache; leave the zone link alone"))
    } else {
        finding.hint(format!(
            "make {} answer as {} does: flush its cache, or forward {zone} where the other one does",
            called(bad),
            called(good)
        ))
    }
}

fn zone(case: &Context<'_>, bad: &View, good: &View) -> String {
    good.privatelink_zone
        .clone()
        .or_else(|| bad.privatelink_zone.clone())
        .or_else(|| Resource::of(case).map(|resource| resource.zone))
        .unwrap_or_else(|| "the zone".to_owned())
}
