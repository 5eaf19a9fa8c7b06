//! Lines for the journal of systemd: with the priority in front, as sd-daemon(3) has it, and without the time.
//!
//! The journal takes the priority off, and has a time of its own.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Whether standard error is the journal: `JOURNAL_STREAM` has the device and the inode of the stream
/// (systemd.exec(5)). A variable that was inherited by a program with another stream is not meant.
pub(super) fn is_stderr() -> bool {
    let stream = std::env::var("JOURNAL_STREAM").ok();
    let metadata = || File::from(io::stderr().as_fd().try_clone_to_owned().ok()?).metadata().ok();
    stream.is_some_and(|stream| metadata().is_some_and(|at| is_stream(&stream, at.dev(), at.ino())))
}

fn is_stream(text: &str, device: u64, inode: u64) -> bool {
    text.split_once(':').is_some_and(|(dev, ino)| dev.parse() == Ok(device) && ino.parse() == Ok(inode))
}

/// The format of the lines.
pub(super) struct Lines(Format<Full, ()>);

impl Default for Lines {
    fn default() -> Self {
        Self(Format::default().without_time().with_target(false))
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        writer.write_str(priority(*event.metadata().level()))?;
        self.0.format_event(context, writer, event)
    }
}

/// The priorities of syslog(3).
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        _ => "<7>",
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Captured;
    use super::super::{LogFormat, LogLevel};
    use super::*;

    #[test]
    fn journal_line_has_priority_and_no_time() {
        let log = Captured::start(LogFormat::Journal, LogLevel::Info);
        tracing::warn!(target = "sessions", "verdict changed");
        tracing::info!("agent started");
        let lines = log.lines();
        assert!(
            lines[0].starts_with("<4>") && lines[0].contains("WARN verdict changed target=\"sessions\""),
            "{lines:?}"
        );
        assert!(lines[1].starts_with("<6>") && lines[1].ends_with("INFO agent started"), "{lines:?}");
    }

    #[test]
    fn journal_has_device_and_inode() {
        assert!(is_stream("9:27", 9, 27));
        for other in ["9:28", "8:27", "9", "", "9:27:1", "a:b"] {
            assert!(!is_stream(other, 9, 27), "{other}");
        }
    }
}
