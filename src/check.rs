//! One probe, diagnosed.

use std::time::Instant;

use crate::clock::Timestamp;
use crate::plan::Plan;
use crate::probe::Prober;
use crate::probe::budget::Interrupt;
use crate::record::Record;
use crate::vantage::Vantage;

/// Probes once.
pub async fn check(prober: &Prober, plan: &Plan, vantage: &Vantage, interrupt: &Interrupt) -> Record {
    let (started_at, began) = (Timestamp::now(), Instant::now());
    let observation = prober.probe(plan, interrupt).await;
    Record::new(
        started_at,
        began.elapsed(),
        plan.target.clone(),
        vantage.clone(),
        plan.expectation.clone(),
        observation,
    )
}
