//! A log that never blocks the agent: lines that cannot be written immediately are lost, and counted.
//!
//! A pipe without a reader is full after 64 KiB, and a blocking write would stop probes and `/-/healthy` too.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing_subscriber::fmt::MakeWriter;

use super::LogFormat;

/// The most bytes that a writable pipe accepts without blocking (pipe(7)); sockets and terminals accept more.
const PIPE_BUF: usize = 4096;

/// A stream of lines, each written without blocking or not at all.
pub(super) struct NonBlocking<F> {
    stream: F,
    format: LogFormat,
    lost: AtomicU64,
}

impl<F> NonBlocking<F> {
    pub(super) fn new(stream: F, format: LogFormat) -> Self {
        Self { stream, format, lost: AtomicU64::new(0) }
    }

    /// The line that says how many lines before it were lost.
    fn notice(&self, lost: u64) -> String {
        let now = OffsetDateTime::from(SystemTime::now()).format(&Rfc3339).unwrap_or_default();
        let message = "log lines were lost: the reader did not take them";
        match self.format {
            LogFormat::Text => format!("{now}  WARN {message} lost={lost}\n"),
            LogFormat::Journal => format!("<4> WARN {message} lost={lost}\n"),
            LogFormat::Json => format!(
                "{}\n",
                serde_json::json!({ "timestamp": now, "level": "WARN", "message": message, "lost": lost })
            ),
        }
    }
}

impl<F: AsFd> NonBlocking<F>
where
    for<'f> &'f F: Write,
{
    /// Writes a line without blocking; whether all of it was written. A long line may be cut, and ends there.
    fn write_now(&self, line: &[u8]) -> bool {
        for (index, part) in line.chunks(PIPE_BUF).enumerate() {
            if !is_writable(&self.stream) || (&self.stream).write_all(part).is_err() {
                if index > 0 && is_writable(&self.stream) {
                    let _ = (&self.stream).write_all(b"\n");
                }
                return false;
            }
        }
        true
    }
}

impl<F: AsFd> Write for &NonBlocking<F>
where
    for<'f> &'f F: Write,
{
    /// Writes one line; a lost line is no error.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 && !self.write_now(self.notice(lost).as_bytes()) {
            self.lost.fetch_add(lost + 1, Ordering::Relaxed);
        } else if !self.write_now(line) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w, F: AsFd + 'w> MakeWriter<'w> for NonBlocking<F>
where
    for<'f> &'f F: Write,
{
    type Writer = &'w Self;

    fn make_writer(&'w self) -> Self::Writer {
        self
    }
}

fn is_writable(stream: &impl AsFd) -> bool {
    let mut stream = [PollFd::new(stream, PollFlags::OUT)];
    let immediately = Timespec { tv_sec: 0, tv_nsec: 0 };
    // A closed stream is writable as well: the write returns the error.
    poll(&mut stream, Some(&immediately)).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn log_counts_dropped_lines() {
        for format in [LogFormat::Text, LogFormat::Journal, LogFormat::Json] {
            let (mut reader, pipe) = io::pipe().expect("a pipe");
            let log = NonBlocking::new(pipe, format);
            // Beyond what a pipe holds: this returns.
            for number in 0..5_000 {
                let line = format!("{{\"message\":\"line {number} {}\"}}\n", "x".repeat(90));
                (&log).write_all(line.as_bytes()).expect("never an error");
            }
            let lost = log.lost.load(Ordering::Relaxed);
            assert!((1_000..5_000).contains(&lost), "{lost}");
            let mut taken = vec![0; 1 << 20];
            let length = reader.read(&mut taken).expect("it can be read");
            (&log).write_all(b"{\"message\":\"again\"}\n").expect("never an error");
            drop(log);
            let mut rest = String::new();
            reader.read_to_string(&mut rest).expect("it is UTF-8");
            let text = String::from_utf8(taken[..length].to_vec()).expect("it is UTF-8") + &rest;
            let lines: Vec<&str> = text.lines().collect();
            let [.., notice, last] = lines.as_slice() else { panic!("two lines: {text}") };
            assert_eq!(*last, "{\"message\":\"again\"}");
            match format {
                LogFormat::Text | LogFormat::Journal => assert!(notice.ends_with(&format!(" lost={lost}")), "{notice}"),
                LogFormat::Json => {
                    let line: serde_json::Value = serde_json::from_str(notice).expect("JSON");
                    assert_eq!((&line["level"], &line["lost"]), (&"WARN".into(), &lost.into()));
                }
            }
            // The written lines are complete and in order.
            assert_eq!(lines.len() as u64, 5_000 - lost + 2);
            for (number, line) in lines[..lines.len() - 2].iter().enumerate() {
                assert!(line.contains(&format!("line {number} ")) && line.ends_with("x\"}"), "{line}");
            }
        }
    }

    #[test]
    fn log_long_line_is_truncated() {
        let (mut reader, pipe) = io::pipe().expect("a pipe");
        let log = NonBlocking::new(pipe, LogFormat::Text);
        (&log).write_all(&[b'y'; 1 << 20]).expect("never an error");
        assert_eq!(log.lost.load(Ordering::Relaxed), 1);
        drop(log);
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("it is UTF-8");
        assert!(text.len() >= PIPE_BUF && text.len() < 1 << 20, "{}", text.len());
    }
}
