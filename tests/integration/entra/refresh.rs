//! The agent over time: one token for its targets, refreshed before it expires, and what is said where that fails.

use std::time::Duration;

use super::{World, keeps_quiet};
use crate::support::agent::{Agent, agent};
#[cfg(feature = "system-tests")]
use crate::support::certificates::Leaf;
use crate::support::entra::{Endpoint, Reply, token};
#[cfg(feature = "system-tests")]
use crate::support::fake_redis::{Answer, Event, FakeRedis};

/// An agent that probes the same Redis as two targets of one identity, all the time.
async fn started(world: &World, endpoint: &Endpoint) -> Agent {
    let ca_file = world.certificates.ca_file().display().to_string();
    let port = world.redis.port;
    let target = |name: &str| format!("{{name: {name}, host: localhost, port: {port}}}");
    let config = format!(
        "web: {{listen: '127.0.0.1:0'}}\n\
         defaults:\n  interval: 500ms\n  timeout: 500ms\n  views: [libc]\n  expect: {{path: any}}\n  tls: {{ca_file: {ca_file}}}\n  \
         auth: {{method: entra, source: workload_identity}}\n\
         targets: [{}, {}]\n",
        target("one"),
        target("two"),
    );
    let file = world.folder.path().join("agent.yaml");
    std::fs::write(&file, config).unwrap();
    let mut command = agent(&file);
    command.args(["--log-level", "debug"]);
    world.pod(&mut command, endpoint.port);
    Agent::start(command).await
}

const SUCCESS: &str = "redpath_probe_success{target=\"one\"} 1";

async fn token_failures(agent: &Agent) -> String {
    let series = "redpath_phase_failures_total{target=\"one\",phase=\"token\"} ";
    let page = agent.request("GET", "/metrics").await;
    page.lines().find_map(|line| line.strip_prefix(series)).expect("the series of the phase").to_owned()
}

/// Nothing that the agent serves or logs has a token in it.
async fn all_is_quiet(agent: &Agent) {
    for path in ["/metrics", "/", "/api/v1/records", "/probe?target=one"] {
        keeps_quiet(agent.request("GET", path).await.as_bytes());
    }
    for line in &agent.lines {
        keeps_quiet(line.to_string().as_bytes());
    }
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn entra_token_is_refreshed_before_expiry() {
    let world = World::new();
    let (first, second) = (token(1, 0, 8), token(2, 0, 3600));
    world.lets_in(&[&first, &second]);
    let endpoint = world.endpoint(vec![Reply::token(&first, 8), Reply::token(&second, 3600)]).await;
    let agent = started(&world, &endpoint).await;
    agent.page_with("/metrics", SUCCESS).await;
    let failures = token_failures(&agent).await; // the first token may come too late for a short probe
    agent.has_probed("two", 3).await;
    assert_eq!(endpoint.requests().len(), 1, "both targets share one token, which is kept");
    agent.page_with("/metrics", "redpath_phase_outcome{target=\"one\",phase=\"token\",outcome=\"done\"} 1").await;
    endpoint.was_asked(2).await;
    // The old one is taken away: whoever still used it would be rejected.
    agent.page_with("/api/v1/records?target=one", "\"cached\":true").await;
    world.lets_in(&[&second]);
    agent.has_probed("one", 16).await;
    agent.page_with("/metrics", SUCCESS).await;
    assert_eq!(token_failures(&agent).await, failures, "the refresh cost no probe its token");
    assert_eq!(endpoint.requests().len(), 2);
    all_is_quiet(&agent).await;
}

/// The old token is used until it expires.
#[cfg(feature = "system-tests")]
#[tokio::test]
async fn entra_failed_refresh_warns_then_fails() {
    let world = World::new();
    let first = token(1, 0, 12);
    world.lets_in(&[&first]);
    let down = Reply::refusal(503, "temporarily_unavailable", "the endpoint is down");
    let endpoint = world.endpoint(vec![Reply::token(&first, 12), down]).await;
    let agent = started(&world, &endpoint).await;
    agent.page_with("/metrics", SUCCESS).await;
    let warned = "redpath_finding_active{target=\"one\",code=\"credential_unavailable\",severity=\"warning\"} 1";
    agent.page_where("/metrics", |page| page.contains(warned) && page.contains(SUCCESS)).await;
    agent.page_with("/metrics", "redpath_verdict{target=\"one\",status=\"fail\"} 1").await;
    let records = agent.request("GET", "/api/v1/records?target=one").await;
    assert!(
        records.contains("the endpoint is down") && records.contains("\"cause\":\"credential_unavailable\""),
        "{records}"
    );
    assert!(!records.contains("auth_rejected"), "an expired token is never sent: {records}");
    assert!(endpoint.requests().len() <= 6, "a failing endpoint is left in peace: {}", endpoint.requests().len());
    all_is_quiet(&agent).await;
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn entra_rejected_token_is_fetched_once() {
    let world = World::new();
    let (first, second) = (token(1, 0, 3600), token(2, 0, 3600));
    world.lets_in(&[&first]);
    let endpoint = world.endpoint(vec![Reply::token(&first, 3600), Reply::token(&second, 3600)]).await;
    let agent = started(&world, &endpoint).await;
    agent.page_with("/metrics", SUCCESS).await;
    agent.has_probed("two", 2).await;
    world.lets_in(&[&second]);
    endpoint.was_asked(2).await;
    agent.page_with("/metrics", SUCCESS).await;
    // Nobody is let in any more: the endpoint is not asked again and again.
    world.lets_in(&["of-somebody-else"]);
    agent.page_with("/metrics", "redpath_probe_failures_by_cause_total{target=\"one\",cause=\"auth_rejected\"}").await;
    tokio::time::timeout(Duration::from_secs(60), agent.has_probed("one", 12)).await.expect("it goes on");
    assert_eq!(endpoint.requests().len(), 2);
    all_is_quiet(&agent).await;
}

/// A held connection sends the next token before the one that it was opened with expires.
#[cfg(feature = "system-tests")]
#[tokio::test]
async fn entra_held_connection_sends_next_token() {
    let world = World::new();
    let (first, second) = (token(1, 0, 8), token(2, 0, 3600));
    let endpoint = world.endpoint(vec![Reply::token(&first, 8), Reply::token(&second, 3600)]).await;
    let script = |event: Event<'_>| match event {
        Event::Connected => Answer::Send(Vec::new()),
        Event::Command { words, .. } => match words[0].as_str() {
            "AUTH" => Answer::Authenticated,
            "QUIT" => Answer::SendAndClose(b"+OK\r\n".to_vec()),
            "PING" => Answer::line("+PONG"),
            _ => Answer::line("-ERR unknown command"),
        },
    };
    let tls = world.certificates.leaf(Leaf::Localhost).server_config();
    let server = FakeRedis::start("127.0.0.1:0".parse().unwrap(), Some(tls), script).unwrap();
    let config = format!(
        "web: {{listen: '127.0.0.1:0'}}\n\
         targets: [{{name: one, host: localhost, port: {}, connect: 127.0.0.1, interval: 500ms, views: [libc], \
         expect: {{path: any}}, cluster: off, posture: {{require_auth: off}}, tls: {{ca_file: {}}}, \
         auth: {{method: entra, source: workload_identity}}, held_connection: true}}]\n",
        server.address().port(),
        world.certificates.ca_file().display(),
    );
    let file = world.folder.path().join("held.yaml");
    std::fs::write(&file, config).unwrap();
    let mut command = agent(&file);
    world.pod(&mut command, endpoint.port);
    let agent = Agent::start(command).await;
    let tokens_of_one = || {
        let auths = |commands: Vec<Vec<String>>| -> Vec<String> {
            commands.into_iter().filter(|command| command[0] == "AUTH").filter_map(|mut auth| auth.pop()).collect()
        };
        server.connections().into_iter().map(|connection| auths(connection.commands)).find(|auths| auths.len() > 1)
    };
    let sent = async {
        loop {
            if let Some(tokens) = tokens_of_one() {
                return tokens;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let sent = tokio::time::timeout(Duration::from_secs(60), sent).await.expect("the next token is sent");
    assert!(sent == [first, second], "the two tokens, each once");
    agent.page_with("/metrics", "redpath_held_connection_losses_total{target=\"one\"} 0").await;
    all_is_quiet(&agent).await;
}
