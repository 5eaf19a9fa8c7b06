//! The auth and ping phases, and the query for the cluster's nodes, over a stream that is open and, where it is TLS,
//! verified.
//!
//! A secret leaves here in one place, the `AUTH` command, and no reply that repeats it is recorded.

mod client_info;
mod client_list;
mod close;
mod cluster;
mod held;
mod redact;
mod reply;
mod server_info;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::rustls::AlertDescription;
use zeroize::Zeroizing;

pub(super) use self::client_list::ClientListReply;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) use self::client_list::fuzzing::client_list;
pub(super) use self::cluster::{ClusterQuery, ClusterReply};
pub(super) use self::held::{HeldSession, SessionEnd};
use self::redact::Redactor;
pub(super) use self::reply::RespConnection;
use self::reply::{ReadError, Reply};
use super::budget::{Budget, StopReason};
use super::context::ProbeContext;
use super::socket_timestamps::DualClock;
use super::token::Token;
use super::{credential, tls};
use crate::clock::Seconds;
use crate::observation::client_info::ServerSees;
use crate::observation::redis::{AuthFacts, AuthMethod, PingReply, SecretForm, Surroundings};
use crate::observation::{Phase, PingFacts, RedisFailure, ServerInfo, SkipReason, StoppedBy};
use crate::plan::{Auth, EntraAuth, PasswordSource, Plan};
use crate::printable::excerpt;
use crate::secret::Secret;

/// The most characters of an error of the system that are recorded.
const MAX_ERROR: usize = 256;

/// What came of a session with a Redis.
pub(super) struct RedisOutcome {
    pub(super) auth: Phase<RedisFailure>,
    pub(super) ping: Phase<RedisFailure>,
    /// Absent where `AUTH` was interrupted or not reached.
    pub(super) auth_facts: Option<AuthFacts>,
    /// Absent where no `PING` was answered.
    pub(super) ping_facts: Option<PingFacts>,
    /// The query for the nodes of the cluster; `None` where it was not sent.
    pub(super) cluster: Option<ClusterQuery>,
    /// The address under which the server sees the probe; `None` where it was not asked.
    pub(super) server_sees: Option<ServerSees>,
    /// What the server says of itself; `None` where it was not asked.
    pub(super) server_info: Option<ServerInfo>,
    /// All its clients; `None` where it was not asked.
    pub(super) clients: Option<ClientListReply>,
    /// The TLS alert that came in place of the first reply: the peer has rejected the handshake.
    pub(super) tls_alert: Option<AlertDescription>,
}

impl RedisOutcome {
    /// No phase was reached.
    pub(super) fn not_reached(stopped_by: StoppedBy) -> Self {
        Self {
            auth: Phase::NotReached { stopped_by },
            ping: Phase::NotReached { stopped_by },
            auth_facts: None,
            ping_facts: None,
            cluster: None,
            server_sees: None,
            server_info: None,
            clients: None,
            tls_alert: None,
        }
    }
}

/// Authenticates to the server at `address` if allowed, pings, queries the nodes of the cluster if wanted, and closes.
pub(super) async fn run_session<S: AsyncRead + AsyncWrite + Unpin>(
    stream: RespConnection<S>,
    context: &ProbeContext<'_>,
    address: IpAddr,
) -> RedisOutcome {
    let mut session = RedisSession::new(stream);
    let outcome = session.run(context, address).await;
    let send_quit = session.replied && session.usable;
    close::close(session.stream.stream(), send_quit, context.budget).await;
    outcome
}

/// A session and its state.
struct RedisSession<S> {
    stream: RespConnection<S>,
    redactor: Redactor,
    /// Whether a Redis has replied.
    replied: bool,
    /// Whether the next reply would be the next command's.
    usable: bool,
    /// The alert that came before the first reply.
    tls_alert: Option<AlertDescription>,
}

/// The auth phase and its facts.
struct AuthOutcome {
    phase: Phase<RedisFailure>,
    facts: AuthFacts,
}

impl AuthOutcome {
    fn skipped(reason: SkipReason, facts: AuthFacts) -> Self {
        Self { phase: Phase::Skipped { reason }, facts }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> RedisSession<S> {
    fn new(stream: RespConnection<S>) -> Self {
        Self { stream, redactor: Redactor::default(), replied: false, usable: true, tls_alert: None }
    }

    async fn run(&mut self, context: &ProbeContext<'_>, address: IpAddr) -> RedisOutcome {
        let AuthOutcome { phase: auth, facts } = self.authenticate(context, address).await;
        let stopped_by = match &auth {
            Phase::Done { .. } | Phase::Skipped { .. } => None,
            Phase::Failed { .. } => Some(StoppedBy::Auth),
            Phase::NotReached { stopped_by } => Some(*stopped_by),
        };
        let reached = !matches!(auth, Phase::NotReached { .. });
        let (ping, ping_facts) = match stopped_by {
            Some(stopped_by) => (Phase::NotReached { stopped_by }, None),
            None => self.ping(context.plan.samples, context.budget).await,
        };
        let is_pong = ping.is_done() && ping_facts.as_ref().is_some_and(|facts| facts.reply == PingReply::Pong);
        let cluster = if context.query_cluster && is_pong && self.usable {
            Some(cluster::query(self, context.plan.target.tls, context.budget).await)
        } else {
            None
        };
        // A PING that is answered NOPERM is done, too: such a user may still ask for its own address.
        let server_sees = if context.query_client_info && auth.is_done() && ping.is_done() && self.usable {
            client_info::query(self, context.budget).await
        } else {
            None
        };
        let server_info = if context.query_server_info && is_pong && self.usable {
            server_info::query(self, context.budget).await
        } else {
            None
        };
        let may_list = ping.is_done() && ping_facts.as_ref().is_some_and(|facts| facts.reply != PingReply::Noauth);
        let clients = match context.list_clients {
            Some(names) if may_list && self.usable => {
                let username = facts.username.as_deref().unwrap_or("default");
                Some(client_list::query(self, context, names, username).await)
            }
            Some(_) | None => None,
        };
        let auth_facts = reached.then_some(facts);
        RedisOutcome {
            auth,
            ping,
            auth_facts,
            ping_facts,
            cluster,
            server_sees,
            server_info,
            clients,
            tls_alert: self.tls_alert,
        }
    }

    async fn authenticate(&mut self, context: &ProbeContext<'_>, address: IpAddr) -> AuthOutcome {
        let (method, username) = match &context.plan.auth {
            Auth::None => (AuthMethod::None, None),
            Auth::Password { username, .. } => (AuthMethod::Password, username.clone()),
            Auth::Entra(EntraAuth { username, .. }) => (AuthMethod::Entra, username.clone()),
        };
        let facts = AuthFacts {
            method,
            username,
            credential_error: None,
            surrounded_by: None,
            looks_like: None,
            token_renewed: false,
        };
        match (&context.plan.auth, withhold_reason(context.plan, address)) {
            (Auth::None, _) => AuthOutcome::skipped(SkipReason::NoCredentials, facts),
            (Auth::Password { .. } | Auth::Entra(_), Some(reason)) => AuthOutcome::skipped(reason, facts),
            (Auth::Password { source, .. }, None) => self.auth_password(source, facts, context.budget).await,
            (Auth::Entra(auth), None) => self.auth_token(auth, facts, context).await,
        }
    }

    async fn auth_password(&mut self, source: &PasswordSource, facts: AuthFacts, budget: &Budget) -> AuthOutcome {
        let unreadable = |error| {
            let facts = AuthFacts { credential_error: Some(error), ..facts.clone() };
            AuthOutcome::skipped(SkipReason::CredentialUnavailable, facts)
        };
        let secret = match budget.phase(credential::read(source)).await {
            Ok(Ok(secret)) => secret,
            Ok(Err(error)) => return unreadable(error),
            Err(StopReason::Timeout) => {
                return unreadable("reading the password took longer than the phase may".to_owned());
            }
            Err(StopReason::Interrupt) => {
                return AuthOutcome { phase: Phase::NotReached { stopped_by: StoppedBy::Interrupt }, facts };
            }
        };
        let (surrounded_by, looks_like) = (Surroundings::of(secret.expose()), SecretForm::of(secret.expose()));
        let facts = AuthFacts { surrounded_by, looks_like, ..facts };
        AuthOutcome { phase: self.send_auth(facts.username.as_deref(), secret, budget).await, facts }
    }

    /// A token from an earlier probe that is rejected now is fetched anew, once.
    async fn auth_token(&mut self, auth: &EntraAuth, facts: AuthFacts, context: &ProbeContext<'_>) -> AuthOutcome {
        let (tokens, budget) = (context.tokens, context.budget);
        let token = match budget.token(tokens.get(auth)).await {
            Ok(Ok(token)) => token,
            // The token phase has the reason.
            Ok(Err(_)) | Err(StopReason::Timeout) => {
                return AuthOutcome::skipped(SkipReason::CredentialUnavailable, facts);
            }
            Err(StopReason::Interrupt) => {
                return AuthOutcome { phase: Phase::NotReached { stopped_by: StoppedBy::Interrupt }, facts };
            }
        };
        let username = |token: &Token| auth.username.clone().or_else(|| token.object_id().map(str::to_owned));
        let facts = AuthFacts { username: username(&token), ..facts };
        let phase = self.send_auth(facts.username.as_deref(), token.secret(), budget).await;
        let rejected = matches!(phase.failure(), Some(RedisFailure::ErrorReply { code, .. }) if code == "WRONGPASS");
        if !rejected || token.was_issued_after(budget.begun()) {
            return AuthOutcome { phase, facts };
        }
        match budget.token(tokens.renew(auth, &token)).await {
            Ok(Some(newer)) => {
                let facts = AuthFacts { username: username(&newer), token_renewed: true, ..facts };
                AuthOutcome { phase: self.send_auth(facts.username.as_deref(), newer.secret(), budget).await, facts }
            }
            Ok(None) | Err(_) => AuthOutcome { phase, facts },
        }
    }

    async fn send_auth(&mut self, username: Option<&str>, secret: Arc<Secret>, budget: &Budget) -> Phase<RedisFailure> {
        let command = match username {
            Some(username) => pack_command(&["AUTH", username, secret.expose()]),
            None => pack_command(&["AUTH", secret.expose()]),
        };
        self.redactor = Redactor::new(secret);
        let sent = DualClock::now();
        let outcome = budget.phase(self.call(&command)).await;
        let took = match &outcome {
            Ok(Ok(_) | Err(RedisFailure::ErrorReply { .. })) => sent.until(self.stream.last_received()),
            Ok(Err(_)) | Err(_) => sent.elapsed(), // there was no reply
        };
        match outcome {
            Ok(Ok(Value::Okay)) => Phase::done(took),
            Ok(Ok(other)) => Phase::failed(took, self.redactor.unexpected_reply(&other)),
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

    /// Pings up to `samples` times within the limit of the phase. The phase's time is that of the first `PING`, what
    /// a probe with a single sample would measure; the facts have the times up to a failure.
    async fn ping(&mut self, samples: u16, budget: &Budget) -> (Phase<RedisFailure>, Option<PingFacts>) {
        let (begun, limit) = (Instant::now(), budget.phase_limit());
        let mut pings = Pings::default();
        let phase = loop {
            let sample = budget.within(limit.saturating_sub(begun.elapsed()), self.ping_once()).await;
            match (sample, pings.times.first()) {
                (Ok(Ok((reply, took))), _) => {
                    pings.times.push(took);
                    if *pings.reply.get_or_insert(reply) != reply {
                        self.usable = false;
                        let reply = format!("{reply:?} after another reply to the same command");
                        break Phase::failed(begun.elapsed(), RedisFailure::UnexpectedReply { reply });
                    }
                    // No sample begins in the second half of the limit: one that times out has had time to be answered.
                    if pings.times.len() >= samples.into() || begun.elapsed() >= limit / 2 {
                        break Phase::done(pings.times.first().copied().unwrap_or(took));
                    }
                }
                (Ok(Err(failure)), _) => {
                    self.usable &= matches!(failure, RedisFailure::ErrorReply { .. });
                    break Phase::failed(begun.elapsed(), failure);
                }
                (Err(StopReason::Timeout), _) => {
                    self.usable = false;
                    break Phase::failed(begun.elapsed(), RedisFailure::Timeout);
                }
                (Err(StopReason::Interrupt), first) => {
                    self.usable = false;
                    break match first {
                        Some(first) => Phase::done(*first),
                        None => Phase::NotReached { stopped_by: StoppedBy::Interrupt },
                    };
                }
            }
        };
        (phase, pings.facts())
    }

    async fn ping_once(&mut self) -> Result<(PingReply, Duration), RedisFailure> {
        let command = pack_command(&["PING"]);
        let sent = DualClock::now();
        let reply = match self.call(&command).await {
            Ok(Value::SimpleString(text)) if text == "PONG" => PingReply::Pong,
            Ok(other) => return Err(self.redactor.unexpected_reply(&other)),
            Err(RedisFailure::ErrorReply { code, .. }) if code == "NOAUTH" => PingReply::Noauth,
            Err(RedisFailure::ErrorReply { code, .. }) if code == "NOPERM" => PingReply::Noperm,
            Err(failure) => return Err(failure),
        };
        Ok((reply, sent.until(self.stream.last_received())))
    }

    /// The reply to a command that the probe can do without, within `limit`; `None` where the probe was interrupted.
    async fn call_within(
        &mut self,
        limit: Duration,
        words: &[&str],
        budget: &Budget,
    ) -> Option<Result<Value, RedisFailure>> {
        self.stream.set_limit(reply::MAX_BYTES);
        let command = pack_command(words);
        match budget.within(limit, self.call(&command)).await {
            Ok(reply) => Some(reply),
            Err(reason) => {
                self.usable = false;
                match reason {
                    StopReason::Timeout => Some(Err(RedisFailure::Timeout)),
                    StopReason::Interrupt => None,
                }
            }
        }
    }

    async fn call(&mut self, command: &[u8]) -> Result<Value, RedisFailure> {
        match self.stream.call(command).await {
            Ok(Reply::Answer(Value::ServerError(error))) => {
                self.replied = true;
                Err(self.redactor.error_reply(&error))
            }
            Ok(Reply::Answer(value)) => {
                self.replied = true;
                Ok(value)
            }
            Ok(Reply::Unsolicited(value)) => {
                self.usable = false;
                Err(self.redactor.unsolicited_reply(&value))
            }
            Err(error) => {
                self.usable = false;
                Err(self.read_failure(error))
            }
        }
    }

    fn read_failure(&mut self, error: ReadError) -> RedisFailure {
        let error = match error {
            ReadError::NotRedis(head) => return self.redactor.not_redis(&head),
            ReadError::TooLong(limit) => return RedisFailure::TooLong { limit: limit as u64 },
            ReadError::Closed => return RedisFailure::Closed,
            ReadError::Failed(error) => error,
        };
        if let Some(alert) = tls::alert_in(&error) {
            if !self.replied {
                self.tls_alert = Some(alert);
            }
            return RedisFailure::Other { error: format!("the peer sent the TLS alert {}", tls::alert_name(alert)) };
        }
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => RedisFailure::Reset,
            io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => RedisFailure::Closed,
            io::ErrorKind::TimedOut => RedisFailure::Timeout,
            _ => RedisFailure::Other { error: excerpt(&error.to_string(), MAX_ERROR) },
        }
    }
}

/// Why credentials are not sent to `address`.
fn withhold_reason(plan: &Plan, address: IpAddr) -> Option<SkipReason> {
    // A wildcard certificate covers other people's caches, too: the address has to be right as well.
    if !plan.expectation.allows(address) {
        return Some(SkipReason::WithheldUnexpectedAddress);
    }
    // Never send credentials in plain text.
    (!plan.target.tls).then_some(SkipReason::Plaintext)
}

fn pack_command(arguments: &[&str]) -> Zeroizing<Vec<u8>> {
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
    use super::*;

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
}
