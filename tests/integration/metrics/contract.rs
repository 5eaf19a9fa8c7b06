//! What others rely on: the page as a reviewed fixture, the documentation, and promtool's opinion.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use redpath::clock::Timestamp;
use redpath::journal::digest::Digest;
use redpath::journal::recorder::Status;
use redpath::journal::verify::Head;
use redpath::output::metrics::family::{ALL, Family, ON_DEMAND};
use redpath::output::metrics::{ExpositionFormat, HttpCounts};
use redpath::output::prometheus::{blackbox_exposition, exposition_of};

use super::super::output::assert_fixture;
use super::records::{closed_outside, cluster, healthy, plan, seen_by_private_link, silent, unlinked};
use super::{metrics_for, text};

const FIXTURE: &str = include_str!("../../fixtures/metrics.txt");
const DOCUMENTATION: &str = include_str!("../../../docs/metrics.md");

/// A healthy target, one on the public path after a silent endpoint, a cluster, and one not probed yet.
fn page() -> redpath::output::metrics::Metrics {
    let plans = ["sessions", "baskets", "reports", "orders"].map(plan);
    let metrics = metrics_for(&plans);
    metrics.reload(true, Timestamp::from_unix(1_795_305_500).expect("a time"));
    metrics.schedule_lag(Duration::from_millis(250));
    metrics.http(HttpCounts { connections: 3, refused: 1 });
    let head = Head { number: 1204, digest: Digest::of(b"abc") };
    metrics.journal(move || Status { head, write_failures: 2 });
    metrics.observe(&Arc::new(seen_by_private_link(closed_outside(healthy(&plans[0], 0)))));
    metrics.observe(&Arc::new(silent(&plans[1], 5)));
    metrics.observe(&Arc::new(unlinked(&plans[1], 20)));
    metrics.observe(&Arc::new(cluster(&plans[3], 25)));
    metrics
}

/// The page with `0` for the process' own values and names in place of the build's.
fn normalised(page: &str) -> String {
    let build =
        [("version", env!("CARGO_PKG_VERSION")), ("os", std::env::consts::OS), ("arch", std::env::consts::ARCH)];
    let mut lines = Vec::new();
    for line in page.lines() {
        lines.push(match line.split_once(' ') {
            Some((series, _)) if series.starts_with("process_") => format!("{series} 0"),
            Some((series, value)) if series.starts_with("redpath_build_info") => {
                let named = |text: String, (label, value): (&str, &str)| {
                    text.replace(&format!("{label}=\"{value}\""), &format!("{label}=\"{}\"", label.to_uppercase()))
                };
                format!("{} {value}", build.into_iter().fold(series.to_owned(), named))
            }
            _ => line.to_owned(),
        });
    }
    lines.join("\n") + "\n"
}

#[test]
fn metrics_page_is_reviewed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/metrics.txt");
    assert_fixture(&path, &normalised(&text(&page())));
}

/// Name, type and labels of what a page has, from its `# TYPE` lines and its series.
fn families_of(page: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut families: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    for line in page.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            let (name, kind) = declared.split_once(' ').expect("a name and a type");
            assert!(families.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new())).is_none(), "{name} twice");
        } else if !line.starts_with('#') {
            let (name, rest) = line.split_once(['{', ' ']).expect("a name and a value");
            let family = ["_bucket", "_sum", "_count"].into_iter().find_map(|suffix| {
                name.strip_suffix(suffix)
                    .filter(|name| families.get(*name).is_some_and(|(kind, _)| kind == "histogram"))
            });
            let (_, labels) = families.get_mut(family.unwrap_or(name)).expect("a type before the series");
            let Some((pairs, _)) = rest.rsplit_once("} ") else { continue };
            let names = pairs.split("\",").filter_map(|pair| Some(pair.split_once('=')?.0.to_owned()));
            labels.extend(names.filter(|name| name != "le"));
        }
    }
    families
}

fn declared(families: &[&Family]) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let labels = |family: &Family| family.labels.iter().map(|label| (*label).to_owned()).collect();
    families.iter().map(|family| (family.name.to_owned(), (family.kind.as_str().to_owned(), labels(family)))).collect()
}

#[test]
fn metrics_fixture_has_all_declared() {
    let mut in_fixture = families_of(FIXTURE);
    let mut in_code = declared(ALL);
    for families in [&mut in_fixture, &mut in_code] {
        // Its labels are the operator's; those of the fixture are read in the test of their names.
        families.get_mut("redpath_vantage_info").expect("it is there").1.clear();
    }
    assert_eq!(in_fixture, in_code);
    for family in ALL {
        assert!(FIXTURE.contains(&format!("# HELP {} {}\n", family.name, family.help)), "{}", family.name);
        assert!(!family.help.contains(['\\', '"', '\n']), "{}: OpenMetrics needs escapes in its help", family.name);
    }
}

#[test]
fn metrics_probe_page_has_all_declared() {
    let on_page: BTreeMap<_, _> = families_of(&blackbox_exposition(&healthy(&plan("sessions"), 0)))
        .into_iter()
        .filter(|(name, _)| name.starts_with("probe_"))
        .collect();
    assert_eq!(on_page, declared(ON_DEMAND));
}

/// The tables of the documentation: `| `name` | type | labels | unit | meaning | when it exists |`.
#[test]
fn metrics_documentation_has_each_once() {
    let mut documented = BTreeMap::new();
    for line in DOCUMENTATION.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, unit, meaning, exists] = cells.as_slice() else { panic!("six columns: {line}") };
        assert!(!meaning.is_empty() && !exists.is_empty() && !unit.is_empty(), "{line}");
        let labels: BTreeSet<String> = labels.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        let name = name.trim_matches('`').to_owned();
        assert!(documented.insert(name.clone(), ((*kind).to_owned(), labels)).is_none(), "{name} stands there twice");
        if name.ends_with("_timestamp_seconds") {
            assert_eq!(*unit, "seconds since 1970", "{name}");
        }
    }
    let mut in_code = declared(ALL);
    in_code.extend(declared(ON_DEMAND));
    assert_eq!(documented, in_code);
}

#[cfg(feature = "system-tests")]
#[test]
fn metrics_promtool_has_no_objection() {
    let plan = plan("sessions");
    let records = [healthy(&plan, 0), unlinked(&plan, 15)];
    for page in [text(&page()), exposition_of(&records[1..]), blackbox_exposition(&records[0])] {
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("promtool is missing ({error}): apt-get install prometheus"));
        promtool.stdin.take().expect("a pipe").write_all(page.as_bytes()).expect("promtool reads");
        let output = promtool.wait_with_output().expect("promtool ends");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success() && said.is_empty(), "promtool says: {said}\nof {page}");
    }
}

/// OpenMetrics 1.0.0, the rules that a scrape fails on, and the same numbers as in the text format.
#[test]
fn metrics_open_metrics_equals_text() {
    let metrics = page();
    let page = String::from_utf8(metrics.encode(ExpositionFormat::OpenMetrics)).expect("UTF-8");
    let body = page.strip_suffix("# EOF\n").expect("the end is marked");
    assert!(!body.contains("# EOF") && body.lines().all(|line| !line.is_empty()));

    let (mut family, mut kind, mut seen) = ("", "", BTreeSet::new());
    let mut as_text = BTreeSet::new();
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let (word, rest) = rest.split_once(' ').expect("a word");
            let (name, rest) = rest.split_once(' ').expect("a name");
            if word == "TYPE" {
                (family, kind) = (name, rest);
                assert!(seen.insert(name), "{name} is interleaved");
                assert!(kind != "counter" || !name.ends_with("_total"), "{line}");
            }
            continue;
        }
        let name = line.split(['{', ' ']).next().expect("a name");
        let suffix = name.strip_prefix(family).unwrap_or_else(|| panic!("{line} stands under {family}"));
        let allowed: &[&str] = match kind {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        assert!(allowed.contains(&suffix), "{line} in a {kind}");
        if let Some((_, bound)) = line.split_once("le=\"") {
            let bound = bound.split('"').next().expect("a bound");
            assert!(bound == "+Inf" || bound.contains('.'), "{line}");
        }
        as_text.insert(with_labels_sorted(line).replace("le=\"1.0\"", "le=\"1\"").replace("le=\"5.0\"", "le=\"5\""));
    }
    let text = text(&metrics);
    let expected = text.lines().filter(|line| !line.starts_with('#')).map(with_labels_sorted);
    let is_stable = |line: &String| !line.starts_with("process_");
    let expected: BTreeSet<String> = expected.filter(is_stable).collect();
    as_text.retain(is_stable);
    let differing: Vec<&String> = as_text.symmetric_difference(&expected).collect();
    assert!(differing.is_empty(), "{differing:?}");
}

/// A line with its labels sorted: the two formats have `le` in different places.
fn with_labels_sorted(line: &str) -> String {
    let Some((name, rest)) = line.split_once('{') else { return line.to_owned() };
    let (labels, value) = rest.rsplit_once("\"} ").expect("labels and a value");
    let mut labels: Vec<&str> = labels.split("\",").collect();
    labels.sort_unstable();
    format!("{name}{{{}\"}} {value}", labels.join("\","))
}
