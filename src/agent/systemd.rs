//! What systemd is told (`sd_notify(3)`): ready, reloading, stopping, and that the runtime still turns.
//!
//! Without `NOTIFY_SOCKET` nothing is said and nothing fails.

use std::convert::Infallible;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// The service manager.
pub(super) struct Systemd {
    watchdog: Option<Interval>,
}

impl Systemd {
    /// As the environment says: `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
    pub(super) fn from_environment() -> Self {
        // Half of the limit, as sd_watchdog_enabled(3) recommends.
        let watchdog = sd_notify::watchdog_enabled().map(|limit| {
            let mut ticks = interval((limit / 2).max(Duration::from_millis(1)));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        Self { watchdog }
    }

    /// The agent is at work; `status` is one line for `systemctl status`.
    pub(super) fn ready(&self, status: &str) {
        notify(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// The configuration is being read again; [`Systemd::ready`] must follow.
    pub(super) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => notify(&[NotifyState::Reloading, now]),
            Err(error) => tracing::debug!(error = error.to_string(), "cannot read the monotonic clock"),
        }
    }

    /// The agent winds down.
    pub(super) fn stopping(&self) {
        notify(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
    }

    /// The agent makes progress.
    pub(super) fn alive(&self) {
        notify(&[NotifyState::Watchdog]);
    }

    /// Waits until [`Systemd::alive`] is due; for ever where no watchdog was asked for.
    pub(super) async fn watchdog_due(&mut self) {
        match &mut self.watchdog {
            Some(ticks) => {
                ticks.tick().await;
            }
            None => std::future::pending().await,
        }
    }

    /// Says again and again that the agent makes progress.
    pub(super) async fn keep_alive(&mut self) -> Infallible {
        loop {
            self.watchdog_due().await;
            self.alive();
        }
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(error = error.to_string(), "systemd cannot be told");
    }
}
