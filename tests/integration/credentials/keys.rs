//! A cache has two keys, so that one can be changed while the other is in use: both are tested side by side, and a
//! changed file is used by the next probe.

use crate::support::agent::{Agent, Directory, agent};
use crate::support::certificates::{Certificates, Leaf, NAME};
use crate::support::dns::DnsServer;
use crate::support::redis::Redis;
use crate::support::zone::Zone;

const PRIMARY: &str = "canary-primary-1";
const SECONDARY: &str = "canary-secondary-1";
const ROTATED: &str = "canary-secondary-2";

/// A changed file is used by the next probe.
#[cfg(feature = "system-tests")]
#[tokio::test]
async fn both_keys_are_tested_and_reread() {
    let (certificates, directory) = (Certificates::new(), Directory::new("keys"));
    let users = ["--user", "default", "on", "~*", "&*", "+@all", &format!(">{PRIMARY}"), &format!(">{SECONDARY}")];
    let redis = Redis::tls(&certificates, &certificates.leaf(Leaf::Good), &users);
    let dns = DnsServer::start(Zone::healthy(NAME, std::net::Ipv4Addr::LOCALHOST).script());
    let key = |name: &str, key: &str| directory.file(name, &format!("{key}\n")).display().to_string();
    let target = |name: &str, file: &str| {
        format!(
            "  - {{name: {name}, host: {NAME}, port: {}, auth: {{method: password, password_file: {file}}}}}\n",
            redis.port
        )
    };
    let (primary, secondary) = (key("primary", PRIMARY), key("secondary", SECONDARY));
    let config = format!(
        "resolvers: [{{name: lab, address: '{}'}}]\n\
         defaults: {{interval: 1s, timeout: 900ms, views: [lab], tls: {{ca_file: {}}}, expect: {{endpoints: [127.0.0.1]}}}}\n\
         web: {{listen: '127.0.0.1:0'}}\n\
         targets:\n{}{}",
        dns.address(),
        certificates.ca_file().display(),
        target("sessions-primary", &primary),
        target("sessions-secondary", &secondary),
    );
    let agent = Agent::start(agent(&directory.file("agent.yaml", &config))).await;
    let is = |target: &str, status: &str| format!("redpath_verdict{{target=\"{target}\",status=\"{status}\"}} 1\n");
    for target in ["sessions-primary", "sessions-secondary"] {
        agent.page_with("/metrics", &is(target, "pass")).await;
    }

    // The secondary key is changed: its target fails by itself, with the cause, and the other stays.
    let admin = ["--user", "default", "--pass", PRIMARY, "--no-auth-warning"];
    let change = ["ACL", "SETUSER", "default", &format!("<{SECONDARY}"), &format!(">{ROTATED}")];
    assert_eq!(redis.cli(&[&admin[..], &change].concat()).trim(), "OK");
    agent.page_with("/metrics", "redpath_finding_active{target=\"sessions-secondary\",code=\"auth_rejected\"").await;
    agent.page_with("/metrics", &is("sessions-primary", "pass")).await;

    // As a Secret is renewed: another file in place of the first. Nobody asks for a reload.
    let next = key("secondary.new", ROTATED);
    std::fs::rename(next, &secondary).expect("the file is replaced");
    agent.page_with("/metrics", &is("sessions-secondary", "pass")).await;
    let page = agent.request("GET", "/metrics").await;
    assert!(page.contains(&is("sessions-primary", "pass")) && !page.contains("code=\"auth_rejected\""), "{page}");
    assert!(!page.contains("canary"), "{page}");
}
