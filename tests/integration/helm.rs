//! The charts, rendered by Helm 3 and Helm 4: every file of a `ci/` folder is a variant that somebody installs.
//!
//! Helm and the validator come from `scripts/helm-tools.sh`. No cluster is asked: `helm template` renders.

mod documentation;
mod files;
mod network_policy;
mod operators;
mod rendered;
mod sidecar;
mod values;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value as Json;

/// The lines of Helm that must render.
const LINES: [&str; 2] = ["3", "4"];

/// The application's chart.
const CHART: &str = "helm/redpath";

/// A configuration of one target, in arguments of Helm.
const ONE_TARGET: &str = "config.targets[0].host=cache1.redis.cache.windows.net";

/// The folder with the tools.
static TOOLS: LazyLock<PathBuf> = LazyLock::new(|| {
    let output = Command::new("scripts/helm-tools.sh").output().expect("scripts/helm-tools.sh runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "scripts/helm-tools.sh: {said}");
    PathBuf::from(String::from_utf8(output.stdout).expect("a path").trim())
});

/// The sample application with its library, as each line of Helm builds it; never in the source's own folder.
static SAMPLE: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("helm-charts");
    let _ = std::fs::remove_dir_all(&folder);
    for line in LINES {
        let charts = folder.join(line);
        std::fs::create_dir_all(&charts).expect("a folder");
        for chart in ["sample-app", "redpath-sidecar"] {
            let copied = Command::new("cp").arg("-r").arg(Path::new("helm").join(chart)).arg(&charts).status();
            assert!(copied.expect("cp runs").success());
        }
        let sample = charts.join("sample-app");
        // What a developer may have built beside the source must not be taken.
        let _ = std::fs::remove_dir_all(sample.join("charts"));
        let _ = std::fs::remove_file(sample.join("Chart.lock"));
        helm(line, &["dependency", "build", &sample.display().to_string()]).unwrap_or_else(|said| panic!("{said}"));
    }
    folder
});

/// Every variant of both charts by both lines: the line, the variant's name, its objects.
static RENDERED: LazyLock<Vec<(&str, String, Vec<Json>)>> = LazyLock::new(|| {
    let mut rendered = Vec::new();
    for line in LINES {
        let sample = SAMPLE.join(line).join("sample-app").display().to_string();
        for (chart, source) in [(CHART.to_owned(), CHART), (sample, "helm/sample-app")] {
            for file in variants(source) {
                let objects = template(line, &chart, &["-f", &file.display().to_string()]);
                let objects = objects.unwrap_or_else(|said| panic!("Helm {line}, {}: {said}", file.display()));
                let variant = file.file_stem().expect("a name").to_string_lossy().replace("-values", "");
                let chart = source.trim_start_matches("helm/");
                rendered.push((line, format!("{chart}/{variant}"), objects));
            }
        }
    }
    rendered
});

/// What Helm of that line prints, or what it says is wrong.
fn helm(line: &str, arguments: &[&str]) -> Result<String, String> {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("helm-home").join(line);
    let output = Command::new(TOOLS.join(line).join("helm"))
        .args(arguments)
        .env_remove("KUBECONFIG")
        .env("HELM_CACHE_HOME", home.join("cache"))
        .env("HELM_CONFIG_HOME", home.join("config"))
        .env("HELM_DATA_HOME", home.join("data"))
        .output()
        .expect("helm runs");
    let [printed, said] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
    if output.status.success() { Ok(printed) } else { Err(format!("{printed}{said}")) }
}

/// The objects that a chart renders to as the release `paths` in the namespace `monitoring`.
fn template(line: &str, chart: &str, arguments: &[&str]) -> Result<Vec<Json>, String> {
    let all = [&["template", "paths", chart, "--namespace", "monitoring"], arguments].concat();
    helm(line, &all).map(|text| objects(&text))
}

/// The objects of a rendering, in the order of kind and name.
fn objects(text: &str) -> Vec<Json> {
    let documents = format!("\n{text}");
    let mut objects: Vec<Json> = documents
        .split("\n---")
        .filter_map(|document| -> Option<Json> {
            serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{error}\n{document}"))
        })
        .collect();
    objects.sort_by_key(|object| (object["kind"].to_string(), object["metadata"]["name"].to_string()));
    objects
}

/// The files of a chart's `ci/` folder.
fn variants(chart: &str) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(Path::new(chart).join("ci")).expect("a folder");
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// The objects of a variant, by Helm 4.
fn variant(name: &str) -> &'static [Json] {
    let found = RENDERED.iter().find(|(line, variant, _)| *line == "4" && variant == name);
    &found.unwrap_or_else(|| panic!("no variant {name}")).2
}

/// The one object of that kind.
fn only<'o>(objects: &'o [Json], kind: &str) -> &'o Json {
    let found: Vec<&Json> = objects.iter().filter(|object| object["kind"] == kind).collect();
    assert_eq!(found.len(), 1, "{kind} in {objects:?}");
    found[0]
}

/// The agents' pods: specifications with their metadata. Those of jobs end.
fn pods(objects: &[Json]) -> impl Iterator<Item = &Json> {
    objects
        .iter()
        .filter(|object| object["kind"] != "Job")
        .map(|object| &object["spec"]["template"])
        .filter(|template| template.is_object())
}

/// redpath's container of a pod: its command is the agent's.
fn agent_of(pod: &Json) -> &Json {
    let containers = ["initContainers", "containers"].map(|key| pod["spec"][key].as_array().cloned());
    assert!(containers.iter().flatten().flatten().any(|container| container["args"][0] == "agent"), "{pod}");
    ["initContainers", "containers"]
        .iter()
        .filter_map(|key| pod["spec"][*key].as_array())
        .flatten()
        .find(|container| container["args"][0] == "agent")
        .expect("redpath's container")
}

/// The configuration that a ConfigMap or Secret of the rendering holds, where one does.
fn configuration(objects: &[Json]) -> Option<&str> {
    objects.iter().find_map(|object| {
        let data = if object["kind"] == "Secret" { &object["stringData"] } else { &object["data"] };
        data["redpath.yaml"].as_str()
    })
}
