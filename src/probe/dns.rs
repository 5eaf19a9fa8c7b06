//! The resolve phase: one name, asked of every view side by side, with no cache between.
//!
//! The only module that resolves a name. What the answers mean is not decided here.

mod answer_history;
mod chain;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzzing;
mod libc;
mod query;
mod repeat;
mod resolv_conf;
mod search;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::oneshot;

use self::answer_history::Memory;
use self::chain::ResolvedChain;
use self::libc::LibcPool;
use self::resolv_conf::ResolvConf;
use self::search::SearchList;
use super::budget::{Budget, StopReason};
use crate::azure;
use crate::clock::Seconds;
use crate::expectation::Expectation;
use crate::observation::dns::{
    Question, RepeatGroup, Resolution, ResolveFailure, ResolvedAddress, View, ViewKind, ViewOutcome,
};
use crate::observation::{Phase, StoppedBy};
use crate::plan::Plan;

/// The most addresses of one answer that are kept.
const MAX_ADDRESSES: usize = 64;

/// Asks names of views. One for the whole process: it keeps count of the C library's calls, and of
/// how long each view has said the same.
pub(crate) struct Resolver {
    libc: LibcPool,
    memory: Memory,
    resolv_conf: PathBuf,
}

impl Resolver {
    pub(crate) fn new() -> Self {
        Self { libc: LibcPool::new(), memory: Memory::default(), resolv_conf: PathBuf::from("/etc/resolv.conf") }
    }

    /// Asks every view that the plan selects. The answer of the view in use is sent on at once, so
    /// that a slow view or a further try beside it delays nothing.
    pub(crate) async fn resolve(
        &self,
        plan: &Plan,
        budget: &Budget,
        in_use: oneshot::Sender<View>,
    ) -> (Resolution, Phase<ResolveFailure>) {
        let conf = ResolvConf::read(&self.resolv_conf);
        let views = selected(plan, &conf);
        let mut resolution = Resolution {
            views: views.clone(),
            view_in_use: views.first().map(|view| view.view.clone()),
            search: conf.search.clone(),
            ndots: Some(conf.ndots),
            in_kubernetes: std::env::var_os("KUBERNETES_SERVICE_HOST").is_some(),
            resolv_conf_error: conf.error.clone(),
        };
        let round = ResolveContext { plan, conf: &conf, budget, limit: budget.phase_limit(), began: Instant::now() };
        let mut in_use = Some(in_use);
        let mut turns: FuturesUnordered<_> = views
            .into_iter()
            .enumerate()
            .map(|(index, view)| {
                let further = repeat::further_for_all(plan.tries);
                self.take(Turn { index, view, first: true, further, in_use: in_use.take() }, &round)
            })
            .collect();
        let mut disagree = false;
        while let Some(Turn { index, view, first, .. }) = turns.next().await {
            if let Some(place) = resolution.views.get_mut(index) {
                *place = view;
            }
            if !first {
                continue;
            }
            // Views that have not answered yet are interrupted ones until then, and count for nothing.
            let known = disagree;
            disagree = disagree || repeat::disagree(&resolution.views, &plan.expectation);
            let again =
                resolution.views.iter().enumerate().filter(|(at, view)| {
                    disagree && (*at == index || !known) && view.outcome != ViewOutcome::Interrupted
                });
            for (index, view) in again {
                let further = repeat::further_for(view, plan.tries);
                if further > 0 {
                    turns.push(
                        self.take(Turn { index, view: view.clone(), first: false, further, in_use: None }, &round),
                    );
                }
            }
        }
        drop(turns);
        for view in &mut resolution.views {
            self.memory.note(plan.target.host.as_str(), view, Instant::now());
        }
        let phase = phase_of(resolution.in_use());
        (resolution, phase)
    }

    /// One view's tries, one after the other.
    async fn take(&self, mut turn: Turn, round: &ResolveContext<'_>) -> Turn {
        if turn.first {
            turn.view = self.ask(turn.view, round, round.limit).await;
            if let Some(in_use) = turn.in_use.take() {
                let _ = in_use.send(turn.view.clone()); // the connection may not be waiting for it
            }
        }
        for _ in 0..turn.further {
            let left = round.limit.saturating_sub(round.began.elapsed());
            if left.is_zero() || turn.view.outcome == ViewOutcome::Interrupted {
                break;
            }
            let again = View::new(turn.view.view.clone(), turn.view.kind, turn.view.server);
            let again = self.ask(again, round, left).await;
            if !repeat::counts(&again, left, round.limit) {
                break;
            }
            let mut tries = std::mem::take(&mut turn.view.tries);
            if tries.is_empty() {
                RepeatGroup::count_in(&mut tries, &turn.view);
            }
            RepeatGroup::count_in(&mut tries, &again);
            turn.view.tries = tries;
        }
        turn
    }

    async fn ask(&self, mut view: View, round: &ResolveContext<'_>, limit: Duration) -> View {
        let ResolveContext { plan, conf, budget, .. } = *round;
        let began = Instant::now();
        let host = &plan.target.host;
        match view.kind {
            ViewKind::Libc => {
                let cut = budget.within(limit, self.libc.ask(&mut view, host)).await;
                record_cut(&mut view, cut, began);
                let addresses: Vec<_> = view.addresses.iter().map(|address| address.ip).collect();
                view.addresses = classified(addresses.into_iter().map(|ip| (ip, None)), &plan.expectation);
            }
            ViewKind::System | ViewKind::Resolver => {
                let Some(server) = view.server else { return view };
                let style = QueryOptions {
                    tcp_only: view.kind == ViewKind::System && conf.use_tcp,
                    with_aaaa: view.kind != ViewKind::System || !conf.no_aaaa,
                };
                let walk = SearchList::new(host, &conf.search, conf.ndots);
                // On the heap, so that a view of the C library has no room for it. The limit is kept inside, so that
                // what was asked until then is kept too.
                let walk = Box::pin(walk_view(&mut view, walk, Source::Server(server), style, limit));
                let cut = budget.within(limit + CANCEL_GRACE, walk).await;
                record_cut(&mut view, cut, began);
                for address in &mut view.addresses {
                    address.class = plan.expectation.class(address.ip);
                }
            }
        }
        view
    }
}

/// What all turns of one resolution share.
#[derive(Clone, Copy)]
struct ResolveContext<'a> {
    plan: &'a Plan,
    conf: &'a ResolvConf,
    budget: &'a Budget,
    limit: Duration,
    began: Instant,
}

/// One view's turn.
struct Turn {
    index: usize,
    view: View,
    /// Whether the view has not been asked yet.
    first: bool,
    /// How many tries follow the first.
    further: u8,
    /// Where the first answer goes at once.
    in_use: Option<oneshot::Sender<View>>,
}

/// How long the walk's own limit may be late before it is cut from outside.
const CANCEL_GRACE: Duration = Duration::from_millis(50);

#[derive(Clone, Copy)]
struct QueryOptions {
    tcp_only: bool,
    with_aaaa: bool,
}

/// Where the responses to a view's questions come from.
enum Source {
    /// A name server.
    Server(SocketAddr),
    /// Given messages, to questions whose ids begin with this one.
    #[cfg(any(test, feature = "fuzzing"))]
    Recorded { first_id: u16, messages: std::vec::IntoIter<Vec<u8>> },
}

impl Source {
    async fn ask(&mut self, name: &str, style: QueryOptions, limit: Duration) -> NameAnswer {
        match self {
            Self::Server(address) => query::ask(*address, name, style.with_aaaa, style.tcp_only, limit).await,
            #[cfg(any(test, feature = "fuzzing"))]
            Self::Recorded { first_id, messages } => query::parse_messages(name, style.with_aaaa, *first_id, messages),
        }
    }
}

fn record_cut(view: &mut View, cut: Result<(), StopReason>, began: Instant) {
    let outcome = match cut {
        Ok(()) => return,
        Err(StopReason::Timeout) => ViewOutcome::Timeout,
        Err(StopReason::Interrupt) => ViewOutcome::Interrupted,
    };
    view.outcome = outcome;
    if outcome == ViewOutcome::Timeout {
        let took = Seconds(began.elapsed());
        view.took_seconds = Some(took);
        view.reason = Some(format!("no answer after {took}"));
    }
}

/// The views that the plan selects, the one in use first.
fn selected(plan: &Plan, conf: &ResolvConf) -> Vec<View> {
    let libc = View::new("libc", ViewKind::Libc, None);
    let system = conf
        .servers
        .iter()
        .map(|server| View::new(format!("system:{}", server_name(*server)), ViewKind::System, Some(*server)));
    let configured =
        plan.resolvers.iter().map(|resolver| View::new(&*resolver.name, ViewKind::Resolver, Some(resolver.address)));
    let mut views: Vec<View> = Vec::new();
    for view in std::iter::once(libc).chain(system).chain(configured) {
        if plan.views.includes(&view.view) && !views.iter().any(|known| known.view == view.view) {
            views.push(view);
        }
    }
    views
}

/// The address alone where the port is the usual one.
fn server_name(server: SocketAddr) -> String {
    if server.port() == 53 { server.ip().to_string() } else { server.to_string() }
}

fn phase_of(view: Option<&View>) -> Phase<ResolveFailure> {
    let Some(view) = view else {
        return Phase::failed(Duration::ZERO, ResolveFailure::NoView);
    };
    match (view.outcome, view.took_seconds) {
        (ViewOutcome::Answered, Some(took)) => Phase::done(took),
        (ViewOutcome::Interrupted, _) | (_, None) => Phase::NotReached { stopped_by: StoppedBy::Interrupt },
        (outcome, Some(took)) => Phase::failed(
            took,
            ResolveFailure::NoAddress {
                view: view.view.clone(),
                view_outcome: outcome,
                detail: view.reason.clone().or_else(|| view.rcode.clone()),
            },
        ),
    }
}

/// Walks the search list at one server, as the C library would, until a name is answered.
async fn walk_view(
    view: &mut View,
    mut walk: SearchList,
    mut server: Source,
    mut style: QueryOptions,
    limit: Duration,
) {
    let began = Instant::now();
    let mut deciding: Option<ResolvedChain> = None;
    while let Some(candidate) = walk.next_name() {
        let left = limit.saturating_sub(began.elapsed());
        // A silent server must leave time for the bare name, which the C library still asks for.
        let share = if walk.has_more() { left / 2 } else { left };
        let asked = server.ask(&candidate, style, share).await;
        view.questions.extend(asked.questions.iter().cloned());
        view.took_seconds = Some(began.elapsed().into());
        // Waiting for UDP once is enough.
        let silent = asked.questions.iter().any(|question| question.udp_silent);
        style.tcp_only |= silent;
        view.udp_silent |= silent;
        let found = walk.note(&asked);
        // Where nothing is found, the bare name's answer says most about it.
        if found || deciding.is_none() || walk.was_bare_name() {
            deciding = Some(ResolvedChain::of(&asked));
        }
    }
    let Some(answer) = deciding else {
        view.outcome = ViewOutcome::Failed;
        view.reason = Some("the name is too long for a DNS question".into());
        return;
    };
    view.outcome = answer.outcome;
    view.transport = answer.transport;
    view.rcode = answer.rcode;
    view.reason = answer.reason;
    view.answered_name = answer.name.filter(|name| *name != walk.bare_name());
    view.privatelink_zone = answer.chain.iter().find_map(|record| {
        azure::privatelink_zone(&record.name)
            .or_else(|| if record.record_type == "CNAME" { azure::privatelink_zone(&record.data) } else { None })
    });
    view.addresses = answer
        .addresses
        .into_iter()
        .take(MAX_ADDRESSES)
        .map(|(ip, ttl)| ResolvedAddress { ip, class: crate::address::AddressClass::Public, ttl: Some(ttl) })
        .collect();
    view.chain = answer.chain;
}

fn classified(
    addresses: impl Iterator<Item = (IpAddr, Option<u32>)>,
    expectation: &Expectation,
) -> Vec<ResolvedAddress> {
    addresses.take(MAX_ADDRESSES).map(|(ip, ttl)| ResolvedAddress { ip, class: expectation.class(ip), ttl }).collect()
}

/// What one name's questions to one server gave.
pub(crate) struct NameAnswer {
    /// A and, unless switched off, AAAA.
    pub(crate) questions: Vec<Question>,
    /// The answers' records, question by question; empty where none came.
    pub(crate) sections: Vec<Result<chain::Section, String>>,
}

impl NameAnswer {
    /// The name was asked, and nothing came of it: the same for each question.
    fn is_found(&self) -> bool {
        // glibc ends the walk at the first NOERROR with a record in it, a lone CNAME included.
        self.questions.iter().any(|question| {
            question.outcome == ViewOutcome::Answered
                || (question.outcome == ViewOutcome::NoData && question.answers > 0)
        })
    }
}

#[cfg(test)]
pub(crate) fn host(name: &str) -> crate::target::HostName {
    crate::target::HostName::parse(name).expect("a test name")
}
