//! A client that sends what it is told, byte for byte.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// One request on a connection of its own; `headers` end each with CR LF.
pub(super) async fn ask(server: SocketAddr, method: &str, path: &str, headers: &str) -> Answer {
    let stream = TcpStream::connect(server).await.expect("the server accepts");
    ask_on(stream, method, path, headers).await.expect("an answer")
}

/// `GET` without further headers.
pub(super) async fn get(server: SocketAddr, path: &str) -> Answer {
    ask(server, "GET", path, "").await
}

/// One request that asks for the server by this host name.
pub(super) async fn ask_for(server: SocketAddr, host: &str, method: &str, path: &str, headers: &str) -> Answer {
    let stream = TcpStream::connect(server).await.expect("the server accepts");
    send(stream, host, method, path, headers).await.expect("an answer")
}

/// One request on this connection, which ends with it; `None` where it ended without an answer.
pub(super) async fn ask_on<S>(stream: S, method: &str, path: &str, headers: &str) -> Option<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    send(stream, "redpath", method, path, headers).await
}

async fn send<S>(mut stream: S, host: &str, method: &str, path: &str, headers: &str) -> Option<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut received = Vec::new();
    let _ = stream.read_to_end(&mut received).await; // an end without close_notify is an end
    answer(&received)
}

/// One request on this connection, which stays; `None` where the connection ended in place of an answer.
pub(super) async fn ask_again(stream: &mut TcpStream, path: &str) -> Option<Answer> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: redpath\r\n\r\n").as_bytes()).await.ok()?;
    let mut received = Vec::new();
    loop {
        if stream.read_buf(&mut received).await.ok()? == 0 {
            return None;
        }
        if let Some(answer) = answer(&received) {
            let length: usize = answer.header("content-length")?.parse().expect("a length");
            if answer.body.len() == length {
                return Some(answer);
            }
        }
    }
}

/// Reads an answer apart.
pub(super) fn answer(received: &[u8]) -> Option<Answer> {
    let end = received.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8(received[..end].to_vec()).expect("a head in ASCII");
    let status = head.split(' ').nth(1)?.parse().expect("a status");
    Some(Answer { status, head, body: received[end + 4..].to_vec() })
}
