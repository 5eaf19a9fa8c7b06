//! Servers that speak TLS as they should, with a certificate that is trusted, and Redis as they should not.

use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::peer::Peer;
use crate::support::certificates::{Certificates, Leaf};
use crate::support::fake_redis::{Answer, Event, FakeRedis};

/// As many elements as the bound of an announcement lets in, four bytes each.
const MANY: usize = 250_000;

pub(super) fn peers(certificates: &Certificates) -> Vec<Peer> {
    let ping = |name, causes, answer: Answer| {
        peer(certificates, name, causes, move |words| match words {
            ["PING"] => answer.clone(),
            _ => Answer::line("+OK"),
        })
    };
    let cluster = |name, causes, answer: Answer| {
        peer(certificates, name, causes, move |words| match words {
            ["CLUSTER", ..] => answer.clone(),
            _ => Answer::line("+PONG"),
        })
    };
    let endless = |header: &str| Answer::Flood([header.as_bytes(), &[b'x'; 65_536][..]].concat());
    let broken: &[&str] = &["not_redis", "redis_error"];
    vec![
        ping("endless-bulk-string", broken, endless("$536870912\r\n")),
        ping("bulk-string-of-all-memory", broken, endless("$9223372036854775807\r\n")),
        ping("endless-line", broken, Answer::Flood(vec![b'+'; 65_536])),
        ping("deep-nesting", broken, Answer::Send(b"*1\r\n".repeat(16_000))),
        ping("two-thousand-million-elements", broken, Answer::Flood(b"*2000000000\r\n:1\r\n".to_vec())),
        ping("endless-pushes", broken, Answer::Flood(b">1\r\n+x\r\n".repeat(4_096))),
        ping(
            "reply-of-a-byte-a-second",
            &["redis_timeout"],
            Answer::Dribble(Duration::from_secs(1), b"+PONG\r\n".to_vec()),
        ),
        ping("escape-sequences", broken, Answer::line("+\u{1b}]0;owned\u{7}\u{1b}[2J")),
        unasked(certificates),
        cluster("endless-shards", broken, endless("*1\r\n$536870912\r\n")),
        cluster("flood-of-shards", broken, Answer::Flood(b"*1000000\r\n*2\r\n$5\r\nslots\r\n*0\r\n".to_vec())),
        // Within the bound of bytes, and as much memory as they can be made to take.
        cluster(
            "shards-of-nothing",
            &["not_redis", "redis_timeout"], // a slow machine does not come to its end
            Answer::Send([&b"*250000\r\n"[..], &b"*0\r\n".repeat(MANY)].concat()),
        ),
        cluster("deep-shards", broken, Answer::Send(b"*1\r\n".repeat(MANY))),
        cluster(
            "shards-of-a-byte-a-second",
            &["redis_timeout"],
            Answer::Dribble(Duration::from_secs(1), b"*1\r\n".to_vec()),
        ),
    ]
}

/// A server that has nothing to hide.
pub(super) fn honest(certificates: &Certificates) -> Peer {
    peer(certificates, "honest", &["healthy"], |words| match words {
        ["CLUSTER", ..] => Answer::line("-ERR This instance has cluster support disabled"),
        _ => Answer::line("+PONG"),
    })
}

/// A server that answers before it is asked: it cannot have heard the question.
fn unasked(certificates: &Certificates) -> Peer {
    let server = start(certificates, |event| match event {
        Event::Connected => Answer::line("+PONG"),
        Event::Command { .. } => Answer::Send(Vec::new()),
    });
    Peer::at("answers-before-it-is-asked", server.address().port(), server, &["not_redis", "redis_timeout"])
}

fn peer(
    certificates: &Certificates,
    name: &'static str,
    causes: &'static [&'static str],
    answer: impl Fn(&[&str]) -> Answer + Send + Sync + 'static,
) -> Peer {
    let server = start(certificates, move |event| {
        let Event::Command { words, .. } = event else { return Answer::Send(Vec::new()) };
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["QUIT"] => Answer::SendAndClose(b"+OK\r\n".to_vec()),
            words => answer(words),
        }
    });
    Peer::at(name, server.address().port(), server, causes)
}

fn start(certificates: &Certificates, script: impl Fn(Event<'_>) -> Answer + Send + Sync + 'static) -> FakeRedis {
    let files = certificates.leaf(Leaf::Good);
    let certificate = CertificateDer::from_pem_file(&files.certificate).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(&files.key).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a certificate that fits its key");
    FakeRedis::start("127.0.0.1:0".parse().expect("an address"), Some(Arc::new(config)), script).expect("a free port")
}
