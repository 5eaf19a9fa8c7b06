//! Reads files up to a limit, and notices when one has changed.
//!
//! A file may be a pipe without a writer, a device without an end, or longer than memory.

use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The capacity for what does not say its length, such as a pipe: a secret in one is never copied by a vector that grows.
const UNKNOWN_LENGTH: usize = 64 * 1024 + 1;

/// What may stand under a file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file: opening a pipe waits for its writer.
    Regular,
    /// A file, or a pipe such as `<(az ...)` of a shell.
    FileOrPipe,
}

/// Why a file was not read. Its `Display` is a sentence about "it", the file.
#[derive(Debug)]
pub enum ReadError {
    /// There is none.
    NotFound,
    /// It is a directory.
    Directory,
    /// It is a pipe, a socket or a device.
    NotRegular,
    /// It has more bytes than this.
    TooLong(usize),
    /// What the system says.
    Io(io::Error),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::IsADirectory => Self::Directory,
            _ => Self::Io(error),
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("there is no such file"),
            Self::Directory => f.write_str("it is a directory, not a file"),
            Self::NotRegular => f.write_str("it is not a regular file"),
            Self::TooLong(limit) => write!(f, "it is longer than {}", size(*limit)),
            Self::Io(error) => write!(f, "it cannot be read: {}", reason(error)),
        }
    }
}

impl std::error::Error for ReadError {}

/// All bytes of a file that has at most `limit`.
///
/// # Errors
/// It is longer, not of this kind, or cannot be read.
pub fn read(path: &Path, kind: FileKind, limit: usize) -> Result<Vec<u8>, ReadError> {
    within(read_prefix(path, kind, limit.saturating_add(1))?, limit)
}

/// All bytes of a stream that has at most `limit`.
///
/// # Errors
/// It is longer, or cannot be read.
pub fn read_stream(stream: impl Read, limit: usize) -> Result<Vec<u8>, ReadError> {
    within(prefix(stream, UNKNOWN_LENGTH, limit.saturating_add(1))?, limit)
}

/// The first bytes of a file, at most `limit`.
///
/// # Errors
/// It is not of this kind, or cannot be read.
pub fn read_prefix(path: &Path, kind: FileKind, limit: usize) -> Result<Vec<u8>, ReadError> {
    let found = fs::metadata(path)?;
    if found.is_dir() {
        return Err(ReadError::Directory);
    }
    if kind == FileKind::Regular && !found.is_file() {
        return Err(ReadError::NotRegular);
    }
    let file = File::open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let capacity = if length == 0 { UNKNOWN_LENGTH } else { length.saturating_add(1) };
    Ok(prefix(file, capacity, limit)?)
}

fn prefix(stream: impl Read, capacity: usize, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(capacity.min(limit));
    stream.take(u64::try_from(limit).unwrap_or(u64::MAX)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn within(bytes: Vec<u8>, limit: usize) -> Result<Vec<u8>, ReadError> {
    if bytes.len() > limit { Err(ReadError::TooLong(limit)) } else { Ok(bytes) }
}

/// By what a change of a regular file is noticed. The change time is part of it, since a copy that keeps the
/// modification time still sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    device_inode: (u64, u64),
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileStamp {
    /// The stamp of the file at `path`; `None` where there is no regular file.
    pub fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok().filter(Metadata::is_file)?;
        Some(Self {
            device_inode: (found.dev(), found.ino()),
            length: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

/// `64 KiB`, `16 MiB`.
fn size(bytes: usize) -> String {
    match bytes {
        _ if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ if bytes >= 1 << 10 && bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} bytes"),
    }
}

/// The system's message without the error number, in lower case.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_refuses_what_is_too_long_or_no_file() {
        let error = |path: &str, kind| read(Path::new(path), kind, 1024).expect_err(path).to_string();
        assert_eq!(error("/nonexistent/file", FileKind::FileOrPipe), "there is no such file");
        assert_eq!(error("/tmp", FileKind::Regular), "it is a directory, not a file");
        assert_eq!(error("/dev/zero", FileKind::Regular), "it is not a regular file");
        assert_eq!(error("/dev/zero", FileKind::FileOrPipe), "it is longer than 1 KiB");
        assert_eq!(error("/proc/self/mem", FileKind::Regular), "it cannot be read: input/output error");
    }

    #[test]
    fn read_takes_a_file_of_exactly_the_limit() {
        assert_eq!(read_stream(io::repeat(b'x').take(1024), 1024).expect("1024 bytes").len(), 1024);
        assert_eq!(read_prefix(Path::new("/dev/zero"), FileKind::FileOrPipe, 10).expect("10 bytes"), [0; 10]);
        assert!(read(Path::new("/dev/null"), FileKind::FileOrPipe, 1024).expect("nothing").is_empty());
    }

    #[test]
    fn stamp_changes_with_content_and_is_none_for_a_device() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("stamp");
        fs::write(&file, "a").expect("a file");
        let before = FileStamp::of(&file);
        assert!(before.is_some() && before == FileStamp::of(&file));
        fs::write(&file, "bc").expect("a file");
        assert_ne!(before, FileStamp::of(&file));
        fs::remove_file(&file).expect("the file");
        assert_eq!((FileStamp::of(&file), FileStamp::of(Path::new("/dev/null"))), (None, None));
    }
}
