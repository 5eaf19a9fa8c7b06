//! Text from outside, made safe to show: no character that moves a cursor, reorders or hides what stands beside it.
//!
//! Names, certificates, replies and files are untrusted. Every output and every error message uses this one table.

use std::borrow::Cow;

/// The most combining marks after one character. The scripts that stack them need fewer.
const MAX_MARKS: usize = 4;

/// How a character is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// As itself.
    Plain,
    /// Over the character before it.
    CombiningMark,
    /// Not, or it acts on a terminal or on the text around it.
    Unprintable,
}

/// `text` with its unprintable characters escaped as Rust escapes them, and the combining marks beyond `MAX_MARKS`
/// after one character.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    let mut marks = MAX_MARKS; // a first one would combine with what is printed before the text
    for c in text.chars() {
        let class = class(c);
        marks = if class == Class::CombiningMark { marks + 1 } else { 0 };
        if class == Class::Unprintable || marks > MAX_MARKS {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    if escaped == text { Cow::Borrowed(text) } else { Cow::Owned(escaped) }
}

/// Whether [`printable`] leaves `text` as it is.
pub(crate) fn is_printable(text: &str) -> bool {
    matches!(printable(text), Cow::Borrowed(_))
}

/// The first `max` characters of `text`, printable; `…` where cut.
pub(crate) fn excerpt(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", printable(&text[..end])),
        None => printable(text).into_owned(),
    }
}

/// The first `max` bytes, as the escaped ASCII of a string literal; `…` where cut.
pub(crate) fn excerpt_of_bytes(bytes: &[u8], max: usize) -> String {
    let cut = if bytes.len() > max { "…" } else { "" };
    format!("{}{cut}", bytes[..bytes.len().min(max)].escape_ascii())
}

/// Whether `c` is never shown as itself.
pub(crate) fn is_unprintable(c: char) -> bool {
    class(c) == Class::Unprintable
}

fn class(c: char) -> Class {
    if c.is_ascii() {
        return if c.is_ascii_control() { Class::Unprintable } else { Class::Plain };
    }
    if is_blank(c) {
        return Class::Unprintable;
    }
    // The standard library escapes control and format characters (among them U+00AD, zero-width ones, bidirectional
    // controls and tags), separators, spaces other than U+0020, private and unassigned ones.
    if c.escape_debug().next() == Some(c) {
        return Class::Plain;
    }
    // A combining mark it escapes alone, and not after a letter.
    let mut text = [b'a', 0, 0, 0, 0];
    let end = 1 + c.encode_utf8(&mut text[1..]).len();
    let after_letter = std::str::from_utf8(&text[..end]).ok().and_then(|text| text.escape_debug().nth(1));
    if after_letter == Some(c) { Class::CombiningMark } else { Class::Unprintable }
}

/// Letters, marks and symbols without any ink: those of `Default_Ignorable_Code_Point` (Unicode, UAX 44), and the
/// empty Braille cell.
fn is_blank(c: char) -> bool {
    matches!(
        c,
        '\u{34f}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{ffa0}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn printable_escapes_terminal_controls() {
        for (hostile, escaped) in [
            ("\x1b]0;owned\x07", "\\u{1b}]0;owned\\u{7}"),
            ("a\r\nb\t", "a\\r\\nb\\t"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\0\u{7f}", "\\u{0}\\u{7f}"),
        ] {
            assert_eq!(printable(hostile), escaped);
        }
    }

    #[test]
    fn printable_escapes_invisible_characters() {
        let bidi = ['\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}'];
        let zero_width = ['\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}', '\u{180e}', '\u{fe0f}'];
        let tags = ['\u{e0001}', '\u{e0041}', '\u{e007f}', '\u{e01ef}'];
        let others = ['\u{ad}', '\u{a0}', '\u{2028}', '\u{2029}', '\u{3164}', '\u{2800}', '\u{fffb}', '\u{e000}'];
        for c in bidi.into_iter().chain(zero_width).chain(tags).chain(others) {
            assert_eq!(printable(&format!("a{c}b")), format!("a\\u{{{:x}}}b", u32::from(c)));
        }
    }

    #[test]
    fn printable_bounds_combining_marks() {
        assert_eq!(printable("e\u{301}o\u{308}"), "e\u{301}o\u{308}");
        let stacked = format!("e{}", "\u{301}".repeat(99));
        let shown = printable(&stacked);
        assert_eq!(shown.matches('\u{301}').count(), MAX_MARKS);
        assert_eq!(shown.matches("\\u{301}").count(), 99 - MAX_MARKS);
        assert_eq!(printable("\u{301}e"), "\\u{301}e", "the first has nothing of its own to combine with");
    }

    #[test]
    fn printable_keeps_other_text() {
        for text in ["Müller µs → ok ✓ … “x” 'y' \\", "日本語 ไทย עברית العربية", "😀"]
        {
            assert_eq!(printable(text), text);
            assert!(is_printable(text));
        }
    }

    #[test]
    fn excerpt_is_cut_and_escaped() {
        assert_eq!(excerpt("plain ünï", 64), "plain ünï");
        assert_eq!(excerpt("a\u{1b}[2Jb\r\n\u{202e}c", 64), "a\\u{1b}[2Jb\\r\\n\\u{202e}c");
        assert_eq!(excerpt("abcdef", 3), "abc…");
        assert_eq!(excerpt_of_bytes(b"HTTP/1.1\r\n\xff", 64), "HTTP/1.1\\r\\n\\xff");
        assert_eq!(excerpt_of_bytes(b"abcdef", 3), "abc…");
    }

    proptest! {
        #[test]
        fn printable_of_printable_is_the_same(text in any::<String>()) {
            let once = printable(&text).into_owned();
            prop_assert!(is_printable(&once));
        }
    }
}
