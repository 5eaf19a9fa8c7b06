//! Modules of `src/` do not import each other in a circle. A parent and its children may: they are one unit.

use std::collections::{BTreeMap, BTreeSet};

use super::{module_path, read, rust_files};

/// A module's path: `[probe, dns]`.
type Module = Vec<String>;

#[test]
fn modules_import_without_circles() {
    let sources: BTreeMap<Module, String> = rust_files("src")
        .iter()
        .filter(|file| !file.ends_with("tests.rs"))
        .map(|file| (module_path(file), without_tests(&read(file))))
        .collect();
    let circles: Vec<String> = circles(&sources)
        .into_iter()
        .map(|circle| circle.iter().map(|module| module.join("::")).collect::<Vec<_>>().join(", "))
        .collect();
    assert!(circles.is_empty(), "modules that import each other in a circle:\n{}", circles.join("\n"));
}

#[test]
fn circle_is_found() {
    let sources = |files: &[(&str, &str)]| {
        let module = |name: &str| name.split("::").map(str::to_owned).collect::<Module>();
        circles(&files.iter().map(|(name, text)| (module(name), (*text).to_owned())).collect())
    };
    let circle = [("a", ""), ("a::b", "use super::c::{d, e};\n"), ("a::c", "fn f() {\n    crate::a::b::g();\n}\n")];
    assert_eq!(sources(&circle).len(), 1);
    let through_a_third = [("a", "use crate::b;\n"), ("b", "use crate::{a::x, c::Y};\n"), ("c", "")];
    assert_eq!(sources(&through_a_third).len(), 1);
    let family = [("a", "use self::b::B;\n"), ("a::b", "use super::A;\n"), ("c", "use crate::a;\n")];
    assert!(sources(&family).is_empty());
}

/// Groups of modules of which each can be reached from each other.
fn circles(sources: &BTreeMap<Module, String>) -> BTreeSet<BTreeSet<Module>> {
    let imports: BTreeMap<&Module, BTreeSet<&Module>> =
        sources.iter().map(|(module, text)| (module, imported(module, text, sources))).collect();
    let reachable: BTreeMap<&Module, BTreeSet<&Module>> = sources
        .keys()
        .map(|module| {
            let (mut found, mut left) = (BTreeSet::new(), vec![module]);
            while let Some(next) = left.pop() {
                left.extend(imports[next].iter().copied().filter(|other| found.insert(*other)));
            }
            (module, found)
        })
        .collect();
    let mut circles = BTreeSet::new();
    for (module, others) in &reachable {
        let circle = others.iter().filter(|other| reachable[**other].contains(module));
        let circle: BTreeSet<Module> = circle.map(|other| (*other).clone()).collect();
        if !circle.is_empty() {
            circles.insert(circle);
        }
    }
    circles
}

/// The modules that `text` names, without parents and children of its own module.
fn imported<'m>(module: &Module, text: &str, sources: &'m BTreeMap<Module, String>) -> BTreeSet<&'m Module> {
    let mut found = BTreeSet::new();
    for path in paths(text) {
        let mut parts = path.split("::").peekable();
        let mut base = match parts.peek() {
            Some(&("crate" | "redpath")) => Vec::new(),
            Some(&("self" | "super")) => module.clone(),
            _ => continue,
        };
        for part in parts {
            match part {
                "super" => drop(base.pop()),
                "crate" | "redpath" | "self" => {}
                _ => {
                    base.push(part.to_owned());
                    if !sources.contains_key(&base) {
                        base.pop();
                        break;
                    }
                }
            }
        }
        if let Some((other, _)) = sources.get_key_value(&base)
            && !other.starts_with(module)
            && !module.starts_with(other)
        {
            found.insert(other);
        }
    }
    found
}

/// Every path in `text`, the groups of `use` written out: `a::{b, c}` is `a::b` and `a::c`.
fn paths(text: &str) -> Vec<String> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let (mut found, mut prefixes, mut word) = (Vec::new(), vec![String::new()], String::new());
    let mut in_use = false;
    for c in text.chars() {
        match c {
            _ if is_path(c) => word.push(c),
            '{' if in_use => {
                prefixes.push(format!("{}{}", prefixes.last().map_or("", String::as_str), std::mem::take(&mut word)))
            }
            _ => {
                let word = std::mem::take(&mut word);
                if word == "use" {
                    in_use = true;
                } else if !word.is_empty() {
                    found.push(format!("{}{word}", prefixes.last().map_or("", String::as_str)));
                }
                if c == '}' && prefixes.len() > 1 {
                    prefixes.pop();
                } else if c == ';' {
                    (in_use, prefixes) = (false, vec![String::new()]);
                }
            }
        }
    }
    found
}

/// Without comments and without the module of the tests.
fn without_tests(text: &str) -> String {
    let code: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let end = code.windows(2).position(|pair| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod "));
    code[..end.unwrap_or(code.len())].join("\n")
}
