//! Durations, failures and the time without service before and after a change of the path: in words, and as tables.

use std::fmt::Write;
use std::time::Duration;

use super::markdown_text::in_table;
use crate::clock::{Seconds, Timestamp};
use crate::statistics::before_after::{BeforeAfter, Overall};
use crate::statistics::{Comparison, Estimate, MIN_SAMPLES};

/// What was seen of one target.
pub(super) struct Row<'a> {
    /// At which vantage.
    pub(super) vantage: String,
    /// The target's name.
    pub(super) target: &'a str,
    /// Before and after.
    pub(super) compared: &'a BeforeAfter,
}

impl<'a> Row<'a> {
    /// At all vantages.
    pub(super) fn overall(overall: &'a Overall) -> Self {
        let vantage = format!("all {} with probes on both sides", overall.vantages);
        Self { vantage, target: &overall.target, compared: &overall.before_after }
    }
}

/// The phases that are compared, with their names.
pub(crate) fn phases(compared: &BeforeAfter) -> impl Iterator<Item = (&'static str, &Comparison)> {
    let both = [("TCP", &compared.connect), ("PING", &compared.ping)];
    both.into_iter().filter_map(|(name, compared)| Some((name, compared.as_ref()?)))
}

/// Two tables of Markdown: the durations, and the probes.
pub(super) fn markdown(out: &mut String, rows: &[Row<'_>]) {
    out.push_str("| Vantage | Target | Of | Before | After | p95 before, after | Longest before, after | Difference |\n|---|---|---|---|---|---|---|---|\n");
    for row in rows {
        let (vantage, target) = (in_table(&row.vantage), in_table(row.target));
        for (name, compared) in phases(row.compared) {
            let (before, after) = (&compared.before, &compared.after);
            let _ = writeln!(
                out,
                "| {vantage} | {target} | {name} | {} | {} | {}, {} | {}, {} | {} |",
                interval(before.median),
                interval(after.median),
                time(before.p95),
                time(after.p95),
                time(before.worst),
                time(after.worst),
                sentence(compared, CLASS_OF_JOURNAL)
            );
        }
    }
    out.push_str("\n| Vantage | Target | Probes before, after | Failures before, after | Without service before, after |\n|---|---|---|---|---|\n");
    for Row { vantage, target, compared } in rows {
        let (before, after) = (compared.before, compared.after);
        let _ = writeln!(
            out,
            "| {} | {} | {}, {} | {}, {} | {}, {} |",
            in_table(vantage),
            in_table(target),
            before.probes,
            after.probes,
            before.failures,
            after.failures,
            duration(before.seconds_without_service),
            duration(after.seconds_without_service)
        );
    }
}

/// How the moment was chosen.
pub(super) fn moment(is_given: bool) -> &'static str {
    if is_given { "as given" } else { "the first change to a private path" }
}

/// What precedes the tables: the moment, and what the numbers are.
pub(super) fn heading(cutover: Timestamp, is_given: bool) -> String {
    format!(
        "Before and after {cutover} ({})\n\nMedians with their 95 % intervals, by the medians of each minute.\n\n",
        moment(is_given)
    )
}

/// `47h 59m`, to the minute from an hour on.
pub(crate) fn duration(seconds: Seconds) -> String {
    let whole = seconds.0.as_secs();
    match whole {
        0 if seconds.0.is_zero() => "0".to_owned(),
        0..60 => format!("{whole}s"),
        60..3600 => format!("{}m {}s", whole / 60, whole % 60),
        _ => format!("{}h {}m", whole / 3600, whole / 60 % 60),
    }
}

/// A time in seconds for people.
pub(crate) fn time(seconds: f64) -> String {
    Duration::try_from_secs_f64(seconds.abs()).map_or_else(|_| "unknown".to_owned(), |time| Seconds(time).to_string())
}

pub(crate) fn interval(estimate: Estimate) -> String {
    format!("{} ({} to {})", time(estimate.value), time(estimate.low), time(estimate.high))
}

/// The width of the classes that a journal has durations in, as a part of them.
pub(crate) const CLASS_OF_JOURNAL: f64 = 0.09;

/// The width where durations are as they were measured.
pub(crate) const MEASURED: f64 = 0.0;

/// What a comparison says, in one sentence; `class_width` is below what part of a duration no difference is seen.
pub(crate) fn sentence(compared: &Comparison, class_width: f64) -> String {
    let Some(shift) = compared.shift else {
        return format!(
            "cannot tell: {} samples before and {} after; {MIN_SAMPLES} independent ones are needed on each side",
            compared.before.samples / compared.before.thinned_by,
            compared.after.samples / compared.after.thinned_by
        );
    };
    let thinned = match compared.before.thinned_by.max(compared.after.thinned_by) {
        1 => String::new(),
        step => format!("; at most one in {step} samples was used, since neighbours were alike"),
    };
    let said = if shift.has_zero() {
        let class = class_width * compared.before.median.value.max(compared.after.median.value);
        format!("no difference larger than {} seen", time(shift.low.abs().max(shift.high.abs()).max(class)))
    } else {
        let word = if shift.value > 0.0 { "longer" } else { "shorter" };
        let (least, most) = (shift.low.abs().min(shift.high.abs()), shift.low.abs().max(shift.high.abs()));
        format!("{} {word} after ({} to {})", time(shift.value), time(least), time(most))
    };
    format!("{said}{thinned}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentence_minds_the_classes_of_a_journal() {
        let samples = vec![0.001; 40];
        let same = Comparison::of(&samples, &samples).expect("both sides");
        assert_eq!(sentence(&same, CLASS_OF_JOURNAL), "no difference larger than 90 µs seen");
        let few = Comparison::of(&samples, &samples[..10]).expect("both sides");
        assert!(sentence(&few, MEASURED).starts_with("cannot tell: 40 samples before and 10 after; 30 "));
    }
}
