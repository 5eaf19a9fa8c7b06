//! `agent --textfile FILE`: what the agent writes is what a real node_exporter serves, over a full disk and a reload,
//! and nothing listens.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{interval, timeout};

use crate::support::agent::{Agent, Directory, PATIENCE, agent};
use crate::support::redis::free_port;

const ONE_TARGET: &str = "
defaults: {interval: 1s, timeout: 500ms, views: [libc]}
targets:
  - {name: sessions, host: localhost}
";

async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let mut looks = interval(Duration::from_millis(50));
    let found = async {
        loop {
            looks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("never: {what}"))
}

/// Waits until the file has that many probes of `target` or more: a page a second need not show each number.
async fn page_with(path: &Path, target: &str, probes: u32) {
    let look = async || std::fs::read_to_string(path).ok().filter(|page| probes_of(page, target) >= Some(probes));
    until(&format!("{probes} probes of {target} in {}", path.display()), look).await;
}

fn probes_of(page: &str, target: &str) -> Option<u32> {
    let series = format!("redpath_probes_total{{target=\"{target}\"}} ");
    page.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok())
}

/// An agent that writes to `file`; its log is JSON.
async fn start(mut command: Command) -> Agent {
    let mut child = command.spawn().expect("it starts");
    let stderr = child.stderr.take().map(|stderr| BufReader::new(stderr).lines());
    let mut agent = Agent { child, stderr, lines: Vec::new(), listen: String::new() };
    let line = agent.next_line("agent started").await;
    assert!(
        line["listen"].is_null() && line["textfile"].as_str().is_some_and(|file| file.ends_with(".prom")),
        "{line}"
    );
    agent
}

struct NodeExporter {
    _child: Child,
    port: u16,
}

impl NodeExporter {
    async fn start(directory: &Path) -> Self {
        let port = free_port();
        let child = Command::new("prometheus-node-exporter")
            .args(["--collector.disable-defaults", "--collector.textfile", "--log.level=error"])
            .arg(format!("--collector.textfile.directory={}", directory.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("node_exporter is missing: apt-get install prometheus-node-exporter");
        let exporter = Self { _child: child, port };
        until("node_exporter answers", async || exporter.scrape().await).await;
        exporter
    }

    async fn scrape(&self) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.ok()?;
        let mut page = String::new();
        stream.read_to_string(&mut page).await.ok()?;
        Some(page)
    }
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn textfile_is_served_by_node_exporter() {
    let directory = Directory::new("textfile");
    let config = directory.file("agent.yaml", ONE_TARGET);
    let folder = directory.0.join("collector");
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("redpath.prom");
    let exporter = NodeExporter::start(&folder).await;
    let mut command = agent(&config);
    command.arg("--textfile").arg(&file);
    let mut agent = start(command).await;

    // From the start, with every target; and from every round.
    page_with(&file, "sessions", 2).await;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    let page = exporter.scrape().await.unwrap();
    assert!(page.starts_with("HTTP/1.0 200"), "{page}");
    assert!(page.contains("redpath_probe_success{target=\"sessions\"} 0\n"), "{page}");
    assert!(page.contains("redpath_phase_duration_seconds_bucket{"), "{page}");
    assert!(page.contains("node_textfile_scrape_error 0\n"), "{page}");
    assert!(page.contains(&format!("node_textfile_mtime_seconds{{file=\"{}\"}}", file.display())), "{page}");
    // node_exporter's own: twice the same series would be no page at all.
    assert_eq!(page.matches("\nprocess_cpu_seconds_total ").count(), 1, "{page}");

    let mut promtool = std::process::Command::new("promtool");
    let mut promtool =
        promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    promtool.stdin.take().unwrap().write_all(&std::fs::read(&file).unwrap()).unwrap();
    assert!(promtool.wait_with_output().unwrap().status.success());

    // Nothing of the agent listens.
    let pid = agent.child.id().unwrap();
    let sockets: Vec<PathBuf> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok())
        .collect();
    for inode in sockets.iter().filter_map(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')) {
        for table in ["tcp", "tcp6"] {
            let table = std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap();
            let listens = |line: &str| line.contains(" 0A ") && line.split_whitespace().any(|word| word == inode);
            assert!(!table.lines().any(listens), "{table}");
        }
    }

    std::fs::write(&config, format!("{ONE_TARGET}  - {{name: carts, host: localhost}}\n")).unwrap();
    agent.signal("HUP").await;
    page_with(&file, "carts", 1).await;

    // Stopped: node_exporter would go on serving the last page for ever.
    agent.signal("TERM").await;
    assert_eq!(agent.ended().await.code(), Some(0));
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    assert!(!exporter.scrape().await.unwrap().contains("redpath_"));
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn textfile_full_disk_warns_once() {
    let directory = Directory::new("textfile-full");
    let config = directory.file("agent.yaml", ONE_TARGET);
    let folder = directory.0.join("disk");
    std::fs::create_dir(&folder).unwrap();
    let inner = agent(&config);
    // A disk of the agent's own, gone with it.
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", "mount -t tmpfs -o size=256k tmpfs \"$0\" && exec \"$@\""]).arg(&folder);
    command.arg(inner.as_std().get_program()).args(inner.as_std().get_args());
    command.arg("--textfile").arg(folder.join("redpath.prom"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut agent = start(command).await;
    let disk = PathBuf::from(format!("/proc/{}/root{}", agent.child.id().unwrap(), folder.display()));
    let file = disk.join("redpath.prom");
    page_with(&file, "sessions", 1).await;

    let mut ballast = std::fs::File::create(disk.join("ballast")).unwrap();
    while ballast.write_all(&[0; 4096]).is_ok() {}
    let line = agent.next_line("the text file cannot be written; probing goes on").await;
    assert_eq!(line["level"], "ERROR");
    let full = std::fs::read_to_string(&file).unwrap();
    assert!(full.contains("redpath_probe_success{target=\"sessions\"}"), "the last whole page stays: {full}");

    drop(ballast); // a file that is open keeps its space
    std::fs::remove_file(disk.join("ballast")).unwrap();
    agent.next_line("the text file is written again").await;
    assert_eq!(agent.lines.iter().filter(|line| line["level"] == "ERROR").count(), 1, "{:?}", agent.lines);
    page_with(&file, "sessions", probes_of(&full, "sessions").unwrap() + 1).await;
    agent.signal("TERM").await;
    assert_eq!(agent.ended().await.code(), Some(0));
}

#[tokio::test]
async fn textfile_invalid_flags_are_refused() {
    let directory = Directory::new("textfile-refused");
    let config = directory.file("agent.yaml", ONE_TARGET);
    let refused = async |arguments: &[&str], why: &str| {
        let output = agent(&config).args(arguments).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(why), "{arguments:?}: {said}");
    };
    refused(&["--textfile", "/tmp/redpath.txt"], "NAME.prom").await;
    refused(&["--textfile", "/tmp/a.prom", "--listen", "127.0.0.1:0"], "--listen").await;
    refused(&["--textfile", "/tmp/a.prom", "--web-config-file", "web.yaml"], "--web-config-file").await;
    refused(&["--textfile", "/nonexistent/a.prom"], "cannot write /nonexistent/a.prom: No such file").await;
}
