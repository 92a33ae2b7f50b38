//! How the outside tells the workers to stop.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::reactor::Caller;

/// What the proxy is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// Serving.
    Serving,
    /// Finishing what is in flight; nobody new is let in.
    Draining,
}

/// Shared by the workers and whoever may stop them.
#[derive(Debug, Default)]
pub(super) struct Control {
    draining: AtomicBool,
    callers: Mutex<Vec<Caller>>,
}

impl Control {
    /// Adds a worker to those that are told.
    pub(super) fn add(&self, caller: Caller) {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner).push(caller);
    }

    /// What a worker should be doing.
    pub(super) fn phase(&self) -> Phase {
        if self.draining.load(Ordering::Acquire) { Phase::Draining } else { Phase::Serving }
    }

    /// Asks all workers to finish.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        for caller in self.callers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            // An eventfd that refuses its one write leaves the drain to the next wake-up.
            let _ = caller.call();
        }
    }
}
