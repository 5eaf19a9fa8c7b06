//! The README: what it names exists, its configuration is valid, and the output it shows is today's.

use std::path::Path;

use clap::CommandFactory;
use redpath::cli::Cli;
use redpath::diagnosis::Code;

const README: &str = include_str!("../../README.md");

/// What stands between `open` and `close`, everywhere in the text.
fn between<'a>(text: &'a str, open: &str, close: char) -> Vec<&'a str> {
    text.split(open).skip(1).filter_map(|rest| rest.split(close).next()).collect()
}

#[test]
fn readme_links_resolve() {
    let links: Vec<&str> = between(README, "](", ')').into_iter().filter(|link| !link.starts_with("http")).collect();
    assert!(links.len() > 8, "{links:?}");
    for link in links {
        let page = link.split('#').next().unwrap_or(link);
        let there = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
        // The decisions are a folder.
        assert!(there.exists(), "{link}");
    }
}

#[test]
fn readme_flags_and_commands_exist() {
    let help: String = std::iter::once(Cli::command().render_long_help().to_string())
        .chain(Cli::command().get_subcommands().map(|command| command.clone().render_long_help().to_string()))
        .collect();
    let others = |line: &&str| line.contains(" az "); // the flags of the commands that a finding prints
    let own = README.lines().filter(|line| !others(line)).collect::<Vec<_>>().join("\n");
    for flag in own.split([' ', '`', '\n']).filter(|word| word.starts_with("--")) {
        assert!(help.contains(flag), "{flag}");
    }
    let mut commands = 0;
    for line in README.lines().filter_map(|line| line.strip_prefix("$ ")) {
        let read = Cli::command().try_get_matches_from(line.split_whitespace());
        assert!(read.is_ok(), "{line}: {read:?}");
        commands += 1;
    }
    assert_eq!(commands, 6);
}

#[test]
fn readme_codes_exist_and_are_complete() {
    let table = README.split("| Code |").nth(1).unwrap().split("\n\n").next().unwrap();
    let named: Vec<&str> = between(table, "| `", '`');
    let known = |name: &&str| Code::ALL.iter().any(|code| code.as_str() == *name);
    assert!(named.len() == 7 && named.iter().all(known), "{named:?}");
}

#[test]
fn readme_configuration_is_valid() {
    let yaml = README.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let config = redpath::config::parse(yaml).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((config.targets.len(), config.resolvers.len()), (1, 1));
}

#[test]
fn readme_make_targets_exist() {
    let makefile = include_str!("../../Makefile");
    for target in between(README, "\nmake ", ' ') {
        assert!(makefile.contains(&format!("\n{target}: ")), "make {target}");
    }
}

/// The failing check is a saved record, which `explain` prints as `check` does.
#[test]
fn readme_output_matches_a_run() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_redpath"))
        .args(["explain", "tests/stories/saved-zone-not-linked.record.json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("LC_ALL", "C.UTF-8")
        .output()
        .expect("redpath runs");
    let block = README.split("```console\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let (_command, shown) = block.split_once('\n').unwrap();
    assert_eq!(shown, String::from_utf8_lossy(&output.stdout));
}
