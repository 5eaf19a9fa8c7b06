//! Words that were replaced by the terms of the field, and must not come back: CONTRIBUTING.md has the rule.

use std::process::Command;

use super::{files, read, rust_files};

const BANNED: &[&str] = &[
    "knock",
    "knocks",
    "knocked",
    "door",
    "doors",
    "doorkeeper",
    "errand",
    "soon",
    "whoever",
    "farewell",
    "mend",
    "mends",
    "betray",
    "betrays",
    "betrayed",
    "in vain",
    "thrice",
    "told",
    "wish",
    "voice",
    "outlet",
    "patience",
    "doing it",
];

#[test]
fn source_has_no_banned_words() {
    let texts = rust_files("src").into_iter().map(|file| (file.display().to_string(), read(&file)));
    let mut wrong: Vec<String> = texts.flat_map(|(name, text)| found(&name, &text)).collect();
    wrong.retain(|line| !is_allowed(line));
    assert!(wrong.is_empty(), "CONTRIBUTING.md, How to name things:\n{}", wrong.join("\n"));
}

#[test]
fn help_and_code_pages_have_no_banned_words() {
    let mut wrong = Vec::new();
    for command in [&[][..], &["check"], &["agent"], &["explain"], &["config"], &["completions"], &["man"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_redpath")).args(command).arg("--help").output().expect("it runs");
        wrong.extend(found("--help", &String::from_utf8_lossy(&output.stdout)));
    }
    for page in files("docs/codes", "md") {
        wrong.extend(found(&page.display().to_string(), &read(&page)));
    }
    wrong.retain(|line| !is_allowed(line));
    assert!(wrong.is_empty(), "CONTRIBUTING.md, How to name things:\n{}", wrong.join("\n"));
}

#[test]
fn banned_word_is_found() {
    assert_eq!(found("a", "x\nTold by a Door-keeper\n").len(), 2);
    assert!(found("a", "as soon as it stolen mended outdoors\nenum Outletter {}\n").is_empty());
    assert_eq!(found("a", "struct VoiceLine;\nfn all_told() {}\n").len(), 2);
}

fn is_allowed(line: &str) -> bool {
    line.split_once(':').is_some_and(|(file, _)| ALLOWED.contains(&file))
}

/// Where banned words are, also within `snake_case` and `CamelCase` names: `file:line: word`.
fn found(name: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let words = format!(" {} ", words(line).join(" ")).replace(" as soon as ", " ").replace(" expires soon ", " ");
        for word in BANNED.iter().filter(|word| words.contains(&format!(" {word} "))) {
            wrong.push(format!("{name}:{}: {word}", number + 1));
        }
    }
    wrong
}

/// `struct ToldTwice` is `struct`, `told`, `twice`.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in line.chars() {
        if !c.is_alphabetic() || (c.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        if c.is_alphabetic() {
            words.last_mut().expect("one at least").extend(c.to_lowercase());
        }
        was_lower = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Files that still have some. Only ever shortened.
const ALLOWED: &[&str] = &[
    "--help",
    "docs/codes/auth_not_enforced.md",
    "docs/codes/no_private_endpoint.md",
    "docs/codes/plaintext_port_open.md",
    "docs/codes/private_zone_not_seen.md",
    "docs/codes/privatelink_name_configured.md",
    "docs/codes/public_access_open.md",
    "src/az/classify.rs",
    "src/az/select.rs",
    "src/azure/facts.rs",
    "src/cli.rs",
    "src/cli/exit_code.rs",
    "src/cli/plans.rs",
    "src/cli/plans/tests.rs",
    "src/commands/config.rs",
    "src/commands/explain.rs",
    "src/config.rs",
    "src/config/auth.rs",
    "src/config/error.rs",
    "src/diagnosis.rs",
    "src/diagnosis/az.rs",
    "src/diagnosis/az/mismatch.rs",
    "src/diagnosis/code.rs",
    "src/diagnosis/dns.rs",
    "src/diagnosis/dns/cache.rs",
    "src/diagnosis/dns/disagree.rs",
    "src/diagnosis/dns/flapping.rs",
    "src/diagnosis/dns/local_override.rs",
    "src/diagnosis/dns/search.rs",
    "src/diagnosis/dns/secondary.rs",
    "src/diagnosis/dns/servers.rs",
    "src/diagnosis/dns/wrong_address.rs",
    "src/diagnosis/latency.rs",
    "src/diagnosis/posture.rs",
    "src/diagnosis/precheck.rs",
    "src/diagnosis/remediation.rs",
    "src/diagnosis/tcp.rs",
    "src/diagnosis/tls.rs",
    "src/diagnosis/token.rs",
    "src/lib.rs",
    "src/observation/posture.rs",
    "src/output/describe.rs",
    "src/output/describe/posture.rs",
    "src/output/log.rs",
    "src/output/metrics/gauges.rs",
    "src/output/metrics/format.rs",
    "src/output/text.rs",
    "src/plan.rs",
    "src/probe/application/sock_diag.rs",
    "src/probe/dns/answer_history.rs",
    "src/probe/dns/chain.rs",
    "src/probe/dns/resolv_conf.rs",
    "src/probe/fuzzing.rs",
    "src/secret/permissions.rs",
    "src/server.rs",
    "src/server/routes.rs",
];
