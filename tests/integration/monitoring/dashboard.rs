//! The Grafana dashboard: a model that holds together, and queries that a real Prometheus answers.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use redpath::output::metrics::family::ALL;
use serde_json::Value;

use super::world::{HOST, LINKED, PRIVATE, PUBLIC, UNLINKED, World};
use crate::rules::metrics_in;

const DASHBOARD: &str = include_str!("../../../monitoring/dashboard/redpath.json");

/// Grafana's grid is so many columns wide.
const COLUMNS: u64 = 24;

fn dashboard() -> Value {
    serde_json::from_str(DASHBOARD).expect("JSON")
}

fn list<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value[member].as_array().unwrap_or_else(|| panic!("no {member} in {value}"))
}

/// Each query with its panel: title, expression, whether it asks for one moment alone.
fn queries() -> Vec<(String, String, bool)> {
    let of_panel = |panel: &Value| -> Vec<(String, String, bool)> {
        let title = panel["title"].as_str().expect("a title");
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        let query = |target: &Value| {
            (title.to_owned(), target["expr"].as_str().expect("a query").to_owned(), target["instant"] == true)
        };
        targets.iter().map(query).collect()
    };
    list(&dashboard(), "panels").iter().flat_map(of_panel).collect()
}

#[test]
fn dashboard_model_is_consistent() {
    let dashboard = dashboard();
    assert!(dashboard["schemaVersion"].as_u64() >= Some(39));
    assert_eq!(dashboard["uid"], "redpath");
    let (mut ids, mut titles, mut cells) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for panel in list(&dashboard, "panels") {
        let title = panel["title"].as_str().expect("a title");
        assert!(ids.insert(panel["id"].as_u64()) && titles.insert(title), "{title}: twice");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().expect("a number"));
        assert!(w > 0 && h > 0 && x + w <= COLUMNS, "{title}");
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(cells.insert(cell), "{title} lies over another panel");
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "{title} has no description");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        let mut letters = BTreeSet::new();
        for target in list(panel, "targets") {
            assert!(letters.insert(target["refId"].as_str().expect("a refId")), "{title}");
            assert!(
                target["datasource"]["uid"] == "${datasource}"
                    && !target["expr"].as_str().unwrap_or_default().is_empty()
            );
        }
        assert!(!letters.is_empty(), "{title} asks nothing");
    }
    // What a person on call looks for first.
    for wanted in
        ["Verdicts: subnet × target", "Path changes", "Phase latency, p95", "Resolver views now", "Findings now"]
    {
        assert!(titles.contains(wanted), "{wanted}");
    }
}

#[test]
fn dashboard_queries_use_known_metrics() {
    let dashboard = dashboard();
    let variables: BTreeSet<&str> = list(&dashboard["templating"], "list")
        .iter()
        .map(|variable| variable["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(variables, BTreeSet::from(["datasource", "subnet", "target"]));
    let known: BTreeSet<&str> = ALL.iter().map(|family| family.name).collect();
    let mut used = BTreeSet::new();
    for (title, query, _) in queries() {
        for after in query.split('$').skip(1) {
            let name: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            assert!(variables.contains(name.as_str()) || name == "__rate_interval", "{title}: ${name}");
            used.insert(name);
        }
        for metric in metrics_in(&query) {
            assert!(known.contains(metric.as_str()), "{title}: {metric} is no metric of redpath");
        }
    }
    assert!(used.contains("subnet") && used.contains("target"), "{used:?}");
}

/// Two vantages, one of them on the public path; a target that fails, one over its budget, one whose public address
/// is open; and a name server that changed its answer.
#[test]
fn dashboard_queries_return_data() {
    let mut world = World::new();
    let defaults = "defaults: {interval: 500ms, tls: {ca_file: CA_FILE}}\n";
    world.agent(
        "app-a",
        &format!(
            "{defaults}resolvers: [{{name: hub, address: {LINKED}}}, {{name: forwarder, address: {UNLINKED}}}]\n\
             targets:\n\
             - {{name: sessions, host: {HOST}, expect: {{endpoints: [{PRIVATE}], latency: {{ping: 1us}}}}, \
             posture: {{public_access: closed, public_address: {PUBLIC}}}}}\n\
             - {{name: baskets, host: missing.redis.cache.windows.net}}\n\
             - {{name: other-port, host: {HOST}, port: 6399, views: [libc]}}\n"
        ),
    );
    world.agent(
        "app-b",
        &format!(
            "{defaults}resolvers: [{{name: forwarder, address: {UNLINKED}}}]\n\
             targets: [{{name: sessions, host: {HOST}, views: [forwarder]}}]\n"
        ),
    );
    world.prometheus("1s", "1s");
    let path = |is: u8| format!("redpath_path_private{{target=\"sessions\",instance=\"127.0.0.1:9736\"}} == {is}");
    let seen = |what: &str, query: String| {
        world.wait_for(what, |world| (!world.query(&query, "").is_empty()).then_some(()));
    };
    seen("the private path", path(1));
    world.sees_private_zone(false);
    seen("the public path", path(0));
    world.sees_private_zone(true);
    seen("the private path again", path(1));

    for (title, query, instant) in queries() {
        let asked = query.replace("$__rate_interval", "10s").replace("$subnet", ".*").replace("$target", ".*");
        world.wait_for(&format!("an answer to {title:?}: {asked}"), |world| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
            let series = if instant { world.query(&asked, "") } else { world.query_range(&asked, now) };
            series.iter().any(has_a_number).then_some(())
        });
    }
    // As Grafana asks for the values of the variables.
    for variable in list(&dashboard()["templating"], "list") {
        let Some(definition) = variable["definition"].as_str() else { continue };
        let inner = definition.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')).expect("its form");
        let (metric, label) = inner.split_once(", ").expect("a metric and a label");
        let values = world.get(&format!("/api/v1/label/{label}/values?match[]={metric}"));
        assert!(list(&values, "data").len() >= 2, "{definition}: {values}");
    }
    // The matrix: the worst of each subnet and target.
    let (_, matrix, _) = queries().into_iter().find(|(title, ..)| title.starts_with("Verdicts: subnet")).expect("it");
    let cells = world.query(&matrix.replace("$subnet", ".*").replace("$target", ".*"), "");
    let mut cells: Vec<String> = cells
        .iter()
        .map(|cell| {
            format!("{} {} {}", cell["metric"]["subnet"], cell["metric"]["target"], cell["value"][1]).replace('"', "")
        })
        .collect();
    cells.sort();
    assert_eq!(cells, ["app-a baskets 4", "app-a other-port 4", "app-a sessions 4", "app-b sessions 4"]);
}

fn has_a_number(series: &Value) -> bool {
    let is_number = |sample: &Value| sample[1].as_str().is_some_and(|value| value != "NaN");
    is_number(&series["value"]) || series["values"].as_array().is_some_and(|values| values.iter().any(is_number))
}
