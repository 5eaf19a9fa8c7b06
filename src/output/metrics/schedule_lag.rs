//! The schedule's lag: the worst of a time window, independent of scrapes.

use std::time::{Duration, Instant};

/// The length of a window, longer than usual scrape intervals.
const WINDOW: Duration = Duration::from_secs(60);

/// The worst lag of the current window and of the previous one.
#[derive(Debug)]
pub(crate) struct Lag {
    since: Instant,
    current: Duration,
    previous: Duration,
}

impl Lag {
    pub(crate) fn new(now: Instant) -> Self {
        Self { since: now, current: Duration::ZERO, previous: Duration::ZERO }
    }

    pub(crate) fn observe(&mut self, lag: Duration, now: Instant) {
        self.advance(now);
        self.current = self.current.max(lag);
    }

    pub(crate) fn worst(&mut self, now: Instant) -> Duration {
        self.advance(now);
        self.current.max(self.previous)
    }

    fn advance(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.since);
        if passed < WINDOW {
            return;
        }
        self.previous = if passed < 2 * WINDOW { self.current } else { Duration::ZERO };
        self.current = Duration::ZERO;
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
