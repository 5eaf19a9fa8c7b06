//! Files that probes read, on threads that a disk may hold up.
//!
//! A read cannot be cancelled, and one of a mount that hangs may never return. So few of one file are under way at a
//! time, and of all files no more than leave the runtime threads for others; whoever comes then waits, which its
//! phase's limit ends. Without that each probe would lose a thread, until there were none for `getaddrinfo`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

/// The most reads of one file at a time. One takes some microseconds.
const PER_FILE: usize = 2;

/// The most reads at a time: half of the threads that the runtime has for such work.
const ALL: usize = 256;

static UNDER_WAY: Semaphore = Semaphore::const_new(ALL);
static FILES: Mutex<Vec<(PathBuf, Arc<Semaphore>)>> = Mutex::new(Vec::new());

/// The turns of a file that is being read; what nobody reads is forgotten with the next.
fn turns(file: &Path) -> Arc<Semaphore> {
    let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    files.retain(|(_, turns)| Arc::strong_count(turns) > 1);
    if let Some((_, turns)) = files.iter().find(|(known, _)| known.as_os_str() == file.as_os_str()) {
        return Arc::clone(turns);
    }
    let turns = Arc::new(Semaphore::new(PER_FILE));
    files.push((file.to_owned(), Arc::clone(&turns)));
    turns
}

/// Runs `read` on a thread that may be blocked, once it is `file`'s turn.
///
/// # Errors
/// Those of `read`, and a sentence that says `what` was read where its thread is gone.
pub(super) async fn blocking<T: Send + 'static>(
    file: &Path,
    what: &str,
    read: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let lost = || format!("the thread that reads the {what} was lost");
    let turn = turns(file).acquire_owned().await.map_err(|_| lost())?;
    let under_way = UNDER_WAY.acquire().await.map_err(|_| lost())?;
    let held = move || {
        let _until_it_returns = (turn, under_way);
        read()
    };
    tokio::task::spawn_blocking(held).await.unwrap_or_else(|_| Err(lost()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test]
    async fn a_file_that_hangs_holds_two_threads_and_no_other_file() {
        const SHORT: Duration = Duration::from_millis(50);
        const LONG: Duration = Duration::from_secs(10);
        let (hangs, other) = (Path::new("/mnt/gone/password"), Path::new("/run/secrets/password"));
        let (open, gates): (Vec<_>, Vec<_>) = (0..PER_FILE).map(|_| channel::<()>()).unzip();
        for gate in gates {
            let hanging = blocking(hangs, "password file", move || gate.recv().map_err(|error| error.to_string()));
            assert!(timeout(SHORT, hanging).await.is_err(), "its thread is held");
        }
        let read = || Ok::<_, String>("hunter2");
        assert!(timeout(SHORT, blocking(hangs, "password file", read)).await.is_err(), "no third thread");
        assert_eq!(timeout(LONG, blocking(other, "password file", read)).await, Ok(Ok("hunter2")));
        drop(open);
        assert_eq!(timeout(LONG, blocking(hangs, "password file", read)).await, Ok(Ok("hunter2")), "it is back");
    }

    #[tokio::test]
    async fn a_thread_that_panics_is_told_and_leaves_its_turn() {
        let file = Path::new("/run/secrets/panics");
        for _ in 0..=PER_FILE {
            let lost = blocking(file, "password file", || -> Result<(), String> { panic!("a broken disk") }).await;
            assert_eq!(lost, Err("the thread that reads the password file was lost".to_owned()));
        }
    }
}
