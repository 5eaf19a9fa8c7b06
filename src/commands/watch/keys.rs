//! The bytes that a terminal sends, as keys.

use crate::watch::screen::Key;

/// The keys of one read. Sequences of cursor and function keys (ECMA-48, 5.4) are left out.
pub(super) fn keys(bytes: &[u8]) -> Vec<Key> {
    let text = String::from_utf8_lossy(bytes);
    let mut chars = text.chars().peekable();
    let mut keys = Vec::new();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => match chars.peek() {
                Some('[' | 'O') => {
                    chars.next();
                    // Parameters and intermediates, up to the final byte.
                    while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {}
                }
                Some(_) => {
                    chars.next(); // Alt and a key
                }
                None => keys.push(Key::Escape),
            },
            '\r' | '\n' => keys.push(Key::Enter),
            '\t' => keys.push(Key::Char('\t')),
            '\x08' | '\x7f' => keys.push(Key::Backspace),
            '\x01'..='\x1a' => keys.extend(char::from_u32(u32::from(c) + 0x60).map(Key::Ctrl)),
            '\u{fffd}' => {} // no UTF-8
            c if c.is_control() => {}
            c => keys.push(Key::Char(c)),
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_bytes() {
        use Key::{Backspace, Char, Ctrl, Enter, Escape};
        for (bytes, expected) in [
            (&b"q \t"[..], vec![Char('q'), Char(' '), Char('\t')]),
            (b"\x03\x1a", vec![Ctrl('c'), Ctrl('z')]),
            (b"\r\n\x7f\x08", vec![Enter, Enter, Backspace, Backspace]),
            (b"\x1b", vec![Escape]),
            (b"\x1b[A\x1b[1;5Dq\x1bOP\x1bx", vec![Char('q')]),
            (b"\x1b[", vec![]),
            ("ä".as_bytes(), vec![Char('ä')]),
            (b"\xff\x00", vec![]),
        ] {
            assert_eq!(keys(bytes), expected, "{bytes:?}");
        }
    }
}
