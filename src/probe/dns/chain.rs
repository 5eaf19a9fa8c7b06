//! From a DNS message to the chain that leads from the name to its addresses. Pure: bytes in, facts out.

use std::net::IpAddr;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};

use super::authority::{Origin, text};
use crate::observation::ViewOutcome;
use crate::observation::dns::{ChainRecord, Question};

/// The most CNAMEs that are followed. Resolvers give up at 8 to 17.
const MAX_CNAMES: usize = 16;

/// The most address records of one message.
const MAX_ADDRESS_RECORDS: usize = 256;

/// One question and its answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    /// The question as the record has it.
    pub(super) question: Question,
    /// The records from the name to its addresses; or what was wrong, where no usable message came.
    pub(super) chain: Result<Chain, String>,
    /// What the message says of its origin.
    pub(super) origin: Origin,
}

/// The records of a message that lead from the name to its addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Chain {
    /// CNAMEs in the order in which they are followed, then the addresses of the last name.
    pub(super) records: Vec<ChainRecord>,
    /// The addresses with their TTLs, in the order of the message.
    pub(super) addresses: Vec<(IpAddr, u32)>,
}

impl Chain {
    /// Follows the chain from `name` through the answer section, whatever the order of its records.
    ///
    /// # Errors
    /// What is wrong with it: a loop, or more CNAMEs than any resolver follows.
    pub(super) fn of(message: &Message, name: &Name, record_type: RecordType) -> Result<Self, String> {
        let mut chain = Self::default();
        let mut current = name.clone();
        let mut seen = vec![current.clone()];
        while let Some((record, next)) = message.answers.iter().find_map(|record| match &record.data {
            RData::CNAME(next) if record.name == current => Some((record, &next.0)),
            _ => None,
        }) {
            chain.records.push(ChainRecord {
                name: text(&record.name),
                record_type: "CNAME".into(),
                ttl: record.ttl,
                data: text(next),
            });
            if seen.contains(next) {
                return Err(format!("the CNAME chain loops at {}", text(next)));
            }
            if chain.records.len() >= MAX_CNAMES {
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
                && chain.addresses.len() < MAX_ADDRESS_RECORDS
            {
                chain.addresses.push((ip, record.ttl));
                chain.records.push(ChainRecord {
                    name: text(&record.name),
                    record_type: record_type.to_string(),
                    ttl: record.ttl,
                    data: ip.to_string(),
                });
            }
        }
        Ok(chain)
    }
}

/// The outcome of a message, by its response code and its chain.
pub(super) fn outcome_of(message: &Message, chain: &Result<Chain, String>) -> ViewOutcome {
    match (message.metadata.response_code, chain) {
        (ResponseCode::NoError | ResponseCode::NXDomain, Err(_)) => ViewOutcome::BadAnswer,
        (ResponseCode::NoError, Ok(chain)) if chain.addresses.is_empty() => ViewOutcome::NoData,
        (ResponseCode::NoError, Ok(_)) => ViewOutcome::Answered,
        (ResponseCode::NXDomain, Ok(_)) => ViewOutcome::NameNotFound,
        (ResponseCode::ServFail, _) => ViewOutcome::ServerFailure,
        (ResponseCode::Refused, _) => ViewOutcome::Refused,
        _ => ViewOutcome::OtherRcode,
    }
}

/// The response code by its IANA name.
pub(super) fn rcode_name(code: ResponseCode) -> String {
    match code {
        ResponseCode::NoError => "NOERROR".into(),
        ResponseCode::FormErr => "FORMERR".into(),
        ResponseCode::ServFail => "SERVFAIL".into(),
        ResponseCode::NXDomain => "NXDOMAIN".into(),
        ResponseCode::NotImp => "NOTIMP".into(),
        ResponseCode::Refused => "REFUSED".into(),
        // Both have the number 16; nothing here is signed.
        ResponseCode::BADVERS | ResponseCode::BADSIG => "BADVERS".into(),
        other => format!("RCODE{}", u16::from(other)),
    }
}

/// The answer of A and AAAA that decides the outcome. Where neither has an address, a failure comes before
/// "no such name" and "no data", since an address may hide behind it; then A before AAAA.
pub(super) fn deciding(answers: &[Answer]) -> Option<&Answer> {
    let any_address =
        answers.iter().filter_map(|answer| answer.chain.as_ref().ok()).any(|chain| !chain.addresses.is_empty());
    answers.iter().min_by_key(|answer| match answer.question.outcome {
        ViewOutcome::Answered => 0,
        outcome if any_address || !outcome.is_final() => 1,
        _ => 2,
    })
}

/// The chains of A and AAAA as one: the CNAMEs once and first, whichever answer has them.
pub(super) fn joined(answers: &[Answer]) -> Chain {
    let mut joined = Chain::default();
    for chain in answers.iter().filter_map(|answer| answer.chain.as_ref().ok()) {
        for record in &chain.records {
            let is_known = |known: &ChainRecord| known.record_type == "CNAME" && known.name == record.name;
            if record.record_type != "CNAME" || !joined.records.iter().any(is_known) {
                joined.records.push(record.clone());
            }
        }
        joined.addresses.extend(&chain.addresses);
    }
    joined.records.sort_by_key(|record| record.record_type != "CNAME"); // stable
    joined
}
