//! The agent beside an application whose connections outlive a change of DNS, in a network namespace.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Instant;

use crate::support::agent::{Agent, Directory, PATIENCE};
use crate::support::namespace::Namespace;

const HOST: &str = "cache1.redis.cache.windows.net";
const PRIVATE: &str = "10.60.4.5";
const PUBLIC: &str = "20.50.1.10";

/// Opens connections in the namespace, which stay until the child is stopped.
fn application(namespace: &mut Namespace, server: SocketAddr, count: usize) {
    let open: String =
        (3..3 + count).map(|fd| format!("exec {fd}<>/dev/tcp/{}/{}; ", server.ip(), server.port())).collect();
    let done = namespace.folder().join(format!("opened-{}", server.ip()));
    let script = format!("{open} : > {}; read -r -u 3 line", done.display());
    namespace.start("bash", &["-c", &script], server);
    let began = Instant::now();
    while !done.exists() {
        assert!(began.elapsed() < PATIENCE, "the application does not connect");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn agent_names_connections_that_outlive_dns() {
    follows_dns(&[]).await;
}

/// The unit's `RestrictAddressFamilies` without netlink: the same, through `/proc`.
#[tokio::test]
async fn agent_names_connections_without_netlink() {
    let connections = [env!("CARGO_BIN_EXE_redpath"), "connections", "localhost:1", "--output", "json"];
    let mut command = std::process::Command::new("perl");
    let output = command.args(["-e", WITHOUT_NETLINK]).args(connections).args(["--views", "libc"]).output();
    let output = output.expect("perl, which every Debian has");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let facts = &document["targets"][0]["application"];
    assert_eq!(facts["source"], "proc", "{document:#}");
    assert!(facts["netlink_error"].is_string(), "it says why: {document:#}");
    follows_dns(&["perl", "-e", WITHOUT_NETLINK]).await;
}

/// Forbids netlink sockets to the program of its arguments (a seccomp filter on `socket`), and becomes it.
const WITHOUT_NETLINK: &str = r#"
    my ($socket, $prctl) = `uname -m` =~ /aarch64/ ? (198, 167) : (41, 157);
    my $filter = join "", map { pack "SCCL", @$_ } (
        [0x20, 0, 0, 0], [0x15, 0, 3, $socket],  # the number of the system call
        [0x20, 0, 0, 16], [0x15, 0, 1, 16],      # its first argument: AF_NETLINK
        [0x06, 0, 0, 0x00050000 | 97], [0x06, 0, 0, 0x7fff0000]);  # EAFNOSUPPORT, or allowed
    syscall($prctl, 38, 1, 0, 0, 0) == 0 or die "no_new_privs: $!";
    my $program = pack "S x6 P", 6, $filter;
    syscall($prctl, 22, 2, $program, 0, 0) == 0 or die "seccomp: $!";
    exec @ARGV or die "exec: $!";
"#;

/// The agent beside an application with old connections, while DNS moves to the private address. `wrapper` starts it.
async fn follows_dns(wrapper: &[&str]) {
    let mut namespace = Namespace::new(&["10.60.4.5/32", "20.50.1.10/32"]);
    let (private, public) = (format!("{PRIVATE}:6380"), format!("{PUBLIC}:6380"));
    let (private, public): (SocketAddr, SocketAddr) =
        (private.parse().expect("an address"), public.parse().expect("an address"));
    let arguments = ["--port", "6380", "--bind", "0.0.0.0", "--save", "", "--protected-mode", "no"];
    namespace.start("redis-server", &arguments, private);
    application(&mut namespace, private, 3);
    application(&mut namespace, public, 1);
    namespace.hosts(&format!("{PUBLIC} {HOST}\n"));

    let folder = Directory::new("application");
    let config = format!(
        "defaults: {{interval: 500ms, views: [libc], application: on, cluster: off, tls: {{plaintext: true}}, posture: {{require_auth: false}}}}\n\
         targets: [{{name: sessions, host: {HOST}, port: 6380}}]\nweb: {{listen: 127.0.0.1:0}}\n"
    );
    let config = folder.file("redpath.yaml", &config);
    let mut command = tokio::process::Command::from(namespace.command("setpriv"));
    command
        .args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--bounding-set=-all",
            "--inh-caps=-all",
            "--no-new-privs",
        ])
        .args(wrapper)
        .arg(env!("CARGO_BIN_EXE_redpath"))
        .args(["agent", "--log-format", "json", "--config"])
        .arg(&config)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut agent = Agent::start(command).await;
    let first = agent.next_line("verdict changed").await;
    assert_eq!(first["to"], "fail", "{first}");

    namespace.hosts(&format!("{PRIVATE} {HOST}\n"));
    wait_for(&mut agent, "application_on_public_path").await;
    namespace.stop(2); // the application with the connection to the public address
    wait_for(&mut agent, "healthy").await;
}

/// The next change of the verdict is to this cause.
async fn wait_for(agent: &mut Agent, cause: &str) {
    let line = agent.next_line("verdict changed").await;
    assert_eq!(line["cause"], cause, "{line}");
}

/// Opens connections in the namespace, one after the other, each closed at once.
fn open_short(namespace: &Namespace, server: SocketAddr, count: usize) {
    let (ip, port) = (server.ip(), server.port());
    let script = format!("for i in $(seq {count}); do exec 3<>/dev/tcp/{ip}/{port} && exec 3>&-; done");
    assert!(namespace.command("bash").args(["-c", &script]).status().expect("bash runs").success());
}

#[tokio::test]
async fn agent_names_storm_of_connections() {
    let mut namespace = Namespace::new(&["10.60.4.5/32"]);
    let private: SocketAddr = format!("{PRIVATE}:6380").parse().expect("an address");
    let arguments = ["--port", "6380", "--bind", "0.0.0.0", "--save", "", "--protected-mode", "no"];
    namespace.start("redis-server", &arguments, private);
    namespace.hosts(&format!("{PRIVATE} {HOST}\n"));
    let folder = Directory::new("storm");
    let config = format!(
        "defaults: {{interval: 500ms, views: [libc], application: on, max_opened_per_minute: 100, cluster: off, tls: {{plaintext: true}}, posture: {{require_auth: false}}}}\n\
         targets: [{{name: sessions, host: {HOST}, port: 6380}}]\n"
    );
    let config = folder.file("redpath.yaml", &config);
    let page = namespace.folder().join("redpath.prom");
    let mut command = tokio::process::Command::from(namespace.command(env!("CARGO_BIN_EXE_redpath")));
    command.args(["agent", "--config"]).arg(&config).arg("--textfile").arg(&page);
    let mut agent = command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().expect("it starts");
    let until = async |what: &str, holds: &dyn Fn(&str) -> bool| {
        let began = Instant::now();
        loop {
            let text = std::fs::read_to_string(&page).unwrap_or_default();
            if holds(&text) {
                break text;
            }
            assert!(began.elapsed() < PATIENCE, "no {what}: {text}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let opened = |text: &str| -> Option<f64> {
        let line = text.lines().find(|line| line.starts_with("redpath_application_connections_opened_total{"))?;
        line.rsplit(' ').next()?.parse().ok()
    };
    let names_storm = |text: &str| text.contains("code=\"connection_storm\"");
    // Opened connections are counted from the second list on.
    let probes = |text: &str| -> Option<f64> {
        text.lines().find(|line| line.starts_with("redpath_probes_total{"))?.rsplit(' ').next()?.parse().ok()
    };
    until("second probe", &|text| probes(text) >= Some(2.0)).await;
    open_short(&namespace, private, 20);
    let text = until("20 connections", &|text| opened(text) >= Some(20.0)).await;
    assert!(opened(&text) == Some(20.0) && !names_storm(&text), "{text}");
    open_short(&namespace, private, 200);
    let text = until("storm", &names_storm).await;
    assert!(opened(&text) > Some(100.0), "{text}");
    agent.kill().await.expect("it was running");
}
