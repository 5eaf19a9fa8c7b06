//! The process as the kernel sees it, under the names that every Prometheus client gives it.
//!
//! Source: proc(5). What cannot be read is left out.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// `USER_HZ`, the unit of times in `/proc/PID/stat`: 100 on every architecture of today (proc(5)
/// sends to `sysconf(_SC_CLK_TCK)`; the kernel's own `HZ` never shows here).
const TICKS_PER_SECOND: f64 = 100.0;

/// The values of `process_*`.
#[derive(Debug, Default)]
pub(crate) struct Process {
    pub(crate) cpu_seconds: Option<f64>,
    pub(crate) threads: Option<f64>,
    pub(crate) virtual_bytes: Option<f64>,
    pub(crate) resident_bytes: Option<f64>,
    pub(crate) start_time: Option<f64>,
    pub(crate) open_fds: Option<f64>,
    pub(crate) max_fds: Option<f64>,
}

impl Process {
    /// Reads the values of this process.
    pub(crate) fn read() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").ok();
        let stat = stat.as_deref().and_then(Stat::parse);
        let stat = stat.as_ref();
        Self {
            cpu_seconds: stat.map(|stat| stat.cpu_ticks / TICKS_PER_SECOND),
            threads: stat.map(|stat| stat.threads),
            virtual_bytes: stat.map(|stat| stat.virtual_bytes),
            resident_bytes: resident_bytes(),
            start_time: stat.and_then(|stat| start_time(stat.start_ticks)),
            open_fds: open_fds(),
            max_fds: max_fds(),
        }
    }
}

/// The fields of `/proc/self/stat` that are of use.
#[derive(Debug, PartialEq)]
struct Stat {
    cpu_ticks: f64,
    threads: f64,
    start_ticks: f64,
    virtual_bytes: f64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is the program's name in parentheses, and may hold both.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
        })
    }
}

fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    kibibytes.trim().strip_suffix("kB")?.trim().parse::<f64>().ok().map(|value| value * 1024.0)
}

/// The kernel counts from the boot, with the time asleep. The unit's `ProcSubset=pid` hides `/proc/stat` with the
/// time of the boot; the clocks are there always.
fn start_time(start_ticks: f64) -> Option<f64> {
    let since_boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let since_boot = since_boot.tv_sec as f64 + since_boot.tv_nsec as f64 / 1e9;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
    // To a tenth: the same number at each scrape, or it would look like a restart.
    Some(((now - since_boot + start_ticks / TICKS_PER_SECOND) * 10.0).round() / 10.0)
}

fn open_fds() -> Option<f64> {
    let entries = fs::read_dir("/proc/self/fd").ok()?.count();
    u32::try_from(entries.saturating_sub(1)).ok().map(f64::from) // less the one that reads the directory
}

fn max_fds() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let soft = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace().next()?;
    soft.parse().ok() // "unlimited" is no number, and left out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_time_is_a_moment_ago() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
        let start = Process::read().start_time.expect("a process has one");
        assert!(start <= now + 0.1 && start > now - 86_400.0, "{start} at {now}");
    }

    #[test]
    fn process_stat_survives_odd_program_name() {
        let text = "42 (a) b (c) S 1 42 42 0 -1 4194304 9 0 0 0 150 50 0 0 20 0 7 0 4242 1048576 99 1844";
        let expected = Stat { cpu_ticks: 200.0, threads: 7.0, start_ticks: 4242.0, virtual_bytes: 1_048_576.0 };
        assert_eq!(Stat::parse(text), Some(expected));
        assert_eq!(Stat::parse("42 (cut"), None);
    }
}
