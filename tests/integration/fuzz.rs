//! The fuzz targets of `fuzz/`: each has seeds and its line in the documentation, and they are built of the
//! same dependencies as the program.
//!
//! `REWRITE_FIXTURES=1 cargo test` writes the seeds anew; those with certificates where there are none.

mod seeds;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use redpath::output::json;
use redpath::record::Record;

use crate::output::records;

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(project(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn names_in(folder: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(project(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

fn targets() -> BTreeSet<String> {
    let manifest: toml::Table = toml::from_str(&read("fuzz/Cargo.toml")).expect("TOML");
    let targets = manifest["bin"].as_array().expect("targets");
    targets.iter().map(|target| target["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn fuzz_targets_have_seeds_and_docs() {
    let targets = targets();
    let files: BTreeSet<String> = targets.iter().map(|target| format!("{target}.rs")).collect();
    assert_eq!(names_in("fuzz/fuzz_targets"), files, "fuzz/Cargo.toml names them all");
    let page = read("docs/fuzzing.md");
    for target in &targets {
        assert!(!names_in(&format!("fuzz/seeds/{target}")).is_empty(), "fuzz/seeds/{target} is empty");
        assert!(page.contains(&format!("\n| `{target}` | ")), "docs/fuzzing.md has no line of {target}");
    }
    for dictionary in names_in("fuzz/dictionaries") {
        assert!(targets.contains(&dictionary), "fuzz/dictionaries/{dictionary} is of no target");
    }
    assert!(read(".ci/run").contains("\nstep make fuzz\n"), "the build server runs them");
}

/// The versions by the names of packages, of a Cargo.lock.
fn locked(path: &str) -> BTreeMap<String, BTreeSet<String>> {
    let lock: toml::Table = toml::from_str(&read(path)).expect("TOML");
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in lock["package"].as_array().expect("packages") {
        let text = |key: &str| package[key].as_str().expect("text").to_owned();
        versions.entry(text("name")).or_default().insert(text("version"));
    }
    versions
}

#[test]
fn fuzz_profile_matches_release() {
    let shipped = locked("Cargo.lock");
    let fuzzed = locked("fuzz/Cargo.lock");
    let manifest: toml::Table = toml::from_str(&read("Cargo.toml")).expect("TOML");
    let missing: Vec<_> = manifest["dependencies"].as_table().expect("a table").keys().collect();
    let missing: Vec<_> = missing.into_iter().filter(|name| !fuzzed.contains_key(*name)).collect();
    assert!(missing.is_empty(), "fuzz/Cargo.lock has no {missing:?}: copy Cargo.lock to fuzz/ and build there");
    for (name, versions) in fuzzed {
        let Some(known) = shipped.get(&name) else { continue };
        assert!(
            versions.is_subset(known),
            "fuzz/Cargo.lock has {name} {versions:?}, Cargo.lock {known:?}: copy Cargo.lock to fuzz/ and build there"
        );
    }
}

#[test]
fn fuzz_seeds_are_current() {
    let rewrite = std::env::var_os("REWRITE_FIXTURES").is_some();
    let write = |path: PathBuf, bytes: &[u8]| {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, bytes).expect("a seed can be written");
    };
    let mut seeds = seeds::fixed();
    seeds.extend(of_records());
    for (target, name, bytes) in seeds {
        let path = project("fuzz/seeds").join(target).join(name);
        if rewrite {
            write(path.clone(), &bytes);
        }
        let committed = std::fs::read(&path).unwrap_or_default();
        assert!(committed == bytes, "{} is another one today (REWRITE_FIXTURES=1 writes it anew)", path.display());
    }
    if rewrite && !project("fuzz/seeds/authority.pem").exists() {
        let (seeds, authority) = seeds::certified();
        write(project("fuzz/seeds/authority.pem"), authority.as_bytes());
        for (target, name, bytes) in seeds {
            write(project("fuzz/seeds").join(target).join(name), &bytes);
        }
    }
}

/// What the outputs' fixtures are made of, diagnosed: as a record, on lines, as a report, and as the agent's API
/// gives it.
fn of_records() -> Vec<seeds::Seed> {
    let diagnosed = |record: Record| {
        let Record { started_at, took_seconds, target, vantage, expectation, observation, .. } = record;
        Record::new(started_at, took_seconds, target, vantage, expectation, observation)
    };
    let line = |record: &Record| json::line(record).expect("a record has a JSON form");
    let mut hostile = records::hostile();
    hostile.observation.resolution.views.iter_mut().for_each(|view| view.chain.truncate(8)); // a long one fills a seed
    let [healthy, silent, cluster] =
        [records::healthy(), records::silent_endpoint(), records::cluster()].map(diagnosed);
    let [unlinked, hostile, no_view] = [records::unlinked_zone(), hostile, records::no_view()].map(diagnosed);
    let report = records::report(vec![diagnosed(records::slow()), diagnosed(records::overridden())]);
    let api = json::records(&[&healthy, &no_view]).expect("records have a JSON form");
    vec![
        ("record", "healthy.json", line(&healthy).into_bytes()),
        ("record", "lines.json", (line(&silent) + &line(&cluster)).into_bytes()),
        ("record", "unlinked_zone.json", line(&unlinked).into_bytes()),
        ("record", "hostile.json", line(&hostile).into_bytes()),
        ("record", "report.json", json::report(&report).expect("a report has a JSON form").into_bytes()),
        ("record", "api.json", api.into_bytes()),
        ("journal", "two-records.ndjson", crate::journal::chain_of(2)),
        ("query_answer", "vector.json", crate::gate::api::a_vector().into_bytes()),
        ("query_answer", "matrix.json", crate::gate::api::a_matrix().into_bytes()),
        (
            "query_answer",
            "expected.yaml",
            b"vantages: [{subnet: app-a, vnet: spoke-1}]\ntargets: [a]\nunexpected: fail\n".to_vec(),
        ),
        ("journal", "recording.ndjson", crate::journal::recording_of_two()),
        ("record", "az.json", read("tests/stories/saved-zone-not-linked.record.json").into_bytes()),
    ]
}

#[test]
fn fuzz_seeds_are_small() {
    let mut bytes = 0;
    for target in targets() {
        for name in names_in(&format!("fuzz/seeds/{target}")) {
            bytes += std::fs::metadata(project("fuzz/seeds").join(&target).join(name)).expect("a file").len();
        }
    }
    assert!(bytes < 500_000, "{bytes} bytes of seeds");
}
