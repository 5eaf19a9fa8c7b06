//! The configuration: files that load and files that do not, the schema, the documentation, the commands.
//!
//! A file of `tests/configs/invalid/` says in comments at its top what is to be told about it, one
//! `# expect: LINE: KEY: MESSAGE` per problem, and no more than that may be told.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use redpath::cli::ExitCode;
use redpath::commands::config::{check, print, schema};
use redpath::config::{self, Config};
use redpath::expectation::PublicAccess;
use redpath::plan::{Auth, ClusterMode, PosturePlan, PublicAddress, ViewSelection};
use redpath::target::HostName;
use serde_json::Value as Json;

/// What must never be in an error; the invalid files hold it where a password may have slipped in.
const CANARY: &str = "hunter2";

#[test]
fn config_valid_files_load_and_round_trip() {
    let validator = jsonschema::validator_for(&config::schema()).expect("a JSON Schema");
    let files = files("valid");
    assert!(files.len() >= 12);
    for file in files {
        let name = file.display();
        let config = config::load(&file).unwrap_or_else(|error| panic!("{error}"));
        let yaml = config.to_yaml().expect("YAML");
        let again = config::parse(&yaml).unwrap_or_else(|error| panic!("{name}, printed: {error}\n{yaml}"));
        assert!(config == again, "{name} is not the same when printed and read:\n{yaml}");
        for text in [fs::read_to_string(&file).expect("text"), yaml] {
            let tree = tree_of(&text);
            // A merge key is YAML's, not ours: it is gone once read, and the schema never sees it.
            assert!(validator.is_valid(&tree), "{name}: {:?}", validator.iter_errors(&tree).next());
        }
    }
}

#[test]
fn config_invalid_files_are_explained() {
    let files = files("invalid");
    assert!(files.len() >= 30);
    let mut wrong = String::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("text");
        let expected: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# expect: ")).collect();
        let told = match config::load(&file) {
            Ok(_) => "nothing: it was taken".to_owned(),
            Err(error) => error.to_string().replace(&format!("{}:", file.display()), "").replace("\n ", "\n"),
        };
        if told.trim_start() != expected.join("\n") || told.contains(CANARY) {
            wrong.push_str(&format!("{}\n{}\n\n", file.display(), told.trim_start()));
        }
    }
    assert!(wrong.is_empty(), "these files are refused with something else:\n\n{wrong}");
}

#[test]
fn config_schema_refuses_unknown_keys() {
    let validator = jsonschema::validator_for(&config::schema()).expect("a JSON Schema");
    let unknown: Vec<PathBuf> = files("invalid")
        .into_iter()
        .filter(|file| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("unknown-key")))
        .collect();
    assert!(unknown.len() >= 5);
    for file in unknown {
        let tree = tree_of(&fs::read_to_string(&file).expect("text"));
        assert!(!validator.is_valid(&tree), "{}", file.display());
    }
}

#[test]
fn config_file_error_is_one_sentence() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let written = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).expect("a file");
        path
    };
    let long = [b"targets: [{host: a.example.org}] #".as_slice(), &[b'x'; 1024 * 1024]].concat();
    for (path, says) in [
        (folder.join("no-such.yaml"), "there is no such file"),
        (folder.to_owned(), "it is a directory, not a file: a YAML file is expected"),
        (PathBuf::from("/proc/self/mem"), "it cannot be read: "),
        (PathBuf::from("/dev/zero"), "it is longer than 1 MiB"),
        (written("long.yaml", &long), "it is longer than 1 MiB"),
        (written("empty.yaml", b""), "it is empty: `targets` with at least one target is expected"),
        (written("null.yaml", b"---\n"), "it is empty: `targets` with at least one target is expected"),
        (written("latin-1.yaml", b"# a comment\n# M\xfcller\n"), "it is not UTF-8 text"),
    ] {
        let error = config::load(&path).err().expect("a refusal").to_string();
        let rest = error.strip_prefix(&path.display().to_string()).unwrap_or_else(|| panic!("no file named: {error}"));
        assert!(rest.contains(says) && error.lines().count() == 1, "{error}");
    }
    let latin_1 = config::load(&folder.join("latin-1.yaml")).err().expect("a refusal").to_string();
    assert!(latin_1.ends_with("latin-1.yaml:2: it is not UTF-8 text"), "{latin_1}");
}

#[test]
fn config_minimal_target_gets_defaults() {
    let config = load("minimal.yaml");
    let target = &config.targets[0];
    assert_eq!((target.interval.as_secs(), target.plan.timeout.as_secs()), (15, 5));
    assert_eq!((target.plan.target.name.as_str(), target.plan.target.port), ("cache1.redis.cache.windows.net", 6380));
    assert!(target.plan.target.tls && target.plan.views == ViewSelection::All && target.plan.auth == Auth::None);
    assert_eq!((config.web.listen.to_string().as_str(), config.max_concurrent_probes), ("0.0.0.0:9736", 64));
}

#[test]
fn config_target_overrides_defaults() {
    let config = load("defaults-of-everything.yaml");
    let [plain, otherwise] = [&config.targets[0], &config.targets[1]];
    assert_eq!((plain.interval.as_secs(), plain.plan.timeout.as_millis(), plain.plan.samples), (30, 2500, 3));
    assert_eq!((plain.plan.tries, otherwise.plan.tries), (Some(5), Some(1)));
    assert_eq!(plain.plan.target.server_name.as_str(), "redis.example.org");
    assert!(!plain.plan.expectation.require_auth && plain.plan.auth != Auth::None);
    assert_eq!(otherwise.interval.as_secs(), 90);
    assert!(otherwise.plan.expectation.require_auth && otherwise.plan.auth == Auth::None);
    assert!(otherwise.plan.expectation.endpoints.is_empty());
    assert_eq!(otherwise.plan.expectation.latency.len(), 5, "a budget that is not given stays");
    assert_eq!(otherwise.plan.ca_file.as_deref(), Some(Path::new("/etc/redpath/ca.pem")));
    assert_eq!(otherwise.plan.expectation.private_ranges.len(), 3);
    assert_eq!((plain.plan.cluster, otherwise.plan.cluster), (ClusterMode::Off, ClusterMode::Auto));

    let fast = load("fast.yaml");
    assert_eq!(fast.targets[0].plan.timeout.as_secs(), 1, "a timeout that is not given gives way");
    let plaintext = load("plaintext.yaml");
    let [plain, encrypted] = [&plaintext.targets[0].plan, &plaintext.targets[1].plan];
    assert_eq!((plain.target.port, encrypted.target.port), (6379, 6380));
    assert!(plain.ca_file.is_none() && encrypted.ca_file.is_some());
}

/// A target with `public_address` is checked for closed public access by default.
#[test]
fn config_public_address_implies_closed() {
    let config = load("posture.yaml");
    let of = |target: usize| {
        let plan = &config.targets[target].plan;
        (plan.posture.plaintext_port, plan.expectation.public_access, plan.posture.public_address)
    };
    let given = PublicAddress::Given("20.50.1.10".parse().expect("an address"));
    assert_eq!(of(0), (Some(6379), PublicAccess::Closed, PublicAddress::Auto));
    assert_eq!(of(1), (None, PublicAccess::Closed, given));
    assert_eq!(of(2), (Some(6379), PublicAccess::Ignore, PublicAddress::Auto));
    assert_eq!(of(3), (Some(6379), PublicAccess::Open, PublicAddress::Auto));
    let unasked: Vec<bool> = config.targets.iter().map(|target| target.plan.posture.skip_auth_check).collect();
    assert_eq!(unasked, [false, false, false, true]);
    let intervals: Vec<u64> = config.targets.iter().map(|target| target.plan.posture.interval.as_secs()).collect();
    assert_eq!(intervals, [3600, 3600, 3600, 30]);
    let minimal = &load("minimal.yaml").targets[0].plan;
    assert!(minimal.posture == PosturePlan::default() && minimal.expectation.public_access == PublicAccess::Ignore);
}

#[test]
fn config_on_demand_has_no_credentials() {
    let config = load("defaults-of-everything.yaml");
    let plan = config.on_demand(HostName::parse("cache9.redis.cache.windows.net").expect("a host name"), None);
    assert!(plan.auth == Auth::None && config.defaults.auth != Auth::None);
    // Nor does it attempt at other doors of a host that somebody else chose.
    assert!(plan.posture == PosturePlan::default() && config.defaults.posture.plaintext_port == Some(6379));
    assert_eq!(plan.expectation.public_access, PublicAccess::Ignore);
    assert_eq!((plan.timeout.as_millis(), plan.target.port), (2500, 6380));
}

#[test]
fn config_keys_and_documentation_match() {
    let (mut keys, mut documented) = (BTreeSet::new(), BTreeSet::new());
    leaves(&config::schema(), "", &mut |key, _| {
        keys.insert(key.to_owned());
    });
    documented.extend(documentation().into_iter().map(|[key, _]| key));
    assert!(keys.contains("targets[].expect.endpoints") && keys.contains("resolvers[].address"));
    let difference: Vec<_> = keys.symmetric_difference(&documented).collect();
    assert!(difference.is_empty(), "in the schema or in docs/configuration.md, and not in both: {difference:?}");
}

#[test]
fn config_documented_defaults_are_real() {
    let printed = load("minimal.yaml").to_yaml().expect("YAML");
    let real = tree_of(&printed);
    let real = |key: &str| real.pointer(&format!("/{}", key.replace("[]", "/0").replace('.', "/"))).cloned();
    let mut held = 0;
    for [key, default] in documentation() {
        // A word in backticks is a value; the others ("the host name") are sentences.
        let Some(default) = default.strip_prefix('`').and_then(|text| text.strip_suffix('`')) else { continue };
        let default = tree_of(default);
        assert_eq!(real(&key), Some(default), "{key}");
        held += 1;
    }
    assert!(held >= 15, "only {held} defaults are documented");
    leaves(&config::schema(), "", &mut |key, schema| {
        if let Some(default) = schema.get("default") {
            assert_eq!(real(key).as_ref(), Some(default), "{key} of the schema");
        }
    });
}

#[test]
fn config_check_summarizes_and_warns() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::write(folder.join("no-ca.pem"), "no certificate").expect("a file");
    let file = folder.join("warnings.yaml");
    let text = "resolvers: [azure]\nprivate_ranges: [240.0.0.0/4]\ntargets:\n\
        \x20 - {name: a, host: a.example.org, auth: {method: password, password_file: /no/such/secret}}\n\
        \x20 - {name: b, host: b.example.org, auth: {method: password, password_env: REDPATH_TEST_IS_NOT_SET}, tls: {plaintext: true}}\n\
        \x20 - {name: c, host: c.example.org, tls: {ca_file: FOLDER/no-ca.pem}}\n\
        \x20 - {name: d, host: d.example.org, tls: {ca_file: FOLDER}}\n\
        web: {probe: {allowed_suffixes: [example.org]}}\n";
    fs::write(&file, text.replace("FOLDER", &folder.display().to_string())).expect("a file");
    let (code, out, err) = run(|out, err| check(&file, out, err));
    assert_eq!(code, ExitCode::Pass);
    assert_eq!(out, format!("{}: ok, 4 targets, 1 resolver\n", file.display()));
    for says in [
        "target \"a\": auth.password_file: /no/such/secret: there is no such file (on this machine)",
        "target \"b\": auth.password_env: the variable REDPATH_TEST_IS_NOT_SET is not set here",
        "target \"b\": auth: credentials go over verified TLS only",
        "no-ca.pem: it holds no PEM certificate",
        ": it is a directory, not a file (on this machine)",
        "web.probe.allowed_suffixes: every client that reaches 0.0.0.0:9736",
        "private_ranges: 240.0.0.0/4 has addresses of 240.0.0.0/4, which is reserved",
    ] {
        assert!(err.contains(says), "{says} is not in:\n{err}");
    }
    assert_eq!(err.lines().count(), 7, "{err}");

    let bad = Path::new("tests/configs/invalid/port-out-of-range.yaml");
    let (code, out, err) = run(|out, err| check(bad, out, err));
    assert_eq!((code, out.as_str()), (ExitCode::Usage, ""));
    assert!(err.starts_with(&format!("{}:", bad.display())) && err.contains("99999"), "{err}");
}

#[test]
fn config_print_and_schema_can_be_read() {
    let good = Path::new("tests/configs/valid/password-env.yaml");
    let (code, out, err) = run(|out, err| print(good, out, err));
    assert_eq!((code, err.as_str()), (ExitCode::Pass, ""));
    assert!(config::parse(&out).is_ok_and(|config| config.targets.len() == 1), "{out}");
    let (code, _, err) = run(|out, err| print(Path::new("tests/configs/invalid/syntax.yaml"), out, err));
    assert!(code == ExitCode::Usage && !err.is_empty() && !err.contains(CANARY), "{err}");
    let (code, out, _) = run(|out, _| schema(out));
    assert!(
        code == ExitCode::Pass && serde_json::from_str::<Json>(&out).is_ok_and(|tree| tree["properties"].is_object())
    );
}

#[test]
fn config_accepts_at_most_10000_targets() {
    let text = |count: usize| {
        let targets: String = (0..count).map(|number| format!("  - host: cache{number}.redis.azure.net\n")).collect();
        format!("targets:\n{targets}")
    };
    assert!(config::parse(&text(10_000)).is_ok_and(|config| config.targets.len() == 10_000));
    let error = config::parse(&text(10_001)).err().expect("a refusal").to_string();
    assert_eq!(error, "line 1: targets: it has 10001 entries: at most 10000 are expected");
}

#[test]
fn config_hostile_file_is_refused_in_bounds() {
    let most = 1024 * 1024;
    let keys: String = (0..20_000).map(|number| format!("k{number}: 1\n")).collect();
    for text in [
        "[".repeat(most),
        "- ".repeat(most / 2),
        "{a: ".repeat(most / 4),
        "? ".repeat(most / 2),
        "&a ".repeat(most / 3),
        "x".repeat(most),
        format!("{}: 1", "x".repeat(most - 3)),
        "a: &a [*a]".to_owned(),
        format!("a: &a {{b: {}}}\nc: [{}]", "x".repeat(1000), "*a, ".repeat(200_000)),
        format!("targets: [{}]", "{host: a.b}, ".repeat(20_000)),
        keys,
    ] {
        let error = config::parse(&text).err().expect("a refusal").to_string();
        assert!(error.len() < 8 * 1024, "{} bytes of error", error.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn config_any_text_does_not_panic(text in "(?s).{0,200}") {
        let _ = config::parse(&text);
    }

    #[test]
    fn config_any_yaml_does_not_panic(text in r#"([a-z]{1,8}|[-:?,\[\]{}#&*!|>'"%@`~ \n\t0-9.]|<<|targets:|host: a\.b|\n  - |__serde_saphyr_private_spanned: ){0,60}"#) {
        let _ = config::parse(&text);
    }

    /// A valid file with something changed is refused in plain words, or is taken, and then the
    /// schema takes it too and it survives being printed.
    #[test]
    fn config_mutated_file_loads_or_is_refused(file in 0_usize..100, changes in proptest::collection::vec(change(), 1..4)) {
        let files = files("valid");
        let mut text = fs::read_to_string(&files[file % files.len()]).expect("text");
        for change in &changes {
            text = change.applied_to(&text);
        }
        match config::parse(&text) {
            Ok(config) => {
                let validator = jsonschema::validator_for(&config::schema()).expect("a JSON Schema");
                let tree = tree_of(&text);
                prop_assert!(validator.is_valid(&tree), "the schema refuses what is taken:\n{text}");
                let yaml = config.to_yaml().expect("YAML");
                let again = config::parse(&yaml).map_err(|error| TestCaseError::fail(format!("{error}\n{yaml}")))?;
                prop_assert!(config == again, "not the same when printed and read:\n{text}\n{yaml}");
            }
            Err(error) => {
                let error = error.to_string();
                prop_assert!(!error.contains("shape of a configuration"), "the schema takes what the mirror refuses: {error}\n{text}");
            }
        }
    }
}

/// A change that a person, a template or a merge makes to a file.
#[derive(Clone, Debug)]
enum Change {
    WithoutLine(usize),
    LineTwice(usize),
    Indented(usize),
    Cut(usize),
    Word(usize, String),
    Inserted(usize, String),
}

fn change() -> impl Strategy<Value = Change> {
    let word = prop_oneof![
        Just("null".to_owned()),
        Just("-1".to_owned()),
        Just("1.5".to_owned()),
        Just("1e400".to_owned()),
        Just("0x10".to_owned()),
        Just("yes".to_owned()),
        Just("on".to_owned()),
        Just("[]".to_owned()),
        Just("{}".to_owned()),
        Just("15s".to_owned()),
        Just("all".to_owned()),
        Just("10.0.0.0/8".to_owned()),
        Just("!!str 5".to_owned()),
        Just("2020-01-01".to_owned()),
        Just("'".to_owned()),
        "[a-z_]{1,12}",
        "[0-9]{1,25}",
    ];
    prop_oneof![
        any::<usize>().prop_map(Change::WithoutLine),
        any::<usize>().prop_map(Change::LineTwice),
        any::<usize>().prop_map(Change::Indented),
        any::<usize>().prop_map(Change::Cut),
        (any::<usize>(), word.clone()).prop_map(|(at, word)| Change::Word(at, word)),
        (any::<usize>(), word).prop_map(|(at, word)| Change::Inserted(at, word)),
    ]
}

impl Change {
    fn applied_to(&self, text: &str) -> String {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if lines.is_empty() {
            return text.to_owned();
        }
        let line = |at: usize| at % lines.len();
        match self {
            Self::WithoutLine(at) => {
                lines.remove(line(*at));
            }
            Self::LineTwice(at) => {
                let at = line(*at);
                lines.insert(at, lines[at].clone());
            }
            Self::Indented(at) => {
                let at = line(*at);
                lines[at].insert_str(0, "  ");
            }
            Self::Cut(at) => lines.truncate(line(*at)),
            Self::Word(at, word) => {
                let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
                let words: Vec<(usize, &str)> = text
                    .split(|c| !is_part(c))
                    .filter(|word| !word.is_empty())
                    .map(|word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
                    .collect();
                let Some((start, old)) = words.get(at % words.len().max(1)) else { return text.to_owned() };
                return format!("{}{word}{}", &text[..*start], &text[start + old.len()..]);
            }
            Self::Inserted(at, word) => {
                let at = text.char_indices().map(|(at, _)| at).nth(at % text.chars().count()).unwrap_or(0);
                return format!("{}{word}{}", &text[..at], &text[at..]);
            }
        }
        lines.join("\n")
    }
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new("tests/configs").join(folder);
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

fn load(name: &str) -> Config {
    let config = config::load(&Path::new("tests/configs/valid").join(name));
    config.map_err(|error| error.to_string()).expect("a valid file")
}

/// What a command answers and writes to both of its streams.
fn run(
    command: impl FnOnce(&mut dyn std::io::Write, &mut dyn std::io::Write) -> std::io::Result<ExitCode>,
) -> (ExitCode, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = command(&mut out, &mut err).expect("memory takes it");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (code, text(out), text(err))
}

/// Calls `found` for every key that has no keys inside.
fn leaves(schema: &Json, key: &str, found: &mut dyn FnMut(&str, &Json)) {
    if let Some(properties) = schema["properties"].as_object() {
        for (name, inner) in properties {
            let dot = if key.is_empty() { "" } else { "." };
            leaves(inner, &format!("{key}{dot}{name}"), found);
        }
        return;
    }
    let items = &schema["items"];
    let of_mappings = items["anyOf"].as_array().and_then(|all| all.iter().find(|one| one["properties"].is_object()));
    match of_mappings.or(items["properties"].is_object().then_some(items)) {
        Some(inner) => leaves(inner, &format!("{key}[]"), found),
        None => found(key, schema),
    }
}

/// A tree as YAML 1.2 has it, where `off` is a word.
fn tree_of(text: &str) -> Json {
    serde_saphyr::from_str_with_options(text, serde_saphyr::options! { strict_booleans: true }).expect("YAML")
}

/// The keys of docs/configuration.md and what it says of their defaults: the first two cells of each row.
fn documentation() -> Vec<[String; 2]> {
    let text = fs::read_to_string("docs/configuration.md").expect("the documentation");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| {
        let (key, rest) = row.split_once("` | ")?;
        Some([key.to_owned(), rest.split(" | ").next()?.trim().to_owned()])
    })
    .collect()
}
