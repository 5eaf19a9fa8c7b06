//! The query API of Prometheus, which Thanos, Mimir and Azure Monitor workspaces answer, too.
//!
//! One instant query at a time, with one metric name in each selector, no join and no regular expression: an Azure
//! Monitor workspace accepts no more.

pub mod answer;
pub mod api;

pub use answer::{Sample, Series};
pub use api::{Api, Credential};
