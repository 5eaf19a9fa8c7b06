//! A session that is held open: it authenticates once as a probe does, pings when it is asked to, and reads in
//! between, so that its end is known when it comes.

use std::net::IpAddr;
use std::sync::Arc;

use redis::Value;

use super::super::budget::{Budget, StopReason};
use super::super::context::ProbeContext;
use super::super::socket_timestamps::{SessionStream, Unacknowledged};
use super::super::token::Token;
use super::reply::RespConnection;
use super::{RedisSession, close};
use crate::observation::{Phase, RedisFailure};
use crate::plan::{Auth, EntraAuth};

/// A session over a stream that is open and, where it is TLS, verified.
pub(in crate::probe) struct HeldSession<'s> {
    session: RedisSession<&'s mut dyn SessionStream>,
    /// The token of the last `AUTH`.
    token: Option<Arc<Token>>,
}

/// Why a session ended.
pub(in crate::probe) enum SessionEnd {
    /// The stream or a reply failed.
    Failed(RedisFailure),
    /// `AUTH` failed, in these words.
    NotAuthenticated(String),
    /// No reply came within the limit; what is not acknowledged, where the kernel tells.
    Silent(Option<Unacknowledged>),
    /// The interrupt was raised.
    Interrupted,
}

impl<'s> HeldSession<'s> {
    /// A session that has sent nothing yet.
    pub(in crate::probe) fn new(stream: RespConnection<&'s mut dyn SessionStream>) -> Self {
        Self { session: RedisSession::new(stream), token: None }
    }

    /// Authenticates, where the plan has credentials and `address` may have them, and pings.
    pub(in crate::probe) async fn begin(
        &mut self,
        context: &ProbeContext<'_>,
        address: IpAddr,
    ) -> Result<(), SessionEnd> {
        match self.session.authenticate(context, address).await.phase {
            Phase::Done { .. } => self.token = current_token(context).await,
            Phase::Skipped { .. } => {}
            Phase::Failed { reason, .. } => return Err(SessionEnd::NotAuthenticated(reason)),
            Phase::NotReached { .. } => return Err(SessionEnd::Interrupted),
        }
        self.ping(context).await
    }

    /// Pings. `NOAUTH` and `NOPERM` are replies of a connection that works.
    pub(in crate::probe) async fn ping(&mut self, context: &ProbeContext<'_>) -> Result<(), SessionEnd> {
        self.renew_token(context).await?;
        let answered = {
            let ping = self.session.ping_once();
            tokio::pin!(ping);
            let mut waited = context.budget.phase(&mut ping).await;
            if waited == Err(StopReason::Timeout) && context.budget.is_overloaded() {
                // The limit was late for lack of CPU: the reply may have been there in time.
                let again = context.budget.again();
                waited = again.phase(&mut ping).await;
            }
            waited
        };
        match answered {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(RedisFailure::Timeout)) | Err(StopReason::Timeout) => {
                Err(SessionEnd::Silent((**self.session.stream.stream()).unacknowledged()))
            }
            Ok(Err(failure)) => Err(SessionEnd::Failed(failure)),
            Err(StopReason::Interrupt) => Err(SessionEnd::Interrupted),
        }
    }

    /// Waits for the end of the stream, or for what no command asked for, which ends the session as well.
    pub(in crate::probe) async fn wait_for_end(&mut self) -> RedisFailure {
        match self.session.stream.unsolicited().await {
            Ok(Value::ServerError(error)) => self.session.redactor.error_reply(&error),
            Ok(value) => self.session.redactor.unsolicited_reply(&value),
            Err(error) => self.session.read_failure(error),
        }
    }

    /// Closes the connection, with `QUIT` where the next reply would be the one to it.
    pub(in crate::probe) async fn close(mut self, send_quit: bool, budget: &Budget) {
        close::close(self.session.stream.stream(), send_quit && self.session.usable, budget).await;
    }

    /// Azure closes a connection when its token expires: a client sends the next one before.
    async fn renew_token(&mut self, context: &ProbeContext<'_>) -> Result<(), SessionEnd> {
        let (Auth::Entra(auth), Some(last)) = (&context.plan.auth, &self.token) else { return Ok(()) };
        let Some(token) = current_token(context).await.filter(|token| !Arc::ptr_eq(token, last)) else { return Ok(()) };
        let username = auth.username.clone().or_else(|| token.object_id().map(str::to_owned));
        match self.session.send_auth(username.as_deref(), token.secret(), context.budget).await {
            Phase::Failed { reason, .. } => Err(SessionEnd::NotAuthenticated(reason)),
            Phase::NotReached { .. } => Err(SessionEnd::Interrupted),
            Phase::Done { .. } | Phase::Skipped { .. } => {
                self.token = Some(token);
                Ok(())
            }
        }
    }
}

/// The token of the cache; `None` for a plan without one, and where none can be had now.
async fn current_token(context: &ProbeContext<'_>) -> Option<Arc<Token>> {
    let Auth::Entra(auth @ EntraAuth { .. }) = &context.plan.auth else { return None };
    context.budget.token(context.tokens.get(auth)).await.ok()?.ok()
}
