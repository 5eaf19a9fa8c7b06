//! Requests to the agent, one after the other on a connection, with and without users.
#![no_main]

use std::sync::{Arc, OnceLock};

use libfuzzer_sys::fuzz_target;
use redpath::address::AddressClass;
use redpath::expectation::Expectation;
use redpath::observation::{Connection, Observation};
use redpath::record::Record;
use redpath::server::WebConfigFile;
use redpath_fuzz::http::{Agent, Answer};
use redpath_fuzz::parts::choice;
use redpath_fuzz::world;

/// `anna:correct horse`, the only credentials that are right. Base64 has one form for each text.
const CREDENTIALS: &[u8] = b"YW5uYTpjb3JyZWN0IGhvcnNl";

/// How much of the requests comes at a time.
const PIECES: [usize; 4] = [0, 1, 7, 100];

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, requests)) = choice(bytes) else { return };
    let with_users = choice & 1 != 0;
    let agent = Agent {
        record: (choice & 2 == 0).then(record),
        web_config: with_users.then(web_config),
        starting: choice & 4 != 0,
        piece: PIECES[usize::from(choice >> 3 & 3)],
        ends: choice & 32 != 0,
    };
    let answers = world::wait(agent.answers(requests));
    assert!(answers.len() <= requests.len() / 6 + 1, "{} answers to {} bytes", answers.len(), requests.len());
    let knows_the_password = requests.windows(CREDENTIALS.len()).any(|part| part == CREDENTIALS);
    for answer in &answers {
        answer.assert_harmless();
        if with_users && !knows_the_password {
            closed(answer);
        }
        headers(answer, with_users);
    }
});

/// Without credentials nothing is told but whether the agent is well.
fn closed(answer: &Answer) {
    let told = answer.body.as_deref().unwrap_or_default();
    match answer.status {
        100 => {}
        200..=299 => {
            let length = answer.header("content-length");
            let open = [&b"healthy\n"[..], b"ready\n"].contains(&told)
                || (answer.body.is_none() && matches!(length, Some("6" | "8")));
            assert!(open, "told without credentials: {answer:?}");
        }
        503 => assert!(told.is_empty() || told == b"not ready yet\n" || told.starts_with(b"too much"), "{answer:?}"),
        _ => assert!(told.len() < 300, "an error that tells a lot: {answer:?}"),
    }
    assert!(!told.windows(6).any(|part| part == b"canary"), "told without credentials: {answer:?}");
}

/// What every answer of the routes carries (RFC 9110 for each status).
fn headers(answer: &Answer, with_users: bool) {
    // hyper's own, to what it cannot read as a request.
    let is_hypers = answer.body.as_deref() == Some(&[]) && matches!(answer.status, 400 | 414 | 431 | 501 | 505);
    if answer.status == 100 || is_hypers {
        return;
    }
    for (name, value) in
        [("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer"), ("cache-control", "no-store")]
    {
        assert_eq!(answer.header(name), Some(value), "{answer:?}");
    }
    assert!(
        answer.header("content-security-policy").is_some_and(|policy| policy.contains("default-src 'none'")),
        "{answer:?}"
    );
    assert!(
        answer.header("access-control-allow-origin").is_none() && answer.header("location").is_none(),
        "{answer:?}"
    );
    if with_users {
        assert_eq!(answer.header("x-frame-options"), Some("deny"), "the web configuration's header: {answer:?}");
    }
    match answer.status {
        200 | 400 | 404 | 408 | 413 | 503 => {}
        401 => assert!(with_users && answer.header("www-authenticate").is_some(), "{answer:?}"),
        405 => assert!(
            answer.header("allow").is_some_and(|methods| !methods.is_empty()),
            "405 names what is allowed: {answer:?}"
        ),
        other => panic!("{other} is no answer of the agent: {answer:?}"),
    }
}

fn record() -> Arc<Record> {
    static RECORD: OnceLock<Arc<Record>> = OnceLock::new();
    let record = RECORD.get_or_init(|| {
        let mut target = world::target(true);
        target.name = "sessions-canary".to_owned();
        let connection = Connection::new(world::peer(), AddressClass::Private);
        let observation = Observation { connection: Some(connection), ..Observation::default() };
        Arc::new(world::record(target, Expectation::default(), observation))
    });
    Arc::clone(record)
}

fn web_config() -> WebConfigFile {
    static FILE: OnceLock<WebConfigFile> = OnceLock::new();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/seeds/web.yaml");
    FILE.get_or_init(|| WebConfigFile::load(file.as_ref()).expect("a good web configuration")).clone()
}
