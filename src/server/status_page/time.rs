//! Times for people: absolute in UTC, relative in at most two units.

use std::time::Duration;

use maud::{Markup, html};

use crate::clock::Timestamp;

/// `<time datetime="…">2026-11-24 14:00:05 UTC</time>`.
pub(super) fn moment(at: Timestamp) -> Markup {
    let exact = at.to_string();
    html! {
        @match (exact.get(..10), exact.get(11..19), exact.ends_with('Z')) {
            (Some(day), Some(time), true) => time datetime=(exact) { (day) " " (time) " UTC" },
            _ => (exact),
        }
    }
}

/// ` (3 min 20 s ago)`, or nothing if the clock was set back meanwhile.
pub(super) fn ago(then: Timestamp, now: Timestamp) -> String {
    then.until(now).map(|passed| format!(" ({} ago)", age(passed))).unwrap_or_default()
}

/// `3 min 20 s`: the two largest units.
pub(super) fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    let ((large, large_unit), (small, small_unit)) = match seconds {
        0..60 => return format!("{seconds} s"),
        60..3_600 => ((seconds / 60, "min"), (seconds % 60, "s")),
        3_600..86_400 => ((seconds / 3_600, "h"), (seconds / 60 % 60, "min")),
        _ => ((seconds / 86_400, "d"), (seconds / 3_600 % 24, "h")),
    };
    if small == 0 { format!("{large} {large_unit}") } else { format!("{large} {large_unit} {small} {small_unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_has_at_most_two_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (200, "3 min 20 s"),
            (3_600, "1 h"),
            (11_531, "3 h 12 min"),
            (86_400 * 4 + 3_600 * 3, "4 d 3 h"),
        ] {
            assert_eq!(age(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn time_is_utc_and_clock_step_gives_no_age() {
        let at = |seconds| Timestamp::from_unix(seconds).expect("a time");
        let text = moment(at(1_790_000_000)).into_string();
        assert_eq!(text, "<time datetime=\"2026-09-21T14:13:20Z\">2026-09-21 14:13:20 UTC</time>");
        assert_eq!(ago(at(100), at(130)), " (30 s ago)");
        assert_eq!(ago(at(130), at(100)), "");
    }
}
