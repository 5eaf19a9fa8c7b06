//! The servers that the other tests lean on do what they say: asked with the tools of their own projects.
#![allow(clippy::panic, reason = "a test's helper fails by it")]

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::support::bind::{self, Bind};
use crate::support::dns::{Action, DnsServer, Reply, Transport, closed_port};
use crate::support::lab::{self, Lab};
use crate::support::zone::{self, Zone};

const PRIVATE: Ipv4Addr = Ipv4Addr::new(10, 60, 4, 5);
const PUBLIC: Ipv4Addr = Ipv4Addr::new(20, 50, 1, 10);

/// Runs `dig` against `server`; its whole output.
fn dig(server: SocketAddr, words: &[&str]) -> String {
    let mut command = Command::new("dig");
    command.arg(format!("@{}", server.ip())).args(["-p", &server.port().to_string()]);
    command.args(["+tries=1", "+time=3"]).args(words);
    let output = output_of(&mut command, "dig is not installed: `apt-get install bind9-dnsutils`");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn output_of(command: &mut Command, missing: &str) -> Output {
    command.output().unwrap_or_else(|error| panic!("{missing} ({error})"))
}

#[cfg(feature = "system-tests")]
#[test]
fn bind_views_give_own_answers() {
    let server = Bind::start(PRIVATE.into(), PUBLIC.into());
    let short = |at: SocketAddr, name: &str| dig(at, &["+short", name]);

    let linked = short(server.linked(), bind::CACHE);
    assert_eq!(linked, "cache1.privatelink.redis.cache.windows.net.\n10.60.4.5\n");
    let unlinked = short(server.unlinked(), bind::CACHE);
    assert_eq!(
        unlinked,
        "cache1.privatelink.redis.cache.windows.net.\ncache1-we.westeurope.cloudapp.azure.com.\n20.50.1.10\n"
    );
    assert_eq!(short(server.linked(), bind::NO_ENDPOINT), "public-we.westeurope.cloudapp.azure.com.\n20.50.1.10\n");
    assert!(dig(server.linked(), &[bind::DUAL_STACK, "AAAA"]).contains("fd10::5"));
    for (at, name, expected) in [
        (server.linked(), bind::RECORD_MISSING, "status: NXDOMAIN"),
        (server.linked(), bind::RECORD_EMPTY, "status: NOERROR"),
        (server.linked(), bind::BROKEN, "status: SERVFAIL"),
        (server.unlinked(), bind::BROKEN, "status: SERVFAIL"),
        (server.linked(), "cache1.redis.cache.windows.net.svc.cluster.local", "status: NXDOMAIN"),
        (server.linked(), bind::REFUSED, "status: REFUSED"),
    ] {
        let answer = dig(at, &[name]);
        assert!(answer.contains(expected), "{name} at {at}: {answer}");
    }
    let missing = dig(server.linked(), &[bind::RECORD_MISSING]);
    assert!(missing.contains("CNAME\tmissing.privatelink"), "the chain stays in the answer: {missing}");
    let looping = dig(server.linked(), &[bind::LOOP]);
    assert!(looping.contains("loop2.redis.cache.windows.net."), "{looping}");
}

#[cfg(feature = "system-tests")]
#[test]
fn bind_truncates_large_udp_answer() {
    let server = Bind::start(PRIVATE.into(), PUBLIC.into());
    let over_udp = dig(server.linked(), &["+ignore", "+bufsize=1232", bind::MANY_ADDRESSES]);
    assert!(over_udp.contains("flags: qr aa tc"), "{over_udp}");
    let over_tcp = dig(server.linked(), &["+tcp", "+short", bind::MANY_ADDRESSES]);
    assert_eq!(over_tcp.lines().count(), bind::MANY);
}

#[cfg(feature = "system-tests")]
#[test]
fn fake_dns_answers_and_logs_queries() {
    let server = DnsServer::start(Zone::healthy(lab::HOST, PRIVATE).script());
    let answer = dig(server.address(), &["+norecurse", "Cache1.Redis.cache.windows.net", "A"]);
    assert!(answer.contains("status: NOERROR") && answer.contains("10.60.4.5"), "{answer}");
    let none = dig(server.address(), &["+noedns", lab::HOST, "AAAA"]);
    assert!(none.contains("status: NOERROR") && none.contains("ANSWER: 1,"), "{none}");
    let over_tcp = dig(server.address(), &["+tcp", "+short", lab::HOST, "A"]);
    assert!(over_tcp.ends_with("10.60.4.5\n"), "{over_tcp}");
    assert!(dig(server.address(), &["nobody.example.net"]).contains("status: NXDOMAIN"));

    let asked = server.asked();
    let seen: Vec<_> = asked.iter().map(|asked| (asked.host(), asked.record_type, asked.transport)).collect();
    assert_eq!(
        seen,
        [
            (lab::HOST, RecordType::A, Transport::Udp),
            (lab::HOST, RecordType::AAAA, Transport::Udp),
            (lab::HOST, RecordType::A, Transport::Tcp),
            ("nobody.example.net", RecordType::A, Transport::Udp),
        ]
    );
    assert!(!asked[0].recursion_desired && asked[1].recursion_desired);
    assert!(asked[0].edns_payload.is_some() && asked[1].edns_payload.is_none());
    assert!(asked[0].source.ip().is_loopback() && asked[0].source.port() != 0);
    assert_eq!(server.names_asked(RecordType::AAAA), [lab::HOST]);
}

#[cfg(feature = "system-tests")]
#[test]
fn fake_dns_misbehaves_as_configured() {
    let host = lab::HOST;
    let good = || Zone::healthy(host, PRIVATE);
    let dig_of = |action: fn(Reply) -> Action| {
        let zone = good();
        let server = DnsServer::start(move |asked| action(zone.answer(asked)));
        dig(server.address(), &["+time=1", "+norecurse", host])
    };
    assert!(dig_of(|_| Action::Drop).contains("timed out"));
    assert!(dig_of(|_| Action::rcode(ResponseCode::ServFail)).contains("status: SERVFAIL"));
    assert!(dig_of(Action::WrongId).contains("ID mismatch"));
    assert!(dig_of(Action::WrongQuestion).contains("Question section mismatch"));
    assert!(!dig_of(|_| Action::Garbage).contains("status: NOERROR"));
    let forged_first = dig_of(|reply| {
        let forged = Reply { answers: vec![zone::address(lab::HOST, 1, PUBLIC)], ..Reply::empty() };
        Action::Each(vec![Action::WrongId(forged), Action::Reply(reply)])
    });
    assert!(forged_first.contains("10.60.4.5"), "{forged_first}");

    let looping = DnsServer::start(Zone::looping(host).script());
    assert!(dig(looping.address(), &[host]).contains("ANSWER: 3,"));
    let long = DnsServer::start(zone::long_chain(host, 40, PUBLIC).script());
    assert!(dig(long.address(), &["+tcp", host]).contains("ANSWER: 41,"));
    let missing = dig(DnsServer::start(Zone::record_missing(host).script()).address(), &[host]);
    assert!(missing.contains("status: NXDOMAIN") && missing.contains("ANSWER: 1,"), "{missing}");
    let public = DnsServer::start(Zone::no_private_endpoint(host, PUBLIC).script());
    assert!(!dig(public.address(), &["+short", host]).contains("privatelink"));
}

#[cfg(feature = "system-tests")]
#[test]
fn fake_dns_truncates_and_counts() {
    let zone = zone::many_addresses(lab::HOST, 300);
    let server = DnsServer::start(move |asked| match asked.attempt {
        1 if asked.transport == Transport::Udp => Action::Drop,
        _ => Action::Reply(zone.answer(asked)),
    });
    let answer = dig(server.address(), &["+tries=2", "+time=1", lab::HOST]);
    assert!(answer.contains("ANSWER: 300,") && answer.contains("(TCP)"), "{answer}");
    let attempts: Vec<_> = server.asked().iter().map(|asked| (asked.transport, asked.attempt)).collect();
    assert_eq!(attempts, [(Transport::Udp, 1), (Transport::Udp, 2), (Transport::Tcp, 1)]);

    let refused = DnsServer::start_without_tcp(|_| Action::truncated());
    assert!(dig(refused.address(), &[lab::HOST]).contains("connection refused"));
    let closed = DnsServer::start(|asked| match asked.transport {
        Transport::Udp => Action::truncated(),
        Transport::Tcp => Action::CloseTcp,
    });
    assert!(!dig(closed.address(), &[lab::HOST]).contains("status: NOERROR"));
    assert!(TcpStream::connect(closed_port(IpAddr::V4(Ipv4Addr::LOCALHOST))).is_err());
}

#[cfg(feature = "system-tests")]
#[test]
fn fake_dns_delays_as_configured() {
    let delay = Duration::from_millis(300);
    let zone = Zone::healthy(lab::HOST, PRIVATE);
    let server = DnsServer::start(move |asked| match asked.transport {
        Transport::Udp => Action::Reply(zone.answer(asked)).after(delay),
        Transport::Tcp => Action::Dribble(Duration::from_millis(2), zone.answer(asked)),
    });
    let began = Instant::now();
    assert!(dig(server.address(), &["+short", lab::HOST]).contains("10.60.4.5"));
    assert!(began.elapsed() >= delay);
    let began = Instant::now();
    assert!(dig(server.address(), &["+tcp", "+short", lab::HOST]).contains("10.60.4.5"));
    // Some hundred bytes, two milliseconds apart.
    assert!(began.elapsed() >= Duration::from_millis(150));
}

#[cfg(feature = "system-tests")]
#[test]
fn lab_has_two_subnets_and_redis() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("lab-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let lab = Lab::start(&folder, "of-the-lab").expect("the lab");
    assert!(dig(lab.linked.address(), &["+short", lab::HOST]).ends_with("127.0.0.10\n"));
    assert!(dig(lab.unlinked.address(), &["+short", lab::HOST]).ends_with("cloudapp.azure.com.\n127.0.0.20\n"));

    let ask = |server: IpAddr, words: &[&str]| {
        let mut command = Command::new("redis-cli");
        command.args(["-h", &server.to_string(), "-p", &lab.port().to_string(), "--tls", "--sni", lab::HOST]);
        command.arg("--cacert").arg(&lab.ca_file).arg("--no-auth-warning").args(words);
        let output = output_of(&mut command, "redis-cli is not installed: `apt-get install redis-tools`");
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    for server in [lab::PRIVATE_ENDPOINT, lab::PUBLIC_ENDPOINT] {
        assert_eq!(ask(server.into(), &["PING"]).trim(), "NOAUTH Authentication required.");
        assert!(ask(server.into(), &["-a", "of-the-lab", "PING"]).contains("PONG"));
        assert!(ask(server.into(), &["-a", "wrong", "PING"]).contains("WRONGPASS"));
    }
    let connections = lab.private.connections();
    assert!(connections.iter().all(|connection| connection.handshake_completed));
    assert_eq!(connections[0].server_name.as_deref(), Some(lab::HOST));
    assert!(String::from_utf8_lossy(&lab.private.received()).contains("of-the-lab"));

    // A stand-in that has stopped is gone.
    let address = lab.private.address();
    drop(lab);
    assert!(TcpStream::connect(address).is_err());
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn fake_redis_floods_and_drips() {
    use crate::support::fake_redis::{Answer, Event, FakeRedis};
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let read = |script: fn(Event<'_>) -> Answer, wanted: usize| {
        let server = FakeRedis::start(any_port, None, script).expect("a stand-in");
        let mut stream = TcpStream::connect(server.address()).expect("a connection");
        let mut bytes = vec![0; wanted];
        stream.read_exact(&mut bytes).expect("as many bytes");
        bytes
    };
    assert_eq!(read(|_| Answer::Flood(b"$-1\r\n".to_vec()), 100_000).len(), 100_000);
    assert_eq!(read(|_| Answer::Dribble(Duration::from_millis(1), b"+PONG\r\n".to_vec()), 7), b"+PONG\r\n");
    assert_eq!(read(|_| Answer::Late(Duration::from_millis(1), Box::new(Answer::line("+OK"))), 5), b"+OK\r\n");
}
