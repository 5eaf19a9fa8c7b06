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
    for wanted in [
        "Verdicts: subnet × target",
        "Usable: subnet × target",
        "Application: subnet × target",
        "Path changes",
        "Phase latency, p95",
        "Resolver views now",
        "Findings now",
        "Addresses in use",
        "Verdict of each vantage",
    ] {
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
    let chosen = ["cluster", "vnet", "subnet", "node", "pod", "target"];
    let others = ["datasource", "before", "pages"];
    assert_eq!(variables, chosen.into_iter().chain(others).collect());
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
    for variable in chosen.iter().chain(&["before"]) {
        assert!(used.contains(*variable), "{variable} is in no query");
    }
    // A cutover compares the same query at two times.
    for (title, query, _) in queries().iter().filter(|(_, query, _)| query.contains(" offset $before")) {
        let now = query.replace(" offset $before", "");
        assert!(queries().iter().any(|(other, query, _)| other == title && *query == now), "{title}");
    }
}

/// What has a page leads to it, and rows lead to the nodes and pods behind them.
#[test]
fn dashboard_links_lead_to_pages_and_vantages() {
    let dashboard = dashboard();
    let links = |title: &str, column: &str| -> Vec<String> {
        let panel = list(&dashboard, "panels").iter().find(|panel| panel["title"] == title).expect("the panel");
        let of_column = list(&panel["fieldConfig"], "overrides").iter().filter(|at| at["matcher"]["options"] == column);
        let properties = of_column.flat_map(|at| list(at, "properties")).filter(|property| property["id"] == "links");
        let urls = properties.flat_map(|property| list(property, "value")).map(|link| link["url"].as_str());
        urls.map(|url| url.expect("an address").to_owned()).collect()
    };
    for (title, column) in [("Findings now", "code"), ("Verdict of each vantage", "cause")] {
        assert_eq!(links(title, column), ["${pages}${__value.raw}.md"], "{title}");
    }
    for (title, column, variable) in [
        ("Verdicts: subnet × target", "subnet\\target", "var-subnet"),
        ("Vantages", "node", "var-node"),
        ("Vantages", "pod", "var-pod"),
    ] {
        let urls = links(title, column);
        let variable = format!("&{variable}=${{__value.raw}}");
        assert!(urls.len() == 1 && urls[0].starts_with("/d/redpath?") && urls[0].contains(&variable), "{urls:?}");
    }
    let findings = queries().into_iter().find(|(title, ..)| title == "Findings now").expect("the panel").1;
    assert!(findings.contains("severity!=\"info\""), "{findings}");
}

/// The query with all values of each variable, and a time of comparison that a young Prometheus has.
fn for_all(query: &str) -> String {
    let mut query = query.replace("$__rate_interval", "10s").replace("$before", "1s");
    for variable in ["$cluster", "$vnet", "$subnet", "$node", "$pod", "$target"] {
        query = query.replace(variable, ".*");
    }
    query
}

/// Two vantages, one of them on the public path; a target that fails, one over its budget, one whose public address
/// is open; and a name server that changed its answer.
#[test]
fn dashboard_queries_return_data() {
    let mut world = World::new();
    let defaults = "defaults: {interval: 500ms, application: on, tls: {ca_file: CA_FILE}}\n";
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
        let asked = for_all(&query);
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
        let metric: String = for_all(metric).bytes().map(|byte| format!("%{byte:02x}")).collect();
        let values = world.get(&format!("/api/v1/label/{label}/values?match[]={metric}"));
        // This machine is no node, and this Prometheus has no clusters.
        let least = match label {
            "subnet" | "target" => 2,
            "vnet" => 1,
            _ => 0,
        };
        assert!(list(&values, "data").len() >= least, "{definition}: {values}");
    }
    // The matrix: the worst of each subnet and target.
    let (_, matrix, _) = queries().into_iter().find(|(title, ..)| title.starts_with("Verdicts: subnet")).expect("it");
    let cells = world.query(&for_all(&matrix), "");
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
