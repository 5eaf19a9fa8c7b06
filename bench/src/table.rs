//! The table of results, in Markdown: one row per figure, one column per program, the bound and whether it is met.

use std::fmt;
use std::path::PathBuf;

pub(crate) struct Table {
    builds: usize,
    rows: Vec<String>,
    load_before: String,
}

impl Table {
    /// For `builds` builds of redpath. The bounds apply to the first.
    pub(crate) fn new(builds: usize) -> Self {
        Self { builds, rows: Vec::new(), load_before: load_average() }
    }

    /// Adds a row: the text of each build, that of the program compared with, the bound, and whether it is met.
    pub(crate) fn add(&mut self, figure: &str, builds: &[String], compared: &str, bound: &str, met: bool) {
        let met = if met { "met" } else { "**missed**" };
        let row = format!("| {figure} | {} | {compared} | {bound} | {met} |", builds.join(" | "));
        eprintln!("  {row}");
        self.rows.push(row);
    }

    /// Adds the size of each build's binary.
    pub(crate) fn add_size(&mut self, builds: &[PathBuf]) {
        const BOUND: u64 = 10 * 1024 * 1024;
        let sizes: Vec<u64> = builds.iter().map(|build| std::fs::metadata(build).expect("the program").len()).collect();
        let texts: Vec<String> = sizes.iter().map(|bytes| mib(*bytes)).collect();
        self.add("binary, stripped", &texts, "", "at most 10 MiB", sizes.first().is_some_and(|bytes| *bytes <= BOUND));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let others: String = (1..self.builds).map(|number| format!(" build {} |", number + 1)).collect();
        let columns = "---|".repeat(self.builds + 4);
        writeln!(f, "| Figure | redpath |{others} compared with | bound | |\n|{columns}")?;
        for row in &self.rows {
            writeln!(f, "{row}")?;
        }
        let cpus = std::thread::available_parallelism().map_or(0, usize::from);
        writeln!(f, "\n{cpus} CPUs; load average before {}, after {}.", self.load_before, load_average())
    }
}

/// The load average of the last minute.
fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// The median of some values, with the least and the greatest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) greatest: f64,
}

impl Summary {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        Self { median: at(values.len() / 2), least: at(0), greatest: at(values.len().saturating_sub(1)) }
    }
}

/// `1.09 ms (0.97 to 1.21)`
pub(crate) fn milliseconds(seconds: Summary) -> String {
    let Summary { median, least, greatest } = seconds;
    format!("{:.2} ms ({:.2} to {:.2})", median * 1e3, least * 1e3, greatest * 1e3)
}

/// `12.3 ms`
pub(crate) fn milliseconds_of(duration: std::time::Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

/// `7.3 MiB`
#[expect(clippy::cast_precision_loss, reason = "a size for people")]
pub(crate) fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}
