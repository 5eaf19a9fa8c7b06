//! A key in the place of every flag's value and of every argument: whatever refuses it does not repeat it.

use std::process::{Command, Stdio};

use clap::{ArgAction, CommandFactory};
use redpath::cli::Cli;

use super::search::Search;

/// A key as the Azure portal gives it: 32 bytes as base64.
const KEY: &str = "iAITMl7lD127c/VZEl0O+l8qviaXHIoKekaJjP1J1HI=";

/// Values that are shown wherever they stand: names that an operator gives, and nothing else.
const NAMES: [&str; 3] = ["--username", "--label", "--client-id"];

/// Every command line with the key in one place.
fn command_lines(command: &clap::Command, words: &[String], found: &mut Vec<Vec<String>>) {
    for sub in command.get_subcommands() {
        command_lines(sub, &[words, &[sub.get_name().to_owned()]].concat(), found);
    }
    if command.has_subcommands() {
        return;
    }
    found.push([words, &[KEY.to_owned()]].concat());
    for argument in command.get_arguments() {
        let Some(flag) = argument.get_long().map(|long| format!("--{long}")) else { continue };
        let takes_value = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
        if takes_value && !NAMES.contains(&flag.as_str()) {
            // As two words and as one; the target does not exist, so that nothing is probed for long.
            found.push([words, &["h.invalid".to_owned(), flag.clone(), KEY.to_owned()]].concat());
            found.push([words, &["h.invalid".to_owned(), format!("{flag}={KEY}")]].concat());
        }
    }
}

#[test]
fn flag_given_a_key_does_not_show_it() {
    let search = Search::for_all([("the key", KEY)]);
    let mut lines = Vec::new();
    command_lines(&Cli::command(), &[], &mut lines);
    assert!(lines.len() > 200, "{} command lines", lines.len());
    let folder = tempfile::tempdir().expect("a folder");
    for words in lines {
        // One that takes the key for a value it can work with must not run on.
        let mut command = Command::new("timeout");
        command.args(["30", env!("CARGO_BIN_EXE_redpath")]).args(&words).current_dir(folder.path());
        let output = command.stdin(Stdio::null()).output().expect("redpath runs");
        let shown = words.join(" ").replace(KEY, "KEY");
        assert!(!matches!(output.status.code(), None | Some(0 | 124)), "{shown}: {}", output.status);
        search.clears(&shown, &[output.stdout, output.stderr].concat());
    }
}

/// The forms of a connection string and of a URL, wherever a target may stand.
#[test]
fn target_forms_with_a_key_do_not_show_it() {
    let search = Search::for_all([("the key", KEY)]);
    let encoded: String = url::form_urlencoded::byte_serialize(KEY.as_bytes()).collect();
    for target in [
        format!("h.invalid:6380,password={KEY},ssl=True,abortConnect=False"),
        format!("h.invalid:6380,user=app,password={KEY},ssl=True"),
        format!("h.invalid:6380,Password = {KEY} ,SSL=yes"),
        format!("h.invalid:6380,{KEY}"),
        format!("password={KEY},h.invalid:6380"),
        format!("h.invalid:6380:{KEY}"),
        format!("h.invalid:6380?password={KEY}"),
        format!("h.invalid?accessKey={KEY}"),
        format!("rediss://:{encoded}@h.invalid:6380"),
        format!("rediss://{encoded}@h.invalid"),
        format!("rediss://:{KEY}@h.invalid:6380/0"),
        format!("rediss://h.invalid:6380?password={encoded}"),
        format!("rediss://h.invalid:6380/0?user=app&password={KEY}"),
        format!("rediss://app:{encoded}@h.invalid:x"),
        format!("https://:{encoded}@h.invalid"),
        format!("redis-cli -h h.invalid -a {KEY}"),
        format!("{KEY}@h.invalid"),
    ] {
        for command in ["check", "connections", "clients", "watch"] {
            let mut run = Command::new(env!("CARGO_BIN_EXE_redpath"));
            run.args([command, &target, "--views", "libc", "--timeout", "500ms"]).stdin(Stdio::null());
            if command == "watch" {
                run.args(["--until", "1s", "--output", "ndjson"]);
            }
            let output = run.output().expect("redpath runs");
            let said = [output.stdout, output.stderr].concat();
            let shown = target.replace(KEY, "KEY").replace(&encoded, "KEY");
            assert!(!said.is_empty() && output.status.code() != Some(101), "{command} {shown}: {said:?}");
            search.clears(&format!("{command} {shown}"), &said);
        }
    }
}
