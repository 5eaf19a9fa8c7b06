//! The word of `docs/`: every command line of redpath in it parses, every link leads somewhere, and the
//! tests that the threat model names exist.

use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap::error::ErrorKind;
use redpath::cli::Cli;
use redpath::diagnosis::Code;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, ending: &str, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        match entry.is_dir() {
            true => files(&entry, ending, into),
            false if entry.extension().is_some_and(|found| found == ending) => into.push(entry),
            false => {}
        }
    }
}

fn pages() -> Vec<(PathBuf, String)> {
    let mut pages = Vec::new();
    files(&root().join("docs"), "md", &mut pages);
    pages.into_iter().map(|path| (path.clone(), fs::read_to_string(path).expect("UTF-8"))).collect()
}

/// The command lines of a page: lines of its code blocks, and code spans, that begin with `redpath `.
fn commands(page: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut in_block = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            let line = line.trim();
            let command = line.strip_prefix("$ ").unwrap_or(line);
            commands.extend(command.starts_with("redpath ").then(|| command.to_owned()));
        } else {
            commands
                .extend(line.split('`').skip(1).step_by(2).filter(|span| span.starts_with("redpath ")).map(Into::into));
        }
    }
    commands
}

/// The words of a command line as a shell would give them; `None` where it only names a shape (`…`, `[…]`).
fn words(command: &str) -> Option<Vec<String>> {
    let command = command.split(" #").next()?.split("   ").next()?.split([';', '|', '>']).next()?;
    let placeholder = command.contains(['…', '[', '<']) || command.contains("...");
    (!placeholder).then(|| command.split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect())
}

#[test]
fn documented_commands_parse() {
    let (mut parsed, mut wrong) = (0, Vec::new());
    for (path, page) in pages() {
        for command in commands(&page) {
            let host = command.replace("<host>", "cache1.redis.cache.windows.net");
            let host = host.replace("<host>:<port>", "cache1.redis.cache.windows.net:6380");
            let Some(words) = words(&host) else { continue };
            // A bare `redpath check` names the command and shows no use of it.
            if words.len() <= 2 {
                continue;
            }
            match Cli::command().try_get_matches_from(&words) {
                Ok(_) => parsed += 1,
                // Prose names a command by a flag of it, and leaves the rest out.
                Err(error)
                    if error.kind() == ErrorKind::MissingRequiredArgument && page.contains(&format!("`{command}`")) => {
                }
                Err(error) => wrong.push(format!("{}: {command}: {error}", path.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(parsed > 30, "{parsed} were found");
}

#[test]
fn guide_links_resolve() {
    for (path, page) in pages() {
        for link in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            if file.is_empty() || link.contains("://") {
                continue;
            }
            assert!(path.parent().expect("a folder").join(file).exists(), "{}: {link}", path.display());
        }
    }
}

#[test]
fn cutover_names_known_codes() {
    let page = fs::read_to_string(root().join("docs/cutover.md")).expect("the runbook");
    let table = page.split("| Cause |").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("the table");
    let named: Vec<&str> = table.split("| `").skip(1).filter_map(|rest| rest.split('`').next()).collect();
    assert_eq!(named.len(), 4);
    for code in named {
        assert!(Code::named(code).is_some(), "{code}");
    }
}

#[test]
fn threat_model_names_real_tests() {
    let page = fs::read_to_string(root().join("docs/threat-model.md")).expect("the threat model");
    let table = page.split("| Test |").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("the table");
    let mut sources = Vec::new();
    for folder in ["src", "tests"] {
        files(&root().join(folder), "rs", &mut sources);
    }
    let sources: String = sources.iter().map(|path| fs::read_to_string(path).expect("UTF-8")).collect();
    let mut tests = 0;
    for row in table.lines().skip(2) {
        let shown = row.trim_matches('|').split(" | ").last().unwrap_or_default();
        for test in shown.split('`').skip(1).step_by(2).filter(|test| !test.starts_with("make ")) {
            assert!(sources.contains(&format!("fn {test}(")), "{test}");
            tests += 1;
        }
    }
    assert!(tests > 20, "{tests}");
}

/// The functions of the walk through the code, "`name` in `file`".
#[test]
fn architecture_names_real_functions() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let mut functions = 0;
    for (before, after) in page.lines().filter_map(|line| line.split_once("` in `src/")) {
        let name = before.rsplit('`').next().unwrap_or_default();
        let file = format!("src/{}", after.split('`').next().unwrap_or_default());
        let text = fs::read_to_string(root.join(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let is_defined = [format!("fn {name}("), format!("fn {name}<")].iter().any(|start| text.contains(start));
        assert!(is_defined, "{file} has no function {name}");
        functions += 1;
    }
    assert!(functions >= 10, "{functions} functions");
}
