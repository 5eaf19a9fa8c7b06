//! A view of messages that are already there, through the same code as one that is asked for.

use std::time::Duration;

use futures_util::FutureExt;

use super::resolv_conf::ResolvConf;
use super::search::SearchList;
use super::{QueryOptions, Server, libc, walk_view};
use crate::expectation::Expectation;
use crate::observation::dns::{HostsEntry, View, ViewKind};
use crate::probe::replay::{DnsQuestions, SystemResolver};
use crate::target::HostName;

/// No limit that counts: nothing is waited for.
const LIMIT: Duration = Duration::from_secs(3600);

pub(in crate::probe) fn view(questions: &DnsQuestions<'_>, expectation: &Expectation, messages: &[&[u8]]) -> View {
    let mut view = View::new("replay", ViewKind::Resolver, None);
    let walk = SearchList::new(questions.host, questions.search, questions.ndots);
    let style = QueryOptions { tcp_only: false, with_aaaa: true };
    let server = Server::Said(questions.first_id, messages.iter());
    // It never waits, so that it is over at once.
    let _ = walk_view(&mut view, walk, server, style, LIMIT).now_or_never();
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
