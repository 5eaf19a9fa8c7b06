//! From DNS messages to the chain that leads from a name to its addresses. Pure: bytes in, facts out.

use std::net::IpAddr;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};

use super::NameAnswer;
use crate::observation::ViewOutcome;
use crate::observation::dns::{ChainRecord, Transport};

/// The most CNAMEs that are followed. Resolvers give up at 8 to 17.
const MAX_CNAMES: usize = 16;

/// The most address records of one answer that are kept.
const MAX_ADDRESS_RECORDS: usize = 256;

/// The part of an answer that leads from the name asked for to addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    /// CNAMEs in the order in which they are followed, then the addresses of the last name.
    pub(crate) chain: Vec<ChainRecord>,
    /// The addresses with their TTLs, in the order of the message.
    pub(crate) addresses: Vec<(IpAddr, u32)>,
}

/// Follows the chain from `name` through the answer section, whatever the order of its records.
///
/// # Errors
/// What is wrong with it: a loop, or more CNAMEs than any resolver follows.
pub(crate) fn follow(message: &Message, name: &Name, record_type: RecordType) -> Result<Section, String> {
    let mut section = Section { chain: Vec::new(), addresses: Vec::new() };
    let mut current = name.clone();
    let mut seen = vec![current.clone()];
    while let Some((record, next)) = message.answers.iter().find_map(|record| match &record.data {
        RData::CNAME(next) if record.name == current => Some((record, &next.0)),
        _ => None,
    }) {
        section.chain.push(ChainRecord {
            name: text(&record.name),
            record_type: "CNAME".into(),
            ttl: record.ttl,
            data: text(next),
        });
        if seen.contains(next) {
            return Err(format!("the CNAME chain loops at {}", text(next)));
        }
        if section.chain.len() >= MAX_CNAMES {
            return Err(format!("the CNAME chain is longer than {MAX_CNAMES}"));
        }
        current = next.clone();
        seen.push(current.clone());
    }
    for record in &message.answers {
        if record.record_type() != record_type || record.name != current {
            continue;
        }
        if let Some(ip) = record.data.ip_addr()
            && section.addresses.len() < MAX_ADDRESS_RECORDS
        {
            section.addresses.push((ip, record.ttl));
            section.chain.push(ChainRecord {
                name: text(&record.name),
                record_type: record_type.to_string(),
                ttl: record.ttl,
                data: ip.to_string(),
            });
        }
    }
    Ok(section)
}

/// What a response to one question is, by its response code and its section.
pub(crate) fn outcome_of(message: &Message, section: &Result<Section, String>) -> ViewOutcome {
    match (message.metadata.response_code, section) {
        (ResponseCode::NoError | ResponseCode::NXDomain, Err(_)) => ViewOutcome::BadAnswer,
        (ResponseCode::NoError, Ok(section)) if section.addresses.is_empty() => ViewOutcome::NoData,
        (ResponseCode::NoError, Ok(_)) => ViewOutcome::Answered,
        (ResponseCode::NXDomain, Ok(_)) => ViewOutcome::NameNotFound,
        (ResponseCode::ServFail, _) => ViewOutcome::ServerFailure,
        (ResponseCode::Refused, _) => ViewOutcome::Refused,
        _ => ViewOutcome::OtherRcode,
    }
}

/// The response code by its IANA name.
pub(crate) fn rcode_name(code: ResponseCode) -> String {
    match code {
        ResponseCode::NoError => "NOERROR".into(),
        ResponseCode::FormErr => "FORMERR".into(),
        ResponseCode::ServFail => "SERVFAIL".into(),
        ResponseCode::NXDomain => "NXDOMAIN".into(),
        ResponseCode::NotImp => "NOTIMP".into(),
        ResponseCode::Refused => "REFUSED".into(),
        other => format!("RCODE{}", u16::from(other)),
    }
}

/// A name as records show it: lower case, no trailing dot, anything unusual escaped.
fn text(name: &Name) -> String {
    let mut text = name.to_ascii().to_ascii_lowercase();
    if text.len() > 1 && text.ends_with('.') {
        text.pop();
    }
    text
}

/// The questions for A and AAAA of one name, taken together.
#[derive(Clone, Debug)]
pub(crate) struct ResolvedChain {
    pub(crate) name: Option<String>,
    pub(crate) outcome: ViewOutcome,
    pub(crate) rcode: Option<String>,
    pub(crate) transport: Option<Transport>,
    pub(crate) reason: Option<String>,
    pub(crate) chain: Vec<ChainRecord>,
    pub(crate) addresses: Vec<(IpAddr, u32)>,
}

impl ResolvedChain {
    /// Addresses of either family make it answered. Without any, the question that says most decides:
    /// a failure before a final word, since an address may hide behind the failure, and A before AAAA.
    pub(crate) fn of(asked: &NameAnswer) -> Self {
        let any_address = asked.sections.iter().flatten().any(|section| !section.addresses.is_empty());
        let deciding = asked
            .questions
            .iter()
            .enumerate()
            .min_by_key(|(index, question)| {
                let rank = match question.outcome {
                    ViewOutcome::Answered => 0,
                    outcome if any_address || !outcome.is_final() => 1,
                    _ => 2,
                };
                (rank, *index)
            })
            .map(|(index, _)| index)
            .unwrap_or_default();
        let question = asked.questions.get(deciding);
        let mut chain: Vec<ChainRecord> = Vec::new();
        let mut addresses = Vec::new();
        for section in asked.sections.iter().flatten() {
            for record in &section.chain {
                if record.record_type == "CNAME" && chain.iter().any(|known| known.name == record.name) {
                    continue; // the same chain, told again for the other family
                }
                chain.push(record.clone());
            }
            addresses.extend(section.addresses.iter().copied());
        }
        // CNAMEs first, whichever family they came with; the sort keeps the order within each.
        chain.sort_by_key(|record| record.record_type != "CNAME");
        Self {
            name: question.map(|question| question.name.clone()),
            outcome: question.map_or(ViewOutcome::Failed, |question| question.outcome),
            rcode: question.and_then(|question| question.rcode.clone()),
            transport: question.map(|question| question.transport),
            reason: asked.sections.get(deciding).and_then(|section| section.as_ref().err().cloned()),
            chain,
            addresses,
        }
    }
}
