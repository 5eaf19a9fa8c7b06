//! Queries for one name at one server: UDP with EDNS, retries on loss, TCP on truncation and on silence.
//!
//! The socket is connected, so that the kernel drops datagrams of any other source and reports an ICMP
//! "port unreachable". Ids come from the operating system's random source, ports from the kernel's
//! ephemeral range; a response must carry both and the question itself (RFC 5452, 9.1).

mod sockets;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use self::sockets::{exchange_over_tcp, messages_over_tcp, udp_socket};
use super::authority::Origin;
use super::chain::{self, Answer, Chain};
use crate::observation::dns::{Question, Transport};
use crate::observation::{LocalLimit, ViewOutcome};

/// The EDNS payload size that passes without fragments (DNS Flag Day 2020).
const PAYLOAD: u16 = 1232;

/// When a query is sent again, in parts of the limit: three attempts in all, and the last
/// has half of the time. An answer to any of them counts.
const RESEND_AT: [f64; 2] = [0.2, 0.5];

/// How much longer an answer with EDNS is waited for, once one without has come, in parts of the limit.
const EDNS_GRACE: f64 = 0.1;

/// When a server that is silent over UDP is queried over TCP as well, in parts of the limit. An answer
/// over UDP still counts.
const TCP_AT: f64 = 0.7;

const SILENT: &str = "no answer";

const TRUNCATED_AND_SILENT: &str = "truncated over UDP, and no answer over TCP";

/// How a server is queried.
#[derive(Clone, Copy)]
pub(super) struct QueryOptions {
    /// Not over UDP: `options use-vc` of resolv.conf, or a server that was silent over UDP.
    pub(super) tcp_only: bool,
    /// AAAA as well as A.
    pub(super) with_aaaa: bool,
    /// Without EDNS: the server was silent to queries with it.
    pub(super) without_edns: bool,
}

impl QueryOptions {
    fn record_types(self) -> &'static [RecordType] {
        if self.with_aaaa { &[RecordType::A, RecordType::AAAA] } else { &[RecordType::A] }
    }
}

/// Queries `server` for the A and AAAA records of `name`, within `limit`.
pub(super) async fn query(server: SocketAddr, name: &str, options: QueryOptions, limit: Duration) -> Vec<Answer> {
    let ids = random_ids().and_then(|ids| Ok((ids, random_ids()?)));
    let queries = match ids.and_then(|(ids, ids_without_edns)| {
        let queries = Queries::for_name(name, options, ids)?;
        if options.without_edns { Ok(queries) } else { queries.with_copies_without_edns(ids_without_edns) }
    }) {
        Ok(queries) => queries,
        Err(reason) => return unsent(name, options, &reason),
    };
    let mut exchange = Exchange { server, queries, limit };
    if !options.tcp_only {
        if let Err(error) = exchange.over_udp().await {
            for query in exchange.queries.open() {
                query.result = Some(Err(error.clone()));
            }
        }
        exchange.without_edns().await;
    }
    exchange.over_tcp(options.tcp_only).await;
    if options.tcp_only {
        exchange.without_edns().await;
    }
    exchange.queries.into_answers(name)
}

/// What [`query`] returns for given messages, to questions of the ids `first_id` and the one after it: each
/// message a datagram, but for the one after a truncated one, which comes over TCP. It takes as many
/// messages as it would have waited for.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn query_recorded(
    name: &str,
    options: QueryOptions,
    first_id: u16,
    messages: &mut std::vec::IntoIter<Vec<u8>>,
) -> Vec<Answer> {
    let mut queries = match Queries::for_name(name, options, [first_id, first_id.wrapping_add(1)]) {
        Ok(queries) => queries,
        Err(reason) => return unsent(name, options, &reason),
    };
    queries.list.iter_mut().for_each(|query| query.attempts = 1);
    while !queries.are_answered()
        && let Some(datagram) = messages.next()
    {
        queries.handle_datagram(&datagram);
    }
    for query in queries.list.iter_mut().filter(|query| query.truncated) {
        query.transport = Transport::Tcp;
        query.result = Some(match messages.next() {
            Some(message) => query.check_message(&message),
            None => Err(QueryError::timeout(TRUNCATED_AND_SILENT)),
        });
    }
    queries.into_answers(name)
}

/// The answers for a name that cannot be put into a query.
fn unsent(name: &str, options: QueryOptions, reason: &str) -> Vec<Answer> {
    let question = |record_type: &RecordType| Question {
        name: name.to_owned(),
        record_type: record_type.to_string(),
        outcome: ViewOutcome::Failed,
        rcode: None,
        transport: Transport::Udp,
        attempts: 0,
        truncated: false,
        udp_silent: false,
        edns_dropped: false,
        edns_refused: None,
        unexpected_datagrams: 0,
        answers: 0,
        took_seconds: Duration::ZERO.into(),
    };
    let types = options.record_types().iter();
    types
        .map(|record_type| Answer {
            question: question(record_type),
            chain: Err(reason.to_owned()),
            origin: Origin::default(),
        })
        .collect()
}

/// Why a query got no usable response.
#[derive(Clone)]
struct QueryError {
    outcome: ViewOutcome,
    reason: String,
}

impl QueryError {
    fn timeout(reason: &str) -> Self {
        Self { outcome: ViewOutcome::Timeout, reason: reason.to_owned() }
    }

    fn bad(reason: impl Into<String>) -> Self {
        Self { outcome: ViewOutcome::BadAnswer, reason: reason.into() }
    }

    /// Of a socket that could not be opened.
    fn no_socket(error: &io::Error) -> Self {
        Self::of_io(error, ViewOutcome::Failed, || format!("no socket: {error}"))
    }

    /// Of a server that could not be reached over UDP.
    fn unreachable(error: &io::Error) -> Self {
        Self::of_io(error, ViewOutcome::Unreachable, || match error.kind() {
            io::ErrorKind::ConnectionRefused => "nothing listens on the port (ICMP port unreachable)".to_owned(),
            _ => error.to_string(),
        })
    }

    fn of_io(error: &io::Error, outcome: ViewOutcome, reason: impl FnOnce() -> String) -> Self {
        match LocalLimit::of(error) {
            Some(limit) => Self { outcome: ViewOutcome::NotReached, reason: limit.reason() },
            None => Self { outcome, reason: reason() },
        }
    }
}

type QueryResult = Result<Box<Message>, QueryError>;

/// A query that was sent, or is to be sent.
struct InFlightQuery {
    name: Name,
    record_type: RecordType,
    id: u16,
    wire: Vec<u8>,
    attempts: u32,
    truncated: bool,
    udp_silent: bool,
    edns_dropped: bool,
    /// The response code of the answer with EDNS, where the one without EDNS has taken its place.
    edns_refused: Option<String>,
    /// The same query without EDNS, sent once beside the last attempt.
    without_edns: Option<Box<InFlightQuery>>,
    unexpected_datagrams: u32,
    transport: Transport,
    took: Option<Duration>,
    result: Option<QueryResult>,
}

impl InFlightQuery {
    fn new(name: &str, record_type: RecordType, id: u16, edns: bool) -> Result<Self, String> {
        let mut name = Name::from_ascii(name).map_err(|error| format!("{name} cannot be queried: {error}"))?;
        name.set_fqdn(true);
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(name.clone(), record_type));
        if edns {
            let mut extension = Edns::new();
            extension.set_max_payload(PAYLOAD).set_version(0);
            message.set_edns(extension);
        }
        let wire = message.to_vec().map_err(|error| format!("{name} cannot be queried: {error}"))?;
        Ok(Self {
            name,
            record_type,
            id,
            wire,
            attempts: 0,
            truncated: false,
            udp_silent: false,
            edns_dropped: false,
            edns_refused: None,
            without_edns: None,
            unexpected_datagrams: 0,
            transport: Transport::Udp,
            took: None,
            result: None,
        })
    }

    /// Whether `message` answers this query: id, direction, and the question itself. A server that cannot read a
    /// query answers with the header alone.
    fn is_answered_by(&self, message: &Message) -> bool {
        message.metadata.id == self.id
            && message.metadata.message_type == MessageType::Response
            && match message.queries.as_slice() {
                [query] => query.name == self.name && query.query_type == self.record_type,
                [] => is_refusal_of_edns(message),
                [..] => false,
            }
    }

    /// The result of a message that came over TCP.
    fn check_message(&self, message: &[u8]) -> QueryResult {
        match Message::from_vec(message) {
            Ok(message) if self.is_answered_by(&message) => Ok(Box::new(message)),
            Ok(_) => Err(QueryError::bad("the answer over TCP is for another question")),
            Err(error) => Err(QueryError::bad(format!("the answer over TCP cannot be decoded: {error}"))),
        }
    }

    fn copy_is_answered(&self) -> bool {
        self.without_edns.as_ref().is_some_and(|copy| copy.result.is_some())
    }

    /// The response code with which the server answers to EDNS instead of the question.
    fn refusal_of_edns(&self) -> Option<String> {
        let message = self.result.as_ref()?.as_ref().ok().filter(|message| is_refusal_of_edns(message))?;
        Some(chain::rcode_name(message.metadata.response_code))
    }

    /// Sends the query over a TCP connection of its own.
    async fn send_over_tcp(&self, server: SocketAddr) -> QueryResult {
        match exchange_over_tcp(server, &self.wire).await {
            Ok(message) => self.check_message(&message),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(QueryError::bad("the server closed the TCP connection before a whole answer"))
            }
            Err(error) => {
                Err(QueryError::of_io(&error, ViewOutcome::Unreachable, || format!("TCP to {server}: {error}")))
            }
        }
    }

    fn into_answer(self, name: &str, began: Instant) -> Answer {
        let took = self.took.unwrap_or_else(|| began.elapsed());
        let origin = match &self.result {
            Some(Ok(message)) => Origin::of(message),
            Some(Err(_)) | None => Origin::default(),
        };
        let (outcome, rcode, answers, chain) = match self.result {
            Some(Ok(message)) => {
                let chain = Chain::of(&message, &self.name, self.record_type);
                let outcome = chain::outcome_of(&message, &chain);
                let rcode = chain::rcode_name(message.metadata.response_code);
                (outcome, Some(rcode), message.answers.len(), chain)
            }
            Some(Err(QueryError { outcome: ViewOutcome::Timeout, .. })) | None if self.unexpected_datagrams > 0 => {
                let reason =
                    format!("{} datagrams came, none of them an answer to the question", self.unexpected_datagrams);
                (ViewOutcome::BadAnswer, None, 0, Err(reason))
            }
            Some(Err(QueryError { outcome, reason })) => (outcome, None, 0, Err(reason)),
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
            edns_dropped: self.edns_dropped,
            edns_refused: self.edns_refused,
            unexpected_datagrams: self.unexpected_datagrams,
            answers,
            took_seconds: took.into(),
        };
        Answer { question, chain, origin }
    }
}

/// The queries for one name.
struct Queries {
    list: Vec<InFlightQuery>,
    began: Instant,
}

impl Queries {
    fn for_name(name: &str, options: QueryOptions, ids: [u16; 2]) -> Result<Self, String> {
        let types = options.record_types().iter().zip(ids);
        let edns = !options.without_edns;
        let list = types.map(|(record_type, id)| InFlightQuery::new(name, *record_type, id, edns));
        Ok(Self { list: list.collect::<Result<_, _>>()?, began: Instant::now() })
    }

    /// Some firewalls and forwarders drop queries with EDNS: each query has a copy without.
    fn with_copies_without_edns(mut self, ids: [u16; 2]) -> Result<Self, String> {
        for (query, id) in self.list.iter_mut().zip(ids) {
            let copy = InFlightQuery::new(&query.name.to_ascii(), query.record_type, id, false)?;
            query.without_edns = Some(Box::new(copy));
        }
        Ok(self)
    }

    fn open(&mut self) -> impl Iterator<Item = &mut InFlightQuery> {
        self.list.iter_mut().filter(|query| query.result.is_none())
    }

    fn are_answered(&self) -> bool {
        self.list.iter().all(|query| query.result.is_some())
    }

    /// Whether each is answered, some of them only without EDNS.
    fn are_answered_without_edns(&self) -> bool {
        self.list.iter().all(|query| query.result.is_some() || query.copy_is_answered())
    }

    /// Takes the answers without EDNS where there are no others.
    fn take_answers_without_edns(&mut self) {
        for query in self.open().filter(|query| query.copy_is_answered()) {
            let Some(copy) = query.without_edns.take() else { continue };
            let attempts = query.attempts;
            *query = InFlightQuery { attempts, edns_dropped: true, ..*copy };
        }
    }

    fn handle_datagram(&mut self, datagram: &[u8]) {
        let took = self.began.elapsed();
        match Message::from_vec(datagram) {
            Ok(message) => {
                let answered = self.open().find_map(|query| match query.is_answered_by(&message) {
                    true => Some(query),
                    false => {
                        let copy = query.without_edns.as_deref_mut();
                        copy.filter(|copy| copy.attempts > 0 && copy.is_answered_by(&message))
                    }
                });
                if let Some(query) = answered {
                    query.took = Some(took);
                    query.truncated = message.metadata.truncation;
                    query.result = Some(Ok(Box::new(message)));
                    return;
                }
            }
            // It may be forged, so the query stays open for a better one.
            Err(error) => tracing::trace!(%error, "undecodable DNS answer"),
        }
        if let Some(query) = self.open().next() {
            query.unexpected_datagrams += 1;
        }
    }

    fn into_answers(self, name: &str) -> Vec<Answer> {
        let Self { list, began } = self;
        list.into_iter().map(|query| query.into_answer(name, began)).collect()
    }
}

/// The queries for one name at one server.
struct Exchange {
    server: SocketAddr,
    queries: Queries,
    limit: Duration,
}

impl Exchange {
    /// What is left until this part of the limit.
    fn left_until(&self, part: f64) -> Duration {
        self.limit.mul_f64(part).saturating_sub(self.queries.began.elapsed())
    }

    /// Sends every query and receives until all are answered or the limit has passed. Where
    /// nothing at all has come by [`TCP_AT`], the queries go over TCP as well.
    async fn over_udp(&mut self) -> Result<(), QueryError> {
        let socket = udp_socket(self.server)?;
        // Before tokio has the socket: a new one's buffer has room for the queries.
        for query in self.queries.open() {
            query.attempts += 1;
            socket.send(&query.wire).map_err(|error| QueryError::unreachable(&error))?;
        }
        let socket = UdpSocket::from_std(socket).map_err(|error| QueryError::no_socket(&error))?;
        for (index, until) in RESEND_AT.into_iter().chain([TCP_AT]).enumerate() {
            for query in self.queries.open().filter(|_| index > 0) {
                query.attempts += 1;
                socket.send(&query.wire).await.map_err(|error| QueryError::unreachable(&error))?;
                if let Some(copy) = query.without_edns.as_mut().filter(|_| index == RESEND_AT.len()) {
                    copy.attempts += 1;
                    socket.send(&copy.wire).await.map_err(|error| QueryError::unreachable(&error))?;
                }
            }
            if let Ok(result) = timeout(self.left_until(until), self.receive(&socket)).await {
                return result;
            }
        }
        let left = self.left_until(1.0);
        let silent = Err(QueryError::timeout(SILENT));
        if self.queries.list.iter().any(|query| query.result.is_some() || query.unexpected_datagrams > 0) {
            return timeout(left, self.receive(&socket)).await.unwrap_or(silent);
        }
        let server = self.server;
        let wires: Vec<(u16, Vec<u8>)> = self.queries.list.iter().map(|query| (query.id, query.wire.clone())).collect();
        let either = async {
            tokio::select! {
                result = self.receive(&socket) => result.map(|()| Vec::new()),
                messages = messages_over_tcp(server, &wires) => Ok(messages),
            }
        };
        let messages = timeout(left, either).await.unwrap_or_else(|_| Err(QueryError::timeout(SILENT)))?;
        let took = self.queries.began.elapsed();
        for message in messages {
            if let Some(query) = self.queries.open().find(|query| query.is_answered_by(&message)) {
                query.transport = Transport::Tcp;
                query.udp_silent = true;
                query.took = Some(took);
                query.result = Some(Ok(Box::new(message)));
            }
        }
        if self.queries.are_answered() { Ok(()) } else { silent }
    }

    /// Receives datagrams until every query is answered.
    async fn receive(&mut self, socket: &UdpSocket) -> Result<(), QueryError> {
        let mut buffer = [0u8; 4096];
        while !self.queries.are_answered() {
            let received = socket.recv(&mut buffer);
            // An answer with EDNS counts more; the last attempt sent both at once.
            let received = if self.queries.are_answered_without_edns() {
                match timeout(self.limit.mul_f64(EDNS_GRACE), received).await {
                    Ok(received) => received,
                    Err(_) => {
                        self.queries.take_answers_without_edns();
                        continue;
                    }
                }
            } else {
                received.await
            };
            let length = received.map_err(|error| QueryError::unreachable(&error))?;
            self.queries.handle_datagram(&buffer[..length]);
        }
        Ok(())
    }

    /// Servers older than EDNS answer FORMERR or NOTIMP to it (RFC 6891, 7): sends those queries again without.
    async fn without_edns(&mut self) {
        let (server, limit, began) = (self.server, self.limit, self.queries.began);
        for query in &mut self.queries.list {
            let Some(refusal) = query.refusal_of_edns() else { continue };
            let plain = random_ids()
                .and_then(|[id, _]| InFlightQuery::new(&query.name.to_ascii(), query.record_type, id, false));
            let Ok(plain) = plain else { continue };
            let mut again = Self { server, queries: Queries { list: vec![plain], began }, limit };
            // Without another answer, the first one stands.
            match query.transport {
                Transport::Udp => drop(again.over_udp().await),
                Transport::Tcp => again.over_tcp(true).await,
            }
            let is_answer =
                |query: &InFlightQuery| matches!(query.result, Some(Ok(_))) && query.refusal_of_edns().is_none();
            if let Some(answered) = again.queries.list.pop().filter(is_answer) {
                let attempts = query.attempts + answered.attempts;
                *query = InFlightQuery { attempts, edns_refused: Some(refusal), ..answered };
            }
        }
    }

    /// Sends again over TCP what was truncated (RFC 7766, 5), or every query where `all` says so.
    async fn over_tcp(&mut self, all: bool) {
        let (server, limit, began) = (self.server, self.limit, self.queries.began);
        for query in self.queries.list.iter_mut().filter(|query| all || query.truncated) {
            query.transport = Transport::Tcp;
            let silent = if query.truncated { TRUNCATED_AND_SILENT } else { "no answer over TCP" };
            let result = timeout(limit.saturating_sub(began.elapsed()), query.send_over_tcp(server)).await;
            query.attempts = query.attempts.max(1);
            query.result = Some(result.unwrap_or_else(|_| Err(QueryError::timeout(silent))));
            query.took = Some(began.elapsed());
        }
    }
}

fn is_refusal_of_edns(message: &Message) -> bool {
    matches!(
        message.metadata.response_code,
        ResponseCode::FormErr | ResponseCode::NotImp | ResponseCode::BADVERS | ResponseCode::BADSIG // both are 16
    )
}

/// Ids for two queries.
fn random_ids() -> Result<[u16; 2], String> {
    let [a, b, c, d] = getrandom::u32().map_err(|error| format!("no random numbers: {error}"))?.to_ne_bytes();
    Ok([u16::from_ne_bytes([a, b]), u16::from_ne_bytes([c, d])])
}
