//! What is wrong with a configuration: every problem found, each with its place and what would be accepted.

use std::fmt;
use std::path::PathBuf;

use super::path::Path;
use super::yaml::Node;
use crate::secret::quote;

/// The most problems that are reported at once; a reader has seen enough by then.
const MAX_REPORTED_ERRORS: usize = 20;

/// Why a configuration was refused. Its `Display` is one line per problem: `FILE:LINE: KEY: what is
/// wrong and what would be accepted`. It never repeats anything that may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    file: Option<PathBuf>,
    problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    line: Option<u64>,
    path: String,
    message: String,
}

impl ConfigError {
    /// A problem with the file as a whole.
    pub(super) fn whole(message: impl Into<String>) -> Self {
        Self { file: None, problems: vec![Problem { line: None, path: String::new(), message: message.into() }] }
    }

    /// A problem with a line, before its meaning is known.
    pub(super) fn at_line(line: Option<u64>, message: impl Into<String>) -> Self {
        Self { file: None, problems: vec![Problem { line, path: String::new(), message: message.into() }] }
    }

    /// The same problems, of this file.
    pub(super) fn in_file(self, file: PathBuf) -> Self {
        Self { file: Some(file), ..self }
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, problem) in self.problems.iter().take(MAX_REPORTED_ERRORS).enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            match (&self.file, problem.line) {
                (Some(file), Some(line)) => write!(f, "{}:{line}: ", quote::path(file))?,
                (Some(file), None) => write!(f, "{}: ", quote::path(file))?,
                (None, Some(line)) => write!(f, "line {line}: ")?,
                (None, None) => {}
            }
            if !problem.path.is_empty() {
                write!(f, "{}: ", problem.path)?;
            }
            f.write_str(&problem.message)?;
        }
        if self.problems.len() > MAX_REPORTED_ERRORS {
            f.write_str("\nand more problems, which are shown once these are fixed")?;
        }
        Ok(())
    }
}

/// Collects problems while a document is read.
pub(super) struct Problems<'a> {
    document: &'a Node,
    found: Vec<Problem>,
}

impl<'a> Problems<'a> {
    /// None yet, of `document`.
    pub(super) fn of(document: &'a Node) -> Self {
        Self { document, found: Vec::new() }
    }

    /// Notes one. Its line is that of the nearest value that the file has on the way to `path`.
    pub(super) fn add(&mut self, path: &Path, message: impl Into<String>) {
        if !self.is_full() {
            let line = Some(self.document.line_of(path));
            self.found.push(Problem { line, path: path.to_string(), message: message.into() });
        }
    }

    /// The value, or nothing and a note of what is wrong with it.
    pub(super) fn take<T>(&mut self, path: &Path, value: Result<T, String>) -> Option<T> {
        value.map_err(|message| self.add(path, message)).ok()
    }

    /// What `read` makes of `text`, or nothing and a note: `read` says what the text is instead.
    pub(super) fn read<T>(
        &mut self,
        path: &Path,
        text: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        read(text).map_err(|message| self.add(path, format!("{} is {message}", path.shown(text)))).ok()
    }

    /// Whether enough have been found: a hostile file could have one per byte.
    pub(super) fn is_full(&self) -> bool {
        self.found.len() > MAX_REPORTED_ERRORS
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All of them, in the order of the file.
    pub(super) fn into_error(mut self) -> ConfigError {
        self.found.sort_by_key(|problem| problem.line);
        ConfigError { file: None, problems: self.found }
    }
}
