//! The token phase: a token of Entra ID, fetched beside the other phases, kept between probes, and refreshed before
//! it expires. Probes of one identity share one token; fetching is a task of its own, so that no probe's end stops it.
//!
//! The name of a token endpoint is resolved here, by the C library: it is no part of the path that is proven.

#[cfg(feature = "entra")]
mod az;
#[cfg_attr(not(feature = "entra"), allow(dead_code, reason = "there is no token to keep"))]
mod cached;
#[cfg_attr(not(feature = "entra"), allow(dead_code, reason = "there is no token to read"))]
mod claims;
#[cfg(feature = "entra")]
mod fetch;
#[cfg(feature = "entra")]
mod http;
#[cfg(feature = "entra")]
pub(super) mod replay;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

pub(super) use self::cached::Token;
use super::budget::{Budget, StopReason};
use super::tls::Tls;
use crate::observation::token::TokenStep;
use crate::observation::{Phase, StoppedBy, TokenFacts, TokenFailure};
use crate::plan::{self, Auth, EntraAuth, Plan, TokenSource};

/// The longest that fetching one token may take, whoever waits for it: `az` is slow.
const FETCH_LIMIT: Duration = Duration::from_secs(30);

/// For how long a failure is the answer to whoever asks, so that many targets are one request.
const FAILURE_TTL: Duration = Duration::from_secs(5);

/// The same, where the endpoint asks for peace (429) or is in trouble (5xx).
const THROTTLED_TTL: Duration = Duration::from_secs(20);

/// The shortest time between two tokens that are fetched because a kept one was rejected.
const RENEWAL_PAUSE: Duration = Duration::from_secs(300);

/// The tokens of a process, one per identity.
pub(super) struct Tokens {
    tls: Tls,
    holders: Mutex<HashMap<Identity, Arc<TokenCacheEntry>>>,
}

/// Whose token it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Identity {
    source: TokenSource,
    client_id: Option<String>,
}

impl Tokens {
    /// None yet.
    pub(super) fn new(tls: Tls) -> Self {
        Self { tls, holders: Mutex::new(HashMap::new()) }
    }

    /// The phase: `None` for a plan that needs no token.
    pub(super) async fn phase(&self, plan: &Plan, budget: &Budget) -> Option<(Phase<TokenFailure>, TokenFacts)> {
        let Auth::Entra(auth) = &plan.auth else { return None };
        let holder = self.holder(auth);
        let begun = Instant::now();
        let outcome = budget.token(self.get(auth)).await;
        let took = begun.elapsed();
        let mut facts = TokenFacts::of(auth.source);
        facts.client_id = auth.client_id.clone().or_else(|| client_id_of_environment(auth.source));
        let phase = match outcome {
            Ok(Ok(token)) => {
                token.describe(&mut facts);
                facts.cached = !token.was_issued_after(budget.begun());
                facts.refresh_failure = holder.failure();
                Phase::done(took)
            }
            Ok(Err(failure)) => Phase::failed(took, failure),
            Err(StopReason::Timeout) => Phase::failed(took, holder.progress.timeout()),
            Err(StopReason::Interrupt) => Phase::NotReached { stopped_by: StoppedBy::Interrupt },
        };
        Some((phase, facts))
    }

    /// A token that has not expired: the kept one, or a new one once it is there.
    pub(super) async fn get(&self, auth: &EntraAuth) -> Result<Arc<Token>, TokenFailure> {
        let token = self.holder(auth).get(&self.tls).await?;
        if auth.username.is_none() && token.object_id().is_none() {
            let error = "the token names no object ID (oid), which is the user's name".to_owned();
            return Err(TokenFailure::BadAnswer { endpoint: auth.source.to_string(), error });
        }
        Ok(token)
    }

    /// A newer token than `rejected`; `None` where there is none, or one was fetched for that reason lately.
    pub(super) async fn renew(&self, auth: &EntraAuth, rejected: &Arc<Token>) -> Option<Arc<Token>> {
        self.holder(auth).renew(&self.tls, rejected).await
    }

    fn holder(&self, auth: &EntraAuth) -> Arc<TokenCacheEntry> {
        let identity = Identity { source: auth.source, client_id: auth.client_id.clone() };
        let mut holders = locked(&self.holders);
        Arc::clone(holders.entry(identity.clone()).or_insert_with(|| Arc::new(TokenCacheEntry::new(identity))))
    }
}

/// The client ID that AKS gives a pod.
fn client_id_of_environment(source: TokenSource) -> Option<String> {
    let is_of_pod = source == TokenSource::WorkloadIdentity;
    let id = is_of_pod.then(|| std::env::var("AZURE_CLIENT_ID").ok()).flatten()?;
    plan::parse_client_id(&id).ok()
}

/// The token of one identity, and the one request that may be under way for it.
struct TokenCacheEntry {
    identity: Identity,
    state: Mutex<State>,
    changed: watch::Sender<()>,
    progress: Arc<FetchStage>,
}

#[derive(Default)]
struct State {
    token: Option<Arc<Token>>,
    failure: Option<Failed>,
    is_fetching: bool,
    renewed: Option<Instant>,
}

struct Failed {
    failure: TokenFailure,
    until: Instant,
}

impl TokenCacheEntry {
    fn new(identity: Identity) -> Self {
        Self {
            identity,
            state: Mutex::default(),
            changed: watch::Sender::new(()),
            progress: Arc::new(FetchStage::default()),
        }
    }

    async fn get(self: &Arc<Self>, tls: &Tls) -> Result<Arc<Token>, TokenFailure> {
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(outcome) = self.look(tls) {
                return outcome;
            }
            let _ = changed.changed().await; // the sender lives as long as this does
        }
    }

    /// What there is now; `None`: it is being fetched.
    fn look(self: &Arc<Self>, tls: &Tls) -> Option<Result<Arc<Token>, TokenFailure>> {
        let mut state = locked(&self.state);
        let token = state.token.clone().filter(|token| !token.has_expired());
        let held = state.failure.as_ref().filter(|failed| Instant::now() < failed.until);
        let held = held.map(|failed| failed.failure.clone());
        if token.as_ref().is_none_or(|token| token.is_due()) && !state.is_fetching && held.is_none() {
            self.begin(&mut state, tls);
        }
        match (token, state.is_fetching) {
            (Some(token), _) => Some(Ok(token)),
            (None, true) => None,
            (None, false) => held.map(Err),
        }
    }

    async fn renew(self: &Arc<Self>, tls: &Tls, rejected: &Arc<Token>) -> Option<Arc<Token>> {
        let mut changed = self.changed.subscribe();
        {
            let mut state = locked(&self.state);
            let is_the_last = state.token.as_ref().is_none_or(|token| Arc::ptr_eq(token, rejected));
            if is_the_last && !state.is_fetching {
                if state.renewed.is_some_and(|at| at.elapsed() < RENEWAL_PAUSE) {
                    return None;
                }
                state.renewed = Some(Instant::now());
                self.begin(&mut state, tls);
            }
        }
        loop {
            {
                let state = locked(&self.state);
                if !state.is_fetching {
                    return state.token.clone().filter(|token| !Arc::ptr_eq(token, rejected));
                }
            }
            let _ = changed.changed().await;
        }
    }

    fn begin(self: &Arc<Self>, state: &mut State, tls: &Tls) {
        state.is_fetching = true;
        let (fetching, tls) = (FetchGuard(Arc::clone(self)), tls.clone());
        tokio::spawn(async move {
            let holder = &fetching.0;
            let fetched = tokio::time::timeout(FETCH_LIMIT, fetch(&holder.identity, &tls, &holder.progress)).await;
            holder.end(fetched.unwrap_or_else(|_| Err(holder.progress.timeout())));
        });
    }

    fn end(&self, outcome: Result<Token, TokenFailure>) {
        let mut state = locked(&self.state);
        state.is_fetching = false;
        match outcome {
            Ok(token) => {
                state.token = Some(Arc::new(token));
                state.failure = None;
            }
            Err(failure) => {
                let busy = matches!(failure, TokenFailure::Rejected { status: 429 | 500.., .. });
                let until = Instant::now() + if busy { THROTTLED_TTL } else { FAILURE_TTL };
                state.failure = Some(Failed { failure, until });
            }
        }
        drop(state);
        self.changed.send_replace(());
    }

    /// Why the last attempt failed, where it did.
    fn failure(&self) -> Option<TokenFailure> {
        locked(&self.state).failure.as_ref().map(|failed| failed.failure.clone())
    }
}

/// A request under way. One that is lost to a panic, or to the end of the runtime, is a failure too.
struct FetchGuard(Arc<TokenCacheEntry>);

impl Drop for FetchGuard {
    fn drop(&mut self) {
        let is_fetching = locked(&self.0.state).is_fetching;
        if is_fetching {
            self.0.end(Err(self.0.progress.timeout()));
        }
    }
}

/// How far a request has come, for who gives up waiting for it.
#[derive(Default)]
struct FetchStage(Mutex<Option<(String, TokenStep)>>);

impl FetchStage {
    #[cfg(feature = "entra")]
    fn is_at(&self, endpoint: &str, step: TokenStep) {
        *locked(&self.0) = Some((endpoint.to_owned(), step));
    }

    fn timeout(&self) -> TokenFailure {
        let (endpoint, step) = locked(&self.0).clone().unwrap_or_else(|| ("the source".to_owned(), TokenStep::Answer));
        TokenFailure::Timeout { endpoint, step }
    }
}

#[cfg(feature = "entra")]
async fn fetch(identity: &Identity, tls: &Tls, progress: &Arc<FetchStage>) -> Result<Token, TokenFailure> {
    fetch::fetch(identity, tls, progress).await
}

#[cfg(not(feature = "entra"))]
async fn fetch(_: &Identity, _: &Tls, _: &Arc<FetchStage>) -> Result<Token, TokenFailure> {
    Err(TokenFailure::NotConfigured { error: "this build of redpath is without Entra ID".to_owned() })
}

/// The state behind a lock, also after a panic of another holder: it is never half-written.
fn locked<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
