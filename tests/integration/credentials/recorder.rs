//! A server without TLS that keeps every byte, and announcements of clusters.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::background::Background;

/// The server; it stops when it is dropped.
pub(super) struct Recorder {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    _background: Background,
}

impl Recorder {
    /// Listens on a free port of `ip`, and answers whatever comes with `says`.
    pub(super) fn start(ip: IpAddr, says: &'static str) -> Self {
        let listener = std::net::TcpListener::bind((ip, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a listener for the runtime");
        let address = listener.local_addr().expect("an address");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&heard);
        let background = Background::run("recorder", async move {
            let listener = TcpListener::from_std(listener).expect("a listener for the runtime");
            while let Ok((mut stream, _)) = listener.accept().await {
                let number = {
                    let mut all = hears.lock().expect("no panic");
                    all.push(Vec::new());
                    all.len() - 1
                };
                let hears = Arc::clone(&hears);
                tokio::spawn(async move {
                    let mut buffer = [0; 4096];
                    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                        hears.lock().expect("no panic")[number].extend_from_slice(&buffer[..count]);
                        if says.is_empty() || stream.write_all(says.as_bytes()).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Self { address, heard, _background: background }
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many have connected.
    pub(super) fn connections(&self) -> usize {
        self.heard.lock().expect("no panic").len()
    }

    /// It was connected to, and no piece of this came.
    #[track_caller]
    pub(super) fn heard_no(&self, secret: &str) {
        let heard = self.heard.lock().expect("no panic").clone();
        assert!(!heard.is_empty(), "nobody came");
        for bytes in heard {
            let found = secret.as_bytes().windows(6).find(|piece| bytes.windows(6).any(|window| window == *piece));
            assert!(found.is_none(), "a piece of it came: {}", String::from_utf8_lossy(&bytes));
        }
    }
}

/// The reply of `CLUSTER SLOTS`: all slots to the first of these nodes, and the others its replicas.
pub(super) fn slots(nodes: &[(&str, u16)]) -> String {
    let written: String =
        nodes.iter().map(|(host, port)| format!("*3\r\n${}\r\n{host}\r\n:{port}\r\n$1\r\nx\r\n", host.len())).collect();
    format!("*1\r\n*{}\r\n:0\r\n:16383\r\n{written}", nodes.len() + 2)
}

/// The reply of `CLUSTER SHARDS` with the same nodes: each by its endpoint, with a port for TLS.
pub(super) fn shards(nodes: &[(&str, u16)]) -> String {
    let bulk = |text: &str| format!("${}\r\n{text}\r\n", text.len());
    let node = |(index, (host, port)): (usize, &(&str, u16))| {
        let role = if index == 0 { "master" } else { "replica" };
        let fields = [
            ("id", bulk("x")),
            ("tls-port", format!(":{port}\r\n")),
            ("ip", bulk(host)),
            ("endpoint", bulk(host)),
            ("role", bulk(role)),
            ("health", bulk("online")),
        ];
        let written: String = fields.iter().map(|(key, value)| bulk(key) + value).collect();
        format!("*{}\r\n{written}", fields.len() * 2)
    };
    let written: String = nodes.iter().enumerate().map(node).collect();
    format!("*1\r\n*4\r\n{}*2\r\n:0\r\n:16383\r\n{}*{}\r\n{written}", bulk("slots"), bulk("nodes"), nodes.len())
}
