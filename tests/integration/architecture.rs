//! Architecture tests: layering, import circles, file sizes, parameters, banned words, no TODO. ARCHITECTURE.md
//! has the reasons.
#![allow(clippy::panic, reason = "a test's helper fails by it")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

mod cycles;
mod parameters;
mod words;

/// Modules that play the same part, and the layers that they may import from. The own module is always
/// allowed; another of the same layer only where the layer lists itself.
struct Layer {
    name: &'static str,
    modules: &'static [&'static str],
    imports: &'static [&'static str],
}

/// From the bottom up. A new module of `src/` is put into one of these, or the test says so.
const LAYERS: &[Layer] = &[
    Layer {
        name: "vocabulary",
        modules: &[
            "address",
            "azure",
            "bounded_read",
            "clock",
            "expectation",
            "lock",
            "metrics_settings",
            "parse",
            "phase",
            "plan",
            "printable",
            "secret",
            "statistics",
            "suggest",
            "target",
            "vantage",
        ],
        imports: &["vocabulary"],
    },
    Layer { name: "files of az", modules: &["az"], imports: &["vocabulary"] },
    Layer { name: "configuration", modules: &["config"], imports: &["vocabulary", "files of az"] },
    Layer { name: "observation", modules: &["observation"], imports: &["vocabulary"] },
    Layer { name: "probe", modules: &["probe"], imports: &["vocabulary", "observation"] },
    Layer { name: "query API", modules: &["prometheus"], imports: &["vocabulary", "probe"] },
    Layer { name: "diagnosis", modules: &["diagnosis"], imports: &["vocabulary", "observation"] },
    Layer { name: "record", modules: &["record"], imports: &["vocabulary", "observation", "diagnosis"] },
    Layer {
        name: "memory",
        modules: &["history", "journal", "schedule"],
        imports: &["vocabulary", "configuration", "observation", "diagnosis", "record"],
    },
    Layer {
        name: "outputs",
        modules: &["output"],
        // The memory for what changed.
        imports: &["vocabulary", "observation", "diagnosis", "record", "memory", "evidence", "gate"],
    },
    Layer {
        name: "evidence",
        modules: &["evidence"],
        imports: &["vocabulary", "observation", "diagnosis", "record", "memory"],
    },
    Layer {
        name: "gate",
        modules: &["gate"],
        imports: &["vocabulary", "observation", "record", "evidence", "memory", "query API"],
    },
    Layer {
        name: "live view",
        modules: &["watch"],
        imports: &["vocabulary", "observation", "diagnosis", "record", "memory", "outputs", "evidence"],
    },
    Layer { name: "code reference", modules: &["codes"], imports: &["vocabulary", "diagnosis", "outputs"] },
    Layer {
        name: "command line",
        modules: &["cli"],
        imports: &["vocabulary", "files of az", "configuration", "diagnosis", "outputs", "gate"],
    },
    Layer {
        name: "connectors",
        modules: &["pipeline", "server", "agent"],
        imports: &[
            "vocabulary",
            "configuration",
            "observation",
            "probe",
            "diagnosis",
            "record",
            "memory",
            "outputs",
            "code reference",
            "connectors",
        ],
    },
    Layer {
        name: "commands",
        modules: &["commands"],
        imports: &[
            "vocabulary",
            "files of az",
            "configuration",
            "observation",
            "probe",
            "diagnosis",
            "record",
            "memory",
            "evidence",
            "gate",
            "query API",
            "outputs",
            "live view",
            "code reference",
            "command line",
            "connectors",
        ],
    },
    // The roots: they declare the modules, and start the commands.
    Layer { name: "root", modules: &["lib", "main"], imports: &["vocabulary", "command line", "commands"] },
];

#[test]
fn imports_run_one_way() {
    let wrong: Vec<String> = rust_files("src").iter().flat_map(|file| wrong_imports(file, &read(file))).collect();
    assert!(wrong.is_empty(), "imports against the direction:\n{}", wrong.join("\n"));
}

#[test]
fn layers_import_only_known_layers() {
    let names: BTreeSet<_> = LAYERS.iter().map(|layer| layer.name).collect();
    let mut modules = BTreeSet::new();
    for layer in LAYERS {
        assert!(layer.imports.iter().all(|import| names.contains(import)), "{}", layer.name);
        assert!(layer.modules.iter().all(|module| modules.insert(module)), "{}: a module of two layers", layer.name);
    }
    assert_eq!(names.len(), LAYERS.len());
}

#[test]
fn forbidden_import_is_found() {
    let found = |file: &str, text: &str| wrong_imports(Path::new(file), text);
    for (file, text) in [
        ("src/probe/dns.rs", "use crate::diagnosis::Code;\n"),
        ("src/probe/dns.rs", "use super::super::record::Record;\n"),
        ("src/probe.rs", "use super::diagnosis;\n"),
        ("src/probe.rs", "mod tests {\n    use super::super::diagnosis::Code;\n}\n"),
        ("src/diagnosis.rs", "use crate::probe::Prober;\n"),
        ("src/diagnosis.rs", "use crate::{\n    address::AddressClass,\n    record::{Record, Report},\n};\n"),
        ("src/diagnosis.rs", "fn f() {\n    let x = crate::record::Record::new();\n}\n"),
        ("src/address.rs", "use crate::observation::Observation;\n"),
        ("src/output/text.rs", "use crate::pipeline::run;\n"),
        ("src/agent.rs", "use crate::commands::check;\n"),
        ("src/pipeline.rs", "pub(crate) use crate::cli::Cli;\n"),
        ("src/main.rs", "use redpath::probe::Prober;\n"),
        ("src/elsewhere.rs", "use crate::address::AddressClass;\n"),
        ("src/pipeline.rs", "use crate::elsewhere::Thing;\n"),
    ] {
        assert_eq!(found(file, text).len(), 1, "{file}: {text}");
    }
    for (file, text) in [
        ("src/probe/dns.rs", "use super::budget::Budget;\nuse crate::observation::View;\n"),
        ("src/probe/dns.rs", "use super::super::observation::View;\n"),
        ("src/probe.rs", "mod tests {\n    use super::*;\n    use super::budget::Budget;\n}\n"),
        ("src/diagnosis/code.rs", "//! [`crate::record`] holds them.\n// crate::probe does it\nuse super::Finding;\n"),
        ("src/output/text.rs", "use crate::{clock::Seconds, record::{Record, Report}};\n"),
        ("src/commands/check.rs", "use crate::{cli, pipeline, probe::Prober};\n"),
        ("src/main.rs", "use redpath::commands;\n"),
        ("src/record.rs", "pub(crate) fn f(code: crate::diagnosis::Code) {}\n"),
    ] {
        assert_eq!(found(file, text), Vec::<String>::new(), "{file}: {text}");
    }
}

#[test]
fn files_have_header_and_max_550_lines() {
    const MOST_LINES: usize = 550;
    for file in rust_files("src") {
        let text = read(&file);
        let lines = text.lines().count();
        assert!(lines <= MOST_LINES, "{} has {lines} lines; at most {MOST_LINES} are a thought", file.display());
        assert!(text.starts_with("//! "), "{} does not open with a //! on what it is for", file.display());
        assert_ne!(file.file_name().and_then(|name| name.to_str()), Some("mod.rs"), "{}", file.display());
    }
}

#[test]
fn source_has_no_unfinished_marks() {
    // In two halves, so that this file does not find itself.
    let unfinished = [["to", "do!("], ["unimple", "mented!("], ["db", "g!("], ["#[ig", "nore"], ["FIX", "ME"]];
    for file in ["src", "tests", "demo"].into_iter().flat_map(rust_files) {
        let text = read(&file);
        for word in unfinished.map(|halves| halves.concat()) {
            assert!(!text.contains(&word), "{} has {word}", file.display());
        }
    }
}

#[test]
fn decisions_have_all_sections() {
    let mut numbers = BTreeMap::new();
    for file in files("docs/decisions", "md") {
        let (text, name) = (read(&file), file.file_name().unwrap_or_default().to_string_lossy().into_owned());
        let headings: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
        let title = headings.first().and_then(|title| title.strip_prefix("# ")).unwrap_or_default();
        assert!(text.starts_with("# ") && !title.is_empty(), "{name} does not open with its title");
        assert_eq!(headings[1..], ["## Context", "## Decision", "## Consequence"], "{name}");
        let number = name.split('-').next().unwrap_or_default().to_owned();
        assert!(number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit()), "{name}: four digits first");
        assert_eq!(numbers.insert(number, name.clone()), None, "two decisions have the number of {name}");
    }
    assert!(!numbers.is_empty(), "no decision was found");
}

/// Every import of a file that runs against the direction, one sentence each.
fn wrong_imports(file: &Path, text: &str) -> Vec<String> {
    let path = module_path(file);
    let own = path.first().map_or_else(|| root_name(file), String::as_str);
    let Some(layer) = layer_of(own) else {
        return vec![format!("{}: module {own} is in no layer; put it into one in this test", file.display())];
    };
    let wrong = |import: &String| match layer_of(import) {
        _ if import == own => None,
        Some(other) if layer.imports.contains(&other.name) => None,
        Some(other) => {
            Some(format!("{}: {} ({own}) may not import {} ({import})", file.display(), layer.name, other.name))
        }
        None => Some(format!("{}: imports {import}, which is in no layer", file.display())),
    };
    imports(&path, text).iter().filter_map(wrong).collect()
}

fn layer_of(module: &str) -> Option<&'static Layer> {
    LAYERS.iter().find(|layer| layer.modules.contains(&module))
}

/// `src/probe/dns.rs` is `[probe, dns]`; the roots are `[]`.
fn module_path(file: &Path) -> Vec<String> {
    let inside = file.strip_prefix("src").unwrap_or(file).with_extension("");
    let path: Vec<String> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if path == ["lib"] || path == ["main"] { Vec::new() } else { path }
}

fn root_name(file: &Path) -> &str {
    file.file_stem().and_then(|name| name.to_str()).unwrap_or_default()
}

/// The modules at the top of the crate that a file names, by `crate::`, `super::` or the crate's own name.
fn imports(path: &[String], text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    // Without comments; whether a line is inside a `mod name {`, which rustfmt closes at the margin.
    let mut code = String::new();
    let mut inside = Vec::new();
    let mut in_module = false;
    for line in text.lines().map(|line| line.split("//").next().unwrap_or_default()) {
        in_module = (in_module || (line.starts_with("mod ") && line.ends_with(" {"))) && line != "}";
        inside.resize(inside.len() + line.len() + 1, in_module);
        code += line;
        code.push('\n');
    }
    for root in ["crate::", "redpath::", "super::"] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back().unwrap_or(' ');
            // A part of a longer name; or not the first `super` of its path, which speaks for all.
            if before.is_alphanumeric() || before == '_' || before == ':' {
                continue;
            }
            let mut rest = &code[at..];
            if root == "super::" {
                let mut above = path.len() + usize::from(inside[at]);
                while let Some(further) = rest.strip_prefix("super::") {
                    (rest, above) = (further, above.saturating_sub(1));
                }
                if above > 0 {
                    continue; // still within its own module
                }
            } else {
                rest = &rest[root.len()..];
            }
            found.extend(first_names(rest));
        }
    }
    found
}

/// `a::B` is `a`; `{a::{B, C}, d}` is `a` and `d`.
fn first_names(rest: &str) -> Vec<String> {
    let name = |text: &str| -> String { text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let Some(group) = rest.strip_prefix('{') else { return vec![name(rest)] };
    let (mut names, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.push(name(group[start..at].trim()));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// Every Rust file below a folder of the project, by its path from there.
fn rust_files(folder: &str) -> Vec<PathBuf> {
    files(folder, "rs")
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut found, mut folders) = (Vec::new(), vec![PathBuf::from(folder)]);
    while let Some(folder) = folders.pop() {
        let entries =
            std::fs::read_dir(top.join(&folder)).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries.map(|entry| entry.expect("an entry of a folder")) {
            let path = folder.join(entry.file_name());
            if entry.path().is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read(file: &Path) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
