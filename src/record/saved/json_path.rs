//! Which keys lead to a position in a JSON document: `resolution.views[1].outcome`.
//!
//! Found by reading the document again where it is refused, since a deserializer that keeps the path
//! at every step is a second copy of all the code that reads records, a twentieth of the program.

use std::fmt::Write as _;

/// The keys that lead to what ends at `line` and `column` (from 1, as `serde_json` counts them) of a
/// valid document; empty for the document itself.
pub(super) fn at(document: &str, line: usize, column: usize) -> String {
    let before: usize = document.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let read = document.get(..before + column).unwrap_or(document);
    let mut steps: Vec<Step<'_>> = Vec::new();
    let mut rest = read;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => string_length(rest),
            '{' | '[' | '}' | ']' | ',' | ':' => 1,
            _ if first.is_ascii_whitespace() => 1,
            _ => rest.find([',', ']', '}', ' ', '\t', '\r', '\n']).unwrap_or(rest.len()).max(first.len_utf8()),
        };
        let (token, after) = rest.split_at(length);
        match (first, steps.last_mut()) {
            ('}' | ']', _) => drop(steps.pop()),
            (',', Some(Step::Key(_, is_due))) => *is_due = true,
            ('"', Some(Step::Key(key, is_due))) if *is_due => (*key, *is_due) = (token.trim_matches('"'), false),
            (',' | ':', _) => {}
            _ if first.is_ascii_whitespace() => {}
            (_, step) => {
                if let Some(Step::Index(next)) = step {
                    *next += 1;
                }
                match first {
                    '{' => steps.push(Step::Key("", true)),
                    '[' => steps.push(Step::Index(0)),
                    _ => {}
                }
            }
        }
        rest = after;
    }
    let mut path = String::new();
    for step in &steps {
        // Writing to a String cannot fail.
        let _ = match step {
            Step::Key("", _) | Step::Index(0) => Ok(()), // nothing in it has been read yet
            Step::Key(key, _) if path.is_empty() => write!(path, "{key}"),
            Step::Key(key, _) => write!(path, ".{key}"),
            Step::Index(next) => write!(path, "[{}]", next - 1),
        };
    }
    path
}

/// A step into an object, with whether a key is due, or into a list, with the number of values so far.
enum Step<'a> {
    Key(&'a str, bool),
    Index(usize),
}

/// The length of the string that `text` begins with, its quotes included.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            b'"' if !is_escaped => return at + 1,
            _ => is_escaped = byte == b'\\' && !is_escaped,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_path_names_every_value() {
        let document = "{\"a\": [1, {\"b\\\"{\": [[], 22]}, \"x,]\"],\n \"c\": {\"d\": -3.5}, \"é\": [{\"z\": null}]}";
        for (until, path) in [
            ("{\"a\": [1", "a[0]"),
            ("{\"a\": [1,", "a[0]"),
            ("{\"a\": [1, {", "a[1]"),
            ("{\"a\": [1, {\"b\\\"{\": [[]", "a[1].b\\\"{[0]"),
            ("{\"a\": [1, {\"b\\\"{\": [[], 22", "a[1].b\\\"{[1]"),
            ("{\"a\": [1, {\"b\\\"{\": [[], 22]", "a[1].b\\\"{"),
            ("{\"a\": [1, {\"b\\\"{\": [[], 22]}, \"x,]\"", "a[2]"),
            ("{\"a\": [1, {\"b\\\"{\": [[], 22]}, \"x,]\"]", "a"),
            ("{", ""),
        ] {
            assert!(document.starts_with(until));
            assert_eq!(at(document, 1, until.len()), path, "{until}");
        }
        assert_eq!(at(document, 2, " \"c\": {\"d\": -3.5".len()), "c.d");
        assert_eq!(at(document, 2, " \"c\": {\"d\": -3.5}, \"é\": [{\"z\": null".len()), "é[0].z");
        assert_eq!(at(document, 2, document.len()), "", "the document's end is the document");
    }
}
