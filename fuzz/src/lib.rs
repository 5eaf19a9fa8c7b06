//! What the fuzz targets share: streams that say what the input says, and what must hold of everything
//! that redpath makes of it. `docs/fuzzing.md` has the list.

pub mod http;
pub mod outputs;
pub mod parts;
pub mod shell;
pub mod stream;
pub mod world;

/// Whether a terminal shows the character and does not act on it. A list of its own, so that a hole in the
/// program's is seen: control characters, and those that reorder or hide text (Unicode TR 36, UAX 9).
pub fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Fails where something in `text`, but for line breaks, acts on a terminal.
pub fn assert_harmless(what: &str, text: &str) {
    if is_plain(text.as_bytes()) {
        return;
    }
    let acting = text.chars().find(|c| *c != '\n' && !is_harmless(*c));
    assert_eq!(acting, None, "{what} acts on a terminal: {text:?}");
}

/// Whether these are printable ASCII and line breaks alone. By a table, since every comparison is told to the
/// fuzzer, and all outputs go through here.
fn is_plain(bytes: &[u8]) -> bool {
    const IS_NOT: [u8; 256] = {
        let mut table = [1; 256];
        let mut byte = b' ';
        while byte <= b'~' {
            table[byte as usize] = 0;
            byte += 1;
        }
        table[b'\n' as usize] = 0;
        table
    };
    let any = |bytes: &[u8]| bytes.iter().fold(0, |any, byte| any | IS_NOT[usize::from(*byte)]);
    let (chunks, rest) = bytes.as_chunks::<32>();
    chunks.iter().fold(any(rest), |found, chunk| found | any(chunk)) == 0
}

/// Fails where `error` is no sentence that a person is told: one line, bounded, nothing that acts.
pub fn assert_sentence(error: &str) {
    assert!(!error.is_empty() && error.lines().count() == 1 && !error.contains('\n'), "not one line: {error:?}");
    assert!(error.chars().count() < 1_500, "too long: {error:?}");
    assert_harmless("an error", error);
}

/// Fails where `text` has a piece of six characters of the secret.
pub fn assert_no_secret(what: &str, text: &str, secret: &str) {
    let piece = 6.min(secret.len());
    let repeated = (0..=secret.len() - piece).any(|from| text.contains(&secret[from..from + piece]));
    assert!(!repeated, "{what} repeats the secret {secret:?}: {text}");
}
