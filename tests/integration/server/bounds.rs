//! Slow, greedy and endless clients, and the end of the server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redpath::server::{Limits, ProbeOnDemand};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::client::{answer, ask, ask_again, get};
use super::harness::{Setup, record};

const SOON: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(60);

fn patient() -> Limits {
    Limits {
        connections: 8,
        head: LONG,
        handshake: LONG,
        body: LONG,
        answer: LONG,
        write: LONG,
        connection: LONG,
        drain: LONG,
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
    let server = Setup { limits: Limits { head: SOON, ..patient() }, ..Setup::default() }.start().await;
    for beginning in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: redpath\r\nX: "] {
        let mut stream = TcpStream::connect(server.address).await.expect("accepted");
        stream.write_all(beginning.as_bytes()).await.expect("sent");
        let mut rest = Vec::new();
        let _ = timeout(LONG / 6, stream.read_to_end(&mut rest)).await.expect("cut off");
        assert!(answer(&rest).is_none_or(|answer| answer.status == 408), "{beginning:?}");
    }
}

#[tokio::test]
async fn server_oversize_head_or_body_is_refused() {
    let server = Setup::default().start().await;
    let long = format!("X-Long: {}\r\n", "x".repeat(20_000));
    assert_eq!(ask(server.address, "GET", "/metrics", &long).await.status, 431);
    let many: String = (0..100).map(|number| format!("X-{number}: x\r\n")).collect();
    assert_eq!(ask(server.address, "GET", "/metrics", &many).await.status, 431);
    let longer = format!("/{}", "x".repeat(20_000));
    assert!(matches!(get(server.address, &longer).await.status, 414 | 431));

    for length in ["Content-Length: 8193\r\n", "Content-Length: 99999999999\r\n"] {
        assert_eq!(ask(server.address, "POST", "/-/reload", length).await.status, 413, "{length}");
    }
    let chunked = format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{}", 10_000, "x".repeat(10_000));
    assert_eq!(ask(server.address, "POST", "/-/reload", &chunked).await.status, 413);
    let small = "Content-Length: 2\r\n\r\nok";
    assert_eq!(ask(server.address, "POST", "/-/reload", small).await.status, 200);
    for garbage in ["Content-Length: -1\r\n", "Content-Length: 1\r\nContent-Length: 2\r\n", "no colon\r\n"] {
        assert_eq!(ask(server.address, "GET", "/metrics", garbage).await.status, 400, "{garbage}");
    }
}

#[tokio::test]
async fn server_missing_body_times_out() {
    let server = Setup { limits: Limits { body: SOON, ..patient() }, ..Setup::default() }.start().await;
    assert_eq!(ask(server.address, "POST", "/-/reload", "Content-Length: 10\r\n").await.status, 408);
}

#[tokio::test]
async fn server_slow_handler_times_out() {
    let (gate, begun) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let limits = Limits { answer: SOON, ..patient() };
    let server = Setup { limits, probe: gated(&gate, &begun), ..Setup::default() }.start().await;
    assert_eq!(get(server.address, "/probe?target=sessions").await.status, 504);
    assert_eq!(get(server.address, "/-/healthy").await.status, 200);
}

/// It is served as soon as another connection ends.
#[tokio::test]
async fn server_extra_connection_waits() {
    let (gate, begun) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let limits = Limits { connections: 2, ..patient() };
    let server = Setup { limits, probe: gated(&gate, &begun), ..Setup::default() }.start().await;
    let (one, two) = (get(server.address, "/probe?target=a"), get(server.address, "/probe?target=b"));
    let third = async {
        begun.acquire_many(2).await.expect("open").forget();
        let mut waiting = Box::pin(get(server.address, "/-/healthy"));
        assert!(timeout(SOON, &mut waiting).await.is_err(), "both places are taken");
        gate.add_permits(1);
        let answer = waiting.await;
        gate.add_permits(1);
        answer
    };
    let (one, two, third) = tokio::join!(one, two, third);
    assert_eq!((one.status, two.status, third.status), (200, 200, 200));
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
async fn server_keep_alive_is_bounded() {
    let limits = Limits { connection: SOON * 5, ..patient() };
    let server = Setup { limits, ..Setup::default() }.start().await;
    let mut stream = TcpStream::connect(server.address).await.expect("accepted");
    let began = Instant::now();
    let mut answers = 0;
    while let Some(answer) = ask_again(&mut stream, "/-/healthy").await {
        assert_eq!(answer.status, 200);
        answers += 1;
        assert!(began.elapsed() < LONG, "it is never closed");
    }
    assert!(answers > 1, "it was kept for a while");
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
