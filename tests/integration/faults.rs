//! What goes wrong around an agent that runs for years: servers that die and return, a machine that is full,
//! starved, stopped or told another time, and reloads in the middle of it. Probing goes on or resumes, and the
//! metrics tell the truth.
#![allow(clippy::print_stdout, reason = "the figures of a run are shown by --nocapture")]

mod machine;
mod peers;
mod reload;
mod soak;

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::time::{interval, timeout};

use crate::support::agent::{Agent, PATIENCE};
use crate::support::certificates::Certificates;

/// A configuration for targets on loopback that are resolved by one scripted name server. Each is `NAME: PORT`.
fn config(certificates: &Certificates, dns: SocketAddr, every: &str, targets: &[(String, u16)]) -> String {
    let mut text = format!(
        "resolvers: [{{name: lab, address: \"{dns}\"}}]\nprivate_ranges: [127.0.0.0/8]\nweb: {{listen: 127.0.0.1:0}}\n\
         defaults: {{interval: {every}, timeout: {every}, views: [lab], cluster: off, tls: {{ca_file: {}}}, \
         posture: {{require_auth: false}}, expect: {{endpoints: [{HERE}]}}}}\ntargets:\n",
        certificates.ca_file().display()
    );
    for (name, port) in targets {
        writeln!(text, "- {{name: {name}, host: {HOST}, port: {port}}}").expect("a string");
    }
    text
}

const HOST: &str = crate::support::certificates::NAME;
const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Waits until the latest record of `target` has this cause.
async fn until_cause(agent: &Agent, target: &str, cause: &str) {
    let wanted = format!("\"cause\":\"{cause}\"");
    let page = format!("/api/v1/records?target={target}");
    let mut last = String::new();
    let mut looks = interval(Duration::from_millis(50));
    let found = async {
        loop {
            last = agent.request("GET", &page).await;
            if last.replace(": ", ":").contains(&wanted) {
                return;
            }
            looks.tick().await;
        }
    };
    if timeout(PATIENCE, found).await.is_err() {
        panic!("{target} never has the cause {cause}; at last:\n{last}");
    }
}

/// The value of a series of the metrics page, where it is there.
fn value(page: &str, series: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// Waits until `target` has been probed so many times more than now.
async fn more_probes(agent: &Agent, target: &str, times: u32) {
    let series = format!("redpath_probes_total{{target=\"{target}\"}}");
    let now = value(&agent.request("GET", "/metrics").await, &series).unwrap_or_default();
    agent
        .page_where("/metrics", |page| value(page, &series).is_some_and(|count| count >= now + f64::from(times)))
        .await;
}

/// The targets' names and their servers' ports, in turn.
fn targets(count: usize, ports: &[u16]) -> Vec<(String, u16)> {
    ports.iter().cycle().take(count).enumerate().map(|(number, port)| (format!("t{number}"), *port)).collect()
}
