//! The forms that the rules are shipped in beside their source, as pure functions from it: the custom resource of
//! the Prometheus operator, and the ARM template and Bicep file for Azure Managed Prometheus. Shapes and limits of
//! the latter are those of Microsoft.AlertsManagement/prometheusRuleGroups, API 2023-03-01.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

const GENERATED: &str = "Generated from monitoring/rules/redpath.rules.yaml; a change belongs there.";

/// How often Azure evaluates them: its shortest.
const AZURE_INTERVAL: &str = "PT1M";
/// How long Azure sees a condition gone before it resolves the alert; 1 to 15 minutes.
const AZURE_RESOLVES_AFTER: &str = "PT2M";

/// What stands in Bicep where the ARM template has an expression.
const EXPRESSIONS: [(&str, &str); 4] = [
    ("[parameters('location')]", "location"),
    ("[parameters('azureMonitorWorkspaceId')]", "azureMonitorWorkspaceId"),
    ("[if(empty(parameters('clusterName')), null(), parameters('clusterName'))]", CLUSTER_IN_BICEP),
    ("[variables('actions')]", "actions"),
];
const CLUSTER_IN_BICEP: &str = "empty(clusterName) ? null : clusterName";

/// Name, description and default of the parameters; without a default they are required.
const PARAMETERS: [(&str, &str, Option<&str>); 4] = [
    ("location", "Where the rule groups live: the location of the workspace.", Some("[resourceGroup().location]")),
    ("azureMonitorWorkspaceId", "Resource ID of the Azure Monitor workspace that has the metrics.", None),
    (
        "clusterName",
        "Name of the AKS cluster whose metrics alone are looked at; all of the workspace where empty.",
        Some(""),
    ),
    ("actionGroupId", "Resource ID of the action group that is told; nobody where empty.", Some("")),
];

/// The custom resource: the source itself, two columns further in.
pub(super) fn prometheus_rule(source: &str) -> String {
    let (_, groups) = source.split_once("\ngroups:\n").expect("the groups");
    let mut text = format!(
        "# {GENERATED}\napiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: redpath\n  \
         labels:\n    app.kubernetes.io/name: redpath\nspec:\n  groups:\n"
    );
    for line in groups.lines() {
        let indent = if line.is_empty() { "" } else { "  " };
        let _ = writeln!(text, "{indent}{line}");
    }
    text
}

/// The ARM template.
pub(super) fn arm(source: &Value) -> Value {
    let parameter = |(name, description, default): (&str, &str, Option<&str>)| {
        let mut parameter = json!({"type": "string"});
        if let Some(default) = default {
            parameter["defaultValue"] = default.into();
        }
        parameter["metadata"] = json!({"description": description});
        (name.to_owned(), parameter)
    };
    let actions = "[if(empty(parameters('actionGroupId')), createArray(), \
                   createArray(createObject('actionGroupId', parameters('actionGroupId'))))]";
    json!({
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "metadata": {"description": GENERATED},
        "parameters": PARAMETERS.into_iter().map(parameter).collect::<Map<_, _>>(),
        "variables": {"actions": actions},
        "resources": list(source, "groups").iter().map(group).collect::<Vec<_>>(),
    })
}

fn group(group: &Value) -> Value {
    let name = group["name"].as_str().expect("a name");
    json!({
        "type": "Microsoft.AlertsManagement/prometheusRuleGroups",
        "apiVersion": "2023-03-01",
        "name": name,
        "location": EXPRESSIONS[0].0,
        "properties": {
            "description": format!("redpath: the group {name} of its rules"),
            "scopes": [EXPRESSIONS[1].0],
            "clusterName": EXPRESSIONS[2].0,
            "enabled": true,
            "interval": group["interval"].as_str().map_or_else(|| AZURE_INTERVAL.to_owned(), iso_8601),
            "rules": list(group, "rules").iter().map(rule).collect::<Vec<_>>(),
        },
    })
}

fn rule(rule: &Value) -> Value {
    let expression = rule["expr"].as_str().expect("an expression").split_whitespace().collect::<Vec<_>>().join(" ");
    let Some(alert) = rule["alert"].as_str() else {
        return json!({"record": rule["record"], "expression": expression, "enabled": true});
    };
    let severity = match rule["labels"]["severity"].as_str() {
        Some("critical") => 0,
        Some("warning") => 2,
        other => panic!("{alert}: {other:?} is no severity that Azure's are known for"),
    };
    let mut made = json!({"alert": alert, "expression": expression});
    if let Some(wait) = rule["for"].as_str() {
        made["for"] = iso_8601(wait).into();
    }
    made["severity"] = severity.into();
    made["enabled"] = true.into();
    made["labels"] = rule["labels"].clone();
    made["annotations"] = rule["annotations"].clone();
    made["resolveConfiguration"] = json!({"autoResolved": true, "timeToResolve": AZURE_RESOLVES_AFTER});
    made["actions"] = EXPRESSIONS[3].0.into();
    made
}

/// The rules of an ARM template, as Prometheus reads them.
pub(super) fn from_arm(template: &Value) -> Value {
    let rule = |rule: &Value| {
        let mut made = Map::new();
        for (theirs, ours) in [("alert", "alert"), ("record", "record"), ("expression", "expr")] {
            if let Some(value) = rule.get(theirs) {
                made.insert(ours.to_owned(), value.clone());
            }
        }
        if let Some(wait) = rule["for"].as_str() {
            made.insert("for".to_owned(), wait.replace("PT", "").to_lowercase().into());
        }
        for same in ["labels", "annotations"] {
            if let Some(value) = rule.get(same) {
                made.insert(same.to_owned(), value.clone());
            }
        }
        Value::Object(made)
    };
    let group = |group: &Value| json!({"name": group["name"], "rules": list(&group["properties"], "rules").iter().map(rule).collect::<Vec<_>>()});
    json!({"groups": list(template, "resources").iter().map(group).collect::<Vec<_>>()})
}

/// The same as Bicep.
pub(super) fn bicep(template: &Value) -> String {
    let mut text = format!("// {GENERATED}\n");
    for (name, description, default) in PARAMETERS {
        let default = match default {
            None => String::new(),
            Some("[resourceGroup().location]") => " = resourceGroup().location".to_owned(),
            Some(default) => format!(" = {}", quoted(default)),
        };
        let _ = write!(text, "\n@description({})\nparam {name} string{default}\n", quoted(description));
    }
    text += "\nvar actions = empty(actionGroupId) ? [] : [\n  {\n    actionGroupId: actionGroupId\n  }\n]\n";
    for resource in list(template, "resources") {
        let member = |name: &str| resource[name].as_str().expect("text");
        let mut body = resource.as_object().expect("a resource").clone();
        body.retain(|name, _| name != "type" && name != "apiVersion");
        let symbol = member("name").replace("redpath.", "");
        let kind = quoted(&format!("{}@{}", member("type"), member("apiVersion")));
        let _ = writeln!(text, "\nresource {symbol} {kind} = {}", in_bicep(&Value::Object(body), 0));
    }
    text
}

fn in_bicep(value: &Value, depth: usize) -> String {
    let (inner, outer) = ("  ".repeat(depth + 1), "  ".repeat(depth));
    match value {
        Value::String(text) => EXPRESSIONS
            .iter()
            .find(|(arm, _)| arm == text)
            .map_or_else(|| quoted(text), |(_, bicep)| (*bicep).to_owned()),
        Value::Array(items) => {
            let items: String = items.iter().map(|item| format!("{inner}{}\n", in_bicep(item, depth + 1))).collect();
            format!("[\n{items}{outer}]")
        }
        Value::Object(members) => {
            let members =
                members.iter().map(|(name, value)| format!("{inner}{name}: {}\n", in_bicep(value, depth + 1)));
            format!("{{\n{}{outer}}}", members.collect::<String>())
        }
        other => other.to_string(),
    }
}

/// <https://learn.microsoft.com/azure/azure-resource-manager/bicep/data-types#strings>
fn quoted(text: &str) -> String {
    assert!(!text.starts_with('[') && !text.contains('\n'), "{text:?} would be an expression, or needs an escape");
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace("${", "\\${"))
}

fn iso_8601(duration: &str) -> String {
    assert!(duration.ends_with(['s', 'm', 'h']), "{duration}: one number and s, m or h");
    format!("PT{}", duration.to_uppercase())
}

/// A member that is a list.
pub(super) fn list<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value[member].as_array().unwrap_or_else(|| panic!("{member} is no list in {value}"))
}
