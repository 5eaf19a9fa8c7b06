//! The question for the nodes of a cluster: `CLUSTER SHARDS` (Redis 7), else `CLUSTER SLOTS`. No key is
//! ever asked for: where it stands, these replies say.

use std::time::{Duration, Instant};

use redis::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::budget::{Budget, Cut};
use super::super::cluster::announcement::{self, Announcement};
use super::{Talk, packed};
use crate::observation::RedisFailure;
use crate::observation::cluster::ClusterCommand;

/// The most bytes that the reply may have. An announced node has about 300, and a bound of nodes of its own.
const MAX_REPLY: usize = 1 << 20;

/// The answer, and how long it took.
pub(in crate::probe) struct Asked {
    pub(in crate::probe) took: Duration,
    pub(in crate::probe) answer: Answer,
}

/// What came of the question.
pub(in crate::probe) enum Answer {
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
pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(talk: &mut Talk<S>, tls: bool, budget: &Budget) -> Asked {
    let begun = Instant::now();
    talk.conversation.set_limit(MAX_REPLY);
    let answer = match budget.phase(either(talk, tls)).await {
        Ok(answer) => answer,
        Err(cut) => {
            talk.usable = false;
            match cut {
                Cut::Timeout => Answer::Failed(RedisFailure::Timeout),
                Cut::Interrupt => Answer::Interrupted,
            }
        }
    };
    Asked { took: begun.elapsed(), answer }
}

async fn either<S: AsyncRead + AsyncWrite + Unpin>(talk: &mut Talk<S>, tls: bool) -> Answer {
    let shards = talk.call(&packed(&["CLUSTER", "SHARDS"])).await;
    let refusal = match judged(talk, shards, ClusterCommand::ClusterShards, |reply| announcement::of_shards(reply, tls))
    {
        // Before Redis 7, and for a user who may do this alone, the older command is left.
        Answer::NoCluster(words) if words.contains("cluster support disabled") => return Answer::NoCluster(words),
        Answer::NotPermitted(words) => Some(words),
        Answer::NoCluster(_) => None,
        // A proxy that knows the command and not the answer may know the older one.
        Answer::Announced(_, announcement) if announcement.nodes.is_empty() => None,
        decided @ (Answer::Announced(..) | Answer::Failed(_) | Answer::Interrupted) => return decided,
    };
    let slots = talk.call(&packed(&["CLUSTER", "SLOTS"])).await;
    // The last that there is to ask: entries of which none can be read are no answer.
    let read = |reply: &Value| announcement::of_slots(reply).filter(|read| !read.is_unreadable());
    match (judged(talk, slots, ClusterCommand::ClusterSlots, read), refusal) {
        (Answer::NoCluster(_), Some(words)) => Answer::NotPermitted(words),
        (answer, _) => answer,
    }
}

pub(super) fn judged<S: AsyncRead + AsyncWrite + Unpin>(
    talk: &Talk<S>,
    reply: Result<Value, RedisFailure>,
    command: ClusterCommand,
    read: impl FnOnce(&Value) -> Option<Announcement>,
) -> Answer {
    match reply {
        Ok(value) => match read(&value) {
            Some(mut announcement) => {
                announcement.leave_out_names(|name| talk.repeats_secret(name));
                Answer::Announced(command, announcement)
            }
            None => Answer::Failed(talk.unexpected(&value)),
        },
        Err(failure @ RedisFailure::ErrorReply { .. }) => match &failure {
            RedisFailure::ErrorReply { code, .. } if code == "NOPERM" => Answer::NotPermitted(failure.to_string()),
            // "cluster support disabled", "unknown command", and whatever a proxy says in their place.
            RedisFailure::ErrorReply { code, .. } if code == "ERR" => Answer::NoCluster(failure.to_string()),
            _ => Answer::Failed(failure),
        },
        Err(failure) => Answer::Failed(failure),
    }
}
