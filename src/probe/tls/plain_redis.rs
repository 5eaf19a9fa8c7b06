//! Detects plain Redis on a port that should speak TLS: it waits for the line end that a ClientHello need not have,
//! and answers a plain `PING` at once. Nothing but that is sent without TLS.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::MAX_EXCERPT;
use crate::observation::tls::TlsFailure;
use crate::printable::excerpt_of_bytes;
use crate::probe::budget::Budget;

/// The longest that the second connection may take.
const LIMIT: Duration = Duration::from_secs(1);

/// After a handshake that was not answered, or not in TLS: the sharper failure where plain Redis listens.
pub(in crate::probe) async fn detect_plain_redis(
    address: SocketAddr,
    failure: &TlsFailure,
    budget: &Budget,
) -> Option<TlsFailure> {
    if !may_be_plain_redis(failure) {
        return None;
    }
    let line = budget.within(LIMIT, ping(address)).await.ok()??;
    is_redis_line(&line).then(|| TlsFailure::NotTls {
        received: excerpt_of_bytes(line.trim_ascii_end(), MAX_EXCERPT),
        plain_redis: true,
    })
}

fn may_be_plain_redis(failure: &TlsFailure) -> bool {
    matches!(failure, TlsFailure::Timeout { bytes_received: 0 } | TlsFailure::NotTls { plain_redis: false, .. })
}

/// The line that answers a plain `PING`.
async fn ping(address: SocketAddr) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_all(b"PING\r\n").await.ok()?;
    let mut line = Vec::new();
    let mut limited = (&mut stream).take(256);
    while !line.ends_with(b"\r\n") && limited.read_buf(&mut line).await.is_ok_and(|count| count > 0) {}
    let _ = stream.shutdown().await;
    Some(line)
}

/// Whether `bytes` begin as Redis answers a `PING`: `+PONG`, or an error such as `-NOAUTH`.
pub(super) fn is_redis_line(bytes: &[u8]) -> bool {
    bytes.starts_with(b"+PONG")
        || bytes.strip_prefix(b"-").is_some_and(|rest| {
            let code = rest.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
            code >= 3 && rest.get(code) == Some(&b' ')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_detects_plaintext_redis_reply() {
        for line in ["+PONG\r\n", "-NOAUTH Authentication required.\r\n", "-ERR max number of clients reached\r\n"] {
            assert!(is_redis_line(line.as_bytes()), "{line}");
        }
        for line in ["", "-", "+OK POP3 ready\r\n", "HTTP/1.1 400 Bad Request\r\n", "220 mail ESMTP\r\n", "-err\r\n"] {
            assert!(!is_redis_line(line.as_bytes()), "{line}");
        }
    }
}
