//! A scripted Redis stand-in on loopback, over TLS or plain: for the demo, and for replies that a
//! real server never gives. Whatever a real redis-server can show is tested against one.
#![allow(dead_code, reason = "each program that includes this file uses its own part of it")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::background::Background;

/// The server; it stops when it is dropped.
pub(crate) struct FakeRedis {
    address: SocketAddr,
    connections: Arc<Mutex<Vec<Connection>>>,
    _background: Background,
}

impl FakeRedis {
    /// Listens at `address` (on a free port where it is 0), over TLS where there is a configuration for it.
    pub(crate) fn start(
        address: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        script: impl Fn(Event<'_>) -> Answer + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let connections = Arc::new(Mutex::new(Vec::new()));
        let server = Arc::new(Server { tls, script: Box::new(script), connections: connections.clone() });
        let background = Background::run("redis", async move {
            let listener = TcpListener::from_std(listener).expect("a listener for the runtime");
            loop {
                let Ok((stream, client)) = listener.accept().await else { continue };
                let _ = stream.set_nodelay(true); // as redis-server does
                let server = server.clone();
                tokio::spawn(async move {
                    // The client may go at any time; that is no failure of the server.
                    let _ = server.serve(stream, client).await;
                });
            }
        });
        Ok(Self { address, connections, _background: background })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What each connection so far was for, in the order in which they came.
    pub(crate) fn connections(&self) -> Vec<Connection> {
        self.connections.lock().expect("the connections").clone()
    }

    /// Every byte of Redis that arrived, on all connections together.
    pub(crate) fn received(&self) -> Vec<u8> {
        self.connections().into_iter().flat_map(|connection| connection.received).collect()
    }
}

/// One connection, as the server saw it.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    /// Where it came from.
    pub(crate) client: SocketAddr,
    /// The name that the client asked for in TLS.
    pub(crate) server_name: Option<String>,
    /// Whether the TLS handshake was completed, where there is TLS.
    pub(crate) handshake_completed: bool,
    /// The bytes of Redis that arrived, decrypted.
    pub(crate) received: Vec<u8>,
    /// The commands among them.
    pub(crate) commands: Vec<Vec<String>>,
    /// Whether the client ended the connection, and in TLS said so first (`close_notify`).
    pub(crate) closed_cleanly: bool,
}

/// What a script answers to.
pub(crate) enum Event<'a> {
    /// A client has connected, and the TLS handshake is done where there is one.
    Connected,
    /// A command arrived. `authenticated` is what the script last said of this connection.
    Command {
        /// The command and its arguments.
        words: &'a [String],
        /// Whether an earlier answer was [`Answer::Authenticated`].
        authenticated: bool,
    },
}

/// What the server does.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Sends these bytes; none at all is silence.
    Send(Vec<u8>),
    /// Says OK, and counts the client as authenticated.
    Authenticated,
    /// Sends these bytes and closes.
    SendAndClose(Vec<u8>),
    /// Sends these bytes over and over, until the client goes.
    Flood(Vec<u8>),
    /// Sends these bytes one by one, so far apart.
    Dribble(Duration, Vec<u8>),
    /// Answers so much later.
    Late(Duration, Box<Answer>),
}

impl Answer {
    /// One line of RESP: `+PONG`, `-ERR …`.
    pub(crate) fn line(line: &str) -> Self {
        Self::Send(format!("{line}\r\n").into_bytes())
    }
}

/// A server with a password, not in cluster mode: what the managed services look like from outside.
pub(crate) fn requiring(password: &str) -> impl Fn(Event<'_>) -> Answer + Send + Sync + 'static {
    let password = password.to_owned();
    move |event| {
        let Event::Command { words, authenticated } = event else { return Answer::Send(Vec::new()) };
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let name = words.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default();
        match (name.as_str(), &words[..]) {
            ("QUIT", _) => Answer::SendAndClose(b"+OK\r\n".to_vec()),
            ("AUTH", [_, given] | [_, "default", given]) if *given == password => Answer::Authenticated,
            ("AUTH", _) => Answer::line("-WRONGPASS invalid username-password pair or user is disabled."),
            _ if !authenticated => Answer::line("-NOAUTH Authentication required."),
            ("PING", _) => Answer::line("+PONG"),
            ("CLUSTER", _) => Answer::line("-ERR This instance has cluster support disabled"),
            _ => Answer::line("-ERR unknown command"),
        }
    }
}

struct Server {
    tls: Option<Arc<ServerConfig>>,
    script: Box<dyn Fn(Event<'_>) -> Answer + Send + Sync>,
    connections: Arc<Mutex<Vec<Connection>>>,
}

impl Server {
    async fn serve(&self, stream: TcpStream, client: SocketAddr) -> std::io::Result<()> {
        let connection = Connection {
            client,
            server_name: None,
            handshake_completed: false,
            received: Vec::new(),
            commands: Vec::new(),
            closed_cleanly: false,
        };
        let number = {
            let mut connections = self.connections.lock().expect("the connections");
            connections.push(connection);
            connections.len() - 1
        };
        let Some(tls) = &self.tls else { return self.talk(stream, number).await };
        let stream = TlsAcceptor::from(tls.clone()).accept(stream).await?;
        let server_name = stream.get_ref().1.server_name().map(str::to_owned);
        self.note(number, |connection| {
            connection.server_name = server_name;
            connection.handshake_completed = true;
        });
        self.talk(stream, number).await
    }

    fn note(&self, number: usize, change: impl FnOnce(&mut Connection)) {
        change(&mut self.connections.lock().expect("the connections")[number]);
    }

    async fn talk(&self, stream: impl AsyncRead + AsyncWrite + Unpin, number: usize) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let mut authenticated = false;
        let mut answer = (self.script)(Event::Connected);
        loop {
            let mut closing = false;
            while let Answer::Late(delay, later) = answer {
                tokio::time::sleep(delay).await;
                answer = *later;
            }
            match answer {
                Answer::Send(bytes) => stream.write_all(&bytes).await?,
                Answer::Authenticated => {
                    authenticated = true;
                    stream.write_all(b"+OK\r\n").await?;
                }
                Answer::SendAndClose(bytes) => {
                    stream.write_all(&bytes).await?;
                    closing = true;
                }
                Answer::Flood(bytes) => loop {
                    stream.write_all(&bytes).await?;
                },
                Answer::Dribble(pause, bytes) => {
                    for byte in bytes {
                        stream.write_all(&[byte]).await?;
                        stream.flush().await?;
                        tokio::time::sleep(pause).await;
                    }
                }
                Answer::Late(..) => {}
            }
            stream.flush().await?;
            if closing {
                stream.shutdown().await?;
                // Until the client is done too; with bytes unread, closing would be a reset (RFC 1122, 4.2.2.13).
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest).await?;
                self.note(number, |connection| connection.closed_cleanly = true);
                return Ok(());
            }
            let mut received = Vec::new();
            let words = command(&mut stream, &mut received).await;
            self.note(number, |connection| connection.received.extend(received));
            let Some(words) = words? else {
                self.note(number, |connection| connection.closed_cleanly = true);
                return Ok(());
            };
            self.note(number, |connection| connection.commands.push(words.clone()));
            answer = (self.script)(Event::Command { words: &words, authenticated });
        }
    }
}

/// Reads one command, an array of bulk strings or a line; `None` at the end. The bytes go to `received`.
async fn command(
    stream: &mut (impl AsyncBufReadExt + Unpin),
    received: &mut Vec<u8>,
) -> std::io::Result<Option<Vec<String>>> {
    let first = line(stream, received).await?;
    if first.is_empty() {
        return Ok(None);
    }
    let Some(count) = first.strip_prefix('*') else {
        return Ok(Some(first.split_whitespace().map(str::to_owned).collect()));
    };
    let mut words = Vec::new();
    for _ in 0..count.trim().parse::<usize>().unwrap_or(0) {
        let header = line(stream, received).await?;
        let length = header.trim().trim_start_matches('$').parse::<usize>().unwrap_or(0);
        let mut bytes = vec![0; length + 2];
        stream.read_exact(&mut bytes).await?;
        received.extend_from_slice(&bytes);
        words.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
    }
    Ok(Some(words))
}

async fn line(stream: &mut (impl AsyncBufReadExt + Unpin), received: &mut Vec<u8>) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    stream.read_until(b'\n', &mut bytes).await?;
    received.extend_from_slice(&bytes);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
