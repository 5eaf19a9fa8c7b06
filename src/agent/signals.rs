//! The signals that the agent handles.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What to do on a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignalAction {
    /// Shut down.
    Stop,
    /// Reload the configuration.
    Reload,
}

/// SIGTERM and SIGINT shut down, SIGHUP reloads.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Installs the handlers: from here on, the signals do not end the process by themselves.
    pub(super) fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next action; shutdown before reload.
    pub(super) async fn next(&mut self) -> SignalAction {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => SignalAction::Stop,
            _ = self.interrupt.recv() => SignalAction::Stop,
            _ = self.hang_up.recv() => SignalAction::Reload,
        }
    }

    /// Waits for the next shutdown signal, and ignores reloads.
    pub(super) async fn stop(&mut self) {
        while self.next().await != SignalAction::Stop {}
    }
}
