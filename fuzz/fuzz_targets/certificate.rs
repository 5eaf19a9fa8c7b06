//! The chain of certificates that a server shows, DER, to the facts that are kept of it, and to how each
//! verification would end.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use redpath::expectation::Expectation;
use redpath::observation::{Connection, ConnectionPhases, Observation, Phase, Phases, TlsFacts, TlsFailure};
use redpath::probe::fuzzing::TlsReader;
use redpath_fuzz::parts::{choice, parts};
use redpath_fuzz::{outputs, world};

/// When the server is looked at: in the time of the seeds' certificates, before it, and after it.
const TIMES: [u64; 4] = [1_795_000_000, 0, 3_900_000_000, u64::MAX];

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = choice(bytes) else { return };
    let name = world::host(if choice & 4 == 0 { world::HOST } else { "other.example.net" });
    let at = TIMES[usize::from(choice & 3)];
    let chain: Vec<Vec<u8>> = parts(rest, 16).into_iter().map(<[u8]>::to_vec).collect();
    let shown = chain.len();
    let Some((leaf, others, checks)) = reader().certificates(chain.clone(), &name, at) else {
        assert!(shown == 0, "only nothing is no certificate");
        return;
    };
    assert!(others.len() <= 10 && others.len() < shown, "{} beside the leaf, of {shown}", others.len());
    // Each of 256 characters may be an escape of ten.
    let bounded = |text: &str| assert!(text.chars().count() <= 257 * 10, "{text}");
    assert!(leaf.sans.len() <= 100, "{} names", leaf.sans.len());
    leaf.sans.iter().chain([&leaf.subject, &leaf.issuer]).for_each(|text| bounded(text));
    assert_eq!(leaf.sha256.len(), 64);
    assert!(leaf.sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    assert_eq!(reader().certificates(chain, &name, at), Some((leaf.clone(), others.clone(), checks)));
    let _ = (leaf.covers_ip(world::peer().ip()), leaf.covers_ip([0xfd; 16].into()));

    let facts =
        TlsFacts { certificate: Some(leaf), intermediates: others, checks: Some(checks), ..TlsFacts::default() };
    let took = std::time::Duration::from_millis(3);
    let closed = TlsFailure::Closed { bytes_received: 7 };
    let tls = if choice & 8 == 0 { Phase::done(took) } else { Phase::failed(took, closed) };
    let mut connection = Connection::new(world::peer(), redpath::address::AddressClass::Private);
    connection.tls = Some(facts);
    let observation = Observation {
        phases: Phases { connection: ConnectionPhases { tls, ..ConnectionPhases::default() }, ..Phases::default() },
        connection: Some(connection),
        ..Observation::default()
    };
    outputs::hold_record(world::record(world::target(true), Expectation::default(), observation), None);
});

fn reader() -> &'static TlsReader {
    static READER: OnceLock<TlsReader> = OnceLock::new();
    READER.get_or_init(world::authority)
}
