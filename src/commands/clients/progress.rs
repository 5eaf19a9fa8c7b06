//! The progress of `redpath clients --watch` on standard error: one line rewritten on a terminal, elsewhere one for each
//! change.

use std::io::{self, IsTerminal, Write};

use crate::clock::Timestamp;
use crate::output::clients::sums;
use crate::printable::printable;
use crate::record::clients::ClientsReport;

/// What was last shown.
#[derive(Default)]
pub(super) struct Progress {
    last: Option<String>,
}

impl Progress {
    /// Shows the sums of a report.
    pub(super) fn show(&mut self, report: &ClientsReport) {
        let more = report.reasons.first().map_or_else(String::new, |reason| format!("; {reason}"));
        let line = format!("{}: {}{more}", report.status, sums(report));
        let time = Timestamp::now().time_of_day();
        let shown = printable(&line);
        if io::stderr().is_terminal() {
            // Back to the first column, and the rest of the line erased (ECMA-48, EL). Short enough not to wrap.
            let short: String = shown.chars().take(68).collect();
            let _ = write!(io::stderr(), "\r\x1b[K{time} {short}");
        } else if self.last.as_ref() != Some(&line) {
            let _ = writeln!(io::stderr(), "{time} {shown}");
        }
        self.last = Some(line);
    }

    /// Leaves the terminal as it was.
    pub(super) fn end(&self) {
        if io::stderr().is_terminal() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
