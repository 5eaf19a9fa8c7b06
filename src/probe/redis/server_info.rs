//! The query for the server's version, `INFO server`: it tells Redis Enterprise from a classic cache. No key is read.

use std::time::Duration;

use redis::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::budget::{Budget, StopReason};
use super::reply::MAX_BYTES;
use super::{RedisSession, pack_command};
use crate::observation::{RedisFailure, ServerInfo};

/// The longest that the query may take: it decides nothing that the probe needs.
const LIMIT: Duration = Duration::from_secs(1);

/// Queries it; `None` where the probe was interrupted.
pub(super) async fn query<S: AsyncRead + AsyncWrite + Unpin>(
    session: &mut RedisSession<S>,
    budget: &Budget,
) -> Option<ServerInfo> {
    session.stream.set_limit(MAX_BYTES);
    let command = pack_command(&["INFO", "server"]);
    let reply = match budget.within(LIMIT, session.call(&command)).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(failure)) => return Some(ServerInfo::unknown(failure)),
        Err(reason) => {
            session.usable = false;
            return match reason {
                StopReason::Timeout => Some(ServerInfo::unknown(RedisFailure::Timeout)),
                StopReason::Interrupt => None,
            };
        }
    };
    let text = match &reply {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.as_str()),
        _ => None,
    };
    Some(match text {
        // A server that repeats the password has it left out, whatever the field.
        Some(text) if !session.redactor.repeats_secret(text) => ServerInfo::read(text),
        Some(_) | None => ServerInfo::unknown(session.redactor.unexpected_reply(&reply)),
    })
}
