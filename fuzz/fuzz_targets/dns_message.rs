//! DNS messages to a view, and to what the diagnosis makes of it. A message is raw, or the input's after a
//! header and a question that fit, since bytes that are no answer at all say little.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redpath::address::AddressClass;
use redpath::expectation::Expectation;
use redpath::observation::dns::{ViewKind, ViewOutcome};
use redpath::observation::{Observation, Resolution};
use redpath::probe::fuzzing::{DnsQuestions, dns_view};
use redpath_fuzz::parts::{choice, parts};
use redpath_fuzz::{outputs, world};

/// The id of the first question.
const ID: u16 = 0x1200;

/// The most messages of an input.
const MESSAGES: usize = 12;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = choice(bytes) else { return };
    let host = world::host(if choice & 1 == 0 { world::HOST } else { "cache1" });
    let search: Vec<String> = match choice >> 1 & 3 {
        0 => Vec::new(),
        1 => vec!["corp.example".to_owned()],
        _ => vec!["privatelink.redis.cache.windows.net".to_owned(), ".".to_owned(), "b.example".to_owned()],
    };
    let ndots = u32::from(choice >> 3 & 3) * 3;
    let messages: Vec<Vec<u8>> = parts(rest, MESSAGES).into_iter().map(|part| message(host.as_str(), part)).collect();
    let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
    let expectation = Expectation::default();
    let questions = DnsQuestions { host: &host, search: &search, ndots, first_id: ID };
    let mut view = world::wait(dns_view(&questions, &expectation, &messages));

    assert!(view.addresses.len() <= 64, "{} addresses", view.addresses.len());
    assert!(view.chain.len() <= 2 * (16 + 256), "a chain of {}", view.chain.len());
    assert!(view.questions.len() <= 2 * (search.len() + 1), "{} questions", view.questions.len());
    assert_ne!(view.outcome, ViewOutcome::Interrupted, "nothing is waited for");
    for record in &view.chain {
        for name in [&record.name, &record.data] {
            // Each of 255 bytes may be an escape of four.
            assert!(name.len() <= 255 * 4 && name.bytes().all(|byte| byte.is_ascii_graphic()), "{name:?}");
        }
    }
    for question in &view.questions {
        let asked_for = question.name == host.as_str()
            || search.iter().any(|suffix| question.name == format!("{host}.{}", suffix.trim_matches('.')));
        assert!(asked_for, "nobody asks for {}", question.name);
        assert!(question.unexpected_datagrams as usize <= messages.len());
    }
    for address in &view.addresses {
        assert_eq!(address.class, redpath::address::classify(address.ip, &[]));
    }
    assert!(view.outcome != ViewOutcome::Answered || !view.addresses.is_empty(), "answered without an address");
    if messages.is_empty() {
        assert!(view.addresses.is_empty() && view.chain.is_empty());
    }

    // As the view in use, and as the one beside it that everything is compared with.
    let mut beside = view.clone();
    beside.view = "azure".to_owned();
    beside.server = Some(([168, 63, 129, 16], 53).into());
    view.view = "libc".to_owned();
    view.kind = ViewKind::Libc;
    if choice & 32 != 0 {
        view.addresses.truncate(1);
        view.addresses.iter_mut().for_each(|address| {
            (address.ip, address.class) = (std::net::Ipv4Addr::new(20, 50, 1, 10).into(), AddressClass::Public)
        });
    }
    let observation = Observation {
        resolution: Resolution {
            views: vec![view, beside],
            view_in_use: Some("libc".to_owned()),
            search,
            ndots: Some(ndots),
            resolv_conf_error: None,
            ..Resolution::default()
        },
        ..Observation::default()
    };
    outputs::hold_record(world::record(world::target(true), expectation, observation), None);
});

/// The part as it is, or after what an answer begins with: the right id and the right question, for A or AAAA.
/// Flags and counts are the part's own.
fn message(host: &str, part: &[u8]) -> Vec<u8> {
    let (Some((kind, body)), name) = (part.split_first(), host) else { return Vec::new() };
    let record_type: u16 = match kind & 3 {
        1 => 1,  // A
        2 => 28, // AAAA
        _ => return body.to_vec(),
    };
    let id = if record_type == 1 { ID } else { ID + 1 };
    let Some((head, records)) = body.split_first_chunk::<8>() else { return body.to_vec() };
    let mut message = id.to_be_bytes().to_vec();
    message.extend([head[0] | 0x80, head[1]]);
    message.extend(1_u16.to_be_bytes());
    message.extend(&head[2..8]);
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).expect("a short label"));
        message.extend(label.bytes());
    }
    message.push(0);
    message.extend(record_type.to_be_bytes());
    message.extend(1_u16.to_be_bytes());
    message.extend(records);
    message
}
