//! Users of the web configuration file: who is let in, and what is told to whom.

use std::io::Write;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::client::{Answer, ask, get};
use super::harness::{Directory, Setup, eventually, record};

fn users(entries: &[(&str, &str)]) -> String {
    let mut text = "basic_auth_users:\n".to_owned();
    for (user, password) in entries {
        text += &format!("  {user}: {}\n", bcrypt::hash(password, 4).expect("a hash"));
    }
    text
}

fn basic(user: &str, password: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("{user}:{password}")))
}

/// Kubelet has no password: health and readiness are open.
#[tokio::test]
async fn users_required_except_for_health() {
    let directory = Directory::new();
    let server = Setup::with_web_config(&directory, &users(&[("anna", "right")])).start().await;
    for path in ["/-/healthy", "/-/ready"] {
        assert_eq!(get(server.address, path).await.status, 200, "{path}");
    }
    let paths = [
        "/",
        "/metrics",
        "/probe?target=sessions",
        "/api/v1/records",
        "/codes",
        "/codes/dns_timeout",
        "/nothing",
        "/-/ready/",
        "/-/healthy/../../metrics",
    ];
    for path in paths {
        let refused = get(server.address, path).await;
        assert_eq!(refused.status, 401, "{path}");
        assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"redpath\", charset=\"UTF-8\""), "{path}");
        assert_eq!(refused.text(), "unauthorized\n", "{path}");
        assert_ne!(ask(server.address, "GET", path, &basic("anna", "right")).await.status, 401, "{path}");
    }
    assert_eq!(ask(server.address, "POST", "/-/reload", "").await.status, 401);
    assert_eq!(ask(server.address, "POST", "/-/reload", &basic("anna", "right")).await.status, 200);
}

/// A malformed header gets that answer, too.
#[tokio::test]
async fn users_wrong_or_unknown_same_answer() {
    let directory = Directory::new();
    let server = Setup::with_web_config(&directory, &users(&[("anna", "right")])).start().await;
    let told = |answer: &Answer| {
        let head: Vec<&str> = answer.head.lines().filter(|line| !line.starts_with("date:")).collect();
        (head.join("\n"), answer.text().to_owned())
    };
    let nothing_said = told(&get(server.address, "/metrics").await);
    for header in [
        basic("anna", "wrong"),
        basic("anna", ""),
        basic("ben", "right"),
        basic("", ""),
        "Authorization: Basic ???\r\n".to_owned(),
        "Authorization: Basic\r\n".to_owned(),
        "Authorization: Bearer abc\r\n".to_owned(),
        "Authorization: \r\n".to_owned(),
        format!("Authorization: Basic {}\r\n", STANDARD.encode("no colon")),
    ] {
        let refused = ask(server.address, "GET", "/metrics", &header).await;
        assert_eq!(refused.status, 401, "{header}");
        assert_eq!(told(&refused), nothing_said, "{header}");
    }
}

/// The shortest of some, which is what else the machine does left out.
async fn shortest(server: &super::harness::Server, header: &str) -> std::time::Duration {
    let mut shortest = std::time::Duration::MAX;
    for _ in 0..5 {
        let begun = std::time::Instant::now();
        assert_eq!(ask(server.address, "GET", "/metrics", header).await.status, 401);
        shortest = shortest.min(begun.elapsed());
    }
    shortest
}

#[tokio::test]
async fn users_unknown_takes_equal_time() {
    let directory = Directory::new();
    let hash = bcrypt::hash("right", 8).expect("a hash");
    let server = Setup::with_web_config(&directory, &format!("basic_auth_users: {{anna: {hash}}}")).start().await;
    let known = shortest(&server, &basic("anna", "wrong")).await;
    let unknown = shortest(&server, &basic("ben", "wrong")).await;
    let without = shortest(&server, "").await;
    assert!(unknown > known / 2 && unknown < known * 2, "{known:?}, and {unknown:?} for a user that is none");
    assert!(known > without * 2, "the hash was computed: {known:?}, and {without:?} without a password");
}

#[tokio::test]
async fn users_changed_file_is_reloaded() {
    let directory = Directory::new();
    let server = Setup::with_web_config(&directory, &users(&[("anna", "old")])).start().await;
    assert_eq!(ask(server.address, "GET", "/metrics", &basic("anna", "old")).await.status, 200);
    directory.write("web.yaml", &users(&[("anna", "new")]));
    eventually("the new password is right", || async {
        ask(server.address, "GET", "/metrics", &basic("anna", "new")).await.status == 200
    })
    .await;
    assert_eq!(ask(server.address, "GET", "/metrics", &basic("anna", "old")).await.status, 401);
}

#[tokio::test]
async fn headers_configured_outrank_defaults() {
    let directory = Directory::new();
    let text =
        "http_server_config: {headers: {X-Frame-Options: deny, Content-Security-Policy: \"default-src 'self'\"}}";
    let server = Setup::with_web_config(&directory, text).start().await;
    let page = get(server.address, "/").await;
    assert_eq!(page.header("x-frame-options"), Some("deny"));
    assert_eq!(page.header("content-security-policy"), Some("default-src 'self'"));
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("unpoisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn users_password_is_nowhere_visible() {
    const CANARY: &str = "canary-7f3a9";
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let directory = Directory::new();
    let server = Setup::with_web_config(&directory, &users(&[("anna", CANARY)])).start().await;
    server.history.observe(Arc::new(record("sessions", "x")));
    let encoded = STANDARD.encode(format!("anna:{CANARY}"));
    let mut seen = String::new();
    for (user, password) in [("anna", CANARY), ("ben", CANARY), (CANARY, "x")] {
        for (method, path) in [
            ("GET", "/"),
            ("GET", "/metrics"),
            ("GET", "/probe?target=sessions"),
            ("GET", "/probe?target=x"),
            ("GET", "/api/v1/records"),
            ("GET", "/nothing"),
            ("DELETE", "/metrics"),
            ("POST", "/-/reload"),
        ] {
            let answer = ask(server.address, method, path, &basic(user, password)).await;
            seen += &format!("{}\n{}\n", answer.head, answer.text());
        }
    }
    seen += &String::from_utf8(log.0.lock().expect("unpoisoned").clone()).expect("UTF-8");
    assert!(!seen.contains(CANARY) && !seen.contains(&encoded) && !seen.contains("$2b$"), "{seen}");

    for text in [
        format!("basic_auth_users: {{anna: {CANARY}}}"),
        format!("basic_auth_users: {{anna: \"{CANARY}"),
        format!("x: *{CANARY}"),
    ] {
        let file = directory.write("bad.yaml", &text);
        let error = redpath::server::WebConfigFile::load(&file).err().expect("refused").to_string();
        assert!(!error.contains(CANARY) && error.contains("bad.yaml"), "{error}");
    }
}
