//! The agent's log on standard error: one line per event, for people or as JSON.
//!
//! Input from outside is always a field: fields are quoted and their control characters escaped, so that
//! they cannot forge a line. No function here takes a plan, which may hold a secret.

mod journal;
mod non_blocking;

use std::io;

use clap::ValueEnum;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;

use crate::diagnosis::Status;
use crate::history::Change;
use crate::observation::Usability;
use crate::record::Record;
use crate::record::held::HeldChange;

use non_blocking::NonBlocking;

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Time, level, message and `key="value"` fields.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
    /// As text, for the journal of systemd: with the priority in front (sd-daemon(3)), without the time. It is
    /// chosen in place of text where standard error is the journal.
    Journal,
}

/// The minimum level of the lines that are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Faults that stop redpath or a part of it.
    Error,
    /// Failing targets, and conditions to look into.
    Warn,
    /// Changes of verdict; start, reload and stop.
    #[default]
    Info,
    /// Details for finding faults of redpath itself.
    Debug,
}

/// Starts the log on standard error. It never blocks: lines that are not read are lost and counted.
pub fn start(format: LogFormat, level: LogLevel) {
    let format = if format == LogFormat::Text && journal::is_stderr() { LogFormat::Journal } else { format };
    // The only error: a log was started before. That one stays.
    let _ = tracing::subscriber::set_global_default(subscriber(format, level, NonBlocking::new(io::stderr(), format)));
    std::panic::set_hook(Box::new(|panic| {
        // The location alone: the message may quote input.
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "redpath has a bug: a task panicked");
    }));
}

/// Logs a change of verdict, of usability or of the held connection, found by `record`.
pub fn change(record: &Record, change: &Change) {
    let target = record.target.name.as_str();
    let from = change.from.as_ref().map(|verdict| verdict.status.as_str());
    let (to, cause) = (change.to.status.as_str(), change.to.cause.as_str());
    let (usable_from, usable) = (change.usable_from.map(Usability::as_str), change.usable.as_str());
    let address = record.observation.connection.as_ref().map(|connection| connection.address.to_string());
    let (address, summary) = (address.as_deref(), change.summary.as_str());
    let failed = change.is_of_verdict() && change.to.status == Status::Fail;
    let stopped = change.is_of_usability() && change.usable == Usability::No;
    let lost = matches!(change.held_connection, Some(HeldChange::Lost(_)));
    let message = match (change.is_of_verdict(), change.is_of_usability()) {
        (true, _) => "verdict changed",
        (false, true) => "usability changed",
        (false, false) => "held connection changed",
    };
    if failed || stopped || lost {
        tracing::warn!(target, from, to, cause, usable_from, usable, address, summary, "{message}");
    } else {
        tracing::info!(target, from, to, cause, usable_from, usable, address, summary, "{message}");
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
    // Of libraries, only warnings and errors.
    let filter = Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("redpath", level);
    // Without messages about failed writes: on a closed stream they would panic.
    let lines = fmt::layer().with_ansi(false).with_target(false).log_internal_errors(false).with_writer(writer);
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Text => Box::new(registry.with(lines)),
        LogFormat::Journal => Box::new(registry.with(lines.event_format(journal::Lines::default()))),
        LogFormat::Json => Box::new(registry.with(lines.json().flatten_event(true))),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::net::SocketAddr;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use tracing::subscriber::DefaultGuard;

    use super::*;
    use crate::address::AddressClass;
    use crate::clock::Timestamp;
    use crate::diagnosis::{Cause, Verdict};
    use crate::expectation::Expectation;
    use crate::observation::{Connection, Observation};
    use crate::target::{HostName, Target};
    use crate::vantage::Vantage;

    /// What this thread logs while it lives.
    pub(crate) struct Captured(
        Arc<Mutex<Vec<u8>>>,
        #[expect(dead_code, reason = "ends the log when dropped")] DefaultGuard,
    );

    impl Captured {
        pub(crate) fn start(format: LogFormat, level: LogLevel) -> Self {
            let bytes = Arc::new(Mutex::new(Vec::new()));
            let writer = Writer(Arc::clone(&bytes));
            let guard = tracing::subscriber::set_default(subscriber(format, level, move || writer.clone()));
            Self(bytes, guard)
        }

        pub(crate) fn lines(&self) -> Vec<String> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).expect("the log is UTF-8");
            text.split_terminator('\n').map(str::to_owned).collect()
        }
    }

    #[derive(Clone)]
    struct Writer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Writer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    pub(crate) fn record(status: Status) -> Record {
        let target = Target::new(HostName::parse("localhost").expect("a host name"), None, true);
        let address = SocketAddr::from(([10, 60, 4, 5], 6380));
        let connection = Some(Connection::new(address, AddressClass::Private));
        let observation = Observation { connection, ..Observation::default() };
        let (now, took) = (Timestamp::now(), Duration::ZERO);
        let mut record = Record::new(now, took, target, Vantage::default(), Expectation::default(), observation);
        record.verdict = Verdict { status, cause: Cause::Unknown };
        record
    }

    fn change(from: Option<Status>, record: &Record, summary: &str) -> Change {
        Change {
            at: record.started_at,
            from: from.map(|status| Verdict { status, cause: Cause::Unknown }),
            to: record.verdict.clone(),
            usable_from: Some(Usability::Yes),
            usable: Usability::Yes,
            held_connection: None,
            summary: summary.to_owned(),
        }
    }

    const HOSTILE: &str = "one\r\n2026-11-22T22:00:00Z ERROR forged \u{1b}[31m\u{7}\0\u{9b}\u{202e} \"x=y";

    #[test]
    fn log_change_is_one_text_line() {
        let log = Captured::start(LogFormat::Text, LogLevel::Info);
        let failing = record(Status::Fail);
        super::change(&failing, &change(Some(Status::Pass), &failing, "the path is public"));
        let line = log.lines().concat();
        for part in [
            " WARN verdict changed target=\"localhost\" from=\"pass\" to=\"fail\" cause=\"unknown\"",
            "usable_from=\"yes\" usable=\"yes\" address=\"10.60.4.5:6380\" summary=\"the path is public\"",
        ] {
            assert!(line.contains(part), "{line}");
        }
    }

    #[test]
    fn usability_change_alone_has_its_own_line() {
        let log = Captured::start(LogFormat::Text, LogLevel::Info);
        let failing = record(Status::Fail);
        let mut stopped = change(Some(Status::Fail), &failing, "stopped working at connect");
        stopped.usable = Usability::No;
        super::change(&failing, &stopped);
        let line = log.lines().concat();
        assert!(line.contains(" WARN usability changed target=") && line.contains("usable=\"no\""), "{line}");
    }

    #[test]
    fn log_field_cannot_break_line() {
        let log = Captured::start(LogFormat::Text, LogLevel::Info);
        let mut hostile = record(Status::Pass);
        hostile.target.name = HOSTILE.to_owned();
        super::change(&hostile, &change(None, &hostile, HOSTILE));
        let lines = log.lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(!lines[0].contains(|c: char| c.is_control() || c == '\u{202e}'), "{lines:?}");
        assert!(lines[0].contains(r"one\r\n2026"), "{lines:?}");
    }

    #[test]
    fn log_json_line_is_one_object() {
        let log = Captured::start(LogFormat::Json, LogLevel::Info);
        let mut hostile = record(Status::Pass);
        hostile.target.name = HOSTILE.to_owned();
        super::change(&hostile, &change(None, &hostile, HOSTILE));
        let failing = record(Status::Fail);
        super::change(&failing, &change(Some(Status::Warn), &failing, "the path is public"));
        let lines = log.lines();
        let lines: Vec<serde_json::Value> = lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["target"], &lines[0]["summary"]), (&HOSTILE.into(), &HOSTILE.into()));
        assert_eq!((lines[0].get("from"), &lines[0]["level"]), (None, &"INFO".into()));
        for (field, value) in [
            ("level", "WARN"),
            ("message", "verdict changed"),
            ("target", "localhost"),
            ("from", "warn"),
            ("to", "fail"),
            ("cause", "unknown"),
            ("address", "10.60.4.5:6380"),
            ("summary", "the path is public"),
        ] {
            assert_eq!(lines[1][field], value, "{field}");
        }
    }

    #[test]
    fn log_level_filters_lines() {
        let log = Captured::start(LogFormat::Text, LogLevel::Warn);
        let (passing, failing) = (record(Status::Pass), record(Status::Fail));
        super::change(&passing, &change(None, &passing, ""));
        assert!(log.lines().is_empty());
        super::change(&failing, &change(None, &failing, ""));
        assert_eq!(log.lines().len(), 1);
    }
}
