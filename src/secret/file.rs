//! A secret that is alone in a file.

use std::path::Path;

use zeroize::Zeroize;

use super::Secret;
use crate::bounded_read::{self, FileKind};

/// The most bytes of a secret.
pub const MAX_BYTES: usize = 64 * 1024;

/// Reads the secret in a file. One line break at its end is not part of it: editors and `echo` write one.
///
/// # Errors
/// What is wrong with the file, a sentence about "it".
pub fn read(path: &Path, kind: FileKind) -> Result<Secret, String> {
    // The longest secret and its line break.
    let bytes = bounded_read::read(path, kind, MAX_BYTES + 2).map_err(|error| error.to_string())?;
    let mut text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            error.into_bytes().zeroize();
            return Err("it is not UTF-8".to_owned());
        }
    };
    let length = text.strip_suffix('\n').map_or(text.len(), |text| text.strip_suffix('\r').unwrap_or(text).len());
    text.truncate(length);
    let secret = Secret::new(text);
    match secret.expose().len() {
        0 => Err("it is empty".to_owned()),
        length if length > MAX_BYTES => Err("it is longer than 64 KiB".to_owned()),
        _ => Ok(secret),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(name: &str, content: &[u8]) -> Result<String, String> {
        let path = std::env::temp_dir().join(format!("redpath-secret-{}-{name}", std::process::id()));
        std::fs::write(&path, content).expect("a file");
        let secret = read(&path, FileKind::Regular).map(|secret| secret.expose().to_owned());
        std::fs::remove_file(&path).expect("the file");
        secret
    }

    #[test]
    fn read_removes_one_line_break() {
        for (name, content, password) in [
            ("none", "hunter2", "hunter2"),
            ("unix", "hunter2\n", "hunter2"),
            ("dos", "hunter2\r\n", "hunter2"),
            ("two", "hunter2\n\n", "hunter2\n"),
            ("space", " hunter2 \n", " hunter2 "),
            ("return", "hunter2\r", "hunter2\r"),
        ] {
            assert_eq!(read_text(name, content.as_bytes()).as_deref(), Ok(password), "{name}");
        }
        assert!(read_text("longest", &[&[b'x'; MAX_BYTES][..], b"\r\n"].concat()).is_ok());
    }

    #[test]
    fn read_refuses_without_quoting() {
        for (name, content, expected) in [
            ("empty", Vec::new(), "it is empty"),
            ("break", b"\n".to_vec(), "it is empty"),
            ("bytes", b"hunter2\xff".to_vec(), "it is not UTF-8"),
            ("long", vec![b'x'; MAX_BYTES + 1], "it is longer than 64 KiB"),
        ] {
            assert_eq!(read_text(name, &content).expect_err(name), expected);
        }
        let pipe = read(Path::new("/dev/null"), FileKind::Regular);
        assert!(pipe.is_err_and(|error| error == "it is not a regular file"));
    }
}
