//! The agent's log on standard error: one line per event, for people or as JSON.
//!
//! Whatever came from outside is a field and not part of the message: fields are quoted and their
//! control characters escaped, so that nothing in them can begin a line of its own. Nothing here
//! is handed a plan, which may hold a secret.

use std::io;

use clap::ValueEnum;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;

use crate::diagnosis::Status;
use crate::history::Change;
use crate::record::Record;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Time, level, message and `key="value"` fields.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// The least severe lines that are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// What keeps redpath from its work.
    Error,
    /// A target that fails, and what somebody should look at.
    Warn,
    /// Every change of verdict, start, reload and stop.
    #[default]
    Info,
    /// What helps to find a mistake in redpath itself.
    Debug,
}

/// Writes the log to standard error from here on.
pub fn start(format: LogFormat, level: LogLevel) {
    // The one error is that a log has been started before, and it may go on.
    let _ = tracing::subscriber::set_global_default(subscriber(format, level, io::stderr));
    std::panic::set_hook(Box::new(|panic| {
        // Where, and not the message: it may quote what was being read.
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "redpath has a bug: a task panicked");
    }));
}

/// Logs a change of verdict, found by `record`.
pub fn verdict_change(record: &Record, change: &Change) {
    let target = record.target.name.as_str();
    let from = change.from.as_ref().map(|verdict| verdict.status.as_str());
    let (to, cause) = (change.to.status.as_str(), change.to.cause.as_str());
    let address = record.observation.connection.as_ref().map(|connection| connection.address.to_string());
    let (address, summary) = (address.as_deref(), change.summary.as_str());
    match change.to.status {
        Status::Fail => tracing::warn!(target, from, to, cause, address, summary, "verdict changed"),
        Status::Pass | Status::Warn | Status::Unknown => {
            tracing::info!(target, from, to, cause, address, summary, "verdict changed");
        }
    }
}

fn subscriber<W>(format: LogFormat, level: LogLevel, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    // Libraries log what they please; only their warnings are worth a line here.
    let filter = Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("redpath", level);
    // A line that cannot be written is lost. To say so on the same closed stream would be a panic.
    let lines = fmt::layer().with_ansi(false).with_target(false).log_internal_errors(false).with_writer(writer);
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Text => Box::new(registry.with(lines)),
        LogFormat::Json => Box::new(registry.with(lines.json().flatten_event(true))),
    }
}

#[cfg(test)]
mod tests {}
