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
const EXPRESSIONS: [(&str, &str); 7] = [
    ("[parameters('location')]", "location"),
    ("[parameters('azureMonitorWorkspaceId')]", "azureMonitorWorkspaceId"),
    ("[if(empty(parameters('clusterName')), null(), parameters('clusterName'))]", CLUSTER_IN_BICEP),
    ("[variables('actions')]", "actions"),
    ("[parameters('criticalSeverity')]", "criticalSeverity"),
    ("[parameters('warningSeverity')]", "warningSeverity"),
    ("[parameters('additionalRules')]", "additionalRules"),
];
const CLUSTER_IN_BICEP: &str = "empty(clusterName) ? null : clusterName";

/// When there is a group of the operator's own rules, in the ARM template and in Bicep.
const HAS_OWN_RULES: [&str; 2] = ["[not(empty(parameters('additionalRules')))]", "!empty(additionalRules)"];

/// What stands around the text of an alert's own in an expression of ARM.
const ENABLED: [&str; 2] = ["[not(contains(parameters('disabledAlerts'), '", "'))]"];
const RUNBOOK: [&str; 2] = ["[concat(parameters('runbookBaseUrl'), '", "')]"];
const LABELS: [&str; 2] = ["[union(createObject('", "'), parameters('alertLabels'))]"];
const THRESHOLD: [&str; 3] = ["[concat('", "', variables('thresholds').", ")]"];
const WAIT: [&str; 2] = ["[variables('waits').", "]"];

/// What differs of single alerts, by their names: the variable of the template, and the parameter that outranks its
/// defaults.
const BY_ALERT: [(&str, &str); 2] = [("thresholds", "alertThresholds"), ("waits", "alertWaits")];

struct Parameter {
    name: &'static str,
    kind: &'static str,
    description: &'static str,
    /// In the ARM template and in Bicep; a parameter without one is required.
    default: Option<(Value, &'static str)>,
}

fn parameters() -> [Parameter; 12] {
    let parameter = |name, kind, default, description| Parameter { name, kind, description, default };
    let text = || Some((json!(""), "''"));
    let location = Some((json!("[resourceGroup().location]"), "resourceGroup().location"));
    [
        parameter("location", "string", location, "Where the rule groups live: the location of the workspace."),
        parameter(
            "azureMonitorWorkspaceId",
            "string",
            None,
            "Resource ID of the Azure Monitor workspace that has the metrics.",
        ),
        parameter(
            "clusterName",
            "string",
            text(),
            "Name of the AKS cluster whose metrics alone are looked at; all of the workspace where empty.",
        ),
        parameter(
            "actionGroupId",
            "string",
            text(),
            "Resource ID of the action group that is told; nobody where empty.",
        ),
        parameter(
            "runbookBaseUrl",
            "string",
            text(),
            "Put in front of docs/monitoring.md#... in the runbook_url of each alert, with its slash at the end.",
        ),
        parameter(
            "alertLabels",
            "object",
            Some((json!({}), "{}")),
            "Labels of every alert, such as {team: 'payments'}.",
        ),
        parameter(
            "alertThresholds",
            "object",
            Some((json!({}), "{}")),
            "Numbers that end the expressions of alerts, as texts, such as {RedpathScheduleLag: '2'}.",
        ),
        parameter(
            "alertWaits",
            "object",
            Some((json!({}), "{}")),
            "The for of alerts that have one, such as {RedpathProbeFailing: 'PT10M'}.",
        ),
        parameter(
            "additionalRules",
            "array",
            Some((json!([]), "[]")),
            "Rules of your own, as prometheusRuleGroups has them, in a group of their own.",
        ),
        parameter("disabledAlerts", "array", Some((json!([]), "[]")), "Names of the alerts that are switched off."),
        parameter(
            "criticalSeverity",
            "int",
            Some((json!(0), "0")),
            "Severity in Azure of the critical alerts, 0 to 4.",
        ),
        parameter("warningSeverity", "int", Some((json!(2), "2")), "Severity in Azure of the warnings, 0 to 4."),
    ]
}

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
    let parameter = |parameter: Parameter| {
        let mut made = json!({"type": parameter.kind});
        if let Some((default, _)) = parameter.default {
            made["defaultValue"] = default;
        }
        if parameter.kind == "int" {
            (made["minValue"], made["maxValue"]) = (json!(0), json!(4));
        }
        made["metadata"] = json!({"description": parameter.description});
        (parameter.name.to_owned(), made)
    };
    let actions = "[if(empty(parameters('actionGroupId')), createArray(), \
                   createArray(createObject('actionGroupId', parameters('actionGroupId'))))]";
    json!({
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "metadata": {"description": GENERATED},
        "parameters": parameters().into_iter().map(parameter).collect::<Map<_, _>>(),
        "variables": variables(source, actions),
        "resources": list(source, "groups").iter().map(group).chain([own_rules()]).collect::<Vec<_>>(),
    })
}

fn variables(source: &Value, actions: &str) -> Value {
    let defaults = [defaults(source, |rule| Some(threshold(rule)?.1)), defaults(source, wait)];
    let mut variables = json!({"actions": actions});
    for ((name, parameter), defaults) in BY_ALERT.iter().zip(defaults) {
        let words: Vec<String> = defaults.into_iter().flat_map(|(alert, value)| [alert, value]).collect();
        variables[*name] = format!("[union(createObject('{}'), parameters('{parameter}'))]", words.join("', '")).into();
    }
    variables
}

/// A value of each alert that has one.
fn defaults(source: &Value, value: impl Fn(&Value) -> Option<String>) -> Vec<(String, String)> {
    let rules = list(source, "groups").iter().flat_map(|group| list(group, "rules"));
    rules.filter_map(|rule| Some((rule["alert"].as_str()?.to_owned(), value(rule)?))).collect()
}

/// The defaults of a variable of the template.
fn defaults_of(template: &Value, name: &str) -> Map<String, Value> {
    let text = template["variables"][name].as_str().expect("an expression");
    let text = text.strip_prefix("[union(createObject('").and_then(|text| text.split_once("'), parameters('"));
    let words: Vec<&str> = text.expect("a union").0.split("', '").collect();
    words.chunks(2).map(|pair| (pair[0].to_owned(), pair[1].into())).collect()
}

/// The expression on one line.
fn expression(rule: &Value) -> String {
    rule["expr"].as_str().expect("an expression").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The expression up to its threshold, and that number, where it ends with a comparison.
fn threshold(rule: &Value) -> Option<(String, String)> {
    let expression = expression(rule);
    let (before, number) = expression.rsplit_once(' ')?;
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let compares = [" >", " <", " >=", " <="].iter().any(|sign| before.ends_with(sign));
    (is_number && compares).then(|| (format!("{before} "), number.to_owned()))
}

fn wait(rule: &Value) -> Option<String> {
    Some(iso_8601(rule["for"].as_str()?))
}

fn group(group: &Value) -> Value {
    let name = group["name"].as_str().expect("a name");
    let interval = group["interval"].as_str().map_or_else(|| AZURE_INTERVAL.to_owned(), iso_8601);
    let rules = list(group, "rules").iter().map(rule).collect::<Vec<_>>();
    rule_group(name, &format!("redpath: the group {name} of its rules"), &interval, rules.into())
}

fn own_rules() -> Value {
    let rules = EXPRESSIONS[6].0.into();
    let mut group =
        rule_group("redpath.additional", "rules of your own beside those of redpath", AZURE_INTERVAL, rules);
    group["condition"] = HAS_OWN_RULES[0].into();
    group
}

fn rule_group(name: &str, description: &str, interval: &str, rules: Value) -> Value {
    json!({
        "type": "Microsoft.AlertsManagement/prometheusRuleGroups",
        "apiVersion": "2023-03-01",
        "name": name,
        "location": EXPRESSIONS[0].0,
        "properties": {
            "description": description,
            "scopes": [EXPRESSIONS[1].0],
            "clusterName": EXPRESSIONS[2].0,
            "enabled": true,
            "interval": interval,
            "rules": rules,
        },
    })
}

fn rule(rule: &Value) -> Value {
    let Some(alert) = rule["alert"].as_str() else {
        return json!({"record": rule["record"], "expression": expression(rule), "enabled": true});
    };
    let expression = match threshold(rule) {
        Some((before, _)) => [THRESHOLD[0], &before.replace('\'', "''"), THRESHOLD[1], alert, THRESHOLD[2]].concat(),
        None => expression(rule),
    };
    let severity = match rule["labels"]["severity"].as_str() {
        Some("critical") => EXPRESSIONS[4].0,
        Some("warning") => EXPRESSIONS[5].0,
        other => panic!("{alert}: {other:?} is no severity that Azure's are known for"),
    };
    let mut made = json!({"alert": alert, "expression": expression});
    if wait(rule).is_some() {
        made["for"] = around(&WAIT, alert).into();
    }
    made["severity"] = severity.into();
    made["enabled"] = around(&ENABLED, alert).into();
    let labels = rule["labels"].as_object().expect("labels").iter();
    let labels: Vec<&str> = labels.flat_map(|(name, value)| [name, value.as_str().expect("text")]).collect();
    made["labels"] = around(&LABELS, &labels.join("', '")).into();
    made["annotations"] = rule["annotations"].clone();
    made["annotations"]["runbook_url"] =
        around(&RUNBOOK, rule["annotations"]["runbook_url"].as_str().expect("text")).into();
    made["resolveConfiguration"] = json!({"autoResolved": true, "timeToResolve": AZURE_RESOLVES_AFTER});
    made["actions"] = EXPRESSIONS[3].0.into();
    made
}

fn around(expression: &[&str; 2], text: &str) -> String {
    assert!(!text.replace("', '", "").contains('\''), "{text:?} ends the text of an expression");
    format!("{}{text}{}", expression[0], expression[1])
}

fn within<'t>(expression: &[&str; 2], text: &'t str) -> Option<&'t str> {
    text.strip_prefix(expression[0])?.strip_suffix(expression[1])
}

/// The text before a threshold, and the name of the alert.
fn threshold_of(text: &str) -> Option<(String, &str)> {
    let text = text.strip_prefix(THRESHOLD[0])?.strip_suffix(THRESHOLD[2])?;
    let (before, alert) = text.split_once(THRESHOLD[1])?;
    Some((before.replace("''", "'"), alert))
}

/// The labels of an expression: names and values in turn.
fn labels_of(text: &str) -> Option<Map<String, Value>> {
    let words: Vec<&str> = within(&LABELS, text)?.split("', '").collect();
    Some(words.chunks(2).map(|pair| (pair[0].to_owned(), pair[1].into())).collect())
}

/// What a text of the template is with the parameters' defaults.
fn with_defaults(value: &Value) -> Value {
    match value {
        Value::String(text) => labels_of(text)
            .map(Value::Object)
            .or_else(|| Some(within(&RUNBOOK, text)?.into()))
            .unwrap_or_else(|| value.clone()),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), with_defaults(value))).collect(),
        other => other.clone(),
    }
}

/// The rules of an ARM template, as Prometheus reads them.
pub(super) fn from_arm(template: &Value) -> Value {
    let [thresholds, waits] = BY_ALERT.map(|(variable, _)| defaults_of(template, variable));
    let rule = |rule: &Value| {
        let mut made = Map::new();
        for same in ["alert", "record"] {
            if let Some(value) = rule.get(same) {
                made.insert(same.to_owned(), value.clone());
            }
        }
        let text = rule["expression"].as_str().expect("an expression");
        let expression = threshold_of(text)
            .map(|(before, alert)| format!("{before}{}", thresholds[alert].as_str().expect("a number")));
        made.insert("expr".to_owned(), expression.unwrap_or_else(|| text.to_owned()).into());
        if let Some(text) = rule["for"].as_str() {
            let wait = waits[within(&WAIT, text).expect("a variable")].as_str().expect("a duration");
            made.insert("for".to_owned(), wait.replace("PT", "").to_lowercase().into());
        }
        for same in ["labels", "annotations"] {
            if let Some(value) = rule.get(same) {
                made.insert(same.to_owned(), with_defaults(value));
            }
        }
        Value::Object(made)
    };
    let group = |group: &Value| json!({"name": group["name"], "rules": list(&group["properties"], "rules").iter().map(rule).collect::<Vec<_>>()});
    let shipped = list(template, "resources").iter().filter(|group| group["condition"].is_null());
    json!({"groups": shipped.map(group).collect::<Vec<_>>()})
}

/// The same as Bicep.
pub(super) fn bicep(template: &Value) -> String {
    let mut text = format!("// {GENERATED}\n");
    for Parameter { name, kind, description, default } in parameters() {
        let default = default.map(|(_, default)| format!(" = {default}")).unwrap_or_default();
        let range = if kind == "int" { "@minValue(0)\n@maxValue(4)\n" } else { "" };
        let _ = write!(text, "\n@description({})\n{range}param {name} {kind}{default}\n", quoted(description));
    }
    text += "\nvar actions = empty(actionGroupId) ? [] : [\n  {\n    actionGroupId: actionGroupId\n  }\n]\n";
    for (variable, parameter) in BY_ALERT {
        let defaults = in_bicep(&Value::Object(defaults_of(template, variable)), 0);
        let _ = write!(text, "\nvar {variable} = union({defaults}, {parameter})\n");
    }
    for resource in list(template, "resources") {
        let member = |name: &str| resource[name].as_str().expect("text");
        let mut body = resource.as_object().expect("a resource").clone();
        let condition = body.get("condition").map(|_| format!("if ({}) ", HAS_OWN_RULES[1])).unwrap_or_default();
        body.retain(|name, _| name != "type" && name != "apiVersion" && name != "condition");
        let symbol = member("name").replace("redpath.", "").replace('.', "_");
        let kind = quoted(&format!("{}@{}", member("type"), member("apiVersion")));
        let _ = writeln!(text, "\nresource {symbol} {kind} = {condition}{}", in_bicep(&Value::Object(body), 0));
    }
    text
}

fn in_bicep(value: &Value, depth: usize) -> String {
    let (inner, outer) = ("  ".repeat(depth + 1), "  ".repeat(depth));
    match value {
        Value::String(text) => {
            if let Some(alert) = within(&ENABLED, text) {
                format!("!contains(disabledAlerts, {})", quoted(alert))
            } else if let Some(url) = within(&RUNBOOK, text) {
                format!("'${{runbookBaseUrl}}{url}'")
            } else if let Some(alert) = within(&WAIT, text) {
                format!("waits.{alert}")
            } else if let Some((before, alert)) = threshold_of(text) {
                format!("{}${{thresholds.{alert}}}'", quoted(&before).trim_end_matches('\''))
            } else if let Some(labels) = labels_of(text) {
                format!("union({}, alertLabels)", in_bicep(&Value::Object(labels), depth))
            } else {
                let known = EXPRESSIONS.iter().find(|(arm, _)| arm == text);
                known.map_or_else(|| quoted(text), |(_, bicep)| (*bicep).to_owned())
            }
        }
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
