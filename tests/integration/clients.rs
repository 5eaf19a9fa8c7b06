//! `redpath clients`: the clients of a cache by path, by scripted and by real servers.

mod nodes;
#[cfg(feature = "system-tests")]
mod servers;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::process::Command;

use crate::schema::assert_valid;
use crate::support::fake_redis::{Answer, Event, FakeRedis};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// redpath's own line, by the id that `CLIENT ID` replies with.
const OWN: &str =
    "id=7 addr=127.0.0.1:40000 laddr=127.0.0.1:1 name= age=0 idle=0 flags=N cmd=client|list user=default\n";

const PRIVATE: &str = "id=8 addr=fd40:1481:21:dbe0:7021:300:a03:1a06:44426 name=web age=12 idle=1 flags=N cmd=get user=app lib-name=redis-py lib-ver=5.0.1\n\
    id=9 addr=[fd40:1481:21:dbe0:7021:300:a03:1a07%eth0]:55949 name=web age=90 idle=1 flags=N cmd=get user=app lib-name=redis-py lib-ver=5.0.1\n";

/// A server without authentication that replies so to `CLIENT ID` and `CLIENT LIST`.
fn server(id: &str, list: Vec<u8>) -> FakeRedis {
    let id = id.to_owned();
    let script = move |event: Event<'_>| {
        let Event::Command { words, .. } = event else { return Answer::Send(Vec::new()) };
        let words: Vec<String> = words.iter().map(|word| word.to_ascii_uppercase()).collect();
        match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["QUIT"] => Answer::SendAndClose(b"+OK\r\n".to_vec()),
            ["PING"] => Answer::line("+PONG"),
            ["CLUSTER", ..] => Answer::line("-ERR This instance has cluster support disabled"),
            ["CLIENT", "ID"] => Answer::line(&id),
            ["CLIENT", "LIST"] => Answer::Send(list.clone()),
            _ => Answer::line("-ERR unknown command"),
        }
    };
    FakeRedis::start(SocketAddr::new(HERE, 0), None, script).expect("a free port")
}

fn bulk(text: &str) -> Vec<u8> {
    format!("${}\r\n{text}\r\n", text.len()).into_bytes()
}

async fn redpath(server: &FakeRedis, flags: &[&str]) -> Output {
    let target = format!("localhost:{}", server.address().port());
    let common = ["clients", &target, "--plaintext", "--views", "libc", "--connect", "127.0.0.1"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_redpath"));
    command.args(common).args(["--private-range", "127.0.0.0/8"]).args(flags).output().await.expect("it starts")
}

async fn json(server: &FakeRedis, flags: &[&str]) -> (Option<i32>, Value) {
    let output = redpath(server, &[flags, &["--output", "json"]].concat()).await;
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_valid("clients.v1.json", &document);
    (output.status.code(), document)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn clients_by_private_link_pass() {
    let server = server(":7", bulk(&format!("{OWN}{PRIVATE}")));
    let (status, document) = json(&server, &[]).await;
    assert_eq!((status, document["status"].as_str()), (Some(0), Some("pass")), "{document:#}");
    assert_eq!(document["totals"]["private_link"], 2, "both spellings");
    assert_eq!((&document["totals"]["own"], &document["totals"]["address"]), (&1.into(), &0.into()));
    let list = &document["clients"]["nodes"][0]["list"];
    assert_eq!(list["networks"][0]["network"], "10.3.26.0/24");
    assert!(!document.to_string().contains("redis-py") && list["names"].is_null(), "counts alone");
    let (_, document) = json(&server, &["--names"]).await;
    let named = &document["clients"]["nodes"][0]["list"]["names"][0];
    assert_eq!((&named["name"], &named["library"]), (&"web".into(), &"redis-py 5.0.1".into()));
    assert_eq!((&named["youngest_seconds"], &named["oldest_seconds"]), (&12.0.into(), &90.0.into()));
    let asked = String::from_utf8_lossy(&server.received()).matches("LIST").count();
    assert_eq!(asked, 2, "once for each command");
}

#[tokio::test]
async fn clients_with_public_address_fail() {
    let public = "id=10 addr=20.50.7.7:40001 name=batch age=3600 idle=0 flags=N cmd=get user=app\n";
    let replica = "id=11 addr=10.0.0.9:6380 name= age=3600 idle=0 flags=S cmd=replconf user=default\n";
    let server = server(":7", bulk(&format!("{OWN}{PRIVATE}{public}{replica}")));
    let output = redpath(&server, &["--names"]).await;
    let printed = text(&output);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    for part in ["public_clients_present", "1 by a public address, 2 by a private link", "20.50.7.0/24", "name batch"] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    let page = text(&redpath(&server, &["--output", "prometheus"]).await);
    for line in ["path=\"private_link\"} 2", "path=\"address\"} 1", "redpath_clients_complete{target=\"localhost\"} 1"]
    {
        assert!(page.contains(line), "{line}: {page}");
    }
    let table = text(&redpath(&server, &["--output", "markdown"]).await);
    assert!(table.contains("| address | `20.50.7.0/24` | public | 1 |"), "{table}");
    let (status, document) = json(&server, &["--expect", "any"]).await;
    assert_eq!((status, &document["findings"][0]["severity"]), (Some(0), &"info".into()));
}

#[tokio::test]
async fn clients_plain_beside_private_link_fail() {
    let plain = "id=10 addr=10.3.26.6:40001 name= age=3 idle=1 flags=N cmd=get user=app\n";
    let server = server(":7", bulk(&format!("{OWN}{PRIVATE}{plain}")));
    let (status, document) = json(&server, &[]).await;
    assert_eq!((status, &document["totals"]["plain_beside_private_link"]), (Some(1), &1.into()), "{document:#}");
    let finding = &document["findings"][0];
    assert_eq!((&finding["code"], &finding["severity"]), (&"public_clients_present".into(), &"error".into()));
    let summary = finding["summary"].as_str().expect("a sentence");
    assert!(summary.starts_with("1 client has a plain private address at a node that shows others"), "{summary}");
    let (status, document) = json(&server, &["--expect", "any"]).await;
    assert_eq!((status, &document["findings"][0]["severity"]), (Some(0), &"info".into()));
}

#[tokio::test]
async fn clients_that_decide_nothing_are_unknown() {
    let plain = "id=10 addr=10.3.26.6:40001 name= age=3 idle=1 flags=N cmd=get user=app\n";
    let other_prefix = "id=10 addr=[fd00::7]:40001 name= age=3 idle=1 flags=N cmd=get user=app\n";
    let nameless = "id=10 addr=?:0 flags=N\n";
    let long = "id=10 ".to_owned() + &"x".repeat(20_000) + "\n";
    for (list, says) in [
        (bulk(&format!("{OWN}{plain}")), "may be a proxy"),
        (bulk(&format!("{OWN}{PRIVATE}{other_prefix}")), "may be a proxy"),
        (bulk(&format!("{OWN}{nameless}")), "no address in the list"),
        (bulk(&format!("{OWN}{long}")), "no address in the list"),
        (
            b"-NOPERM this user has no permissions to run the 'client|list' command\r\n".to_vec(),
            "ACL SETUSER default '+client|list'",
        ),
        (b"-ERR unknown command\r\n".to_vec(), "ERR unknown command"),
        (b"*1\r\n:1\r\n".to_vec(), "no list was received"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "not the Redis protocol"),
        (format!("${}\r\n{OWN}{PRIVATE}", 1_u64 << 40).into_bytes(), "no reply in time"),
    ] {
        let server = server(":7", list);
        let output = redpath(&server, &["--timeout", "1s"]).await;
        let printed = text(&output);
        assert_eq!(output.status.code(), Some(3), "{says}: {printed}");
        assert!(printed.contains(says), "{says}: {printed}");
    }
}

#[tokio::test]
async fn clients_own_connection_without_id_is_left_out() {
    let refused = "-NOPERM this user has no permissions to run the 'client|id' command";
    let server_of = |list: &str| server(refused, bulk(list));
    let own = "id=7 addr=20.50.7.7:40000 name= age=0 idle=0 flags=N cmd=client|list user=app\n";
    let (status, document) = json(&server_of(&format!("{own}{PRIVATE}")), &[]).await;
    assert_eq!((status, &document["totals"]["own"]), (Some(0), &1.into()), "{document:#}");
    let (status, document) = json(&server_of(&format!("{own}{own}{PRIVATE}")), &[]).await;
    assert_eq!((status, &document["totals"]["public"]), (Some(1), &1.into()), "one of the two is redpath");
}

#[tokio::test]
async fn clients_without_credentials_are_unknown() {
    let script = crate::support::fake_redis::requiring("canary-Wn3-hunter2");
    let server = FakeRedis::start(SocketAddr::new(HERE, 0), None, script).expect("a free port");
    let output = redpath(&server, &[]).await;
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output).contains("demands authentication"), "{}", text(&output));
    let target = "localhost:1";
    let mut command = Command::new(env!("CARGO_BIN_EXE_redpath"));
    command.args(["clients", target, "--plaintext", "--expect", "any", "--views", "libc"]);
    let output = command.output().await.expect("it starts");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("connect failed"), "{}", text(&output));
}

#[tokio::test]
async fn clients_ten_thousand_are_counted() {
    let mut list = OWN.to_owned();
    for number in 0..10_000_u32 {
        let [_, _, c, d] = number.to_be_bytes();
        list += &format!(
            "id={} addr=[fd40::a{c:02x}:{d:02x}01]:4000 name=n{number} age=1 idle=1 flags=N cmd=get user=app\n",
            number + 8
        );
    }
    let server = server(":7", bulk(&list));
    let begun = Instant::now();
    let (status, document) = json(&server, &["--names"]).await;
    assert_eq!((status, &document["totals"]["private_link"]), (Some(0), &10_000.into()));
    assert_eq!(document["clients"]["nodes"][0]["list"]["names"].as_array().map(Vec::len), Some(1000));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn clients_beyond_the_bound_are_unknown() {
    let client = "id=8 addr=[fd40::a03:1a06]:44426 flags=N cmd=get\n";
    let many = server(":7", bulk(&(OWN.to_owned() + &client.repeat(100_001))));
    let (status, document) = json(&many, &[]).await;
    assert_eq!((status, &document["clients"]["nodes"][0]["failure"]["kind"]), (Some(3), &"too_many_clients".into()));
}

#[tokio::test]
async fn clients_watch_ends_when_none_is_left() {
    let public = "id=10 addr=20.50.7.7:40001 name=batch age=3600 idle=0 flags=N cmd=get user=app\n";
    let (before, after) = (bulk(&format!("{OWN}{PRIVATE}{public}")), bulk(&format!("{OWN}{PRIVATE}")));
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let script = move |event: Event<'_>| {
        let Event::Command { words, .. } = event else { return Answer::Send(Vec::new()) };
        let words: Vec<String> = words.iter().map(|word| word.to_ascii_uppercase()).collect();
        match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["QUIT"] => Answer::SendAndClose(b"+OK\r\n".to_vec()),
            ["PING"] => Answer::line("+PONG"),
            ["CLIENT", "ID"] => Answer::line(":7"),
            ["CLIENT", "LIST"] => {
                let first = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
                Answer::Send(if first { before.clone() } else { after.clone() })
            }
            _ => Answer::line("-ERR unknown command"),
        }
    };
    let server = FakeRedis::start(SocketAddr::new(HERE, 0), None, script).expect("a free port");
    let output = redpath(&server, &["--watch", "--until", "private", "--interval", "1s"]).await;
    let progress = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{progress}");
    assert!(progress.contains("fail: clients: 1 by a public address, 2 by a private link"), "{progress}");
    assert!(progress.contains("pass: clients: 2 by a private link"), "{progress}");
    assert!(text(&output).starts_with("PASS"), "{}", text(&output));
}

/// The exit status and the document for rows of a connection log.
async fn from_az(rows: &str) -> (Option<i32>, String) {
    let folder = crate::support::certificates::Directory::new("client-log");
    let file = folder.path().join("rows.json");
    std::fs::write(&file, rows).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_redpath"));
    command.args(["clients", "cache1.redis.cache.windows.net", "--output", "json", "--from-az"]).arg(&file);
    let output = command.output().await.expect("it starts");
    (output.status.code(), text(&output) + &String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn clients_of_log_never_pass() {
    let private = r#"{"ClientIp": "10.3.26.6", "PrivateLinkIPv6": "fd40::a03:1a06", "EventType": "new_conn", "TimeGenerated": "2026-11-18T09:00:00Z"}"#;
    let public = r#"{"ip": "20.50.7.7", "privateLinkIpv6": "", "count": "3", "TimeGenerated": "2026-11-18T09:01:00Z"}"#;
    let (status, document) = from_az(&format!("[{private}]")).await;
    assert_eq!(status, Some(3), "{document}");
    assert!(document.contains("up to 90 minutes late") && document.contains("2026-11-18T09:00:00"), "{document}");
    let (status, document) = from_az(&format!("[{private}, {public}]")).await;
    assert_eq!(status, Some(1), "{document}");
    let document: Value = serde_json::from_str(&document).expect("a document");
    assert_valid("clients.v1.json", &document);
    assert_eq!((&document["totals"]["public"], &document["totals"]["private_link"]), (&3.into(), &1.into()));
    let (status, error) = from_az("[{\"a\": 1}]").await;
    assert!(status == Some(2) && error.contains("--from-az") && error.contains("row 1"), "{error}");
}
