//! A cached token: when it expires, and when it is due for a refresh.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::claims::Claims;
use crate::clock::{Seconds, Timestamp};
use crate::observation::TokenFacts;
use crate::observation::token::{ClockSkew, SkewDirection};
use crate::secret::Secret;

/// A token is refreshed when a fifth of its lifetime is left, and at the latest this long before its end.
const REFRESH_BEFORE_EXPIRY: Duration = Duration::from_secs(300);

/// The assumed lifetime of a token that names none.
const UNKNOWN_LIFETIME: Duration = Duration::from_secs(60);

/// The most that the local clock may be off without being reported.
const MAX_SKEW: Duration = Duration::from_secs(60);

/// A token with its claims.
pub(in crate::probe) struct Token {
    secret: Arc<Secret>,
    object_id: Option<String>,
    obtained: Instant,
    /// By the clock of the issuer.
    expires_at: Option<Timestamp>,
    lifetime: Duration,
    refresh_after: Duration,
    skew: Option<ClockSkew>,
}

impl Token {
    /// A token received at `now`, whose response says that it expires at `expires_on` (seconds since 1970).
    /// `jitter` (0 to 1) keeps many agents from refreshing at the same moment.
    pub(super) fn new(secret: Secret, expires_on: Option<i64>, now: Timestamp, jitter: f64) -> Self {
        let claims = Claims::of(secret.expose());
        let expires_at = claims.expires.or(expires_on).and_then(Timestamp::from_unix);
        let begins = claims.begins.and_then(Timestamp::from_unix);
        let left = expires_at.and_then(|end| now.until(end)).filter(|left| !left.is_zero());
        let of_response = expires_on.and_then(Timestamp::from_unix).and_then(|end| now.until(end));
        // A new token that is expired by the local clock is used all the same: the server decides.
        let of_claims = begins.zip(expires_at).and_then(|(begins, end)| begins.until(end));
        let lifetime = left.or(of_response.filter(|left| !left.is_zero())).or(of_claims).unwrap_or(UNKNOWN_LIFETIME);
        let margin = REFRESH_BEFORE_EXPIRY.max(lifetime / 5).min(lifetime / 2);
        Self {
            secret: Arc::new(secret),
            object_id: claims.object_id,
            obtained: Instant::now(),
            expires_at,
            lifetime,
            refresh_after: lifetime.saturating_sub(margin.mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 4.0)),
            skew: skew(now, begins, expires_at),
        }
    }

    /// The token itself.
    pub(in crate::probe) fn secret(&self) -> Arc<Secret> {
        Arc::clone(&self.secret)
    }

    /// The object ID of its identity.
    pub(in crate::probe) fn object_id(&self) -> Option<&str> {
        self.object_id.as_deref()
    }

    /// Whether it was fetched after `begun`.
    pub(in crate::probe) fn was_issued_after(&self, begun: Instant) -> bool {
        self.obtained >= begun
    }

    /// By the monotonic clock, and by the wall clock unless that is off: a suspended machine stops the first alone.
    pub(super) fn has_expired(&self) -> bool {
        let by_wall_clock = self.skew.is_none() && self.expires_at.is_some_and(|end| Timestamp::now() >= end);
        self.obtained.elapsed() >= self.lifetime || by_wall_clock
    }

    /// Whether it is due for a refresh.
    pub(super) fn is_due(&self) -> bool {
        self.obtained.elapsed() >= self.refresh_after
    }

    pub(in crate::probe) fn describe(&self, facts: &mut TokenFacts) {
        facts.object_id.clone_from(&self.object_id);
        facts.expires_at = self.expires_at;
        facts.clock_skew = self.skew;
    }
}

fn skew(now: Timestamp, begins: Option<Timestamp>, ends: Option<Timestamp>) -> Option<ClockSkew> {
    let skew = |direction, by| Some(ClockSkew { direction, at_least_seconds: Seconds(by) });
    if let Some(by) = ends.and_then(|end| end.until(now)) {
        return skew(SkewDirection::Ahead, by);
    }
    let by = begins.and_then(|begins| now.until(begins)).filter(|by| *by > MAX_SKEW)?;
    skew(SkewDirection::Behind, by)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn token(begins: i64, ends: i64, expires_on: Option<i64>, jitter: f64) -> Token {
        let payload = format!(r#"{{"oid":"a-1","iat":{},"exp":{}}}"#, NOW + begins, NOW + ends);
        let text = format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(payload));
        let now = Timestamp::from_unix(NOW).expect("a time");
        Token::new(Secret::new(text), expires_on.map(|at| NOW + at), now, jitter)
    }

    #[test]
    fn refresh_leaves_a_fifth_or_five_minutes() {
        for (lifetime, jitter, refreshed_after) in
            [(5_400, 0.0, 4_320), (5_400, 1.0, 4_050), (900, 0.0, 600), (10, 0.0, 5), (10, 1.0, 3)]
        {
            let token = token(0, lifetime, None, jitter);
            assert_eq!(token.refresh_after.as_secs(), refreshed_after, "{lifetime}");
            assert_eq!(token.lifetime.as_secs(), u64::try_from(lifetime).expect("a lifetime"));
            assert!(token.skew.is_none());
        }
    }

    #[test]
    fn skewed_clock_is_reported_and_token_used() {
        let ahead = token(-7_200, -3_600, Some(3_600), 0.0);
        assert_eq!(ahead.lifetime, Duration::from_secs(3_600));
        let skew = ahead.skew.expect("the clock is ahead");
        assert_eq!((skew.direction, skew.at_least_seconds.0), (SkewDirection::Ahead, Duration::from_secs(3_600)));
        assert!(!ahead.has_expired());
        assert_eq!(token(-7_200, -3_600, Some(-3_600), 0.0).lifetime, Duration::from_secs(3_600));
        let behind = token(3_600, 7_200, None, 0.0).skew.expect("the clock is behind");
        assert_eq!(behind.direction, SkewDirection::Behind);
        assert!(token(30, 3_600, None, 0.0).skew.is_none(), "half a minute is no skew");
    }
}
