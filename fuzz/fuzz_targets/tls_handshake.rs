//! What comes in place of a TLS server's part of the handshake: its first flight, an alert, or no TLS at all.
//!
//! The client's random is new each time, so that no input gets past the server's signature: what follows it
//! is rustls' own, and nothing of it is read by redpath.
#![no_main]

use std::sync::OnceLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use redpath::expectation::Expectation;
use redpath::observation::{Connection, ConnectionPhases, Observation, Phase, Phases, TlsFailure};
use redpath::probe::fuzzing::TlsReader;
use redpath_fuzz::stream::Peer;
use redpath_fuzz::{outputs, world};

fuzz_target!(|bytes: &[u8]| {
    let mut peer = Peer::new([&[][..], bytes]);
    let (failure, mut facts) =
        world::wait(reader().handshake(&mut peer, &world::host(world::HOST), Duration::from_secs(5)));
    let failure = failure.expect("no peer has the key, so that no handshake is done");
    assert!(!facts.verified || facts.checks.as_ref().is_some_and(|checks| checks.trusted && checks.name_matches));
    assert_eq!(facts.server_name, world::HOST);
    assert!(facts.intermediates.len() <= 10);
    if let TlsFailure::Closed { bytes_received } | TlsFailure::Timeout { bytes_received } = &failure {
        assert!(*bytes_received <= bytes.len() as u64);
    }
    if let TlsFailure::NotTls { received, plain_redis } = &failure {
        assert!(received.chars().count() <= 32 * 4 + 1, "{received}");
        assert!(!plain_redis || bytes.first().is_some_and(|first| matches!(first, b'+' | b'-')));
    }
    let reason = failure.to_string();
    assert!(reason.chars().count() < 32 * 1024, "{reason}");

    facts.trust = None; // names this machine's path to the authority
    let mut connection = Connection::new(world::peer(), redpath::address::AddressClass::Private);
    connection.tls = Some(facts);
    let tls = Phase::failed(Duration::from_millis(3), failure);
    let observation = Observation {
        phases: Phases {
            connection: ConnectionPhases {
                connect: Phase::done(Duration::from_millis(1)),
                tls,
                ..ConnectionPhases::default()
            },
            ..Phases::default()
        },
        connection: Some(connection),
        ..Observation::default()
    };
    outputs::hold_record(world::record(world::target(true), Expectation::default(), observation), None);
});

fn reader() -> &'static TlsReader {
    static READER: OnceLock<TlsReader> = OnceLock::new();
    READER.get_or_init(world::authority)
}
