//! What vantages saw over time, read from their journals and records: what a gate judges and a report shows.

pub mod files;
pub mod timeline;

pub use files::{Evidence, read_files};
pub use timeline::{Segment, Timeline, Timelines};
