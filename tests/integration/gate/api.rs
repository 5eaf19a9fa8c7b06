//! The gate over a query API that is made up: what it asks, and what it makes of bad answers.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

use redpath::clock::Timestamp;
use serde_json::{Value, json};

use super::{judgement, reasons};
use crate::support::agent::Directory;

/// What was asked: the query, and the head of the request.
pub(crate) type Asked = Arc<Mutex<Vec<(String, String)>>>;

/// A server on loopback that answers each query as `answer` does: a status line's end, and a body.
pub(crate) fn server(answer: impl Fn(&str) -> (&'static str, String) + Send + 'static) -> (SocketAddr, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let asked = Asked::default();
    let log = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
            let mut head = String::new();
            while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let url = url::Url::parse(&format!("http://x{path}")).expect("a URL");
            let query = url.query_pairs().find(|(name, _)| name == "query");
            let query = query.map(|(_, value)| value.into_owned()).unwrap_or_default();
            let (status, body) = answer(&query);
            log.lock().expect("no panic").push((query, head));
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        }
    });
    (address, asked)
}

/// What an Azure Monitor workspace refuses: several metric names in a query, a regular expression, a function of
/// histograms, a subquery, more than 32 days.
fn breaks_limits(query: &str) -> bool {
    query.matches("redpath_").count() != 1
        || query.contains("=~")
        || query.contains("!~")
        || query.contains("histogram_")
        || query.contains("on(")
        || query.split('[').nth(1).is_some_and(|range| range.contains(':') || !range.contains("s]"))
}

fn vector(series: Vec<(Value, f64)>) -> String {
    let now = Timestamp::now().unix_seconds();
    let result: Vec<Value> = series
        .into_iter()
        .map(|(metric, value)| json!({"metric": metric, "value": [now, value.to_string()]}))
        .collect();
    json!({"status": "success", "data": {"resultType": "vector", "result": result}}).to_string()
}

/// A fleet: each vantage's subnet, and whether it is on the private path.
fn fleet(vantages: &[(&str, bool)], query: &str) -> String {
    if query.starts_with("redpath_probes_total{") {
        return counter();
    }
    let name = query.rsplit('(').next().unwrap_or_default().split(['[', '{', ')']).next().unwrap_or_default();
    let now = Timestamp::now().unix_seconds();
    let series = vantages.iter().filter_map(|(subnet, private)| {
        let common = json!({"job": "redpath", "instance": format!("{subnet}:9736")});
        let with = |more: Value| {
            let mut labels = common.clone();
            labels.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            labels
        };
        let target = with(json!({"target": "sessions"}));
        let flag = f64::from(u8::from(*private));
        Some(match name {
            "redpath_vantage_info" => (with(json!({"subnet": subnet, "hostname": format!("vm-{subnet}")})), 1.0),
            "redpath_probe_interval_seconds" => (target, 15.0),
            "redpath_last_probe_timestamp_seconds" => (target, now - 5.0),
            "redpath_verdict_info" => {
                let (status, cause) = if *private { ("pass", "healthy") } else { ("fail", "private_zone_not_seen") };
                (with(json!({"target": "sessions", "status": status, "cause": cause})), 1.0)
            }
            "redpath_connection_info" => {
                let (class, address) = if *private { ("private", "10.60.4.5") } else { ("public", "20.50.1.10") };
                (with(json!({"target": "sessions", "address_class": class, "address": address})), 1.0)
            }
            "redpath_path_private" | "redpath_address_expected" => (target, flag),
            "redpath_usable" | "redpath_resolver_agreement" => (target, 1.0),
            "redpath_application_connections" => (with(json!({"target": "sessions", "path": "public"})), 0.0),
            "redpath_probes_total" if query.starts_with("increase") => (target, 240.0),
            "redpath_probes_total" => (target, 240.0),
            _ => return None,
        })
    });
    vector(series.collect())
}

/// The samples of the last hour of a counter that is scraped every 15 s.
fn counter() -> String {
    let now = Timestamp::now().unix_seconds();
    let values: Vec<Value> = (0..240).map(|n| json!([now - 3600.0 + 15.0 * f64::from(n), n.to_string()])).collect();
    let result = json!([{"metric": {"target": "sessions"}, "values": values}]);
    json!({"status": "success", "data": {"resultType": "matrix", "result": result}}).to_string()
}

/// An answer of fixed bytes with one series.
pub(crate) fn a_vector() -> String {
    let series = json!({"metric": {"__name__": "redpath_usable", "target": "sessions"}, "value": [1780000000.5, "1"]});
    json!({"status": "success", "data": {"resultType": "vector", "result": [series]}}).to_string()
}

/// The same with two samples.
pub(crate) fn a_matrix() -> String {
    let series = json!({"metric": {"target": "sessions"}, "values": [[1780000000, "1"], [1780000015, "2"]]});
    json!({"status": "success", "data": {"resultType": "matrix", "result": [series]}}).to_string()
}

fn expected(directory: &Directory, subnets: &[&str]) -> String {
    let path = directory.0.join("expected.yaml");
    let list: Vec<String> = subnets.iter().map(|subnet| format!("{{subnet: {subnet}}}")).collect();
    std::fs::write(&path, format!("vantages: [{}]", list.join(", "))).expect("a file");
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn gate_queries_keep_limits_of_azure_monitor() {
    let answer = |query: &str| match breaks_limits(query) {
        true => {
            ("400 Bad Request", json!({"status": "error", "errorType": "bad_data", "error": "refused"}).to_string())
        }
        false => ("200 OK", fleet(&[("app-a", true), ("app-b", true)], query)),
    };
    let (address, asked) = server(answer);
    let directory = Directory::new("gate-azure");
    let list = expected(&directory, &["app-a", "app-b"]);
    let url = format!("http://{address}");
    let (document, status) = judgement(&["--prometheus", &url, "--expected", &list, "--for", "1h"]);
    assert_eq!(status, 0, "{document:#}");
    let asked = asked.lock().expect("no panic");
    assert_eq!(asked.len() + 1, document["sources"].as_array().expect("a list").len(), "the URL, and each query");
    assert!(asked.iter().all(|(query, _)| !breaks_limits(query)), "{asked:#?}");
}

#[test]
fn gate_over_api_names_public_and_silent() {
    let (address, _) = server(|query| ("200 OK", fleet(&[("app-a", true), ("app-b", false), ("new", true)], query)));
    let directory = Directory::new("gate-api");
    let list = expected(&directory, &["app-a", "app-b", "app-c"]);
    let url = format!("http://{address}/prometheus/");
    let (document, status) = judgement(&["--prometheus", &url, "--expected", &list]);
    assert_eq!(status, 1, "{document:#}");
    let reasons = reasons(&document);
    assert_eq!(
        reasons,
        ["heard app-c -: silent: nothing was heard of it", "path app-b sessions: path: public 20.50.1.10",]
    );
    assert_eq!(document["unexpected"][0]["subnet"], "new");
}

#[test]
fn gate_bad_answers_cannot_tell() {
    let endless = "x".repeat(80 << 20);
    let cases: [(&str, String, &str); 6] = [
        ("200 OK", "<html>login</html>".into(), "it is an HTML page, such as a login form"),
        ("200 OK", vector(Vec::new()), "no series of redpath was found"),
        ("401 Unauthorized", String::new(), "HTTP 401: the credential is missing or wrong"),
        ("302 Found\r\nLocation: http://127.0.0.1:1/", String::new(), "a redirect, which is not followed"),
        ("503 Service Unavailable", String::new(), "HTTP 503"),
        ("200 OK", endless, "longer than 64 MiB"),
    ];
    for (status, body, sentence) in cases {
        let (address, asked) = server(move |_| (status, body.clone()));
        let (document, code) = judgement(&["--prometheus", &format!("http://{address}")]);
        assert_eq!((document["answer"].as_str(), code), (Some("cannot_tell"), 3), "{sentence}: {document:#}");
        assert!(reasons(&document)[0].contains(sentence), "{sentence}: {document:#}");
        if status != "200 OK" {
            assert_eq!(asked.lock().expect("no panic").len(), 1, "after a failure, nothing more is asked");
        }
    }
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let (document, code) = judgement(&["--prometheus", &format!("http://{closed}")]);
    assert_eq!(code, 3);
    assert!(reasons(&document)[0].contains("connection refused"), "{document:#}");
}

#[test]
fn gate_old_answers_are_not_heard() {
    let stale = |query: &str| {
        let answer = fleet(&[("app-a", true)], query);
        let old = (Timestamp::now().unix_seconds() - 60.0).to_string();
        if query.starts_with("redpath_probes_total{") {
            return ("200 OK", counter());
        }
        let is_time = query.contains("last_probe");
        let mut document: Value = serde_json::from_str(&answer).expect("JSON");
        if is_time {
            document["data"]["result"][0]["value"][1] = json!(old);
        }
        ("200 OK", document.to_string())
    };
    let (address, _) = server(stale);
    let (document, code) = judgement(&["--prometheus", &format!("http://{address}")]);
    assert_ne!(code, 0, "{document:#}");
    assert!(document.to_string().contains("silent: last heard at"), "{document:#}");
}

#[test]
fn gate_sends_credentials_and_shows_none() {
    let (address, asked) = server(|query| ("200 OK", fleet(&[("app-a", true)], query)));
    let directory = Directory::new("gate-credential");
    let file = directory.0.join("token");
    std::fs::write(&file, "hunter2-canary\n").expect("a file");
    let (url, path) = (format!("http://{address}"), file.to_str().expect("UTF-8"));
    for (arguments, header) in [
        (vec!["--bearer-token-file", path], "authorization: Bearer hunter2-canary"),
        (vec!["--username", "u", "--password-file", path], "authorization: Basic dTpodW50ZXIyLWNhbmFyeQ=="),
        (vec!["--header", "X-Scope-OrgID=hunter2-canary"], "x-scope-orgid: hunter2-canary"),
    ] {
        for format in ["text", "json", "markdown", "junit", "in-toto"] {
            let all = [&["--prometheus", &url, "--output", format], arguments.as_slice()].concat();
            let output = super::gate(&all);
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            let shown = format!("{output:?}");
            assert!(!shown.contains("hunter2") && !shown.contains("dTpodW50"), "{format}: {shown}");
        }
        let heads = asked.lock().expect("no panic");
        assert!(heads.last().expect("a request").1.contains(header), "{heads:#?}");
    }
    let output = super::gate(&["--prometheus", "http://prometheus.example", "--bearer-token-file", path]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("https alone"), "{output:?}");
}
