//! What operators set: alerts by values, a check before an upgrade, a verdict in one command, a Job before a deployment.

use std::path::Path;

use serde_json::{Value as Json, json};

use super::{CHART, LINES, ONE_TARGET, RENDERED, helm, objects, only, template, variant};
use crate::output::assert_fixture;

fn named<'o>(objects: &'o [Json], kind: &str, name: &str) -> &'o Json {
    let found = objects.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}"))
}

#[test]
fn helm_alerts_follow_values() {
    for (line, _, objects) in RENDERED.iter().filter(|(_, variant, _)| variant == "redpath/operators") {
        let groups = only(objects, "PrometheusRule")["spec"]["groups"].as_array().expect("groups").clone();
        let names: Vec<&str> = groups.iter().filter_map(|group| group["name"].as_str()).collect();
        assert_eq!(names, ["redpath.alerts", "redpath.agent", "redpath.additional"], "Helm {line}");
        let rules: Vec<_> = groups[..2].iter().filter_map(|group| group["rules"].as_array()).flatten().collect();
        let alert = |name: &str| rules.iter().copied().find(|rule| rule["alert"] == name);
        assert_eq!(alert("RedpathVerdictFlapping"), None);
        let lag = alert("RedpathScheduleLag").expect("the alert");
        assert!(lag["expr"].as_str().is_some_and(|expr| expr.trim_end().ends_with("> 2.5")), "{lag}");
        assert_eq!(lag["for"], "10m");
        assert_eq!(lag["labels"], json!({"severity": "critical", "team": "payments", "page": "yes"}));
        let url = "https://git.example.org/redpath/docs/monitoring.md#redpathschedulelag";
        assert_eq!(lag["annotations"]["runbook_url"], url);
        let expiring = alert("RedpathCertificateExpiring").expect("the alert");
        let labels = json!({"severity": "warning", "team": "payments", "code": "tls_certificate_expiring"});
        assert_eq!(expiring["labels"], labels);
        assert_eq!(groups[2]["rules"][0]["alert"], "CacheIsRed");
    }
}

#[test]
fn helm_alert_values_without_effect_are_refused() {
    for line in LINES {
        for (value, says) in [
            ("prometheusRule.alerts.RedpathAbsence.enabled=false", "RedpathAbsence"),
            ("prometheusRule.alerts.RedpathAbsent.threshold=2", "the alert has none"),
            ("prometheusRule.runbookBaseUrl=docs", "runbookBaseUrl"),
            ("config.targets[1].host=cache1.redis.cache.windows.net", "two targets are called"),
            ("config.targets[0].host=10.60.4.5", "a host name is expected"),
            ("config.targets[0].timeout=20s", "longer than its interval"),
            ("dnsPolicy=None", "dnsConfig.nameservers"),
            ("ingress.enabled=true", "ingress.host"),
            ("podLabels.team=a b", "podLabels"),
            ("fullnameOverride=Red_Path", "fullnameOverride"),
        ] {
            let arguments = ["--set", ONE_TARGET, "--set", "prometheusRule.enabled=true", "--set", value];
            let said = template(line, CHART, &arguments).expect_err("a refusal");
            assert!(said.contains(says), "Helm {line}, {value}: {said}");
        }
    }
}

/// The hook brings the configuration itself, before there is any object of the release.
#[test]
fn helm_config_check_is_a_hook() {
    let objects = variant("redpath/operators");
    let job = named(objects, "Job", "paths-redpath-config-check");
    let map = named(objects, "ConfigMap", "paths-redpath-config-check");
    for (object, weight) in [(job, Json::Null), (map, json!("-1"))] {
        let annotations = &object["metadata"]["annotations"];
        assert_eq!(annotations["helm.sh/hook"], "pre-install,pre-upgrade");
        assert_eq!(annotations["helm.sh/hook-weight"], weight);
    }
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][0]["args"], json!(["config", "check", "/etc/redpath/redpath.yaml"]));
    assert_eq!(pod["containers"][0]["image"], "registry.example.org/redpath:0.1.0");
    let container = &pod["containers"][0]["securityContext"];
    assert_eq!(
        (&container["allowPrivilegeEscalation"], &pod["securityContext"]["runAsNonRoot"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(pod["imagePullSecrets"], json!([{"name": "registry"}]));
    assert_eq!(pod["volumes"][0]["configMap"]["name"], "paths-redpath-config-check");
    assert_eq!(map["data"], named(objects, "ConfigMap", "paths-redpath")["data"]);
}

/// A workload adopts pods that its selector matches.
#[test]
fn helm_pods_of_hooks_match_no_selector() {
    for (line, variant, objects) in RENDERED.iter().filter(|(_, variant, _)| variant.starts_with("redpath/")) {
        let pod = only(objects, "Pod");
        assert_eq!(pod["metadata"]["annotations"]["helm.sh/hook"], "test");
        assert_eq!(pod["spec"]["containers"][0]["args"], json!(["check", "--config=/etc/redpath/redpath.yaml"]));
        let jobs = objects.iter().filter(|object| object["kind"] == "Job").map(|job| &job["spec"]["template"]);
        for labels in jobs.chain([pod]).map(|pod| &pod["metadata"]["labels"]) {
            for kind in ["DaemonSet", "Deployment"] {
                for workload in objects.iter().filter(|object| object["kind"] == kind) {
                    let selector = workload["spec"]["selector"]["matchLabels"].as_object().expect("labels");
                    let matches = selector.iter().all(|(name, value)| labels[name] == *value);
                    assert!(!matches, "Helm {line}, {variant}: {labels}");
                }
            }
        }
    }
}

#[test]
fn helm_operators_values_are_rendered() {
    let objects = variant("redpath/operators");
    let workload = only(objects, "Deployment");
    assert_eq!(
        (&workload["spec"]["revisionHistoryLimit"], &workload["spec"]["minReadySeconds"]),
        (&json!(3), &json!(15))
    );
    assert_eq!(workload["spec"]["template"]["spec"]["nodeSelector"], json!({"kubernetes.io/os": "linux"}));
    for object in objects {
        assert_eq!(object["metadata"]["namespace"], "observability", "{object}");
    }
    let service = &only(objects, "Service")["spec"];
    assert_eq!(
        (&service["ipFamilyPolicy"], &service["ipFamilies"]),
        (&json!("PreferDualStack"), &json!(["IPv4", "IPv6"]))
    );
    let ingress = &only(objects, "Ingress")["spec"];
    assert_eq!(ingress["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"], "paths-redpath");
    assert_eq!(ingress["tls"][0]["secretName"], "redpath-tls");
    let monitor = &only(objects, "PodMonitor")["spec"];
    assert_eq!((&monitor["jobLabel"], &monitor["sampleLimit"]), (&json!("app.kubernetes.io/name"), &json!(20_000)));
    assert_eq!(monitor["namespaceSelector"]["matchNames"], json!(["observability"]));
}

/// The application's chart: the Job fails unless every target passes, before anything else is installed.
#[test]
fn helm_sidecar_preflight_is_a_hook() {
    for (line, _, objects) in RENDERED.iter().filter(|(_, variant, _)| variant == "sample-app/preflight") {
        let job = only(objects, "Job");
        assert_eq!(job["metadata"]["annotations"]["helm.sh/hook"], "pre-install,pre-upgrade", "Helm {line}");
        assert_eq!(job["spec"]["backoffLimit"], 0);
        let pod = &job["spec"]["template"]["spec"];
        assert_eq!(pod["containers"][0]["args"], json!(["check", "--config=/etc/redpath/redpath.yaml"]));
        let config = pod["volumes"][0]["configMap"]["name"].as_str().expect("a name");
        let map = named(objects, "ConfigMap", config);
        assert_eq!(map["metadata"]["annotations"]["helm.sh/hook-weight"], "-1");
        let monitor = only(objects, "PodMonitor");
        assert_eq!(monitor["spec"]["podMetricsEndpoints"][0]["port"], "redpath");
    }
}

/// For those without Helm: what the chart renders, and a kustomization around it.
#[test]
fn kubernetes_manifest_is_that_of_the_chart() {
    let arguments =
        ["template", "redpath", CHART, "--namespace", "redpath", "--no-hooks", "-f", "kubernetes/values.yaml"];
    let rendered = helm("4", &arguments).unwrap_or_else(|said| panic!("{said}"));
    let text = format!(
        "# Generated from the chart (REWRITE_FIXTURES=1 cargo test -- kubernetes_); a change belongs there.\n{rendered}"
    );
    assert_fixture(Path::new("kubernetes/redpath.yaml"), &text);
    let names: Vec<String> = objects(&text).iter().map(|object| object["metadata"]["name"].to_string()).collect();
    assert!(names.iter().all(|name| name == "\"redpath\""), "{names:?}");

    let text = std::fs::read_to_string("kubernetes/kustomization.yaml").expect("it is there");
    let kustomization: Json = serde_saphyr::from_str(&text).expect("YAML");
    for file in kustomization["resources"].as_array().expect("files") {
        assert!(Path::new("kubernetes").join(file.as_str().expect("a name")).exists(), "{file}");
    }
    let config = std::fs::read_to_string("kubernetes/config.yaml").expect("it is there");
    redpath::config::parse(&config).unwrap_or_else(|error| panic!("{error}"));
    assert!(rendered.contains("image: \"localhost/redpath:"), "the image that the kustomization replaces");
}
