//! What an endpoint, or `az`, answers in place of a token of Entra ID.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use redpath::expectation::Expectation;
use redpath::observation::dns::ViewKind;
use redpath::observation::token::TokenFailure;
use redpath::observation::{Observation, Phase, Phases, Resolution, View, ViewOutcome};
use redpath::probe::fuzzing::{self, TokenAnswer};
use redpath::secret::Secret;
use redpath_fuzz::parts::{choice, parts};
use redpath_fuzz::stream::Peer;
use redpath_fuzz::{outputs, world};

/// What was sent to an endpoint, and what an answer may repeat, by the first byte.
const SECRETS: [&str; 4] = ["eyJ-canary.eyJ-assertion.sig", "OPEN SESAME", "q8Zt", "xu*1\r\nve{Ty\"kw\u{7}"];

/// How an `az` ends (wait(2)): well, with 1, not found by the shell, killed.
const STATUS: [i32; 4] = [0, 1 << 8, 127 << 8, 9];

/// A token longer than this is no word that the facts have for themselves.
const LONG: usize = 64;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, said)) = choice(bytes) else { return };
    let case = usize::from(choice >> 1 & 3);
    let (answer, secret) = if choice & 1 == 0 {
        let secret = Some(SECRETS[case]).filter(|_| choice & 8 == 0);
        let sent = secret.map(|text| Arc::new(Secret::new(text.to_owned())));
        (TokenAnswer::Endpoint(Peer::new([b"".as_slice(), said]), sent), secret)
    } else {
        let streams = parts(said, 2);
        let stream = |at: usize| streams.get(at).map(|part| part.to_vec()).unwrap_or_default();
        (TokenAnswer::Az(STATUS[case], stream(0), stream(1)), None)
    };
    let (phase, facts, token) = world::wait(fuzzing::token(answer));

    assert_eq!(token.is_some(), phase.is_done(), "{phase:?}");
    if let Some(token) = token {
        let (text, told) = (token.expose(), serde_json::to_string(&facts).expect("facts have a JSON form"));
        assert!(!text.is_empty() && text.len() <= 64 * 1024 && text.bytes().all(|byte| byte.is_ascii_graphic()));
        assert!(text.len() <= LONG || !told.contains(text), "{told}");
        assert!(facts.object_id.as_ref().is_none_or(|id| (1..=64).contains(&id.len())), "{told}");
    }
    if let Phase::Failed { failure, reason, .. } = &phase {
        // 300 characters, or 256, each perhaps an escape of ten, and words of redpath's own.
        assert!(reason.chars().count() <= 301 * 10 + 400, "{reason}");
        if let TokenFailure::Rejected { code: Some(code), .. } = failure {
            assert!(code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
        }
    }
    let mut view = View::new("libc", ViewKind::Libc, None);
    view.outcome = ViewOutcome::Answered;
    let observation = Observation {
        resolution: Resolution { views: vec![view], view_in_use: Some("libc".to_owned()), ..Resolution::default() },
        phases: Phases { token: Some(phase), ..Phases::default() },
        token: Some(facts),
        ..Observation::default()
    };
    outputs::hold_record(world::record(world::target(true), Expectation::default(), observation), secret);
});
