//! A bound on the memory of a process, held by the kernel: a control group of the test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The group; it is removed when dropped, after its processes have ended.
pub(crate) struct MemoryCap(PathBuf);

impl MemoryCap {
    /// A group with room for `bytes`, under the one that the tests run in. Needs root.
    ///
    /// # Panics
    ///
    /// Where the kernel has no memory controller for it, in either version of control groups.
    pub(crate) fn of(bytes: u64) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let own = fs::read_to_string("/proc/self/cgroup").expect("the groups of this process");
        let path_of = |wanted: &dyn Fn(&str) -> bool| {
            let mut lines = own.lines().map(|line| line.splitn(3, ':').collect::<Vec<_>>());
            lines.find_map(|fields| wanted(fields.get(1)?).then(|| fields.get(2).map(|path| (*path).to_owned()))?)
        };
        let name = format!("redpath-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        // Version 1 has a hierarchy of its own for memory, version 2 (an empty list) one for everything.
        let first = path_of(&|list| list.split(',').any(|controller| controller == "memory"))
            .map(|path| (format!("/sys/fs/cgroup/memory{path}"), "memory.limit_in_bytes"));
        let second = path_of(&str::is_empty).map(|path| (format!("/sys/fs/cgroup{path}"), "memory.max"));
        for (parent, limit) in first.into_iter().chain(second) {
            let group = Path::new(&parent).join(&name);
            if fs::create_dir(&group).is_ok() {
                let cap = Self(group);
                if fs::write(cap.0.join(limit), bytes.to_string()).is_ok() {
                    return cap;
                }
            }
        }
        panic!("no memory controller of control groups can be used here:\n{own}");
    }

    /// Puts a process into it.
    pub(crate) fn hold(&self, pid: u32) {
        fs::write(self.0.join("cgroup.procs"), pid.to_string()).expect("a process of our own");
    }
}

impl Drop for MemoryCap {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}
