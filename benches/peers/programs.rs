//! The programs side by side: how each is started, and how it is made to probe.

use std::path::PathBuf;
use std::process::Command;

use super::world::{self, NAME_SERVERS, PASSWORD, PORT, World};

/// The programs, and the world that they look at.
pub(crate) struct Programs<'a> {
    pub(crate) redpath: PathBuf,
    pub(crate) world: &'a World,
}

impl Programs<'_> {
    /// redpath with `targets` at `interval`, asking `resolvers` more beside the system's own.
    pub(crate) fn redpath_agent(&self, http: u16, targets: usize, interval: &str, resolvers: usize) -> Command {
        self.redpath_at(http, targets, interval, resolvers, PORT)
    }

    /// The same with Redis at another port.
    pub(crate) fn redpath_at(&self, http: u16, targets: usize, interval: &str, more: usize, port: u16) -> Command {
        let (ca, password) = (self.world.file("ca.pem"), self.world.file("password"));
        let mut text = format!("web: {{listen: \"127.0.0.1:{http}\"}}\nresolvers:\n");
        if more == 0 {
            text = text.replace("resolvers:\n", "");
        }
        for server in &NAME_SERVERS[1..=more] {
            text += &format!("  - {{name: at-{server}, address: {server}}}\n");
        }
        text += &format!(
            "defaults:\n  interval: {interval}\n  cluster: off\n  tls: {{ca_file: {}}}\n  posture: {{require_auth: off}}\n  \
             auth: {{method: password, password_file: {}}}\ntargets:\n",
            ca.display(),
            password.display()
        );
        for number in 0..targets {
            text += &format!("  - {{name: cache{number}, host: {}, port: {port}}}\n", world::name(number));
        }
        let file = self.world.write(&format!("redpath-{http}.yaml"), &text);
        // For profiles: `BENCH_WRAP="valgrind --tool=callgrind"`.
        let wrap = std::env::var("BENCH_WRAP").unwrap_or_default();
        let words = wrap.split_whitespace().map(Into::into).chain([self.redpath.clone().into_os_string()]);
        let mut words = words.collect::<Vec<_>>().into_iter();
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).arg("agent").arg("--config").arg(file).env_remove("NOTIFY_SOCKET");
        command
    }

    /// The blackbox exporter with a module for Redis over TLS, with a password.
    pub(crate) fn blackbox(&self, http: u16) -> Command {
        let ca = self.world.file("ca.pem");
        let text = format!(
            "modules:\n  redis:\n    prober: tcp\n    timeout: 5s\n    tcp:\n      preferred_ip_protocol: ip4\n      \
             tls: true\n      tls_config: {{ca_file: {}}}\n      query_response:\n        - send: \"AUTH {PASSWORD}\"\n        \
             - expect: \"OK\"\n        - send: \"PING\"\n        - expect: \"PONG\"\n",
            ca.display()
        );
        let file = self.world.write("blackbox.yml", &text);
        let mut command = Command::new("prometheus-blackbox-exporter");
        command.arg(format!("--config.file={}", file.display())).arg(format!("--web.listen-address=127.0.0.1:{http}"));
        command
    }

    /// The Redis exporter.
    pub(crate) fn redis_exporter(&self, http: u16) -> Command {
        let mut command = Command::new("prometheus-redis-exporter");
        command.args(["-redis.addr", "", "-redis.password", PASSWORD, "-tls-ca-cert-file"]);
        command.arg(self.world.file("ca.pem")).args(["-web.listen-address", &format!("127.0.0.1:{http}")]);
        command
    }
}

/// Where the blackbox exporter is asked to probe a target.
pub(crate) fn blackbox_path(number: usize) -> String {
    format!("/probe?module=redis&target={}:{PORT}", world::name(number))
}

/// Where the Redis exporter is asked to scrape a target.
pub(crate) fn redis_exporter_path(number: usize) -> String {
    format!("/scrape?target=rediss://{}:{PORT}", world::name(number))
}

/// Where redpath is asked to probe a target.
pub(crate) fn redpath_path(number: usize) -> String {
    format!("/probe?target=cache{number}")
}
