//! Text from outside, made fit for a record: bounded, and nothing in it that moves a cursor.

/// At most `most` characters of `text`, control and direction characters escaped; `…` where cut.
pub(super) fn of_text(text: &str, most: usize) -> String {
    let mut out = String::new();
    for (place, character) in text.chars().enumerate() {
        if place == most {
            out.push('…');
            break;
        }
        if is_unprintable(character) {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

/// At most `most` bytes, as the escaped ASCII of a string literal; `…` where cut.
pub(super) fn of_bytes(bytes: &[u8], most: usize) -> String {
    let mut out = bytes[..bytes.len().min(most)].escape_ascii().to_string();
    if bytes.len() > most {
        out.push('…');
    }
    out
}

/// Control characters, and those that reorder or hide what stands beside them (Unicode TR 36, 3).
fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_removes_hostile_characters() {
        assert_eq!(of_text("plain ünï", 64), "plain ünï");
        assert_eq!(of_text("a\u{1b}[2Jb\r\n\u{202e}c", 64), "a\\u{1b}[2Jb\\r\\n\\u{202e}c");
        assert_eq!(of_text("abcdef", 3), "abc…");
        assert_eq!(of_bytes(b"HTTP/1.1\r\n\xff", 64), "HTTP/1.1\\r\\n\\xff");
        assert_eq!(of_bytes(b"abcdef", 3), "abc…");
    }
}
