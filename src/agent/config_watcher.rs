//! Detects changes of the configuration file's content by polling.
//!
//! Polling works where inotify does not: a ConfigMap is replaced by a symbolic link two directories up, and
//! network file systems do not notify.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep_until};

use crate::bounded_read::{self, FileKind, FileStamp};
use crate::config::{self, Config, ConfigError};
use crate::journal;

/// The time from one poll to the next.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// A changed file is loaded once its content is stable for this long: half of a file that is being written
/// may be a valid configuration with fewer targets.
const SETTLE_TIME: Duration = Duration::from_secs(1);

/// The maximum size of the file.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The configuration file, and its state at the last load.
pub(super) struct ConfigFile {
    path: PathBuf,
    stamp: Option<FileStamp>,
    content: Content,
    changing: Option<Content>,
    next_poll: Instant,
}

/// The digest of the content; `None` where there is no regular file that can be read.
type Content = Option<[u8; 32]>;

impl ConfigFile {
    /// A file that has not been read yet.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, stamp: None, content: None, changing: None, next_poll: Instant::now() }
    }

    /// Loads the configuration. [`Self::changed`] reports changes from this content on.
    ///
    /// # Errors
    /// Those of the configuration. The same bad content is not loaded again until it changes.
    pub(super) fn load(&mut self) -> Result<Config, ConfigError> {
        // Before the load: the next poll finds a change in between.
        self.remember_content();
        config::load(&self.path)
    }

    /// The digest of the content that was loaded last.
    pub(super) fn digest(&self) -> Option<journal::digest::Digest> {
        self.content.map(journal::digest::Digest::from_bytes)
    }

    fn remember_content(&mut self) {
        (self.stamp, self.content) = read(&self.path);
        self.changing = None;
        self.next_poll = Instant::now() + POLL_INTERVAL;
    }

    /// Waits until the content has changed and is stable for a second. Cancel safe.
    pub(super) async fn changed(&mut self) {
        loop {
            sleep_until(self.next_poll).await;
            if self.has_settled() {
                return;
            }
        }
    }

    fn has_settled(&mut self) -> bool {
        self.next_poll = Instant::now() + POLL_INTERVAL;
        if self.changing.is_none() && self.stamp.is_some() && FileStamp::of(&self.path) == self.stamp {
            return false;
        }
        let (stamp, content) = read(&self.path);
        if content == self.content {
            (self.stamp, self.changing) = (stamp, None);
            return false;
        }
        if self.changing.replace(content) == Some(content) {
            return true;
        }
        self.next_poll = Instant::now() + SETTLE_TIME;
        false
    }
}

fn read(path: &Path) -> (Option<FileStamp>, Content) {
    let Some(stamp) = FileStamp::of(path) else { return (None, None) };
    let content = bounded_read::read(path, FileKind::Regular, MAX_BYTES).ok();
    (Some(stamp), content.map(|bytes| Sha256::digest(bytes).into()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn loaded(path: &Path) -> ConfigFile {
        let mut file = ConfigFile::new(path.to_owned());
        file.remember_content();
        file
    }

    /// Polls long enough to detect a change; returns whether one was detected.
    async fn detects(file: &mut ConfigFile) -> bool {
        let detected = tokio::time::timeout(POLL_INTERVAL + SETTLE_TIME * 2, file.changed()).await.is_ok();
        if detected {
            file.remember_content();
        }
        detected
    }

    #[tokio::test(start_paused = true)]
    async fn change_new_content_detected_once() {
        let directory = Directory::new();
        let path = directory.file("one.yaml", "targets: []");
        let mut file = loaded(&path);
        assert!(!detects(&mut file).await);
        fs::write(&path, "targets: []").expect("the file is written again, the same");
        assert!(!detects(&mut file).await);
        fs::write(&path, "targets: [] # other").expect("the file is changed");
        assert!(detects(&mut file).await);
        assert!(!detects(&mut file).await);
        fs::remove_file(&path).expect("the file is removed");
        assert!(detects(&mut file).await);
        assert!(!detects(&mut file).await);
        fs::write(&path, "targets: []").expect("the file is back");
        assert!(detects(&mut file).await);
    }

    #[tokio::test(start_paused = true)]
    async fn change_partly_written_file_waits() {
        let directory = Directory::new();
        let path = directory.file("one.yaml", "targets: [a, b]");
        let mut file = loaded(&path);
        fs::write(&path, "targets:").expect("a part is written");
        file.next_poll = Instant::now();
        assert!(!file.has_settled());
        fs::write(&path, "targets: [a").expect("more is written");
        assert!(!file.has_settled());
        assert!(file.next_poll <= Instant::now() + SETTLE_TIME);
        assert!(file.has_settled());
    }

    #[tokio::test(start_paused = true)]
    async fn change_config_map_symlink_detected() {
        let directory = Directory::new();
        directory.file("..v1/agent.yaml", "targets: [a]");
        directory.file("..v2/agent.yaml", "targets: [b]");
        let (data, swap) = (directory.0.path().join("..data"), directory.0.path().join("..swap"));
        std::os::unix::fs::symlink("..v1", &data).expect("the first version is linked");
        let path = directory.0.path().join("agent.yaml");
        std::os::unix::fs::symlink("..data/agent.yaml", &path).expect("the file is linked");
        let mut file = loaded(&path);
        assert!(!detects(&mut file).await);
        std::os::unix::fs::symlink("..v2", &swap).expect("the second version is linked");
        fs::rename(&swap, &data).expect("and put in place of the first");
        assert!(detects(&mut file).await);
    }

    #[test]
    fn read_pipe_or_directory_is_none() {
        let directory = Directory::new();
        assert_eq!(read(directory.0.path()).1, None);
        assert_eq!(read(Path::new("/dev/zero")).1, None);
    }

    /// A directory of this test alone, removed at its end.
    struct Directory(tempfile::TempDir);

    impl Directory {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a directory is made"))
        }

        fn file(&self, name: &str, content: &str) -> PathBuf {
            let path = self.0.path().join(name);
            fs::create_dir_all(path.parent().expect("a file is in a directory")).expect("a directory is made");
            fs::write(&path, content).expect("a file is written");
            path
        }
    }
}
