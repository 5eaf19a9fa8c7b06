//! Locks a mutex also after a panic of another holder: no value behind one is ever left half-written.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The value, whether or not another holder has panicked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
