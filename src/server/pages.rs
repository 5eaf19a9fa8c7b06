//! Pages in memory: shared by all clients for a second, and limited together in bytes.
//!
//! A client that takes a page slowly keeps it in memory, however many others share it. So the bytes of all
//! pages are limited; the slowest readers are closed to make room, and further responses are refused.

use std::io::{self, BufWriter, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use super::connections::Connections;
use super::limits::Limits;
use crate::clock::Timestamp;
use crate::lock::lock;
use crate::output::metrics::ExpositionFormat;

/// Shorter pages are not compressed.
const MIN_COMPRESSED_SIZE: usize = 512;

/// How much of a page is compressed at once.
const COMPRESSED_PIECE: usize = 16 * 1024;

/// The unit in which the bytes of pages are counted.
const UNIT: usize = 1024;

/// How long a client may take for a page, at least, before its connection is closed to make room.
const MIN_DELIVERY: Duration = Duration::from_secs(1);

/// How long a page waits for room before it is refused.
const ROOM_TIMEOUT: Duration = Duration::from_millis(50);

/// A page that clients share.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SharedPage {
    /// `/metrics`.
    Metrics(ExpositionFormat),
    /// `/`.
    Status {
        /// Whether the browser refreshes it.
        refreshes: bool,
    },
    /// `/api/v1/records`.
    Records,
}

/// The version of a page: the time of the last reload, and of the last failed one.
pub(super) type Version = (Timestamp, Option<Timestamp>);

/// A response for which there is no room.
#[derive(Debug)]
pub(super) struct NoRoom;

/// The pages in memory.
pub(super) struct Pages {
    max_age: Duration,
    cache: Mutex<Vec<Cached>>,
    /// Held while a page is rendered, so that one alone exists without a permit.
    rendering: tokio::sync::Mutex<()>,
    room: Arc<Semaphore>,
    units: usize,
    connections: Arc<Connections>,
}

struct Cached {
    page: SharedPage,
    gzip: bool,
    version: Version,
    rendered: Instant,
    bytes: Bytes,
}

/// The bytes of a page, with the permit for them.
struct Page {
    bytes: Vec<u8>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Page {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Pages {
    pub(super) fn new(limits: &Limits, connections: Arc<Connections>) -> Arc<Self> {
        let units = limits.response_bytes / UNIT;
        Arc::new(Self {
            max_age: limits.page_age,
            cache: Mutex::default(),
            rendering: tokio::sync::Mutex::default(),
            room: Arc::new(Semaphore::new(units)),
            units,
            connections,
        })
    }

    /// A shared page, in gzip or not: from the cache, or rendered.
    ///
    /// # Errors
    /// There is no room for it.
    pub(super) async fn shared(
        self: &Arc<Self>,
        page: SharedPage,
        gzip: bool,
        version: Version,
        render: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<Bytes, NoRoom> {
        let _rendering = self.rendering.lock().await;
        if let Some(bytes) = self.cached(page, gzip, version) {
            return Ok(bytes);
        }
        let bytes = self.reserve(rendered(gzip, render)).await?;
        let cached = Cached { page, gzip, version, rendered: Instant::now(), bytes: bytes.clone() };
        lock(&self.cache).push(cached);
        // No page stays in memory for a client that may never come.
        let pages = Arc::clone(self);
        tokio::spawn(async move {
            sleep(pages.max_age).await;
            lock(&pages.cache).retain(|cached| cached.rendered.elapsed() < pages.max_age);
        });
        Ok(bytes)
    }

    /// A page for one client, in gzip if it is long enough.
    ///
    /// # Errors
    /// There is no room for it.
    pub(super) async fn single(&self, gzip: bool, render: impl FnOnce() -> Vec<u8>) -> Result<(Bytes, bool), NoRoom> {
        let _rendering = self.rendering.lock().await;
        let bytes = render();
        let gzip = gzip && bytes.len() >= MIN_COMPRESSED_SIZE;
        let bytes = if gzip { rendered(true, |to| to.write_all(&bytes)) } else { bytes };
        Ok((self.reserve(bytes).await?, gzip))
    }

    fn cached(&self, page: SharedPage, gzip: bool, version: Version) -> Option<Bytes> {
        let key = (page, gzip, version);
        let is_valid = |cached: &&Cached| {
            (cached.page, cached.gzip, cached.version) == key && cached.rendered.elapsed() < self.max_age
        };
        lock(&self.cache).iter().find(is_valid).map(|cached| cached.bytes.clone())
    }

    /// Waits for room. A page that is longer than a quarter of all counts as that quarter, so that the page of
    /// thousands of targets is served, too.
    async fn reserve(&self, bytes: Vec<u8>) -> Result<Bytes, NoRoom> {
        let units = u32::try_from((bytes.len() / UNIT).min(self.units / 4)).unwrap_or(u32::MAX);
        if units == 0 {
            return Ok(Bytes::from_owner(Page { bytes, _permit: None }));
        }
        let room = || Arc::clone(&self.room);
        let permit = loop {
            if let Ok(permit) = room().try_acquire_many_owned(units) {
                break permit;
            }
            if self.connections.close_slowest_reader(MIN_DELIVERY) {
                tokio::task::yield_now().await; // the task of that connection drops its page
                continue;
            }
            match timeout(ROOM_TIMEOUT, room().acquire_many_owned(units)).await {
                Ok(Ok(permit)) => break permit,
                Ok(Err(_)) | Err(_) => {
                    self.connections.refuse_response();
                    return Err(NoRoom);
                }
            }
        };
        Ok(Bytes::from_owner(Page { bytes, _permit: Some(permit) }))
    }
}

/// What `render` writes. A page in gzip is compressed while it is written: that of hundreds of targets has
/// megabytes, and is never in memory as a whole.
fn rendered(gzip: bool, render: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Vec<u8> {
    // Writing to a Vec does not fail.
    if gzip {
        let encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let mut pieces = BufWriter::with_capacity(COMPRESSED_PIECE, encoder);
        let _ = render(&mut pieces);
        pieces.into_inner().ok().and_then(|encoder| encoder.finish().ok()).unwrap_or_default()
    } else {
        let mut bytes = Vec::new();
        let _ = render(&mut bytes);
        bytes
    }
}

/// Whether an `Accept-Encoding` header accepts gzip (RFC 9110, 12.5.3): by name or `*`, with a weight above 0.
pub(super) fn accepts_gzip(header: &str) -> bool {
    let weight = |name: &str| {
        header.split(',').find_map(|part| {
            let mut parameters = part.split(';').map(str::trim);
            let coding = parameters.next()?;
            let matches =
                coding.eq_ignore_ascii_case(name) || (name == "gzip" && coding.eq_ignore_ascii_case("x-gzip"));
            let weight = parameters.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            matches.then(|| weight.map_or(1.0, |weight| weight.trim().parse::<f32>().unwrap_or(0.0)))
        })
    };
    weight("gzip").or_else(|| weight("*")).is_some_and(|weight| weight > 0.0)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::net::IpAddr;

    use tokio::time::advance;

    use super::*;

    const MIB: usize = 1024 * 1024;
    const SECOND: Duration = Duration::from_secs(1);

    fn pages() -> (Arc<Pages>, Arc<Connections>) {
        let limits = Limits { response_bytes: 8 * MIB, ..Limits::default() };
        let connections = Connections::new(limits);
        (Pages::new(&limits, Arc::clone(&connections)), connections)
    }

    fn version() -> Version {
        (Timestamp::from_unix(1).expect("a time"), None)
    }

    #[tokio::test(start_paused = true)]
    async fn page_is_rendered_once_a_second() {
        let (pages, _) = pages();
        let rendered = Cell::new(0);
        let get = async |gzip, version| {
            let render = |to: &mut dyn Write| {
                rendered.set(rendered.get() + 1);
                to.write_all(&vec![b'x'; MIB])
            };
            pages.shared(SharedPage::Records, gzip, version, render).await.expect("room").len()
        };
        for _ in 0..100 {
            assert_eq!(get(false, version()).await, MIB);
        }
        assert_eq!(rendered.get(), 1);
        assert!(get(true, version()).await < MIB / 10);
        assert_eq!(rendered.get(), 2);
        get(false, (Timestamp::from_unix(2).expect("a time"), None)).await;
        assert_eq!(rendered.get(), 3, "a reload makes a new version");
        advance(SECOND).await;
        get(false, version()).await;
        assert_eq!(rendered.get(), 4);
        sleep(SECOND * 2).await;
        assert_eq!(pages.room.available_permits(), 8 * MIB / UNIT, "no page stays in memory without a client");
    }

    #[tokio::test(start_paused = true)]
    async fn page_beyond_room_is_refused_until_another_ends() {
        let (pages, connections) = pages();
        let single = async |length| pages.single(false, || vec![b'x'; length]).await.map(|(bytes, _)| bytes);
        let small = single(UNIT - 1).await.expect("it needs no room");
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(single(20 * MIB).await.expect("each counts as a quarter"));
        }
        assert!(single(MIB).await.is_err() && single(small.len()).await.is_ok());
        assert_eq!(connections.counts().refused, 1);
        held.pop();
        assert!(single(MIB).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn page_of_slowest_reader_makes_room() {
        let (pages, connections) = pages();
        let connection = connections.add(IpAddr::from([10, 0, 0, 1]));
        let request = connection.begin_request();
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(pages.single(false, || vec![b'x'; 2 * MIB]).await.expect("room"));
        }
        request.deliver();
        let reader = tokio::spawn(async move {
            connection.must_close().await;
            drop(held);
        });
        assert!(pages.single(false, || vec![b'x'; MIB]).await.is_err(), "the reader has only begun");
        advance(SECOND * 2).await;
        assert!(pages.single(false, || vec![b'x'; MIB]).await.is_ok());
        reader.await.expect("no panic");
    }

    #[test]
    fn gzip_only_if_client_accepts() {
        for header in ["gzip", "GZIP", "deflate, gzip;q=0.5", "*", "br;q=1.0, *;q=0.1", "x-gzip", "gzip ; q=1"] {
            assert!(accepts_gzip(header), "{header}");
        }
        for header in ["", "identity", "gzip;q=0", "gzip;q=0.0, *", "gzip;q=nan", "br", "*;q=0", "gzipped", ";;,,"] {
            assert!(!accepts_gzip(header), "{header}");
        }
    }
}
