//! One-shot expositions.

use crate::diagnosis::Status;
use crate::record::Record;

/// The exposition of one probe, as blackbox_exporter names it.
pub fn blackbox_exposition(record: &Record) -> String {
    let success = u8::from(matches!(record.verdict.status, Status::Pass | Status::Warn));
    format!("# TYPE probe_success gauge\nprobe_success {success}\n")
}
