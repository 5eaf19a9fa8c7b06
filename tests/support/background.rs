//! A future on a thread and a runtime of its own, until it is dropped: a server that answers
//! whatever the test's own runtime is doing, and that `tokio::time::pause` does not reach.

use std::future::Future;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

/// The thread; dropping it ends the future, and waits for the thread's end.
pub(crate) struct Background {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// Runs `future`, and everything that it spawns.
    pub(crate) fn run(name: &str, future: impl Future<Output = ()> + Send + 'static) -> Self {
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    () = future => {}
                    _ = stopped => {}
                }
            });
        });
        Self { stop: Some(stop), thread: Some(thread.expect("a thread for a server")) }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the server is a failure of the test, unless the test is failing anyway.
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "a server of the test panicked");
        }
    }
}
