//! A real systemd as the first process of namespaces of its own, over a copy of this machine's file system that
//! is gone with it: packages are installed there and services started, and the machine does not know of it.
#![allow(clippy::panic, reason = "a test's helper fails by it")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long systemd may take to start, and a unit to come to a state, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The root is an overlay, so that nothing is copied that is not changed. Of systemd's own units only the journal
/// is started: the others would set up a machine (modules, sysctl, devices), and this one is set up.
const BOOT: &str = r#"
set -eu
folder=$1
mount --make-rprivate /
mount -t tmpfs tmpfs "$folder"
mkdir "$folder/upper" "$folder/work" "$folder/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" "$folder/root"
cd "$folder/root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do : > dev/$device; mount --bind /dev/$device dev/$device; done
mkdir -p dev/pts dev/shm run/lock run/before
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
rm -rf etc/systemd/system/* usr/lib/systemd/system/*.target.wants usr/sbin/policy-rc.d var/lib/man-db/auto-update
mkdir usr/lib/systemd/system/sysinit.target.wants
ln -s ../systemd-journald.service usr/lib/systemd/system/sysinit.target.wants/
# Not chroot: systemd could make no user namespaces from there.
pivot_root . run/before
cd /
umount -l /run/before
# As container managers do: systemd mounts a service's credentials in one place for another to see.
mount --make-rshared /
container=other exec /lib/systemd/systemd --log-target=journal --show-status=false --unit=basic.target
"#;

/// A control group of its own, so that nothing is left in the machine's.
const START: &str = r#"
set -eu
folder=$1 group=$2
mkdir -p "$folder"
mount -t cgroup2 cgroup2 "$folder"
mkdir -p "$folder/$group"
echo $$ > "$folder/$group/cgroup.procs"
umount "$folder"
exec unshare --mount --pid --fork --cgroup --uts --ipc --kill-child sh -c "$3" boot "$folder"
"#;

const CLEAN: &str = r#"
mount -t cgroup2 cgroup2 "$1"
until find "$1/$2" -depth -type d -exec rmdir {} + 2>/dev/null || [ ! -d "$1/$2" ]; do sleep 0.05; done
"#;

/// A running systemd; dropping it ends it with everything in it.
pub(crate) struct Systemd {
    child: Child,
    first: String,
    folder: PathBuf,
    group: String,
}

impl Systemd {
    /// Starts it, and waits until it is up. Needs root.
    pub(crate) fn boot() -> Self {
        assert!(Path::new("/lib/systemd/systemd").exists(), "systemd is missing: apt-get install systemd");
        let group = format!("redpath-systemd-{}", std::process::id());
        let folder = std::env::temp_dir().join(&group);
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", START, "start"]).arg(&folder).arg(&group).arg(BOOT);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().expect("unshare of util-linux");
        let mut systemd = Self { child, first: String::new(), folder, group };
        let began = Instant::now();
        systemd.first = until(began, "systemd is no process", || {
            let pid = systemd.child.id();
            let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
            // Not what the script runs before.
            let space = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/pid")).ok();
            let inside = |child: &&str| space(child).is_some_and(|space_of| Some(space_of) != space("self"));
            children.split_whitespace().find(inside).map(str::to_owned)
        });
        until(began, "systemd is not up", || {
            let state = systemd.run("systemctl is-system-running");
            let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
            ["running", "degraded"].contains(&state.as_str()).then_some(())
        });
        systemd
    }

    /// A shell's command line in it.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.first, "-m", "-p", "-u", "-i", "-C", "-r", "-w", "--", "sh", "-c", line]);
        command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("LC_ALL", "C.UTF-8").env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        command
    }

    /// Runs it to its end, whatever that is.
    pub(crate) fn run(&self, line: &str) -> Output {
        self.command(line).output().expect("nsenter of util-linux")
    }

    /// What it prints, standard error included; it must succeed.
    pub(crate) fn ok(&self, line: &str) -> String {
        let output = self.run(&format!("exec 2>&1; {line}"));
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{line}: {printed}\n{}", self.journal());
        printed
    }

    /// What it prints, without the line break; it must fail.
    pub(crate) fn fails(&self, line: &str) -> String {
        let output = self.run(&format!("exec 2>&1; {line}"));
        assert!(!output.status.success(), "{line} succeeds");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Writes a file in it.
    pub(crate) fn write(&self, path: &str, mode: &str, content: &[u8]) {
        let line = format!("umask 077; mkdir -p -m 755 $(dirname {path}); cat > {path}; chmod {mode} {path}");
        let mut child = self.command(&line).stdin(Stdio::piped()).spawn().expect("nsenter of util-linux");
        child.stdin.take().expect("a pipe").write_all(content).expect("it is taken");
        assert!(child.wait().expect("it ends").success(), "{path}");
    }

    /// One property of the unit.
    pub(crate) fn property(&self, name: &str) -> String {
        self.ok(&format!("systemctl show redpath --value -p {name}")).trim().to_owned()
    }

    /// Waits until a property of the unit is as wanted.
    pub(crate) fn property_where(&self, name: &str, holds: impl Fn(&str) -> bool) -> String {
        let mut last = String::new();
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            last = self.property(name);
            if holds(&last) {
                return last;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{name} stays {last}\n{}", self.journal())
    }

    /// The unit's journal.
    pub(crate) fn journal(&self) -> String {
        let output = self.run("journalctl --sync; journalctl --no-pager -o cat -u redpath");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        // With unshare its first process ends, and with that every other one.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let clean = ["60", "unshare", "--mount", "sh", "-c", CLEAN, "clean"];
        let _ = Command::new("timeout").args(clean).arg(&self.folder).arg(&self.group).status();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn until<T>(began: Instant, what: &str, look: impl Fn() -> Option<T>) -> T {
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{what} (it needs root and namespaces)");
        std::thread::sleep(Duration::from_millis(20));
    }
}
