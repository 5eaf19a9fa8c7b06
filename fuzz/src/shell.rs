//! Commands that people paste into a shell.

/// Fails where a shell would do more with `command` than start one program with plain words: something in
/// it expands, separates or redirects. `<…>` marks what only the operator knows, and `</dev/null` an end.
pub fn assert_pasteable(command: &str) {
    let mut rest = command;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\'' => match rest.split_once('\'') {
                Some((quoted, after)) => {
                    super::assert_harmless("a command", quoted);
                    rest = after;
                }
                None => panic!("a quote is left open: {command:?}"),
            },
            '<' => match rest.strip_prefix("/dev/null") {
                Some(after) => rest = after,
                None => match rest.split_once('>') {
                    Some((name, after)) if name.chars().all(is_plain) => rest = after,
                    _ => panic!("a redirection: {command:?}"),
                },
            },
            ' ' | '@' | ':' | '/' | '=' | ',' | '+' | '^' | '%' => {}
            c if is_plain(c) => {}
            other => panic!("{other:?} is not a shell's plain character: {command:?}"),
        }
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}
