//! What is rendered: lint, the schemas of Kubernetes, the restricted standard, the configuration, the defaults.

use std::path::Path;
use std::process::Command;

use clap::Parser;
use redpath::cli::Cli;
use serde_json::{Value as Json, json};

use super::{CHART, LINES, ONE_TARGET, RENDERED, SAMPLE, TOOLS, agent_of, configuration, helm, only, pods, template};
use super::{variant, variants};
use crate::output::assert_fixture;
use crate::support::agent::{Agent, Directory, agent};

/// The oldest Kubernetes that the chart takes, the first with native sidecars, the newest that is known here.
const KUBERNETES: [&str; 3] = ["1.25.0", "1.29.0", "1.37.0"];

#[test]
fn helm_lint_has_no_objection() {
    for line in LINES {
        let sample = SAMPLE.join(line).join("sample-app").display().to_string();
        for chart in [CHART, "helm/redpath-sidecar", &sample] {
            helm(line, &["lint", "--strict", chart]).unwrap_or_else(|said| panic!("Helm {line}: {said}"));
        }
    }
    // Lint judges what is rendered: one line of Helm is enough for every variant.
    for file in variants(CHART) {
        let linted = helm("4", &["lint", "--strict", "--quiet", CHART, "-f", &file.display().to_string()]);
        linted.unwrap_or_else(|said| panic!("{}: {said}", file.display()));
    }
}

#[test]
fn helm_3_and_4_render_the_same() {
    let (three, four): (Vec<_>, Vec<_>) = RENDERED.iter().partition(|(line, ..)| *line == "3");
    assert!(three.len() >= 17 && three.len() == four.len(), "{}", three.len());
    for ((_, variant, old), (_, other, new)) in three.into_iter().zip(four) {
        assert_eq!(variant, other);
        assert!(old == new, "{variant} is rendered differently:\n{old:?}\n{new:?}");
    }
}

#[test]
fn helm_objects_fit_kubernetes_schemas() {
    let directory = Directory::new("helm-schemas");
    let kubernetes = |object: &&Json| !object["apiVersion"].as_str().expect("a version").contains("monitoring");
    let native =
        |objects: &[Json]| pods(objects).any(|pod| pod["spec"]["initContainers"][0]["restartPolicy"] == "Always");
    let (mut everywhere, mut lately) = (Vec::new(), Vec::new());
    for (line, variant, objects) in RENDERED.iter().filter(|(line, ..)| *line == "4") {
        let list = if native(objects) { &mut lately } else { &mut everywhere };
        for (index, object) in objects.iter().filter(kubernetes).enumerate() {
            let name = format!("{line}-{}-{index}.yaml", variant.replace('/', "-"));
            list.push(directory.file(&name, &object.to_string()));
        }
    }
    assert!(everywhere.len() > 60 && lately.len() >= 3, "{} {}", everywhere.len(), lately.len());
    let validated = |version: &str, files: &[std::path::PathBuf]| {
        let mut command = Command::new(TOOLS.join("python/bin/kubernetes-validate"));
        let output = command.args(["--strict", "--quiet", "-k", version]).args(files).output().expect("it runs");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if output.status.success() { Ok(()) } else { Err(said) }
    };
    // They run beside each other: most of their time is theirs alone.
    std::thread::scope(|scope| {
        for version in KUBERNETES {
            let (validated, everywhere, lately) = (&validated, &everywhere, &lately);
            scope.spawn(move || {
                let files = [everywhere.as_slice(), if version == "1.25.0" { &[] } else { lately }].concat();
                validated(version, &files).unwrap_or_else(|said| panic!("Kubernetes {version}: {said}"));
            });
        }
    });
    // The validator does judge: a key that Kubernetes does not know is refused.
    let mut wrong = only(variant("redpath/daemonset"), "DaemonSet").clone();
    wrong["spec"]["template"]["spec"]["hostNetworks"] = json!(true);
    let said = validated("1.37.0", &[directory.file("wrong.yaml", &wrong.to_string())]).expect_err("a refusal");
    assert!(said.contains("hostNetworks"), "{said}");
}

/// Pod Security Standards, "Restricted": what a pod must say, and must not have.
#[test]
fn helm_pods_meet_restricted_standard() {
    for (line, variant, objects) in RENDERED.iter() {
        for pod in pods(objects) {
            let spec = &pod["spec"];
            let place = format!("Helm {line}, {variant}: {spec}");
            for key in ["hostPID", "hostIPC"] {
                assert!(spec[key].is_null(), "{place}");
            }
            // The one variant that leaves it, and says so.
            assert_eq!(spec["hostNetwork"] == true, variant == "redpath/hostnetwork", "{place}");
            for volume in spec["volumes"].as_array().expect("volumes") {
                assert!(volume["hostPath"].is_null(), "{place}");
            }
            let containers = ["initContainers", "containers"].iter().filter_map(|key| spec[*key].as_array()).flatten();
            for container in containers {
                let own = &container["securityContext"];
                let either = |key: &str| if own[key].is_null() { &spec["securityContext"][key] } else { &own[key] };
                assert_eq!(either("runAsNonRoot"), true, "{place}");
                assert_ne!(either("runAsUser"), 0, "{place}");
                assert_eq!(either("seccompProfile")["type"], "RuntimeDefault", "{place}");
                assert_eq!(own["allowPrivilegeEscalation"], false, "{place}");
                assert_eq!(own["capabilities"], json!({"drop": ["ALL"]}), "{place}");
                assert!(own["privileged"].is_null(), "{place}");
                for port in container["ports"].as_array().into_iter().flatten() {
                    assert!(port["hostPort"].is_null(), "{place}");
                }
            }
            assert_eq!(agent_of(pod)["securityContext"]["readOnlyRootFilesystem"], true, "{place}");
            assert_eq!(spec["automountServiceAccountToken"], false, "{place}");
        }
    }
}

#[test]
fn helm_configurations_are_accepted() {
    let directory = Directory::new("helm-configuration");
    let mut taken = 0;
    for (line, variant, objects) in RENDERED.iter() {
        for pod in pods(objects) {
            let arguments = agent_of(pod)["args"].as_array().expect("arguments").iter().filter_map(Json::as_str);
            let read = Cli::try_parse_from(std::iter::once("redpath").chain(arguments));
            read.map(drop).unwrap_or_else(|error| panic!("Helm {line}, {variant}: {error}"));
        }
        let Some(text) = configuration(objects) else {
            assert!(variant.contains("existing"), "{variant} has no configuration");
            continue;
        };
        let file = directory.file("redpath.yaml", text);
        let mut command = Command::new(env!("CARGO_BIN_EXE_redpath"));
        let output = command.args(["config", "check"]).arg(file).output().expect("redpath runs");
        assert!(output.status.success(), "Helm {line}, {variant}: {output:?}\n{text}");
        taken += 1;
    }
    assert!(taken >= 30, "{taken}");
}

#[test]
fn helm_default_output_is_reviewed() {
    let text = helm("4", &["template", "redpath", CHART, "--namespace", "monitoring", "--set", ONE_TARGET]);
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/helm/defaults.yaml");
    assert_fixture(&fixture, &text.unwrap_or_else(|said| panic!("{said}")));
}

/// The agent reloads it by itself.
#[test]
fn helm_reloadable_change_restarts_no_pod() {
    let checksum = |more: &[&str]| {
        let arguments = [&["--set", ONE_TARGET], more].concat();
        let objects = template("4", CHART, &arguments).unwrap_or_else(|said| panic!("{said}"));
        pods(&objects).next().expect("a pod")["metadata"]["annotations"]["checksum/config"].clone()
    };
    let interval = ["--set", "config.defaults.interval=30s"];
    let label = ["--set", "config.vantage.labels.vnet=spoke-1"];
    let any = ["--set", "rolloutOnConfigChange=true"];
    let before = checksum(&[]);
    assert!(before.as_str().is_some_and(|sum| sum.len() == 64), "{before}");
    assert_eq!(checksum(&interval), before);
    assert_ne!(checksum(&label), before);
    assert_ne!(checksum(&[any, interval].concat()), checksum(&any));
}

#[test]
fn helm_image_by_digest_or_tag() {
    let image = |arguments: &[&str]| {
        let objects = template("4", CHART, &[&["--set", ONE_TARGET], arguments].concat());
        let objects = objects.unwrap_or_else(|said| panic!("{said}"));
        agent_of(pods(&objects).next().expect("a pod"))["image"].as_str().expect("an image").to_owned()
    };
    let digest = format!("sha256:{}", "0".repeat(64));
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(image(&[]), format!("localhost/redpath:{version}"));
    assert_eq!(image(&["--set", "image.tag=v7"]), "localhost/redpath:v7");
    let both = format!("image.tag=v7,image.digest={digest},image.registry=");
    assert_eq!(image(&["--set", &both]), format!("redpath@{digest}"));
}

#[test]
fn helm_workload_identity_is_labelled() {
    let objects = variant("redpath/workload-identity");
    let pod = pods(objects).next().expect("a pod");
    let account = only(objects, "ServiceAccount");
    assert_eq!(pod["metadata"]["labels"]["azure.workload.identity/use"], "true");
    assert_eq!(pod["spec"]["serviceAccountName"], account["metadata"]["name"]);
    let annotations = &account["metadata"]["annotations"];
    assert_eq!(annotations["azure.workload.identity/client-id"], "00000000-0000-0000-0000-000000000001");
    assert_eq!(annotations["azure.workload.identity/tenant-id"], "00000000-0000-0000-0000-000000000002");
    assert_eq!(annotations["example.org/owner"], "payments");
    for other in ["redpath/daemonset", "redpath/existing-secret"] {
        let pod = pods(variant(other)).next().expect("a pod");
        assert!(pod["metadata"]["labels"].get("azure.workload.identity/use").is_none(), "{other}");
    }
    assert_eq!(
        pods(variant("redpath/existing-secret")).next().expect("a pod")["spec"]["serviceAccountName"],
        "default"
    );
}

#[test]
fn helm_monitors_have_azure_limits() {
    let limits =
        |spec: &Json| ["labelLimit", "labelNameLengthLimit", "labelValueLengthLimit"].map(|key| spec[key].clone());
    let azure = only(variant("redpath/azmonitoring"), "PodMonitor");
    assert_eq!(azure["apiVersion"], "azmonitoring.coreos.com/v1");
    assert_eq!(limits(&azure["spec"]), [63, 511, 1023].map(Json::from));
    let plain = only(variant("redpath/subnet-mapping"), "PodMonitor");
    assert_eq!(plain["apiVersion"], "monitoring.coreos.com/v1");
    assert_eq!(limits(&plain["spec"]), [Json::Null, Json::Null, Json::Null]);
    for (variant_name, monitor) in
        [("redpath/azmonitoring-service", "ServiceMonitor"), ("redpath/web-tls", "PodMonitor")]
    {
        let given = only(variant(variant_name), monitor);
        assert_eq!(limits(&given["spec"]), [40, 100, 200].map(Json::from), "{variant_name}");
    }

    // They select what is there, by a port that it has.
    for (variant_name, monitor, endpoints) in [
        ("redpath/azmonitoring", "PodMonitor", "podMetricsEndpoints"),
        ("redpath/web-tls", "PodMonitor", "podMetricsEndpoints"),
        ("redpath/prometheus-operator", "ServiceMonitor", "endpoints"),
    ] {
        let objects = variant(variant_name);
        let spec = &only(objects, monitor)["spec"];
        let selected = match monitor {
            "PodMonitor" => &pods(objects).next().expect("a pod")["metadata"]["labels"],
            _ => &only(objects, "Service")["metadata"]["labels"],
        };
        for (label, value) in spec["selector"]["matchLabels"].as_object().expect("labels") {
            assert_eq!(&selected[label], value, "{variant_name}");
        }
        assert_eq!(spec["namespaceSelector"]["matchNames"], json!(["monitoring"]));
        let endpoint = &spec[endpoints][0];
        assert_eq!((&endpoint["port"], &endpoint["path"]), (&json!("http"), &json!("/metrics")));
        let scheme = if variant_name.ends_with("tls") { "https" } else { "http" };
        assert_eq!(endpoint["scheme"], scheme, "{variant_name}");
    }
    let tls = &only(variant("redpath/web-tls"), "PodMonitor")["spec"]["podMetricsEndpoints"][0];
    assert_eq!(tls["basicAuth"]["username"]["name"], "redpath-scrape");
    let probes = agent_of(pods(variant("redpath/web-tls")).next().expect("a pod"));
    assert_eq!(probes["livenessProbe"]["httpGet"]["scheme"], "HTTPS");
}

/// The rules and the dashboard have one source, and come through Helm as they are: their own templates are not Helm's.
#[test]
fn helm_rules_and_dashboard_match_monitoring() {
    for (copy, source) in [
        ("helm/redpath/files/redpath.rules.yaml", "monitoring/rules/redpath.rules.yaml"),
        ("helm/redpath/files/dashboard.json", "monitoring/dashboard/redpath.json"),
    ] {
        // A chart reads nothing outside its own folder, so it holds a copy.
        if let Ok(source) = std::fs::read_to_string(source) {
            assert_fixture(Path::new(copy), &source);
        }
    }
    let text = std::fs::read_to_string("helm/redpath/files/redpath.rules.yaml").expect("the rules");
    let rules: Json = serde_saphyr::from_str(&text).expect("YAML");
    assert!(text.contains("{{ $"), "the rules have no template of Prometheus any more");
    let dashboard = std::fs::read_to_string("helm/redpath/files/dashboard.json").expect("the dashboard");
    for (line, _, objects) in RENDERED.iter().filter(|(_, variant, _)| variant == "redpath/prometheus-operator") {
        let rule = only(objects, "PrometheusRule");
        assert_eq!(rule["spec"], rules, "Helm {line}");
        assert_eq!(rule["metadata"]["labels"]["release"], "kube-prometheus-stack");
        let map = objects.iter().find(|object| object["metadata"]["name"] == "paths-redpath-dashboard");
        let map = map.expect("the dashboard");
        assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
        assert_eq!(map["data"]["redpath.json"].as_str().map(str::trim), Some(dashboard.trim()), "Helm {line}");
    }
}

#[tokio::test]
async fn helm_agent_gets_node_name() {
    let directory = Directory::new("helm-subnet");
    let objects = variant("redpath/subnet-mapping");
    let text = configuration(objects).expect("a configuration").replace("cache1.redis.cache.windows.net", "localhost");
    let config = directory.file("redpath.yaml", &format!("{text}\ndefaults: {{views: [libc]}}\n"));
    let environment = agent_of(pods(objects).next().expect("a pod"))["env"].as_array().expect("variables");
    for (node, subnet) in [("aks-appa-12345678-vmss00000a", Some("app-a")), ("aks-gpu-12345678-vmss000000", None)] {
        let mut command = agent(&config);
        command.args(["--listen", "127.0.0.1:0"]).env_remove("REDPATH_SUBNET");
        for variable in environment {
            let field = variable["valueFrom"]["fieldRef"]["fieldPath"].as_str().expect("a field");
            let value = [("spec.nodeName", node), ("metadata.name", "paths-x7"), ("metadata.namespace", "monitoring")];
            let value = value.iter().find(|(known, _)| *known == field).expect("a field that is known").1;
            command.env(variable["name"].as_str().expect("a name"), value);
        }
        let agent = Agent::start(command).await;
        let page = agent.request("GET", "/metrics").await;
        let info = page.lines().find(|line| line.starts_with("redpath_vantage_info")).expect("the vantage");
        for label in
            ["pod_namespace=\"monitoring\"", "pod_name=\"paths-x7\"", &format!("node=\"{node}\""), "vnet=\"spoke-1\""]
        {
            assert!(info.contains(label), "{label} is not in {info}");
        }
        assert_eq!(info.contains("subnet=\"app-a\""), subnet.is_some(), "{info}");
        let warned = agent.lines.iter().any(|line| line["level"] == "WARN" && line["node"] == node);
        assert_eq!(warned, subnet.is_none(), "{:?}", agent.lines);
    }
}
