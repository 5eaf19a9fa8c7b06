//! What the views of one target and of many agents share.

use super::Screen;
use super::page::{Page, Paint};
use crate::clock::Timestamp;
use crate::watch::lane::Lane;
use crate::watch::state::State;

/// What is drawn.
pub(super) struct Shown<'a> {
    pub(super) screen: &'a Screen,
    pub(super) state: &'a State,
    pub(super) now: Timestamp,
    pub(super) is_frozen: bool,
    /// How many rows of a table are scrolled over.
    pub(super) selected: usize,
}

/// The letter of its last answer.
pub(super) fn letter_of(lane: &Lane) -> String {
    lane.answer.kind.letter().to_string()
}

pub(super) fn ttl(lane: &Lane, now: Timestamp) -> String {
    match lane.ttl {
        None => String::new(),
        Some(ttl) => match ttl.over_at() {
            None => "fresh".to_owned(),
            Some(at) => format!("{} s", now.until(at).unwrap_or_default().as_secs()),
        },
    }
}

pub(super) fn events(page: &mut Page<'_>, state: &State, rows: u16) {
    let several = state.targets.len() > 1;
    let skipped = state.events.len().saturating_sub(rows.into());
    for event in state.events.iter().skip(skipped) {
        let target = event.target.as_deref().filter(|_| several).map(|target| format!(" {target}"));
        let name = event.change.name();
        let text = format!("{} {name:<11}{} {}", event.at.time_of_day(), target.unwrap_or_default(), event.text);
        page.line(&text, Paint::Plain);
    }
}
