//! The Prometheus text format of single results.

use crate::record::Record;

/// The exposition of `records`, for `check --output prometheus`.
pub fn exposition_of(records: &[Record]) -> String {
    format!("# {} records\n", records.len())
}
