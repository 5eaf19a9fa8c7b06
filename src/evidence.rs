//! What vantages saw over time, read from their journals and records: what a gate judges and a report shows.

pub mod before_after;
pub mod document;
pub mod expected;
pub mod files;
pub mod report;
pub mod summary;
pub mod time_stamp;
pub mod timeline;
pub mod times;
pub mod witness;

pub use files::{Digests, Evidence, read_files};
pub use timeline::{Segment, Timeline, Timelines};
