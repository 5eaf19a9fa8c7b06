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
