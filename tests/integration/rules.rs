//! The rules under `monitoring/`: what promtool says of them, each alert's own tests and what those are worth,
//! the forms generated from them, and their documentation.

mod azure;
mod formats;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use redpath::output::metrics::family::ALL;
use serde_json::{Value, json};

use crate::support::agent::Directory;
use formats::list;

const SOURCE: &str = include_str!("../../monitoring/rules/redpath.rules.yaml");
const DOCUMENTATION: &str = include_str!("../../docs/monitoring.md");

/// Azure takes no more in a group.
const MOST_IN_A_GROUP: usize = 20;

pub(crate) fn source() -> Value {
    serde_saphyr::from_str(SOURCE).unwrap_or_else(|error| panic!("the rules are no YAML: {error}"))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("monitoring")
}

fn rules() -> Vec<Value> {
    list(&source(), "groups").iter().flat_map(|group| list(group, "rules").to_vec()).collect()
}

fn alerts() -> Vec<(String, Value)> {
    rules().into_iter().filter_map(|rule| Some((rule["alert"].as_str()?.to_owned(), rule))).collect()
}

/// The tests, each file with the one alert that it is about, `None` for the recordings.
fn tests() -> BTreeMap<String, (Option<String>, Value)> {
    let entries = std::fs::read_dir(folder().join("rules/tests")).expect("the tests of the rules");
    let file = |entry: std::fs::DirEntry| {
        let text = std::fs::read_to_string(entry.path()).expect("a test");
        let name = entry.file_name().to_string_lossy().into_owned();
        let value: Value = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let cases = list(&value, "tests").iter().filter_map(|test| test["alert_rule_test"].as_array()).flatten();
        let about: BTreeSet<&str> = cases.filter_map(|case| case["alertname"].as_str()).collect();
        assert!(about.len() <= 1, "{name} is about {about:?}; one alert per file");
        let about = about.first().map(|&alert| alert.to_owned());
        (name, (about, value))
    };
    entries.map(|entry| file(entry.expect("an entry"))).collect()
}

fn promtool(arguments: &[&str], files: &[PathBuf]) -> Output {
    Command::new("promtool")
        .args(arguments)
        .args(files)
        .output()
        .unwrap_or_else(|error| panic!("promtool is missing ({error}): apt-get install prometheus"))
}

/// Whether the tests of these files hold for other rules than those of the source; with what promtool said.
fn hold(name: &str, rules: &Value, files: &[&str]) -> (bool, String) {
    let directory = Directory::new(&format!("rules-{name}"));
    directory.file("redpath.rules.yaml", &rules.to_string()); // JSON is YAML
    std::fs::create_dir_all(directory.0.join("tests")).expect("a folder");
    let copy = |file: &&str| {
        let to = directory.0.join("tests").join(file);
        std::fs::copy(folder().join("rules/tests").join(file), &to).expect("a copy");
        to
    };
    let output = promtool(&["test", "rules"], &files.iter().map(copy).collect::<Vec<_>>());
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[cfg(feature = "system-tests")]
#[test]
fn alert_rules_pass_promtool_tests() {
    let check = promtool(&["check", "rules"], &[folder().join("rules/redpath.rules.yaml")]);
    let said = String::from_utf8_lossy(&[check.stdout, check.stderr].concat()).into_owned();
    assert!(check.status.success() && said.contains(&format!("{} rules found", rules().len())), "{said}");

    let files: Vec<PathBuf> = tests().keys().map(|name| folder().join("rules/tests").join(name)).collect();
    let output = promtool(&["test", "rules"], &files);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
}

#[test]
fn alert_tests_fire_stay_silent_and_resolve() {
    let mut tested = BTreeSet::new();
    for (file, (about, value)) in tests() {
        let Some(alert) = about else { continue };
        let mut kinds = BTreeSet::new();
        for test in list(&value, "tests") {
            let name = test["name"].as_str().expect("a name");
            let fires: Vec<bool> =
                list(test, "alert_rule_test").iter().map(|case| !list(case, "exp_alerts").is_empty()).collect();
            let (kind, _) = name.split_once(": ").unwrap_or_else(|| panic!("{file}: {name:?} names no kind"));
            let as_said = match kind {
                "fires" => fires.contains(&true),
                "stays silent" => !fires.contains(&true),
                "resolves" => fires == [true, false],
                _ => panic!("{file}: {name:?} is of no kind"),
            };
            assert!(as_said, "{file}: {name:?} expects something else than it says: {fires:?}");
            kinds.insert(kind.to_owned());
        }
        assert_eq!(kinds.len(), 3, "{file} has only {kinds:?}");
        assert!(tested.insert(alert), "{file}: a second file about one alert");
    }
    assert_eq!(tested, alerts().into_iter().map(|(name, _)| name).collect());
}

#[cfg(feature = "system-tests")]
#[test]
fn alert_tests_fail_for_mutated_rules() {
    let tests = tests();
    for (alert, rule) in alerts() {
        let file = tests.iter().find(|(_, (about, _))| about.as_ref() == Some(&alert)).expect("its tests").0;
        let with = |rules: Value| hold(&alert, &json!({"groups": [{"name": "one", "rules": rules}]}), &[file]);
        let (holds, said) = with(json!([rule]));
        assert!(holds, "{alert} alone: {said}");
        assert!(!with(json!([])).0, "{file} holds without {alert}");
        let mut always = rule.clone();
        always["expr"] = "vector(1)".into();
        assert!(!with(json!([always])).0, "{file} holds where {alert} always fires");
        if rule.get("for").is_some() {
            let mut at_once = rule.clone();
            at_once["for"] = "0s".into();
            assert!(!with(json!([at_once])).0, "{file} holds where {alert} does not wait");
        }
    }
}

#[test]
fn alert_rules_use_known_metrics() {
    let known: BTreeSet<&str> = ALL.iter().map(|family| family.name).collect();
    for rule in rules() {
        let expression = rule["expr"].as_str().expect("an expression");
        let named = metrics_in(expression);
        // A rule over a recorded series, `level:metric:operation`, names no metric of its own.
        assert!(!named.is_empty() || expression.contains(":redpath_"), "{expression}");
        for name in named {
            assert!(known.contains(name.as_str()), "{name} is no metric of redpath: {expression}");
        }
    }
    for (alert, rule) in alerts() {
        let annotations = rule["annotations"].as_object().expect("annotations");
        let names: Vec<&str> = annotations.keys().map(String::as_str).collect();
        assert_eq!(names, ["summary", "description", "runbook_url"], "{alert}");
        assert_eq!(annotations["runbook_url"], format!("docs/monitoring.md#{}", alert.to_lowercase()), "{alert}");
        assert!(matches!(rule["labels"]["severity"].as_str(), Some("critical" | "warning")), "{alert}");
    }
}

/// The metrics of redpath that an expression names, without what a histogram adds to its name.
pub(crate) fn metrics_in(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
    words
        .filter(|word| word.starts_with("redpath_"))
        .map(|word| {
            let of_histogram = word.starts_with("redpath_p") && word.contains("_duration_seconds_");
            let suffix = ["_bucket", "_sum", "_count"].into_iter().find_map(|suffix| word.strip_suffix(suffix));
            suffix.filter(|_| of_histogram).unwrap_or(word).to_owned()
        })
        .collect()
}

/// The time that is in the expression, since a label that changes would restart `for`.
fn window(rule: &Value) -> Option<&str> {
    rule["expr"].as_str()?.split_once(" offset ")?.1.split_whitespace().next()
}

/// The alerts of one vantage are warnings: one subnet of many nodes must not be many pages.
#[test]
fn alert_critical_has_no_instance() {
    for (alert, rule) in alerts() {
        let expression = rule["expr"].as_str().expect("an expression");
        let grouped = ["count by (cluster, vnet, subnet, target", "group without (", "group by (cluster, job)"];
        let is_grouped = grouped.iter().any(|begin| expression.starts_with(begin));
        assert_eq!(rule["labels"]["severity"] == "critical", is_grouped, "{alert}: {expression}");
    }
}

#[test]
fn alert_inhibit_example_names_alerts() {
    let text = std::fs::read_to_string(folder().join("alertmanager/inhibit_rules.yaml")).expect("it is there");
    let example: Value = serde_saphyr::from_str(&text).expect("YAML");
    let known: BTreeMap<String, Value> = alerts().into_iter().collect();
    for rule in list(&example, "inhibit_rules") {
        let named = |side: &str| -> Vec<String> {
            let matcher = rule[side][0].as_str().expect("a matcher");
            matcher
                .split(|c: char| !c.is_alphanumeric())
                .filter(|w| w.starts_with("Redpath"))
                .map(str::to_owned)
                .collect()
        };
        for source in named("source_matchers") {
            assert_eq!(known[&source]["labels"]["severity"], "critical", "{source}");
            for target in named("target_matchers") {
                assert!(known.contains_key(&target) && target != source, "{target}");
                for label in list(rule, "equal") {
                    let label = label.as_str().expect("a label");
                    let has = |alert: &str| known[alert]["expr"].as_str().is_some_and(|expr| expr.contains(label));
                    assert!(has(&source) || label == "cluster", "{source} has no {label}");
                }
            }
        }
    }
}

/// `| [`Name`](#name) | severity | for | ... |`, and a section of that name.
#[test]
fn alert_documentation_matches_rules() {
    let documented: Vec<Vec<&str>> = DOCUMENTATION
        .lines()
        .filter(|line| line.starts_with("| [`Redpath"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).take(3).collect())
        .collect();
    let row = |(alert, rule): (String, Value)| {
        let wait = rule["for"].as_str().or_else(|| window(&rule)).unwrap_or("at once").to_owned();
        let link = format!("[`{alert}`](#{})", alert.to_lowercase());
        vec![link, rule["labels"]["severity"].as_str().expect("a severity").to_owned(), wait]
    };
    assert_eq!(documented, alerts().into_iter().map(row).collect::<Vec<_>>());
    let headings: Vec<&str> = DOCUMENTATION.lines().filter_map(|line| line.strip_prefix("### Redpath")).collect();
    let names: Vec<String> = alerts().into_iter().map(|(alert, _)| alert.replacen("Redpath", "", 1)).collect();
    assert_eq!(headings, names);
    for record in rules().iter().filter_map(|rule| rule["record"].as_str()) {
        assert_eq!(DOCUMENTATION.matches(&format!("| `{record}` |")).count(), 1, "{record}");
    }
}

#[test]
fn alert_rule_formats_match_source() {
    let template = formats::arm(&source());
    let json = serde_json::to_string_pretty(&template).expect("JSON") + "\n";
    for (file, text) in [
        ("rules/prometheusrule.yaml", formats::prometheus_rule(SOURCE)),
        ("azure/rules.json", json),
        ("azure/rules.bicep", formats::bicep(&template)),
    ] {
        let file = folder().join(file);
        if std::env::var_os("REWRITE_FIXTURES").is_some() {
            std::fs::write(&file, &text).expect("it is written");
        }
        let there = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(there == text, "{} is not of the source (REWRITE_FIXTURES=1 writes it anew)", file.display());
    }
}

#[test]
fn alert_rules_for_operator_match() {
    let text = std::fs::read_to_string(folder().join("rules/prometheusrule.yaml")).expect("it is there");
    let resource: Value = serde_saphyr::from_str(&text).expect("YAML");
    assert_eq!(
        (&resource["apiVersion"], &resource["kind"], &resource["metadata"]["name"]),
        (&json!("monitoring.coreos.com/v1"), &json!("PrometheusRule"), &json!("redpath"))
    );
    assert_eq!(resource["spec"], source());
}

#[cfg(feature = "system-tests")]
#[test]
fn alert_rules_for_azure_pass_same_tests() {
    let text = std::fs::read_to_string(folder().join("azure/rules.json")).expect("it is there");
    let template: Value = serde_json::from_str(&text).expect("JSON");
    // The one with a condition has the operator's own rules.
    for group in list(&template, "resources").iter().filter(|group| group["condition"].is_null()) {
        assert!(list(&group["properties"], "rules").len() <= MOST_IN_A_GROUP);
        for rule in list(&group["properties"], "rules") {
            assert!(rule["alert"].is_string() != rule["record"].is_string(), "{rule}");
            let severity = rule["severity"].as_str().unwrap_or_default();
            assert!(rule["alert"].is_null() || severity.ends_with("Severity')]"), "{rule}");
        }
    }
    let names: Vec<String> = tests().into_keys().collect();
    let files: Vec<&str> = names.iter().map(String::as_str).collect();
    let (holds, said) = hold("azure", &formats::from_arm(&template), &files);
    assert!(holds, "{said}");
}
