//! The schedule's lag: the worst of a window that does not depend on who scrapes, or how often.

use std::time::{Duration, Instant};

/// The length of a window; a scrape interval is hardly ever longer.
const WINDOW: Duration = Duration::from_secs(60);

/// The worst lag of the present window and of the one before.
#[derive(Debug)]
pub(crate) struct Lag {
    since: Instant,
    present: Duration,
    before: Duration,
}

impl Lag {
    pub(crate) fn new(now: Instant) -> Self {
        Self { since: now, present: Duration::ZERO, before: Duration::ZERO }
    }

    pub(crate) fn observe(&mut self, lag: Duration, now: Instant) {
        self.turn(now);
        self.present = self.present.max(lag);
    }

    pub(crate) fn worst(&mut self, now: Instant) -> Duration {
        self.turn(now);
        self.present.max(self.before)
    }

    fn turn(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.since);
        if passed < WINDOW {
            return;
        }
        self.before = if passed < 2 * WINDOW { self.present } else { Duration::ZERO };
        self.present = Duration::ZERO;
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedule_lag_keeps_worst_for_two_windows() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut lag = Lag::new(start);
        lag.observe(Duration::from_millis(900), at(1));
        lag.observe(Duration::from_millis(10), at(59));
        assert_eq!(lag.worst(at(59)), Duration::from_millis(900));
        lag.observe(Duration::from_millis(20), at(61));
        assert_eq!(lag.worst(at(62)), Duration::from_millis(900), "read twice, since two may scrape");
        assert_eq!(lag.worst(at(62)), Duration::from_millis(900));
        assert_eq!(lag.worst(at(122)), Duration::from_millis(20));
        assert_eq!(lag.worst(at(500)), Duration::ZERO);
    }
}
