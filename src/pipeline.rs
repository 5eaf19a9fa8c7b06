//! One target from plan to record: probe it, diagnose the observation, make the record.

use std::time::Instant;

use crate::clock::Timestamp;
use crate::plan::Plan;
use crate::probe::Prober;
use crate::probe::budget::Interrupt;
use crate::record::Record;
use crate::vantage::Vantage;

/// Probes the target of `plan` once and diagnoses the observation.
pub async fn run(prober: &Prober, plan: &Plan, vantage: &Vantage, interrupt: &Interrupt) -> Record {
    let started_at = Timestamp::now();
    let began = Instant::now();
    let observation = prober.probe(plan, interrupt).await;
    let took = began.elapsed();
    Record::new(started_at, took, plan.target.clone(), vantage.clone(), plan.expectation.clone(), observation)
}
