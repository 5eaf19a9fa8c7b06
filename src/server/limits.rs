//! Every bound of the server, with its arithmetic.
//!
//! A connection costs at most about 40 KiB besides the response it is being sent, so that the most
//! connections cost about 5 MiB. The longest that one connection can hold its place is
//! `connection` + `answer` + `write`.

use std::time::Duration;

/// The bounds of the server. [`Limits::default`] is what the agent uses and `docs/http.md` states.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most connections at a time; a further one waits to be accepted.
    pub connections: usize,
    /// The longest that a request's head may take to come, and a connection may idle.
    pub head: Duration,
    /// The longest that a TLS handshake may take.
    pub handshake: Duration,
    /// The longest that a request's body may take to come.
    pub body: Duration,
    /// The longest that an answer may take to be made: a probe on demand, or a reload.
    pub answer: Duration,
    /// The longest that the peer may take no byte of an answer.
    pub write: Duration,
    /// How long a connection is kept for further requests.
    pub connection: Duration,
    /// The longest that requests under way may take to end at a shutdown.
    pub drain: Duration,
}

/// The most headers of a request.
pub(crate) const MAX_HEADERS: usize = 64;

/// The most bytes of a request's head.
pub(crate) const MAX_HEAD_BYTES: usize = 16 * 1024;

/// The most bytes of a request's body; no route reads one.
pub(crate) const MAX_BODY_BYTES: usize = 8 * 1024;

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 128,
            head: Duration::from_secs(5),
            handshake: Duration::from_secs(5),
            body: Duration::from_secs(5),
            answer: Duration::from_secs(60),
            write: Duration::from_secs(10),
            connection: Duration::from_secs(60),
            drain: Duration::from_secs(3),
        }
    }
}
