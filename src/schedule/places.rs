//! The limit on concurrent probes, half of which is kept for targets that end within their timeout.
//!
//! A silent target takes a place for its whole timeout. Without the second limit, hundreds of silent targets
//! would delay the others.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places for concurrent probes.
pub(super) struct Places {
    all: Arc<Semaphore>,
    /// The places for slow targets: those whose last probe used up its timeout.
    slow: Arc<Semaphore>,
    size: usize,
}

/// A place in use; dropping it frees it.
pub(super) struct Place {
    _slow: Option<OwnedSemaphorePermit>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Places {
    pub(super) fn new(size: usize) -> Self {
        let size = clamp(size);
        Self { all: Arc::new(Semaphore::new(size)), slow: Arc::new(Semaphore::new(slow_places(size))), size }
    }

    /// Waits for a place, in the order of the calls.
    pub(super) fn take(&self, is_slow: bool) -> impl Future<Output = Place> + use<> {
        let (all, slow) = (Arc::clone(&self.all), Arc::clone(&self.slow));
        async move {
            // The semaphores are never closed, so that neither is an error.
            let slow = if is_slow { slow.acquire_owned().await.ok() } else { None };
            Place { _slow: slow, _permit: all.acquire_owned().await.ok() }
        }
    }

    /// Changes the number of places. Places in use are not taken away.
    pub(super) fn resize(&mut self, size: usize) {
        let size = clamp(size);
        resize(&self.all, self.size, size);
        resize(&self.slow, slow_places(self.size), slow_places(size));
        self.size = size;
    }
}

fn clamp(size: usize) -> usize {
    size.clamp(1, Semaphore::MAX_PERMITS)
}

fn slow_places(size: usize) -> usize {
    (size / 2).max(1)
}

fn resize(semaphore: &Arc<Semaphore>, from: usize, to: usize) {
    if to >= from {
        semaphore.add_permits(to - from);
        return;
    }
    let in_use = from - to - semaphore.forget_permits(from - to);
    let semaphore = Arc::clone(semaphore);
    tokio::spawn(async move {
        for _ in 0..in_use {
            if let Ok(permit) = semaphore.acquire().await {
                permit.forget();
            }
        }
    });
}
