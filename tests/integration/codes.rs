//! `docs/codes.md` tells of every code, in the order of the list, and of no other.

use redpath::diagnosis::Code;

const PAGE: &str = include_str!("../../docs/codes.md");

fn sections() -> Vec<(&'static str, &'static str)> {
    PAGE.split("\n### ")
        .skip(1)
        .filter_map(|section| {
            let (title, text) = section.split_once('\n')?;
            Some((title.trim_matches('`'), text.split("\n## ").next().unwrap_or_default().trim()))
        })
        .collect()
}

#[test]
fn every_code_is_told_of_in_order() {
    let told: Vec<&str> = sections().iter().map(|(code, _)| *code).collect();
    let known: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(told, known);
}

#[test]
fn every_code_says_what_to_do() {
    for (code, text) in sections() {
        assert!(text.contains("First: ") || text.contains("Nothing to do."), "{code}: no first thing to do");
        assert!((60..=700).contains(&text.len()), "{code}: {} characters are not 2 to 5 lines", text.len());
    }
}
