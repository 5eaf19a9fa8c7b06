//! No core of a process that may hold a password, and no look into it: as the kernel tells.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Command;

use crate::support::agent::{Agent, Directory};

/// Nobody in particular (`nobody`, on Debian).
const SOMEBODY: u32 = 65_534;

/// The program where every user may run it: the folder of the build may be root's alone.
fn program(directory: &Directory) -> PathBuf {
    let program = directory.0.join("redpath");
    std::fs::copy(env!("CARGO_BIN_EXE_redpath"), &program).expect("a copy");
    program
}

#[tokio::test]
async fn agent_is_not_dumpable_or_traceable() {
    let directory = Directory::new("core");
    let config = directory.file(
        "agent.yaml",
        "defaults: {interval: 1s, timeout: 500ms, views: [libc]}\nweb: {listen: '127.0.0.1:0'}\ntargets: [{name: sessions, host: localhost}]\n",
    );
    let cores = directory.0.join("cores");
    std::fs::create_dir(&cores).expect("a folder");
    std::fs::set_permissions(&cores, std::fs::Permissions::from_mode(0o777)).expect("for everybody");
    // Whoever starts it allows cores of any size, where this machine does.
    let script = "ulimit -c unlimited 2>/dev/null; exec \"$@\"";
    let command = |arguments: &[&str]| {
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).args(arguments).current_dir(&cores).uid(SOMEBODY).gid(SOMEBODY);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    };
    let program = program(&directory);
    let path = program.to_str().expect("UTF-8");
    let mut agent =
        Agent::start(command(&[path, "agent", "--config", config.to_str().expect("UTF-8"), "--log-format", "json"]))
            .await;
    let pid = agent.child.id().expect("it runs");

    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("it runs");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    assert_eq!(core.split_whitespace().skip(4).collect::<Vec<_>>(), ["0", "0", "bytes"], "{core}");
    // The files of a process that is not dumpable are root's, whoever it runs as (proc(5)); of any other its user's.
    let owner = |pid: u32| std::fs::metadata(format!("/proc/{pid}/environ")).expect("it runs").uid();
    assert_eq!(owner(pid), 0);
    let mut other = command(&["sleep", "600"]).spawn().expect("it starts");
    let other_pid = other.id().expect("it runs");
    while std::fs::read_link(format!("/proc/{other_pid}/exe")).is_ok_and(|exe| !exe.ends_with("sleep")) {
        tokio::task::yield_now().await;
    }
    assert_eq!(owner(other_pid), SOMEBODY);
    // Another process of the same user reads neither its environment nor its memory.
    for (process, status) in [(pid, false), (other_pid, true)] {
        let read = command(&["cat", &format!("/proc/{process}/environ")])
            .stderr(Stdio::null())
            .status()
            .await
            .expect("it runs");
        assert_eq!(read.success(), status, "{process}");
    }
    other.kill().await.expect("it ends");

    // It does see itself: the metrics of the process are whole.
    let page = agent.request("GET", "/metrics").await;
    for metric in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_start_time_seconds",
    ] {
        assert!(page.contains(&format!("\n{metric} ")), "{metric} is missing: {page}");
    }

    agent.signal("ABRT").await;
    let ended = agent.ended().await;
    assert_eq!((ended.signal(), ended.core_dumped()), (Some(6), false));
    assert_eq!(std::fs::read_dir(&cores).expect("the folder").count(), 0, "a core");
}

#[test]
fn unit_allows_no_core_dump() {
    let unit =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/redpath.service")).expect("the unit");
    assert!(unit.lines().any(|line| line == "LimitCORE=0"), "{unit}");
}
