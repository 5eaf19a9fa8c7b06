//! The pages of the codes as HTML, at `/codes/CODE`: what the status page's findings link to.

use std::fmt::{self, Write};

use super::html::text;
use super::status_page::STYLE;
use crate::diagnosis::Code;
use crate::output::page::{Block, blocks, by_phase};

/// The page of `code`.
pub(crate) fn page(code: Code) -> String {
    document(code.as_str(), |out| {
        let mut in_list = false;
        let page = code.page();
        for block in blocks(&page) {
            let is_item = matches!(block, Block::Item(..));
            if is_item != in_list {
                writeln!(out, "{}", if is_item { "<ol>" } else { "</ol>" })?;
            }
            in_list = is_item;
            match block {
                Block::Title(title) => writeln!(out, "<h1>{}</h1>", Prose(title))?,
                Block::Heading(heading) => writeln!(out, "<h2>{}</h2>", Prose(heading))?,
                Block::Paragraph(prose) => writeln!(out, "<p>{}</p>", Prose(&prose))?,
                Block::Item(_, prose) => writeln!(out, "<li>{}</li>", Prose(&prose))?,
                Block::Commands(lines) => writeln!(out, "<pre>{}</pre>", text(lines.join("\n")))?,
            }
        }
        if in_list { writeln!(out, "</ol>") } else { Ok(()) }
    })
}

/// Every code, by phase.
pub(crate) fn index() -> String {
    document("codes", |out| {
        writeln!(out, "<h1>Codes</h1>")?;
        for (heading, codes) in by_phase() {
            writeln!(out, "<h2>{}</h2>\n<ul>", text(heading))?;
            for code in codes {
                writeln!(out, "<li><a href=\"/codes/{code}\"><code>{code}</code></a>: {}</li>", text(code.title()))?;
            }
            writeln!(out, "</ul>")?;
        }
        Ok(())
    })
}

fn document(title: &str, content: impl FnOnce(&mut String) -> fmt::Result) -> String {
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>redpath: {}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<nav aria-label=\"Pages\"><a href=\"/\">status</a> <a href=\"/codes\">codes</a></nav>\n<main class=\"card prose\">\n",
        text(title)
    );
    // Writing to a String cannot fail.
    let _ = content(&mut out);
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

/// Prose with its code spans.
struct Prose<'a>(&'a str);

impl fmt::Display for Prose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.0.split('`').enumerate() {
            match at % 2 {
                0 => write!(f, "{}", text(part))?,
                _ => write!(f, "<code>{}</code>", text(part))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_pages_are_complete_and_escaped() {
        for code in Code::ALL {
            let page = page(*code);
            for (open, close) in [("<ol>", "</ol>"), ("<pre>", "</pre>"), ("<code>", "</code>"), ("<main ", "</main>")]
            {
                assert_eq!(page.matches(open).count(), page.matches(close).count(), "{code}: {open}");
            }
            assert!(!page.contains("<resource-group>") && !page.contains("<host>"), "{code}");
            assert_eq!(page.matches("<h1>").count(), 1, "{code}");
        }
        assert_eq!(index().matches("<li>").count(), Code::ALL.len());
    }
}
