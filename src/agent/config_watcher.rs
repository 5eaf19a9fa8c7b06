//! Notices that the configuration file's content has changed, by looking.
//!
//! Looking works where notifications do not: a ConfigMap is swapped by a symbolic link two
//! directories up, and network file systems notify nobody.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep_until};

use crate::config::{self, Config, ConfigError};

/// From one look to the next.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// A changed content is taken up once it has been the same for this long: half of a file that is
/// still being written may be a valid configuration of fewer targets.
const SETTLE_TIME: Duration = Duration::from_secs(1);

/// More than this is not read: no configuration is as long.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// The configuration file as it was last taken up.
pub(super) struct ConfigFile {
    path: PathBuf,
    stamp: Option<Stamp>,
    content: Content,
    changing: Option<Content>,
    next_look: Instant,
}

/// The digest of the content; `None` where there is no regular file that can be read.
type Content = Option<[u8; 32]>;

/// What tells cheaply that a file may have changed.
#[derive(PartialEq, Eq)]
struct Stamp {
    device_inode: (u64, u64),
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl ConfigFile {
    /// A file that has not been read yet.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, stamp: None, content: None, changing: None, next_look: Instant::now() }
    }

    /// Reads the configuration; from here on this content is the one that is known.
    ///
    /// # Errors
    /// The configuration's own. The same bad content is not tried again until it changes.
    pub(super) fn load(&mut self) -> Result<Config, ConfigError> {
        // Looked at before it is read: a change in between is found by the next look.
        self.look();
        config::load(&self.path)
    }

    fn look(&mut self) {
        (self.stamp, self.content) = read(&self.path);
        self.changing = None;
        self.next_look = Instant::now() + POLL_INTERVAL;
    }

    /// Waits until the content has changed, and has stayed the same for a second. It may be
    /// dropped and called again.
    pub(super) async fn changed(&mut self) {
        loop {
            sleep_until(self.next_look).await;
            if self.has_settled() {
                return;
            }
        }
    }

    fn has_settled(&mut self) -> bool {
        self.next_look = Instant::now() + POLL_INTERVAL;
        if self.changing.is_none() && self.stamp.is_some() && stamp(&self.path).map(|(_, stamp)| stamp) == self.stamp {
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
        self.next_look = Instant::now() + SETTLE_TIME;
        false
    }
}

fn read(path: &Path) -> (Option<Stamp>, Content) {
    let Some((length, stamp)) = stamp(path) else { return (None, None) };
    let content = if length > MAX_BYTES { None } else { fs::read(path).ok() };
    (Some(stamp), content.map(|bytes| Sha256::digest(bytes).into()))
}

/// Of regular files only: to read a pipe could take for ever.
fn stamp(path: &Path) -> Option<(u64, Stamp)> {
    let metadata: Metadata = fs::metadata(path).ok().filter(Metadata::is_file)?;
    let stamp = Stamp {
        device_inode: (metadata.dev(), metadata.ino()),
        length: metadata.len(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    };
    Some((metadata.len(), stamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(path: &Path) -> ConfigFile {
        let mut file = ConfigFile::new(path.to_owned());
        file.look();
        file
    }

    /// Looks often enough for a change to be taken up; says whether one was.
    async fn notices(file: &mut ConfigFile) -> bool {
        let noticed = tokio::time::timeout(POLL_INTERVAL + SETTLE_TIME * 2, file.changed()).await.is_ok();
        if noticed {
            file.look();
        }
        noticed
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_content_is_noticed_once_and_the_same_never() {
        let directory = Directory::new("content");
        let path = directory.file("one.yaml", "targets: []");
        let mut file = known(&path);
        assert!(!notices(&mut file).await);
        fs::write(&path, "targets: []").expect("the file is written again, the same");
        assert!(!notices(&mut file).await);
        fs::write(&path, "targets: [] # other").expect("the file is changed");
        assert!(notices(&mut file).await);
        assert!(!notices(&mut file).await);
        fs::remove_file(&path).expect("the file is removed");
        assert!(notices(&mut file).await);
        assert!(!notices(&mut file).await);
        fs::write(&path, "targets: []").expect("the file is back");
        assert!(notices(&mut file).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_being_written_is_left_alone_until_it_is_whole() {
        let directory = Directory::new("written");
        let path = directory.file("one.yaml", "targets: [a, b]");
        let mut file = known(&path);
        fs::write(&path, "targets:").expect("a part is written");
        file.next_look = Instant::now();
        assert!(!file.has_settled());
        fs::write(&path, "targets: [a").expect("more is written");
        assert!(!file.has_settled());
        assert!(file.next_look <= Instant::now() + SETTLE_TIME);
        assert!(file.has_settled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_config_map_is_swapped_by_its_symbolic_link() {
        let directory = Directory::new("links");
        directory.file("..v1/agent.yaml", "targets: [a]");
        directory.file("..v2/agent.yaml", "targets: [b]");
        let (data, swap) = (directory.0.join("..data"), directory.0.join("..swap"));
        std::os::unix::fs::symlink("..v1", &data).expect("the first version is linked");
        let path = directory.0.join("agent.yaml");
        std::os::unix::fs::symlink("..data/agent.yaml", &path).expect("the file is linked");
        let mut file = known(&path);
        assert!(!notices(&mut file).await);
        std::os::unix::fs::symlink("..v2", &swap).expect("the second version is linked");
        fs::rename(&swap, &data).expect("and put in place of the first");
        assert!(notices(&mut file).await);
    }

    #[test]
    fn a_pipe_or_a_directory_is_no_content() {
        let directory = Directory::new("none");
        assert_eq!(read(&directory.0).1, None);
        assert_eq!(read(Path::new("/dev/zero")).1, None);
    }

    /// A directory of this test alone, removed at its end.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("redpath-config-file-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("a directory is made");
            Self(path)
        }

        fn file(&self, name: &str, content: &str) -> PathBuf {
            let path = self.0.join(name);
            fs::create_dir_all(path.parent().expect("a file is in a directory")).expect("a directory is made");
            fs::write(&path, content).expect("a file is written");
            path
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}
