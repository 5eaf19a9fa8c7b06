//! A process as the kernel sees it: proc(5).

use std::fs;

/// The most memory that was ever resident (`VmHWM`), in bytes.
pub(crate) fn peak_resident_bytes(pid: u32) -> u64 {
    status(pid, "VmHWM:") << 10
}

/// The memory that is resident (`VmRSS`), in bytes.
pub(crate) fn resident_bytes(pid: u32) -> u64 {
    status(pid, "VmRSS:") << 10
}

/// How many threads it has.
pub(crate) fn threads(pid: u32) -> u64 {
    status(pid, "Threads:")
}

/// How many descriptors it has open.
pub(crate) fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("a running process of our own").count()
}

fn status(pid: u32, key: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("a field of every process");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
