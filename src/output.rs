//! Outputs: pure functions of records, one file per format. None of them probes, or decides what
//! an observation means.

pub(crate) mod describe;
pub mod html;
pub mod json;
pub mod log;
pub mod markdown;
pub mod metrics;
pub mod prometheus;
pub mod text;

use std::borrow::Cow;

/// `text` with everything escaped that a terminal would act on rather than show: control
/// characters (C0, DEL and C1, so every escape sequence), bidirectional overrides and other
/// invisible characters. Names, certificates and replies come from outside.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_harmless) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_harmless(c) { escaped.push(c) } else { escaped.extend(c.escape_default()) }
    }
    Cow::Owned(escaped)
}

fn is_harmless(c: char) -> bool {
    let is_invisible = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !c.is_control() && !is_invisible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_has_no_terminal_controls() {
        for (hostile, escaped) in [
            ("\x1b]0;owned\x07", "\\u{1b}]0;owned\\u{7}"),
            ("a\r\nb\t", "a\\r\\nb\\t"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{202e}txt.exe", "\\u{202e}txt.exe"),
            ("zero\u{200b}width", "zero\\u{200b}width"),
        ] {
            assert_eq!(printable(hostile), escaped);
        }
        assert_eq!(printable("Müller µs → ok"), "Müller µs → ok");
    }
}
