//! The live view off a terminal: a line for each event, and a heartbeat a minute for each target.

use std::collections::BTreeMap;
use std::time::Duration;

use super::event::{Change, Event};
use super::state::{State, destination};
use crate::clock::{Seconds, Timestamp};
use crate::output::json;
use crate::output::text::Style;

/// The time between two heartbeats of a target; an event is one as well.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineFormat {
    /// `2026-11-28T07:12:03Z  HOST:PORT  verdict  fail (...) -> pass (healthy): ...`.
    Text,
    /// `redpath.event/v1`, a document a line.
    Ndjson,
}

/// Writes events as lines.
#[derive(Debug)]
pub struct Lines {
    format: LineFormat,
    style: Style,
    /// The last line of each target.
    last: BTreeMap<String, Timestamp>,
}

impl Lines {
    /// Lines in this format.
    pub fn new(format: LineFormat, style: Style) -> Self {
        Self { format, style, last: BTreeMap::new() }
    }

    /// The lines of what a record of the target called `name` changed, or its heartbeat where one is due.
    ///
    /// # Errors
    /// Where a value has no JSON form; no value of an event is such.
    pub fn of(&mut self, state: &State, name: &str, events: &[Event]) -> serde_json::Result<String> {
        let Some(target) = state.targets.get(name) else { return Ok(String::new()) };
        let at = target.latest.started_at;
        let last = *self.last.entry(name.to_owned()).or_insert(at);
        if !events.is_empty() {
            self.last.insert(name.to_owned(), at);
            return events.iter().map(|event| self.line(event)).collect();
        }
        // None where the wall clock was set back.
        if last.until(at).is_some_and(|time| time < HEARTBEAT) {
            return Ok(String::new());
        }
        self.last.insert(name.to_owned(), at);
        let change = Change::Heartbeat {
            verdict: target.latest.verdict.clone(),
            since: target.since,
            connection: destination(&target.latest),
            probes: target.probes,
            without_service_seconds: Seconds(target.outages().total),
        };
        self.line(&Event::new(at, Some(name.to_owned()), change))
    }

    /// One event.
    ///
    /// # Errors
    /// As for `of`.
    pub fn line(&self, event: &Event) -> serde_json::Result<String> {
        match self.format {
            LineFormat::Ndjson => json::compact(event),
            LineFormat::Text => {
                let (date, time) = (event.at.date(), event.at.time_of_day());
                let target = event.target.as_deref().unwrap_or("all targets");
                let line = format!("{date}T{time}Z  {target}  {:<11}  {}", event.change.name(), event.text);
                Ok(format!("{}\n", self.style.clean(&line)))
            }
        }
    }
}
