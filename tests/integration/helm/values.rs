//! Values: what is unknown or contradictory is refused by both lines of Helm, before anything is installed.

use std::path::Path;

use serde_json::{Map, Value as Json};

use super::{CHART, LINES, ONE_TARGET, template};
use crate::output::assert_fixture;

/// The charts that have values of their own.
const CHARTS: [&str; 2] = [CHART, "helm/redpath-sidecar"];

fn json(path: &str) -> Json {
    serde_json::from_str(&std::fs::read_to_string(path).expect("a file")).expect("JSON")
}

#[test]
fn helm_unknown_value_is_refused() {
    for line in LINES {
        for (arguments, says) in [
            (&["--set", "tolerationz=x"][..], "tolerationz"),
            (&["--set", "image.name=x"], "name"),
            (&["--set", "networkPolicy.clusterDns.ports=x"], "ports"),
            (&["--set", "podMonitor.jobLabels=x"], "jobLabels"),
            (&["--set", "secretMounts[0].name=a,secretMounts[0].mountPath=/a,secretMounts[0].mode=1"], "mode"),
            (&["--set", "config.target=x"], "target"),
            (&["--set", "config.targets[0].hots=x"], "hots"),
            (&["--set", "config.targets[0].expect.endpoint=x"], "endpoint"),
            (&["--set", "kind=StatefulSet"], "kind"),
            (&["--set", "image.digest=latest"], "digest"),
            (&["--set", "podMonitor.apiVersion=v1"], "apiVersion"),
            // A bare `off` is false to Helm: the schema refuses what redpath would.
            (&["--set", "config.targets[0].cluster=false"], "cluster"),
        ] {
            let all = [&["--set", ONE_TARGET], arguments].concat();
            let said = template(line, CHART, &all).expect_err("a refusal");
            assert!(said.contains(says) && said.contains("schema"), "Helm {line}, {arguments:?}: {said}");
        }
    }
}

#[test]
fn helm_invalid_values_are_refused() {
    let one = ["--set", ONE_TARGET];
    for line in LINES {
        for (arguments, says) in [
            (vec![], "there is nothing to probe"),
            (vec!["--set", "config=null"], "there is nothing to probe"),
            ([&one[..], &["--set", "configFrom.existing=x"]].concat(), "both config and configFrom.existing are given"),
            ([&one[..], &["--set", "podDisruptionBudget.enabled=true"]].concat(), "podDisruptionBudget is for kind: Deployment"),
            (
                [&one[..], &["--set", "kind=Deployment,podDisruptionBudget.enabled=true,podDisruptionBudget.minAvailable=1,podDisruptionBudget.maxUnavailable=1"]].concat(),
                "one of them is expected",
            ),
            ([&one[..], &["--set", "serviceMonitor.enabled=true,service.enabled=false"]].concat(), "serviceMonitor needs service.enabled"),
            ([&one[..], &["--set", "serviceMonitor.enabled=true,podMonitor.enabled=true"]].concat(), "scraped twice"),
            ([&one[..], &["--set", "networkPolicy.enabled=true,dnsPolicy=Default"]].concat(), "networkPolicy.dnsServers with their addresses"),
            (vec!["--set", "configFrom.existing=x,networkPolicy.enabled=true"], "networkPolicy.redisPorts is empty"),
            ([&one[..], &["--kube-version", "1.24.0"]].concat(), "1.25"),
        ] {
            let said = template(line, CHART, &arguments).expect_err("a refusal");
            assert!(said.contains(says), "Helm {line}, {arguments:?}: {said}");
        }
    }
}

/// Every object of the schema that is the chart's own is closed; one that is not says whose it is.
#[test]
fn helm_schema_allows_no_other_keys() {
    fn walk(schema: &Json, path: &str) {
        let theirs = schema["description"].as_str().is_some_and(|words| words.contains("Kubernetes' own"));
        if !schema.is_object() || theirs || path == "/global" {
            return;
        }
        if schema["type"] == "object" {
            let closed = schema["additionalProperties"] == false && schema["properties"].is_object();
            let texts = schema["additionalProperties"]["type"] == "string";
            assert!(closed || texts, "{path} takes whatever it is given");
        }
        for key in ["properties", "items", "anyOf"] {
            match &schema[key] {
                Json::Object(inner) if key == "properties" => {
                    inner.iter().for_each(|(name, inner)| walk(inner, &format!("{path}/{name}")))
                }
                Json::Array(inner) => inner.iter().for_each(|inner| walk(inner, path)),
                inner => walk(inner, path),
            }
        }
    }
    for chart in CHARTS {
        walk(&json(&format!("{chart}/values.schema.json")), "");
    }
}

/// The part of the schema that is the agent's configuration follows from the program; `REWRITE_FIXTURES=1` renews it.
#[test]
fn helm_schema_embeds_config_schema() {
    for chart in CHARTS {
        let path = format!("{chart}/values.schema.json");
        let mut schema = json(&path);
        let mut own = redpath::config::schema();
        let keys = own.as_object_mut().expect("an object");
        // Empty where an existing one is used; that it is there is the templates' business.
        keys.shift_remove("required");
        keys.shift_remove("$schema");
        schema["properties"]["config"] = own;
        let text = serde_json::to_string_pretty(&schema).expect("JSON");
        assert_fixture(Path::new(&path), &format!("{text}\n"));
    }
}

/// Every value is in the schema, and every property of the schema has a value.
#[test]
fn helm_values_and_schema_have_same_keys() {
    fn same(values: &Map<String, Json>, schema: &Json, path: &str) {
        let known = schema["properties"].as_object().expect("properties");
        for name in known.keys().filter(|name| *name != "global") {
            assert!(values.contains_key(name), "{path}.{name} is in the schema alone");
        }
        for (name, value) in values {
            let schema = known.get(name).unwrap_or_else(|| panic!("{path}.{name} is not in the schema"));
            assert!(schema["description"].is_string(), "{path}.{name} has no description in the schema");
            if let Some(values) = value
                .as_object()
                .filter(|values| !values.is_empty() && schema["properties"].is_object() && name != "config")
            {
                same(values, schema, &format!("{path}.{name}"));
            }
        }
    }
    for chart in CHARTS {
        let values = std::fs::read_to_string(format!("{chart}/values.yaml")).expect("the values");
        let values: Json = serde_saphyr::from_str(&values).expect("YAML");
        same(values.as_object().expect("values"), &json(&format!("{chart}/values.schema.json")), chart);
    }
}
