//! Looks a name up at one server, along the search list as the C library would.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::chain::{self, Answer};
use super::query::{self, QueryOptions};
use super::search::SearchList;
use super::{MAX_ADDRESSES, stopped};
use crate::azure;
use crate::expectation::Expectation;
use crate::observation::dns::{Question, ResolvedAddress};
use crate::observation::{LocalLimit, View, ViewOutcome};
use crate::probe::budget::Budget;

/// How late the limit of a query may be noticed before the lookup is cancelled.
const CANCEL_GRACE: Duration = Duration::from_millis(50);

/// Where the messages come from.
pub(super) enum Source {
    /// A name server.
    Server(SocketAddr),
    /// Given messages, to questions whose ids begin with this one.
    #[cfg(any(test, feature = "fuzzing"))]
    Recorded { first_id: u16, messages: std::vec::IntoIter<Vec<u8>> },
}

impl Source {
    async fn query(&mut self, name: &str, options: QueryOptions, limit: Duration) -> Vec<Answer> {
        match self {
            Self::Server(address) => query::query(*address, name, options, limit).await,
            #[cfg(any(test, feature = "fuzzing"))]
            Self::Recorded { first_id, messages } => query::query_recorded(name, options, *first_id, messages),
        }
    }
}

/// The lookup of one name at one source.
pub(super) struct Lookup<'a> {
    pub(super) source: Source,
    pub(super) search: SearchList,
    pub(super) options: QueryOptions,
    pub(super) expectation: &'a Expectation,
}

impl Lookup<'_> {
    /// Queries one name after the other until one is found; fills in `view`, which has not been asked. What was
    /// queried before the limit or an interrupt is kept.
    pub(super) async fn run(mut self, view: View, budget: &Budget, limit: Duration) -> View {
        let began = Instant::now();
        let mut questions: Vec<Question> = Vec::new();
        let mut deciding: Option<Vec<Answer>> = None;
        while let Some(name) = self.search.next_name() {
            let left = limit.saturating_sub(began.elapsed());
            // A silent server must leave time for the bare name, which the C library queries last.
            let share = if self.search.has_more() { left / 2 } else { left };
            let query = self.source.query(&name, self.options, share);
            let answers = match budget.within(share + CANCEL_GRACE, query).await {
                Ok(answers) => answers,
                Err(reason) => return View { questions, ..stopped(view, reason, began.elapsed()) },
            };
            questions.extend(answers.iter().map(|answer| answer.question.clone()));
            // One wait for UDP is enough.
            self.options.tcp_only |= answers.iter().any(|answer| answer.question.udp_silent);
            self.options.without_edns |= answers.iter().any(|answer| answer.question.is_without_edns());
            let found = self.search.apply(&answers);
            // Where nothing is found, the answers for the bare name decide.
            if found || deciding.is_none() || self.search.was_bare_name() {
                deciding = Some(answers);
            }
        }
        let view = View { took_seconds: Some(began.elapsed().into()), ..view };
        let view = match deciding {
            Some(answers) => self.answered(view, &answers),
            None => {
                let reason = Some("the name is too long for a DNS question".into());
                View { outcome: ViewOutcome::Failed, reason, ..view }
            }
        };
        View {
            udp_silent: questions.iter().any(|question| question.udp_silent),
            edns_dropped: questions.iter().any(|question| question.edns_dropped),
            edns_refused: questions.iter().find_map(|question| question.edns_refused.clone()),
            questions,
            ..view
        }
    }

    /// The view with the facts of the answers that decide.
    fn answered(&self, view: View, answers: &[Answer]) -> View {
        let Some(Answer { question, chain, origin }) = chain::deciding(answers) else { return view };
        let joined = chain::joined(answers);
        let privatelink_zone = joined.records.iter().find_map(|record| {
            azure::privatelink_zone(&record.name)
                .or_else(|| if record.record_type == "CNAME" { azure::privatelink_zone(&record.data) } else { None })
        });
        let address = |(ip, ttl)| ResolvedAddress { ip, class: self.expectation.class(ip), ttl: Some(ttl) };
        View {
            outcome: question.outcome,
            local_limit: (question.outcome == ViewOutcome::NotReached).then_some(LocalLimit::Descriptors),
            rcode: question.rcode.clone(),
            transport: Some(question.transport),
            reason: chain.as_ref().err().cloned(),
            soa: origin.soa.clone(),
            without_soa: origin.soa.is_none()
                && matches!(question.outcome, ViewOutcome::NoData | ViewOutcome::NameNotFound),
            extended_error: origin.extended_error.clone(),
            answered_name: Some(question.name.clone()).filter(|name| *name != self.search.bare_name()),
            privatelink_zone,
            addresses: joined.addresses.into_iter().take(MAX_ADDRESSES).map(address).collect(),
            chain: joined.records,
            ..view
        }
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
    use hickory_proto::rr::{Name, RecordType};

    use super::*;
    use crate::observation::dns::ViewKind;
    use crate::probe::budget::Interrupt;
    use crate::target::HostName;

    const FIRST_ID: u16 = 7;

    fn refusal(name: &str, record_type: RecordType, id: u16) -> Vec<u8> {
        let mut message = Message::new(id, MessageType::Response, OpCode::Query);
        message.metadata.response_code = ResponseCode::Refused;
        let mut name = Name::from_ascii(name).expect("a name");
        name.set_fqdn(true);
        message.add_query(Query::query(name, record_type));
        message.to_vec().expect("a message")
    }

    #[tokio::test]
    async fn lookup_refused_search_name_still_queries_bare_name() {
        let mut messages = Vec::new();
        for name in ["cache1.corp.example", "cache1"] {
            messages.push(refusal(name, RecordType::A, FIRST_ID));
            messages.push(refusal(name, RecordType::AAAA, FIRST_ID + 1));
        }
        let host = HostName::parse("cache1").expect("a name");
        let lookup = Lookup {
            source: Source::Recorded { first_id: FIRST_ID, messages: messages.into_iter() },
            search: SearchList::new(&host, &["corp.example".to_owned(), "b.example".to_owned()], 1),
            options: QueryOptions { tcp_only: false, with_aaaa: true, without_edns: false },
            expectation: &Expectation::default(),
        };
        let limit = Duration::from_secs(10);
        let budget = Budget::new(limit, Interrupt::new().1);
        let view = lookup.run(View::new("hub", ViewKind::Resolver, None), &budget, limit).await;
        let names: Vec<&str> = view.questions.iter().map(|question| question.name.as_str()).collect();
        assert_eq!(names, ["cache1.corp.example", "cache1.corp.example", "cache1", "cache1"]);
        assert_eq!((view.outcome, view.rcode.as_deref()), (ViewOutcome::Refused, Some("REFUSED")));
    }
}
