//! The auth and ping phases, and the cluster's question, over a stream that is already open, and verified where it is TLS.
//!
//! A secret leaves here in one place, the `AUTH` command, and no reply that repeats it is kept.

mod close;
mod cluster;
mod reply;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{ServerError, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::rustls::AlertDescription;
use zeroize::Zeroizing;

pub(super) use self::cluster::{ClusterQuery, ClusterReply};
pub(super) use self::reply::RespConnection;
use self::reply::{ReadError, Reply};
use super::budget::{Budget, StopReason};
use super::socket_timestamps::DualClock;
use super::token::{Token, Tokens};
use super::{credential, escape, tls};
use crate::clock::Seconds;
use crate::observation::StoppedBy;
use crate::observation::redis::{AuthFacts, AuthMethod, PingReply};
use crate::observation::{Connection, ConnectionPhases, Phase, PingFacts, RedisFailure, SkipReason};
use crate::phase::PhaseOutcome;
use crate::plan::{Auth, EntraAuth, PasswordSource, Plan};
use crate::secret::Secret;

/// The most characters of an error reply that are kept.
const MAX_MESSAGE: usize = 256;

/// How much of a reply that is not Redis' is shown.
const SHOWN: usize = 64;

/// Says who the probe is, where it may, and pings; writes both phases and their facts down. After a
/// `PONG`, and where `asked` is wanted, asks for the nodes of the cluster.
///
/// Returns the TLS alert that came in place of a first reply, where one did: the peer's judgement of
/// the handshake.
pub(super) async fn run_session<S: AsyncRead + AsyncWrite + Unpin>(
    conversation: RespConnection<S>,
    plan: &Plan,
    tokens: &Tokens,
    budget: &Budget,
    phases: &mut ConnectionPhases,
    connection: &mut Connection,
    asked: Option<&mut Option<ClusterQuery>>,
) -> Option<AlertDescription> {
    let mut run_session = RedisSession::new(conversation);
    run_session.phases(plan, tokens, budget, phases, connection).await;
    if let Some(asked) = asked
        && connection.ping.as_ref().is_some_and(|ping| ping.reply == PingReply::Pong)
        && phases.ping.is_done()
        && run_session.usable
    {
        *asked = Some(cluster::ask(&mut run_session, plan.target.tls, budget).await);
    }
    let refusal = run_session.refusal.take();
    let polite = run_session.replied && run_session.usable;
    close::say(run_session.conversation.stream(), polite, budget).await;
    refusal
}

/// A conversation and what it must remember.
struct RedisSession<S> {
    conversation: RespConnection<S>,
    /// The secret that was read, so that no reply that repeats it is kept.
    secret: Option<Arc<Secret>>,
    /// Whether a Redis has answered.
    replied: bool,
    /// Whether the next reply would be the next command's.
    usable: bool,
    /// The alert that came before the first answer.
    refusal: Option<AlertDescription>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> RedisSession<S> {
    fn new(conversation: RespConnection<S>) -> Self {
        Self { conversation, secret: None, replied: false, usable: true, refusal: None }
    }

    async fn phases(
        &mut self,
        plan: &Plan,
        tokens: &Tokens,
        budget: &Budget,
        phases: &mut ConnectionPhases,
        connection: &mut Connection,
    ) {
        let mut facts =
            AuthFacts { method: AuthMethod::None, username: None, credential_error: None, token_renewed: false };
        phases.auth = self.authenticate(plan, tokens, connection.address.ip(), budget, &mut facts).await;
        match phases.auth.summary().outcome {
            PhaseOutcome::Done | PhaseOutcome::Skipped => connection.auth = Some(facts),
            PhaseOutcome::Failed => {
                connection.auth = Some(facts);
                phases.ping = Phase::NotReached { stopped_by: StoppedBy::Auth };
                return;
            }
            PhaseOutcome::NotReached => {
                phases.ping = Phase::NotReached { stopped_by: StoppedBy::Interrupt };
                return;
            }
        }
        phases.ping = self.ping(plan.samples, budget, &mut connection.ping).await;
    }

    async fn authenticate(
        &mut self,
        plan: &Plan,
        tokens: &Tokens,
        address: IpAddr,
        budget: &Budget,
        facts: &mut AuthFacts,
    ) -> Phase<RedisFailure> {
        facts.method = match &plan.auth {
            Auth::None => return Phase::Skipped { reason: SkipReason::NoCredentials },
            Auth::Password { .. } => AuthMethod::Password,
            Auth::Entra(_) => AuthMethod::Entra,
        };
        let (Auth::Password { username, .. } | Auth::Entra(EntraAuth { username, .. })) = &plan.auth else {
            return Phase::Skipped { reason: SkipReason::NoCredentials };
        };
        facts.username.clone_from(username);
        // A wildcard certificate covers other people's caches, too: the address has to be right as well.
        if !plan.expectation.allows(address) {
            return Phase::Skipped { reason: SkipReason::WithheldUnexpectedAddress };
        }
        // Everybody on the way could read them, and nothing proves who answers.
        if !plan.target.tls {
            return Phase::Skipped { reason: SkipReason::Plaintext };
        }
        match &plan.auth {
            Auth::None => Phase::Skipped { reason: SkipReason::NoCredentials },
            Auth::Password { source, .. } => self.auth_password(source, budget, facts).await,
            Auth::Entra(auth) => self.auth_token(auth, tokens, budget, facts).await,
        }
    }

    async fn auth_password(
        &mut self,
        source: &PasswordSource,
        budget: &Budget,
        facts: &mut AuthFacts,
    ) -> Phase<RedisFailure> {
        let secret = match budget.phase(credential::read(source)).await {
            Ok(Ok(secret)) => secret,
            Ok(Err(error)) => {
                facts.credential_error = Some(error);
                return Phase::Skipped { reason: SkipReason::CredentialUnavailable };
            }
            Err(StopReason::Timeout) => {
                facts.credential_error = Some("reading the password took longer than the phase may".to_owned());
                return Phase::Skipped { reason: SkipReason::CredentialUnavailable };
            }
            Err(StopReason::Interrupt) => return Phase::NotReached { stopped_by: StoppedBy::Interrupt },
        };
        self.log_in(facts.username.as_deref(), secret, budget).await
    }

    /// A token that was kept from an earlier probe and is rejected now is fetched anew, once.
    async fn auth_token(
        &mut self,
        auth: &EntraAuth,
        tokens: &Tokens,
        budget: &Budget,
        facts: &mut AuthFacts,
    ) -> Phase<RedisFailure> {
        let token = match budget.token(tokens.get(auth)).await {
            Ok(Ok(token)) => token,
            // The token phase says why.
            Ok(Err(_)) | Err(StopReason::Timeout) => {
                return Phase::Skipped { reason: SkipReason::CredentialUnavailable };
            }
            Err(StopReason::Interrupt) => return Phase::NotReached { stopped_by: StoppedBy::Interrupt },
        };
        let name = |token: &Token| auth.username.clone().or_else(|| token.object_id().map(str::to_owned));
        facts.username = name(&token);
        let first = self.log_in(facts.username.as_deref(), token.secret(), budget).await;
        let rejected = matches!(first.failure(), Some(RedisFailure::ErrorReply { code, .. }) if code == "WRONGPASS");
        if !rejected || token.was_issued_after(budget.begun()) {
            return first;
        }
        match budget.token(tokens.renew(auth, &token)).await {
            Ok(Some(newer)) => {
                facts.token_renewed = true;
                facts.username = name(&newer);
                self.log_in(facts.username.as_deref(), newer.secret(), budget).await
            }
            Ok(None) | Err(_) => first,
        }
    }

    async fn log_in(&mut self, username: Option<&str>, secret: Arc<Secret>, budget: &Budget) -> Phase<RedisFailure> {
        let command = match username {
            Some(username) => packed(&["AUTH", username, secret.expose()]),
            None => packed(&["AUTH", secret.expose()]),
        };
        self.secret = Some(secret);
        let sent = DualClock::now();
        let outcome = budget.phase(self.call(&command)).await;
        let took = match &outcome {
            Ok(Ok(_) | Err(RedisFailure::ErrorReply { .. })) => sent.until(self.conversation.arrival()),
            Ok(Err(_)) | Err(_) => sent.elapsed(), // with no reply, none came
        };
        match outcome {
            Ok(Ok(Value::Okay)) => Phase::done(took),
            Ok(Ok(other)) => Phase::failed(took, self.unexpected(&other)),
            Ok(Err(failure)) => Phase::failed(took, failure),
            Err(StopReason::Timeout) => {
                self.usable = false;
                Phase::failed(took, RedisFailure::Timeout)
            }
            Err(StopReason::Interrupt) => {
                self.usable = false;
                Phase::NotReached { stopped_by: StoppedBy::Interrupt }
            }
        }
    }

    /// The phase's time is that of the first `PING`, what a probe with a single sample would see;
    /// the further ones are in the facts, which keep those that came where a later one fails.
    async fn ping(&mut self, samples: u16, budget: &Budget, facts: &mut Option<PingFacts>) -> Phase<RedisFailure> {
        let mut pings = Pings::default();
        let begun = Instant::now();
        let outcome = budget.phase(self.ping_repeatedly(samples, budget.phase_limit() / 2, &mut pings)).await;
        let took = begun.elapsed();
        *facts = pings.facts();
        let phase = match outcome {
            Ok(Ok(())) => return Phase::done(pings.times.first().copied().unwrap_or(took)),
            Ok(Err(failure)) => Phase::failed(took, failure),
            Err(StopReason::Timeout) => Phase::failed(took, RedisFailure::Timeout),
            // What is known by then is kept.
            Err(StopReason::Interrupt) => match pings.times.first() {
                Some(first) => Phase::done(*first),
                None => Phase::NotReached { stopped_by: StoppedBy::Interrupt },
            },
        };
        self.usable &= matches!(phase, Phase::Failed { failure: RedisFailure::ErrorReply { .. }, .. });
        phase
    }

    /// Pings up to `samples` times. No sample begins later than `last_start`, so that one that runs
    /// into the phase's limit has been waited for and was not merely the last of too many.
    async fn ping_repeatedly(
        &mut self,
        samples: u16,
        last_start: Duration,
        pings: &mut Pings,
    ) -> Result<(), RedisFailure> {
        let command = packed(&["PING"]);
        let begun = Instant::now();
        while pings.times.is_empty() || (pings.times.len() < samples.into() && begun.elapsed() < last_start) {
            let sent = DualClock::now();
            let reply = match self.call(&command).await {
                Ok(Value::SimpleString(text)) if text == "PONG" => PingReply::Pong,
                Ok(other) => return Err(self.unexpected(&other)),
                Err(RedisFailure::ErrorReply { code, .. }) if code == "NOAUTH" => PingReply::Noauth,
                Err(RedisFailure::ErrorReply { code, .. }) if code == "NOPERM" => PingReply::Noperm,
                Err(failure) => return Err(failure),
            };
            pings.times.push(sent.until(self.conversation.arrival()));
            if *pings.reply.get_or_insert(reply) != reply {
                let reply = format!("{reply:?} after another reply to the same command");
                return Err(RedisFailure::UnexpectedReply { reply });
            }
        }
        Ok(())
    }

    async fn call(&mut self, command: &[u8]) -> Result<Value, RedisFailure> {
        match self.conversation.call(command).await {
            Ok(Reply::Answer(Value::ServerError(error))) => {
                self.replied = true;
                Err(self.error_reply(&error))
            }
            Ok(Reply::Answer(value)) => {
                self.replied = true;
                Ok(value)
            }
            Ok(Reply::Unsolicited(value)) => {
                self.usable = false;
                let reply = format!("{}, before anything was asked", self.kept(&shown(&value), SHOWN));
                Err(RedisFailure::UnexpectedReply { reply })
            }
            Err(broken) => {
                self.usable = false;
                Err(self.failure(broken))
            }
        }
    }

    fn failure(&mut self, broken: ReadError) -> RedisFailure {
        let error = match broken {
            ReadError::NotRedis(head) => return RedisFailure::NotRedis { error: self.beginning(&head) },
            ReadError::TooLong(limit) => return RedisFailure::TooLong { limit: limit as u64 },
            ReadError::Closed => return RedisFailure::Closed,
            ReadError::Failed(error) => error,
        };
        if let Some(alert) = tls::alert_in(&error) {
            if !self.replied {
                self.refusal = Some(alert);
            }
            return RedisFailure::Other { error: format!("the peer sent the TLS alert {}", tls::alert_name(alert)) };
        }
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => RedisFailure::Reset,
            io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => RedisFailure::Closed,
            io::ErrorKind::TimedOut => RedisFailure::Timeout,
            _ => RedisFailure::Other { error: escape::of_text(&error.to_string(), MAX_MESSAGE) },
        }
    }

    /// How something that is not Redis' protocol begins.
    fn beginning(&self, head: &[u8]) -> String {
        if head.starts_with(&[0x15, 3]) {
            return "it begins with a TLS alert: the port speaks TLS".to_owned();
        }
        let shown = escape::of_bytes(head, SHOWN);
        if self.repeats_secret(&String::from_utf8_lossy(head)) || self.repeats_secret(&shown) {
            return WITHHELD.to_owned();
        }
        format!("it begins with \"{shown}\"")
    }

    fn error_reply(&self, error: &ServerError) -> RedisFailure {
        let (code, details) = (error.code(), error.details().unwrap_or_default());
        // The two are told as one line, and the secret may have a blank in it.
        let line = format!("{code} {details}");
        let is_known = KNOWN_CODES.contains(&code);
        let is_a_code = code.len() <= 32
            && code.starts_with(|first: char| first.is_ascii_uppercase())
            && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
            && (is_known || !self.repeats_secret(&line));
        if is_a_code {
            let looked_at = if is_known && self.repeats_secret(code) { details } else { &line };
            let message =
                if self.repeats_secret(looked_at) { WITHHELD.to_owned() } else { self.kept(details, MAX_MESSAGE) };
            return RedisFailure::ErrorReply { code: code.to_owned(), message };
        }
        RedisFailure::ErrorReply { code: "ERR".to_owned(), message: self.kept(&line, MAX_MESSAGE) }
    }

    fn unexpected(&self, value: &Value) -> RedisFailure {
        RedisFailure::UnexpectedReply { reply: self.kept(&shown(value), SHOWN) }
    }

    /// The text, escaped and bounded, or a fixed one in place of a text that repeats the secret.
    fn kept(&self, text: &str, most: usize) -> String {
        let shown = escape::of_text(text, most);
        // As it came and as it is shown: the end of an escape may be the beginning of the secret.
        if self.repeats_secret(text) || self.repeats_secret(&shown) { WITHHELD.to_owned() } else { shown }
    }

    fn repeats_secret(&self, text: &str) -> bool {
        self.secret.as_ref().is_some_and(|secret| secret.is_repeated_in(text))
    }
}

/// What stands in place of a text that repeats the secret.
const WITHHELD: &str = "(withheld: it repeats the credential)";

/// Codes that a server may give whatever the secret: that a password is `PASS` must not hide `WRONGPASS`.
const KNOWN_CODES: [&str; 15] = [
    "ASK",
    "BUSY",
    "CLUSTERDOWN",
    "DENIED",
    "ERR",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "MOVED",
    "NOAUTH",
    "NOPERM",
    "NOPROTO",
    "READONLY",
    "TRYAGAIN",
    "WRONGPASS",
];

/// A reply as a person would write it down: its text whole, or else its kind.
fn shown(value: &Value) -> String {
    match value {
        Value::Nil => "nil".to_owned(),
        Value::Okay => "OK".to_owned(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => text.clone(),
        Value::BulkString(bytes) | Value::BigNumber(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Int(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Boolean(value) => value.to_string(),
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Set(items) => format!("a set of {}", items.len()),
        Value::Map(pairs) => format!("a map of {}", pairs.len()),
        _ => "a reply of another type".to_owned(),
    }
}

fn packed(arguments: &[&str]) -> Zeroizing<Vec<u8>> {
    let arguments = Zeroizing::new(arguments.iter().map(|argument| argument.as_bytes().to_vec()).collect::<Vec<_>>());
    Zeroizing::new(redis::pack_command(&arguments))
}

/// The replies to `PING` so far.
#[derive(Default)]
struct Pings {
    reply: Option<PingReply>,
    times: Vec<Duration>,
}

impl Pings {
    fn facts(&self) -> Option<PingFacts> {
        let reply = self.reply?;
        let mut times = self.times.clone();
        times.sort_unstable();
        let (&min, &max) = (times.first()?, times.last()?);
        let median = (times[(times.len() - 1) / 2] + times[times.len() / 2]) / 2;
        Some(PingFacts {
            reply,
            samples: u16::try_from(times.len()).unwrap_or(u16::MAX),
            min_seconds: Seconds(min),
            median_seconds: Seconds(median),
            max_seconds: Seconds(max),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::cluster::topology;
    use super::super::socket_timestamps::LastReceived;
    use super::*;
    use crate::observation::cluster::ClusterCommand;

    #[test]
    fn ping_median_is_the_middle_sample() {
        let facts = |millis: &[u64]| {
            let times = millis.iter().map(|&ms| Duration::from_millis(ms)).collect();
            Pings { reply: Some(PingReply::Pong), times }.facts()
        };
        let odd = facts(&[9, 1, 5]).expect("three times");
        assert_eq!(
            (odd.samples, odd.median_seconds, odd.max_seconds),
            (3, Seconds(Duration::from_millis(5)), Seconds(Duration::from_millis(9)))
        );
        assert_eq!(facts(&[4, 2]).expect("two times").median_seconds, Seconds(Duration::from_millis(3)));
        assert_eq!(facts(&[]), None);
    }

    fn run_session(secret: Option<&str>) -> RedisSession<tokio::io::Empty> {
        let secret = secret.map(|text| Arc::new(Secret::new(text.to_owned())));
        RedisSession { secret, ..RedisSession::new(RespConnection::new(tokio::io::empty(), LastReceived::default())) }
    }

    fn error(line: &str) -> ServerError {
        match redis::parse_redis_value(format!("-{line}\r\n").as_bytes()) {
            Ok(Value::ServerError(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn redis_error_splits_code_and_message() {
        for (line, code, message) in [
            ("NOAUTH Authentication required.", "NOAUTH", "Authentication required."),
            ("ERR max number of clients reached", "ERR", "max number of clients reached"),
            ("LOADING Redis is loading", "LOADING", "Redis is loading"),
            ("MOVED 3999 10.0.0.5:15001", "MOVED", "3999 10.0.0.5:15001"),
            ("DENIED Redis is running in protected mode", "DENIED", "Redis is running in protected mode"),
            ("something odd\u{1b}[2J", "ERR", "something odd\\u{1b}[2J"),
            ("ERR", "ERR", ""),
        ] {
            let expected = RedisFailure::ErrorReply { code: code.into(), message: message.into() };
            assert_eq!(run_session(None).error_reply(&error(line)), expected, "{line}");
        }
        let RedisFailure::ErrorReply { message, .. } =
            run_session(None).error_reply(&error(&format!("ERR {}", "x".repeat(999))))
        else {
            panic!("an error reply")
        };
        assert_eq!(message.chars().count(), MAX_MESSAGE + 1);
    }

    #[test]
    fn redis_reply_with_secret_is_redacted() {
        let talking = run_session(Some("hunter2-canary"));
        for line in
            ["ERR unknown command 'AUTH' with args 'hunter2-c'", "hunter2-canary is wrong", "HUNTER hunter2-canary"]
        {
            let RedisFailure::ErrorReply { code, message } = talking.error_reply(&error(line)) else {
                panic!("{line}")
            };
            assert!(!format!("{code} {message}").contains("hunter2"), "{line}: {code} {message}");
        }
        assert_eq!(talking.beginning(b"<p>AUTH hunter2-canary"), WITHHELD);
        assert_eq!(talking.kept("hunter2-canary", 64), WITHHELD);
        // Five characters of it, and an escape that ends with the sixth.
        assert_eq!(talking.beginning(b"-ERR \x9canary"), WITHHELD);
        assert_eq!(run_session(Some("b}hunter2")).kept("\u{8b}hunt", 64), WITHHELD);
        // A secret with a blank in it, and a server that takes its first word for a code.
        let blank = run_session(Some("OPEN SESAME")).error_reply(&error("OPEN SESAM"));
        assert_eq!(blank, RedisFailure::ErrorReply { code: "ERR".into(), message: WITHHELD.into() });
        let known = run_session(Some("my ERR OPENS")).error_reply(&error("ERR OPENS"));
        assert_eq!(known, RedisFailure::ErrorReply { code: "ERR".into(), message: WITHHELD.into() });
        let short = run_session(Some("PASS"));
        assert!(
            matches!(short.error_reply(&error("WRONGPASS no")), RedisFailure::ErrorReply { code, .. } if code == "WRONGPASS")
        );
    }

    #[test]
    fn cluster_node_named_by_secret_is_omitted() {
        let reply = b"*1\r\n*4\r\n:0\r\n:1\r\n*2\r\n$14\r\nhunter2-canary\r\n:6380\r\n*2\r\n$4\r\nnode\r\n:6380\r\n";
        let reply = redis::parse_redis_value(reply).expect("a reply");
        let talking = run_session(Some("hunter2-canary"));
        let command = ClusterCommand::ClusterSlots;
        let answer = cluster::judged(&talking, Ok(reply), command, topology::of_slots);
        let ClusterReply::Announced(_, announced) = answer else { panic!("it is an announcement") };
        assert_eq!((announced.nodes.len(), announced.left_out), (1, 1));
        assert!(!format!("{announced:?}").contains("hunter2"));
    }

    #[test]
    fn redis_detects_tls_port() {
        assert!(run_session(None).beginning(&[0x15, 3, 3, 0, 2, 2, 22]).contains("the port speaks TLS"));
        assert_eq!(run_session(None).beginning(b"HTTP/1.1 400\r\n"), "it begins with \"HTTP/1.1 400\\r\\n\"");
    }
}
