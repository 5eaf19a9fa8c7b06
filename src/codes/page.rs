//! The pages of the codes as Markdown, their parser, and the index `docs/codes/README.md`.
//!
//! The pages use a small part of Markdown: a title, headings, paragraphs, numbered causes, fenced commands.
//! build.rs compiles them in compressed, since most processes show none.

use std::io::Read;

use flate2::read::ZlibDecoder;

use strum::IntoEnumIterator;

use crate::diagnosis::Code;
use crate::phase::PhaseName;

/// Each page follows a line with the name of its code, and ends with a NUL.
const PAGES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/codes.z"));

/// The headings below the title, the same on every page and in this order.
pub const HEADINGS: [&str; 6] = [
    "What it means",
    "How redpath knows",
    "What it cannot know",
    "Likely causes",
    "Commands",
    "How to check that it is fixed",
];

/// The page of `code` as Markdown, `docs/codes/NAME.md`. It is decompressed at each call.
pub fn markdown(code: Code) -> String {
    let mut pages = String::new();
    if ZlibDecoder::new(PAGES).read_to_string(&mut pages).is_err() {
        return String::new(); // a test compares each page to its file
    }
    let page = pages.split('\0').find_map(|page| page.strip_prefix(code.as_str())?.strip_prefix('\n'));
    page.unwrap_or_default().to_owned()
}

/// A block of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block<'a> {
    /// `# …`, once, at the top.
    Title(&'a str),
    /// `## …`.
    Heading(&'a str),
    /// Text, its lines joined.
    Paragraph(String),
    /// `1. …`, with its number.
    Item(&'a str, String),
    /// The lines between two fences.
    Commands(Vec<&'a str>),
}

/// Parses a page.
pub fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    let mut ended = true; // whether the next line of text starts a paragraph
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            blocks.push(Block::Commands(lines.by_ref().take_while(|line| !line.starts_with("```")).collect()));
        } else if let Some(heading) = line.strip_prefix("## ") {
            blocks.push(Block::Heading(heading));
        } else if let Some(title) = line.strip_prefix("# ") {
            blocks.push(Block::Title(title));
        } else if let Some((number, text)) = numbered(line) {
            blocks.push(Block::Item(number, text.to_owned()));
            ended = false;
            continue;
        } else if !line.trim().is_empty() {
            match blocks.last_mut() {
                Some(Block::Paragraph(text) | Block::Item(_, text)) if !ended => {
                    text.push(' ');
                    text.push_str(line.trim());
                }
                _ => blocks.push(Block::Paragraph(line.trim().to_owned())),
            }
            ended = false;
            continue;
        }
        ended = true;
    }
    blocks
}

fn numbered(line: &str) -> Option<(&str, &str)> {
    let (number, text) = line.split_once(". ")?;
    let is_number = (1..=2).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some((number, text))
}

/// The index of the pages, `docs/codes/README.md`.
pub fn index() -> String {
    let mut out = "# Codes\n\n\
        Every finding has a code. The list is closed and the names are stable: a record, a metric's label, a log line, an alert and the status page all use the same ones. \
        Each has one page, in one shape: what it means, how redpath knows, what it cannot know, likely causes in order, commands, how to check that it is fixed. \
        `redpath explain CODE` prints the page, and the agent serves it at `/codes/CODE`.\n\n\
        The cause of a verdict is the code of the first error in the order of the phases, else of the first warning; a deeper cause suppresses the findings that follow from it. \
        `healthy` and `unknown` are causes without a page: everything is as expected, and inconclusive (interrupted, or no view could be queried).\n\n\
        In the commands, `<…>` stands for what only you know; those of a finding have this case's names filled in.\n"
        .to_owned();
    for (heading, codes) in by_phase() {
        out.push_str(&format!("\n## {heading}\n\n| Code | Says |\n|---|---|\n"));
        for code in codes {
            out.push_str(&format!("| [`{code}`]({code}.md) | {} |\n", code.title()));
        }
    }
    out
}

/// The codes of each phase, in the order of the list.
pub fn by_phase() -> impl Iterator<Item = (&'static str, impl Iterator<Item = Code>)> {
    PhaseName::iter()
        .map(|phase| (heading(phase), Code::ALL.iter().copied().filter(move |code| code.phase() == phase)))
        .filter(|(_, codes)| codes.clone().next().is_some())
}

fn heading(phase: PhaseName) -> &'static str {
    match phase {
        PhaseName::Resolve => "Resolution and path (resolve)",
        PhaseName::Connect => "Connection (connect)",
        PhaseName::Tls => "TLS (tls)",
        PhaseName::Token => "Token (token)",
        PhaseName::Auth => "Authentication (auth)",
        PhaseName::Ping => "Redis and latency (ping)",
        PhaseName::Cluster => "Cluster (cluster)",
        PhaseName::Posture => "Posture (posture)",
        PhaseName::Application => "The application's own connections (application)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_page_is_split_into_sections() {
        let page = "# T\n\n## H\n\none\ntwo\n\nthree\n\n1. a\n   b\n2. c\n\n```sh\nrun\n\n```\n";
        assert_eq!(
            blocks(page),
            [
                Block::Title("T"),
                Block::Heading("H"),
                Block::Paragraph("one two".into()),
                Block::Paragraph("three".into()),
                Block::Item("1", "a b".into()),
                Block::Item("2", "c".into()),
                Block::Commands(vec!["run", ""]),
            ]
        );
        assert_eq!(blocks("```\nnever closed"), [Block::Commands(vec!["never closed"])]);
    }

    #[test]
    fn code_list_has_each_code_once() {
        assert_eq!(by_phase().flat_map(|(_, codes)| codes).collect::<Vec<_>>(), Code::ALL);
    }
}
