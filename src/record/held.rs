//! The held connection of a record: whether it is on another path than DNS gives now, and what changed of it.

use std::net::{IpAddr, SocketAddr};

use super::Record;
use crate::clock::Timestamp;
use crate::observation::held::HeldConnection;

/// What of a held connection is a change: the journal writes a record for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldStanding {
    open: Option<SocketAddr>,
    ended_at: Option<Timestamp>,
    is_on_other_path: bool,
}

/// A change of a held connection, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeldChange {
    /// It was lost.
    Lost(String),
    /// DNS gives another path now.
    OtherPath(String),
}

impl HeldChange {
    /// What a record changes against the one before.
    pub fn between(before: &Record, now: &Record) -> Option<Self> {
        let earlier = before.observation.held_connection.as_ref()?;
        let ended_at = earlier.ended.as_ref().map(|end| end.at);
        if let Some(end) = now.observation.held_connection.as_ref()?.ended.as_ref()
            && ended_at != Some(end.at)
        {
            return Some(Self::Lost(format!("held connection to {end}")));
        }
        let (held, given) = other_path(now).filter(|_| other_path(before).is_none())?;
        Some(Self::OtherPath(format!(
            "held connection stays on {} {}, while DNS gives {given}",
            held.address, held.class
        )))
    }

    /// The sentence.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Lost(text) | Self::OtherPath(text) => text,
        }
    }
}

impl HeldStanding {
    /// Of a record; `None` where no connection is held.
    pub fn of(record: &Record) -> Option<Self> {
        let facts = record.observation.held_connection.as_ref()?;
        Some(Self {
            open: facts.open().map(|held| held.address),
            ended_at: facts.ended.as_ref().map(|end| end.at),
            is_on_other_path: other_path(record).is_some(),
        })
    }

    /// Whether a record has an open one.
    pub fn is_open(record: &Record) -> bool {
        Self::of(record).is_some_and(|standing| standing.open.is_some())
    }
}

/// The open connection, and the first address that DNS gives now, where one of the two meets the expectation and the
/// other does not.
pub fn other_path(record: &Record) -> Option<(&HeldConnection, IpAddr)> {
    let held = record.observation.held_connection.as_ref()?.open()?;
    let view = record.observation.resolution.in_use().filter(|_| held.in_dns_answer == Some(false))?;
    let (given, is_expected) = (view.ips().next()?, record.expectation.allows(held.address.ip()));
    view.ips().all(|ip| record.expectation.allows(ip) != is_expected).then_some((held, given))
}
