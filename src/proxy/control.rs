//! How the outside tells the workers to stop.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::reactor::Waker;

/// Shared by the workers and whoever may stop them.
#[derive(Debug, Default)]
pub(super) struct Control {
    stopping: AtomicBool,
    wakers: Mutex<Vec<Waker>>,
}

impl Control {
    /// Adds a worker to those that are told, even if the word was given before.
    pub(super) fn add(&self, waker: Waker) {
        let mut wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_stopping() {
            tell(&waker);
        }
        wakers.push(waker);
    }

    /// Whether the workers were asked to end.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Asks all workers to end.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(tell);
    }
}

fn tell(worker: &Waker) {
    // An eventfd that refuses its one write leaves the word to the next wake-up.
    let _ = worker.wake();
}
