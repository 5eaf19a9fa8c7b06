//! A scripted DNS server on loopback: one closure from what was asked to what happens on the wire.
//! It may misbehave in every way that a script says; it never asks anyone else.
#![allow(clippy::panic, reason = "a test's helper fails by it")]
#![allow(dead_code, reason = "each program that includes this file uses its own part of it")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{Name, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::background::Background;

/// The server; it stops when it is dropped.
pub(crate) struct DnsServer {
    address: SocketAddr,
    journal: Journal,
    _background: Background,
}

impl DnsServer {
    /// Listens on UDP and TCP, on a free port of 127.0.0.1.
    pub(crate) fn start(script: impl Fn(&Asked) -> Action + Send + Sync + 'static) -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), true, script)
    }

    /// Listens on UDP alone: who comes back over TCP is refused.
    pub(crate) fn start_without_tcp(script: impl Fn(&Asked) -> Action + Send + Sync + 'static) -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), false, script)
    }

    /// Listens at `address`; on a free port where it is 0.
    pub(crate) fn start_at(
        address: SocketAddr,
        with_tcp: bool,
        script: impl Fn(&Asked) -> Action + Send + Sync + 'static,
    ) -> Self {
        let (udp, tcp) = bind(address);
        let address = udp.local_addr().expect("the address of a bound socket");
        let journal = Journal::default();
        let server = Arc::new(Server { script: Box::new(script), journal: journal.clone() });
        let background = Background::run("dns", async move {
            let udp = UdpSocket::from_std(udp).expect("a socket for the runtime");
            let tcp =
                with_tcp.then_some(tcp).map(|tcp| TcpListener::from_std(tcp).expect("a listener for the runtime"));
            tokio::join!(serve_udp(udp, server.clone()), serve_tcp(tcp, server));
        });
        Self { address, journal, _background: background }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every question so far, in the order in which they came.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.journal.lock().expect("the journal").clone()
    }

    /// The names asked for one type, in order, without the trailing dot.
    pub(crate) fn names_asked(&self, record_type: RecordType) -> Vec<String> {
        let asked = self.asked().into_iter().filter(|asked| asked.record_type == record_type);
        asked.map(|asked| asked.host().to_owned()).collect()
    }
}

/// One question that came in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    /// The name, as it was written.
    pub(crate) name: Name,
    /// The type.
    pub(crate) record_type: RecordType,
    /// How it came.
    pub(crate) transport: Transport,
    /// Which time this name and type came over this transport, counted from 1.
    pub(crate) attempt: usize,
    /// Where it came from.
    pub(crate) source: SocketAddr,
    /// The message's id.
    pub(crate) id: u16,
    /// Whether recursion was wanted.
    pub(crate) recursion_desired: bool,
    /// The largest UDP answer that EDNS allows; `None` where there was no EDNS.
    pub(crate) edns_payload: Option<u16>,
    host: String,
}

impl Asked {
    /// The name in lower case and without the trailing dot.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    fn query(&self) -> Query {
        Query::query(self.name.clone(), self.record_type)
    }
}

/// How a question came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// In a datagram.
    Udp,
    /// Over a connection.
    Tcp,
}

/// What happens on the wire.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Nothing: the question is lost. A connection stays open, and silent.
    Drop,
    /// An answer.
    Reply(Reply),
    /// An answer that carries another id than the question, as a forged one would.
    WrongId(Reply),
    /// An answer to another question, under the right id.
    WrongQuestion(Reply),
    /// Bytes that are no DNS message.
    Garbage,
    /// These bytes as they are: over TCP without a length in front.
    RawBytes(Vec<u8>),
    /// Something, later. Other questions are answered meanwhile.
    Delay(Duration, Box<Action>),
    /// One after the other.
    Each(Vec<Action>),
    /// Over TCP: an answer byte by byte, so many apart. Over UDP: a plain answer.
    Dribble(Duration, Reply),
    /// Over TCP: the connection is closed without an answer. Over UDP: nothing.
    CloseTcp,
}

impl Action {
    /// A response code and nothing else.
    pub(crate) fn rcode(rcode: ResponseCode) -> Self {
        Self::Reply(Reply { rcode, ..Reply::empty() })
    }

    /// These records as the answer.
    pub(crate) fn answers(answers: Vec<Record>) -> Self {
        Self::Reply(Reply { answers, ..Reply::empty() })
    }

    /// An empty answer that says it was cut, so that the client comes back over TCP.
    pub(crate) fn truncated() -> Self {
        Self::Reply(Reply { truncated: true, ..Reply::empty() })
    }

    /// The same, later.
    pub(crate) fn after(self, delay: Duration) -> Self {
        Self::Delay(delay, Box::new(self))
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// The response code.
    pub(crate) rcode: ResponseCode,
    /// The answer section.
    pub(crate) answers: Vec<Record>,
    /// The authority section.
    pub(crate) authorities: Vec<Record>,
    /// The code and text of an extended DNS error, for clients with EDNS.
    pub(crate) extended_error: Option<(u16, Vec<u8>)>,
    /// Whether it says that it was cut. An answer that does not fit the client's datagram is cut anyway.
    pub(crate) truncated: bool,
}

impl Reply {
    /// NOERROR and no record.
    pub(crate) fn empty() -> Self {
        Self {
            rcode: ResponseCode::NoError,
            answers: Vec::new(),
            authorities: Vec::new(),
            extended_error: None,
            truncated: false,
        }
    }

    fn encoded(&self, id: u16, query: Query, asked: &Asked) -> Vec<u8> {
        let mut message = Message::response(id, OpCode::Query);
        message.metadata.recursion_desired = asked.recursion_desired;
        message.metadata.recursion_available = true;
        message.metadata.response_code = self.rcode;
        message.metadata.truncation = self.truncated;
        message.add_query(query);
        message.insert_answers(self.answers.clone());
        message.insert_authorities(self.authorities.clone());
        if asked.edns_payload.is_some() {
            let mut edns = Edns::new();
            edns.set_max_payload(1232);
            if let Some((code, text)) = &self.extended_error {
                edns.options_mut().insert(EdnsOption::Unknown(15, [&code.to_be_bytes(), text.as_slice()].concat()));
            }
            message.set_edns(edns);
        }
        let wire = message.to_vec().expect("a message that can be written");
        let limit = usize::from(asked.edns_payload.unwrap_or(512).max(512));
        if asked.transport == Transport::Udp && wire.len() > limit {
            message.metadata.truncation = true;
            message.answers.clear();
            return message.to_vec().expect("a message that can be written");
        }
        wire
    }
}

type Journal = Arc<Mutex<Vec<Asked>>>;

struct Server {
    script: Box<dyn Fn(&Asked) -> Action + Send + Sync>,
    journal: Journal,
}

impl Server {
    /// Notes the question and says what is to happen; `None` for what is no question.
    fn ask(&self, wire: &[u8], transport: Transport, source: SocketAddr) -> Option<(Asked, Action)> {
        let message = Message::from_vec(wire).ok()?;
        let query = message.queries.first()?;
        let mut journal = self.journal.lock().expect("the journal");
        let same = |other: &&Asked| {
            (&other.name, other.record_type, other.transport) == (query.name(), query.query_type(), transport)
        };
        let asked = Asked {
            name: query.name().clone(),
            record_type: query.query_type(),
            transport,
            attempt: journal.iter().filter(same).count() + 1,
            source,
            id: message.metadata.id,
            recursion_desired: message.metadata.recursion_desired,
            edns_payload: message.edns.as_ref().map(Edns::max_payload),
            host: query.name().to_ascii().trim_end_matches('.').to_ascii_lowercase(),
        };
        journal.push(asked.clone());
        drop(journal);
        let action = (self.script)(&asked);
        Some((asked, action))
    }
}

async fn serve_udp(socket: UdpSocket, server: Arc<Server>) {
    let socket = Arc::new(socket);
    let mut buffer = vec![0; 65_535];
    loop {
        // An ICMP error for an earlier answer: the client has gone.
        let Ok((length, source)) = socket.recv_from(&mut buffer).await else { continue };
        if let Some((asked, action)) = server.ask(&buffer[..length], Transport::Udp, source) {
            let socket = socket.clone();
            tokio::spawn(async move {
                for step in steps(action) {
                    if let Step::Wait(delay) = step {
                        tokio::time::sleep(delay).await;
                    } else if let Some(wire) = step.wire(&asked) {
                        let _ = socket.send_to(&wire, source).await;
                    }
                }
            });
        }
    }
}

async fn serve_tcp(listener: Option<TcpListener>, server: Arc<Server>) {
    let Some(listener) = listener else { return };
    loop {
        let Ok((stream, source)) = listener.accept().await else { continue };
        let server = server.clone();
        tokio::spawn(async move {
            // The client may go at any time; that is no failure of the server.
            let _ = serve_connection(stream, source, &server).await;
        });
    }
}

async fn serve_connection(mut stream: TcpStream, source: SocketAddr, server: &Server) -> std::io::Result<()> {
    loop {
        let length = usize::from(stream.read_u16().await?);
        let mut wire = vec![0; length];
        stream.read_exact(&mut wire).await?;
        let Some((asked, action)) = server.ask(&wire, Transport::Tcp, source) else { return Ok(()) };
        for step in steps(action) {
            let pause = match &step {
                Step::Wait(delay) => {
                    tokio::time::sleep(*delay).await;
                    continue;
                }
                Step::Close => return Ok(()),
                Step::Raw(bytes) => {
                    stream.write_all(bytes).await?;
                    continue;
                }
                Step::Dribble(pause, _) => *pause,
                Step::Reply(_) | Step::WrongId(_) | Step::WrongQuestion(_) => Duration::ZERO,
            };
            let Some(wire) = step.wire(&asked) else { continue };
            let length = u16::try_from(wire.len()).expect("a message of at most 65535 bytes");
            let framed = [&length.to_be_bytes()[..], &wire].concat();
            if pause.is_zero() {
                stream.write_all(&framed).await?;
                continue;
            }
            for byte in framed {
                stream.write_all(&[byte]).await?;
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// An action, taken apart into what is done one after the other.
enum Step {
    Wait(Duration),
    Reply(Reply),
    WrongId(Reply),
    WrongQuestion(Reply),
    Raw(Vec<u8>),
    Dribble(Duration, Reply),
    Close,
}

impl Step {
    /// The message that it puts on the wire.
    fn wire(&self, asked: &Asked) -> Option<Vec<u8>> {
        match self {
            Self::Reply(reply) | Self::Dribble(_, reply) => Some(reply.encoded(asked.id, asked.query(), asked)),
            Self::WrongId(reply) => Some(reply.encoded(asked.id ^ 1, asked.query(), asked)),
            Self::WrongQuestion(reply) => {
                let other = Name::from_ascii("another-question.example.net.").expect("a name");
                Some(reply.encoded(asked.id, Query::query(other, asked.record_type), asked))
            }
            Self::Raw(bytes) => Some(bytes.clone()),
            Self::Wait(_) | Self::Close => None,
        }
    }
}

fn steps(action: Action) -> Vec<Step> {
    match action {
        Action::Drop => Vec::new(),
        Action::Reply(reply) => vec![Step::Reply(reply)],
        Action::WrongId(reply) => vec![Step::WrongId(reply)],
        Action::WrongQuestion(reply) => vec![Step::WrongQuestion(reply)],
        Action::Garbage => vec![Step::Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())],
        Action::RawBytes(bytes) => vec![Step::Raw(bytes)],
        Action::Delay(delay, action) => [vec![Step::Wait(delay)], steps(*action)].into_iter().flatten().collect(),
        Action::Each(actions) => actions.into_iter().flat_map(steps).collect(),
        Action::Dribble(pause, reply) => vec![Step::Dribble(pause, reply)],
        Action::CloseTcp => vec![Step::Close],
    }
}

/// The same free port for UDP and TCP.
fn bind(address: SocketAddr) -> (std::net::UdpSocket, std::net::TcpListener) {
    const TRIES: usize = 100;
    for _ in 0..TRIES {
        let Ok(udp) = std::net::UdpSocket::bind(address) else { continue };
        let port = udp.local_addr().expect("the address of a bound socket");
        let Ok(tcp) = std::net::TcpListener::bind(port) else { continue };
        udp.set_nonblocking(true).expect("a socket that does not block");
        tcp.set_nonblocking(true).expect("a listener that does not block");
        return (udp, tcp);
    }
    panic!("no port of {address} is free for both UDP and TCP, after {TRIES} tries");
}

/// An address at which nothing listens: bound once, to find it, and let go.
pub(crate) fn closed_port(ip: IpAddr) -> SocketAddr {
    let (udp, _tcp) = bind((ip, 0).into());
    udp.local_addr().expect("the address of a bound socket")
}
