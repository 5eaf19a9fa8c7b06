//! The pages of the codes as HTML, at `/codes/CODE`: the findings of the status page link to them.

use maud::{Markup, html};

use super::page::{Block, blocks, by_phase, markdown};
use crate::diagnosis::Code;
use crate::output::html::document;

/// The page of `code`.
pub fn page(code: Code) -> String {
    let text = markdown(code);
    let blocks = blocks(&text);
    let is_item = |block: &Block<'_>| matches!(block, Block::Item(..));
    frame(
        code.as_str(),
        &html! {
            @for group in blocks.chunk_by(|one, next| is_item(one) && is_item(next)) {
                @match group {
                    [Block::Title(title)] => h1 { (code_spans(title)) },
                    [Block::Heading(heading)] => h2 { (code_spans(heading)) },
                    [Block::Paragraph(text)] => p { (code_spans(text)) },
                    [Block::Commands(lines)] => pre { (lines.join("\n")) },
                    items => ol { @for item in items { @if let Block::Item(_, text) = item { li { (code_spans(text)) } } } },
                }
            }
        },
    )
}

/// Every code, by phase.
pub fn index() -> String {
    frame(
        "codes",
        &html! {
            h1 { "Codes" }
            @for (heading, codes) in by_phase() {
                h2 { (heading) }
                ul {
                    @for code in codes {
                        li { a href={ "/codes/" (code.as_str()) } { code { (code.as_str()) } } ": " (code.title()) }
                    }
                }
            }
        },
    )
}

fn frame(title: &str, content: &Markup) -> String {
    let body = html! {
        nav aria-label="Pages" { a href="/" { "status" } " " a href="/codes" { "codes" } }
        main class="card prose" { (content) }
    };
    document(&format!("redpath: {title}"), None, &body)
}

/// Text with the code spans of Markdown.
fn code_spans(text: &str) -> Markup {
    html! {
        @for (at, part) in text.split('`').enumerate() {
            @if at % 2 == 0 { (part) } @else { code { (part) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_page_is_complete_and_escaped() {
        for code in Code::ALL {
            let page = page(*code);
            let items = blocks(&markdown(*code)).iter().filter(|block| matches!(block, Block::Item(..))).count();
            assert_eq!((page.matches("<li>").count(), page.matches("<ol>").count()), (items, 1), "{code}");
            assert!(!page.contains("<resource-group>") && !page.contains("<host>"), "{code}");
            assert_eq!(page.matches("<h1>").count(), 1, "{code}");
        }
        assert_eq!(index().matches("<li>").count(), Code::ALL.len());
    }
}
