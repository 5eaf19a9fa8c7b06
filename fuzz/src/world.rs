//! A target and its surroundings, the same for every input.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::OnceLock;

use redpath::clock::Timestamp;
use redpath::expectation::Expectation;
use redpath::observation::Observation;
use redpath::probe::fuzzing::TlsReader;
use redpath::record::Record;
use redpath::target::{HostName, Target};
use redpath::vantage::Vantage;
use tokio::runtime::{Builder, Runtime};

/// The host that is probed.
pub const HOST: &str = "cache1.redis.cache.windows.net";

/// The time of every record, 2026-11-22.
pub const NOW: i64 = 1_795_000_000;

/// A host name that is known to be one.
pub fn host(name: &str) -> HostName {
    HostName::parse(name).expect("a host name")
}

/// The target.
pub fn target(tls: bool) -> Target {
    Target::new(host(HOST), None, tls)
}

/// Where it is connected to: its private endpoint.
pub fn peer() -> SocketAddr {
    SocketAddr::from(([10, 60, 4, 5], 6380))
}

/// What was seen, diagnosed.
pub fn record(target: Target, expectation: Expectation, observation: Observation) -> Record {
    let vantage = Vantage { hostname: "vm-1".to_owned(), ..Vantage::default() };
    let at = Timestamp::from_unix(NOW).expect("a time");
    Record::new(at, std::time::Duration::from_millis(12), target, vantage, expectation, observation)
}

/// Waits for `future`. Time passes only where everything waits for it.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME
        .get_or_init(|| Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime"));
    runtime.block_on(future)
}

/// The reader of TLS that trusts the authority of the seeds' certificates.
pub fn authority() -> TlsReader {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/seeds/authority.pem");
    wait(TlsReader::load(file.as_ref())).expect("the seeds' authority")
}
