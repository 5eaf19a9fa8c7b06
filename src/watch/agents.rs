//! Many running agents in one state: a row for each vantage and target, and a row for each silent agent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::agent::Agent;
use super::event::{Change, Event};
use super::state::State;
use crate::clock::Timestamp;
use crate::record::Record;
use crate::vantage::Vantage;

/// The most records that count of one answer.
const MAX_RECORDS: usize = 256;

/// The age from which on a record is of no present, as for `redpath gate` where the interval is not known.
const MAX_AGE: Duration = Duration::from_secs(5 * 60);

impl State {
    /// Expects an answer of the agent called `agent`.
    pub fn expect_agent(&mut self, agent: &str) {
        self.agents.entry(agent.to_owned()).or_default();
    }

    /// Takes the answer of an agent in. What changed, by the names of the rows.
    pub fn answered(&mut self, agent: &str, at: Timestamp, records: Vec<Record>) -> Vec<(String, Vec<Event>)> {
        let mut all = Vec::new();
        let (mut rows, mut old) = (BTreeSet::new(), BTreeSet::new());
        for record in records.into_iter().take(MAX_RECORDS) {
            let name = self.row_name(agent, &record);
            let is_old = record.started_at.until(at).is_some_and(|age| age > MAX_AGE);
            let of = if is_old { &mut old } else { &mut rows };
            if !of.insert(name.clone()) {
                continue;
            }
            // The agent answers with its last record until it has probed anew.
            let latest = self.targets.get(&name).map(|target| target.latest.started_at);
            if latest != Some(record.started_at) {
                let events = self.add_as(name.clone(), Arc::new(record));
                all.push((name, events));
            }
        }
        let state = self.agents.entry(agent.to_owned()).or_default();
        let was_silent = state.silent.take().is_some();
        let before = std::mem::replace(&mut state.rows, rows);
        state.gone.extend(before.into_iter().chain(old));
        state.gone = state.gone.difference(&state.rows).cloned().collect();
        state.is_asked = true;
        if was_silent {
            all.push((agent.to_owned(), vec![self.event_of_agent(agent, at, Change::Heard {})]));
        }
        all
    }

    /// The agent did not answer. The event, where it did before or was asked for the first time.
    pub fn silent(&mut self, agent: &str, at: Timestamp, reason: String) -> Option<Event> {
        let state = self.agents.entry(agent.to_owned()).or_default();
        let reason = reason.strip_prefix(&format!("{agent}: ")).map(str::to_owned).unwrap_or(reason);
        state.is_asked = true;
        if let Some((_, before)) = &mut state.silent {
            *before = reason;
            return None;
        }
        state.silent = Some((at, reason.clone()));
        Some(self.event_of_agent(agent, at, Change::Silent { reason }))
    }

    fn event_of_agent(&mut self, agent: &str, at: Timestamp, change: Change) -> Event {
        let event = Event::new(at, Some(agent.to_owned()), change);
        self.keep(std::slice::from_ref(&event));
        event
    }

    /// `VANTAGE TARGET`, with the agent where another has the same.
    fn row_name(&self, agent: &str, record: &Record) -> String {
        let name = format!("{} {}", vantage(&record.vantage), record.target.name);
        let is_of_other = |(other, state): (&String, &Agent)| {
            other != agent && (state.rows.contains(&name) || state.gone.contains(&name))
        };
        if self.agents.iter().any(is_of_other) { format!("{name} @{agent}") } else { name }
    }

    /// Whether a row is of the present: of a target that redpath probes itself, or of the last answer of its agent.
    pub fn is_current(&self, row: &str) -> bool {
        self.agents.is_empty() || self.agents.values().any(|agent| agent.silent.is_none() && agent.rows.contains(row))
    }

    /// Whether every agent has answered, with all of its rows.
    pub fn is_every_agent_heard(&self) -> bool {
        self.agents.values().all(Agent::is_complete)
    }
}

/// `SUBNET/POD`, `SUBNET/HOST`, or the pod or host alone.
pub(super) fn vantage(vantage: &Vantage) -> String {
    let place = vantage.pod.as_deref().unwrap_or(&vantage.hostname);
    match &vantage.subnet {
        Some(subnet) => format!("{subnet}/{place}"),
        None => place.to_owned(),
    }
}
