//! The open connections: how many there may be, and which one is closed to make room for another.
//!
//! A connection without a request in progress can be closed at any time, so it is the first to go. One
//! address cannot use all places, and health and readiness are answered even when all places are in use.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::limits::Limits;
use crate::lock::lock;
use crate::output::metrics::HttpCounts;

/// The open connections of a server.
pub(super) struct Connections {
    limits: Limits,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    next_id: u64,
    connections: BTreeMap<u64, Entry>,
    /// How many connections and responses were refused.
    refused: u64,
    last_warning: Option<Instant>,
}

struct Entry {
    peer: IpAddr,
    health_only: bool,
    state: watch::Sender<State>,
}

/// What a connection does, and since when.
#[derive(Clone, Copy, Debug)]
struct State {
    activity: Activity,
    since: Instant,
    /// The number of the request.
    request: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Activity {
    /// It waits for a request.
    Idle,
    /// The response is being made.
    Responding,
    /// The response is being sent.
    Delivering,
    /// It is to be closed.
    Closed,
}

impl Connections {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, open: Mutex::default() })
    }

    /// Adds a connection. Closes the one that is idle longest if there are too many; if none is idle, the
    /// new one is for health and readiness only.
    pub(super) fn add(self: &Arc<Self>, peer: IpAddr) -> Arc<Connection> {
        let peer = peer_key(peer);
        let mut open = lock(&self.open);
        let with_place = |entry: &Entry| !entry.health_only;
        let of_peer = open.count(|entry| with_place(entry) && entry.peer == peer);
        let health_only = if of_peer >= self.limits.connections_per_peer {
            !open.close_idle_longest(|entry| with_place(entry) && entry.peer == peer)
        } else if open.count(with_place) >= self.limits.connections {
            !open.close_idle_longest(with_place)
        } else {
            false
        };
        if health_only {
            open.refused += 1;
            open.warn(Some(peer), "too many connections: only health and readiness are answered on further ones");
            if open.count(|entry| entry.health_only) >= self.limits.health_connections {
                open.close_oldest_health_only();
            }
        }
        let id = open.next_id;
        open.next_id += 1;
        let state = watch::Sender::new(State { activity: Activity::Idle, since: Instant::now(), request: 0 });
        open.connections.insert(id, Entry { peer, health_only, state: state.clone() });
        Arc::new(Connection { id, health_only, state, registry: Arc::clone(self) })
    }

    /// Closes the connection whose client has been receiving a response longest, if that is longer than
    /// `minimum`; returns whether there was one.
    pub(super) fn close_slowest_reader(&self, minimum: Duration) -> bool {
        let mut open = lock(&self.open);
        let slowest = open.longest(Activity::Delivering, |_| true);
        slowest.is_some_and(|(id, since)| since.elapsed() > minimum && open.close(id))
    }

    /// Counts a refused response, and logs a warning at most once a minute.
    pub(super) fn refuse_response(&self) {
        let mut open = lock(&self.open);
        open.refused += 1;
        open.warn(None, "too many bytes of responses in progress: further ones are refused");
    }

    /// How many connections are open, and how many connections and responses were refused.
    pub(super) fn counts(&self) -> HttpCounts {
        let open = lock(&self.open);
        HttpCounts { connections: open.connections.len(), refused: open.refused }
    }
}

impl Open {
    fn count(&self, filter: impl Fn(&Entry) -> bool) -> usize {
        self.connections.values().filter(|entry| filter(entry)).count()
    }

    /// Of the connections with this activity, the one with the longest.
    fn longest(&self, activity: Activity, filter: impl Fn(&Entry) -> bool) -> Option<(u64, Instant)> {
        let entries = self.connections.iter().filter(|(_, entry)| filter(entry));
        let states = entries.map(|(id, entry)| (*id, *entry.state.borrow()));
        states
            .filter(|(_, state)| state.activity == activity)
            .map(|(id, state)| (id, state.since))
            .min_by_key(|(_, since)| *since)
    }

    fn close_idle_longest(&mut self, filter: impl Fn(&Entry) -> bool) -> bool {
        self.longest(Activity::Idle, filter).is_some_and(|(id, _)| self.close(id))
    }

    fn close_oldest_health_only(&mut self) {
        let oldest = self.connections.iter().find(|(_, entry)| entry.health_only).map(|(id, _)| *id);
        oldest.map(|id| self.close(id));
    }

    fn close(&mut self, id: u64) -> bool {
        let entry = self.connections.remove(&id);
        entry.inspect(|entry| entry.state.send_modify(|state| state.activity = Activity::Closed)).is_some()
    }

    fn warn(&mut self, peer: Option<IpAddr>, message: &str) {
        const INTERVAL: Duration = Duration::from_secs(60);
        if self.last_warning.is_some_and(|last| last.elapsed() < INTERVAL) {
            return;
        }
        self.last_warning = Some(Instant::now());
        let peer = peer.map(|peer| peer.to_string());
        tracing::warn!(connections = self.connections.len(), peer, refused = self.refused, "{message}");
    }
}

/// The address that counts as one peer. The owner of an IPv6 address usually has its whole /64.
fn peer_key(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

/// An open connection; dropping it removes it.
pub(super) struct Connection {
    id: u64,
    /// Whether only health and readiness are answered on it.
    pub(super) health_only: bool,
    state: watch::Sender<State>,
    registry: Arc<Connections>,
}

impl Connection {
    /// Waits until the connection must be closed: for another one, or because a limit has passed.
    pub(super) async fn must_close(&self) {
        let limits = &self.registry.limits;
        let mut state = self.state.subscribe();
        loop {
            let State { activity, since, .. } = *state.borrow_and_update();
            let limit = match activity {
                Activity::Idle if self.health_only => limits.health_idle,
                Activity::Idle => limits.idle,
                // The response is 504 once this limit has passed, so that the connection need not be closed.
                Activity::Responding => limits.response * 2,
                Activity::Delivering => limits.delivery,
                Activity::Closed => return,
            };
            tokio::select! {
                changed = state.changed() => if changed.is_err() { return },
                () = tokio::time::sleep_until(since + limit) => return,
            }
        }
    }

    /// Begins a request.
    pub(super) fn begin_request(self: &Arc<Self>) -> Request {
        self.set(|state| {
            state.request += 1;
            state.activity = Activity::Responding;
        });
        Request { number: self.state.borrow().request, connection: Arc::clone(self) }
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        self.state.send_if_modified(|state| {
            let is_open = state.activity != Activity::Closed;
            if is_open {
                change(state);
                state.since = Instant::now();
            }
            is_open
        });
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        lock(&self.registry.open).connections.remove(&self.id);
    }
}

/// A request in progress; dropping it makes the connection idle.
pub(super) struct Request {
    number: u64,
    connection: Arc<Connection>,
}

impl Request {
    /// The response is complete; the client is to receive it.
    pub(super) fn deliver(&self) {
        self.connection.set(|state| state.activity = Activity::Delivering);
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.connection.set(|state| {
            // The client may have sent the next one already.
            if state.request == self.number {
                state.activity = Activity::Idle;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;
    use crate::output::log::tests::Captured;
    use crate::output::log::{LogFormat, LogLevel};

    const SECOND: Duration = Duration::from_secs(1);

    fn connections() -> Arc<Connections> {
        Connections::new(Limits { connections: 4, connections_per_peer: 3, health_connections: 2, ..Limits::default() })
    }

    fn peer(number: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, number])
    }

    fn counts(registry: &Connections) -> (usize, u64) {
        let HttpCounts { connections, refused } = registry.counts();
        (connections, refused)
    }

    async fn is_closed(connection: &Connection) -> bool {
        timeout(Duration::ZERO, connection.must_close()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn connection_idle_longest_is_closed_when_full() {
        let registry = connections();
        let mut open = Vec::new();
        for number in 0..4 {
            open.push(registry.add(peer(number)));
            advance(SECOND).await;
        }
        drop(open[0].begin_request()); // idle since now
        let new = registry.add(peer(9));
        assert!(!new.health_only && is_closed(&open[1]).await);
        for still_open in [&open[0], &open[2], &open[3], &new] {
            assert!(!is_closed(still_open).await);
        }
        assert_eq!(counts(&registry), (4, 0));
        drop(open);
        assert_eq!(counts(&registry), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn connection_of_one_peer_never_takes_all_places() {
        let registry = connections();
        let busy: Vec<_> = (0..3).map(|_| registry.add(peer(1))).collect();
        let requests: Vec<_> = busy.iter().map(Connection::begin_request).collect();
        assert!(registry.add(peer(1)).health_only);
        assert!(!registry.add(peer(2)).health_only);
        drop(requests);
        assert!(!registry.add(peer(1)).health_only, "one of its own is closed");
        let v6 = |text: &str| text.parse().expect("an address");
        assert_eq!(peer_key(v6("2001:db8::1")), peer_key(v6("2001:db8::2:1")));
        assert_ne!(peer_key(v6("2001:db8::1")), peer_key(v6("2001:db8:0:1::1")));
        assert_eq!(peer_key(v6("::ffff:10.0.0.1")), peer(1));
    }

    #[tokio::test(start_paused = true)]
    async fn connection_beyond_places_is_for_health_only() {
        let log = Captured::start(LogFormat::Text, LogLevel::Warn);
        let registry = connections();
        let busy: Vec<_> = (0..4).map(|number| registry.add(peer(number))).collect();
        let _requests: Vec<_> = busy.iter().map(Connection::begin_request).collect();
        let extra: Vec<_> = (0..3).map(|number| registry.add(peer(number + 9))).collect();
        assert!(extra.iter().all(|connection| connection.health_only));
        assert!(is_closed(&extra[0]).await && !is_closed(&extra[1]).await, "the oldest makes room for the newest");
        assert_eq!(counts(&registry), (6, 3));
        assert_eq!(log.lines().len(), 1, "one warning a minute: {:?}", log.lines());
        advance(SECOND * 61).await;
        assert!(is_closed(&extra[1]).await, "it was idle for too long");
        let _ = registry.add(peer(20));
        assert_eq!(log.lines().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn connection_is_closed_at_its_limits() {
        let registry = Connections::new(Limits::default());
        let connection = registry.add(peer(1));
        let closed_after = async || {
            let start = Instant::now();
            connection.must_close().await;
            start.elapsed().as_secs()
        };
        assert_eq!(closed_after().await, 150);
        let request = connection.begin_request();
        assert_eq!(closed_after().await, 120);
        request.deliver();
        assert_eq!(closed_after().await, 60);
        drop(request);
        assert_eq!(closed_after().await, 150);
        let first = connection.begin_request();
        let _pipelined = connection.begin_request();
        drop(first);
        assert_eq!(closed_after().await, 120, "the second request is in progress");
    }

    #[tokio::test(start_paused = true)]
    async fn connection_of_slowest_reader_is_closed() {
        let registry = Connections::new(Limits::default());
        let open: Vec<_> = (0..3).map(|number| registry.add(peer(number))).collect();
        let requests: Vec<_> = open.iter().map(Connection::begin_request).collect();
        advance(SECOND * 9).await;
        requests[1].deliver();
        assert!(!registry.close_slowest_reader(SECOND), "it has only begun");
        advance(SECOND * 2).await;
        requests[2].deliver();
        assert!(registry.close_slowest_reader(SECOND));
        assert!(is_closed(&open[1]).await && !is_closed(&open[0]).await && !is_closed(&open[2]).await);
        assert!(!registry.close_slowest_reader(SECOND));
    }
}
