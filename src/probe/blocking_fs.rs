//! Blocking file reads on a bounded number of threads.
//!
//! A read cannot be cancelled, and one on a hung mount may never return. So the reads of one file are limited, and
//! all reads together leave half of the runtime's threads free. Further reads wait, until the limit of their phase.
//! Otherwise each probe would lose a thread, until there were none for `getaddrinfo`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::lock::lock;
use tokio::sync::Semaphore;

/// The most reads of one file at a time. A read takes some microseconds.
const PER_FILE: usize = 2;

/// The most reads at a time: half of the 512 threads that tokio has for blocking work.
const IN_ALL: usize = 256;

static PERMITS: Semaphore = Semaphore::const_new(IN_ALL);
static FILES: Mutex<Vec<(PathBuf, Arc<Semaphore>)>> = Mutex::new(Vec::new());

/// The permits of a file. Files that are not being read are removed with the next call.
fn file_permits(file: &Path) -> Arc<Semaphore> {
    let mut files = lock(&FILES);
    files.retain(|(_, permits)| Arc::strong_count(permits) > 1);
    if let Some((_, permits)) = files.iter().find(|(known, _)| known.as_os_str() == file.as_os_str()) {
        return Arc::clone(permits);
    }
    let permits = Arc::new(Semaphore::new(PER_FILE));
    files.push((file.to_owned(), Arc::clone(&permits)));
    permits
}

/// Runs `read` on a thread of its own, once there is a permit for `file`.
///
/// # Errors
/// Those of `read`, and a sentence with `what` was read where the thread panicked.
pub(super) async fn read_with_limit<T: Send + 'static>(
    file: &Path,
    what: &str,
    read: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let lost = || format!("the thread that reads the {what} was lost");
    let of_file = file_permits(file).acquire_owned().await.map_err(|_| lost())?;
    let of_all = PERMITS.acquire().await.map_err(|_| lost())?;
    let read = move || {
        let _permits = (of_file, of_all);
        read()
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| Err(lost()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test]
    async fn blocking_fs_hung_file_holds_two_threads() {
        const SHORT: Duration = Duration::from_millis(50);
        const LONG: Duration = Duration::from_secs(10);
        let (hangs, other) = (Path::new("/mnt/gone/password"), Path::new("/run/secrets/password"));
        let (open, gates): (Vec<_>, Vec<_>) = (0..PER_FILE).map(|_| channel::<()>()).unzip();
        for gate in gates {
            let hanging =
                read_with_limit(hangs, "password file", move || gate.recv().map_err(|error| error.to_string()));
            assert!(timeout(SHORT, hanging).await.is_err(), "its thread is held");
        }
        let read = || Ok::<_, String>("hunter2");
        assert!(timeout(SHORT, read_with_limit(hangs, "password file", read)).await.is_err(), "no third thread");
        assert_eq!(timeout(LONG, read_with_limit(other, "password file", read)).await, Ok(Ok("hunter2")));
        drop(open);
        assert_eq!(timeout(LONG, read_with_limit(hangs, "password file", read)).await, Ok(Ok("hunter2")), "it is back");
    }

    #[tokio::test]
    async fn blocking_fs_panic_frees_permit() {
        let file = Path::new("/run/secrets/panics");
        for _ in 0..=PER_FILE {
            let lost =
                read_with_limit(file, "password file", || -> Result<(), String> { panic!("a broken disk") }).await;
            assert_eq!(lost, Err("the thread that reads the password file was lost".to_owned()));
        }
    }
}
