//! A file that `az` printed, to what it says about a target, and to what the diagnosis makes of that.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redpath::az::AzFiles;
use redpath::expectation::Expectation;
use redpath::observation::dns::{ResolvedAddress, ViewKind};
use redpath::observation::{Connection, Observation, Resolution, View, ViewOutcome};
use redpath_fuzz::{assert_harmless, assert_sentence, outputs, world};
use serde_json::Value;

/// What a host name in a file may be about: each service, and a name that is none of Azure's.
const HOSTS: [&str; 4] = [
    world::HOST,
    "amr1.westeurope.redis.azure.net",
    "ent1.westeurope.redisenterprise.cache.azure.net",
    "cache1.example.org",
];

fuzz_target!(|bytes: &[u8]| {
    let files = match AzFiles::decode(bytes.to_vec(), "file.json") {
        Ok(files) => files,
        Err(error) => return assert_sentence(&error),
    };
    assert!(files == AzFiles::decode(bytes.to_vec(), "file.json").expect("it was read before"));
    let mut hosts = files.hosts();
    assert!(hosts.len() <= bytes.len());
    hosts.truncate(2);
    hosts.extend(HOSTS.map(world::host));
    let mut twice = files.clone();
    twice.extend(files.clone());
    for host in hosts {
        let mut target = redpath::target::Target::new(host, None, true);
        let given = target.port;
        let mut expectation = Expectation::default();
        files.expect(&mut target, false, &mut expectation);
        assert!(target.port == given || expectation.az.as_ref().is_some_and(|az| az.is_about_something()));
        assert!(target.port > 0);
        let facts = twice.about(&target.host);
        texts(&serde_json::to_value(&facts).expect("facts have a JSON form"));
        let _ = (facts.port(true), facts.port(false), facts.addresses(target.host.as_str()));
        for path in ["10.60.4.5", "20.50.1.10"] {
            let record = world::record(
                target.clone(),
                expectation.clone(),
                seen(path.parse().expect("an address"), target.port),
            );
            outputs::hold_record(record, None);
        }
    }
});

/// No text of a file is kept that acts on a terminal, or is longer than 1024 characters, each perhaps an escape
/// of ten. `ignored` has sentences about them.
fn texts(value: &Value) {
    match value {
        Value::String(text) => {
            assert_harmless("a fact", text);
            assert!(text.chars().count() <= 4 * 10 * 1024, "{} characters", text.chars().count());
        }
        Value::Array(items) => items.iter().for_each(texts),
        Value::Object(entries) => entries.values().for_each(texts),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A look that got as far as an address, so that what the files say decides the rest.
fn seen(ip: std::net::IpAddr, port: u16) -> Observation {
    let class = redpath::address::classify(ip, &[]);
    let mut view = View::new("libc", ViewKind::Libc, None);
    view.outcome = ViewOutcome::Answered;
    view.addresses = vec![ResolvedAddress { ip, class, ttl: None }];
    Observation {
        resolution: Resolution { views: vec![view], view_in_use: Some("libc".to_owned()), ..Resolution::default() },
        connection: Some(Connection::new((ip, port).into(), class)),
        ..Observation::default()
    }
}
