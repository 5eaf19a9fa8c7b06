//! A token and its dates: when it has expired, and when it is time for another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::claims::Claims;
use crate::clock::{Seconds, Timestamp};
use crate::observation::TokenFacts;
use crate::observation::token::{ClockSkew, SkewDirection};
use crate::secret::Secret;

/// A token is refreshed when a fifth of its life is left, and never later than this before its end.
const REFRESH_BEFORE_EXPIRY: Duration = Duration::from_secs(300);

/// What the life of a token is taken for where nothing is known of it.
const UNKNOWN_LIFE: Duration = Duration::from_secs(60);

/// How much a clock may be off before it is worth a word.
const TOLERATED_SKEW: Duration = Duration::from_secs(60);

/// A token that was fetched, and what it says of itself.
pub(in crate::probe) struct Token {
    secret: Arc<Secret>,
    object_id: Option<String>,
    obtained: Instant,
    /// By the clock of who issued it.
    expires_at: Option<Timestamp>,
    life: Duration,
    refresh_after: Duration,
    skew: Option<ClockSkew>,
}

impl Token {
    /// A token that came at `now`, which its source says to expire at `expires_on` (seconds since 1970).
    /// `jitter` from 0 to 1 is for many agents not to refresh at the same moment.
    pub(super) fn new(secret: Secret, expires_on: Option<i64>, now: Timestamp, jitter: f64) -> Self {
        let claims = Claims::of(secret.expose());
        let expires_at = claims.expires.or(expires_on).and_then(Timestamp::from_unix);
        let begins = claims.begins.and_then(Timestamp::from_unix);
        let left = expires_at.and_then(|end| now.until(end)).filter(|left| !left.is_zero());
        let said = expires_on.and_then(Timestamp::from_unix).and_then(|end| now.until(end));
        // Expired at birth: by its own dates it lives all the same, and the server is the judge.
        let own = begins.zip(expires_at).and_then(|(begins, end)| begins.until(end));
        let life = left.or(said.filter(|life| !life.is_zero())).or(own).unwrap_or(UNKNOWN_LIFE);
        let margin = REFRESH_BEFORE_EXPIRY.max(life / 5).min(life / 2);
        Self {
            secret: Arc::new(secret),
            object_id: claims.object_id,
            obtained: Instant::now(),
            expires_at,
            life,
            refresh_after: life.saturating_sub(margin.mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 4.0)),
            skew: skew(now, begins, expires_at),
        }
    }

    /// The token itself.
    pub(in crate::probe) fn secret(&self) -> Arc<Secret> {
        Arc::clone(&self.secret)
    }

    /// Whose it is.
    pub(in crate::probe) fn object_id(&self) -> Option<&str> {
        self.object_id.as_deref()
    }

    /// Whether it was fetched after `begun`.
    pub(in crate::probe) fn was_issued_after(&self, begun: Instant) -> bool {
        self.obtained >= begun
    }

    /// By the monotonic clock; and by the wall clock, which knows of a machine that slept, where that is right.
    pub(super) fn has_expired(&self) -> bool {
        let by_the_wall = self.skew.is_none() && self.expires_at.is_some_and(|end| Timestamp::now() >= end);
        self.obtained.elapsed() >= self.life || by_the_wall
    }

    /// Whether it is time for another.
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
    let by = begins.and_then(|begins| now.until(begins)).filter(|by| *by > TOLERATED_SKEW)?;
    skew(SkewDirection::Behind, by)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn token(begins: i64, ends: i64, said: Option<i64>, jitter: f64) -> Token {
        let payload = format!(r#"{{"oid":"a-1","iat":{},"exp":{}}}"#, NOW + begins, NOW + ends);
        let text = format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(payload));
        let now = Timestamp::from_unix(NOW).expect("a time");
        Token::new(Secret::new(text), said.map(|said| NOW + said), now, jitter)
    }

    #[test]
    fn it_is_refreshed_with_a_fifth_or_five_minutes_left() {
        for (life, jitter, refreshed_after) in
            [(5_400, 0.0, 4_320), (5_400, 1.0, 4_050), (900, 0.0, 600), (10, 0.0, 5), (10, 1.0, 3)]
        {
            let token = token(0, life, None, jitter);
            assert_eq!(token.refresh_after.as_secs(), refreshed_after, "{life}");
            assert_eq!(token.life.as_secs(), u64::try_from(life).expect("a life"));
            assert!(token.skew.is_none());
        }
    }

    #[test]
    fn a_clock_that_is_off_shows_and_the_token_is_tried_all_the_same() {
        let ahead = token(-7_200, -3_600, Some(3_600), 0.0);
        assert_eq!(ahead.life, Duration::from_secs(3_600));
        let skew = ahead.skew.expect("the clock is ahead");
        assert_eq!((skew.direction, skew.at_least_seconds.0), (SkewDirection::Ahead, Duration::from_secs(3_600)));
        assert!(!ahead.has_expired());
        assert_eq!(token(-7_200, -3_600, Some(-3_600), 0.0).life, Duration::from_secs(3_600));
        let behind = token(3_600, 7_200, None, 0.0).skew.expect("the clock is behind");
        assert_eq!(behind.direction, SkewDirection::Behind);
        assert!(token(30, 3_600, None, 0.0).skew.is_none(), "half a minute is no skew");
    }
}
