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
    let wrong: Vec<String> = texts.flat_map(|(name, text)| found(&name, &text)).collect();
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
    assert!(wrong.is_empty(), "CONTRIBUTING.md, How to name things:\n{}", wrong.join("\n"));
}

#[test]
fn banned_word_is_found() {
    assert_eq!(found("a", "x\nTold by a Door-keeper\n").len(), 2);
    assert!(found("a", "as soon as it stolen mended outdoors\nenum Outletter {}\n").is_empty());
    assert_eq!(found("a", "struct VoiceLine;\nfn all_told() {}\n").len(), 2);
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
