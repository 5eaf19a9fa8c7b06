//! The frame of an HTML page: head, style, and the policy that allows nothing else.
//!
//! `maud` escapes every text for HTML; [`document`] also shows control and invisible characters as `\u{…}`.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use crate::printable::printable;

const STYLE: &str = include_str!("html.css");

/// The `Content-Security-Policy` of a page: this one style, no script, no other resource.
pub static CONTENT_SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

/// A whole page. With `refresh`, the browser loads it again after so many seconds.
pub fn document(title: &str, refresh: Option<u32>, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if let Some(seconds) = refresh { meta http-equiv="refresh" content=(seconds); }
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    let mut lines = page.0.split('\n').map(printable);
    let mut text = lines.next().unwrap_or_default().into_owned();
    for line in lines {
        text.push('\n');
        text.push_str(&line);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document_hostile_text_is_escaped() {
        let hostile = "<script>alert('x')</script> & \"y\" moc.\u{202e}live\u{1b}[31m\0 zwölf µs\nnext";
        let page = document(hostile, None, &html! { p title=(hostile) { (hostile) } });
        for escaped in
            ["&lt;script&gt;alert", "&lt;/script&gt; &amp; ", "moc.\\u{202e}live\\u{1b}[31m\\u{0}", "zwölf µs\nnext"]
        {
            assert_eq!(page.matches(escaped).count(), 3, "{escaped}: {page}");
        }
        assert!(!page.contains("<script") && page.contains("title=\"&lt;") && !page.contains("& \"y\""), "{page}");
        assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\">"), "{page}");
    }
}
