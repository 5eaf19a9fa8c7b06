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
pub struct Prober {}

impl Prober {
    /// A prober.
    pub fn new() -> Self {
        Self {}
    }

    /// Probes as `plan` says.
    pub async fn probe(&self, plan: &Plan, interrupt: &budget::Interrupt) -> Observation {
        let budget = budget::Budget::new(plan.timeout, interrupt.clone());
        if let Some(resolver) = plan.resolvers.first()
            && let Ok(socket) = tokio::net::UdpSocket::bind("127.0.0.1:0").await
            && socket.send_to(b"?", resolver.address).await.is_ok()
        {
            let _ = budget.phase(socket.recv(&mut [0; 1])).await;
        }
        Observation::default()
    }
}
