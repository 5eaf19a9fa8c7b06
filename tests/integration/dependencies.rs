//! `docs/dependencies.md` against what cargo resolves: every direct dependency has its line and its reason,
//! no line is without one, and the counts and groups are those of today.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const PAGE: &str = "docs/dependencies.md";
const BEGIN: &str = "<!-- REWRITE_FIXTURES=1 cargo test --test integration -- dependencies:: writes the rest -->\n";

const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// What cargo resolves for that platform.
struct Graph {
    root: String,
    names: BTreeMap<String, String>,
    macros: BTreeSet<String>,
    /// From each package to those that it is linked with, and those that run while it is built.
    linked: BTreeMap<String, Vec<String>>,
    building: BTreeMap<String, Vec<String>>,
    dev: Vec<String>,
    /// Those that are really built: `cargo metadata` adds what only the tests' features bring.
    built: BTreeSet<String>,
}

impl Graph {
    fn read() -> Self {
        let all = cargo(&["metadata", "--format-version", "1", "--filter-platform", PLATFORM]);
        let all: Value = serde_json::from_str(&all).expect("JSON");
        let tree = cargo(&["tree", "--edges", "normal,build", "--target", PLATFORM, "--prefix", "none", "--no-dedupe"]);
        let tree: BTreeSet<(&str, &str)> = tree
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(name, rest)| (name, rest.split(' ').next().unwrap_or_default()))
            .collect();
        let (mut names, mut macros, mut built) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        for package in all["packages"].as_array().expect("packages") {
            let id = text(&package["id"]);
            let name = text(&package["name"]);
            if tree.contains(&(name.as_str(), format!("v{}", text(&package["version"])).as_str())) {
                built.insert(id.clone());
            }
            names.insert(id.clone(), name);
            let kinds =
                package["targets"].as_array().expect("targets").iter().flat_map(|target| target["kind"].as_array());
            if kinds.flatten().any(|kind| kind == "proc-macro") {
                macros.insert(id);
            }
        }
        let root = text(&all["resolve"]["root"]);
        let mut graph =
            Self { root, names, macros, linked: BTreeMap::new(), building: BTreeMap::new(), dev: Vec::new(), built };
        for node in all["resolve"]["nodes"].as_array().expect("nodes") {
            let id = text(&node["id"]);
            for dependency in node["deps"].as_array().expect("dependencies") {
                let other = text(&dependency["pkg"]);
                for kind in dependency["dep_kinds"].as_array().expect("kinds") {
                    match kind["kind"].as_str() {
                        None if graph.macros.contains(&other) => {
                            graph.building.entry(id.clone()).or_default().push(other.clone())
                        }
                        None => graph.linked.entry(id.clone()).or_default().push(other.clone()),
                        Some("build") => graph.building.entry(id.clone()).or_default().push(other.clone()),
                        Some("dev") if id == graph.root => graph.dev.push(other.clone()),
                        Some(_) => {}
                    }
                }
            }
        }
        graph
    }

    /// What `from` is linked with, itself included.
    fn linked_with(&self, from: &str) -> BTreeSet<String> {
        reach([from.to_owned()].into(), |id| self.linked.get(id).into_iter().flatten().cloned().collect())
    }

    /// What runs while `linked` are built: macros, build scripts' helpers, and all that these need.
    fn run_for(&self, linked: &BTreeSet<String>) -> BTreeSet<String> {
        let first = linked.iter().filter_map(|id| self.building.get(id)).flatten().cloned().collect();
        reach(first, |id| {
            [&self.linked, &self.building].into_iter().filter_map(|edges| edges.get(id)).flatten().cloned().collect()
        })
    }

    fn direct(&self) -> Vec<String> {
        let edges = [&self.linked, &self.building].into_iter().filter_map(|edges| edges.get(&self.root));
        edges.flatten().cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn name(&self, id: &str) -> String {
        self.names.get(id).unwrap_or_else(|| panic!("{id} is resolved and no package")).clone()
    }
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--locked", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

fn reach(mut found: BTreeSet<String>, next: impl Fn(&str) -> Vec<String>) -> BTreeSet<String> {
    let mut left: Vec<String> = found.iter().cloned().collect();
    while let Some(id) = left.pop() {
        for other in next(&id) {
            if found.insert(other.clone()) {
                left.push(other);
            }
        }
    }
    found
}

/// The rest of the page: counts, and who brings what.
fn generated(graph: &Graph) -> String {
    let mut linked = graph.linked_with(&graph.root);
    linked.retain(|id| graph.built.contains(id));
    let mut run = graph.run_for(&linked);
    run.retain(|id| graph.built.contains(id) && !linked.contains(id));
    linked.remove(&graph.root);
    let direct = graph.direct();
    let of_tests: BTreeSet<String> = graph
        .dev
        .iter()
        .flat_map(|id| {
            let with = graph.linked_with(id);
            graph.run_for(&with).union(&with).cloned().collect::<Vec<_>>()
        })
        .filter(|id| !linked.contains(id) && !run.contains(id))
        .collect();

    let mut page = String::from(BEGIN);
    page += "\n| Crates, for x86-64 Linux | |\n|---|---|\n";
    for (what, count) in [
        ("direct", direct.len()),
        ("linked into the binary, direct and indirect", linked.len()),
        ("run while it is built and not linked in: derive macros, helpers of build scripts", run.len()),
        ("for the tests alone, direct and indirect", of_tests.len()),
    ] {
        page += &format!("| {what} | {count} |\n");
    }
    // Each indirect crate stands under the one direct dependency that needs it, or under several.
    let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for id in linked.iter().chain(&run).filter(|id| !direct.contains(id)) {
        let needed_by: Vec<String> = direct
            .iter()
            .filter(|direct| {
                let with = graph.linked_with(direct);
                with.contains(id) || graph.run_for(&with).contains(id)
            })
            .map(|direct| format!("`{}`", graph.name(direct)))
            .collect();
        let group = if let [one] = needed_by.as_slice() { one.clone() } else { "several".to_owned() };
        groups.entry(group).or_default().insert(graph.name(id));
    }
    page += "\n| Needed by | Crates |\n|---|---|\n";
    for (group, names) in groups {
        page += &format!("| {group} | {} |\n", names.into_iter().collect::<Vec<_>>().join(", "));
    }
    page
}

/// The crates of a section's table, each with what it is for.
fn lines<'p>(page: &'p str, heading: &str) -> BTreeMap<&'p str, &'p str> {
    let section = page.split(&format!("\n## {heading}\n")).nth(1).unwrap_or_else(|| panic!("no section {heading}"));
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut lines = BTreeMap::new();
    for line in section.lines().filter(|line| line.starts_with("| `")) {
        let (name, why) = line[3..].split_once("` | ").unwrap_or_else(|| panic!("{line}"));
        let why = why.trim_end_matches([' ', '|']);
        assert!(why.len() > 8, "{name} has no reason");
        assert_eq!(lines.insert(name, why), None, "{name} stands twice");
    }
    lines
}

#[test]
fn dependencies_document_matches_manifest() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = std::fs::read_to_string(&path).expect("the page");
    let graph = Graph::read();
    for (heading, ids) in [("Direct", graph.direct()), ("For the tests alone", graph.dev.clone())] {
        let direct: BTreeSet<String> = graph.direct().iter().map(|id| graph.name(id)).collect();
        let mut names: BTreeSet<String> = ids.iter().map(|id| graph.name(id)).collect();
        if heading != "Direct" {
            names.retain(|name| !direct.contains(name)); // tokio with more features
        }
        let lines: BTreeSet<String> = lines(&page, heading).into_keys().map(str::to_owned).collect();
        let missing: Vec<_> = names.difference(&lines).collect();
        let left_over: Vec<_> = lines.difference(&names).collect();
        assert!(
            missing.is_empty() && left_over.is_empty(),
            "{PAGE}, {heading}: without a line {missing:?}, without a dependency {left_over:?}"
        );
    }
    let head = page.split(BEGIN).next().expect("a head");
    crate::output::assert_fixture(&path, &format!("{head}{}", generated(&graph)));
}

/// What it calls takes minutes and a network; that the list is among what is handed on takes neither.
#[test]
fn sbom_is_released_with_binary() {
    let read = |path: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path);
    assert!(read("Makefile").contains("\nrelease: ## ") && read("Makefile").contains("scripts/release.sh"));
    let release = read("scripts/release.sh");
    for part in
        ["scripts/sbom.sh", "redpath.cdx.json\" \"$dist/", "scripts/package.sh", "container/image.sh", "SHA256SUMS"]
    {
        assert!(release.contains(part), "{part} is not in scripts/release.sh");
    }
    let syntax =
        Command::new("bash").args(["-n", "scripts/release.sh", "scripts/sbom.sh"]).status().expect("bash runs");
    assert!(syntax.success());
}
