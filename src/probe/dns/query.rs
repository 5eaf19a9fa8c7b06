//! One name's questions to one server: UDP with EDNS, retries on loss, TCP on truncation and on silence.
//!
//! The socket is connected, so that the kernel drops datagrams of any other source and an ICMP
//! "port unreachable" is known at once. Ids come from the operating system's random source, ports
//! from the kernel's ephemeral range; an answer must carry both and the question itself
//! (RFC 5452, 9.1).

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::NameAnswer;
use super::chain::{self, Section};
use crate::observation::ViewOutcome;
use crate::observation::dns::{Question, Transport};

/// The EDNS payload size that passes without fragments (DNS Flag Day 2020).
const PAYLOAD: u16 = 1232;

/// When a lost question is sent again, in parts of its limit: three attempts in all, and the last
/// has half of the time. An answer to any of them counts.
const RESEND_AT: [f64; 2] = [0.2, 0.5];

/// When a server that is silent over UDP is asked over TCP as well, in parts of the limit. An answer
/// over UDP is still waited for beside it.
const TCP_AT: f64 = 0.7;

/// Asks `server` for the A and, with `with_aaaa`, the AAAA records of `name`, within `limit`.
pub(super) async fn ask(
    server: SocketAddr,
    name: &str,
    with_aaaa: bool,
    tcp_only: bool,
    limit: Duration,
) -> NameAnswer {
    let began = Instant::now();
    let types: &[RecordType] = if with_aaaa { &[RecordType::A, RecordType::AAAA] } else { &[RecordType::A] };
    let mut pending: Vec<InFlightQuery> = Vec::new();
    let ids = random_ids();
    for (place, record_type) in types.iter().enumerate() {
        match ids.clone().and_then(|ids| InFlightQuery::new(name, *record_type, ids[place], true)) {
            Ok(question) => pending.push(question),
            Err(reason) => return failed(name, types, ViewOutcome::Failed, &reason, began),
        }
    }
    if !tcp_only {
        if let Err(end) = over_udp(server, &mut pending, began, limit).await {
            for question in pending.iter_mut().filter(|question| question.end.is_none()) {
                question.end = Some(end.clone());
            }
        }
        without_edns(server, &mut pending, began, limit).await;
    }
    over_tcp(server, &mut pending, tcp_only, began, limit).await;
    let (questions, sections) = pending.into_iter().map(|question| question.finish(name, began)).unzip();
    NameAnswer { questions, sections }
}

/// What [`ask`] makes of a server that has sent these messages, to questions of the ids `first_id` and the
/// one after it: each a datagram, but for the one after a truncated one, which has come over TCP. It
/// takes as many as it would have waited for.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn parse_messages(
    name: &str,
    with_aaaa: bool,
    first_id: u16,
    messages: &mut std::vec::IntoIter<Vec<u8>>,
) -> NameAnswer {
    let began = Instant::now();
    let types: &[RecordType] = if with_aaaa { &[RecordType::A, RecordType::AAAA] } else { &[RecordType::A] };
    let mut pending: Vec<InFlightQuery> = Vec::new();
    for (record_type, id) in types.iter().zip(first_id..) {
        match InFlightQuery::new(name, *record_type, id, true) {
            Ok(question) => pending.push(InFlightQuery { attempts: 1, ..question }),
            Err(reason) => return failed(name, types, ViewOutcome::Failed, &reason, began),
        }
    }
    while pending.iter().any(|question| question.end.is_none())
        && let Some(datagram) = messages.next()
    {
        handle_datagram(&mut pending, &datagram, began);
    }
    for question in pending.iter_mut().filter(|question| question.truncated) {
        question.transport = Transport::Tcp;
        question.end = Some(match messages.next() {
            Some(answer) => end_over_tcp(question, &answer),
            None => QueryResult::Timeout(TRUNCATED_AND_SILENT),
        });
    }
    let (questions, sections) = pending.into_iter().map(|question| question.finish(name, began)).unzip();
    NameAnswer { questions, sections }
}

fn failed(name: &str, types: &[RecordType], outcome: ViewOutcome, reason: &str, began: Instant) -> NameAnswer {
    let questions = types
        .iter()
        .map(|record_type| Question {
            name: name.to_owned(),
            record_type: record_type.to_string(),
            outcome,
            rcode: None,
            transport: Transport::Udp,
            attempts: 0,
            truncated: false,
            udp_silent: false,
            unexpected_datagrams: 0,
            answers: 0,
            took_seconds: began.elapsed().into(),
        })
        .collect();
    NameAnswer { questions, sections: types.iter().map(|_| Err(reason.to_owned())).collect() }
}

/// A question on its way.
struct InFlightQuery {
    name: Name,
    record_type: RecordType,
    id: u16,
    wire: Vec<u8>,
    attempts: u32,
    truncated: bool,
    udp_silent: bool,
    strays: u32,
    transport: Transport,
    took: Option<Duration>,
    end: Option<QueryResult>,
}

/// How a question ended.
#[derive(Clone)]
enum QueryResult {
    Response(Box<Message>),
    Timeout(&'static str),
    Unreachable(String),
    Bad(String),
    Failed(String),
}

impl InFlightQuery {
    fn new(name: &str, record_type: RecordType, id: u16, edns: bool) -> Result<Self, String> {
        let mut name = Name::from_ascii(name).map_err(|error| format!("{name} cannot be asked for: {error}"))?;
        name.set_fqdn(true);
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(name.clone(), record_type));
        if edns {
            let mut extension = Edns::new();
            extension.set_max_payload(PAYLOAD).set_version(0);
            message.set_edns(extension);
        }
        let wire = message.to_vec().map_err(|error| format!("{name} cannot be asked for: {error}"))?;
        Ok(Self {
            name,
            record_type,
            id,
            wire,
            attempts: 0,
            truncated: false,
            udp_silent: false,
            strays: 0,
            transport: Transport::Udp,
            took: None,
            end: None,
        })
    }

    /// Whether `message` answers this question: id, direction, and the question itself.
    fn is_answered_by(&self, message: &Message) -> bool {
        message.metadata.id == self.id
            && message.metadata.message_type == MessageType::Response
            && matches!(message.queries.as_slice(), [query]
                if query.name == self.name && query.query_type == self.record_type)
    }

    fn finish(self, name: &str, began: Instant) -> (Question, Result<Section, String>) {
        let took = self.took.unwrap_or_else(|| began.elapsed());
        let (outcome, rcode, answers, section) = match self.end {
            Some(QueryResult::Response(message)) => {
                let section = chain::follow(&message, &self.name, self.record_type);
                let outcome = chain::outcome_of(&message, &section);
                let rcode = chain::rcode_name(message.metadata.response_code);
                (outcome, Some(rcode), message.answers.len(), section)
            }
            Some(QueryResult::Timeout(_)) | None if self.strays > 0 => {
                let reason = format!("{} datagrams came, none of them an answer to the question", self.strays);
                (ViewOutcome::BadAnswer, None, 0, Err(reason))
            }
            Some(QueryResult::Timeout(what)) => (ViewOutcome::Timeout, None, 0, Err(what.to_owned())),
            Some(QueryResult::Unreachable(reason)) => (ViewOutcome::Unreachable, None, 0, Err(reason)),
            Some(QueryResult::Bad(reason)) => (ViewOutcome::BadAnswer, None, 0, Err(reason)),
            Some(QueryResult::Failed(reason)) => (ViewOutcome::Failed, None, 0, Err(reason)),
            None => (ViewOutcome::Timeout, None, 0, Err(SILENT.to_owned())),
        };
        let question = Question {
            name: name.to_owned(),
            record_type: self.record_type.to_string(),
            outcome,
            rcode,
            transport: self.transport,
            attempts: self.attempts,
            truncated: self.truncated,
            udp_silent: self.udp_silent,
            unexpected_datagrams: self.strays,
            answers,
            took_seconds: took.into(),
        };
        (question, section)
    }
}

const SILENT: &str = "no answer";

const TRUNCATED_AND_SILENT: &str = "truncated over UDP, and no answer over TCP";

/// Sends every question and takes in answers until all have theirs or the limit has passed. Where
/// nothing at all has come by [`TCP_AT`], the questions go over TCP besides.
async fn over_udp(
    server: SocketAddr,
    pending: &mut [InFlightQuery],
    began: Instant,
    limit: Duration,
) -> Result<(), QueryResult> {
    let socket = udp_socket(server)?;
    // Before the runtime knows the socket: a new one's buffer has room for questions, and need not be waited for.
    for question in pending.iter_mut().filter(|question| question.end.is_none()) {
        question.attempts += 1;
        socket.send(&question.wire).map_err(|error| unreachable(&error))?;
    }
    let socket = UdpSocket::from_std(socket).map_err(|error| QueryResult::Failed(format!("no socket: {error}")))?;
    for (again, until) in RESEND_AT.into_iter().chain([TCP_AT]).enumerate() {
        for question in pending.iter_mut().filter(|question| again > 0 && question.end.is_none()) {
            question.attempts += 1;
            socket.send(&question.wire).await.map_err(|error| unreachable(&error))?;
        }
        let left = limit.mul_f64(until).saturating_sub(began.elapsed());
        if let Ok(answered) = timeout(left, listen(&socket, pending, began)).await {
            return answered;
        }
    }
    let left = limit.saturating_sub(began.elapsed());
    if pending.iter().any(|question| question.end.is_some() || question.strays > 0) {
        return timeout(left, listen(&socket, pending, began)).await.unwrap_or(Err(QueryResult::Timeout(SILENT)));
    }
    let questions: Vec<(u16, Vec<u8>)> = pending.iter().map(|question| (question.id, question.wire.clone())).collect();
    let both = async {
        tokio::select! {
            answered = listen(&socket, pending, began) => answered.map(|()| Vec::new()),
            answers = answers_over_tcp(server, &questions) => Ok(answers),
        }
    };
    let answers = timeout(left, both).await.unwrap_or(Err(QueryResult::Timeout(SILENT)))?;
    for (question, answer) in pending.iter_mut().zip(answers) {
        if question.end.is_none() && question.is_answered_by(&answer) {
            question.transport = Transport::Tcp;
            question.udp_silent = true;
            question.took = Some(began.elapsed());
            question.end = Some(QueryResult::Response(Box::new(answer)));
        }
    }
    if pending.iter().all(|question| question.end.is_some()) { Ok(()) } else { Err(QueryResult::Timeout(SILENT)) }
}

/// A socket that hears `server` alone.
fn udp_socket(server: SocketAddr) -> Result<std::net::UdpSocket, QueryResult> {
    let family = if server.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::DGRAM, flags, None)
        .map_err(|error| QueryResult::Failed(format!("no socket: {}", io::Error::from(error))))?;
    // It also gives the socket its port (ip(7)).
    rustix::net::connect(&socket, &server).map_err(|error| unreachable(&error.into()))?;
    Ok(socket.into())
}

/// Takes in datagrams until every question has its answer.
async fn listen(socket: &UdpSocket, pending: &mut [InFlightQuery], began: Instant) -> Result<(), QueryResult> {
    let mut buffer = [0u8; 4096];
    while pending.iter().any(|question| question.end.is_none()) {
        let length = socket.recv(&mut buffer).await.map_err(|error| unreachable(&error))?;
        handle_datagram(pending, &buffer[..length], began);
    }
    Ok(())
}

/// The answers over TCP, one per question; never returns where one fails, since UDP may still answer.
async fn answers_over_tcp(server: SocketAddr, questions: &[(u16, Vec<u8>)]) -> Vec<Message> {
    let mut answers = Vec::new();
    for (id, wire) in questions {
        let answer = exchange(server, wire).await.ok().and_then(|answer| Message::from_vec(&answer).ok());
        match answer {
            Some(answer) if answer.metadata.id == *id => answers.push(answer),
            Some(_) | None => return std::future::pending().await,
        }
    }
    answers
}

fn handle_datagram(pending: &mut [InFlightQuery], datagram: &[u8], began: Instant) {
    let message = Message::from_vec(datagram);
    match message {
        Ok(message) => {
            let found = pending.iter().position(|question| question.end.is_none() && question.is_answered_by(&message));
            if let Some(question) = found.and_then(|index| pending.get_mut(index)) {
                question.took = Some(began.elapsed());
                question.truncated = message.metadata.truncation;
                question.end = Some(QueryResult::Response(Box::new(message)));
                return;
            }
        }
        Err(error) => {
            // It may be forged, so the question stays open for a better one.
            tracing::trace!(%error, "undecodable DNS answer");
        }
    }
    if let Some(question) = pending.iter_mut().find(|question| question.end.is_none()) {
        question.strays += 1;
    }
}

/// Servers older than EDNS answer FORMERR or NOTIMP to it (RFC 6891, 7): ask them without.
async fn without_edns(server: SocketAddr, pending: &mut [InFlightQuery], began: Instant, limit: Duration) {
    for question in pending.iter_mut() {
        let refuses_edns = matches!(&question.end, Some(QueryResult::Response(message)) if matches!(
            message.metadata.response_code,
            ResponseCode::FormErr | ResponseCode::NotImp | ResponseCode::BADVERS
        ));
        if !refuses_edns {
            continue;
        }
        let again = random_ids()
            .and_then(|[id, _]| InFlightQuery::new(&question.name.to_ascii(), question.record_type, id, false));
        let Ok(mut again) = again else { continue };
        let again = std::slice::from_mut(&mut again);
        let _ = over_udp(server, again, began, limit).await; // without an answer the first one stands
        if let Some(answered) = again.iter_mut().find(|again| matches!(again.end, Some(QueryResult::Response(_)))) {
            question.end = answered.end.take();
            question.truncated = answered.truncated;
            question.took = answered.took;
            question.attempts += answered.attempts;
            question.wire = std::mem::take(&mut answered.wire);
            question.id = answered.id;
        }
    }
}

/// Asks again over TCP what was truncated (RFC 7766, 5), or everything where the system says so.
async fn over_tcp(server: SocketAddr, pending: &mut [InFlightQuery], all: bool, began: Instant, limit: Duration) {
    for question in pending.iter_mut().filter(|question| all || question.truncated) {
        question.transport = Transport::Tcp;
        let left = limit.saturating_sub(began.elapsed());
        let end = match timeout(left, exchange_tcp(server, question)).await {
            Ok(end) => end,
            Err(_) if question.truncated => QueryResult::Timeout(TRUNCATED_AND_SILENT),
            Err(_) => QueryResult::Timeout("no answer over TCP"),
        };
        question.attempts = question.attempts.max(1);
        question.end = Some(end);
        question.took = Some(began.elapsed());
    }
}

async fn exchange_tcp(server: SocketAddr, question: &InFlightQuery) -> QueryResult {
    match exchange(server, &question.wire).await {
        Ok(answer) => end_over_tcp(question, &answer),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            QueryResult::Bad("the server closed the TCP connection before a whole answer".into())
        }
        Err(error) => QueryResult::Unreachable(format!("TCP to {server}: {error}")),
    }
}

fn end_over_tcp(question: &InFlightQuery, answer: &[u8]) -> QueryResult {
    match Message::from_vec(answer) {
        Ok(message) if question.is_answered_by(&message) => QueryResult::Response(Box::new(message)),
        Ok(_) => QueryResult::Bad("the answer over TCP is for another question".into()),
        Err(error) => QueryResult::Bad(format!("the answer over TCP cannot be decoded: {error}")),
    }
}

/// One message there and one back over a connection of its own (RFC 7766).
async fn exchange(server: SocketAddr, wire: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(wire.len()).map_err(io::Error::other)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(wire);
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)]; // at most 64 KiB
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

fn unreachable(error: &io::Error) -> QueryResult {
    QueryResult::Unreachable(match error.kind() {
        io::ErrorKind::ConnectionRefused => "nothing listens on the port (ICMP port unreachable)".to_owned(),
        _ => error.to_string(),
    })
}

/// Ids for two questions.
fn random_ids() -> Result<[u16; 2], String> {
    let [a, b, c, d] = getrandom::u32().map_err(|error| format!("no random numbers: {error}"))?.to_ne_bytes();
    Ok([u16::from_ne_bytes([a, b]), u16::from_ne_bytes([c, d])])
}
