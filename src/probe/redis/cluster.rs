//! The question for the nodes of a cluster: `CLUSTER SHARDS` (Redis 7), else `CLUSTER SLOTS`. No key is
//! ever asked for: where it stands, these replies say.

use std::time::{Duration, Instant};

use redis::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::budget::{Budget, StopReason};
use super::super::cluster::topology::{self, Announcement};
use super::{RedisSession, packed};
use crate::observation::RedisFailure;
use crate::observation::cluster::ClusterCommand;

/// The most bytes that the reply may have. An announced node has about 300, and a bound of nodes of its own.
const MAX_REPLY: usize = 1 << 20;

/// The answer, and how long it took.
pub(in crate::probe) struct ClusterQuery {
    pub(in crate::probe) took: Duration,
    pub(in crate::probe) answer: ClusterReply,
}

/// What came of the question.
pub(in crate::probe) enum ClusterReply {
    /// Nodes.
    Announced(ClusterCommand, Announcement),
    /// The server is in no cluster, or knows no such command; its words.
    NoCluster(String),
    /// The user may not ask; the server's words.
    NotPermitted(String),
    /// No usable reply.
    Failed(RedisFailure),
    /// The probe was interrupted.
    Interrupted,
}

/// Asks within a phase's limit.
pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    talk: &mut RedisSession<S>,
    tls: bool,
    budget: &Budget,
) -> ClusterQuery {
    let begun = Instant::now();
    talk.conversation.set_limit(MAX_REPLY);
    let answer = match budget.phase(either(talk, tls)).await {
        Ok(answer) => answer,
        Err(cut) => {
            talk.usable = false;
            match cut {
                StopReason::Timeout => ClusterReply::Failed(RedisFailure::Timeout),
                StopReason::Interrupt => ClusterReply::Interrupted,
            }
        }
    };
    ClusterQuery { took: begun.elapsed(), answer }
}

async fn either<S: AsyncRead + AsyncWrite + Unpin>(talk: &mut RedisSession<S>, tls: bool) -> ClusterReply {
    let shards = talk.call(&packed(&["CLUSTER", "SHARDS"])).await;
    let refusal = match judged(talk, shards, ClusterCommand::ClusterShards, |reply| topology::of_shards(reply, tls)) {
        // Before Redis 7, and for a user who may do this alone, the older command is left.
        ClusterReply::NoCluster(words) if words.contains("cluster support disabled") => {
            return ClusterReply::NoCluster(words);
        }
        ClusterReply::NotPermitted(words) => Some(words),
        ClusterReply::NoCluster(_) => None,
        // A proxy that knows the command and not the answer may know the older one.
        ClusterReply::Announced(_, announcement) if announcement.nodes.is_empty() => None,
        decided @ (ClusterReply::Announced(..) | ClusterReply::Failed(_) | ClusterReply::Interrupted) => {
            return decided;
        }
    };
    let slots = talk.call(&packed(&["CLUSTER", "SLOTS"])).await;
    // The last that there is to ask: entries of which none can be read are no answer.
    let read = |reply: &Value| topology::of_slots(reply).filter(|read| !read.is_unreadable());
    match (judged(talk, slots, ClusterCommand::ClusterSlots, read), refusal) {
        (ClusterReply::NoCluster(_), Some(words)) => ClusterReply::NotPermitted(words),
        (answer, _) => answer,
    }
}

pub(super) fn judged<S: AsyncRead + AsyncWrite + Unpin>(
    talk: &RedisSession<S>,
    reply: Result<Value, RedisFailure>,
    command: ClusterCommand,
    read: impl FnOnce(&Value) -> Option<Announcement>,
) -> ClusterReply {
    match reply {
        Ok(value) => match read(&value) {
            Some(mut announcement) => {
                announcement.leave_out_names(|name| talk.repeats_secret(name));
                ClusterReply::Announced(command, announcement)
            }
            None => ClusterReply::Failed(talk.unexpected(&value)),
        },
        Err(failure @ RedisFailure::ErrorReply { .. }) => match &failure {
            RedisFailure::ErrorReply { code, .. } if code == "NOPERM" => {
                ClusterReply::NotPermitted(failure.to_string())
            }
            // "cluster support disabled", "unknown command", and whatever a proxy says in their place.
            RedisFailure::ErrorReply { code, .. } if code == "ERR" => ClusterReply::NoCluster(failure.to_string()),
            _ => ClusterReply::Failed(failure),
        },
        Err(failure) => ClusterReply::Failed(failure),
    }
}
