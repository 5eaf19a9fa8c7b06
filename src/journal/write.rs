//! Appends to the journal of a directory: one program at a time, in files of bounded size, the oldest removed first.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::SCHEMA;
use super::digest::Digest;
use super::line::{Entry, FileStart, Line};
use super::read::Lines;
use super::verify::Head;
use crate::clock::Timestamp;
use crate::printable::is_unprintable;
use crate::vantage::Vantage;

/// Into how many files the journal is divided, so that what is removed is a small part of it.
const FILES: u64 = 8;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of all files.
    pub max_bytes: u64,
    /// How long a file is kept after its last line.
    pub max_age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: 100 * 1024 * 1024, max_age: Duration::from_secs(30 * 24 * 60 * 60) }
    }
}

/// Why a journal cannot be opened. Its `Display` is a sentence about "it", the directory.
#[derive(Debug)]
pub enum OpenError {
    /// Another program writes to it.
    InUse,
    /// What the system says.
    Io(io::Error),
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse => f.write_str("another redpath writes its journal there: each needs a directory of its own"),
            Self::Io(error) => write!(f, "no journal can be written there: {error}"),
        }
    }
}

impl std::error::Error for OpenError {}

/// Appends lines to the newest file of a directory, which it has locked.
#[derive(Debug)]
pub struct Appender {
    directory: PathBuf,
    limits: Limits,
    vantage: Vantage,
    file: File,
    /// The bytes of whole lines in the file.
    length: u64,
    /// Whether bytes of a line that failed may follow them.
    is_torn: bool,
    head: Head,
    _lock: File,
}

impl Appender {
    /// Opens the journal of `directory`, which is made where there is none. An incomplete last line is removed, and
    /// the removal noted.
    ///
    /// # Errors
    /// Another program has it open, or it cannot be read or written.
    pub fn open(directory: &Path, limits: Limits, vantage: Vantage) -> Result<Self, OpenError> {
        if !directory.is_dir() {
            DirBuilder::new().mode(0o750).create(directory)?;
        }
        let lock = options().create(true).write(true).truncate(false).open(directory.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let files = files(directory)?;
        let mut head = Head { number: 0, digest: Digest::NONE };
        let mut newest = None;
        for file in files.iter().rev() {
            let end = end_of(file)?;
            newest.get_or_insert_with(|| (file.clone(), end));
            if let Some(found) = end.head {
                head = found;
                break;
            }
        }
        let (path, end) = newest.unwrap_or_else(|| (path_of(directory, 1), End::default()));
        let file = options().create(true).append(true).open(path)?;
        let torn = file.metadata()?.len().saturating_sub(end.whole);
        if torn > 0 {
            file.set_len(end.whole)?;
        }
        let mut appender = Self {
            directory: directory.to_owned(),
            limits,
            vantage,
            file,
            length: end.whole,
            is_torn: false,
            head,
            _lock: lock,
        };
        if torn > 0 {
            appender.append(Entry::Removed { bytes: torn })?;
        }
        Ok(appender)
    }

    /// The last line.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Appends a line. After an error the journal is as it was before.
    ///
    /// # Errors
    /// It could not be written.
    pub fn append(&mut self, entry: Entry) -> io::Result<()> {
        let largest = (self.limits.max_bytes / FILES).max(1);
        if self.length >= largest {
            self.rotate()?;
        }
        if self.length == 0 {
            let start = FileStart { schema: SCHEMA.to_owned(), vantage: self.vantage.clone() };
            self.write(Entry::File(start))?;
        }
        self.write(entry)
    }

    fn write(&mut self, entry: Entry) -> io::Result<()> {
        let (bytes, head) = encode(self.head, entry)?;
        if self.is_torn {
            self.file.set_len(self.length)?;
            self.is_torn = false;
        }
        if let Err(error) = self.file.write_all(&bytes) {
            self.is_torn = self.file.set_len(self.length).is_err();
            return Err(error);
        }
        self.length += bytes.len() as u64;
        self.head = head;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let path = path_of(&self.directory, self.head.number.saturating_add(1));
        self.file = options().create(true).append(true).open(&path)?;
        self.file.set_len(0)?; // of an attempt that failed
        (self.length, self.is_torn) = (0, false);
        self.remove_old(&path)
    }

    /// Removes the oldest files beyond the limits, never the one in use.
    fn remove_old(&self, in_use: &Path) -> io::Result<()> {
        let mut kept = self.limits.max_bytes / FILES; // what the new file will have
        for path in files(&self.directory)?.iter().rev().filter(|path| *path != in_use) {
            let found = fs::metadata(path)?;
            kept = kept.saturating_add(found.len());
            let age = found.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
            if kept > self.limits.max_bytes || age.is_some_and(|age| age > self.limits.max_age) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// The line that follows `head`, with its end, and the head that it becomes.
pub(super) fn encode(head: Head, entry: Entry) -> io::Result<(Vec<u8>, Head)> {
    let number = head.number.saturating_add(1);
    let line = Line { number, previous: head.digest, at: Timestamp::now(), entry };
    let mut bytes = escaped(&serde_json::to_string(&line)?).into_bytes();
    if bytes.len() > super::MAX_LINE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the record is too long for a line"));
    }
    let digest = Digest::of(&bytes);
    bytes.push(b'\n');
    Ok((bytes, Head { number, digest }))
}

/// Unprintable characters as JSON escapes: they are within strings only, and the file may be shown on a terminal.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_unprintable(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o640);
    options
}

/// Twenty digits, so that the order of the names is that of the lines.
fn path_of(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("journal-{number:020}.ndjson"))
}

/// The files of the journal of a directory, the oldest first.
///
/// # Errors
/// The directory cannot be read.
pub fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("journal-")?.strip_suffix(".ndjson"));
        if number.is_some_and(|number| number.len() == 20 && number.bytes().all(|byte| byte.is_ascii_digit())) {
            files.push(directory.join(name));
        }
    }
    files.sort();
    Ok(files)
}

/// How a file ends.
#[derive(Clone, Copy, Debug, Default)]
struct End {
    /// The bytes up to the end of the last whole line.
    whole: u64,
    /// The last line that is one of a journal.
    head: Option<Head>,
}

fn end_of(path: &Path) -> io::Result<End> {
    let file = File::open(path)?;
    let mut end = End { whole: file.metadata()?.len(), head: None };
    for line in Lines::new(BufReader::new(file)) {
        let Ok(line) = line else { break }; // left as it is, for `journal verify`
        if !line.is_whole {
            end.whole = end.whole.saturating_sub(line.bytes.len() as u64);
        } else if let Ok(parsed) = line.parse() {
            end.head = Some(Head { number: parsed.number, digest: line.digest() });
        }
    }
    Ok(end)
}
