//! What a Redis, or whatever stands in its place, replies to AUTH, PING and CLUSTER.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use redpath::expectation::{Expectation, ExpectedPath};
use redpath::observation::dns::ViewKind;
use redpath::observation::redis::RedisFailure;
use redpath::observation::{Connection, Observation, Phase, Phases, Resolution, View, ViewOutcome};
use redpath::plan::{Auth, PasswordSource, Plan};
use redpath::probe::fuzzing;
use redpath::secret::Secret;
use redpath_fuzz::parts::choice;
use redpath_fuzz::stream::Peer;
use redpath_fuzz::{outputs, world};

/// What a reply may repeat, by the first byte. Long and short, with blanks and with digits alone.
const SECRETS: [&str; 4] = ["hunter2-canary", "OPEN SESAME", "q8Zt", "xu*1\r\nve{Ty\"kw\u{7}"];

/// Stands between what is said before one command and before the next (ASCII: record separator).
const TURN: u8 = 0x1e;

/// The most nodes of a cluster that are kept, and of the ranges of a node.
const MAX_NODES: usize = 1_000;
const MAX_RANGES: usize = 64;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, said)) = choice(bytes) else { return };
    let secret = SECRETS[usize::from(choice & 3)];
    let (with_auth, tls) = (choice & 4 != 0, choice & 8 != 0);
    // Over plain text no password is read, let alone sent.
    let is_sent = with_auth && tls;
    let mut plan = Plan::new(world::target(tls));
    plan.timeout = Duration::from_secs(5);
    plan.samples = 1 + u16::from(choice >> 6);
    if with_auth {
        let source = PasswordSource::Given(Arc::new(Secret::new(secret.to_owned())));
        plan.auth = Auth::Password { username: (choice & 16 != 0).then(|| "app".to_owned()), source };
    }
    if choice & 32 != 0 {
        plan.expectation = Expectation { path: ExpectedPath::Any, ..Expectation::default() };
    }
    let mut peer = Peer::new(said.split(|byte| *byte == TURN));
    let seen = world::wait(fuzzing::redis(&mut peer, &plan, world::peer()));

    // Nothing but these was sent, whatever came back.
    let heard = String::from_utf8_lossy(&peer.heard);
    let pings = heard.matches("\r\nPING\r\n").count();
    assert!(pings <= usize::from(plan.samples) && heard.matches("\r\nCLUSTER\r\n").count() <= 2, "{heard:?}");
    assert!(is_sent || !heard.contains("AUTH"), "{heard:?}");

    if let Some(facts) = &seen.cluster_facts {
        assert!(facts.nodes.len() <= MAX_NODES, "{} nodes", facts.nodes.len());
        for node in &facts.nodes {
            assert!(node.slots.len() <= MAX_RANGES && node.slot_count <= 16_384, "{node:?}");
            // Each character of a name may be an escape of ten.
            assert!(node.announced.chars().count() <= 253 * 10 + 8, "{node:?}");
            assert!(node.phases.is_none(), "none is connected to: {node:?}");
            if let Some(address) = node.address {
                let leads_there = address.ip() == world::peer().ip() || node.announced_by_ip;
                assert!(leads_there, "an announced name is never resolved: {node:?}");
            }
        }
    }
    for phase in [&seen.phases.auth, &seen.phases.ping] {
        if let Phase::Failed { failure, reason, .. } = phase {
            bounded(failure);
            assert!(reason.chars().count() < 4_096, "{reason}");
        }
    }

    let connection = Connection { ..seen.connection };
    let mut view = View::new("libc", ViewKind::Libc, None);
    view.outcome = ViewOutcome::Answered;
    let observation = Observation {
        resolution: Resolution { views: vec![view], view_in_use: Some("libc".to_owned()), ..Resolution::default() },
        phases: Phases { connection: seen.phases, cluster: Some(seen.cluster), ..Phases::default() },
        connection: Some(connection),
        cluster: seen.cluster_facts,
        ..Observation::default()
    };
    let record = world::record(plan.target.clone(), plan.expectation.clone(), observation);
    outputs::hold_record(record, is_sent.then_some(secret));
});

/// A failure's text is bounded: 256 characters, each perhaps an escape of ten.
fn bounded(failure: &RedisFailure) {
    match failure {
        RedisFailure::ErrorReply { code, message } => {
            assert!(code.len() <= 32 && code.bytes().all(|byte| byte.is_ascii_graphic()), "{code}");
            assert!(message.chars().count() <= 257 * 10, "{message}");
        }
        RedisFailure::UnexpectedReply { reply: text }
        | RedisFailure::NotRedis { error: text }
        | RedisFailure::Other { error: text } => assert!(text.chars().count() <= 257 * 10, "{text}"),
        RedisFailure::TooLong { limit } => assert!(*limit <= 1 << 20),
        RedisFailure::Timeout | RedisFailure::Closed | RedisFailure::Reset => {}
    }
}
