//! Every limit of the server. `docs/http.md` lists the defaults.
//!
//! A connection costs at most about 40 KiB, and so all of them about 6 MiB. The pages that they are sent are
//! shared, and limited together by `response_bytes`.

use std::time::Duration;

/// The limits of the server; the agent uses [`Limits::default`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The maximum number of connections. Beyond it, the connection that is idle longest is closed.
    pub connections: usize,
    /// The maximum number of connections of one peer address.
    pub connections_per_peer: usize,
    /// Further connections while none of the others is idle; only health and readiness are answered on them.
    pub health_connections: usize,
    /// How long a connection may wait for a request, its head included.
    pub idle: Duration,
    /// The same for the further connections of `health_connections`.
    pub health_idle: Duration,
    /// The maximum time of a TLS handshake.
    pub handshake: Duration,
    /// The maximum time to make a response: a probe on demand, or a reload.
    pub response: Duration,
    /// The maximum time until the client has received a response.
    pub delivery: Duration,
    /// The maximum time in which the client receives nothing of a response.
    pub write: Duration,
    /// The maximum number of bytes of all responses in memory.
    pub response_bytes: usize,
    /// How long a page is served to further clients before it is rendered again.
    pub page_age: Duration,
    /// The maximum time for requests in progress at shutdown.
    pub drain: Duration,
}

/// The maximum number of headers of a request.
pub(crate) const MAX_HEADERS: usize = 64;

/// The maximum size of a request's head.
pub(crate) const MAX_HEAD_BYTES: usize = 16 * 1024;

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 128,
            connections_per_peer: 96,
            health_connections: 16,
            // Two scrape intervals of a minute, and some more: a scrape never meets a closed connection.
            idle: Duration::from_secs(150),
            health_idle: Duration::from_secs(5),
            handshake: Duration::from_secs(5),
            response: Duration::from_secs(60),
            delivery: Duration::from_secs(60),
            write: Duration::from_secs(10),
            response_bytes: 16 * 1024 * 1024,
            page_age: Duration::from_secs(1),
            drain: Duration::from_secs(3),
        }
    }
}
