//! Writes the metrics to a file for node_exporter's textfile collector, for hosts where nothing may listen.
//!
//! The file is replaced atomically: the page is written under a name that the collector ignores, then
//! renamed (`rename(2)`). No fsync: after a crash of the machine, the agent writes a new page first.

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::output::metrics::Metrics;

/// The minimum time from one page to the next, however many targets there are.
const WRITE_INTERVAL: Duration = Duration::from_secs(1);

/// A page is written after this time even without new records, so that its age shows that the agent runs.
const MAX_STALENESS: Duration = Duration::from_secs(15);

/// The time to the next attempt after a failed write.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// Readable by the collector, which runs as another user.
const MODE: u32 = 0o644;

/// The file and the metrics that are written to it.
pub(super) struct Textfile {
    path: PathBuf,
    metrics: Arc<Metrics>,
    new_record: Arc<Notify>,
    failing: bool,
}

impl Textfile {
    /// Writes the first page, so that a wrong path is an error at the start. A full disk is not.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn start(path: PathBuf, metrics: Arc<Metrics>, new_record: Arc<Notify>) -> io::Result<Self> {
        let mut file = Self { path, metrics, new_record, failing: false };
        match replace(&file.path, |to| file.metrics.write_for_textfile(to)) {
            Err(error) if !is_full(&error) => return Err(error),
            written => file.log_change(written),
        }
        Ok(file)
    }

    /// Writes a page after new records, until `closed`; then removes the file, since the collector would
    /// serve the last page for ever.
    pub(super) async fn run(mut self, closed: impl Future<Output = ()>) -> io::Result<()> {
        tokio::pin!(closed);
        loop {
            tokio::select! {
                biased;
                () = &mut closed => break,
                () = self.due() => {}
            }
            let (path, metrics) = (self.path.clone(), Arc::clone(&self.metrics));
            // A file system that hangs must not block the probes.
            let written = tokio::task::spawn_blocking(move || replace(&path, |to| metrics.write_for_textfile(to)));
            let written = written.await.unwrap_or_else(|panicked| Err(io::Error::other(panicked)));
            self.log_change(written);
        }
        fs::remove_file(&self.path).or_else(|error| if is_gone(&error) { Ok(()) } else { Err(error) }).inspect_err(
            |error| {
                let file = self.path.display().to_string();
                tracing::error!(
                    file,
                    error = error.to_string(),
                    "the text file cannot be removed: its content is outdated"
                );
            },
        )
    }

    /// Waits until the next page is due.
    async fn due(&self) {
        sleep(WRITE_INTERVAL).await;
        // After a timeout a page is due as well.
        let _ = timeout(
            if self.failing { RETRY_INTERVAL } else { MAX_STALENESS } - WRITE_INTERVAL,
            self.new_record.notified(),
        )
        .await;
    }

    /// Logs the first failure, and the end of the failures.
    fn log_change(&mut self, written: io::Result<()>) {
        let file = self.path.display().to_string();
        match (written, self.failing) {
            (Ok(()), true) => tracing::info!(file, "the text file is written again"),
            (Err(error), false) => {
                tracing::error!(file, error = error.to_string(), "the text file cannot be written; probing goes on");
            }
            (Ok(()), false) | (Err(_), true) => return,
        }
        self.failing = !self.failing;
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// Replaces the file at `path` by what `content` writes.
fn replace(path: &Path, content: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> io::Result<()> {
    let temp_path = temp_path(path);
    // Left behind by an agent that was killed. `create_new` below follows no symbolic link.
    fs::remove_file(&temp_path).or_else(|error| if is_gone(&error) { Ok(()) } else { Err(error) })?;
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&temp_path)?;
        file.set_permissions(Permissions::from_mode(MODE))?; // whatever the umask
        content(&mut file)?;
        fs::rename(&temp_path, path)
    };
    write().inspect_err(|_| {
        // Frees its space. An error: it was not created.
        let _ = fs::remove_file(&temp_path);
    })
}

/// Hidden, and not `*.prom`: the collector reads nothing else.
fn temp_path(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replace_overwrites_page_and_leftover_file() {
        let folder = tempfile::tempdir().expect("a directory");
        let directory = folder.path();
        let path = directory.join("redpath.prom");
        fs::write(directory.join(".redpath.prom.new"), "half a pa").expect("a file is left behind");
        for content in ["one\n", "two\n"] {
            replace(&path, |to| to.write_all(content.as_bytes())).expect("it is written");
            assert_eq!(fs::read_to_string(&path).expect("it is there"), content);
        }
        let mode = fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, MODE);
        assert_eq!(fs::read_dir(directory).expect("a directory").count(), 1);
        // A failed page leaves no file behind: here the name is that of a directory.
        fs::create_dir_all(directory.join("taken.prom/in")).expect("a directory");
        assert!(replace(&directory.join("taken.prom"), |to| to.write_all(b"three\n")).is_err());
        assert_eq!(fs::read_dir(directory).expect("a directory").count(), 2);
    }
}
