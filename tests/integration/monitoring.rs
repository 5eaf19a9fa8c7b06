//! The agent as its users collect it: a real Prometheus scrapes it, and answers the questions that alerts ask.

mod alerts;
mod dashboard;
mod gate;
mod world;

use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, interval, timeout};

use crate::support::agent::{Agent, Directory, PATIENCE, agent};
use crate::support::certificates::{Certificates, Leaf, NAME};
use crate::support::dns::{DnsServer, closed_port};
use crate::support::redis::Redis;
use crate::support::zone::Zone;

const KEY: &str = "canary-5up3r-s3cret-k3y";

/// A cache on loopback, its name server, and the configuration of an agent that probes it with its key.
struct World {
    directory: Directory,
    certificates: Certificates,
    redis: Redis,
    dns: DnsServer,
}

impl World {
    fn new(name: &str) -> Self {
        let directory = Directory::new(name);
        let certificates = Certificates::new();
        let redis = Redis::tls(&certificates, &certificates.leaf(Leaf::Good), &["--requirepass", KEY]);
        let dns = DnsServer::start(Zone::healthy(NAME, std::net::Ipv4Addr::LOCALHOST).script());
        directory.file("key", &format!("{KEY}\n"));
        Self { directory, certificates, redis, dns }
    }

    fn configuration(&self) -> String {
        format!(
            "resolvers: [{{name: lab, address: '{}'}}]\n\
             defaults: {{interval: 1s, timeout: 900ms, views: [lab], tls: {{ca_file: {}}}, \
             auth: {{method: password, password_file: {}/key}}, expect: {{endpoints: [127.0.0.1]}}}}\n\
             web: {{listen: '127.0.0.1:0'}}\n\
             targets: [{{name: sessions, host: {NAME}, port: {}}}, {{name: wrong, host: {NAME}, port: {}, expect: {{endpoints: [127.0.0.9]}}}}]\n",
            self.dns.address(),
            self.certificates.ca_file().display(),
            self.directory.0.display(),
            self.redis.port,
            self.redis.port,
        )
    }

    async fn agent(&self) -> Agent {
        self.agent_with("").await
    }

    /// An agent whose configuration ends with these lines.
    async fn agent_with(&self, settings: &str) -> Agent {
        let configuration = self.configuration() + settings;
        let agent = Agent::start(agent(&self.directory.file("agent.yaml", &configuration))).await;
        agent.has_probed("sessions", 2).await;
        agent.has_probed("wrong", 2).await;
        agent
    }
}

struct Prometheus {
    child: Child,
    address: String,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    fn start(directory: &Directory, scraped: &str, arguments: &[&str]) -> Self {
        let config = directory.file(
            "prometheus.yaml",
            &format!(
                "scrape_configs:\n  - job_name: redpath\n    scrape_interval: 1s\n    static_configs: [{{targets: ['{scraped}']}}]\n"
            ),
        );
        let address = closed_port(std::net::Ipv4Addr::LOCALHOST.into()).to_string();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", directory.0.join("tsdb").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus is missing: apt-get install prometheus");
        Self { child, address }
    }

    /// The values of an instant query; none while it is not up yet.
    async fn query(&self, query: &str) -> Vec<f64> {
        let Ok(mut stream) = TcpStream::connect(&self.address).await else { return Vec::new() };
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let request = format!("GET /api/v1/query?query={encoded} HTTP/1.0\r\nhost: {}\r\n\r\n", self.address);
        let mut reply = String::new();
        if stream.write_all(request.as_bytes()).await.is_err() || stream.read_to_string(&mut reply).await.is_err() {
            return Vec::new();
        }
        let Some((_, body)) = reply.split_once("\r\n\r\n") else { return Vec::new() };
        let Ok(answer) = serde_json::from_str::<Value>(body) else { return Vec::new() };
        let series = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        series.iter().filter_map(|series| series["value"][1].as_str()?.parse().ok()).collect()
    }

    async fn answers(&self, query: &str, holds: impl Fn(&[f64]) -> bool) {
        let mut looks = interval(Duration::from_millis(100));
        let answered = async {
            loop {
                let values = self.query(query).await;
                if holds(&values) {
                    break;
                }
                looks.tick().await;
            }
        };
        timeout(PATIENCE, answered).await.unwrap_or_else(|_| panic!("{query} is never answered as it should be"));
    }
}

#[tokio::test]
async fn prometheus_scrape_answers_alert_queries() {
    let world = World::new("prometheus");
    let agent = world.agent().await;
    let prometheus = Prometheus::start(&world.directory, &agent.listen, &[]);
    prometheus.answers("redpath_path_private{target=\"sessions\"}", |values| values == [1.0]).await;
    prometheus.answers("redpath_address_expected{target=\"wrong\"}", |values| values == [0.0]).await;
    prometheus.answers("redpath_verdict{target=\"wrong\",status=\"fail\"}", |values| values == [1.0]).await;
    for phase in ["resolve", "connect", "tls", "auth", "ping"] {
        let rate = format!(
            "histogram_quantile(0.9, sum by (le) (increase(redpath_phase_duration_seconds_bucket{{target=\"sessions\",phase=\"{phase}\"}}[1m])))"
        );
        prometheus.answers(&rate, |values| matches!(values, [value] if *value > 0.0 && *value < 1.0)).await;
    }
    // AUTH was withheld from the wrong address, so it has no time there.
    let withheld = "redpath_phase_duration_seconds_count{target=\"wrong\",phase=\"auth\"}";
    prometheus.answers(withheld, |values| values == [0.0]).await;
}

#[tokio::test]
async fn prometheus_scrapes_native_histograms() {
    let world = World::new("native-histograms");
    let agent = world.agent_with("metrics: {native_histograms: true, classic_histograms: false}\n").await;
    let features = ["--enable-feature=native-histograms"];
    let prometheus = Prometheus::start(&world.directory, &agent.listen, &features);
    for phase in ["resolve", "connect", "tls", "auth", "ping"] {
        let series = format!("redpath_phase_duration_seconds{{target=\"sessions\",phase=\"{phase}\"}}");
        let count = format!("histogram_count({series})");
        prometheus.answers(&count, |values| matches!(values, [count] if *count >= 2.0)).await;
        let quantile = format!("histogram_quantile(0.9, increase({series}[1m]))");
        prometheus.answers(&quantile, |values| matches!(values, [value] if *value > 0.0 && *value < 1.0)).await;
    }
    // The other metrics are the same in this format.
    prometheus.answers("redpath_path_private{target=\"sessions\"}", |values| values == [1.0]).await;
    prometheus.answers("count(redpath_probes_total)", |values| values == [2.0]).await;
    prometheus.answers("count(redpath_phase_duration_seconds_bucket) or vector(0)", |values| values == [0.0]).await;
}

#[tokio::test]
async fn promtool_accepts_live_page() {
    let world = World::new("promtool");
    let agent = world.agent().await;
    let reply = agent.request("GET", "/metrics").await;
    let (_, page) = reply.split_once("\r\n\r\n").unwrap();
    let file = world.directory.file("page", page);
    let output = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(std::fs::File::open(file).unwrap())
        .output()
        .expect("promtool is missing: apt-get install prometheus");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
}
