//! Times to live in words, and how long an old answer may stay.

use std::time::Duration;

use crate::clock::in_words;
use crate::record::Record;

/// A time to live.
pub(crate) fn ttl(seconds: u32) -> String {
    in_words(Duration::from_secs(seconds.into()))
}

/// Before a cutover: `system:10.10.0.53 may keep this answer for 57 min, until 21:18 UTC`.
pub(crate) fn kept_answer(record: &Record) -> Option<String> {
    let kept = record.public_answer_kept.as_ref()?;
    let left = Duration::from_secs(kept.seconds.into());
    let lasts = if kept.seconds <= 120 { in_words(left) } else { record.started_at.end_of(left)? };
    Some(format!("{} may keep this answer for {lasts}", kept.view))
}
