//! The table: what was measured, what was to be reached, and whether it was.

use std::fmt;
use std::time::Duration;

/// The rows so far.
pub(crate) struct Table {
    rows: Vec<[String; 5]>,
    load_before: String,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self { rows: Vec::new(), load_before: load() }
    }

    /// A row: what it is, redpath's figure, the others' (or none), the goal, and whether it is met (where there is one).
    pub(crate) fn row(&mut self, what: &str, redpath: &str, others: &str, goal: &str, met: Option<bool>) {
        let met = match met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        self.rows.push([what, redpath, others, goal, met].map(str::to_owned));
        eprintln!("  {what}: {redpath}; {others}; {goal} {met}");
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| Figure | redpath | the others | goal | |\n|---|---|---|---|---|")?;
        for [what, redpath, others, goal, met] in &self.rows {
            writeln!(f, "| {what} | {redpath} | {others} | {goal} | {met} |")?;
        }
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        writeln!(
            f,
            "\nOne run on {cores} CPUs; load {} before it and {} at its end, of which the programs that are measured are \
             a part.",
            self.load_before,
            load()
        )
    }
}

/// The load of the last 1, 5 and 15 minutes.
fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// What rounds came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Middle {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Middle {
    /// Of an odd number of values, one a round.
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        Self { median: at(values.len() / 2), least: at(0), most: at(values.len().saturating_sub(1)) }
    }
}

/// The middle of `times`, and the value that 95 in 100 do not exceed.
pub(crate) fn median_and_p95(times: &mut [f64]) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index from a share of a length"
        )]
        let index = ((times.len() as f64 - 1.0) * share).round() as usize;
        times.get(index).copied().unwrap_or(f64::NAN)
    };
    (at(0.5), at(0.95))
}

/// Milliseconds with two decimals.
pub(crate) fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

/// MiB with one decimal.
pub(crate) fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}
