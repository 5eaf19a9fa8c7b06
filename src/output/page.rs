//! The pages of the codes, `docs/codes/`, and the list of all codes: for a terminal and as Markdown.
//!
//! The pages are written in a small part of Markdown, and read here line by line: a title, headings,
//! paragraphs, numbered causes, fenced commands. Whatever else one would hold is a paragraph.

use super::text::{Paint, Style, wrap};
use crate::diagnosis::Code;
use crate::phase::PhaseName;

/// The headings below the title, the same on every page and in this order.
pub const HEADINGS: [&str; 6] = [
    "What it means",
    "How redpath knows",
    "What it cannot know",
    "Likely causes",
    "Commands",
    "How to check that it is fixed",
];

/// A piece of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block<'a> {
    /// `# …`, once, at the top.
    Title(&'a str),
    /// `## …`.
    Heading(&'a str),
    /// Prose, its lines joined.
    Paragraph(String),
    /// `1. …`, with its number.
    Item(&'a str, String),
    /// The lines between two fences.
    Commands(Vec<&'a str>),
}

/// The pieces of a page, in its order.
pub fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    let mut ended = true; // whether the next line of prose begins a paragraph
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

/// The page of `code` for a terminal: prose wrapped, commands never.
pub fn text(code: Code, style: &Style) -> String {
    let mut out = String::new();
    let mut after_item = false;
    let page = code.page();
    for block in blocks(&page) {
        let is_item = matches!(block, Block::Item(..));
        let goes_on = is_item && after_item;
        if !out.is_empty() && !goes_on {
            out.push('\n');
        }
        after_item = is_item;
        match block {
            Block::Title(line) | Block::Heading(line) => {
                for line in wrap(&plain(line, style), style.width, style) {
                    push(&mut out, "", &style.paint(Paint::Strong, &line));
                }
            }
            Block::Paragraph(prose) => {
                wrap(&plain(&prose, style), style.width - 2, style).iter().for_each(|line| push(&mut out, "  ", line));
            }
            Block::Item(number, prose) => {
                let indent = " ".repeat(number.len() + 4);
                let lines = wrap(&plain(&prose, style), style.width - indent.len(), style);
                for (at, line) in lines.iter().enumerate() {
                    let indent = if at == 0 { format!("  {number}. ") } else { indent.clone() };
                    push(&mut out, &indent, line);
                }
            }
            Block::Commands(commands) => commands.iter().for_each(|command| {
                let paint = if command.starts_with('#') { Paint::Dim } else { Paint::Bar };
                push(&mut out, "    ", &style.paint(paint, &style.clean(command)));
            }),
        }
    }
    out
}

fn push(out: &mut String, indent: &str, line: &str) {
    out.push_str(indent);
    out.push_str(line);
    out.push('\n');
}

/// Without the marks of a code span, which a terminal does not show.
fn plain(prose: &str, style: &Style) -> String {
    style.clean(&prose.replace('`', ""))
}

/// Every code with its title, by phase, for a terminal.
pub fn list(style: &Style) -> String {
    let width = Code::ALL.iter().map(|code| code.as_str().len()).max().unwrap_or(0);
    let mut out = String::new();
    for (heading, codes) in by_phase() {
        out.push_str(&format!("{}\n", style.paint(Paint::Strong, heading)));
        for code in codes {
            out.push_str(&format!("  {:<width$}  {}\n", code.as_str(), code.title()));
        }
        out.push('\n');
    }
    out.push_str("redpath explain CODE prints a code's page. healthy and unknown are causes without one:\n");
    out.push_str("everything is as expected, and it could not be told.\n");
    out
}

/// The index of the pages, `docs/codes/README.md`.
pub fn index() -> String {
    let mut out = "# Codes\n\n\
        Every finding has a code. The list is closed and the names are stable: a record, a metric's label, a log line, an alert and the status page all use the same ones. \
        Each has one page, in one shape: what it means, how redpath knows, what it cannot know, likely causes in order, commands, how to check that it is fixed. \
        `redpath explain CODE` prints the page, and the agent serves it at `/codes/CODE`.\n\n\
        The cause of a verdict is the code of the first error in the order of the phases, else of the first warning; a deeper cause silences what follows from it. \
        `healthy` and `unknown` are causes without a page: everything is as expected, and it could not be told (interrupted, or nothing could be looked at).\n\n\
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
    PhaseName::ALL
        .into_iter()
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
    fn code_page_wraps_prose_not_commands() {
        let style = Style { color: false, width: 60, unicode: false };
        for code in Code::ALL {
            let page = code.page();
            let commands: Vec<String> = blocks(&page)
                .into_iter()
                .filter_map(|block| if let Block::Commands(lines) = block { Some(lines) } else { None })
                .flatten()
                .map(|line| format!("    {line}"))
                .collect();
            for line in text(*code, &style).lines() {
                let whole = commands.iter().any(|command| command == line);
                assert!(whole || line.chars().count() <= 60, "{code}: {line}");
                assert!(line.is_ascii() && !line.contains('\x1b'), "{code}: {line}");
            }
        }
    }

    #[test]
    fn code_list_has_each_code_once() {
        assert_eq!(by_phase().flat_map(|(_, codes)| codes).collect::<Vec<_>>(), Code::ALL);
    }
}
