//! The documentation of the charts: every value has a sentence, and the tables are made of them.

use std::path::Path;
use std::process::Command;

use serde_json::Value as Json;

use super::{TOOLS, variants};
use crate::output::assert_fixture;
use crate::support::agent::Directory;

/// A value, its default and its sentence.
struct Documented {
    key: String,
    default: String,
    sentence: String,
}

/// What `values.yaml` says of its values. A key without `# --` above it must have values below it.
fn documented(chart: &str) -> Vec<Documented> {
    let text = std::fs::read_to_string(format!("{chart}/values.yaml")).expect("the values");
    let lines: Vec<&str> = text.lines().collect();
    let mut found: Vec<Documented> = Vec::new();
    let mut path: Vec<&str> = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let (line, trimmed) = (lines[at], lines[at].trim_start());
        at += 1;
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let depth = (line.len() - trimmed.len()) / 2;
        let (key, value) = trimmed.split_once(':').unwrap_or_else(|| panic!("{chart}: {line}"));
        path.truncate(depth);
        path.push(key);
        let above = at.checked_sub(2).map(|above| lines[above].trim_start());
        let Some(sentence) = above.and_then(|above| above.strip_prefix("# -- ")) else {
            assert!(value.is_empty(), "{chart}: {} has no sentence", path.join("."));
            continue;
        };
        // What stands below it is its default as a whole.
        let mut default = value.trim().to_owned();
        while at < lines.len() && lines[at].len() - lines[at].trim_start().len() > depth * 2 {
            default = format!("{default} {}", lines[at].trim()).trim().to_owned();
            at += 1;
        }
        let sentence = sentence.to_owned();
        found.push(Documented { key: path.join("."), default, sentence });
    }
    found
}

#[test]
fn helm_values_and_tables_match() {
    for (chart, least) in [("helm/redpath", 90), ("helm/redpath-sidecar", 28)] {
        let values = documented(chart);
        assert!(values.len() >= least, "{chart}: {}", values.len());
        let mut table = String::from("| Value | Default | Meaning |\n|---|---|---|\n");
        for Documented { key, default, sentence } in values {
            table.push_str(&format!("| `{key}` | `{default}` | {} |\n", sentence.replace('|', "\\|")));
        }
        let path = format!("{chart}/README.md");
        let readme = std::fs::read_to_string(&path).expect("the README");
        let (before, after) = readme.split_once("| Value | Default |").expect("a table");
        let after = after.split_once("\n\n").map(|(_, after)| format!("\n{after}")).unwrap_or_default();
        assert_fixture(Path::new(&path), &format!("{before}{table}{after}"));
    }
}

/// A value that no variant sets may be rendered in any way, or not at all.
#[test]
fn helm_values_are_set_in_a_variant() {
    for (chart, application, prefix) in
        [("helm/redpath", "helm/redpath", ""), ("helm/redpath-sidecar", "helm/sample-app", "/redpath-sidecar")]
    {
        let files = variants(application).into_iter().map(|file| std::fs::read_to_string(file).expect("values"));
        let trees: Vec<Json> = files.map(|text| serde_saphyr::from_str(&text).expect("YAML")).collect();
        for Documented { key, .. } in documented(chart) {
            let pointer = format!("{prefix}/{}", key.replace('.', "/"));
            // The arguments of the agent are all values already; the other chart shows that further ones arrive.
            let set = trees.iter().any(|tree| tree.pointer(&pointer).is_some());
            assert!(set || pointer == "/redpath-sidecar/extraArgs", "{chart}: no variant sets {key}");
        }
    }
}

/// One chart, one program: versions move together.
#[test]
fn helm_charts_have_project_version() {
    let version = env!("CARGO_PKG_VERSION");
    for chart in ["redpath", "redpath-sidecar"] {
        let text = std::fs::read_to_string(format!("helm/{chart}/Chart.yaml")).expect("the chart");
        for line in [format!("version: {version}"), format!("appVersion: \"{version}\"")] {
            assert!(text.lines().any(|own| own == line), "{chart}: {line} is expected");
        }
    }
}

/// What registries show of a chart: the same addresses as the program's, and no link that leads out of the package.
#[test]
fn helm_charts_name_their_project() {
    let manifest: toml::Table = std::fs::read_to_string("Cargo.toml").expect("it is there").parse().expect("TOML");
    let address = |key: &str| manifest["package"][key].as_str().expect("an address");
    for chart in ["redpath", "redpath-sidecar"] {
        let text = std::fs::read_to_string(format!("helm/{chart}/Chart.yaml")).expect("the chart");
        let found: Json = serde_saphyr::from_str(&text).expect("YAML");
        assert_eq!(
            (&found["home"], &found["sources"][0]),
            (&address("homepage").into(), &address("repository").into())
        );
        assert!(found["icon"].as_str().is_some_and(|icon| icon.starts_with("data:image/svg+xml;base64,")), "{chart}");
        assert!(found["maintainers"][0]["name"].is_string() && found["keywords"].is_array(), "{chart}");
        assert_eq!(found["annotations"]["artifacthub.io/license"], "Apache-2.0");
        let links = found["annotations"]["artifacthub.io/links"].as_str().expect("links");
        assert!(links.contains(address("documentation")), "{links}");
        let readme = std::fs::read_to_string(format!("helm/{chart}/README.md")).expect("the README");
        assert!(!readme.contains("](../"), "{chart}: a link leads out of the package");
        assert!(Path::new(&format!("helm/{chart}/LICENSE")).exists());
        let schema = std::fs::read_to_string(format!("helm/{chart}/values.schema.json")).expect("the schema");
        let schema: Json = serde_json::from_str(&schema).expect("JSON");
        let mut without = Vec::new();
        keys_without_description(&schema, chart, &mut without);
        assert_eq!(without, Vec::<String>::new());
    }
}

fn keys_without_description(schema: &Json, path: &str, without: &mut Vec<String>) {
    for (key, of_key) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{key}");
        if of_key["description"].is_null() && of_key["$ref"].is_null() {
            without.push(path.clone());
        }
        keys_without_description(of_key, &path, without);
    }
    for of_member in ["items", "additionalProperties"].into_iter().filter_map(|member| schema.get(member)) {
        keys_without_description(of_member, &format!("{path}[]"), without);
    }
    for definitions in ["$defs", "definitions"] {
        for (name, definition) in schema[definitions].as_object().into_iter().flatten() {
            keys_without_description(definition, &format!("{path}#{name}"), without);
        }
    }
}

/// The page of the documentation is typed in: its files are written, its commands run, what they print is what it shows.
#[test]
fn helm_documentation_shows_real_output() {
    let text = std::fs::read_to_string("docs/helm.md").expect("the page");
    let folder = Directory::new("helm-documentation");
    let copied = Command::new("cp").args(["-r", "helm"]).arg(&folder.0).status();
    assert!(copied.expect("cp runs").success());
    let _ = std::fs::remove_dir_all(folder.0.join("helm/sample-app/charts"));
    let (mut again, mut commands) = (String::new(), 0);
    for (index, part) in text.split("```").enumerate() {
        if index > 0 {
            again.push_str("```");
        }
        if let Some(yaml) = part.strip_prefix("yaml\n# values.yaml\n") {
            folder.file("values.yaml", yaml);
        }
        let Some(console) = part.strip_prefix("console\n").filter(|_| index % 2 == 1) else {
            again.push_str(part);
            continue;
        };
        again.push_str("console\n");
        for command in console.lines().filter_map(|line| line.strip_prefix("$ ")) {
            let path = format!("{}:{}", TOOLS.join("4").display(), std::env::var("PATH").expect("a path"));
            let output = Command::new("sh").args(["-c", command]).current_dir(&folder.0).env("PATH", path).output();
            let output = output.expect("a shell runs");
            assert!(output.status.success(), "{command}: {output:?}");
            let printed = String::from_utf8(output.stdout).expect("text");
            again.push_str(&format!("$ {command}\n{printed}"));
            commands += 1;
        }
    }
    assert_eq!(commands, 5);
    assert_fixture(Path::new("docs/helm.md"), &again);
}
