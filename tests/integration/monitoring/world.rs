//! A network of its own with what is monitored and what monitors it: BIND with a private zone that can be cut off,
//! a real Redis behind a private and a public address, agents, and a real Prometheus that has loaded the shipped rules.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::agent::PATIENCE;
use crate::support::certificates::{Certificates, Leaf};
use crate::support::namespace::{Namespace, write_bind};

pub(super) const HOST: &str = "cache1.redis.cache.windows.net";
pub(super) const PRIVATE: &str = "10.60.4.5";
pub(super) const PUBLIC: &str = "20.50.1.10";
/// A name server that sees the private zone, and one that does not.
pub(super) const LINKED: &str = "10.10.0.52";
pub(super) const UNLINKED: &str = "10.10.0.53";

const PROMETHEUS: &str = "127.0.0.1:9090";
const FIRST_AGENT: u16 = 9736;
/// The place of BIND among what the namespace runs.
const BIND: usize = 0;

pub(super) struct World {
    namespace: Namespace,
    certificates: Certificates,
    agents: Vec<SocketAddr>,
    subnets: Vec<String>,
}

impl World {
    /// BIND and Redis; no agent yet.
    pub(super) fn new() -> Self {
        let address = |ip: &str| format!("{ip}/32");
        let addresses = [PRIVATE, PUBLIC, LINKED, UNLINKED].map(address);
        let mut namespace = Namespace::new(&addresses.each_ref().map(String::as_str));
        namespace.resolv_conf(&format!("nameserver {LINKED}\noptions timeout:1 attempts:1\n"));
        let certificates = Certificates::new();
        let server = certificates.leaf(Leaf::Good);
        let folder = namespace.folder().to_owned();
        write_bind(&folder, &[LINKED], &[UNLINKED], PRIVATE.parse().unwrap(), PUBLIC.parse().unwrap());
        // Debian's AppArmor profile keeps /usr/sbin/named out of every folder but its own; it goes by the path.
        let named = folder.join("named");
        std::fs::copy("/usr/sbin/named", &named).expect("named is missing: apt-get install bind9");
        let config = folder.join("named.conf");
        namespace.start(text(&named), &["-g", "-n", "1", "-c", text(&config)], at(LINKED, 53));
        let ca_file = certificates.ca_file();
        let listens =
            ["--port", "0", "--tls-port", "6380", "--bind", PRIVATE, PUBLIC, "--requirepass", "a-key", "--save", ""];
        let files = [
            "--tls-auth-clients",
            "no",
            "--tls-cert-file",
            text(&server.certificate),
            "--tls-key-file",
            text(&server.key),
            "--tls-ca-cert-file",
            text(&ca_file),
        ];
        namespace.start("redis-server", &[listens.as_slice(), &files].concat(), at(PRIVATE, 6380));
        Self { namespace, certificates, agents: Vec::new(), subnets: Vec::new() }
    }

    /// An agent with this vantage's subnet; `configuration` is the rest of its file. It trusts the world's Redis.
    pub(super) fn agent(&mut self, subnet: &str, configuration: &str) {
        let address = at("127.0.0.1", FIRST_AGENT + u16::try_from(self.agents.len()).expect("few agents"));
        let file = self.agent_file(subnet, address, configuration);
        self.namespace.start(env!("CARGO_BIN_EXE_redpath"), &["agent", "--config", text(&file)], address);
        self.agents.push(address);
        self.subnets.push(subnet.to_owned());
    }

    fn agent_file(&self, subnet: &str, address: SocketAddr, configuration: &str) -> PathBuf {
        self.file(
            &format!("{subnet}.yaml"),
            &format!(
                "vantage: {{labels: {{vnet: spoke-1, subnet: {subnet}}}}}\nweb: {{listen: '{address}'}}\n{}",
                configuration.replace("CA_FILE", text(&self.certificates.ca_file()))
            ),
        )
    }

    /// Writes the configuration of a running agent anew; it reads it by itself.
    pub(super) fn configure(&self, subnet: &str, configuration: &str) {
        let address = self.agents[self.subnets.iter().position(|name| name == subnet).expect("an agent of it")];
        self.agent_file(subnet, address, configuration);
    }

    /// Prometheus, scraping all agents and evaluating the shipped rules.
    pub(super) fn prometheus(&mut self, scrape: &str, evaluation: &str) {
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("monitoring/rules/redpath.rules.yaml");
        // One address more, of an agent that may be started later.
        let later = at("127.0.0.1", FIRST_AGENT + u16::try_from(self.agents.len()).expect("few agents"));
        let targets: Vec<String> = self.agents.iter().chain([&later]).map(|agent| format!("'{agent}'")).collect();
        let config = self.file(
            "prometheus.yaml",
            &format!(
                "global: {{scrape_interval: {scrape}, scrape_timeout: {scrape}, evaluation_interval: {evaluation}}}\n\
                 rule_files: ['{}']\n\
                 scrape_configs: [{{job_name: vantages, static_configs: [{{targets: [{}]}}]}}]\n",
                rules.display(),
                targets.join(", ")
            ),
        );
        let arguments = [
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", self.namespace.folder().join("tsdb").display()),
            format!("--web.listen-address={PROMETHEUS}"),
        ];
        let arguments = arguments.each_ref().map(String::as_str);
        self.namespace.start("prometheus", &arguments, PROMETHEUS.parse().expect("an address"));
    }

    /// Whether the linked name server goes on seeing the private zone's records, or leads to the public address.
    pub(super) fn sees_private_zone(&self, sees: bool) {
        let folder = self.namespace.folder();
        let (zone, kept) = (folder.join("private"), folder.join("private.kept"));
        if !kept.exists() {
            std::fs::copy(&zone, &kept).expect("the zone is kept");
        }
        std::fs::copy(if sees { kept } else { folder.join("outside") }, &zone).expect("the zone is changed");
        self.namespace.signal(BIND, "HUP");
    }

    /// What Prometheus answers at this path; null while it is not ready.
    pub(super) fn get(&self, path: &str) -> Value {
        let (host, port) = PROMETHEUS.split_once(':').expect("an address");
        let script =
            format!("exec 3<>/dev/tcp/{host}/{port}; printf 'GET %s HTTP/1.0\\r\\n\\r\\n' \"$0\" >&3; exec cat <&3");
        let output = self.namespace.command("bash").args(["-c", &script, path]).stderr(Stdio::null()).output();
        let reply = String::from_utf8_lossy(&output.expect("bash runs in the namespace").stdout).into_owned();
        let body = reply.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        serde_json::from_str(body).unwrap_or_default()
    }

    /// `redpath gate` over this Prometheus: its output, and its exit status.
    pub(super) fn gate(&self, expected: &str, arguments: &[&str]) -> (String, Option<i32>) {
        let expected = self.file("expected.yaml", expected);
        let mut command = self.namespace.command(env!("CARGO_BIN_EXE_redpath"));
        command.args(["gate", "--prometheus", &format!("http://{PROMETHEUS}"), "--expected", text(&expected)]);
        command.args(["--max-age", "20s"]); // a busy machine
        let output = command.args(arguments).output().expect("the binary starts");
        (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
    }

    /// The series of an instant query.
    pub(super) fn query(&self, query: &str, parameters: &str) -> Vec<Value> {
        self.series("query", query, parameters)
    }

    /// The series of a query over the last minute, second by second.
    pub(super) fn query_range(&self, query: &str, now: f64) -> Vec<Value> {
        self.series("query_range", query, &format!("&start={}&end={now}&step=1", now - 60.0))
    }

    fn series(&self, kind: &str, query: &str, parameters: &str) -> Vec<Value> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let answer = self.get(&format!("/api/v1/{kind}?query={encoded}{parameters}"));
        assert_ne!(answer["status"], "error", "{query}: {}", answer["error"]);
        answer["data"]["result"].as_array().cloned().unwrap_or_default()
    }

    /// Looks until there is something to see.
    pub(super) fn wait_for<T>(&self, what: &str, look: impl Fn(&Self) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(seen) = look(self) {
                return seen;
            }
            assert!(began.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(50)); // between two looks
        }
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.namespace.folder().join(name);
        std::fs::write(&path, content).expect("a file is written");
        path
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

fn at(ip: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip.parse().expect("an address"), port)
}
