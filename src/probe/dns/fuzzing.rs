//! Fuzzing: a view from given messages, by the code that queries name servers.

use std::time::Duration;

use futures_util::FutureExt;

use super::resolv_conf::ResolvConf;
use super::search::SearchList;
use super::{QueryOptions, Source, libc, walk_view};
use crate::expectation::Expectation;
use crate::observation::dns::{HostsEntry, View, ViewKind};
use crate::probe::fuzzing::{DnsQuestions, SystemResolver};
use crate::target::HostName;

/// Never reached: nothing is waited for.
const LIMIT: Duration = Duration::from_secs(3600);

pub(in crate::probe) fn view(questions: &DnsQuestions<'_>, expectation: &Expectation, messages: &[&[u8]]) -> View {
    let mut view = View::new("fuzzing", ViewKind::Resolver, None);
    let walk = SearchList::new(questions.host, questions.search, questions.ndots);
    let style = QueryOptions { tcp_only: false, with_aaaa: true };
    let messages: Vec<Vec<u8>> = messages.iter().map(|message| message.to_vec()).collect();
    let source = Source::Recorded { first_id: questions.first_id, messages: messages.into_iter() };
    // It never waits, so its first poll finishes it.
    let _ = walk_view(&mut view, walk, source, style, LIMIT).now_or_never();
    for address in &mut view.addresses {
        address.class = expectation.class(address.ip);
    }
    view
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
    libc::parse_hosts(&String::from_utf8_lossy(file), name.as_str().trim_end_matches('.'))
}
