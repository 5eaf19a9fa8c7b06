//! A thousand damaged records: each is read or refused in clear words, and none ends the program.

use std::panic::{AssertUnwindSafe, catch_unwind};

use redpath::output::text::{self, Style};
use redpath::output::{json, markdown, prometheus};
use redpath::record::saved;
use serde_json::{Value, json};

use super::diagnosed;
use crate::output::records;

/// xorshift64*: the same damage on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap_or(0) % bound.max(1)
    }
}

/// Every place of a document, by its path.
fn places(value: &Value, path: &str, out: &mut Vec<String>) {
    out.push(path.to_owned());
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                places(value, &format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), out);
            }
        }
        Value::Array(items) => {
            for (at, value) in items.iter().enumerate() {
                places(value, &format!("{path}/{at}"), out);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn hostile(random: &mut Random) -> Value {
    let values = [
        json!(null),
        json!(true),
        json!([]),
        json!({}),
        json!(""),
        json!(-1),
        json!(0),
        json!(1e308),
        json!(1.8e19),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(4_294_967_296_u64),
        json!("\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}"),
        json!("$(reboot)`;|&\n<script>"),
        json!("x".repeat(100_000)),
        json!("9999-12-31T23:59:59Z"),
        json!("0001-01-01T00:00:00Z"),
        json!("::ffff:10.60.4.5"),
        json!("255.255.255.255:65535"),
        json!("0.0.0.0/0"),
        json!(["10.60.4.5", "10.60.4.5"]),
        json!({"outcome": "done", "took_seconds": 1e18}),
        json!({"outcome": "failed", "took_seconds": 0, "reason": "\u{0}", "failure": {"kind": "timeout"}}),
        json!({"outcome": "not_reached", "stopped_by": "interrupt"}),
    ];
    values[random.below(values.len())].clone()
}

fn mutated(seed: u64, originals: &[String]) -> Vec<u8> {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let original = &originals[random.below(originals.len())];
    let mut bytes = original.clone().into_bytes();
    let mut value: Value = serde_json::from_str(original).expect("a record");
    let mut paths = Vec::new();
    places(&value, "", &mut paths);
    let path = paths[1 + random.below(paths.len() - 1)].clone();
    match seed % 8 {
        0 => bytes.truncate(random.below(bytes.len())),
        1 => {
            for _ in 0..=random.below(8) {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
        }
        2 => {
            let (parent, key) = path.rsplit_once('/').expect("a path");
            match value.pointer_mut(parent) {
                Some(Value::Object(map)) => drop(map.shift_remove(&key.replace("~1", "/").replace("~0", "~"))),
                Some(Value::Array(items)) => drop(items.remove(key.parse().expect("an index"))),
                _ => {}
            }
            bytes = value.to_string().into_bytes();
        }
        3 | 4 => {
            for _ in 0..=random.below(3) {
                let path = &paths[1 + random.below(paths.len() - 1)];
                if let Some(place) = value.pointer_mut(path) {
                    *place = hostile(&mut random);
                }
            }
            bytes = value.to_string().into_bytes();
        }
        5 => {
            // Deeper than any reader should follow; as text, since a value so deep cannot be built.
            let depth = 1 << random.below(18);
            let (open, close) = if random.below(2) == 0 { ("[", "]") } else { ("{\"a\":", "}") };
            let nested = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            *value.pointer_mut(&path).expect("a place") = json!("@nested@");
            bytes = value.to_string().replace("\"@nested@\"", &nested).into_bytes();
        }
        6 => {
            // A list much longer than any probe makes.
            let long: Vec<String> = paths
                .iter()
                .filter(|path| {
                    value.pointer(path).is_some_and(|value| value.as_array().is_some_and(|list| !list.is_empty()))
                })
                .cloned()
                .collect();
            if let Some(path) = long.get(random.below(long.len()))
                && let Some(Value::Array(items)) = value.pointer_mut(path)
            {
                let first = items[0].clone();
                items.resize(items.len() + random.below(500), first);
            }
            bytes = value.to_string().into_bytes();
        }
        _ => {
            // A part of another record in the place of this one's.
            let other: Value = serde_json::from_str(&originals[random.below(originals.len())]).expect("a record");
            if let (Some(place), Some(part)) = (value.pointer_mut(&path), other.pointer(&path)) {
                *place = part.clone();
            }
            bytes = value.to_string().into_bytes();
        }
    }
    bytes
}

#[test]
fn explain_mutated_record_loads_or_errors() {
    let mut originals: Vec<String> =
        diagnosed().iter().map(|record| serde_json::to_string(record).expect("a record")).collect();
    originals.push(json::report(&records::report(diagnosed()[..2].to_vec())).expect("a report"));
    originals.push(include_str!("../../stories/saved-zone-not-linked.record.json").to_owned());
    let style = Style { color: false, width: 80, unicode: false, verbose: false };
    let (mut read, mut refused) = (0, 0);
    for seed in 0..1_000 {
        let bytes = mutated(seed, &originals);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            saved::read(&bytes).map(|saved| {
                let report = &saved.report;
                let json = json::report(report).expect("what was read can be written");
                (
                    text::render(report, &style),
                    markdown::render(report),
                    json,
                    prometheus::exposition_of(&report.records),
                )
            })
        }));
        let Ok(outcome) = outcome else { panic!("seed {seed} ends the program: {}", String::from_utf8_lossy(&bytes)) };
        match outcome {
            Ok((text, markdown, json, _)) => {
                for out in [&text, &markdown, &json] {
                    let acts = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
                    assert!(!out.chars().any(acts), "seed {seed}: something acts on a terminal:\n{out}");
                }
                let again = saved::read(json.as_bytes());
                assert!(
                    again.is_ok(),
                    "seed {seed}: {}",
                    again.err().map(|error| error.to_string()).unwrap_or_default()
                );
                read += 1;
            }
            Err(error) => {
                let error = error.to_string();
                assert!(error.len() < 700, "seed {seed}: {error}");
                let says_where = ["line ", "byte ", "it is empty", "it holds no record"];
                assert!(says_where.iter().any(|place| error.contains(place)), "seed {seed}: {error}");
                for internal in ["struct ", "enum ", "RawValue", "panicked", "::"] {
                    let quoted = error.contains("ffff"); // an address of the file's own
                    assert!(quoted || !error.contains(internal), "seed {seed}: {error}");
                }
                refused += 1;
            }
        }
    }
    assert!(read >= 200 && refused >= 300, "{read} read, {refused} refused: the damage is too one-sided");
}

#[test]
fn explain_long_text_is_shown_or_refused() {
    const LONG: usize = 70_000; // the longest width that can be formatted is 65,535
    let originals = diagnosed();
    let style = Style { color: false, width: 80, unicode: false, verbose: true };
    for original in &originals[..originals.len().min(4)] {
        let original = serde_json::to_value(original).expect("a record");
        let mut paths = Vec::new();
        places(&original, "", &mut paths);
        for path in paths.iter().filter(|path| original.pointer(path).is_some_and(Value::is_string)) {
            let mut record = original.clone();
            *record.pointer_mut(path).expect("a place") = json!("x".repeat(LONG));
            if let Ok(saved) = saved::read(record.to_string().as_bytes()) {
                assert!(text::render(&saved.report, &style).len() > 100, "{path}");
                assert!(markdown::render(&saved.report).len() > 100, "{path}");
            }
        }
    }
}
