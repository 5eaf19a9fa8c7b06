//! The pages of the codes and their list, for a terminal.

use super::page::{Block, blocks, by_phase, markdown};
use crate::diagnosis::Code;
use crate::output::text::{Paint, Style, wrap};

/// The page of `code`: text is wrapped, commands are not.
pub fn page(code: Code, style: &Style) -> String {
    let mut out = String::new();
    let mut after_item = false;
    let page = markdown(code);
    for block in blocks(&page) {
        let is_item = matches!(block, Block::Item(..));
        let continues_list = is_item && after_item;
        if !out.is_empty() && !continues_list {
            out.push('\n');
        }
        after_item = is_item;
        match block {
            Block::Title(line) | Block::Heading(line) => {
                for line in wrap(&plain(line, style), style.width, style) {
                    push(&mut out, "", &style.paint(Paint::Strong, &line));
                }
            }
            Block::Paragraph(text) => {
                wrap(&plain(&text, style), style.width.saturating_sub(2), style)
                    .iter()
                    .for_each(|line| push(&mut out, "  ", line));
            }
            Block::Item(number, text) => {
                let indent = " ".repeat(number.len() + 4);
                let lines = wrap(&plain(&text, style), style.width.saturating_sub(indent.len()), style);
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

/// Without the backticks of code spans.
fn plain(text: &str, style: &Style) -> String {
    style.clean(&text.replace('`', ""))
}

/// Every code with its title, by phase.
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
    out.push_str(
        "redpath explain CODE prints a code's page. The causes healthy and unknown (inconclusive) have none.\n",
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_page_wraps_prose_not_commands() {
        let style = Style { color: false, width: 60, unicode: false, verbose: false };
        for code in Code::ALL {
            let page = markdown(*code);
            let commands: Vec<String> = blocks(&page)
                .into_iter()
                .filter_map(|block| if let Block::Commands(lines) = block { Some(lines) } else { None })
                .flatten()
                .map(|line| format!("    {line}"))
                .collect();
            for line in super::page(*code, &style).lines() {
                let whole = commands.iter().any(|command| command == line);
                assert!(whole || line.chars().count() <= 60, "{code}: {line}");
                assert!(line.is_ascii() && !line.contains('\x1b'), "{code}: {line}");
            }
        }
    }
}
