//! Every time limit of a probe, with its arithmetic.
//!
//! A probe has one deadline, `timeout` after its start (5 s unless configured). A phase may take half of that timeout,
//! and never more than what is left of it: with 5 s, a silent name server takes 2.5 s, a silent endpoint another
//! 2.5 s, and the whole never more than 5 s.
//!
//! The cluster phase may take half of the timeout, from its query to the last node. At most 16 nodes are connected to
//! at a time, and each has its share of what the query left: all of it up to 16 nodes, a quarter with 64. So a silent
//! node uses its own share, and never another's.
//!
//! Endpoints that should be closed are often silent, so that the checks of posture, concurrent and after the
//! connection, have a limit of their own: a quarter of the timeout. With 5 s that is 1.25 s, which has room for a SYN
//! that is lost once (repeated after 1 s: RFC 6298, 2.1), and half of that again for detecting plain Redis on a port
//! that is silent to TLS. A timeout counts as closed only if the full limit elapsed.
//!
//! A token is fetched concurrently with the other phases, from the start of the probe, and may take four fifths of the
//! timeout: with 5 s that is 4 s, and 1 s is left to `AUTH` and `PING`. After that the fetch continues in a task of its
//! own, for the next probe.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// A limit that fires later than this after its time was late for lack of CPU. An idle machine needs some milliseconds.
const MAX_DELAY: Duration = Duration::from_millis(500);

/// Why a phase ended before it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// Its limit has passed.
    Timeout,
    /// The probe was interrupted.
    Interrupt,
}

/// The deadline of a probe, and its interrupt.
#[derive(Clone, Debug)]
pub struct Budget {
    begun: Instant,
    deadline: Instant,
    phase: Duration,
    interrupt: Interrupt,
    /// Whether a limit fired long after its time, in this budget or a part of it.
    overloaded: Arc<AtomicBool>,
}

impl Budget {
    /// A budget that starts now.
    pub fn new(timeout: Duration, interrupt: Interrupt) -> Self {
        let begun = Instant::now();
        Self { begun, deadline: begun + timeout, phase: timeout / 2, interrupt, overloaded: Arc::default() }
    }

    /// A part of this budget that starts now and ends after `limit`; a phase within it may take all of it.
    pub fn part(&self, limit: Duration) -> Self {
        let deadline = self.deadline.min(Instant::now() + limit);
        Self {
            begun: self.begun,
            deadline,
            phase: limit,
            interrupt: self.interrupt.clone(),
            overloaded: Arc::clone(&self.overloaded),
        }
    }

    /// The same limits from now on.
    pub(super) fn again(&self) -> Self {
        Self::new(self.deadline.duration_since(self.begun), self.interrupt.clone())
    }

    /// When the probe started.
    pub(super) fn begun(&self) -> Instant {
        self.begun
    }

    /// Waits for a token, at most until a fifth of the probe's time is left.
    pub(super) async fn token<T>(&self, work: impl Future<Output = T>) -> Result<T, StopReason> {
        let limit = self.begun + self.deadline.duration_since(self.begun) * 4 / 5;
        self.within(limit.saturating_duration_since(Instant::now()), work).await
    }

    /// The longest that any phase may take, whatever is left.
    pub fn whole_phase(&self) -> Duration {
        self.phase
    }

    /// The longest that a phase that starts now may take.
    pub fn phase_limit(&self) -> Duration {
        self.phase.min(self.deadline.saturating_duration_since(Instant::now()))
    }

    /// What is left of the probe's time.
    pub(super) fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// The budget of the checks of posture, which start now, and whether it is the full one: less may be left of the
    /// probe's time.
    pub(super) fn posture(&self) -> (Self, bool) {
        let whole = self.phase / 2;
        let left = self.deadline.saturating_duration_since(Instant::now());
        // A third is left for detecting plain Redis on a port that is silent to TLS.
        let limit = whole.min(left * 2 / 3);
        let now = Instant::now();
        let deadline = now + limit + limit / 2;
        (
            Self {
                begun: now,
                deadline,
                phase: limit,
                interrupt: self.interrupt.clone(),
                overloaded: Arc::clone(&self.overloaded),
            },
            limit == whole,
        )
    }

    /// Whether this machine had too little CPU for the probe: a limit fired long after its time, or the probe is well
    /// past its deadline. Its timeouts say nothing about the target then.
    pub(super) fn is_overloaded(&self) -> bool {
        self.overloaded.load(Ordering::Relaxed) || Instant::now() > self.deadline + MAX_DELAY
    }

    /// Whether the probe is interrupted.
    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupt.is_raised()
    }

    /// Runs a phase's work within its limit.
    ///
    /// # Errors
    /// [`StopReason`] where the limit passed, or the probe was interrupted, before `work` was done.
    pub fn phase<T>(&self, work: impl Future<Output = T>) -> impl Future<Output = Result<T, StopReason>> {
        self.within(self.phase_limit(), work)
    }

    /// Runs work within `limit`, and never beyond the deadline.
    ///
    /// # Errors
    /// [`StopReason`], as for [`Budget::phase`].
    pub async fn within<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Result<T, StopReason> {
        let begun = Instant::now();
        let limit = limit.min(self.deadline.saturating_duration_since(begun));
        tokio::select! {
            biased;
            done = work => Ok(done),
            () = self.interrupt.raised() => Err(StopReason::Interrupt),
            () = tokio::time::sleep(limit) => {
                if begun.elapsed() > limit + MAX_DELAY {
                    self.overloaded.store(true, Ordering::Relaxed);
                }
                Err(StopReason::Timeout)
            }
        }
    }
}

/// Ends all probes early when it is raised.
#[derive(Clone, Debug)]
pub struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// An interrupt and the handle that raises it; it is never raised once the handle is dropped.
    pub fn new() -> (InterruptHandle, Self) {
        let (sender, receiver) = watch::channel(false);
        (InterruptHandle(sender), Self(receiver))
    }

    /// Waits until it is raised.
    pub async fn raised(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|raised| *raised).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether it has been raised.
    pub fn is_raised(&self) -> bool {
        *self.0.borrow()
    }
}

/// Raises an [`Interrupt`].
#[derive(Debug)]
pub struct InterruptHandle(watch::Sender<bool>);

impl InterruptHandle {
    /// Ends the probes; what they have observed by then is recorded.
    pub fn raise(&self) {
        self.0.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn budget_phase_gets_half_until_deadline() {
        let (_handle, interrupt) = Interrupt::new();
        let budget = Budget::new(Duration::from_secs(4), interrupt);
        assert!(budget.phase_limit() <= Duration::from_secs(2));
        assert_eq!(budget.phase(std::future::pending::<()>()).await, Err(StopReason::Timeout));
        assert_eq!(budget.phase(async { 7 }).await, Ok(7));
    }

    #[tokio::test]
    async fn late_timeout_means_overloaded() {
        let (_handle, interrupt) = Interrupt::new();
        let budget = Budget::new(Duration::from_secs(60), interrupt);
        let limit = Duration::from_millis(10);
        assert_eq!(budget.within(limit, std::future::pending::<()>()).await, Err(StopReason::Timeout));
        assert!(!budget.is_overloaded(), "in time");
        let part = budget.part(Duration::from_secs(30));
        let blocked = part.within(limit, async {
            std::thread::sleep(limit + MAX_DELAY + Duration::from_millis(50)); // the thread has no CPU
            std::future::pending::<()>().await;
        });
        assert_eq!(blocked.await, Err(StopReason::Timeout));
        assert!(budget.is_overloaded());
    }

    #[tokio::test]
    async fn budget_ends_on_interrupt() {
        let (handle, interrupt) = Interrupt::new();
        let budget = Budget::new(Duration::from_secs(60), interrupt.clone());
        handle.raise();
        assert_eq!(budget.phase(std::future::pending::<()>()).await, Err(StopReason::Interrupt));
        assert!(interrupt.is_raised());
    }
}
