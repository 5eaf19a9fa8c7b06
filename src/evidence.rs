//! What vantages saw over time, read from their journals and records: what a gate judges and a report shows.

pub mod document;
pub mod expected;
pub mod files;
pub mod report;
pub mod summary;
pub mod time_stamp;
pub mod timeline;
pub mod witness;

pub use files::{Evidence, read_files};
pub use timeline::{Segment, Timeline, Timelines};
