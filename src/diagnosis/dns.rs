//! What the resolution means: the comparison of the views is the heart of redpath.
//!
//! One cause decides (the first rule of [`decide`] that holds); remarks on servers that failed or
//! differ without harm follow it. The pages of `docs/codes/` say which rule reads which facts.

mod aaaa;
mod authority;
mod cache;
mod disagree;
mod filters;
mod flapping;
mod known_server;
mod local_override;
mod no_address;
mod reserved_address;
mod search;
mod secondary;
mod servers;
mod transport;
mod views;
mod wrong_address;

use self::views::{AnswerClass, Views};
use super::remediation::Resource;
use super::{Code, Context, Finding, Severity};
use crate::azure;
use crate::observation::dns::ViewKind;
use crate::observation::{Phase, ResolveFailure, ViewOutcome};

/// What the resolution shows.
pub(super) fn diagnose(case: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(configured_name(case));
    match Views::of(case) {
        Some(views) => {
            let cause = decide(case, &views).map(|cause| geo_alias(case, cause));
            let remarks = secondary::all(case, &views, cause.as_ref());
            findings.extend(cause);
            findings.extend(remarks);
        }
        None => findings.extend(servers::no_view(case)),
    }
    if let Some(connection) = &case.observation.connection {
        let met = case.expectation.allows(connection.address.ip());
        let unexplained =
            |finding: &&Finding| finding.severity == Severity::Error && finding.code != Code::PrivatelinkNameConfigured;
        if !connection.address_given && !met && !findings.iter().any(|finding| unexplained(&finding)) {
            findings.push(wrong_address::address_in_use(case, connection));
        }
    }
    findings
}

/// Whether there was anything to ask: with no name server configured, the C library's failure says
/// nothing about the name, and a resolver asked beside it nothing about the path in use.
pub(super) fn has_usable_view(case: &Context<'_>) -> bool {
    if case.observation.connection.is_some() {
        return true;
    }
    let resolution = &case.observation.resolution;
    let no_view = matches!(case.observation.phases.resolve, Phase::Failed { failure: ResolveFailure::NoView, .. });
    let blind = resolution.resolv_conf_error.is_some()
        && resolution.in_use().is_some_and(|view| view.kind == ViewKind::Libc && !view.outcome.is_final());
    !(no_view || blind)
}

/// The first rule that holds names the cause. The order is from the deepest cause outwards: what
/// this machine does to DNS, what its servers do, what the zones hold, what the resource has.
fn decide(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    match views.classify(views.in_use) {
        AnswerClass::NotReached => None,
        AnswerClass::Failed => transport::library_waits_for_udp(case, views)
            .or_else(|| filters::blocked_by_policy(case, views))
            .or_else(|| aaaa::library_fails(case, views))
            .or_else(|| Some(servers::failed(case, views))),
        AnswerClass::Absent => flapping::diagnose(case, views)
            .or_else(|| filters::blocked_by_policy(case, views))
            .or_else(|| flapping::contradicts_itself(case, views))
            .or_else(|| aaaa::library_fails(case, views))
            .or_else(|| Some(no_address::diagnose(case, views))),
        AnswerClass::Expected => flapping::diagnose(case, views)
            .or_else(|| flapping::contradicts_itself(case, views))
            .or_else(|| disagree::another_server_is_wrong(case, views))
            .or_else(|| disagree::reference_contradicts(case, views))
            .or_else(|| filters::sinkhole(case, views)),
        AnswerClass::WrongEndpoint | AnswerClass::Mixed | AnswerClass::Public | AnswerClass::OtherKind => {
            flapping::diagnose(case, views)
                .or_else(|| flapping::contradicts_itself(case, views))
                .or_else(|| local_override::overridden(case, views))
                .or_else(|| wrong_address::answered_by_search_list(case, views))
                .or_else(|| filters::sinkhole(case, views))
                .or_else(|| reserved_address::unexpected(case, views))
                .or_else(|| wrong_address::mixed(case, views))
                .or_else(|| disagree::servers_disagree(case, views))
                .or_else(|| disagree::stale_forwarder(case, views))
                .or_else(|| Some(wrong_address::zone_or_endpoint(case, views)))
        }
    }
}

fn configured_name(case: &Context<'_>) -> Option<Finding> {
    let host = &case.target.host;
    let endpoint = azure::endpoint(host.as_str()).filter(|endpoint| endpoint.is_privatelink_name)?;
    let suffix = endpoint.zone.trim_start_matches(azure::PRIVATELINK);
    let public = format!("{}{suffix}", endpoint.record);
    let verified_as_itself = case.target.tls && case.target.server_name == *host;
    Some(
        Finding::new(
            Code::PrivatelinkNameConfigured,
            if verified_as_itself { Severity::Error } else { Severity::Warning },
            format!("{host} is the privatelink name, not the cache's own"),
            "No certificate covers privatelink names, so clients that verify fail. The cache's own name leads through the privatelink name by a CNAME.",
        )
        .hint(format!("configure {public} in the application and here"))
        .commands([format!("dig {public}")]),
    )
}

/// The name of a geo-replication group leads to the cache that is the primary now, and after a failover to
/// another one, whose record this region's zone may lack.
fn geo_alias(case: &Context<'_>, mut cause: Finding) -> Finding {
    let host = case.target.host.as_str();
    let Some(resource) = Resource::of(case).filter(|resource| !resource.record.ends_with(".geo")) else {
        return cause;
    };
    if cause.severity == Severity::Error && azure::is_geo_alias(host) {
        let name = resource.name();
        cause.detail.push_str(&format!(
            " {host} is the name of a geo-replication group and leads to its primary, which is {name} now; a failover changes that."
        ));
        cause.hint.push_str(&format!(
            "; after a failover, {} needs a record for {name} too, in the zone of every region",
            resource.zone
        ));
    }
    cause
}

/// What is said of an outcome that is no word on the name.
fn failure_code(outcome: ViewOutcome) -> Option<Code> {
    match outcome {
        ViewOutcome::Timeout => Some(Code::DnsTimeout),
        ViewOutcome::Unreachable | ViewOutcome::Failed => Some(Code::DnsUnreachable),
        ViewOutcome::ServerFailure | ViewOutcome::OtherRcode | ViewOutcome::TryAgain => Some(Code::DnsServerFailure),
        ViewOutcome::Refused => Some(Code::DnsRefused),
        ViewOutcome::BadAnswer => Some(Code::DnsBadAnswer),
        ViewOutcome::Answered
        | ViewOutcome::NoData
        | ViewOutcome::NameNotFound
        | ViewOutcome::NoAddress
        | ViewOutcome::NotReached
        | ViewOutcome::Interrupted => None,
    }
}
