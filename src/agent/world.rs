//! What a turn of the schedule does: a check, its metrics, its history, and a line where the verdict changes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::reload::Current;
use crate::check::check;
use crate::config::TargetConfig;
use crate::diagnosis::{Cause, Status, Verdict};
use crate::history::History;
use crate::observation::Observation;
use crate::output::log;
use crate::output::metrics::Metrics;
use crate::probe::Prober;
use crate::probe::budget::Interrupt;
use crate::record::Record;
use crate::schedule::{Loss, LossKind, World};

/// The network, the metrics and the history.
pub(super) struct RealWorld {
    pub(super) prober: Arc<Prober>,
    pub(super) current: watch::Receiver<Arc<Current>>,
    pub(super) interrupt: Interrupt,
    pub(super) metrics: Arc<Metrics>,
    pub(super) history: Arc<History>,
}

impl World for RealWorld {
    async fn probe(&self, target: Arc<TargetConfig>) -> Record {
        let current = Arc::clone(&self.current.borrow());
        check(&self.prober, &target.plan, &current.vantage, &self.interrupt).await
    }

    fn keep(&self, record: Record) {
        // A probe that was cut short by the agent's own end says nothing of its target.
        if self.interrupt.is_raised() {
            return;
        }
        self.metrics.observe(&record);
        let record = Arc::new(record);
        if let Some(change) = self.history.observe(Arc::clone(&record)) {
            log::verdict_change(&record, &change);
        }
    }

    fn lose(&self, loss: Loss) {
        let target = loss.target.plan.target.name.as_str();
        match loss.kind {
            LossKind::Panicked => {
                tracing::error!(target, "a probe panicked; its target is probed again when it is due")
            }
            LossKind::Stuck => tracing::error!(target, "a probe did not end at its time limit, and was cancelled"),
        }
        let vantage = self.current.borrow().vantage.clone();
        self.keep(unknown(&loss, vantage));
    }

    fn lag(&self, lag: Duration) {
        self.metrics.schedule_lag(lag);
    }
}

/// The record of a turn that brought none: nothing was seen, so nothing is known.
fn unknown(loss: &Loss, vantage: crate::vantage::Vantage) -> Record {
    let plan = &loss.target.plan;
    let (target, expectation) = (plan.target.clone(), plan.expectation.clone());
    let mut record = Record::new(loss.began, loss.took, target, vantage, expectation, Observation::default());
    record.findings.clear();
    record.verdict = Verdict { status: Status::Unknown, cause: Cause::Unknown };
    record
}
