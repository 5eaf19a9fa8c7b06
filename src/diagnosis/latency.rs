//! Phases held against their budgets.

use super::{Code, Context, Finding, Severity};
use crate::clock::Seconds;
use crate::phase::{PhaseName, PhaseOutcome};

/// A budget as it was given, also where that takes more than two figures.
fn exact(budget: Seconds) -> String {
    let short = budget.to_string();
    let is_exact = humantime::parse_duration(&short.replace('µ', "u")) == Ok(budget.0);
    if is_exact { short } else { humantime::format_duration(budget.0).to_string() }
}

/// One finding for all phases over budget, in the first one's phase.
pub(super) fn diagnose(case: &Context<'_>) -> Option<Finding> {
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
    let phases_over: Vec<String> = over
        .iter()
        .map(|(phase, took, budget)| {
            let allowed = exact(*budget);
            match took.to_string() == budget.to_string() {
                false => format!("{phase} took {took} of {allowed}"),
                true => format!("{phase} took {} more than {allowed}", Seconds(took.0.saturating_sub(budget.0))),
            }
        })
        .collect();
    let within = |phase: PhaseName| {
        let ran = case.observation.phases.get(phase).outcome == PhaseOutcome::Done;
        ran && case.expectation.latency.contains_key(&phase) && !over.iter().any(|(over, _, _)| *over == phase)
    };
    let network = [PhaseName::Connect, PhaseName::Tls, PhaseName::Ping];
    let slow = network.iter().filter(|phase| over.iter().any(|(over, _, _)| over == *phase)).count();
    let resolve_alone = over.iter().all(|(phase, _, _)| *phase == PhaseName::Resolve);
    let detail = if slow >= 2 && !network.iter().any(|phase| within(*phase)) {
        "Every phase on the network that has a budget is over it, so it is most likely the round trip (another region, a hairpin through a firewall), and neither Redis nor DNS."
    } else if resolve_alone {
        "Only the resolution is slow: the name server, one before it that does not answer, or the queries of the search list. The path to Redis is not to blame."
    } else {
        "A phase that is slow by itself points to what it depends on: resolve to the name server, connect to the network, TLS and PING to the server as well."
    };
    Some(
        Finding::new(Code::LatencyOverBudget, Severity::Warning, phases_over.join(", "), detail)
            .phase(*first)
            .hint("compare the phases with each other, and with another vantage"),
    )
}
