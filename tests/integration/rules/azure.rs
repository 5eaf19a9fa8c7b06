//! The files for Azure Monitor's managed Prometheus: scraping, and the limits of its query language, which every
//! shipped query keeps.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use super::formats::list;
use super::{MOST_IN_A_GROUP, folder, source};
use crate::support::agent::Directory;

/// The days that a query may cover, and the minutes between two evaluations of a group.
const MOST_DAYS: u64 = 32;
const EVALUATION_MINUTES: std::ops::RangeInclusive<u64> = 1..=15;

fn yaml(file: &str) -> Value {
    let text = std::fs::read_to_string(folder().join("azure").join(file)).expect("it is there");
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Every query that redpath ships: the rules' and the dashboard's.
fn queries() -> Vec<String> {
    let source = source();
    let rules = list(&source, "groups").iter().flat_map(|group| list(group, "rules"));
    let mut queries: Vec<String> = rules.map(|rule| rule["expr"].as_str().expect("a query").to_owned()).collect();
    let text = std::fs::read_to_string(folder().join("dashboard/redpath.json")).expect("it is there");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    for panel in list(&dashboard, "panels") {
        let targets = panel["targets"].as_array().into_iter().flatten();
        queries.extend(targets.map(|target| target["expr"].as_str().expect("a query").to_owned()));
    }
    queries
}

/// The query without what is between quotes.
fn without_texts(query: &str) -> String {
    query.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
}

/// The days of a duration such as `30d`; what is shorter than a day is none.
fn days(duration: &str) -> u64 {
    let digits: String = duration.chars().take_while(char::is_ascii_digit).collect();
    match (digits.parse::<u64>(), &duration[digits.len()..]) {
        (Ok(days), "d") => days,
        (Ok(weeks), "w") => weeks * 7,
        (Ok(years), "y") => years * 365,
        _ => 0,
    }
}

/// What breaks a limit of the service.
fn broken(query: &str) -> Option<&'static str> {
    let bare = without_texts(query);
    let nameless = bare
        .match_indices('{')
        .any(|(at, _)| !bare[..at].trim_end().ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    if nameless || bare.contains("__name__") {
        return Some("a selector without the name of a metric");
    }
    let durations = |begin: &'static str| {
        bare.split(begin).skip(1).map(|rest| {
            let word: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
            days(&word)
        })
    };
    let longest = durations("[").max().unwrap_or(0) + durations(" offset ").max().unwrap_or(0);
    (longest > MOST_DAYS).then_some("more than 32 days")
}

#[test]
fn azure_query_limits_are_kept() {
    let queries = queries();
    assert!(queries.len() > 60, "{}", queries.len());
    for query in &queries {
        assert_eq!(broken(query), None, "{query}");
        let upper = query.split(|c: char| !c.is_alphanumeric() && c != '_').find(|word| {
            word.starts_with(|c: char| c.is_ascii_lowercase()) && word.contains(|c: char| c.is_ascii_uppercase())
        });
        assert_eq!(upper, None, "a label in upper case: {query}");
    }
    for (query, what) in [
        ("sum({job=\"redpath\"})", "a selector without the name of a metric"),
        ("{__name__=~\"redpath_.*\"}", "a selector without the name of a metric"),
        ("avg_over_time(up[33d])", "more than 32 days"),
        ("avg_over_time(up[30d] offset 7d)", "more than 32 days"),
        ("avg_over_time(up[5w])", "more than 32 days"),
    ] {
        assert_eq!(broken(query), Some(what), "{query}");
    }
    for group in list(&source(), "groups") {
        assert!(list(group, "rules").len() <= MOST_IN_A_GROUP, "{}", group["name"]);
        if let Some(interval) = group["interval"].as_str() {
            let minutes = interval.strip_suffix('m').and_then(|minutes| minutes.parse().ok());
            assert!(minutes.is_some_and(|minutes| EVALUATION_MINUTES.contains(&minutes)), "{interval}");
        }
    }
}

#[test]
fn azure_podmonitor_has_labels_and_limits() {
    let monitor = yaml("podmonitor.yaml");
    assert_eq!(
        (&monitor["apiVersion"], &monitor["kind"]),
        (&json!("azmonitoring.coreos.com/v1"), &json!("PodMonitor"))
    );
    let spec = &monitor["spec"];
    assert_eq!(spec["selector"]["matchLabels"], json!({"app.kubernetes.io/name": "redpath"}));
    assert_eq!(spec["podMetricsEndpoints"][0]["port"], "http");
    let limits = ["labelLimit", "labelNameLengthLimit", "labelValueLengthLimit"].map(|limit| spec[limit].as_u64());
    assert_eq!(limits, [Some(63), Some(511), Some(1023)]);
}

/// The ConfigMap of the add-on, whose scrape job Prometheus reads.
#[cfg(feature = "system-tests")]
#[test]
fn azure_scrape_job_passes_promtool() {
    let map = yaml("ama-metrics-prometheus-config.yaml");
    let metadata = json!({"name": "ama-metrics-prometheus-config", "namespace": "kube-system"});
    assert_eq!((&map["kind"], &map["metadata"]), (&json!("ConfigMap"), &metadata));
    let text = map["data"]["prometheus-config"].as_str().expect("the job");
    let directory = Directory::new("azure-scrape");
    // Debian's promtool knows no Kubernetes: the rest of the job is checked with a target of its own.
    let discovery = "kubernetes_sd_configs: [{role: pod}]";
    assert!(text.contains(discovery), "{text}");
    let file =
        directory.file("prometheus.yaml", &text.replace(discovery, "static_configs: [{targets: ['10.10.1.4:9736']}]"));
    let output = Command::new("promtool").args(["check", "config"]).arg(&file).output().expect("promtool runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
    let job: Value = serde_saphyr::from_str(text).expect("YAML");
    let job = &job["scrape_configs"][0];
    let limits =
        ["label_limit", "label_name_length_limit", "label_value_length_limit"].map(|limit| job[limit].as_u64());
    assert_eq!(limits, [Some(63), Some(511), Some(1023)]);
    assert_eq!(job["relabel_configs"][0]["regex"], "redpath;(http|redpath)");
}

/// The words of Bicep outside of its texts, and those that a text interpolates. Fails where a text or a bracket does
/// not end.
fn bicep_words(text: &str) -> BTreeSet<String> {
    let (mut words, mut open, mut word) = (BTreeSet::new(), Vec::new(), String::new());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let in_text = open.last() == Some(&'\'');
        if !in_text && (c.is_alphanumeric() || c == '_' || c == '.' && !word.is_empty()) {
            word.push(c);
            continue;
        }
        if !word.is_empty() && c != ':' {
            words.insert(word.split('.').next().expect("a word").to_owned());
        }
        word.clear();
        match c {
            '\\' if in_text => drop(chars.next()),
            '$' if in_text && chars.peek() == Some(&'{') => {
                chars.next();
                open.push('{');
            }
            '\'' if in_text => drop(open.pop()),
            '\n' if in_text => panic!("a text does not end on its line"),
            _ if in_text => {}
            '/' if chars.peek() == Some(&'/') => while chars.next_if(|c| *c != '\n').is_some() {},
            '\'' | '{' | '[' | '(' => open.push(c),
            '}' => assert_eq!(open.pop(), Some('{'), "{c}"),
            ']' => assert_eq!(open.pop(), Some('['), "{c}"),
            ')' => assert_eq!(open.pop(), Some('('), "{c}"),
            _ => {}
        }
    }
    assert!(open.is_empty(), "open at the end: {open:?}");
    words
}

/// No compiler of Bicep is among Debian's packages: its brackets, its texts and its names are looked at here.
#[test]
fn azure_bicep_names_are_declared() {
    let text = std::fs::read_to_string(folder().join("azure/rules.bicep")).expect("it is there");
    let declared: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| ["param ", "var ", "resource "].iter().find_map(|kind| line.strip_prefix(kind)))
        .filter_map(|rest| rest.split(' ').next())
        .collect();
    let of_bicep = "if param var resource string object array int true false null union empty contains resourceGroup \
                    description minValue maxValue";
    let of_bicep: BTreeSet<&str> = of_bicep.split_whitespace().collect();
    let unknown: Vec<String> = bicep_words(&text)
        .into_iter()
        .filter(|word| !declared.contains(word.as_str()) && !of_bicep.contains(word.as_str()))
        .filter(|word| !word.bytes().all(|byte| byte.is_ascii_digit()))
        .collect();
    assert_eq!(unknown, Vec::<String>::new(), "neither declared nor a word of Bicep");
    for parameter in ["alertThresholds", "alertWaits", "alertLabels", "disabledAlerts", "additionalRules"] {
        assert!(text.matches(parameter).count() > 1, "{parameter} is not used");
    }
    for expression in ["parameters(", "variables(", "concat(", "createObject("] {
        assert!(!text.contains(expression), "{expression} is of ARM templates");
    }
}
