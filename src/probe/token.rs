//! The token phase: fetches a token of Entra ID beside the other phases, caches it, and refreshes it before it expires.
//! Probes of one identity share one token. Each fetch is a task of its own, which outlives the probe that started it.
//!
//! The name of a token endpoint is resolved here, by the C library: it is not part of the path that is proven.

#[cfg(feature = "entra")]
mod az;
#[cfg_attr(not(feature = "entra"), allow(dead_code, reason = "without Entra ID there is no token"))]
mod cached;
#[cfg_attr(not(feature = "entra"), allow(dead_code, reason = "without Entra ID there is no token"))]
mod claims;
#[cfg(feature = "entra")]
mod fetch;
#[cfg(all(feature = "entra", any(test, feature = "fuzzing")))]
pub(super) mod fuzzing;
#[cfg(feature = "entra")]
mod http;
#[cfg(feature = "entra")]
mod redact;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::watch;

pub(super) use self::cached::Token;
use super::budget::{Budget, StopReason};
use super::tls::Tls;
use crate::lock::lock;
use crate::observation::token::TokenStep;
use crate::observation::{Phase, StoppedBy, TokenFacts, TokenFailure};
use crate::parse;
use crate::plan::{Auth, EntraAuth, Plan, TokenSource};

/// The limit of one fetch: `az` is slow.
const FETCH_LIMIT: Duration = Duration::from_secs(30);

/// The scope of the Redis services.
const REDIS_SCOPE: &str = "https://redis.azure.com/.default";

/// The scope of the query endpoint of an Azure Monitor workspace.
const MONITOR_SCOPE: &str = "https://prometheus.monitor.azure.com/.default";

/// How long a failure is cached, so that many targets cause one request.
const FAILURE_TTL: Duration = Duration::from_secs(5);

/// The same after HTTP 429 or 5xx.
const THROTTLED_TTL: Duration = Duration::from_secs(20);

/// The shortest time between two fetches because a cached token was rejected.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(300);

/// The tokens of a process, one per identity.
pub(super) struct Tokens {
    tls: Tls,
    entries: Mutex<HashMap<Identity, Arc<TokenCacheEntry>>>,
}

/// What a token is fetched for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Identity {
    source: TokenSource,
    client_id: Option<String>,
    scope: &'static str,
}

/// A token for the query endpoint of an Azure Monitor workspace.
pub(super) async fn monitor_token(tls: &Tls, source: TokenSource) -> Result<Arc<Token>, TokenFailure> {
    let identity = Identity { source, client_id: None, scope: MONITOR_SCOPE };
    Arc::new(TokenCacheEntry::new(identity)).get(tls).await
}

impl Tokens {
    /// An empty cache.
    pub(super) fn new(tls: Tls) -> Self {
        Self { tls, entries: Mutex::new(HashMap::new()) }
    }

    /// Runs the phase; `None` for a plan that needs no token.
    pub(super) async fn phase(&self, plan: &Plan, budget: &Budget) -> Option<(Phase<TokenFailure>, TokenFacts)> {
        let Auth::Entra(auth) = &plan.auth else { return None };
        let entry = self.entry(auth);
        let begun = Instant::now();
        let outcome = budget.token(self.get(auth)).await;
        let took = begun.elapsed();
        let mut facts = TokenFacts::of(auth.source);
        facts.unused_proxy = proxy_variable(auth.source, &|name| std::env::var_os(name));
        facts.client_id = auth.client_id.clone().or_else(|| client_id_from_environment(auth.source));
        let phase = match outcome {
            Ok(Ok(token)) => {
                token.describe(&mut facts);
                facts.cached = !token.was_issued_after(budget.begun());
                facts.refresh_failure = entry.last_failure();
                Phase::done(took)
            }
            Ok(Err(failure)) => Phase::failed(took, failure),
            Err(StopReason::Timeout) => Phase::failed(took, entry.stage.timeout()),
            Err(StopReason::Interrupt) => Phase::NotReached { stopped_by: StoppedBy::Interrupt },
        };
        Some((phase, facts))
    }

    /// A token that has not expired: the cached one, or a new one.
    pub(super) async fn get(&self, auth: &EntraAuth) -> Result<Arc<Token>, TokenFailure> {
        let token = self.entry(auth).get(&self.tls).await?;
        if auth.username.is_none() && token.object_id().is_none() {
            let error = "the token names no object ID (oid), which is the user name".to_owned();
            return Err(TokenFailure::BadAnswer { endpoint: auth.source.to_string(), error });
        }
        Ok(token)
    }

    /// A newer token than `rejected`; `None` where there is none, or one was fetched for that reason within the
    /// last five minutes.
    pub(super) async fn renew(&self, auth: &EntraAuth, rejected: &Arc<Token>) -> Option<Arc<Token>> {
        self.entry(auth).renew(&self.tls, rejected).await
    }

    fn entry(&self, auth: &EntraAuth) -> Arc<TokenCacheEntry> {
        let identity = Identity { source: auth.source, client_id: auth.client_id.clone(), scope: REDIS_SCOPE };
        let mut entries = lock(&self.entries);
        Arc::clone(entries.entry(identity.clone()).or_insert_with(|| Arc::new(TokenCacheEntry::new(identity))))
    }
}

/// The variable of the environment that names an HTTP proxy for the token endpoint. Only its name: the value may hold
/// a password. The metadata service and `az` are not asked through it.
fn proxy_variable(source: TokenSource, variable: &dyn Fn(&str) -> Option<std::ffi::OsString>) -> Option<String> {
    if source != TokenSource::WorkloadIdentity {
        return None;
    }
    let is_set = |name: &&str| variable(name).is_some_and(|value| !value.is_empty());
    ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"].into_iter().find(is_set).map(str::to_owned)
}

/// The client ID that AKS sets in the environment of a pod.
fn client_id_from_environment(source: TokenSource) -> Option<String> {
    let in_pod = source == TokenSource::WorkloadIdentity;
    let id = in_pod.then(|| std::env::var("AZURE_CLIENT_ID").ok()).flatten()?;
    parse::client_id(&id).ok()
}

/// The token of one identity, and the fetch in progress.
struct TokenCacheEntry {
    identity: Identity,
    state: Mutex<State>,
    changed: watch::Sender<()>,
    stage: Arc<FetchStage>,
}

#[derive(Default)]
struct State {
    token: Option<Arc<Token>>,
    failure: Option<CachedFailure>,
    is_fetching: bool,
    renewed_at: Option<Instant>,
}

struct CachedFailure {
    failure: TokenFailure,
    until: Instant,
}

impl TokenCacheEntry {
    fn new(identity: Identity) -> Self {
        Self {
            identity,
            state: Mutex::default(),
            changed: watch::Sender::new(()),
            stage: Arc::new(FetchStage::default()),
        }
    }

    async fn get(self: &Arc<Self>, tls: &Tls) -> Result<Arc<Token>, TokenFailure> {
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(outcome) = self.current(tls) {
                return outcome;
            }
            let _ = changed.changed().await; // the sender lives as long as this does
        }
    }

    /// The cached token or failure, and starts a fetch where one is due; `None` while the first token is being fetched.
    fn current(self: &Arc<Self>, tls: &Tls) -> Option<Result<Arc<Token>, TokenFailure>> {
        let mut state = lock(&self.state);
        let token = state.token.clone().filter(|token| !token.has_expired());
        let failure = state.failure.as_ref().filter(|failed| Instant::now() < failed.until);
        let failure = failure.map(|failed| failed.failure.clone());
        if token.as_ref().is_none_or(|token| token.is_due()) && !state.is_fetching && failure.is_none() {
            self.start_fetch(&mut state, tls);
        }
        match (token, state.is_fetching) {
            (Some(token), _) => Some(Ok(token)),
            (None, true) => None,
            (None, false) => failure.map(Err),
        }
    }

    async fn renew(self: &Arc<Self>, tls: &Tls, rejected: &Arc<Token>) -> Option<Arc<Token>> {
        let mut changed = self.changed.subscribe();
        {
            let mut state = lock(&self.state);
            let is_current = state.token.as_ref().is_none_or(|token| Arc::ptr_eq(token, rejected));
            if is_current && !state.is_fetching {
                if state.renewed_at.is_some_and(|at| at.elapsed() < RENEWAL_INTERVAL) {
                    return None;
                }
                state.renewed_at = Some(Instant::now());
                self.start_fetch(&mut state, tls);
            }
        }
        loop {
            {
                let state = lock(&self.state);
                if !state.is_fetching {
                    return state.token.clone().filter(|token| !Arc::ptr_eq(token, rejected));
                }
            }
            let _ = changed.changed().await;
        }
    }

    fn start_fetch(self: &Arc<Self>, state: &mut State, tls: &Tls) {
        state.is_fetching = true;
        let (guard, tls) = (FetchGuard(Arc::clone(self)), tls.clone());
        tokio::spawn(async move {
            let entry = &guard.0;
            let result = tokio::time::timeout(FETCH_LIMIT, fetch(&entry.identity, &tls, &entry.stage)).await;
            entry.finish_fetch(result.unwrap_or_else(|_| Err(entry.stage.timeout())));
        });
    }

    fn finish_fetch(&self, outcome: Result<Token, TokenFailure>) {
        let mut state = lock(&self.state);
        state.is_fetching = false;
        match outcome {
            Ok(token) => {
                state.token = Some(Arc::new(token));
                state.failure = None;
            }
            Err(failure) => {
                let throttled = matches!(failure, TokenFailure::Rejected { status: 429 | 500.., .. });
                let until = Instant::now() + if throttled { THROTTLED_TTL } else { FAILURE_TTL };
                state.failure = Some(CachedFailure { failure, until });
            }
        }
        drop(state);
        self.changed.send_replace(());
    }

    /// The failure of the last fetch, if it failed.
    fn last_failure(&self) -> Option<TokenFailure> {
        lock(&self.state).failure.as_ref().map(|failed| failed.failure.clone())
    }
}

/// Ends a fetch as failed when its task ends by a panic or with the runtime.
struct FetchGuard(Arc<TokenCacheEntry>);

impl Drop for FetchGuard {
    fn drop(&mut self) {
        let is_fetching = lock(&self.0.state).is_fetching;
        if is_fetching {
            self.0.finish_fetch(Err(self.0.stage.timeout()));
        }
    }
}

/// The endpoint and the step of a fetch, for the message of a timeout.
#[derive(Default)]
struct FetchStage(Mutex<Option<(String, TokenStep)>>);

impl FetchStage {
    #[cfg(feature = "entra")]
    fn set(&self, endpoint: &str, step: TokenStep) {
        *lock(&self.0) = Some((endpoint.to_owned(), step));
    }

    fn timeout(&self) -> TokenFailure {
        let (endpoint, step) =
            lock(&self.0).clone().unwrap_or_else(|| ("the token source".to_owned(), TokenStep::Answer));
        TokenFailure::Timeout { endpoint, step }
    }
}

#[cfg(feature = "entra")]
async fn fetch(identity: &Identity, tls: &Tls, stage: &Arc<FetchStage>) -> Result<Token, TokenFailure> {
    fetch::fetch(identity, tls, stage).await
}

#[cfg(not(feature = "entra"))]
async fn fetch(_: &Identity, _: &Tls, _: &Arc<FetchStage>) -> Result<Token, TokenFailure> {
    Err(TokenFailure::NotConfigured { error: "this build of redpath is without Entra ID".to_owned() })
}
