//! Reads a password from the source in the plan. An error names the source and the reason, never the content.

use std::path::PathBuf;
use std::sync::Arc;

use super::blocking_fs;
use crate::bounded_read::FileKind;
use crate::plan::{PasswordSource, password_file};
use crate::secret::{self, Secret};

const KIND: &str = "password file";

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
    let read = move || {
        secret::file::read(&path, FileKind::Regular).map_err(|reason| format!("{kind} {}: {reason}", path.display()))
    };
    blocking_fs::read_with_limit(&file, kind, read).await
}

fn from_environment(name: &str) -> Result<Secret, String> {
    match std::env::var(name) {
        Ok(password) if password.is_empty() => Err(format!("the environment variable {name} is empty")),
        Ok(password) => Ok(Secret::new(password)),
        Err(std::env::VarError::NotPresent) => Err(format!("the environment variable {name} is not set")),
        Err(std::env::VarError::NotUnicode(_)) => Err(format!("the environment variable {name} is not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn credential_error_names_source_without_content() {
        let missing = read_file("/nonexistent/secret".into(), KIND).await.err();
        assert_eq!(missing.as_deref(), Some("password file /nonexistent/secret: there is no such file"));
        let path = std::env::temp_dir().join(format!("redpath-credential-{}", std::process::id()));
        std::fs::write(&path, b"hunter2\xff").expect("a file");
        let error = read_file(path.clone(), KIND).await.err().expect("no UTF-8");
        std::fs::remove_file(&path).expect("the file");
        assert!(error.contains("UTF-8") && !error.contains("hunter2"), "{error}");
        let error = from_environment("REDPATH_TEST_UNSET_VARIABLE").err().expect("not set");
        assert!(error.contains("REDPATH_TEST_UNSET_VARIABLE"), "{error}");
    }

    #[tokio::test]
    async fn credential_fifo_is_refused_without_opening_it() {
        let path = std::env::temp_dir().join(format!("redpath-credential-{}-fifo", std::process::id()));
        let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo of coreutils");
        assert!(made.success());
        let error = read_file(path.clone(), KIND).await.err().expect("a FIFO");
        std::fs::remove_file(&path).expect("the FIFO");
        assert!(error.ends_with("it is not a regular file"), "{error}");
    }
}
