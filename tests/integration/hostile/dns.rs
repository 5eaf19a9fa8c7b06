//! Name servers that forge, loop and flood.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::peer::Peer;
use crate::support::certificates::NAME;
use crate::support::dns::{Action, Asked, DnsServer, Reply, Transport};
use crate::support::zone::{Zone, address, long_chain};

const BAD: &[&str] = &["dns_bad_answer"];

pub(super) fn peers() -> Vec<Peer> {
    let forged = || Reply { answers: vec![address(NAME, 10, Ipv4Addr::new(127, 0, 0, 66))], ..Reply::empty() };
    vec![
        peer("wrong-id", BAD, move |_| Action::WrongId(forged())),
        peer("wrong-question", BAD, move |_| Action::WrongQuestion(forged())),
        peer("garbage", BAD, |_| Action::Garbage),
        peer("compression-loop", BAD, |asked| Action::RawBytes(compression_loop(asked))),
        peer("alias-loop", BAD, Zone::looping(NAME).script()),
        peer("endless-aliases", BAD, long_chain(NAME, 200, Ipv4Addr::LOCALHOST).script()),
        // Two addresses of a 64 KiB message would do; and they are others each time.
        peer("64-KiB-of-addresses", &["connect_refused"], addresses()),
        peer("64-KiB-of-nothing", &["dns_bad_answer", "dns_timeout"], |asked| match asked.transport {
            Transport::Udp => Action::truncated(),
            Transport::Tcp => Action::RawBytes(vec![0xff; 65_537]),
        }),
        peer("one-byte-a-second", &["dns_timeout"], |asked| match asked.transport {
            Transport::Udp => Action::truncated(),
            Transport::Tcp => Action::Dribble(Duration::from_secs(1), Reply::empty()),
        }),
        // None of them is the answer, and the datagrams have no end while the question lasts.
        peer("flood-of-datagrams", BAD, |asked| {
            let stray = Action::RawBytes([&(asked.id ^ 1).to_be_bytes()[..], &[0x81; 1200]].concat());
            Action::Each(vec![stray; 5_000])
        }),
        // A program gets no address from it, either.
        peer("truncated-for-ever", &["no_address", "private_answer_stripped"], |_| Action::truncated()),
        peer("closes-over-tcp", &["dns_bad_answer", "dns_unreachable"], |asked| match asked.transport {
            Transport::Udp => Action::truncated(),
            Transport::Tcp => Action::CloseTcp,
        }),
        peer("unknown-response-code", &["dns_server_failure", "dns_bad_answer"], |_| {
            Action::rcode(ResponseCode::Unknown(3_841))
        }),
    ]
}

fn peer(
    name: &'static str,
    causes: &'static [&'static str],
    script: impl Fn(&Asked) -> Action + Send + Sync + 'static,
) -> Peer {
    let server = DnsServer::start(script);
    Peer::resolver(name, server.address(), server, causes)
}

/// As many addresses as a message can hold, never the same ones again: some hundred thousand in the run of the test.
fn addresses() -> impl Fn(&Asked) -> Action + Send + Sync + 'static {
    let next = AtomicU32::new(Ipv4Addr::new(127, 1, 0, 1).to_bits());
    move |asked| match (asked.transport, asked.record_type) {
        (Transport::Udp, _) => Action::truncated(),
        (Transport::Tcp, RecordType::A) => {
            let first = next.fetch_add(3_900, Ordering::Relaxed);
            Action::answers((first..first + 3_900).map(|bits| address(NAME, 10, Ipv4Addr::from_bits(bits))).collect())
        }
        (Transport::Tcp, _) => Action::answers(Vec::new()),
    }
}

/// The right question, and an answer whose name points at itself (RFC 1035, 4.1.4).
fn compression_loop(asked: &Asked) -> Vec<u8> {
    let mut wire = asked.id.to_be_bytes().to_vec();
    wire.extend([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    for label in asked.host().split('.') {
        wire.push(u8::try_from(label.len()).expect("a label"));
        wire.extend(label.bytes());
    }
    wire.push(0);
    wire.extend(u16::from(asked.record_type).to_be_bytes());
    wire.extend([0, 1]);
    let here = u16::try_from(wire.len()).expect("a short message") | 0xc000;
    wire.extend(here.to_be_bytes());
    wire.extend(u16::from(asked.record_type).to_be_bytes());
    wire.extend([0, 1, 0, 0, 0, 10, 0, 4, 127, 0, 0, 66]);
    wire
}
