//! What the phases of one probe share.

use super::budget::Budget;
use super::token::Tokens;
use crate::plan::{ClientNames, Plan};

/// The plan of a probe, its time and what it may use.
#[derive(Clone, Copy)]
pub(super) struct ProbeContext<'a> {
    /// What is probed, and how.
    pub(super) plan: &'a Plan,
    /// The tokens of all probes.
    pub(super) tokens: &'a Tokens,
    /// The time limits, and the interrupt.
    pub(super) budget: &'a Budget,
    /// Whether the server is queried for the nodes of its cluster.
    pub(super) query_cluster: bool,
    /// Whether the server is asked under which address it sees the probe.
    pub(super) query_client_info: bool,
    /// Whether the server is asked for its version.
    pub(super) query_server_info: bool,
    /// Whether the server is asked for all its clients, and for their names.
    pub(super) list_clients: Option<ClientNames>,
    /// Whether a second connection may show plain Redis on a port that should speak TLS.
    pub(super) detect_plain_redis: bool,
}
