//! From flags to plans: what stands where, and what is refused.

use std::fs::File;
use std::io::Write;

use clap::Parser;

use super::*;
use crate::cli::{Cli, Command};
use crate::plan::{Resolver, ViewSelection};

fn planned(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Plans, String> {
    let all = ["redpath", "check"].iter().chain(arguments);
    let Ok(Command::Check(args)) = Cli::try_parse_from(all).map(|cli| cli.command) else {
        panic!("{arguments:?} does not parse");
    };
    plans(&args.targets, &args.probe, &|name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
    })
}

fn auth(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<String>, String) {
    let plans = planned(arguments, variables).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
    match &plans.plans[0].auth {
        Auth::None => (None, "keyless".into()),
        Auth::Entra(EntraAuth { source, client_id, username }) => {
            (username.clone(), format!("{source} {}", client_id.as_deref().unwrap_or("-")))
        }
        Auth::Password { username, source } => {
            let source = match source {
                PasswordSource::File(file) => file.display().to_string(),
                PasswordSource::Environment(name) => name.clone(),
                PasswordSource::Given(secret) => secret.expose().to_owned(),
            };
            (username.clone(), source)
        }
    }
}

#[test]
fn plan_needs_only_a_name() {
    let plans = planned(&["cache1.redis.cache.windows.net", "amr1.westeurope.redis.azure.net"], &[]).expect("plans");
    let ports: Vec<_> = plans.plans.iter().map(|plan| (plan.target.port, plan.target.tls)).collect();
    assert_eq!(ports, [(6380, true), (10_000, true)]);
    assert!(plans.plans[0] == Plan::new(plans.plans[0].target.clone()), "every default is the plan's own");
    assert!(plans.warnings.is_empty());
}

#[test]
fn plan_scheme_and_plaintext_decide_tls() {
    let spoken = |arguments: &[&str]| {
        planned(arguments, &[]).map(|plans| (plans.plans[0].target.tls, plans.plans[0].target.port))
    };
    assert_eq!(spoken(&["cache1.redis.cache.windows.net", "--plaintext"]), Ok((false, 6379)));
    assert_eq!(spoken(&["redis://cache1.redis.cache.windows.net"]), Ok((false, 6379)));
    assert_eq!(spoken(&["redis://cache1", "--plaintext"]).map(|(tls, _)| tls), Ok(false));
    let error = spoken(&["rediss://cache1", "--plaintext"]).expect_err("a contradiction");
    assert!(error.contains("rediss://") && error.contains("--plaintext") && error.contains("cache1"), "{error}");
}

#[test]
fn plan_password_sources_have_an_order() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("key");
    File::create(&file).and_then(|mut file| file.write_all(b"from-file\r\n")).expect("a file");
    let file = file.to_str().expect("a path");
    let both = [("REDPATH_PASSWORD", "a"), ("REDISCLI_AUTH", "b"), ("REDPATH_USERNAME", "env")];
    let user = |name: &str| Some(name.to_owned());
    let url = "rediss://url:from-url@h";
    assert_eq!(auth(&[url, "--password-file", file], &both), (user("url"), "from-file".into()));
    assert_eq!(auth(&[url, "--username", "flag"], &both), (user("flag"), "from-url".into()));
    assert_eq!(auth(&["h"], &both), (user("env"), "REDPATH_PASSWORD".into()));
    assert_eq!(auth(&["h"], &both[1..2]), (None, "REDISCLI_AUTH".into()));
    assert_eq!(auth(&["h"], &[("REDPATH_PASSWORD", ""), ("REDISCLI_AUTH", "b")]), (None, "REDISCLI_AUTH".into()));
    assert_eq!(auth(&["h"], &both[2..]), (None, "keyless".into()), "a name alone is no credential");
    assert_eq!(auth(&[url, "--auth", "none"], &both), (None, "keyless".into()));
}

#[test]
fn plan_url_password_warns_once_and_is_hidden() {
    let plans = planned(&["rediss://:canary-7f3@a", "rediss://:canary-7f3@b"], &[]).expect("plans");
    assert_eq!(plans.warnings.len(), 1);
    assert!(plans.warnings[0].contains("seen by others") && !plans.warnings[0].contains("canary"));
}

#[test]
fn plan_views_are_limited_to_available() {
    let selected = |arguments: &[&str]| planned(arguments, &[]).map(|plans| plans.plans[0].clone());
    assert!(selected(&["h", "--views", "all,libc"]).is_ok_and(|plan| plan.views == ViewSelection::All));
    let azure = selected(&["h", "--views", "azure,system:10.0.0.2"]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(azure.resolvers, [Resolver::azure()], "asked for by name, so it is there");
    let error = selected(&["h", "--resolver", "hub=10.0.0.1", "--views", "hbu"]).err().expect("unknown");
    assert!(error.contains("\"hbu\"") && error.contains("hub, libc, system"), "{error}");
}

#[test]
fn plan_token_only_for_entra() {
    let host = "cache1.redis.cache.windows.net";
    let pod = [("AZURE_FEDERATED_TOKEN_FILE", "/var/run/token"), ("REDPATH_PASSWORD", "k"), ("REDPATH_USERNAME", "u")];
    assert_eq!(auth(&[host, "--auth", "entra"], &pod), (None, "workload_identity -".into()));
    assert_eq!(auth(&[host, "--auth", "entra"], &pod[1..]), (None, "azure_cli -".into()));
    let given =
        [host, "--auth", "entra", "--token-source", "managed_identity", "--client-id", "1-2", "--username", "me"];
    assert_eq!(auth(&given, &pod), (Some("me".into()), "managed_identity 1-2".into()));
    for (arguments, says) in [
        (&[host, "--token-source", "azure_cli"][..], "--token-source is for --auth entra"),
        (&[host, "--client-id", "1-2", "--auth", "none"], "--client-id is for --auth entra"),
        (&[host, "--auth", "entra", "--password-file", "/dev/null"], "--password-file gives one"),
        (&["rediss://u:p@cache1.redis.cache.windows.net", "--auth", "entra"], "the TARGET gives one"),
        (&[host, "--auth", "entra", "--token-source", "azure_cli", "--client-id", "1-2"], "`az login` identity"),
    ] {
        let refused = planned(arguments, &[]).err().unwrap_or_else(|| panic!("{arguments:?} was taken"));
        assert!(refused.contains(says), "{arguments:?}: {refused}");
    }
}

#[test]
fn plan_reserved_private_range_warns() {
    for (range, reserved) in [
        ("240.0.0.0/4", "240.0.0.0/4"),
        ("64:ff9b::/96", "64:ff9b::/96"),
        ("0.0.0.0/8", "0.0.0.0/8"),
        ("0.0.0.0/0", "0.0.0.0/8"),
    ] {
        let plans = planned(&["h", "--private-range", range], &[]).unwrap_or_else(|error| panic!("{error}"));
        let [warning] = plans.warnings.as_slice() else { panic!("{range}: {:?}", plans.warnings) };
        assert!(warning.contains(&format!("addresses of {reserved}, which is reserved")), "{warning}");
    }
    assert!(planned(&["h", "--private-range", "100.64.0.0/10"], &[]).is_ok_and(|plans| plans.warnings.is_empty()));
}

/// A flag, the same key of the file, and values that both take or both refuse.
const VALUES: &[(&str, &str, &[&str])] = &[
    ("--timeout", "TARGET timeout", &["5s", "1m 30s", "100ms", "5m", "50ms", "10m", "0s", "15", "", "-1s"]),
    ("--tries", "TARGET tries", &["1", "20", "0", "21", "1.5", "x"]),
    ("--samples", "TARGET samples", &["1", "1000", "0", "1001", "x"]),
    (
        "--connect",
        "TARGET connect",
        &["10.60.4.5", "fd00::1", "::ffff:10.0.0.1", "0.0.0.0", "224.0.0.1", "h", "1.1.1.1:1"],
    ),
    ("--addresses", "TARGET addresses", &["first", "all", "both"]),
    ("--cluster", "TARGET cluster", &["auto", "off", "on"]),
    ("--server-name", "TLS server_name", &["a.example", "A.example.", "a..b", "10.0.0.1", "x y"]),
    ("--expect", "EXPECT path", &["private", "public", "any", "none"]),
    ("--endpoint", "EXPECT [endpoints]", &["10.60.4.5", "10.60.4.0/24", "fd00::/8", "10.60.4.300", "h"]),
    ("--private-range", "TOP [private_ranges]", &["100.64.0.0/10", "10.60.4.5", "10.0.0.0/33"]),
    ("--public-access", "POSTURE public_access", &["closed", "open", "ignore", "shut"]),
    ("--public-address", "POSTURE public_address", &["20.50.1.10", "0.0.0.0", "255.255.255.255", "20.50.1.10:1"]),
    ("--plaintext-port", "POSTURE plaintext_port", &["6379", "off", "0", "65536", "on"]),
    ("--require-auth", "POSTURE require_auth", &["true", "false", "off", "on"]),
    (
        "--resolver",
        "TOP [resolvers]",
        &[
            "azure",
            "hub=10.0.0.1",
            "systematic=10.0.0.1:54",
            "10.0.0.53",
            "[fd00::1]:53",
            "hub=0.0.0.0",
            "libc=10.0.0.1",
            "x",
        ],
    ),
    ("--views", "TARGET [views]", &["all", "libc", "system", "system:10.0.0.1", "azure", "system:x", "hub"]),
];

#[test]
fn value_is_the_same_for_flag_and_file() {
    for (flag, key, values) in VALUES {
        for value in *values {
            let (place, key) = key.split_once(' ').expect("a place and a key");
            let quote = value.is_empty() || value.contains([':', '[', '=', ' ']);
            let value_text = if quote { format!("\"{value}\"") } else { (*value).to_owned() };
            let entry = match key.strip_prefix('[') {
                Some(key) => format!("{}: [{value_text}]", key.trim_end_matches(']')),
                None => format!("{key}: {value_text}"),
            };
            let (top, inner) = match place {
                "TOP" => (format!("{entry}\n"), String::new()),
                "TARGET" => (String::new(), format!(", {entry}")),
                place => (String::new(), format!(", {}: {{{entry}}}", place.to_ascii_lowercase())),
            };
            let file = format!("{top}targets: [{{host: h, interval: 1day{inner}}}]\n");
            let of_file = crate::config::parse(&file).map(|config| config.targets[0].plan.clone());
            let flag_value = format!("{flag}={value}");
            let of_flag =
                Cli::try_parse_from(["redpath", "check", "h", &flag_value]).ok().and_then(|cli| match cli.command {
                    Command::Check(args) => {
                        plans(&args.targets, &args.probe, &|_| None).ok().map(|plans| plans.plans[0].clone())
                    }
                    _ => None,
                });
            assert!(of_flag == of_file.as_ref().ok().cloned(), "{flag_value}\n{file}{:?}", of_file.err());
        }
    }
}
