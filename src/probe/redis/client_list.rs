//! The query for all clients of one node, `CLIENT LIST`, once: the reply is summed while it is read, and bounded.

mod count;
#[cfg(any(test, feature = "fuzzing"))]
pub(in crate::probe) mod fuzzing;
mod line;

use redis::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use self::count::{ClientCounter, MAX_CLIENTS};
use super::super::budget::StopReason;
use super::super::context::ProbeContext;
use super::reply::{MAX_BYTES, Reply, Streamed};
use super::{RedisSession, pack_command};
use crate::observation::RedisFailure;
use crate::observation::clients::{ClientList, ClientListFailure};
use crate::plan::ClientNames;

/// The most bytes of one list that are read.
pub(super) const MAX_LIST: u64 = 64 << 20;

/// What came of the query.
pub(in crate::probe) struct ClientListReply {
    /// The list, or as much of it as was read.
    pub(in crate::probe) list: Option<ClientList>,
    /// Why it is absent or ends early.
    pub(in crate::probe) failure: Option<ClientListFailure>,
}

impl ClientListReply {
    fn failed(failure: ClientListFailure) -> Self {
        Self { list: None, failure: Some(failure) }
    }
}

/// Queries the clients, within what is left of the probe's time.
pub(super) async fn query<S: AsyncRead + AsyncWrite + Unpin>(
    session: &mut RedisSession<S>,
    context: &ProbeContext<'_>,
    names: ClientNames,
    username: &str,
) -> ClientListReply {
    let budget = context.budget;
    session.stream.set_limit(MAX_BYTES);
    let own_id = match budget.phase(session.call(&pack_command(&["CLIENT", "ID"]))).await {
        Ok(Ok(Value::Int(id))) => u64::try_from(id).ok(),
        Ok(Ok(_) | Err(RedisFailure::ErrorReply { .. })) => None,
        Ok(Err(failure)) => return ClientListReply::failed(ClientListFailure::Redis { failure }),
        Err(reason) => return ClientListReply::failed(stopped(reason)),
    };
    let mut counter = ClientCounter::new(&context.plan.expectation, names, &session.redactor, own_id);
    let command = pack_command(&["CLIENT", "LIST"]);
    let streamed = session.stream.call_streamed(&command, MAX_LIST, |bytes| counter.push(bytes));
    let streamed = budget.within(budget.time_left(), streamed).await;
    let (whole, failure) = match streamed {
        Ok(Ok(Streamed::Text)) => (true, None),
        Ok(Ok(Streamed::TooLong)) => (false, Some(ClientListFailure::TooManyBytes { limit: MAX_LIST })),
        Ok(Ok(Streamed::Stopped)) => (false, Some(ClientListFailure::TooManyClients { limit: MAX_CLIENTS as u64 })),
        Ok(Ok(Streamed::Other(Reply::Answer(Value::ServerError(error))))) => {
            return ClientListReply::failed(match session.redactor.error_reply(&error) {
                failure @ RedisFailure::ErrorReply { .. } if failure.to_string().starts_with("NOPERM") => {
                    ClientListFailure::NotPermitted { username: username.to_owned(), reply: failure.to_string() }
                }
                failure => ClientListFailure::Redis { failure },
            });
        }
        Ok(Ok(Streamed::Other(Reply::Answer(value) | Reply::Unsolicited(value)))) => {
            session.usable = false;
            let failure = session.redactor.unexpected_reply(&value);
            return ClientListReply::failed(ClientListFailure::Redis { failure });
        }
        Ok(Err(error)) => {
            let list = counter.finish(false);
            session.usable = false;
            let failure = session.read_failure(error);
            return ClientListReply { list: some(list), failure: Some(ClientListFailure::Redis { failure }) };
        }
        Err(reason) => (false, Some(stopped(reason))),
    };
    let list = counter.finish(whole);
    session.usable &= whole;
    ClientListReply { list: if whole { Some(list) } else { some(list) }, failure }
}

/// A list that ended early, where it has any client.
fn some(list: ClientList) -> Option<ClientList> {
    (!list.networks.is_empty()).then_some(list)
}

fn stopped(reason: StopReason) -> ClientListFailure {
    match reason {
        StopReason::Timeout => ClientListFailure::Redis { failure: RedisFailure::Timeout },
        StopReason::Interrupt => ClientListFailure::Interrupted,
    }
}
