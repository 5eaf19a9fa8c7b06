//! One probe from plan to record: the neighbours `probe`, `diagnosis` and `record`, connected.

use std::time::Instant;

use crate::clock::Timestamp;
use crate::plan::Plan;
use crate::probe::Prober;
use crate::probe::budget::Interrupt;
use crate::record::Record;
use crate::vantage::Vantage;

/// Probes a target once and diagnoses what was seen.
pub async fn check(prober: &Prober, plan: &Plan, vantage: &Vantage, interrupt: &Interrupt) -> Record {
    let started_at = Timestamp::now();
    let began = Instant::now();
    let observation = prober.probe(plan, interrupt).await;
    let took = began.elapsed();
    Record::new(started_at, took, plan.target.clone(), vantage.clone(), plan.expectation.clone(), observation)
}
