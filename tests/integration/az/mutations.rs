//! Files of az with something wrong in them, the same ones on every run: each is read, or refused in
//! one clear sentence.

use std::collections::BTreeSet;
use std::fs;

use redpath::az::AzFiles;
use redpath::target::HostName;
use serde_json::Value as Json;

use super::fixture;

/// For each fixture, so that there are well over a thousand in all.
const MUTANTS_OF_EACH: u64 = 60;

#[test]
fn az_mutated_file_parses_or_errors() {
    let hosts = ["cache1.redis.cache.windows.net", "amr1.westeurope.redis.azure.net"]
        .map(|name| HostName::parse(name).expect("a host name"));
    let mut random = Random(0x5eed);
    let (mut read, mut refused, mut messages) = (0, 0, BTreeSet::new());
    let folder = fs::read_dir(fixture("x").parent().expect("a folder")).expect("the fixtures");
    let mut fixtures: Vec<_> = folder.map(|entry| entry.expect("an entry").path()).collect();
    fixtures.sort();
    for path in fixtures {
        let text = fs::read_to_string(&path).expect("text");
        for _ in 0..MUTANTS_OF_EACH {
            let mutant = mutated(&text, &mut random);
            match AzFiles::parse(&mutant, "mutant.json") {
                Ok(files) => {
                    read += 1;
                    for host in &hosts {
                        let facts = files.about(host);
                        let _ = (facts.port(true), facts.addresses(host.as_str()));
                    }
                }
                Err(error) => {
                    refused += 1;
                    let clear = error.contains("expected")
                        || error.contains("it is no JSON")
                        || error.contains("it ends in the middle")
                        || error.contains("it is not ");
                    assert!(clear && error.lines().count() == 1 && error.len() < 700, "{}: {error}", path.display());
                    assert!(!error.contains("canary") && !error.contains("serde"), "{error}");
                    messages.insert(error);
                }
            }
        }
    }
    // A mutation that nothing notices, or that everything trips over, would test nothing.
    assert!(
        read >= 200 && refused >= 200 && messages.len() >= 50,
        "{read} read, {refused} refused, {} messages",
        messages.len()
    );
}

fn mutated(text: &str, random: &mut Random) -> String {
    match random.below(4) {
        0 => flipped(text, random),
        1 => {
            let end = random.below(text.chars().count());
            text.chars().take(end).collect()
        }
        kind => {
            let mut tree: Json = serde_json::from_str(text).expect("a fixture is JSON");
            let at = random.below(count(&tree).max(1));
            if kind == 2 {
                changed(&mut tree, at, &mut 0, &mut |_| None);
            } else {
                let other = random.value();
                changed(&mut tree, at, &mut 0, &mut |_| Some(other.clone()));
            }
            tree.to_string()
        }
    }
}

/// A bit of one byte is turned; what is no text then is made text, since the reader asks for it first.
fn flipped(text: &str, random: &mut Random) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let at = random.below(bytes.len());
    bytes[at] ^= 1 << random.below(8);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// How many entries of objects and lists there are.
fn count(tree: &Json) -> usize {
    match tree {
        Json::Object(entries) => entries.values().map(|value| 1 + count(value)).sum(),
        Json::Array(items) => items.iter().map(|value| 1 + count(value)).sum(),
        _ => 0,
    }
}

/// Puts another value in the place of entry `at`, or takes it out.
fn changed(tree: &mut Json, at: usize, seen: &mut usize, change: &mut dyn FnMut(&Json) -> Option<Json>) {
    match tree {
        Json::Object(entries) => {
            let keys: Vec<String> = entries.keys().cloned().collect();
            for key in keys {
                let is_here = *seen == at;
                *seen += 1;
                if is_here {
                    match change(&entries[&key]) {
                        Some(value) => entries.insert(key.clone(), value),
                        None => entries.shift_remove(&key),
                    };
                } else if let Some(value) = entries.get_mut(&key) {
                    changed(value, at, seen, change);
                }
            }
        }
        Json::Array(items) => {
            let mut index = 0;
            while index < items.len() {
                let is_here = *seen == at;
                *seen += 1;
                if !is_here {
                    changed(&mut items[index], at, seen, change);
                    index += 1;
                } else if let Some(value) = change(&items[index]) {
                    items[index] = value;
                    index += 1;
                } else {
                    items.remove(index);
                }
            }
        }
        _ => {}
    }
}

/// The generator of Marsaglia (xorshift64*): the same numbers on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end.max(1) as u64).expect("below the end")
    }

    fn value(&mut self) -> Json {
        let values = [
            Json::Null,
            Json::from(true),
            Json::from(-1),
            Json::from(70_000),
            Json::from(1.5),
            Json::from(""),
            Json::from("\u{1b}[2J"),
            Json::from("x".repeat(3_000)),
            Json::Array(vec![Json::Null, Json::from("a")]),
            serde_json::json!({}),
            serde_json::json!({ "value": [{}] }),
        ];
        values[self.below(values.len())].clone()
    }
}
