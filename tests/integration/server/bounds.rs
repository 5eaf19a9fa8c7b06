//! Slow, greedy and endless clients, and the end of the server.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use redpath::server::{Limits, ProbeOnDemand};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::client::{answer, ask, ask_again, ask_on, get};
use super::harness::{Setup, record};

const SOON: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(60);

fn patient() -> Limits {
    Limits {
        connections: 8,
        connections_per_peer: 8,
        idle: LONG,
        health_idle: LONG,
        handshake: LONG,
        response: LONG,
        delivery: LONG,
        write: LONG,
        page_age: Duration::ZERO,
        drain: LONG,
        ..Limits::default()
    }
}

/// A probe that waits for a permit of `gate`, and adds one to `begun` before.
fn gated(gate: &Arc<Semaphore>, begun: &Arc<Semaphore>) -> ProbeOnDemand {
    let (gate, begun) = (gate.clone(), begun.clone());
    Arc::new(move |_| {
        let (gate, begun) = (gate.clone(), begun.clone());
        Box::pin(async move {
            begun.add_permits(1);
            gate.acquire().await.expect("open").forget();
            Ok(record("sessions", "x"))
        })
    })
}

async fn begin(stream: &mut TcpStream, path: &str) {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: redpath\r\n\r\n").as_bytes()).await.expect("sent");
}

#[tokio::test]
async fn server_endless_head_is_cut_off() {
    let server = Setup { limits: Limits { idle: SOON, ..patient() }, ..Setup::default() }.start().await;
    for beginning in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: redpath\r\nX: "] {
        let mut stream = TcpStream::connect(server.address).await.expect("accepted");
        stream.write_all(beginning.as_bytes()).await.expect("sent");
        let mut rest = Vec::new();
        let _ = timeout(LONG / 6, stream.read_to_end(&mut rest)).await.expect("cut off");
        assert!(answer(&rest).is_none_or(|answer| answer.status == 408), "{beginning:?}");
    }
}

#[tokio::test]
async fn server_oversize_head_refused_body_unread() {
    let server = Setup::default().start().await;
    let long = format!("X-Long: {}\r\n", "x".repeat(20_000));
    assert_eq!(ask(server.address, "GET", "/metrics", &long).await.status, 431);
    let many: String = (0..100).map(|number| format!("X-{number}: x\r\n")).collect();
    assert_eq!(ask(server.address, "GET", "/metrics", &many).await.status, 431);
    let longer = format!("/{}", "x".repeat(20_000));
    assert!(matches!(get(server.address, &longer).await.status, 414 | 431));

    // No route reads a body, and no response waits for one.
    let chunked = format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{}", 10_000, "x".repeat(10_000));
    for body in ["Content-Length: 99999999999\r\n", "Content-Length: 10\r\n", "Content-Length: 2\r\n\r\nok", &chunked] {
        assert_eq!(ask(server.address, "POST", "/-/reload", body).await.status, 200, "{body}");
    }
    for garbage in ["Content-Length: -1\r\n", "Content-Length: 1\r\nContent-Length: 2\r\n", "no colon\r\n"] {
        assert_eq!(ask(server.address, "GET", "/metrics", garbage).await.status, 400, "{garbage}");
    }
}

#[tokio::test]
async fn server_slow_handler_times_out() {
    let (gate, begun) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let limits = Limits { response: SOON, ..patient() };
    let server = Setup { limits, probe: gated(&gate, &begun), ..Setup::default() }.start().await;
    assert_eq!(get(server.address, "/probe?target=sessions").await.status, 504);
    assert_eq!(get(server.address, "/-/healthy").await.status, 200);
}

/// A connection from another address than the usual 127.0.0.1.
async fn connect_from(address: [u8; 4], server: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((IpAddr::from(address), 0).into()).expect("loopback has it");
    socket.connect(server).await.expect("accepted")
}

#[tokio::test]
async fn server_health_is_answered_when_full() {
    let (gate, begun) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let limits = Limits { connections: 2, ..patient() };
    let server = Setup { limits, probe: gated(&gate, &begun), ..Setup::default() }.start().await;
    let (one, two) = (get(server.address, "/probe?target=a"), get(server.address, "/probe?target=b"));
    let others = async {
        begun.acquire_many(2).await.expect("open").forget();
        for path in ["/-/healthy", "/-/ready"] {
            assert_eq!(get(server.address, path).await.status, 200, "{path}");
        }
        let refused = get(server.address, "/metrics").await;
        assert_eq!((refused.status, refused.header("connection")), (503, Some("close")));
        gate.add_permits(2);
    };
    let (one, two, ()) = tokio::join!(one, two, others);
    assert_eq!((one.status, two.status), (200, 200));
    assert_eq!(get(server.address, "/metrics").await.status, 200);
}

#[tokio::test]
async fn server_closes_idle_longest_when_full() {
    let server = Setup { limits: Limits { connections: 2, ..patient() }, ..Setup::default() }.start().await;
    let mut idle = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(server.address).await.expect("accepted");
        assert_eq!(ask_again(&mut stream, "/metrics").await.expect("an answer").status, 200);
        idle.push(stream);
    }
    assert_eq!(get(server.address, "/metrics").await.status, 200);
    assert_eq!(idle[0].read(&mut [0; 1]).await.expect("a clean end"), 0);
    assert_eq!(ask_again(&mut idle[1], "/metrics").await.expect("it is still open").status, 200);
}

#[tokio::test]
async fn server_one_peer_leaves_places_to_others() {
    let (gate, begun) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let limits = Limits { connections: 4, connections_per_peer: 2, ..patient() };
    let server = Setup { limits, probe: gated(&gate, &begun), ..Setup::default() }.start().await;
    let (one, two) = (get(server.address, "/probe?target=a"), get(server.address, "/probe?target=b"));
    let others = async {
        begun.acquire_many(2).await.expect("open").forget();
        assert_eq!(get(server.address, "/metrics").await.status, 503, "the same peer");
        let other = connect_from([127, 0, 0, 2], server.address).await;
        assert_eq!(ask_on(other, "GET", "/metrics", "").await.expect("an answer").status, 200);
        gate.add_permits(2);
    };
    tokio::join!(one, two, others);
}

#[tokio::test]
async fn server_slow_readers_are_bounded() {
    let limits = Limits { response_bytes: 8 * 1024 * 1024, ..patient() };
    let server = Setup { limits, ..Setup::default() }.start().await;
    server.history.observe(Arc::new(record("sessions", &"x".repeat(2_000_000))));
    let mut slow = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(server.address).await.expect("accepted");
        begin(&mut stream, "/api/v1/records").await;
        stream.read_exact(&mut [0; 1]).await.expect("the answer begins");
        slow.push(stream);
    }
    assert_eq!(get(server.address, "/-/healthy").await.status, 200);
    // The slowest reader loses its connection to a further client.
    let mut whole = 0;
    let served = async {
        while whole == 0 {
            let answer = get(server.address, "/api/v1/records").await;
            whole = if answer.status == 200 { answer.body.len() } else { 0 };
        }
    };
    timeout(LONG / 2, served).await.expect("it is served");
    let mut rest = Vec::new();
    let _ = slow[0].read_to_end(&mut rest).await;
    assert!(rest.len() < whole, "{} of {whole} bytes", rest.len());
}

#[tokio::test]
async fn server_stalled_reader_is_closed() {
    let limits = Limits { connections: 1, write: SOON, ..patient() };
    let server = Setup { limits, ..Setup::default() }.start().await;
    server.history.observe(Arc::new(record("sessions", &"x".repeat(4_000_000))));
    let mut deaf = TcpStream::connect(server.address).await.expect("accepted");
    begin(&mut deaf, "/api/v1/records").await;
    let next = timeout(LONG / 2, get(server.address, "/-/healthy")).await.expect("the place is free");
    assert_eq!(next.status, 200);
    drop(deaf);
}

#[tokio::test]
async fn server_keep_alive_ends_when_idle() {
    let server = Setup { limits: Limits { idle: SOON * 5, ..patient() }, ..Setup::default() }.start().await;
    let mut stream = TcpStream::connect(server.address).await.expect("accepted");
    for _ in 0..4 {
        assert_eq!(ask_again(&mut stream, "/-/healthy").await.expect("it is open").status, 200);
        sleep(SOON * 2).await;
    }
    let end = timeout(LONG / 2, stream.read(&mut [0; 1])).await.expect("it is closed");
    assert_eq!(end.expect("a clean end"), 0);
}

#[tokio::test]
async fn server_shutdown_finishes_requests() {
    let (gate, begun) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let mut server = Setup { limits: patient(), probe: gated(&gate, &begun), ..Setup::default() }.start().await;
    let mut idle = TcpStream::connect(server.address).await.expect("accepted");
    assert_eq!(ask_again(&mut idle, "/-/healthy").await.expect("an answer").status, 200);
    let mut under_way = TcpStream::connect(server.address).await.expect("accepted");
    begin(&mut under_way, "/probe?target=a").await;
    begun.acquire().await.expect("open").forget();

    server.stop();
    assert_eq!(idle.read(&mut [0; 1]).await.expect("a clean end"), 0, "an idle connection ends at once");
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens");
    gate.add_permits(1);
    let mut received = Vec::new();
    under_way.read_to_end(&mut received).await.expect("the answer");
    assert_eq!(answer(&received).expect("an answer").status, 200);
    server.ended().await;
}

#[tokio::test]
async fn server_shutdown_is_bounded() {
    let (gate, begun) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let limits = Limits { drain: SOON, ..patient() };
    let mut server = Setup { limits, probe: gated(&gate, &begun), ..Setup::default() }.start().await;
    let mut under_way = TcpStream::connect(server.address).await.expect("accepted");
    begin(&mut under_way, "/probe?target=a").await;
    begun.acquire().await.expect("open").forget();
    server.stop();
    timeout(LONG / 6, server.ended()).await.expect("it ends");
}

#[tokio::test]
async fn server_http_2_and_upgrade_are_refused() {
    let server = Setup::default().start().await;
    // The preface (RFC 9113, 3.4), SETTINGS, and what floods are made of: streams begun and reset at once.
    let mut flood = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00".to_vec();
    for stream in (1..2_000_u32).step_by(2) {
        flood.extend([0, 0, 1, 1, 4]);
        flood.extend(stream.to_be_bytes());
        flood.push(0x82); // GET
        flood.extend([0, 0, 4, 3, 0]);
        flood.extend(stream.to_be_bytes());
        flood.extend([0, 0, 0, 8]);
    }
    let mut stream = TcpStream::connect(server.address).await.expect("accepted");
    let _ = stream.write_all(&flood).await; // it may be closed before all of it is sent
    let mut received = Vec::new();
    let _ = timeout(LONG / 6, stream.read_to_end(&mut received)).await.expect("closed at once");
    assert!(answer(&received).is_none_or(|answer| answer.status == 400), "{received:?}");
    assert!(received.len() < 1_000, "one answer, if any: {}", received.len());

    let upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    let answer = ask(server.address, "GET", "/metrics", upgrade).await;
    assert_eq!((answer.status, answer.header("upgrade")), (200, None));
}
