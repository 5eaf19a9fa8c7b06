//! One probe and what it means.

use std::time::Instant;

use crate::clock::Timestamp;
use crate::plan::Plan;
use crate::probe::Prober;
use crate::probe::budget::Interrupt;
use crate::record::Record;
use crate::vantage::Vantage;

/// Probes as `plan` says, and diagnoses what was seen.
pub async fn check(prober: &Prober, plan: &Plan, vantage: &Vantage, interrupt: &Interrupt) -> Record {
    let (started_at, begun) = (Timestamp::now(), Instant::now());
    let observation = prober.probe(plan, interrupt).await;
    Record::new(
        started_at,
        begun.elapsed(),
        plan.target.clone(),
        vantage.clone(),
        plan.expectation.clone(),
        observation,
    )
}
