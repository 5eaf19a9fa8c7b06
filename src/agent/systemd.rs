//! Notifications to systemd (`sd_notify(3)`): ready, reloading, stopping, watchdog.
//!
//! Without `NOTIFY_SOCKET` nothing is sent and nothing fails.

use std::convert::Infallible;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// The connection to the service manager.
pub(super) struct Systemd {
    watchdog: Option<Interval>,
}

impl Systemd {
    /// From the environment: `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
    pub(super) fn from_environment() -> Self {
        // Half of the limit, as sd_watchdog_enabled(3) recommends.
        let watchdog = sd_notify::watchdog_enabled().map(|limit| {
            let mut ticks = interval((limit / 2).max(Duration::from_millis(1)));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        Self { watchdog }
    }

    /// Start-up or reload is complete; `status` is one line for `systemctl status`.
    pub(super) fn ready(&self, status: &str) {
        notify(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// A reload begins; [`Systemd::ready`] must follow.
    pub(super) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => notify(&[NotifyState::Reloading, now]),
            Err(error) => tracing::debug!(error = error.to_string(), "cannot read the monotonic clock"),
        }
    }

    /// Shutdown begins.
    pub(super) fn stopping(&self) {
        notify(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
    }

    /// Resets the watchdog.
    pub(super) fn reset_watchdog(&self) {
        notify(&[NotifyState::Watchdog]);
    }

    /// Waits until [`Systemd::reset_watchdog`] is due; for ever without a watchdog.
    pub(super) async fn watchdog_due(&mut self) {
        match &mut self.watchdog {
            Some(ticks) => {
                ticks.tick().await;
            }
            None => std::future::pending().await,
        }
    }

    /// Resets the watchdog whenever it is due, for ever.
    pub(super) async fn keep_alive(&mut self) -> Infallible {
        loop {
            self.watchdog_due().await;
            self.reset_watchdog();
        }
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(error = error.to_string(), "sd_notify failed");
    }
}
