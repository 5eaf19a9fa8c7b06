//! Text of others within Markdown.

use crate::printable::printable;

/// Text as Markdown that nothing in it changes.
pub(super) fn in_table(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in printable(text).chars() {
        if matches!(c, '\\' | '|' | '*' | '_' | '`' | '<' | '>' | '[' | ']' | '#' | '&' | '~') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
