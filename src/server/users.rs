//! HTTP basic authentication (RFC 7617) against bcrypt hashes.
//!
//! Neither the response nor its time shows whether a user exists. No password is stored: the cache of
//! successes holds salted digests.

use std::collections::{BTreeMap, VecDeque};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bcrypt::HashParts;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// The maximum cost of a hash: a check at cost 15 takes seconds of CPU time.
pub(crate) const MAX_COST: u32 = 15;

/// The minimum cost of bcrypt.
const MIN_COST: u32 = 4;

/// The maximum number of concurrent checks.
const MAX_CHECKS: usize = 2;

/// How long a request waits until its check starts.
const AUTH_QUEUE_TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum number of cached successes.
const MAX_CACHED: usize = 64;

/// The users and their bcrypt hashes; without users, no authentication is required.
#[derive(Default)]
pub(crate) struct Users {
    hashes: BTreeMap<String, String>,
    decoy: String,
}

impl Users {
    /// Checks the hashes.
    ///
    /// # Errors
    /// A sentence that names the user, and never quotes the hash: it may be a password by mistake.
    pub(crate) fn new(hashes: BTreeMap<String, String>) -> Result<Self, String> {
        let mut highest = MIN_COST;
        for (user, hash) in &hashes {
            if user.contains(':') {
                return Err(format!("{user:?} cannot be a user name: basic authentication cuts it at the colon"));
            }
            let cost = HashParts::from_str(hash)
                .map_err(|_| {
                    format!("{user:?} has no bcrypt hash, such as `htpasswd -nBC 10 USER` prints ($2y$10$...)")
                })?
                .get_cost();
            if !(MIN_COST..=MAX_COST).contains(&cost) {
                return Err(format!("{user:?} has a bcrypt hash of cost {cost}: {MIN_COST} to {MAX_COST} is accepted"));
            }
            highest = highest.max(cost);
        }
        // Checked in place of an unknown user's hash, at the same cost; no known password matches.
        let decoy = format!("$2b${highest:02}$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzABCDe");
        Ok(Self { hashes, decoy })
    }

    /// Whether no authentication is required.
    pub(crate) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }
}

/// The result of a request's authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthOutcome {
    /// Correct, or not required.
    Granted,
    /// Missing, malformed or wrong.
    Denied,
    /// Too many concurrent checks.
    Busy,
}

/// Checks credentials, [`MAX_CHECKS`] at a time.
pub(crate) struct Authenticator {
    salt: [u8; 32],
    cache: Mutex<VecDeque<[u8; 32]>>,
    checks: Arc<Semaphore>,
}

impl Authenticator {
    /// An authenticator with an empty cache.
    ///
    /// # Errors
    /// The operating system has no randomness.
    pub(crate) fn new() -> std::io::Result<Self> {
        let mut salt = [0; 32];
        getrandom::fill(&mut salt).map_err(std::io::Error::other)?;
        Ok(Self { salt, cache: Mutex::default(), checks: Arc::new(Semaphore::new(MAX_CHECKS)) })
    }

    /// Checks the value of an `Authorization` header against `users`.
    pub(crate) async fn authenticate(&self, users: &Users, authorization: Option<&[u8]>) -> AuthOutcome {
        if users.is_empty() {
            return AuthOutcome::Granted;
        }
        let Some((user, password)) = authorization.and_then(credentials) else {
            return AuthOutcome::Denied;
        };
        let (hash, known) = match users.hashes.get(&user) {
            Some(hash) => (hash, true),
            None => (&users.decoy, false),
        };
        let digest = self.digest(&user, hash, &password);
        if known && self.is_cached(&digest) {
            return AuthOutcome::Granted;
        }
        let Ok(Ok(permit)) = tokio::time::timeout(AUTH_QUEUE_TIMEOUT, self.checks.clone().acquire_owned()).await else {
            return AuthOutcome::Busy;
        };
        let hash = hash.clone();
        let check = tokio::task::spawn_blocking(move || {
            let _permit = permit; // until the check ends: it outlives a cancelled request
            bcrypt::verify(password.expose(), &hash).unwrap_or(false)
        });
        match check.await {
            Ok(true) if known => {
                self.add_to_cache(digest);
                AuthOutcome::Granted
            }
            Ok(_) => AuthOutcome::Denied,
            Err(_) => AuthOutcome::Busy,
        }
    }

    fn digest(&self, user: &str, hash: &str, password: &Secret) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(self.salt);
        for part in [user, hash] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.update(password.expose());
        digest.finalize().into()
    }

    fn is_cached(&self, digest: &[u8; 32]) -> bool {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).contains(digest)
    }

    fn add_to_cache(&self, digest: [u8; 32]) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if !cache.contains(&digest) {
            cache.truncate(MAX_CACHED - 1);
            cache.push_front(digest);
        }
    }
}

/// The user and password of an `Authorization` header; `None` if malformed.
fn credentials(authorization: &[u8]) -> Option<(String, Secret)> {
    let (scheme, rest) = authorization.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode(rest.trim_ascii()).ok()?);
    let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((user.to_owned(), Secret::new(password.to_owned())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn users(entries: &[(&str, &str)]) -> Users {
        let hashes = entries
            .iter()
            .map(|(user, password)| ((*user).to_owned(), bcrypt::hash(password, 4).expect("a hash")))
            .collect();
        Users::new(hashes).expect("good users")
    }

    fn basic(pair: &str) -> Vec<u8> {
        format!("Basic {}", STANDARD.encode(pair)).into_bytes()
    }

    #[tokio::test]
    async fn user_with_right_password_is_accepted() {
        let authenticator = Authenticator::new().expect("randomness");
        let users = users(&[("anna", "correct horse"), ("ben", "")]);
        for (pair, expected) in [
            ("anna:correct horse", AuthOutcome::Granted),
            ("anna:correct horse", AuthOutcome::Granted),
            ("anna:wrong", AuthOutcome::Denied),
            ("anna:", AuthOutcome::Denied),
            ("ben:", AuthOutcome::Granted),
            ("ben:correct horse", AuthOutcome::Denied),
            ("carl:correct horse", AuthOutcome::Denied),
            ("Anna:correct horse", AuthOutcome::Denied),
            ("anna", AuthOutcome::Denied),
        ] {
            assert_eq!(authenticator.authenticate(&users, Some(&basic(pair))).await, expected, "{pair}");
        }
        for header in [&b"Basic"[..], b"Basic !!!", b"Bearer abc", b"", b"Basic \xff\xfe"] {
            assert_eq!(authenticator.authenticate(&users, Some(header)).await, AuthOutcome::Denied);
        }
        assert_eq!(authenticator.authenticate(&users, None).await, AuthOutcome::Denied);
        assert_eq!(authenticator.cache.lock().expect("unpoisoned").len(), 2, "successes alone");
    }

    #[tokio::test]
    async fn user_cache_ends_with_changed_hash() {
        let authenticator = Authenticator::new().expect("randomness");
        let right = basic("anna:one");
        assert_eq!(authenticator.authenticate(&users(&[("anna", "one")]), Some(&right)).await, AuthOutcome::Granted);
        assert_eq!(authenticator.authenticate(&users(&[("anna", "two")]), Some(&right)).await, AuthOutcome::Denied);
        assert_eq!(authenticator.authenticate(&users(&[("ben", "one")]), Some(&right)).await, AuthOutcome::Denied);
        assert_eq!(
            authenticator.authenticate(&Users::default(), None).await,
            AuthOutcome::Granted,
            "no users, no credentials"
        );
    }

    /// An unknown user must take as long as a wrong password.
    #[test]
    fn user_decoy_hash_has_highest_cost() {
        let mut hashes = BTreeMap::new();
        hashes.insert("anna".to_owned(), bcrypt::hash("x", 5).expect("a hash"));
        let users = Users::new(hashes).expect("good users");
        assert_eq!(HashParts::from_str(&users.decoy).expect("well-formed").get_cost(), 5);
        assert!(matches!(bcrypt::verify("x", &users.decoy), Ok(false)), "it is really computed");
    }

    #[test]
    fn user_bad_hash_is_refused_and_hidden() {
        let refused =
            |user: &str, hash: &str| Users::new([(user.to_owned(), hash.to_owned())].into()).err().expect("refused");
        let tail = &bcrypt::hash("x", 4).expect("a hash")[7..];
        for hash in ["canary-password", "", &format!("$2b$16${tail}"), &format!("$2b$03${tail}"), "$2b$10$short"] {
            let error = refused("anna", hash);
            assert!(error.contains("anna") && !error.contains("canary") && !error.contains(tail), "{error}");
        }
        assert!(refused("anna", &format!("$2b$16${tail}")).contains("4 to 15"));
        assert!(refused("a:b", tail).contains("colon"));
    }

    proptest! {
        #[test]
        fn user_any_header_does_not_panic(header in proptest::collection::vec(any::<u8>(), 0..200), text in ".{0,80}") {
            let _ = credentials(&header);
            let _ = credentials(&basic(&text));
        }
    }
}
