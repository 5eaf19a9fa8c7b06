//! Outputs: pure functions of records, one file per format. None of them probes, or decides what
//! an observation means.

pub mod check;
pub mod clients;
pub(crate) mod compared;
pub mod connections;
pub(crate) mod describe;
pub mod evidence;
pub mod gate;
pub mod html;
pub mod json;
pub mod junit;
pub mod log;
pub mod markdown;
mod markdown_text;
pub mod metrics;
pub mod prometheus;
pub mod text;
