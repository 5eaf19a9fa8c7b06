//! The query for the server's version, `INFO server`: it tells Redis Enterprise from a classic cache. No key is read.

use std::time::Duration;

use redis::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::budget::Budget;
use super::RedisSession;
use crate::observation::ServerInfo;

/// The longest that the query may take: it decides nothing that the probe needs.
const LIMIT: Duration = Duration::from_secs(1);

/// Queries it; `None` where the probe was interrupted.
pub(super) async fn query<S: AsyncRead + AsyncWrite + Unpin>(
    session: &mut RedisSession<S>,
    budget: &Budget,
) -> Option<ServerInfo> {
    let reply = match session.call_within(LIMIT, &["INFO", "server"], budget).await? {
        Ok(reply) => reply,
        Err(failure) => return Some(ServerInfo::unknown(failure)),
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
