//! The query for the nodes of a cluster: `CLUSTER SHARDS` (Redis 7), else `CLUSTER SLOTS`. No key is ever read: these
//! replies have the addresses.

use std::time::{Duration, Instant};

use redis::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::budget::{Budget, StopReason};
use super::super::cluster::topology::{self, Announcement};
use super::redact::Redactor;
use super::{RedisSession, pack_command};
use crate::observation::RedisFailure;
use crate::observation::cluster::ClusterCommand;

/// The most bytes of the reply. An announced node has about 300, and their number is bounded.
const MAX_REPLY: usize = 1 << 20;

/// The reply, and how long it took.
pub(in crate::probe) struct ClusterQuery {
    pub(in crate::probe) took: Duration,
    pub(in crate::probe) reply: ClusterReply,
}

/// What came of the query.
pub(in crate::probe) enum ClusterReply {
    /// Nodes.
    Announced(ClusterCommand, Announcement),
    /// The server is in no cluster, or has no such command; its error reply.
    NoCluster(String),
    /// The user may not run the command; the error reply.
    NotPermitted(String),
    /// No usable reply.
    Failed(RedisFailure),
    /// The probe was interrupted.
    Interrupted,
}

/// Queries the nodes within the limit of a phase.
pub(super) async fn query<S: AsyncRead + AsyncWrite + Unpin>(
    session: &mut RedisSession<S>,
    tls: bool,
    budget: &Budget,
) -> ClusterQuery {
    let begun = Instant::now();
    session.stream.set_limit(MAX_REPLY);
    let reply = match budget.phase(shards_or_slots(session, tls)).await {
        Ok(reply) => reply,
        Err(reason) => {
            session.usable = false;
            match reason {
                StopReason::Timeout => ClusterReply::Failed(RedisFailure::Timeout),
                StopReason::Interrupt => ClusterReply::Interrupted,
            }
        }
    };
    ClusterQuery { took: begun.elapsed(), reply }
}

async fn shards_or_slots<S: AsyncRead + AsyncWrite + Unpin>(session: &mut RedisSession<S>, tls: bool) -> ClusterReply {
    let shards = session.call(&pack_command(&["CLUSTER", "SHARDS"])).await;
    let parse = |reply: &Value| topology::of_shards(reply, tls);
    let refusal = match parse_reply(&session.redactor, shards, ClusterCommand::ClusterShards, parse) {
        // Before Redis 7, and for a user who may run this alone, the older command is left.
        ClusterReply::NoCluster(message) if message.contains("cluster support disabled") => {
            return ClusterReply::NoCluster(message);
        }
        ClusterReply::NotPermitted(message) => Some(message),
        ClusterReply::NoCluster(_) => None,
        // A proxy that has the command and no nodes for it may have the older one.
        ClusterReply::Announced(_, announcement) if announcement.nodes.is_empty() => None,
        decided @ (ClusterReply::Announced(..) | ClusterReply::Failed(_) | ClusterReply::Interrupted) => {
            return decided;
        }
    };
    let slots = session.call(&pack_command(&["CLUSTER", "SLOTS"])).await;
    // No further command is left: entries of which none can be read are no answer.
    let parse = |reply: &Value| topology::of_slots(reply).filter(|read| !read.is_unreadable());
    match (parse_reply(&session.redactor, slots, ClusterCommand::ClusterSlots, parse), refusal) {
        (ClusterReply::NoCluster(_), Some(message)) => ClusterReply::NotPermitted(message),
        (reply, _) => reply,
    }
}

fn parse_reply(
    redactor: &Redactor,
    reply: Result<Value, RedisFailure>,
    command: ClusterCommand,
    parse: impl FnOnce(&Value) -> Option<Announcement>,
) -> ClusterReply {
    match reply {
        Ok(value) => match parse(&value) {
            Some(announcement) => {
                ClusterReply::Announced(command, announcement.without_names(|name| redactor.repeats_secret(name)))
            }
            None => ClusterReply::Failed(redactor.unexpected_reply(&value)),
        },
        Err(failure @ RedisFailure::ErrorReply { .. }) => match &failure {
            RedisFailure::ErrorReply { code, .. } if code == "NOPERM" => {
                ClusterReply::NotPermitted(failure.to_string())
            }
            // "cluster support disabled", "unknown command", and whatever a proxy replies in their place.
            RedisFailure::ErrorReply { code, .. } if code == "ERR" => ClusterReply::NoCluster(failure.to_string()),
            _ => ClusterReply::Failed(failure),
        },
        Err(failure) => ClusterReply::Failed(failure),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::secret::Secret;

    #[test]
    fn cluster_node_named_by_secret_is_omitted() {
        let reply = b"*1\r\n*4\r\n:0\r\n:1\r\n*2\r\n$14\r\nhunter2-canary\r\n:6380\r\n*2\r\n$4\r\nnode\r\n:6380\r\n";
        let reply = redis::parse_redis_value(reply).expect("a reply");
        let redactor = Redactor::new(Arc::new(Secret::new("hunter2-canary".to_owned())));
        let reply = parse_reply(&redactor, Ok(reply), ClusterCommand::ClusterSlots, topology::of_slots);
        let ClusterReply::Announced(_, announced) = reply else { panic!("it is an announcement") };
        assert_eq!((announced.nodes.len(), announced.omitted), (1, 1));
        assert!(!format!("{announced:?}").contains("hunter2"));
    }
}
