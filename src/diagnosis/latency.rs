//! Phases held against their budgets.

use super::{Case, Code, Finding, Severity};
use crate::clock::Seconds;
use crate::phase::{PhaseName, PhaseOutcome};

/// One finding for all phases over budget, in the first one's phase.
pub(super) fn diagnose(case: &Case<'_>) -> Option<Finding> {
    let over: Vec<(PhaseName, Seconds, Seconds)> = case
        .expectation
        .latency
        .iter()
        .filter_map(|(phase, budget)| {
            let summary = case.observation.phases.get(*phase);
            let took = summary.took.filter(|_| summary.outcome == PhaseOutcome::Done)?;
            (took > *budget).then_some((*phase, took, *budget))
        })
        .collect();
    let (first, _, _) = over.first()?;
    let told: Vec<String> =
        over.iter().map(|(phase, took, budget)| format!("{phase} took {took} of {budget}")).collect();
    let network = [PhaseName::Connect, PhaseName::Tls, PhaseName::Ping];
    let everywhere = network.iter().all(|phase| over.iter().any(|(over, _, _)| over == phase));
    let detail = if everywhere {
        "Connect, TLS and PING are all slow, so it is the round trip of the network (another region, a hairpin through a firewall), and neither Redis nor DNS."
    } else {
        "A phase that is slow by itself points to what it depends on: resolve to the name server, connect to the network, TLS and PING to the server as well."
    };
    Some(
        Finding::new(Code::LatencyOverBudget, Severity::Warning, told.join(", "), detail)
            .phase(*first)
            .hint("compare the phases with each other, and with another vantage"),
    )
}
