//! The metrics as a file for node_exporter's textfile collector, for hosts where nothing may listen.
//!
//! A reader sees a whole page or the one before, never half of one: the page is written temp_path the file
//! under a name that the collector does not read, and takes its place by `rename(2)`. It is not synced to
//! the disk: after a crash of the machine the next page is due before anyone asks for the last.

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::output::metrics::Metrics;

/// The shortest time from one page to the next, however many targets there are.
const WRITE_INTERVAL: Duration = Duration::from_secs(1);

/// A page is written after this long without news: the process is alive, and says what its schedule does.
const MAX_STALENESS: Duration = Duration::from_secs(15);

/// How soon a page that could not be written is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Readable for the collector, which is another user.
const MODE: u32 = 0o644;

/// The file, and what it is written of.
pub(super) struct Textfile {
    path: PathBuf,
    metrics: Arc<Metrics>,
    news: Arc<Notify>,
    failing: bool,
}

impl Textfile {
    /// Writes the first page, so that a wrong path is told at the start. A full disk is no wrong path.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn start(path: PathBuf, metrics: Arc<Metrics>, news: Arc<Notify>) -> io::Result<Self> {
        let mut file = Self { path, metrics, news, failing: false };
        match replace(&file.path, |to| file.metrics.write_for_textfile(to)) {
            Err(error) if !is_full(&error) => return Err(error),
            written => file.tell(written),
        }
        Ok(file)
    }

    /// Writes a page whenever there is news, until `closed`; then the file is removed, since the
    /// collector would go on serving what nobody looks after any more.
    pub(super) async fn keep(mut self, closed: impl Future<Output = ()>) -> io::Result<()> {
        tokio::pin!(closed);
        loop {
            tokio::select! {
                biased;
                () = &mut closed => break,
                () = self.due() => {}
            }
            let (path, metrics) = (self.path.clone(), Arc::clone(&self.metrics));
            // A file system that hangs must not hold the probes.
            let written = tokio::task::spawn_blocking(move || replace(&path, |to| metrics.write_for_textfile(to)));
            let written = written.await.unwrap_or_else(|lost| Err(io::Error::other(lost)));
            self.tell(written);
        }
        fs::remove_file(&self.path).or_else(|error| if is_gone(&error) { Ok(()) } else { Err(error) }).inspect_err(
            |error| {
                let file = self.path.display().to_string();
                tracing::error!(
                    file,
                    error = error.to_string(),
                    "the text file cannot be removed: what it says is old"
                );
            },
        )
    }

    /// Waits until the next page is due.
    async fn due(&self) {
        sleep(WRITE_INTERVAL).await;
        // Silence is as good a reason as news.
        let _ = timeout(if self.failing { RETRY } else { MAX_STALENESS } - WRITE_INTERVAL, self.news.notified()).await;
    }

    /// One line where it begins to fail, and one where that is over.
    fn tell(&mut self, written: io::Result<()>) {
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

/// Puts a file with what `content` writes in the place of `path`.
fn replace(path: &Path, content: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> io::Result<()> {
    let temp_path = temp_path(path);
    // What an agent left behind that was killed in between. A new file, so that nobody's link is followed.
    fs::remove_file(&temp_path).or_else(|error| if is_gone(&error) { Ok(()) } else { Err(error) })?;
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&temp_path)?;
        file.set_permissions(Permissions::from_mode(MODE))?; // whatever the umask
        content(&mut file)?;
        fs::rename(&temp_path, path)
    };
    write().inspect_err(|_| {
        // It may take the space that is missing. An error: it was not made.
        let _ = fs::remove_file(&temp_path);
    })
}

/// The name under which a page is written: hidden, and not `*.prom`, which is all that the collector reads.
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
    fn a_page_takes_the_place_of_the_last_and_of_what_was_left_behind() {
        let directory = std::env::temp_dir().join(format!("redpath-textfile-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        let path = directory.join("redpath.prom");
        fs::write(directory.join(".redpath.prom.new"), "half a pa").expect("a file is left behind");
        for content in ["one\n", "two\n"] {
            replace(&path, |to| to.write_all(content.as_bytes())).expect("it is written");
            assert_eq!(fs::read_to_string(&path).expect("it is there"), content);
        }
        let mode = fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, MODE);
        assert_eq!(fs::read_dir(&directory).expect("a directory").count(), 1);
        // What is left of a failed page takes no space: here the name is a directory's.
        fs::create_dir_all(directory.join("taken.prom/in")).expect("a directory");
        assert!(replace(&directory.join("taken.prom"), |to| to.write_all(b"three\n")).is_err());
        assert_eq!(fs::read_dir(&directory).expect("a directory").count(), 2);
        fs::remove_dir_all(&directory).expect("the directory");
    }
}
