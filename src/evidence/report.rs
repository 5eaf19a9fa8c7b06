//! Makes the document of everything that was read.

use std::collections::BTreeMap;

use super::before_after;
use super::document::{
    AzEvidence, EVIDENCE_SCHEMA, EvidenceCell, EvidenceReport, JournalEvidence, JournalMark, JournalStart,
};
use super::expected::{Expected, matches};
use super::files::{Evidence, JournalRead};
use super::summary;
use super::times::Period;
use crate::clock::Timestamp;
use crate::record::Tool;
use crate::secret::quote;

/// What the report is about.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// The beginning of the period; that of the first probe where none is given.
    pub from: Option<Timestamp>,
    /// Its end; that of the last probe where none is given.
    pub to: Option<Timestamp>,
    /// The moment that times before and after are compared by.
    pub cutover: Option<Timestamp>,
    /// The vantages that were expected.
    pub expected: Option<Expected>,
}

/// The document; `None` where no probe lies in the period.
pub fn report(evidence: &Evidence, scope: &Scope, az: Vec<AzEvidence>, now: Timestamp) -> Option<EvidenceReport> {
    let timelines = || evidence.timelines.iter().flat_map(|(_, targets)| targets.values());
    let segments = || timelines().flat_map(|timeline| &timeline.segments);
    let period = Period {
        from: scope.from.or_else(|| segments().map(|segment| segment.from).min())?,
        to: scope.to.or_else(|| segments().map(|segment| segment.to).max())?,
        cutover: scope.cutover.or_else(|| summary::first_change(timelines())),
    };
    let cells: Vec<EvidenceCell> = evidence
        .timelines
        .iter()
        .flat_map(|(labels, targets)| {
            targets.iter().filter_map(move |(name, timeline)| summary::cell(labels, name, timeline, period))
        })
        .collect();
    let first = cells.first()?;
    let mut vantages: Vec<&BTreeMap<String, String>> = vec![&first.vantage];
    vantages.extend(cells.windows(2).filter(|pair| pair[0].vantage != pair[1].vantage).map(|pair| &pair[1].vantage));
    let entries = scope.expected.iter().flat_map(|expected| &expected.vantages);
    let silent = entries.clone().filter(|entry| !vantages.iter().any(|labels| matches(entry, labels))).cloned();
    let is_listed = |labels: &BTreeMap<String, String>| entries.clone().any(|entry| matches(entry, labels));
    let unexpected = vantages.iter().filter(|labels| scope.expected.is_some() && !is_listed(labels));
    Some(EvidenceReport {
        schema: EVIDENCE_SCHEMA.to_owned(),
        tool: Tool::this(),
        generated_at: now,
        from: period.from,
        to: period.to,
        cutover: period.cutover,
        cutover_given: scope.cutover.is_some(),
        expected: scope.expected.as_ref().map(|expected| expected.vantages.len()),
        silent: silent.collect(),
        unexpected: unexpected.map(|labels| (*labels).clone()).collect(),
        overall: before_after::overall(evidence.timelines.iter(), period),
        journals: evidence.journals.iter().map(journal).collect(),
        records: evidence.records,
        az,
        not_proven: not_proven(evidence, scope),
        cells,
    })
}

fn journal(read: &JournalRead) -> JournalEvidence {
    let fault = |fault: &crate::journal::verify::Fault| {
        let path = read.paths.get(fault.file).map(|path| quote::path(path)).unwrap_or_default();
        format!("{path}:{}: {}", fault.at, fault.kind)
    };
    let start = |(at, started): &(Timestamp, crate::journal::line::Started)| JournalStart {
        at: *at,
        program: format!("{} {}", started.tool.name, started.tool.version),
        binary_sha256: started.binary_sha256.map(|digest| digest.to_string()),
        configuration_sha256: started.configuration_sha256.map(|digest| digest.to_string()),
        user_id: started.user_id,
    };
    let head = read.head();
    JournalEvidence {
        files: read.paths.iter().map(|path| quote::path(path)).collect(),
        vantage: read.vantage.as_ref().map(crate::vantage::Vantage::metric_labels).unwrap_or_default(),
        lines: read.verified.lines,
        first: read.verified.first.unwrap_or_default(),
        head: head.map_or(0, |head| head.number),
        head_sha256: head.map(|head| head.digest.to_string()).unwrap_or_default(),
        is_whole: read.faults().next().is_none() && read.verified.more_faults == 0,
        faults: read.faults().map(fault).collect(),
        is_open: read.is_open,
        lost_probes: read.lost,
        clock_steps: read.clock_steps,
        clock_synchronised_by: read.clock.and_then(|clock| clock.synchronised_by),
        starts: read.starts.iter().map(start).collect(),
        marks: read.marks.iter().map(|mark| JournalMark { at: mark.at, word: mark.word.clone() }).collect(),
        witness: None,
    }
}

/// What a reader must not take for proven.
fn not_proven(evidence: &Evidence, scope: &Scope) -> Vec<String> {
    let mut limits = evidence.timelines.left_out().sentences();
    let notes: u64 = evidence.journals.iter().map(|journal| journal.notes_left_out).sum();
    if notes > 0 {
        limits.push(format!("{notes} starts and marks are in the journals beyond the 1000 that are kept of each"));
    }
    let digests: u64 = evidence.journals.iter().map(|journal| journal.digests_left_out).sum();
    if digests > 0 {
        limits.push(format!(
            "the digests of the {digests} oldest lines were left out of the comparison with Prometheus: name fewer files"
        ));
    }
    if evidence.journals.iter().any(|journal| journal.is_open) {
        limits.push(
            "a journal that does not end in order is of an agent that runs, or was killed: its unchanged results of the last minute are not in it, and that minute is not counted as silent"
                .to_owned(),
        );
    }
    limits.extend([
        "between two probes nobody looked: a path that changed and changed back in between is not seen".to_owned(),
        "a probe shows the path of a new connection; connections that were open before may be on another one"
            .to_owned(),
        "the times are those of each vantage's own clock: where the journal does not name the service that synchronised it, that is not known, and its largest error is nowhere recorded"
            .to_owned(),
    ]);
    if !evidence.journals.is_empty() {
        limits.push(
            "the chain of a journal finds damage; that all of it was written anew, only a witness outside excludes: its head in Prometheus, a signature, or a time stamp"
                .to_owned(),
        );
    }
    if evidence.records > 0 {
        limits.push("records in files have no chain: that one was changed or left out cannot be seen".to_owned());
    }
    if scope.expected.is_none() {
        limits.push(
            "no list of expected vantages was given: a subnet that nothing was heard of is not missed".to_owned(),
        );
    }
    limits
}
