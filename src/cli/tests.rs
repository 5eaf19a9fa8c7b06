//! How the flags read, and what is refused.

use clap::CommandFactory;

use std::time::Duration;

use super::*;
use crate::expectation::ExpectedPath;
use crate::phase::PhaseName;
use crate::plan::{Addresses, RequireAuth};

fn check(arguments: &[&str]) -> CheckArgs {
    let all = ["redpath", "check"].iter().chain(arguments);
    match Cli::try_parse_from(all).map(|cli| cli.command) {
        Ok(Command::Check(args)) => *args,
        Ok(_) => panic!("another command"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn cli_declaration_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn cli_defaults_match_contract() {
    let args = check(&["cache1"]);
    assert_eq!(
        (args.probe.path.expect, args.output, args.color),
        (ExpectedPath::Private, OutputFormat::Text, ColorChoice::Auto)
    );
    assert_eq!(
        (args.probe.timeout, args.probe.samples, args.probe.require_auth),
        (Duration::from_secs(5), 1, RequireAuth::Error)
    );
    assert_eq!((args.probe.tries, check(&["cache1", "--tries", "20"]).probe.tries), (None, Some(20)));
    assert_eq!((args.probe.addresses, args.probe.credentials.auth), (Addresses::First, None));
    assert_eq!(args.probe.path.views, ["all"]);
    assert!(!args.probe.strict && !args.probe.connection.plaintext);
}

#[test]
fn cli_flags_parse_and_repeat() {
    let args = check(&[
        "cache1",
        "--endpoint",
        "10.60.4.5",
        "--endpoint",
        "10.60.5.0/24",
        "cache2",
        "--views",
        "libc,hub",
        "--resolver",
        "hub=10.10.0.53",
        "--latency",
        "ping=5ms",
        "--require-auth",
        "false",
        "--samples",
        "1000",
    ]);
    assert_eq!(args.targets, ["cache1", "cache2"]);
    assert_eq!((args.probe.path.endpoints.len(), args.probe.path.resolvers.len(), args.probe.samples), (2, 1, 1000));
    assert_eq!(args.probe.path.views, ["libc", "hub"]);
    assert_eq!(args.probe.latency, [(PhaseName::Ping, Duration::from_millis(5))]);
    assert_eq!(args.probe.require_auth, RequireAuth::Remark);
}

/// What is said about a command line that is refused.
fn refusal(arguments: &[&str]) -> String {
    let all = ["redpath"].iter().chain(arguments);
    error::sentence(&Cli::try_parse_from(all).err().unwrap_or_else(|| panic!("{arguments:?} is accepted")))
}

#[test]
fn cli_mistake_is_one_sentence() {
    for (arguments, expected) in [
        (&["check"][..], "<TARGET>... is missing (see --help)"),
        (
            &["check", "x", "--samples", "0"],
            "--samples <N>: \"0\" is out of range: a number from 1 to 1000 is expected (see --help)",
        ),
        (
            &["check", "x", "--output", "jsn"],
            "--output <FORMAT>: \"jsn\" is not known; did you mean json?: one of text, json, ndjson, prometheus, markdown, junit \
             is expected (see --help)",
        ),
        (&["check", "x", "--output"], "--output <FORMAT> has no value (see --help)"),
        (
            &["check", "x", "--pasword-file", "k"],
            "--pasword-file is not a flag; did you mean --password-file? (see --help)",
        ),
        (
            &["check", "x", "--plaintext", "--ca-file", "k"],
            "--plaintext and --ca-file <FILE> exclude each other (see --help)",
        ),
        (&["check", "x", "--strict", "--strict"], "--strict is given twice (see --help)"),
        (&["config", "check", "a", "b"], "\"b\" is one argument too many (see --help)"),
        (&["chek", "x"], "\"chek\" is not a command; did you mean check? (see --help)"),
        (
            &["cache1.redis.cache.windows.net"],
            "\"cache1.redis.cache.windows.net\" is not a command; redpath check cache1.redis.cache.windows.net probes it \
             (see --help)",
        ),
    ] {
        assert_eq!(refusal(arguments), expected);
    }
}

#[test]
fn cli_mistake_never_shows_a_secret() {
    let string = "cache1:6380,password=hunter2,ssl=True";
    for arguments in [
        &[string][..],
        &["rediss://:hunter2@cache1"],
        &["check", "x", "--password", "hunter2"],
        &["check", "x", "--password=hunter2"],
        &["check", "x", "-a", "hunter2"],
        &["check", "x", "-ahunter2"],
        &["check", "x", "--output", string],
        &["check", "x", "--expect", string],
        &["check", "x", "--timeout", string],
        &["check", "x", "--resolver", string],
        &["check", "x", "--endpoint", string],
        &["check", "x", "--connect", string],
        &["check", "x", "--label", string],
        &["check", "x", "--server-name", string],
        &["check", "x", "--strict=hunter2"],
        &["config", "check", "a", string],
        &["completions", string],
        &["agent", "--config", "a", "--listen", string],
    ] {
        let refusal = refusal(arguments);
        assert!(!refusal.contains("hunter2"), "{refusal}");
    }
}

#[test]
fn cli_has_no_secret_flag() {
    let command = Cli::command();
    let check = command.find_subcommand("check").expect("a command");
    for flag in ["password", "token"] {
        assert!(check.get_arguments().all(|argument| argument.get_long() != Some(flag)), "--{flag}");
    }
}
