//! What ends a watch from outside: SIGINT, SIGTERM, and SIGHUP unless it is ignored (nohup).

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::cli::ExitCode;
use crate::probe::budget::InterruptHandle;

/// How long the summary may take to be written.
const EXIT_AFTER: Duration = Duration::from_secs(2);

/// The first signal ends the watch; a second one, or [`EXIT_AFTER`], ends the program. The handlers have a thread of
/// their own: writing to a pipe that nobody reads blocks the others.
pub(super) fn interrupt(handle: InterruptHandle) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let entered = runtime.enter();
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    let mut hangups = if is_hangup_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
    drop(entered);
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut next = async || {
            let hangup = async {
                match &mut hangups {
                    Some(hangups) => hangups.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = interrupts.recv() => {}
                _ = terminations.recv() => {}
                _ = hangup => {}
            }
        };
        runtime.block_on(async {
            next().await;
            handle.raise();
            let _ = tokio::time::timeout(EXIT_AFTER, next()).await;
        });
        super::terminal::leave();
        std::process::exit(ExitCode::Unknown as i32);
    })?;
    Ok(())
}

/// Whether the process was started with SIGHUP ignored: bit 0 of `SigIgn`, proc_pid_status(5).
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}
