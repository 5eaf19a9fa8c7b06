//! No core of a process that may hold a secret, and no look into its memory by its user's other processes.

#[cfg(target_os = "linux")]
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Switches core dumps off, for this process and, as far as their size goes, for what it starts.
///
/// The limit alone would not do: where `core_pattern` is a program (systemd-coredump, apport), the kernel pipes
/// the core to it whatever the limit says (core(5)). A process that is not dumpable has none, and its user cannot
/// trace it nor read its `/proc/PID/environ` and `mem` (prctl(2), `PR_SET_DUMPABLE`). It can itself.
pub fn off() {
    #[cfg(target_os = "linux")]
    {
        // Neither can fail for a process of its own; and if one did, probing is still right.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
}
