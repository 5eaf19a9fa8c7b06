//! Reads a password from the source in the plan. An error names the source and the reason, never the content.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::{Zeroize, Zeroizing};

use super::blocking_fs;
use crate::plan::{PasswordSource, password_file};
use crate::secret::Secret;

const KIND: &str = "password file";

/// The most bytes that a password may have; Entra tokens have a few thousand.
const MAX_BYTES: usize = 64 * 1024;

/// Reads the password, without blocking the runtime.
///
/// # Errors
/// A sentence that names the source and what is wrong with it.
pub(super) async fn read(source: &PasswordSource) -> Result<Arc<Secret>, String> {
    match source {
        PasswordSource::Given(secret) => Ok(Arc::clone(secret)),
        PasswordSource::Environment(name) => from_environment(name).map(Arc::new),
        PasswordSource::File(path) => read_file(password_file(path), KIND).await.map(Arc::new),
    }
}

/// Reads a secret from a file of its own, without blocking the runtime.
///
/// # Errors
/// A sentence that names the file and what is wrong with it.
pub(super) async fn read_file(path: PathBuf, kind: &'static str) -> Result<Secret, String> {
    let file = path.clone();
    blocking_fs::read_with_limit(&file, kind, move || from_file(&path, kind)).await
}

fn from_environment(name: &str) -> Result<Secret, String> {
    match std::env::var(name) {
        Ok(password) if password.is_empty() => Err(format!("the environment variable {name} is empty")),
        Ok(password) => Ok(Secret::new(password)),
        Err(std::env::VarError::NotPresent) => Err(format!("the environment variable {name} is not set")),
        Err(std::env::VarError::NotUnicode(_)) => Err(format!("the environment variable {name} is not UTF-8")),
    }
}

fn from_file(path: &Path, kind: &str) -> Result<Secret, String> {
    let refuse = |why: &str| Err(format!("{kind} {}: {why}", path.display()));
    // Opening a FIFO waits for its writer, and would block one more thread with every probe.
    let length = match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => return refuse("it is not a regular file"),
        Ok(found) => usize::try_from(found.len()).unwrap_or(usize::MAX),
        Err(error) => return refuse(&reason(&error)),
    };
    let read = |length: usize| {
        // The whole capacity at once: a vector that grows leaves copies behind that are not zeroed.
        let mut bytes = Zeroizing::new(vec![0; length + 1]);
        let filled = fill(&mut File::open(path)?, &mut bytes)?;
        bytes.truncate(filled);
        Ok(bytes)
    };
    // The length is wrong for a file that was written meanwhile, and for special file systems.
    let bytes =
        read(length.min(MAX_BYTES)).and_then(|bytes| if bytes.len() > length { read(MAX_BYTES) } else { Ok(bytes) });
    let mut bytes = match bytes {
        Ok(bytes) => bytes,
        Err(error) => return refuse(&reason(&error)),
    };
    if bytes.len() > MAX_BYTES {
        return refuse("it is longer than the 64 KiB that a secret may have");
    }
    // Editors and `echo` end a file with a line break, which is not part of the password.
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    if bytes.is_empty() {
        return refuse("it is empty");
    }
    match std::str::from_utf8(&bytes) {
        Ok(password) => Ok(Secret::new(password.to_owned())),
        Err(_) => {
            bytes.zeroize();
            refuse("it is not UTF-8")
        }
    }
}

/// Reads until the end or until `bytes` are full; returns how many were read.
fn fill(file: &mut File, bytes: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The reason without the error number, as other tools print it.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    let text = &text[..end];
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, content: &[u8]) -> PathBuf {
        let path = std::env::temp_dir().join(format!("redpath-credential-{}-{name}", std::process::id()));
        std::fs::write(&path, content).expect("a temporary file");
        path
    }

    fn read(name: &str, content: &[u8]) -> Result<String, String> {
        let path = file(name, content);
        let read = from_file(&path, "password file").map(|secret| secret.expose().to_owned());
        std::fs::remove_file(&path).expect("the temporary file");
        read
    }

    #[test]
    fn one_trailing_line_break_is_removed() {
        for (name, content, password) in [
            ("none", "hunter2", "hunter2"),
            ("unix", "hunter2\n", "hunter2"),
            ("dos", "hunter2\r\n", "hunter2"),
            ("two", "hunter2\n\n", "hunter2\n"),
            ("space", " hunter2 \n", " hunter2 "),
            ("return", "hunter2\r", "hunter2\r"),
        ] {
            assert_eq!(read(name, content.as_bytes()).as_deref(), Ok(password), "{name}");
        }
    }

    #[test]
    fn fifo_is_refused_without_opening_it() {
        let path = std::env::temp_dir().join(format!("redpath-credential-{}-pipe", std::process::id()));
        let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo of coreutils");
        assert!(made.success());
        let error = from_file(&path, "password file").err().expect("a pipe");
        std::fs::remove_file(&path).expect("the pipe");
        assert!(error.ends_with("it is not a regular file"), "{error}");
        assert!(from_file(Path::new("/tmp"), "password file").is_err_and(|error| error.contains("regular file")));
    }

    #[test]
    fn error_names_file_without_content() {
        let error = from_file(Path::new("/nonexistent/secret"), "password file").err().expect("no such file");
        assert_eq!(error, "password file /nonexistent/secret: no such file or directory");
        for (name, content, reason) in [
            ("empty", Vec::new(), "empty"),
            ("break", b"\n".to_vec(), "empty"),
            ("bytes", b"hunter2\xff".to_vec(), "UTF-8"),
            ("long", vec![b'x'; MAX_BYTES + 2], "64 KiB"),
        ] {
            let error = read(name, &content).expect_err("not a password");
            assert!(error.contains(reason) && error.contains(name) && !error.contains("hunter2"), "{error}");
        }
        assert!(read("longest", &vec![b'x'; MAX_BYTES]).is_ok());
        let error = from_environment("REDPATH_TEST_UNSET_VARIABLE").err().expect("not set");
        assert!(error.contains("REDPATH_TEST_UNSET_VARIABLE"), "{error}");
    }
}
