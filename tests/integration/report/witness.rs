//! A journal that is written anew, or whose end is cut, is convicted by its head in Prometheus.

use std::path::Path;
use std::process::Command;

use redpath::journal::verify::{Head, Verified};
use serde_json::{Value, json};

use super::{report, shown, text};
use crate::gate::api::server;
use crate::gate::files::{every_15_s, journal, private, public};
use crate::support::agent::Directory;

fn head(file: &Path) -> Head {
    let mut verified = Verified::default();
    verified.file(0, std::fs::read(file).expect("a file").as_slice());
    verified.head.expect("a line")
}

/// What Prometheus answers where it has seen this head of the vantage app-a.
fn witness(head: Head, query: &str) -> String {
    let series = |labels: Value, value: u64| json!({"metric": labels, "value": [1.0, value.to_string()]});
    let common = |more: Value| {
        let mut labels = json!({"job": "redpath", "instance": "a:9736"});
        labels.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        labels
    };
    let result = match query {
        "redpath_vantage_info" => vec![series(common(json!({"subnet": "app-a", "hostname": "vm-app-a"})), 1)],
        "redpath_journal_records_total" => vec![series(common(json!({})), head.number)],
        _ => (1..)
            .zip(head.digest.parts())
            .map(|(part, bits)| series(common(json!({"part": part.to_string()})), bits))
            .collect(),
    };
    json!({"status": "success", "data": {"resultType": "vector", "result": result}}).to_string()
}

fn verify(file: &Path, url: &str) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redpath"));
    let output = command.args(["journal", "verify", text(file), "--prometheus", url]).output().expect("it starts");
    (output.status.code(), shown(&output))
}

#[test]
fn journal_verify_asks_prometheus() {
    let directory = Directory::new("verify-witness");
    let file = journal(&directory.0, "app-a", every_15_s(0, 1800, public).chain(every_15_s(1815, 3600, private)));
    let seen = head(&file);
    let (address, _) = server(move |query| ("200 OK", witness(seen, query)));
    let url = format!("http://{address}");
    let (code, out) = verify(&file, &url);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.starts_with("whole: ") && out.contains("Prometheus confirms "), "{out}");

    // Without a head, and without an answer, it is not verified.
    let empty = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
    let (address, _) = server(move |_| ("200 OK", empty.to_owned()));
    let (code, out) = verify(&file, &format!("http://{address}"));
    assert_eq!((code, out.contains("Prometheus has no head of it")), (Some(3), true), "{out}");
    let output = report(&[text(&file), "--verify", "--prometheus", &format!("http://{address}")]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let (code, out) = verify(&file, "http://127.0.0.1:9");
    assert_eq!((code, out.starts_with("whole: ")), (Some(3), true), "{out}");

    journal(&directory.0, "app-a", every_15_s(0, 7200, private));
    let (code, out) = verify(&file, &url);
    assert_eq!((code, out.contains("the journal was written anew")), (Some(1), true), "{out}");
}

#[test]
fn report_head_in_prometheus_convicts() {
    let directory = Directory::new("report-witness");
    let file = journal(&directory.0, "app-a", every_15_s(0, 1800, public).chain(every_15_s(1815, 3600, private)));
    let seen = head(&file);
    let (address, _) = server(move |query| ("200 OK", witness(seen, query)));
    let url = format!("http://{address}");
    let verified = || report(&[text(&file), "--verify", "--prometheus", &url]);
    let output = verified();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(shown(&output).contains("Prometheus confirms "), "{output:?}");

    let whole = std::fs::read_to_string(&file).expect("a file");
    let cut: String = whole.split_inclusive('\n').take(20).collect();
    std::fs::write(&file, cut).expect("a file");
    let output = verified();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(shown(&output).contains("and the journal ends with entry 20"), "{output:?}");

    // All of it anew, without the hour on the public path, and longer than before.
    journal(&directory.0, "app-a", every_15_s(0, 7200, private));
    let output = verified();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(shown(&output).contains("with another digest; the journal was written anew"), "{output:?}");
}
