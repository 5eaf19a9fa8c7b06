//! Entra ID: tokens from stand-ins of their sources, given to a real Redis whose ACL user has the token for a
//! password; what is said where there is no token; and that no token is ever in anything that leaves the program.

mod refresh;

use std::path::PathBuf;
use std::process::Output;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use redpath::cli::OutputFormat;
use serde_json::Value;
use tokio::process::Command;

use crate::canary::search::Search;
use crate::support::certificates::{Certificates, Directory, Leaf};
use crate::support::entra::{CANARY, Endpoint, OBJECT_ID, Reply, az, now, token};
use crate::support::namespace::Namespace;
use crate::support::redis::Redis;

/// A real Redis with TLS on `localhost`, and what a probe of it needs.
struct World {
    certificates: Certificates,
    redis: Redis,
    folder: Directory,
}

impl World {
    fn new() -> Self {
        let certificates = Certificates::new();
        let server = certificates.leaf(Leaf::Localhost);
        let users = ["--user", "default", "off", "--user", "admin", "on", ">admin", "~*", "+@all"];
        let redis = Redis::tls(&certificates, &server, &users);
        let world = Self { certificates, redis, folder: Directory::new("entra") };
        std::fs::write(world.assertion_file(), world.assertion()).unwrap();
        world
    }

    /// Lets the identity in with these tokens, and no others.
    fn lets_in(&self, tokens: &[&str]) {
        let passwords: Vec<String> = tokens.iter().map(|token| format!(">{token}")).collect();
        let admin = ["--user", "admin", "--pass", "admin", "--no-auth-warning"];
        let mut command = [&admin[..], &["ACL", "SETUSER", OBJECT_ID, "on", "resetpass", "~*", "+@all"]].concat();
        command.extend(passwords.iter().map(String::as_str));
        assert_eq!(self.redis.cli(&command).trim(), "OK");
    }

    fn assertion(&self) -> String {
        format!("eyJhbGciOiJSUzI1NiJ9.{}.assertion{CANARY}", CANARY.repeat(6))
    }

    fn assertion_file(&self) -> PathBuf {
        self.folder.path().join("azure-identity-token")
    }

    async fn endpoint(&self, replies: Vec<Reply>) -> Endpoint {
        Endpoint::tls(&self.certificates.leaf(Leaf::Localhost), replies).await
    }

    /// What the environment has in a pod with workload identity.
    fn pod(&self, command: &mut Command, port: u16) {
        command
            .env("AZURE_TENANT_ID", "11111111-aaaa-bbbb-cccc-222222222222")
            .env("AZURE_CLIENT_ID", "33333333-aaaa-bbbb-cccc-444444444444")
            .env("AZURE_FEDERATED_TOKEN_FILE", self.assertion_file())
            .env("AZURE_AUTHORITY_HOST", format!("https://localhost:{port}/"))
            .env("SSL_CERT_FILE", self.certificates.ca_file());
    }

    fn command(&self, flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_redpath"));
        self.check_flags(&mut command, flags);
        command
    }

    fn check_flags(&self, command: &mut Command, flags: &[&str]) {
        let target = format!("localhost:{}", self.redis.port);
        command
            .args(["check", &target, "--views", "libc", "--expect", "any", "--auth", "entra"])
            .args((!flags.contains(&"--timeout")).then_some(["--timeout", "20s"]).into_iter().flatten())
            .arg("--ca-file")
            .arg(self.certificates.ca_file())
            .args(flags)
            .kill_on_drop(true);
        for variable in ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE", "IDENTITY_ENDPOINT"] {
            command.env_remove(variable);
        }
    }

    /// A check in a pod, whose token endpoint is `endpoint`.
    async fn check(&self, endpoint: &Endpoint, flags: &[&str]) -> Output {
        let mut command = self.command(flags);
        self.pod(&mut command, endpoint.port);
        run(&mut command).await
    }

    async fn checked(&self, endpoint: &Endpoint) -> Value {
        record(&self.check(endpoint, &["--output", "ndjson"]).await)
    }
}

async fn run(command: &mut Command) -> Output {
    let output = command.output().await.expect("redpath runs");
    keeps_quiet(&output.stdout);
    keeps_quiet(&output.stderr);
    output
}

/// No piece of a token that could be told from chance.
fn keeps_quiet(text: &[u8]) {
    Search::for_all([("the token", CANARY)]).clears("redpath", text);
    let text = String::from_utf8_lossy(text);
    assert!(!text.contains("eyJ"), "a token is shown: {text}");
}

fn record(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)))
}

fn finding<'a>(record: &'a Value, code: &str) -> &'a Value {
    let findings = record["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["code"] == code).unwrap_or_else(|| panic!("no {code}: {findings:#?}"))
}

/// The token phase failed with this in its words, and Redis is blamed for nothing: the path is proven without.
fn is_a_token_failure(record: &Value, says: &str) {
    assert_eq!(record["verdict"]["cause"], "credential_unavailable", "{record:#}");
    let found = finding(record, "credential_unavailable");
    assert_eq!((found["phase"].as_str(), found["severity"].as_str()), (Some("token"), Some("error")));
    assert!(found["summary"].as_str().unwrap().contains(says), "{found:#}");
    assert!(!found["hint"].as_str().unwrap().is_empty());
    assert_eq!(record["phases"]["token"]["outcome"], "failed");
    assert_eq!(record["phases"]["auth"]["outcome"], "skipped");
    assert_eq!(record["phases"]["auth"]["reason"], "credential_unavailable");
    assert_eq!(record["connection"]["ping"]["reply"], "noauth", "the probe went on keyless");
    let others = record["findings"].as_array().unwrap().iter().filter(|other| *other != found);
    assert!(others.clone().all(|other| other["severity"] == "info"), "Redis is blamed: {record:#}");
    assert!(others.clone().any(|other| other["code"] == "auth_enforced"), "{record:#}");
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn entra_workload_identity_succeeds() {
    let world = World::new();
    let good = token(1, 0, 3600);
    world.lets_in(&[&good]);
    let endpoint = world.endpoint(vec![Reply::token(&good, 3600)]).await;
    let record = world.checked(&endpoint).await;
    assert_eq!(record["verdict"]["status"], "pass", "{record:#}");
    assert_eq!(record["connection"]["ping"]["reply"], "pong");
    assert_eq!(record["connection"]["auth"]["method"], "entra");
    assert_eq!(record["connection"]["auth"]["username"], OBJECT_ID);
    assert_eq!(record["token"]["object_id"], OBJECT_ID);
    assert!(record["phases"]["token"]["took_seconds"].as_f64().unwrap() > 0.0);
    let requests = endpoint.requests();
    assert_eq!(requests.len(), 1, "one token serves the probe: {requests:?}");
    let request = &requests[0];
    assert!(request.starts_with("POST /11111111-aaaa-bbbb-cccc-222222222222/oauth2/v2.0/token HTTP/1.1"), "{request}");
    for part in ["scope=https%3A%2F%2Fredis.azure.com%2F.default", "client_id=33333333-aaaa", &world.assertion()] {
        assert!(request.contains(part), "{part}: {request}");
    }
    for output in OutputFormat::value_variants() {
        let name = output.to_possible_value().expect("a name");
        let output = world.check(&endpoint, &["--output", name.get_name()]).await;
        assert_eq!(output.status.code(), Some(0));
    }
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn entra_refusal_has_cause_and_command() {
    let world = World::new();
    let endpoint = world.endpoint(vec![]).await;
    let description = |code: &str| format!("{code}: it is so. Trace ID: 1-2 Correlation ID: 3 Timestamp: now");
    for (status, error, text, says, command) in [
        (
            400,
            "unauthorized_client",
            description("AADSTS700016"),
            "AADSTS700016: it is so",
            "az ad sp show --id 33333333",
        ),
        (400, "invalid_request", description("AADSTS700213"), "AADSTS700213", "az identity federated-credential list"),
        (401, "invalid_client", description("AADSTS700024"), "AADSTS700024", "az identity federated-credential list"),
        (400, "invalid_request", description("AADSTS90002"), "AADSTS90002", "az account show"),
        (503, "temporarily_unavailable", "later".to_owned(), "HTTP 503, temporarily_unavailable", ""),
    ] {
        endpoint.now_answers(vec![Reply::refusal(status, error, &text)]);
        let record = world.checked(&endpoint).await;
        is_a_token_failure(&record, says);
        let found = finding(&record, "credential_unavailable");
        assert!(!found["summary"].as_str().unwrap().contains("Trace"), "{found:#}");
        assert!(command.is_empty() || found["commands"].to_string().contains(command), "{found:#}");
    }
    // One that repeats what it was sent, whole, in pieces, and where nobody looks.
    let assertion = world.assertion();
    for reply in [
        Reply::refusal(400, "invalid_client", &format!("bad assertion {assertion}")),
        Reply::refusal(400, &assertion, &format!("{}…", &assertion[30..90])),
        Reply::Answer(400, format!("<html>{assertion}")),
        Reply::Answer(200, format!(r#"{{"access_token":["{assertion}"],"token_type":"Bearer"}}"#)),
        Reply::Answer(200, format!(r#"{{"access_token":"{assertion} {assertion}","expires_in":3599}}"#)),
        Reply::Answer(200, format!(r#"{{"access_token":"{assertion}","expires_in":"{assertion}"}}"#)),
        Reply::Raw(format!("{assertion}\r\n\r\n").into_bytes()),
    ] {
        endpoint.now_answers(vec![reply]);
        is_a_token_failure(&world.checked(&endpoint).await, "localhost");
    }
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn entra_invalid_endpoint_is_refused() {
    let world = World::new();
    let endpoint = world.endpoint(vec![]).await;
    let elsewhere = world.endpoint(vec![Reply::token(&token(1, 0, 3600), 3600)]).await;
    let redirect =
        format!("HTTP/1.1 302 X\r\nlocation: https://localhost:{}/\r\ncontent-length: 0\r\n\r\n", elsewhere.port);
    let huge = format!("HTTP/1.1 200 X\r\ncontent-length: 9000000\r\n\r\n{}", "x".repeat(1_100_000));
    for (reply, says) in [
        (Reply::Raw(redirect.into_bytes()), "a redirect, which is never followed"),
        (Reply::Raw(huge.into_bytes()), "longer than 1 MiB"),
        (Reply::Answer(200, "{\"access_token\":".into()), "it is not JSON"),
        (Reply::Answer(200, "{}".into()), "it has no access_token"),
        (Reply::Answer(200, r#"{"access_token":""}"#.into()), "is empty"),
        (Reply::token("opaque", 3600), "names no object ID"),
        (Reply::Raw(b"SSH-2.0-x\r\n".to_vec()), "not HTTP"),
    ] {
        endpoint.now_answers(vec![reply]);
        is_a_token_failure(&world.checked(&endpoint).await, says);
    }
    assert!(elsewhere.requests().is_empty());
    // An issuer that is not trusted is not sent the assertion.
    let untrusted = Endpoint::tls(&world.certificates.leaf(Leaf::Untrusted), vec![Reply::Hang]).await;
    is_a_token_failure(&world.checked(&untrusted).await, "does not get through TLS");
    assert!(untrusted.requests().is_empty());
    // Over HTTP neither.
    let mut command = world.command(&["--output", "ndjson"]);
    world.pod(&mut command, endpoint.port);
    command.env("AZURE_AUTHORITY_HOST", format!("http://localhost:{}", endpoint.port));
    is_a_token_failure(&record(&run(&mut command).await), "AZURE_AUTHORITY_HOST is not an https:// URL");
}

/// Nor does an endpoint that is down.
#[cfg(feature = "system-tests")]
#[tokio::test]
async fn entra_hung_endpoint_delays_no_phase() {
    let world = World::new();
    let hanging = world.endpoint(vec![Reply::Hang]).await;
    let began = Instant::now();
    let output = world.check(&hanging, &["--output", "ndjson", "--timeout", "3s"]).await;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let record_of_hang = record(&output);
    is_a_token_failure(&record_of_hang, "still waiting for localhost");
    let waited = record_of_hang["phases"]["token"]["took_seconds"].as_f64().unwrap();
    assert!((2.3..2.9).contains(&waited), "four fifths of the limit: {waited}");
    let port = crate::support::redis::free_port();
    let mut command = world.command(&["--output", "ndjson"]);
    world.pod(&mut command, port);
    is_a_token_failure(&record(&run(&mut command).await), "connection refused");
    let mut command = world.command(&["--output", "ndjson"]);
    world.pod(&mut command, port);
    command.env("AZURE_AUTHORITY_HOST", "https://no-such-label..invalid/");
    is_a_token_failure(&record(&run(&mut command).await), "");
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn entra_missing_environment_is_named() {
    let world = World::new();
    for variable in ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE"] {
        let mut command = world.command(&["--output", "ndjson", "--token-source", "workload_identity"]);
        world.pod(&mut command, 1);
        command.env_remove(variable);
        is_a_token_failure(
            &record(&run(&mut command).await),
            &format!("the environment variable {variable} is not set"),
        );
    }
    let mut command = world.command(&["--output", "ndjson"]);
    world.pod(&mut command, 1);
    command.env("AZURE_FEDERATED_TOKEN_FILE", "/nonexistent/token");
    is_a_token_failure(
        &record(&run(&mut command).await),
        "service account token file /nonexistent/token: there is no such file",
    );
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn entra_clock_skew_is_noted() {
    let world = World::new();
    for (age, life, says) in [(7_200, 3_600, "has expired by this machine's clock"), (-3_600, 7_200, "in the future")] {
        let odd = token(1, age, life);
        world.lets_in(&[&odd]);
        let endpoint = world.endpoint(vec![Reply::token(&odd, life)]).await;
        let record = world.checked(&endpoint).await;
        assert_eq!(record["verdict"]["status"], "warn", "{record:#}");
        assert_eq!(record["connection"]["ping"]["reply"], "pong");
        let found = finding(&record, "credential_unavailable");
        assert_eq!(found["phase"], "token");
        assert!(found["summary"].as_str().unwrap().contains(says), "{found:#}");
    }
}

/// The token itself was fetched: the phase that failed is auth.
#[cfg(feature = "system-tests")]
#[tokio::test]
async fn entra_token_rejected_by_redis_is_auth() {
    let world = World::new();
    let endpoint = world.endpoint(vec![Reply::token(&token(1, 0, 3600), 3600)]).await;
    let record = world.checked(&endpoint).await;
    assert_eq!(record["verdict"]["cause"], "auth_rejected", "{record:#}");
    assert_eq!(record["phases"]["token"]["outcome"], "done");
    let found = finding(&record, "auth_rejected");
    assert!(found["detail"].as_str().unwrap().contains("no access policy"), "{found:#}");
    assert_eq!(endpoint.requests().len(), 1, "a new token is not fetched anew");
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn entra_token_needs_tls_and_expected_address() {
    let world = World::new();
    let good = token(1, 0, 3600);
    world.lets_in(&[&good]);
    let endpoint = world.endpoint(vec![Reply::token(&good, 3600)]).await;
    let record_of = |output: Output| record(&output);
    let elsewhere = record_of(world.check(&endpoint, &["--output", "ndjson", "--endpoint", "10.60.4.5"]).await);
    assert_eq!(elsewhere["phases"]["auth"]["reason"], "withheld_unexpected_address", "{elsewhere:#}");
    let plain = Redis::plain(&["--requirepass", "x"]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_redpath"));
    command
        .args(["check", &format!("localhost:{}", plain.port), "--plaintext", "--views", "libc", "--expect", "any"])
        .args(["--auth", "entra", "--output", "ndjson", "--timeout", "20s"]);
    world.pod(&mut command, endpoint.port);
    let plain_record = record(&run(&mut command).await);
    assert_eq!(plain_record["phases"]["auth"]["reason"], "plaintext", "{plain_record:#}");
    assert!(!plain.cli(&["ACL", "LOG"]).contains(OBJECT_ID));
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn entra_az_login_identity_succeeds() {
    let world = World::new();
    let good = token(1, 0, 3600);
    world.lets_in(&[&good]);
    let answer = format!(r#"{{"accessToken":"{good}","expires_on":{},"tokenType":"Bearer"}}"#, now() + 3600);
    let path = |bin: PathBuf| format!("{}:/usr/bin:/bin", bin.display());
    let with_az = |script: &str| {
        let mut command = world.command(&["--output", "ndjson"]);
        command.env("PATH", path(az(world.folder.path(), script)));
        command
    };
    let asked = world.folder.path().join("asked");
    let mut command = with_az(&format!("echo \"$@\" > {}; echo '{answer}'", asked.display()));
    let found = record(&run(&mut command).await);
    assert_eq!(found["verdict"]["status"], "pass", "{found:#}");
    assert_eq!(found["token"]["source"], "azure_cli");
    let asked = std::fs::read_to_string(asked).unwrap();
    assert_eq!(asked.trim(), "account get-access-token -o json --scope https://redis.azure.com/.default");
    for (script, says) in [
        (
            "echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1",
            "az is not logged in: Please run 'az login'",
        ),
        ("echo 'ERROR: the extension broke' >&2; exit 3", "az fails: the extension broke"),
        ("echo not json", "it is not JSON"),
        (&format!("echo 'ERROR: {good}' >&2; exit 1"), "az fails: (withheld)"),
        ("yes | head -c 2000000", "more than 1 MiB"),
    ] {
        is_a_token_failure(&record(&run(&mut with_az(script)).await), says);
    }
    let nowhere = world.folder.path().join("empty");
    std::fs::create_dir_all(&nowhere).unwrap();
    let mut command = world.command(&["--output", "ndjson"]);
    command.env("PATH", &nowhere);
    is_a_token_failure(&record(&run(&mut command).await), "az is not found on PATH");
}

/// `az` is a script around Python: when the probe ends, neither is left behind.
#[cfg(feature = "system-tests")]
#[tokio::test]
async fn entra_hung_az_is_killed_with_children() {
    let world = World::new();
    let pids = world.folder.path().join("pids");
    let script = format!("sleep 600 & echo $$ $! > {}; wait", pids.display());
    let mut command = world.command(&["--output", "ndjson", "--timeout", "2s"]);
    command.env("PATH", format!("{}:/usr/bin:/bin", az(world.folder.path(), &script).display()));
    is_a_token_failure(&record(&run(&mut command).await), "still waiting for az");
    let pids = std::fs::read_to_string(pids).unwrap();
    assert_eq!(pids.split_whitespace().count(), 2, "{pids}");
    for pid in pids.split_whitespace() {
        let gone = async {
            // A process that has ended and was not waited for yet is gone, too.
            let runs = || std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
            while runs() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(20), gone).await.is_ok(), "{pid} is left behind");
    }
}

#[cfg(feature = "system-tests")]
#[tokio::test]
async fn entra_vm_uses_metadata_service() {
    let world = World::new();
    let good = token(1, 0, 3600);
    let mut namespace = Namespace::new(&["169.254.169.254/32"]);
    let socket = world.folder.path().join("metadata.sock");
    let service = Endpoint::unix(&socket, vec![Reply::metadata(&good, now() + 3600)]);
    let listen = "TCP-LISTEN:80,bind=169.254.169.254,reuseaddr,fork";
    let behind = format!("UNIX-CONNECT:{}", socket.display());
    // The Redis of the namespace: the token of the right identity is the password.
    let server = world.certificates.leaf(Leaf::Localhost);
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    namespace.start(
        "redis-server",
        &[
            "--port",
            "0",
            "--tls-port",
            "6380",
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--user",
            "default",
            "off",
            "--user",
            OBJECT_ID,
            "on",
            &format!(">{good}"),
            "+@all",
            "--tls-auth-clients",
            "no",
            "--tls-cert-file",
            &path(&server.certificate),
            "--tls-key-file",
            &path(&server.key),
            "--tls-ca-cert-file",
            &path(&world.certificates.ca_file()),
        ],
        "127.0.0.1:6380".parse().unwrap(),
    );
    let check = |flags: &[&str]| {
        let mut command = Command::from(namespace.command(env!("CARGO_BIN_EXE_redpath")));
        command.args(["check", "localhost:6380", "--views", "libc", "--expect", "any", "--auth", "entra"]);
        command.args(["--token-source", "managed_identity", "--output", "ndjson", "--timeout", "10s", "--ca-file"]);
        // A proxy is never asked: not for this.
        command.arg(world.certificates.ca_file()).args(flags).env("http_proxy", "http://127.0.0.1:9");
        command
    };
    is_a_token_failure(&record(&run(&mut check(&[])).await), "169.254.169.254 cannot be connected to");
    namespace.start("socat", &[listen, &behind], "169.254.169.254:80".parse().unwrap());
    let check = |flags: &[&str]| {
        let mut command = Command::from(namespace.command(env!("CARGO_BIN_EXE_redpath")));
        command.args(["check", "localhost:6380", "--views", "libc", "--expect", "any", "--auth", "entra"]);
        command.args(["--token-source", "managed_identity", "--output", "ndjson", "--timeout", "10s", "--ca-file"]);
        command.arg(world.certificates.ca_file()).args(flags).env("http_proxy", "http://127.0.0.1:9");
        command
    };
    let found = record(&run(&mut check(&["--client-id", "99999999-aaaa"])).await);
    assert_eq!(found["verdict"]["status"], "pass", "{found:#}");
    let request = service.requests().pop().unwrap();
    assert!(request.starts_with("GET /metadata/identity/oauth2/token?api-version="), "{request}");
    for part in ["resource=https%3A%2F%2Fredis.azure.com", "client_id=99999999-aaaa", "metadata: true"] {
        assert!(request.contains(part), "{part}: {request}");
    }
    service.now_answers(vec![Reply::refusal(400, "invalid_request", "Identity not found")]);
    let refused = record(&run(&mut check(&[])).await);
    is_a_token_failure(&refused, "169.254.169.254 refuses (HTTP 400, invalid_request): Identity not found");
    assert!(finding(&refused, "credential_unavailable")["commands"].to_string().contains("az vm identity show"));
    let asked = service.requests().len();
    service.now_answers(vec![Reply::refusal(429, "too_many", "slow down")]);
    is_a_token_failure(&record(&run(&mut check(&[])).await), "HTTP 429");
    assert_eq!(service.requests().len(), asked + 1, "one request per token, and no retry within a probe");
}
