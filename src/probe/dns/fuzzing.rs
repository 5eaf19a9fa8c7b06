//! Fuzzing: a view from given messages, by the code that queries name servers; and the system's files from bytes.

use std::time::Duration;

use super::hosts_file;
use super::lookup::{Lookup, Source};
use super::query::QueryOptions;
use super::resolv_conf::ResolvConf;
use super::search::SearchList;
use crate::expectation::Expectation;
use crate::observation::dns::{HostsEntry, View, ViewKind};
use crate::probe::budget::{Budget, Interrupt};
use crate::probe::fuzzing::{DnsQuestions, SystemResolver};
use crate::target::HostName;

/// Never reached: nothing is waited for.
const LIMIT: Duration = Duration::from_secs(3600);

pub(in crate::probe) async fn view(
    questions: &DnsQuestions<'_>,
    expectation: &Expectation,
    messages: &[&[u8]],
) -> View {
    let view = View::new("fuzzing", ViewKind::Resolver, None);
    let messages: Vec<Vec<u8>> = messages.iter().map(|message| message.to_vec()).collect();
    let lookup = Lookup {
        source: Source::Recorded { first_id: questions.first_id, messages: messages.into_iter() },
        search: SearchList::new(questions.host, questions.search, questions.ndots),
        options: QueryOptions { tcp_only: false, with_aaaa: true, without_edns: false },
        expectation,
    };
    let budget = Budget::new(LIMIT, Interrupt::new().1);
    lookup.run(view, &budget, LIMIT).await
}

pub(in crate::probe) fn system_resolver(
    file: &[u8],
    hostname: Option<&str>,
    variable: impl Fn(&str) -> Option<String>,
) -> SystemResolver {
    let ResolvConf { servers, search, ndots, .. } = ResolvConf::parse(file, hostname, variable);
    SystemResolver { servers, search, ndots }
}

pub(in crate::probe) fn hosts(file: &[u8], name: &HostName) -> Vec<HostsEntry> {
    hosts_file::parse(&String::from_utf8_lossy(file), name.as_str().trim_end_matches('.'))
}
