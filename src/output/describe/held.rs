//! The held connection in one line.

use crate::observation::held::{HeldConnection, HeldEnd};
use crate::observation::{HeldConnectionFacts, HeldState};
use crate::record::Record;
use crate::record::held::other_path;

/// Its address, age and state, and how the last one ended; `None` where none is held.
pub(crate) fn held_connection(record: &Record) -> Option<String> {
    let facts = record.observation.held_connection.as_ref()?;
    let mut parts = match (facts.state, &facts.connection) {
        (HeldState::Open | HeldState::Waiting, Some(held)) => vec![open(record, facts, held)],
        (HeldState::Closed, _) => vec!["closed".to_owned()],
        (HeldState::NotOpened | HeldState::Open | HeldState::Waiting, _) => vec!["not opened yet".to_owned()],
    };
    parts.extend(facts.not_opened.as_ref().map(|reason| format!("could not be opened: {reason}")));
    if let Some(end) = &facts.ended {
        let HeldEnd { address, class, at, age_seconds, reason, .. } = end;
        parts.push(format!("lost at {at}: {address} {class} after {age_seconds}, {reason}"));
    }
    if facts.losses > 1 {
        parts.push(format!("{} lost so far", facts.losses));
    }
    Some(parts.join("; "))
}

/// Whether it has something to say beyond being open.
pub(crate) fn is_held_connection_noteworthy(record: &Record) -> bool {
    let facts = record.observation.held_connection.as_ref();
    facts.is_some_and(|facts| facts.state != HeldState::Open || facts.ended.is_some()) || other_path(record).is_some()
}

fn open(record: &Record, facts: &HeldConnectionFacts, held: &HeldConnection) -> String {
    let age = held.age_seconds;
    let mut text = format!("{} {}, open for {age}", held.address, held.class);
    if facts.state == HeldState::Waiting {
        text.push_str(", a PING waits for its reply");
    }
    if let Some((_, given)) = other_path(record) {
        text.push_str(&format!(
            ", while DNS gives {given}: open connections stay on the old path until they are closed"
        ));
    } else if held.in_dns_answer == Some(false) {
        text.push_str(", an address that DNS does not give now");
    }
    text
}
