//! The resolve phase: queries all views of a name concurrently, uncached.
//!
//! The only module that resolves a target's name. What the answers mean is not decided here.

mod answer_history;
mod authority;
mod azure;
mod chain;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzzing;
mod hosts_file;
mod libc;
mod lookup;
mod query;
mod repeat;
mod resolv_conf;
mod search;
mod views;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use self::answer_history::AnswerHistory;
use self::libc::LibcPool;
use self::lookup::{Lookup, Source};
use self::query::QueryOptions;
use self::resolv_conf::ResolvConf;
use self::search::SearchList;
use self::views::Views;
use super::budget::{Budget, StopReason};
use crate::clock::Seconds;
use crate::observation::dns::{ResolvedAddress, SameAnswer, ViewKind};
use crate::observation::{LocalLimit, Phase, Resolution, ResolveFailure, StoppedBy, View, ViewOutcome};
use crate::plan::Plan;

/// The most addresses of one answer.
const MAX_ADDRESSES: usize = 64;

/// Resolves names. One for the process: it counts the C library's calls, and knows since when each view has
/// given the same answer.
pub(super) struct Resolver {
    libc: LibcPool,
    history: AnswerHistory,
    resolv_conf: PathBuf,
}

/// Who wants a name resolved.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// The schedule, or a command.
    Schedule,
    /// A request over HTTP. Calls of the C library hold its permit until they return, and its answers are not recorded
    /// in the history.
    OnDemand(#[expect(dead_code, reason = "it is held, not read")] Arc<OwnedSemaphorePermit>),
}

/// The result of the resolve phase.
pub(super) struct Resolved {
    pub(super) resolution: Resolution,
    pub(super) phase: Phase<ResolveFailure>,
    /// The limit of this machine that kept a view from being queried.
    pub(super) local_limit: Option<LocalLimit>,
}

/// The addresses to connect to; otherwise what stopped the resolution.
pub(super) type Addresses = Result<Vec<IpAddr>, StoppedBy>;

impl Resolver {
    pub(super) fn new() -> Self {
        Self { libc: LibcPool::new(), history: AnswerHistory::default(), resolv_conf: "/etc/resolv.conf".into() }
    }

    /// Queries every view that the plan selects. Returns two futures: the first one for the addresses of the view in
    /// use as soon as it has answered, the second one for all views. The second one does the work of both.
    pub(super) fn resolve<'a>(
        &'a self,
        plan: &'a Plan,
        origin: &'a Origin,
        budget: &'a Budget,
    ) -> (impl Future<Output = Addresses> + 'static, impl Future<Output = Resolved> + 'a) {
        let (in_use, receiver) = oneshot::channel();
        let addresses = async { receiver.await.unwrap_or(Err(StoppedBy::Resolve)) };
        let resolved = async move {
            let (began, limit) = (Instant::now(), budget.phase_limit());
            match ResolvConf::read(&self.resolv_conf, budget).await {
                Ok(conf) => {
                    let context = ResolveContext { resolver: self, plan, origin, conf: &conf, budget, began, limit };
                    context.query_views(in_use).await
                }
                Err(_) => {
                    let stopped_by = StoppedBy::Interrupt;
                    let _ = in_use.send(Err(stopped_by)); // the connection may not wait for it
                    Resolved {
                        resolution: Resolution::default(),
                        phase: Phase::NotReached { stopped_by },
                        local_limit: None,
                    }
                }
            }
        };
        (addresses, resolved)
    }
}

/// What the lookups of one resolution share.
#[derive(Clone, Copy)]
struct ResolveContext<'a> {
    resolver: &'a Resolver,
    plan: &'a Plan,
    origin: &'a Origin,
    conf: &'a ResolvConf,
    budget: &'a Budget,
    began: Instant,
    limit: Duration,
}

impl ResolveContext<'_> {
    async fn query_views(self, in_use: oneshot::Sender<Addresses>) -> Resolved {
        let Self { plan, conf, limit, .. } = self;
        let mut views = Views::new(plan, selected(plan, conf));
        let mut in_use = Some(in_use);
        let query = |(index, view)| async move {
            let allowed = limit.saturating_sub(self.began.elapsed());
            (index, allowed, self.query(view, allowed).await)
        };
        let mut running: FuturesUnordered<_> = views.take_due().into_iter().map(query).collect();
        while let Some((index, allowed, view)) = running.next().await {
            views.add(index, view, |view| repeat::counts(view, allowed, limit));
            if let Some(view) = views.in_use()
                && let Some(sender) = in_use.take()
            {
                let _ = sender.send(addresses(view)); // the connection may not wait for it
            }
            if self.began.elapsed() < limit {
                running.extend(views.take_due().into_iter().map(query));
            }
        }
        drop(running);
        let phase = phase_of(views.in_use());
        let view_in_use = views.in_use().map(|view| view.view.clone());
        let azure = azure::view(plan, &views, self.budget, limit.saturating_sub(self.began.elapsed())).await;
        let views = views
            .into_views()
            .into_iter()
            .chain(azure)
            .map(|view| View { same_answer: self.same_answer(&view), ..view });
        let views: Vec<View> = views.collect();
        let local_limit = conf.local_limit.or_else(|| views.iter().find_map(|view| view.local_limit));
        let resolution = Resolution {
            views,
            view_in_use,
            search: conf.search.clone(),
            ndots: Some(conf.ndots),
            in_kubernetes: std::env::var_os("KUBERNETES_SERVICE_HOST").is_some(),
            resolv_conf_error: conf.error.clone(),
        };
        Resolved { resolution, phase, local_limit }
    }

    /// Queries one view, which has not been asked, within `limit`.
    async fn query(self, view: View, limit: Duration) -> View {
        match (view.kind, view.server) {
            (ViewKind::Libc, _) => self.query_libc(view, limit).await,
            (ViewKind::System | ViewKind::Resolver, None) => view,
            (ViewKind::System | ViewKind::Resolver, Some(server)) => {
                let is_system = view.kind == ViewKind::System;
                let lookup = Lookup {
                    source: Source::Server(server),
                    search: SearchList::new(&self.plan.target.host, &self.conf.search, self.conf.ndots),
                    options: QueryOptions {
                        tcp_only: is_system && self.conf.use_tcp,
                        with_aaaa: !is_system || !self.conf.no_aaaa,
                        without_edns: false,
                    },
                    expectation: &self.plan.expectation,
                };
                // Boxed, since the future of the C library's view is far smaller.
                Box::pin(lookup.run(view, self.budget, limit)).await
            }
        }
    }

    async fn query_libc(self, view: View, limit: Duration) -> View {
        if self.conf.aborts_glibc {
            let (outcome, reason) = (ViewOutcome::Failed, self.conf.error.clone());
            return View { outcome, reason, took_seconds: Some(Seconds::default()), ..view };
        }
        let (began, host) = (Instant::now(), &self.plan.target.host);
        let lookup = self.resolver.libc.look_up(host, self.origin);
        let both = async { tokio::join!(lookup, hosts_file::read(host, limit / 4)) };
        let (answer, hosts_file) = match self.budget.within(limit, both).await {
            Ok((Ok(answer), hosts_file)) => (answer, hosts_file),
            Ok((Err(local_limit), _)) => return view.not_reached(local_limit),
            Err(reason) => return stopped(view, reason, began.elapsed()),
        };
        let view = View { hosts_file, took_seconds: Some(answer.took.into()), ..view };
        match answer.result {
            Ok((ips, canonical_name)) => {
                let address = |ip| ResolvedAddress { ip, class: self.plan.expectation.class(ip), ttl: None };
                let addresses = ips.into_iter().take(MAX_ADDRESSES).map(address).collect();
                View { outcome: ViewOutcome::Answered, addresses, canonical_name, ..view }
            }
            Err((outcome, reason)) => {
                let local_limit = (outcome == ViewOutcome::NotReached).then_some(LocalLimit::Descriptors);
                View { outcome, reason: Some(reason), local_limit, ..view }
            }
        }
    }

    fn same_answer(&self, view: &View) -> Option<SameAnswer> {
        let (host, history) = (self.plan.target.host.as_str(), &self.resolver.history);
        match self.origin {
            Origin::Schedule => history.record(host, view, Instant::now()),
            Origin::OnDemand(_) => history.get(host, view, Instant::now()),
        }
    }
}

/// A view whose query was stopped.
fn stopped(view: View, reason: StopReason, took: Duration) -> View {
    match reason {
        StopReason::Interrupt => View { outcome: ViewOutcome::Interrupted, ..view },
        StopReason::Timeout => {
            let took = Seconds(took);
            let reason = Some(format!("no answer after {took}"));
            View { outcome: ViewOutcome::Timeout, took_seconds: Some(took), reason, ..view }
        }
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

fn addresses(view: &View) -> Addresses {
    match view.outcome {
        ViewOutcome::Answered => Ok(view.ips().collect()),
        ViewOutcome::Interrupted => Err(StoppedBy::Interrupt),
        ViewOutcome::NotReached => Err(StoppedBy::LocalLimit),
        _ => Err(StoppedBy::Resolve),
    }
}

fn phase_of(view: Option<&View>) -> Phase<ResolveFailure> {
    let Some(view) = view else {
        return Phase::failed(Duration::ZERO, ResolveFailure::NoView);
    };
    match (view.outcome, view.took_seconds) {
        (ViewOutcome::Answered, Some(took)) => Phase::done(took),
        (ViewOutcome::NotReached, _) => Phase::NotReached { stopped_by: StoppedBy::LocalLimit },
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
