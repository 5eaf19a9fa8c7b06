//! The programs that are compared: how each is configured and started.

use std::path::Path;
use std::process::Command;

use super::environment::{Environment, PASSWORD, PORT, host};

/// Where redpath serves its metrics.
pub(crate) const REDPATH_PORT: u16 = 9736;
/// Where blackbox_exporter serves.
pub(crate) const BLACKBOX_PORT: u16 = 9115;

/// `redpath agent` with `targets` targets, each probed once a second.
pub(crate) fn redpath(environment: &Environment, build: &Path, targets: usize) -> Command {
    let mut text = defaults(environment, "1s");
    for number in 0..targets {
        text += &format!("  - {{name: cache{number}, host: {}, port: {PORT}}}\n", host(number));
    }
    agent(environment, build, &text)
}

/// The start of a configuration, up to its targets.
pub(crate) fn defaults(environment: &Environment, interval: &str) -> String {
    let (ca, password) = (environment.path("ca.pem"), environment.path("password"));
    format!(
        "web: {{listen: \"127.0.0.1:{REDPATH_PORT}\"}}\ndefaults:\n  interval: {interval}\n  cluster: off\n  \
         tls: {{ca_file: {}}}\n  posture: {{require_auth: off}}\n  auth: {{method: password, password_file: {}}}\ntargets:\n",
        ca.display(),
        password.display()
    )
}

/// `redpath agent` with this configuration, written to `redpath.yaml`.
pub(crate) fn agent(environment: &Environment, build: &Path, configuration: &str) -> Command {
    let mut command = Command::new(build);
    command
        .args(["agent", "--config"])
        .arg(environment.write("redpath.yaml", configuration))
        .env_remove("NOTIFY_SOCKET");
    command
}

/// blackbox_exporter with a module for Redis: TCP, TLS with verification, `AUTH` and `PING`, as redpath.
pub(crate) fn blackbox(environment: &Environment) -> Command {
    let text = format!(
        "modules:\n  redis:\n    prober: tcp\n    timeout: 5s\n    tcp:\n      preferred_ip_protocol: ip4\n      \
         tls: true\n      tls_config: {{ca_file: {}}}\n      query_response:\n        - send: \"AUTH {PASSWORD}\"\n        \
         - expect: \"OK\"\n        - send: \"PING\"\n        - expect: \"PONG\"\n",
        environment.path("ca.pem").display()
    );
    let file = environment.write("blackbox.yml", &text);
    let mut command = Command::new("prometheus-blackbox-exporter");
    command.arg(format!("--config.file={}", file.display()));
    command.arg(format!("--web.listen-address=127.0.0.1:{BLACKBOX_PORT}"));
    command
}

/// The path that makes blackbox_exporter probe a target.
pub(crate) fn blackbox_path(number: usize) -> String {
    format!("/probe?module=redis&target={}:{PORT}", host(number))
}

/// `redpath check` of one target, with a password.
pub(crate) fn check(environment: &Environment, build: &Path) -> Command {
    let mut command = Command::new(build);
    command.args(["check", &format!("{}:{PORT}", host(0)), "--require-auth", "off", "--cluster", "off"]);
    command.arg("--ca-file").arg(environment.path("ca.pem"));
    command.arg("--password-file").arg(environment.path("password"));
    command
}

/// `redis-cli --tls PING` of the same target.
pub(crate) fn redis_cli(environment: &Environment) -> Command {
    let (name, port) = (host(0), PORT.to_string());
    let mut command = Command::new("redis-cli");
    command.args(["--tls", "-h", &name, "-p", &port, "--sni", &name, "--cacert"]).arg(environment.path("ca.pem"));
    command.arg("PING").env("REDISCLI_AUTH", PASSWORD);
    command
}
