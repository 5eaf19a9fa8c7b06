//! The README's word: what it names exists, and what it shows is taken.

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
        let there = Path::new(env!("CARGO_MANIFEST_DIR")).join(link);
        // The decisions are a folder.
        assert!(there.exists(), "{link}");
    }
}

#[test]
fn readme_flags_and_commands_exist() {
    let help: String = std::iter::once(Cli::command().render_long_help().to_string())
        .chain(Cli::command().get_subcommands().map(|command| command.clone().render_long_help().to_string()))
        .collect();
    let others = |line: &&str| ["cargo build ", "podman "].iter().any(|program| line.starts_with(program));
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
    assert_eq!(commands, 7);
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
