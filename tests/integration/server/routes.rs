//! Every route and method, and what the answers carry.

use std::io::Read;
use std::sync::Arc;

use redpath::record::Record;
use redpath::server::Limits;

use super::client::{ask, get};
use super::harness::{HOSTILE, Setup, eventually, record};

#[tokio::test]
async fn routes_accept_only_their_methods() {
    let server = Setup::default().start().await;
    for (path, status) in [
        ("/", 200),
        ("/metrics", 200),
        ("/probe?target=sessions", 200),
        ("/api/v1/records", 200),
        ("/codes", 200),
        ("/codes/dns_timeout", 200),
        ("/-/healthy", 200),
        ("/-/ready", 200),
        ("/nothing", 404),
        ("/codes/", 404),
        ("/codes/nothing", 404),
        ("/codes/%3Cscript%3E", 404),
        ("/codes/../metrics", 404),
        ("/metrics/", 404),
        ("//metrics", 404),
        ("/../metrics", 404),
    ] {
        let whole = get(server.address, path).await;
        assert_eq!(whole.status, status, "GET {path}");
        let head = ask(server.address, "HEAD", path, "").await;
        assert_eq!((head.status, head.body.len()), (status, 0), "HEAD {path}");
        if status == 200 {
            assert_eq!(head.header("content-type"), whole.header("content-type"), "HEAD {path}");
            for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BREW"] {
                let refused = ask(server.address, method, path, "").await;
                assert_eq!(refused.status, 405, "{method} {path}");
                assert_eq!(refused.header("allow"), Some("GET,HEAD"), "{method} {path}");
            }
        }
        for (name, value) in [("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer")] {
            assert_eq!(whole.header(name), Some(value), "{path}");
        }
        assert!(whole.header("content-security-policy").expect("a policy").starts_with("default-src 'none'"));
    }
    assert_eq!(ask(server.address, "POST", "/-/reload", "").await.status, 200);
    for method in ["GET", "HEAD", "PUT", "DELETE"] {
        let refused = ask(server.address, method, "/-/reload", "").await;
        assert_eq!((refused.status, refused.header("allow")), (405, Some("POST")), "{method}");
    }
}

#[tokio::test]
async fn routes_metrics_format_is_negotiated() {
    let server = Setup::default().start().await;
    let plain = get(server.address, "/metrics").await;
    assert!(plain.header("content-type").expect("a type").starts_with("text/plain; version=0.0.4"));
    assert!(!plain.text().contains("# EOF"));
    let accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5\r\n";
    let open = ask(server.address, "GET", "/metrics", accept).await;
    assert!(open.header("content-type").expect("a type").starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(open.text().ends_with("# EOF\n"));
    assert_eq!(open.header("vary"), Some("Accept, Accept-Encoding"));
}

#[tokio::test]
async fn routes_long_answers_are_compressed() {
    let server = Setup::default().start().await;
    server.history.observe(Arc::new(record("sessions", "x")));
    let plain = get(server.address, "/api/v1/records").await;
    assert_eq!(plain.header("content-encoding"), None);
    let small = ask(server.address, "GET", "/api/v1/records", "Accept-Encoding: br, gzip;q=0.8\r\n").await;
    assert_eq!(small.header("content-encoding"), Some("gzip"));
    assert_eq!(small.header("vary"), Some("Accept-Encoding"));
    assert!(small.body.len() < plain.body.len());
    let mut whole = Vec::new();
    flate2::read::GzDecoder::new(small.body.as_slice()).read_to_end(&mut whole).expect("gzip");
    assert_eq!(whole, plain.body);
    let refused = ask(server.address, "GET", "/api/v1/records", "Accept-Encoding: gzip;q=0\r\n").await;
    assert_eq!(refused.header("content-encoding"), None);
}

#[tokio::test]
async fn routes_probe_answers_or_names_rule() {
    let server = Setup::default().start().await;
    let probed = get(server.address, "/probe?module=any&target=sessions").await;
    assert_eq!(probed.status, 200);
    assert!(probed.header("content-type").expect("a type").starts_with("text/plain; version=0.0.4"));
    assert!(probed.text().contains("probe_success 0"), "{}", probed.text());

    let unknown = get(server.address, "/probe?target=%3Cscript%3E10.0.0.1:22").await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.text().contains("only configured targets are probed"), "{}", unknown.text());
    assert!(!unknown.text().contains("script") && !unknown.text().contains("10.0.0.1"), "{}", unknown.text());

    let busy = get(server.address, "/probe?target=busy").await;
    assert_eq!(busy.status, 503);
    assert!(busy.header("retry-after").expect("when").parse::<u32>().is_ok());

    let bad = get(server.address, "/probe?target=bad").await;
    assert_eq!(bad.status, 400);
    assert_eq!(bad.text(), "\"\\u{1b}<b>\" is not a host name\n");
    assert!(bad.header("content-type").expect("a type").starts_with("text/plain"));

    for path in ["/probe", "/probe?target=", "/probe?module=x", "/probe?target=sessions&target=x"] {
        let refused = get(server.address, path).await;
        assert_eq!(refused.status, 400, "{path}");
        assert!(refused.text().contains("the parameter target"), "{path}");
    }
}

#[tokio::test]
async fn routes_api_escapes_terminal_controls() {
    let server = Setup::default().start().await;
    server.history.observe(Arc::new(record("sessions", "\u{9b}31m \u{202e}x")));
    let answer = get(server.address, "/api/v1/records").await;
    assert!(!answer.text().contains(['\u{9b}', '\u{202e}']), "{}", answer.text());
    let summary = answer.json()["records"][0]["findings"][0]["summary"].clone();
    assert!(summary.as_str().is_some_and(|text| text.contains("\u{9b}31m \u{202e}x")), "{summary}");
}

#[tokio::test]
async fn routes_latest_records_are_complete() {
    let server = Setup::default().start().await;
    assert_eq!(get(server.address, "/api/v1/records").await.json(), serde_json::json!({ "records": [] }));
    assert_eq!(get(server.address, "/api/v1/records?target=sessions").await.text(), "{\"records\":[]}\n");

    server.history.set_targets(&["sessions".into(), "carts".into()]);
    let (sessions, carts) = (record("sessions", HOSTILE), record("carts", "x"));
    server.history.observe(Arc::new(record("sessions", "older")));
    server.history.observe(Arc::new(sessions.clone()));
    server.history.observe(Arc::new(carts.clone()));

    let all = get(server.address, "/api/v1/records").await;
    assert_eq!(all.header("content-type"), Some("application/json"));
    let read: Vec<Record> = serde_json::from_value(all.json()["records"].clone()).expect("records");
    assert_eq!(read, [carts, sessions.clone()]);

    let one = get(server.address, "/api/v1/records?target=sessions").await;
    let read: Vec<Record> = serde_json::from_value(one.json()["records"].clone()).expect("records");
    assert_eq!(read, [sessions]);

    let unknown = get(server.address, "/api/v1/records?target=%3Cb%3E").await;
    assert_eq!((unknown.status, unknown.header("content-type")), (404, Some("application/json")));
    assert_eq!(unknown.json(), serde_json::json!({ "error": "no such target is configured" }));
}

#[tokio::test]
async fn routes_readiness_follows_agent_state() {
    let server = Setup::default().start().await;
    server.ready.send_replace(false);
    assert_eq!(get(server.address, "/-/ready").await.status, 503);
    assert_eq!(get(server.address, "/-/healthy").await.status, 200);
    server.ready.send_replace(true);
    assert_eq!(get(server.address, "/-/ready").await.status, 200);
}

#[tokio::test]
async fn routes_failed_reload_gives_reason() {
    let reload = || async { Err("line 3: no such key".to_owned()) };
    let server = Setup { reload: Arc::new(move || Box::pin(reload())), ..Setup::default() }.start().await;
    let failed = ask(server.address, "POST", "/-/reload", "").await;
    assert_eq!((failed.status, failed.text()), (500, "line 3: no such key\n"));
}

#[tokio::test]
async fn routes_status_page_has_no_script() {
    let server = Setup { hostname: HOSTILE.into(), ..Setup::default() }.start().await;
    let empty = get(server.address, "/").await;
    assert!(empty.text().contains("not been probed yet"));

    server.history.set_targets(&["sessions".into(), HOSTILE.into()]);
    server.history.observe(Arc::new(record("sessions", HOSTILE)));
    server.history.observe(Arc::new(record(HOSTILE, HOSTILE)));
    let page = get(server.address, "/").await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let text = page.text();
    for shown in [
        "<span class=\"verdict\">✗ fail</span>",
        "<code>private_zone_not_seen</code></a> since <time",
        "expected: <b>private</b>",
        "CNAME, TTL 60 s</span> <code>&lt;script&gt;",
        "<code>20.50.1.10</code> <span class=\"tag\">public</span> <b>✗ not expected</b>, in use",
        "✓ resolve</th><td class=\"number\">1.2 ms</td>",
        "– tls</th><td colspan=\"2\" class=\"wordy\"><span class=\"note\">not reached: interrupted</span>",
        "libc<span class=\"mark\">◂ in use</span></th><td><span class=\"fail\">✗ 20.50.1.10 public</span>",
        "<b>What to do:</b> link the zone",
        "not verified",
        "first verdict: fail (private_zone_not_seen): 20.50.1.10 public",
        "http-equiv=\"refresh\"",
        "name=\"viewport\"",
        "\\u{202e}\\u{1b}",
    ] {
        assert!(text.contains(shown), "{shown} is missing in:\n{text}");
    }
    for harm in ["<script", "\u{202e}", "\u{1b}", "alert(\"", "src=", " style=", "javascript:", "http://", "https://"] {
        assert!(!text.contains(harm), "{harm:?} stands in:\n{text}");
    }

    let style = text.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>")).expect("one style").0;
    let digest = <sha2::Sha256 as sha2::Digest>::digest(style);
    let digest = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, digest);
    let policy = page.header("content-security-policy").expect("a policy");
    let exact = format!(
        "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    assert_eq!(policy, exact);
}

#[tokio::test]
async fn routes_text_is_that_of_check() {
    let server = Setup::default().start().await;
    server.history.set_targets(&["sessions".into(), "carts".into()]);
    server.history.observe(Arc::new(record("sessions", HOSTILE)));
    server.history.observe(Arc::new(record("carts", "x")));
    let all = get(server.address, "/?format=text").await;
    assert_eq!((all.status, all.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    assert!(all.text().contains("sessions") && all.text().contains("carts"), "{}", all.text());
    assert!(all.text().contains("private_zone_not_seen") && !all.text().contains('\u{1b}'), "{}", all.text());
    let one = get(server.address, "/?target=carts&format=text").await;
    assert!(one.text().contains("carts") && !one.text().contains("sessions"), "{}", one.text());
    assert_eq!(get(server.address, "/?target=nobody&format=text").await.status, 404);
}

#[tokio::test]
async fn routes_debug_probe_has_text_and_metrics() {
    let server = Setup::default().start().await;
    let plain = get(server.address, "/probe?target=sessions").await;
    let debug = get(server.address, "/probe?target=sessions&debug=true").await;
    assert_eq!((debug.status, debug.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    let (log, metrics) = debug.text().split_once("Metrics that would have been returned:\n").expect("both parts");
    assert!(log.starts_with("Log of the probe:\n") && log.contains("resolve"), "{log}");
    assert!(metrics.contains("probe_success ") && plain.text().contains("probe_success "), "{metrics}");
    assert_eq!(get(server.address, "/probe?target=nobody&debug=true").await.status, 404);
}

#[tokio::test]
async fn routes_findings_link_to_code_pages() {
    let server = Setup::default().start().await;
    server.history.set_targets(&["sessions".into()]);
    let record = record("sessions", "x");
    let codes: Vec<_> = record.findings.iter().map(|finding| finding.code).collect();
    assert!(!codes.is_empty());
    server.history.observe(Arc::new(record));
    let status = get(server.address, "/").await;
    for code in codes {
        let link = format!("<a href=\"/codes/{code}\">");
        assert!(status.text().contains(&link), "{link}");
        let page = get(server.address, &format!("/codes/{code}")).await;
        assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
        assert_eq!(page.header("content-security-policy"), status.header("content-security-policy"));
        assert!(page.text().contains(&format!("<h1><code>{code}</code>: ")), "{}", page.text());
        assert!(!page.text().contains("<script") && !page.text().contains("://"), "nothing is loaded");
    }
    let unknown = get(server.address, "/codes/%3Cscript%3E").await;
    assert_eq!(unknown.text(), "no such code: /codes lists them\n");
}

#[tokio::test]
async fn routes_two_host_headers_are_refused() {
    let server = Setup::default().start().await;
    for path in ["/metrics", "/-/healthy"] {
        for host in ["Host: redpath\r\n", "Host: other.example\r\n"] {
            assert_eq!(ask(server.address, "GET", path, host).await.status, 400, "{host}");
        }
    }
}

#[tokio::test]
async fn routes_page_is_shared_for_a_second() {
    let server = Setup { limits: Limits::default(), ..Setup::default() }.start().await;
    let before = get(server.address, "/api/v1/records").await;
    server.history.observe(Arc::new(record("sessions", "x")));
    assert_eq!(get(server.address, "/api/v1/records").await.body, before.body);
    assert_ne!(get(server.address, "/api/v1/records?target=sessions").await.body, before.body, "not shared");
    eventually("it is rendered again", || async { get(server.address, "/api/v1/records").await.body != before.body })
        .await;
}
