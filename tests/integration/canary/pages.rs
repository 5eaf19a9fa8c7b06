//! Every route of the agent, by every method, in every format, to whoever asks; and what the log says of it.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{FILE, MISPLACED, USER, World};
use crate::support::agent::{Agent, PATIENCE};

/// The routes, as the router has them.
fn routes() -> BTreeSet<String> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/server/routes.rs");
    let source = std::fs::read_to_string(source).expect("the router");
    source.split(".route(\"").skip(1).filter_map(|rest| Some(rest.split('"').next()?.to_owned())).collect()
}

/// Every address under a route that answers differently. A route that is not here has to be put here.
fn addresses(route: &str) -> Vec<String> {
    let targets = ["sessions", "of-env", "wrong", "echoed", "withheld", "none"];
    let with_target = |path: &str| targets.map(|target| format!("{path}?target={target}"));
    match route {
        "/" => [&with_target("/")[..], &["/".into(), "/?refresh=off".into()]].concat(),
        "/probe" => {
            [&with_target("/probe")[..], &["/probe".into(), format!("/probe?target=u:{}@h", "Kz6Vq3")]].concat()
        }
        "/api/v1/records" => [&with_target("/api/v1/records")[..], &["/api/v1/records".into()]].concat(),
        "/codes/{code}" => vec!["/codes/auth_rejected".into(), "/codes/none".into()],
        "/metrics" | "/codes" | "/-/healthy" | "/-/ready" | "/-/reload" => vec![route.to_owned()],
        new => panic!("{new} is a new route: put it here, with every address under it that answers differently"),
    }
}

async fn ask(address: &str, method: &str, path: &str, headers: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let request = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut reply = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut reply)).await.expect("a reply").expect("it can be read");
    reply
}

/// `user:password` as a header.
fn basic(user: &str, password: &str) -> String {
    format!("authorization: Basic {}\r\n", STANDARD.encode(format!("{user}:{password}")))
}

async fn started(world: &World, config: &std::path::Path, web: &std::path::Path) -> Agent {
    let mut command = world.redpath();
    command.arg("agent").arg("--config").arg(config).arg("--web-config-file").arg(web);
    command.args(["--log-format", "json", "--log-level", "debug"]);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
    Agent::start(command).await
}

/// Ends it, and looks at its log.
async fn and_its_log(mut agent: Agent, search: &super::Search) {
    agent.signal("TERM").await;
    agent.next_line("agent stopped").await;
    let log: Vec<String> = agent.lines.iter().map(ToString::to_string).collect();
    search.clears("the log", log.join("\n").as_bytes());
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn pages_and_their_log_have_no_secret() {
    let world = World::new("canary-pages");
    let search = world.search();
    let config = world.directory.file("agent.yaml", &world.configuration(""));
    let web = world.directory.file("web.yaml", &format!("basic_auth_users:\n  anna: {}\n", world.hash));
    let mut agent = started(&world, &config, &web).await;
    let anna = basic("anna", USER);
    let probed = |page: &str| {
        let verdict = |target: &str, status: &str| {
            page.contains(&format!("redpath_verdict{{target=\"{target}\",status=\"{status}\"}} 1"))
        };
        verdict("sessions", "pass")
            && verdict("of-env", "pass")
            && verdict("wrong", "fail")
            && verdict("echoed", "fail")
            && verdict("withheld", "fail")
    };
    let mut looks = tokio::time::interval(std::time::Duration::from_millis(50));
    tokio::time::timeout(PATIENCE, async {
        while !probed(&String::from_utf8_lossy(&ask(&agent.listen, "GET", "/metrics", &anna).await)) {
            looks.tick().await;
        }
    })
    .await
    .expect("every target is probed");

    let routes = routes();
    assert!(routes.len() >= 9, "{routes:?}");
    let (mut seen, mut bytes) = (0, 0);
    let mut shown = async |what: &str, reply: Vec<u8>| {
        assert!(!reply.is_empty(), "{what} answers nothing");
        search.clears(what, &reply);
        (seen, bytes) = (seen + 1, bytes + reply.len());
        String::from_utf8_lossy(&reply).into_owned()
    };
    for route in &routes {
        for path in addresses(route) {
            for method in ["GET", "HEAD", "POST", "DELETE"] {
                for accept in
                    ["", "accept: application/openmetrics-text; version=1.0.0\r\n", "accept: application/json\r\n"]
                {
                    let what = format!("{method} {path} {accept}");
                    shown(&what, ask(&agent.listen, method, &path, &format!("{anna}{accept}")).await).await;
                }
            }
            for (user, password) in [("anna", FILE), ("ben", USER), (USER, "x"), ("anna", "")] {
                shown(&path, ask(&agent.listen, "GET", &path, &basic(user, password)).await).await;
            }
        }
    }
    let unknown = format!("/{}", MISPLACED.replace('/', "%2F"));
    shown("a page that is none", ask(&agent.listen, "GET", &unknown, &anna).await).await;
    shown("no HTTP at all", ask(&agent.listen, "GET", &format!("/ {MISPLACED}"), &anna).await).await;

    // A configuration with a secret where none belongs, taken up by nobody and told to everybody.
    let misplaced = world.configuration("") + &format!("    password: \"{MISPLACED}\"\n");
    world.directory.file("agent.yaml", &misplaced);
    let refused = shown("the refused reload", ask(&agent.listen, "POST", "/-/reload", &anna).await).await;
    assert!(refused.starts_with("HTTP/1.1 500"), "{refused}");
    agent.next_line("reload failed; the old configuration stays in force").await;
    for path in ["/", "/metrics"] {
        shown("after the refused reload", ask(&agent.listen, "GET", path, &anna).await).await;
    }
    assert!(seen > 200 && bytes > 500_000, "{seen} answers, {bytes} bytes");
    and_its_log(agent, &search).await;
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn tls_key_is_never_served_or_logged() {
    let world = World::new("canary-key");
    let search = world.search();
    let config = world.directory.file("agent.yaml", &world.configuration(""));
    let (certificate, key) = (world.key.certificate.display().to_string(), world.key.key.display().to_string());
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("its mode");
    let tls = format!("tls_server_config: {{cert_file: {certificate}, key_file: {key}}}\n");
    let web = world.directory.file("web.yaml", &tls);
    let mut agent = started(&world, &config, &web).await;
    let listen = agent.listen.clone();
    let warned = |agent: &Agent| {
        let of_key =
            |line: &&serde_json::Value| line["message"] == "a private key can be read by every user of this machine";
        agent
            .lines
            .iter()
            .filter(of_key)
            .map(|line| line["fix_command"].as_str().map(str::to_owned))
            .collect::<Vec<_>>()
    };
    assert_eq!(warned(&agent), [Some(format!("chmod o-r {key}"))]);
    // Plain HTTP where TLS is spoken, a hello that is none, and nothing.
    for says in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0], b""] {
        let mut stream = TcpStream::connect(&agent.listen).await.expect("it listens");
        stream.write_all(says).await.expect("sent");
        stream.shutdown().await.expect("ended");
        let mut reply = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut reply)).await.expect("closed");
        search.clears("an answer without TLS", &reply);
    }
    // Files that are exchanged, or are none.
    for broken in [
        format!("tls_server_config: {{cert_file: {key}, key_file: {key}}}\n"),
        format!("tls_server_config: {{cert_file: {certificate}, key_file: {certificate}}}\n"),
        format!("tls_server_config: {{cert_file: {certificate}, key: \"{MISPLACED}\"}}\n"),
        format!("basic_auth_users: {{anna: \"{MISPLACED}\"}}\n"),
        format!("basic_auth_users: {{anna: \"{MISPLACED}\n"),
    ] {
        let file = world.directory.file("broken.yaml", &broken);
        let mut command = world.redpath();
        command.arg("agent").arg("--config").arg(&config).arg("--web-config-file").arg(file);
        let output = command.output().await.expect("redpath runs");
        assert_eq!(output.status.code(), Some(2), "{broken}");
        search.clears(&broken.replace(MISPLACED, "…"), &[output.stdout, output.stderr].concat());
        // And while it runs.
        world.directory.file("web.yaml", &broken);
        let mut looks = tokio::time::interval(std::time::Duration::from_millis(200));
        let kept = async {
            loop {
                tokio::select! {
                    _ = looks.tick() => drop(TcpStream::connect(&listen).await),
                    _ = agent.next_line("invalid web configuration; the previous one stays in force") => break,
                }
            }
        };
        tokio::time::timeout(PATIENCE, kept).await.expect("it is refused");
        world.directory.file("web.yaml", &tls);
    }
    and_its_log(agent, &search).await;
}
