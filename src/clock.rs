//! How times leave the program: durations as decimal seconds, instants as RFC 3339 in UTC.
//!
//! Durations are measured on the monotonic clock only; the wall clock dates a record and nothing else.

use std::fmt;
use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A duration, written as a decimal number of seconds with at most nanosecond precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[schemars(transparent)]
pub struct Seconds(#[schemars(with = "f64")] pub Duration);

impl Seconds {
    /// The duration as a floating-point number of seconds.
    pub fn as_f64(self) -> f64 {
        self.0.as_secs_f64()
    }
}

impl From<Duration> for Seconds {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

/// For people: two significant figures and a unit, `1.2 ms`; from two minutes on in words, `57 min`.
impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.as_f64();
        let (value, unit) = match seconds {
            s if s < 0.000_995 => (s * 1e6, "µs"),
            s if s < 0.995 => (s * 1e3, "ms"),
            s if s <= 120.0 => (s, "s"),
            _ => return f.write_str(&in_words(self.0)),
        };
        match value {
            v if v >= 99.5 => write!(f, "{:.0} {unit}", (v / 10.0).round() * 10.0),
            v if v >= 9.95 => write!(f, "{v:.0} {unit}"),
            v => write!(f, "{v:.1} {unit}"),
        }
    }
}

/// A time to wait, or since when: `90 s`, `3 min 20 s`, `57 min`, `3 h 12 min`, `4 days 3 h`. What is left out is
/// rounded up, so that nobody waits too short a time.
pub fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    let minutes = seconds.div_ceil(60);
    let ((large, large_unit), (small, small_unit)) = match seconds {
        0..=120 => return format!("{seconds} s"),
        121..600 => ((seconds / 60, "min"), (seconds % 60, "s")),
        600..=7_200 => return format!("{minutes} min"),
        7_201..=172_800 => ((minutes / 60, "h"), (minutes % 60, "min")),
        _ => ((seconds.div_ceil(3_600) / 24, "days"), (seconds.div_ceil(3_600) % 24, "h")),
    };
    if small == 0 { format!("{large} {large_unit}") } else { format!("{large} {large_unit} {small} {small_unit}") }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_f64())
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds)
            .map(Self)
            .map_err(|_| serde::de::Error::custom(format!("{seconds} is not a duration in seconds")))
    }
}

/// Checks the wall clock: before 1970, no certificate can be verified and no record dated.
///
/// # Errors
/// One sentence.
pub fn check(now: SystemTime) -> Result<(), &'static str> {
    match now.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(_) => Ok(()),
        Err(_) => Err("the clock of this machine shows a time before 1970: set it, then try again"),
    }
}

/// A moment on the wall clock, written as RFC 3339 in UTC with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[schemars(transparent)]
pub struct Timestamp(#[schemars(with = "String", extend("format" = "date-time"))] OffsetDateTime);

impl Timestamp {
    /// The wall clock's present moment.
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// From RFC 3339.
    pub fn parse(text: &str) -> Option<Self> {
        OffsetDateTime::parse(text, &Rfc3339).ok().map(|time| Self(time.to_offset(time::UtcOffset::UTC)))
    }

    /// From seconds since 1970 UTC, as certificates carry them; `None` beyond the calendar.
    pub fn from_unix(seconds: i64) -> Option<Self> {
        OffsetDateTime::from_unix_timestamp(seconds).ok().map(Self)
    }

    /// From seconds since 1970 UTC with a fraction, to the millisecond; `None` beyond the calendar.
    pub fn from_unix_f64(seconds: f64) -> Option<Self> {
        let whole = Duration::try_from_secs_f64(seconds).ok()?;
        let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(whole.as_millis()).ok()?))?;
        let latest = OffsetDateTime::new_utc(time::Date::MAX, time::Time::MIDNIGHT);
        (whole.as_secs() < u64::try_from(latest.unix_timestamp()).ok()?).then(|| Self::from(time))
    }

    /// Seconds since 1970 UTC, with the fraction.
    pub fn unix_seconds(self) -> f64 {
        self.0.unix_timestamp_nanos() as f64 / 1e9
    }

    /// How far `later` lies after `self`; `None` where it lies before.
    pub fn until(self, later: Self) -> Option<Duration> {
        Duration::try_from(later.0 - self.0).ok()
    }

    /// The moment that lies `duration` after this one; `None` beyond the calendar.
    pub fn after(self, duration: Duration) -> Option<Self> {
        self.0.checked_add(time::Duration::try_from(duration).ok()?).map(Self)
    }

    /// The moment that lies `duration` before this one; `None` beyond the calendar.
    pub fn before(self, duration: Duration) -> Option<Self> {
        self.0.checked_sub(time::Duration::try_from(duration).ok()?).map(Self)
    }

    /// When a wait of `duration` from here is over: `57 min, until 21:18 UTC`, with the day where it is another one.
    /// `None` beyond the calendar.
    pub fn end_of(self, duration: Duration) -> Option<String> {
        let exact = duration < Duration::from_secs(600);
        // Rounded up, as the words are.
        let step = if exact { 999 } else { 59_999 };
        let end = self.after(duration)?.after(Duration::from_millis(step))?;
        let day = if end.date() == self.date() { String::new() } else { format!("{} ", end.date()) };
        let time = end.time_of_day();
        let time = if exact { time.as_str() } else { time.get(..5).unwrap_or_default() };
        Some(format!("{}, until {day}{time} UTC", in_words(duration)))
    }

    /// The calendar day, `2026-11-22`.
    pub fn date(self) -> String {
        self.0.date().to_string()
    }

    /// The time of the day in UTC, `07:12:03`.
    pub fn time_of_day(self) -> String {
        let (hour, minute, second) = self.0.to_offset(time::UtcOffset::UTC).to_hms();
        format!("{hour:02}:{minute:02}:{second:02}")
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let time = OffsetDateTime::from(time);
        Self(time.replace_millisecond(time.millisecond()).unwrap_or(time))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.format(&Rfc3339).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        OffsetDateTime::parse(&text, &Rfc3339)
            .map(Self)
            .map_err(|_| serde::de::Error::custom(format!("{text:?} is not an RFC 3339 time")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_before_1970_is_refused() {
        assert_eq!(check(SystemTime::now()), Ok(()));
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert!(check(before).is_err_and(|why| why.contains("before 1970")));
    }

    #[test]
    fn duration_display_is_short() {
        for (micros, text) in [
            (0, "0.0 µs"),
            (87, "87 µs"),
            (354, "350 µs"),
            (999, "1.0 ms"),
            (1_234, "1.2 ms"),
            (9_970, "10 ms"),
            (40_120, "40 ms"),
            (999_000, "1.0 s"),
            (2_500_000, "2.5 s"),
            (119_000_000, "120 s"),
            (3_400_000_000, "57 min"),
        ] {
            assert_eq!(Seconds(Duration::from_micros(micros)).to_string(), text);
        }
    }

    #[test]
    fn duration_words_never_fall_short() {
        for (seconds, text) in [
            (0, "0 s"),
            (120, "120 s"),
            (200, "3 min 20 s"),
            (3_400, "57 min"),
            (7_200, "120 min"),
            (7_201, "2 h 1 min"),
            (11_520, "3 h 12 min"),
            (172_800, "48 h"),
            (172_801, "2 days 1 h"),
            (86_400 * 4, "4 days"),
        ] {
            assert_eq!(in_words(Duration::from_secs(seconds)), text);
        }
        assert_eq!(in_words(Duration::from_millis(600_001)), "11 min");
        assert_eq!(in_words(Duration::MAX).split(' ').count(), 4);
    }

    #[test]
    fn timestamp_end_names_another_day() {
        let now = Timestamp::parse("2026-11-28T21:18:05.250Z").expect("a time");
        assert_eq!(now.end_of(Duration::from_secs(3_400)).as_deref(), Some("57 min, until 22:15 UTC"));
        assert_eq!(now.end_of(Duration::from_secs(34)).as_deref(), Some("34 s, until 21:18:40 UTC"));
        assert_eq!(now.end_of(Duration::from_secs(10_800)).as_deref(), Some("3 h, until 2026-11-29 00:19 UTC"));
        assert_eq!(now.end_of(Duration::MAX), None);
    }

    #[test]
    fn timestamp_time_of_day_is_utc() {
        let time: Timestamp = serde_json::from_str("\"2026-11-28T09:02:03.4+02:00\"").expect("a time");
        assert_eq!(Timestamp::from_unix(0).expect("a time").time_of_day(), "00:00:00");
        assert_eq!(time.time_of_day(), "07:02:03");
    }

    #[test]
    fn timestamp_round_trips() {
        let time = Timestamp::now();
        let text = serde_json::to_string(&time).expect("a time serializes");
        assert_eq!(serde_json::from_str::<Timestamp>(&text).expect("and reads back"), time);
        assert!(serde_json::from_str::<Timestamp>("\"yesterday\"").is_err());
    }
}
