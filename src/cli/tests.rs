//! How the flags read, and what is refused.

use clap::CommandFactory;

use super::*;

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
    assert_eq!((args.expect, args.output, args.color), (ExpectedPath::Private, OutputFormat::Text, ColorChoice::Auto));
    assert_eq!((args.timeout, args.samples, args.require_auth), (Duration::from_secs(5), 1, RequireAuth::Error));
    assert_eq!((args.tries, check(&["cache1", "--tries", "20"]).tries), (None, Some(20)));
    assert_eq!((args.addresses, args.auth), (Addresses::First, None));
    assert_eq!(args.views, ["all"]);
    assert!(!args.strict && !args.plaintext);
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
    assert_eq!((args.endpoints.len(), args.resolvers.len(), args.samples), (2, 1, 1000));
    assert_eq!(args.views, ["libc", "hub"]);
    assert_eq!(args.latency, [(PhaseName::Ping, Duration::from_millis(5))]);
    assert_eq!(args.require_auth, RequireAuth::Remark);
}

#[test]
fn cli_mistake_is_one_sentence() {
    for (arguments, says) in [
        (&["redpath", "check"][..], "the following required arguments were not provided: <TARGET>... (see --help)"),
        (
            &["redpath", "check", "x", "--samples", "0"],
            "invalid value '0' for '--samples <N>': a number from 1 to 1000 is expected (see --help)",
        ),
        (
            &["redpath", "check", "x", "--output", "jsn"],
            "invalid value 'jsn' for '--output <FORMAT>' [possible values: text, json, ndjson, prometheus, markdown]; \
             tip: a similar value exists: 'json' (see --help)",
        ),
    ] {
        let error = Cli::try_parse_from(arguments).err().expect("a mistake");
        assert_eq!(one_sentence(&error), says);
    }
}

#[test]
fn cli_has_no_secret_flag_or_future_version() {
    let command = Cli::command();
    let check = command.find_subcommand("check").expect("a command");
    for flag in ["password", "token"] {
        assert!(check.get_arguments().all(|argument| argument.get_long() != Some(flag)), "--{flag}");
    }
    for later in ["watch", "report", "gate"] {
        assert!(command.find_subcommand(later).is_none(), "{later}");
    }
}
