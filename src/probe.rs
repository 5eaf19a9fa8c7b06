//! Doing it: one probe of one target, which never fails but says what it saw.
//!
//! Nothing here decides what an observation means, and nothing but `dns` resolves a name: every
//! other phase is given addresses. The phases are functions called in order, each taking over the
//! live connection of the one before.

pub mod budget;

use crate::observation::Observation;
use crate::plan::Plan;

/// Probes.
#[derive(Default)]
pub struct Prober;

impl Prober {
    /// What all probes share.
    pub fn new() -> Self {
        Self
    }

    /// Probes once.
    pub async fn probe(&self, _: &Plan, _: &budget::Interrupt) -> Observation {
        Observation::default()
    }
}
